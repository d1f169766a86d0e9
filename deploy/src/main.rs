//! The one binary.

use std::process::ExitCode;

use anyhow::Result;
use apportion::cli::{Cli, Command};
use apportion::guard::What;
use apportion::launch::{Once, launch};
use apportion::process::guard::CANNOT_START;
use apportion::say::say_failure;
use apportion::summary::Told;
use apportion::supervise::exit;
use apportion::wiring;
use clap::Parser;

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) if error.use_stderr() && std::env::args_os().any(|given| given == "--json") => {
            return failed(&error.to_string().trim().replacen("error: ", "", 1));
        }
        Err(error) => error.exit(),
    };
    let json = command.is_json();
    let otherwise = match command {
        Command::Guard(_) => CANNOT_START,
        Command::Up(_)
        | Command::Run(_)
        | Command::Demo(_)
        | Command::Try(_)
        | Command::Bench(_)
        | Command::Status(_)
        | Command::Explain(_)
        | Command::Why(_)
        | Command::Unallocated(_)
        | Command::Plan(_)
        | Command::Backfill(_)
        | Command::Replay(_)
        | Command::Unpin(_)
        | Command::Runs(_)
        | Command::Reconcile(_)
        | Command::Compare(_)
        | Command::Refused(_)
        | Command::Deletions(_)
        | Command::Withdrawals(_)
        | Command::Config(_)
        | Command::Rules(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Migrate(_)
        | Command::Coordinator(_)
        | Command::Gatherer(_)
        | Command::Allocator(_)
        | Command::Emitter(_)
        | Command::Watch(_) => exit::SETTINGS,
    };
    match run(command) {
        Ok(code) => {
            // Interrupted, or what went wrong was told as it happened.
            let told = match json && code != exit::DONE {
                true => say_failure("nothing was calculated: stderr says why"),
                false => Ok(()),
            };
            let unheard = told.inspect_err(|error| eprintln!("error: {error:#}")).is_err();
            ExitCode::from(if unheard { exit::INCOMPLETE } else { code })
        }
        Err(error) if json => failed(&format!("{error:#}")),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(otherwise)
        }
    }
}

/// A command that was asked for JSON failed: a document for the program, and the same for people.
fn failed(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    if let Err(error) = say_failure(error) {
        eprintln!("error: {error:#}");
    }
    ExitCode::from(exit::INCOMPLETE)
}

fn run(command: Command) -> Result<u8> {
    match command {
        Command::Up(up) => {
            let options = up.launch();
            speak();
            launch(&options, None)
        }
        Command::Run(run) => {
            speak();
            launch(
                &run.launch,
                Some(Once {
                    told: if run.json { Told::Json } else { Told::Text },
                    allow_quarantine: run.allow_quarantine,
                    drill: None,
                    then: None,
                }),
            )
        }
        Command::Demo(demo) => {
            speak();
            demo.run()
        }
        Command::Try(bill) => {
            speak();
            bill.run()
        }
        Command::Bench(bench) => {
            speak();
            bench.run()
        }
        Command::Status(status) => status.run(),
        Command::Explain(explain) => explain.run(),
        Command::Why(why) => why.run(),
        Command::Unallocated(unallocated) => unallocated.run(),
        Command::Plan(plan) => plan.run(),
        Command::Backfill(backfill) => backfill.run(),
        Command::Replay(replay) => replay.run(),
        Command::Unpin(unpin) => unpin.run(),
        Command::Runs(runs) => runs.run(),
        Command::Reconcile(reconcile) => reconcile.run(),
        Command::Compare(compare) => compare.run(),
        Command::Refused(command) => command.run(),
        Command::Deletions(command) => command.run(What::Deletions),
        Command::Withdrawals(command) => command.run(What::Withdrawals),
        Command::Config(command) => command.run(),
        Command::Rules(command) => command.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Migrate(migrate) => wiring::migrate_given(&migrate).map(|()| exit::DONE),
        Command::Coordinator(args) => Ok(wiring::coordinator(args)),
        Command::Gatherer(args) => Ok(wiring::gatherer(args)),
        Command::Allocator(args) => Ok(wiring::allocator(args)),
        Command::Emitter(args) => Ok(wiring::emitter(args)),
        Command::Guard(guard) => match guard.run()? {},
        Command::Watch(watch) => watch.run().map(|()| exit::DONE),
    }
}

/// Events of the parent go to stderr, plainly.
fn speak() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).without_time().init();
}

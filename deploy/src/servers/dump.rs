//! `pg_dump` and `pg_restore`: of the server's own major where they are here, else of the next newer one.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use postgres::config::Host;

use super::find::Program;

/// How long a dump waits for a lock, in milliseconds.
const LOCK_WAIT: &str = "--lock-wait-timeout=60000";

/// Writes all of our tables, as one moment shows them, while everything goes on.
///
/// # Errors
/// When the program does not start or fails: with its own words.
pub fn dump(program: &Program, url: &str, to: &mut dyn Write) -> Result<()> {
    let options = ["--format=custom", "--compress=0", "--schema=apportion", LOCK_WAIT];
    let mut child = start(&program.path.join("pg_dump"), url, &options)?;
    let copied = match child.stdout.take() {
        Some(mut from) => std::io::copy(&mut from, to).map(|_| ()),
        None => Ok(()),
    };
    if copied.is_err() {
        child.kill()?;
    }
    let ended = end(child, "pg_dump");
    copied.context("cannot write the dump")?;
    ended
}

/// Puts what [`dump`] wrote into a database that has no schema of ours: all of it, or nothing.
///
/// # Errors
/// When the program does not start or fails: with its own words.
pub fn restore(program: &Program, url: &str, from: &mut dyn Read) -> Result<()> {
    let config: postgres::Config = url.parse().context("DATABASE_URL is no Postgres URL")?;
    let database = format!("--dbname={}", config.get_dbname().or(config.get_user()).unwrap_or(""));
    let options = ["--exit-on-error", "--single-transaction", "--no-owner", &database];
    let mut child = start(&program.path.join("pg_restore"), url, &options)?;
    let copied = match child.stdin.take() {
        Some(mut to) => std::io::copy(from, &mut to).map(|_| ()),
        None => Ok(()),
    };
    // Where it has ended before, its own words say why.
    end(child, "pg_restore")?;
    copied.context("cannot read the dump")
}

fn start(program: &Path, url: &str, options: &[&str]) -> Result<Child> {
    Command::new(program)
        .args(options)
        .arg("--no-privileges")
        .args(["--no-password"])
        .envs(environment(url)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}

fn end(mut child: Child, name: &str) -> Result<()> {
    drop(child.stdin.take());
    let mut said = String::new();
    if let Some(mut from) = child.stderr.take() {
        from.read_to_string(&mut said).with_context(|| format!("cannot read what {name} says"))?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "{name} failed ({status}): {}", said.trim());
    Ok(())
}

/// The address as libpq's variables: on a command line everybody could read a password.
fn environment(url: &str) -> Result<Vec<(&'static str, OsString)>> {
    let config: postgres::Config = url.parse().context("DATABASE_URL is no Postgres URL")?;
    let mut all = vec![("PGAPPNAME", OsString::from("apportion backup"))];
    let hosts: Vec<OsString> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.into(),
            Host::Unix(path) => path.clone().into_os_string(),
        })
        .collect();
    let ports: Vec<String> = config.get_ports().iter().map(ToString::to_string).collect();
    if hosts.is_empty() {
        bail!("DATABASE_URL names no host");
    }
    all.push(("PGHOST", hosts.join(&OsString::from(","))));
    if !ports.is_empty() {
        all.push(("PGPORT", ports.join(",").into()));
    }
    let texts = [("PGUSER", config.get_user()), ("PGDATABASE", config.get_dbname())];
    all.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text?.into()))));
    if let Some(password) = config.get_password() {
        let password = std::str::from_utf8(password).context("the password is not UTF-8")?;
        all.push(("PGPASSWORD", password.into()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_variables_and_passwords_stay_off_the_command_line() {
        let of = |url: &str| -> Vec<String> {
            let all = environment(url).unwrap();
            all.iter().map(|(name, value)| format!("{name}={}", value.to_string_lossy())).collect()
        };
        assert_eq!(
            of("postgresql://me:s3%40cret@db.example:5433/bills"),
            [
                "PGAPPNAME=apportion backup",
                "PGHOST=db.example",
                "PGPORT=5433",
                "PGUSER=me",
                "PGDATABASE=bills",
                "PGPASSWORD=s3@cret"
            ]
        );
        let socket = of("postgresql://apportion@%2Ftmp%2Fx:5432/apportion");
        assert_eq!(socket[1], "PGHOST=/tmp/x");
        assert!(environment("postgresql:///x").is_err() && environment("http://x").is_err());
    }
}

//! How far a `run --once` is: bars on a terminal, now and then a line elsewhere. All of it on stderr.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use postgres::Client;

use crate::store::{self, Progress};

/// Between two looks, at least and at most; between these, so many times as long as a look took, for every date is
/// counted in one.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_MAX: Duration = Duration::from_secs(10);
const LOOK_SHARE: u32 = 50;
/// Between two lines where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Watches a run until it is dropped.
#[derive(Debug)]
pub struct Watching {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shows how far `run` is, from a thread of its own, until what this gives is dropped. A database that does not answer
/// is asked again: what is shown is never worth ending a run for.
#[must_use]
pub fn watch(database_url: &str, run: &str) -> Watching {
    let (url, run) = (database_url.to_owned(), run.to_owned());
    let (stop, stopped) = channel();
    let started = std::thread::Builder::new().name("progress".into()).spawn(move || {
        let mut screen = Screen::new();
        let mut client: Option<Client> = None;
        let mut pause = LOOK_EVERY;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let asked = Instant::now();
            look(&mut client, &url, &run, &mut screen);
            pause = asked.elapsed().saturating_mul(LOOK_SHARE).clamp(LOOK_EVERY, LOOK_MAX);
        }
        look(&mut client, &url, &run, &mut screen);
        screen.end();
    });
    match started {
        Ok(thread) => Watching { stop: Some(stop), thread: Some(thread) },
        Err(error) => {
            tracing::debug!("progress is not shown: {error}");
            Watching { stop: None, thread: None }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // The thread hears that the sender is gone.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::debug!("the progress thread panicked");
        }
    }
}

fn look(client: &mut Option<Client>, url: &str, run: &str, screen: &mut Screen) {
    let connected = match client.take() {
        Some(connected) => Ok(connected),
        None => store::connect(url),
    };
    let progress = connected.and_then(|mut connected| {
        let progress = store::progress(&mut connected, run)?;
        *client = Some(connected);
        Ok(progress)
    });
    match progress {
        Ok(progress) => screen.show(progress),
        Err(error) => tracing::debug!("progress cannot be asked for now: {error:#}"),
    }
}

/// Where progress is shown.
enum Screen {
    Bars { all: MultiProgress, bars: [ProgressBar; 3] },
    Lines { said: Option<(Progress, Instant)>, now: Option<Progress> },
}

impl Screen {
    fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { said: None, now: None };
        }
        let all = MultiProgress::new();
        let style = ProgressStyle::with_template("{prefix:>9} {bar:40} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = |name: &'static str| {
            all.add(ProgressBar::new(1).with_style(style.clone()).with_prefix(name))
        };
        let bars = [bar("gathered"), bar("visible"), bar("emitted")];
        Self::Bars { all, bars }
    }

    fn show(&mut self, progress: Progress) {
        match self {
            Self::Bars { bars, .. } => {
                let of = [progress.sources, progress.units, progress.emissions];
                for ((bar, (done, all)), unit) in
                    bars.iter().zip(of).zip(["sources", "dates", "dates"])
                {
                    // Nothing known yet is nothing done, not all.
                    bar.set_length(all.max(1));
                    bar.set_position(done);
                    bar.set_message(format!("{done}/{all} {unit}"));
                }
            }
            Self::Lines { said, now } => {
                *now = Some(progress);
                let due =
                    said.is_none_or(|(before, at)| before != progress && at.elapsed() >= SAY_EVERY);
                // Nothing is known in the first moments of a first run.
                if due && progress.units.1 > 0 {
                    eprintln!("{}", line(progress));
                    *said = Some((progress, Instant::now()));
                }
            }
        }
    }

    fn end(self) {
        match self {
            Self::Bars { all, bars } => {
                bars.iter().for_each(ProgressBar::finish_and_clear);
                if let Err(error) = all.clear() {
                    tracing::debug!("the bars stay: {error}");
                }
            }
            Self::Lines { said, now: Some(now) }
                if said.is_none_or(|(before, _)| before != now) =>
            {
                eprintln!("{}", line(now));
            }
            Self::Lines { .. } => {}
        }
    }
}

fn line(progress: Progress) -> String {
    let Progress { sources, units, emissions } = progress;
    format!(
        "gathered {}/{} sources, visible {}/{} dates, emitted {}/{} dates",
        sources.0, sources.1, units.0, units.1, emissions.0, emissions.1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_all_three() {
        let progress = Progress { sources: (1, 2), units: (3, 30), emissions: (0, 3) };
        let said = "gathered 1/2 sources, visible 3/30 dates, emitted 0/3 dates";
        assert_eq!(line(progress), said);
    }

    #[test]
    fn a_database_that_is_not_there_disturbs_nobody() {
        let started = Instant::now();
        let watching = watch("postgresql://nobody@127.0.0.1:1/none", "run");
        drop(watching);
        assert!(started.elapsed() < Duration::from_secs(5), "dropping it ends it");
    }
}

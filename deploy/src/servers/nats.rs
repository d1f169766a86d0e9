//! The embedded nats-server: JetStream with every write synced, loopback, a token, one address for life.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use rand::RngExt;

use super::find::{Places, Program};
use super::hello::hello;
use super::{is_free, require_free};
use crate::process::account::{make_folder, write_private};
use crate::process::log::Log;
use crate::process::{Process, Recipe, describe};
use crate::supervise::{Ending, Service};

/// Ports are drawn from below the range that systems use for outgoing connections: a client that tries to
/// reconnect while the server is down could otherwise be given the server's own port.
const PORTS: std::ops::Range<u16> = 15_000..32_000;
const READY_LIMIT: Duration = Duration::from_secs(30);

/// How to start it. The default: found by [`Places`], any free port.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    /// This program instead of searching.
    pub program: Option<PathBuf>,
    /// This port of 127.0.0.1 instead of any free one.
    pub port: Option<u16>,
    /// Where its output goes.
    pub log: Log,
    /// What it holds is thrown away soon: a power loss may lose the latest of it, which is faster.
    pub throwaway: bool,
}

/// A running nats-server that is ours. It keeps its address and token for life, over restarts; dropping it
/// stops the server.
#[derive(Debug)]
pub struct EmbeddedNats {
    program: Program,
    folder: PathBuf,
    port: u16,
    token: String,
    log: Log,
    throwaway: bool,
    process: Option<Process>,
}

impl EmbeddedNats {
    /// Starts a server over `folder` (made when missing) and waits until it lets us in.
    pub fn start(folder: &Path, options: NatsOptions) -> Result<Self> {
        let program = Places::of_system()?.with(options.program.as_deref(), None).nats_server()?;
        make_folder(folder, 0o700, None)?;
        let folder = folder.canonicalize()?;
        make_folder(&folder.join("store"), 0o700, None)?;
        if let Some(port) = options.port {
            require_free(port, "--nats-port")?;
        }
        let token: String =
            rand::rng().sample_iter(rand::distr::Alphanumeric).take(32).map(char::from).collect();
        let NatsOptions { log, throwaway, .. } = options;
        let mut server = Self { program, folder, port: 0, token, log, throwaway, process: None };
        server.await_free()?;
        for _ in 0..10 {
            server.port = options.port.map_or_else(free_port, Ok)?;
            server.write_settings()?;
            server.respawn()?;
            match server.await_ready() {
                Ok(()) => return Ok(server),
                // Somebody was faster to take the port that we found free.
                Err(error)
                    if options.port.is_none()
                        && format!("{error:#}").contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        bail!("no free port for nats-server between {} and {}", PORTS.start, PORTS.end)
    }

    /// `nats://TOKEN@127.0.0.1:PORT`; secret, so it goes to children by environment only.
    pub fn url(&self) -> String {
        format!("nats://{}@{}", self.token, self.address())
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Which program runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Kills it with SIGKILL, as a crash would.
    pub fn kill9(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts it again (after stopping it where it runs) at the same address, and waits until it lets us in.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.await_free()?;
        self.respawn()?;
        self.await_ready()
    }

    /// Stops it in good order.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let Ending { signal, grace } = self.ending();
            process.stop(signal, grace)?;
        }
        Ok(())
    }

    fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("nats.conf")
    }

    fn await_free(&self) -> Result<()> {
        // A server whose parent was killed may be about to end.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_free(&self.lock())? {
            if Instant::now() > deadline {
                bail!(
                    "another nats-server still runs over {}: stop it first",
                    self.folder.display()
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn write_settings(&self) -> Result<()> {
        let store = self.folder.join("store");
        let store = store.to_str().with_context(|| format!("{} is not UTF-8", store.display()))?;
        write_private(
            &self.settings(),
            &settings(self.port, &self.token, store, self.throwaway),
            None,
        )
    }

    fn await_ready(&mut self) -> Result<()> {
        let address = self.address();
        let process = self.process.as_mut().context("nats-server does not run")?;
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            if let Some(status) = process.exited()? {
                bail!(
                    "nats-server did not start ({}):\n{}",
                    describe(status),
                    process.last_words()
                );
            }
            match hello(&address, Some(&self.token), Duration::from_secs(2)) {
                Ok(info) if info.jetstream => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(error).with_context(|| {
                        format!(
                            "nats-server is not ready after {} s:\n{}",
                            READY_LIMIT.as_secs(),
                            process.tail()
                        )
                    });
                }
                Ok(_) if Instant::now() > deadline => {
                    bail!("nats-server at {address} runs without JetStream:\n{}", process.tail())
                }
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Service for EmbeddedNats {
    fn name(&self) -> &str {
        "nats"
    }

    fn respawn(&mut self) -> Result<()> {
        let recipe = Recipe::new("nats", &self.program.path)
            .arg("--config")
            .arg(self.settings())
            .lock(self.lock())
            .cwd(&self.folder)
            .log(self.log.clone());
        self.process = Some(recipe.spawn()?);
        Ok(())
    }

    fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    fn ending(&self) -> Ending {
        Ending { signal: Signal::SIGTERM, grace: Duration::from_secs(10) }
    }
}

impl Drop for EmbeddedNats {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::warn!("cannot stop nats-server: {error:#}");
        }
    }
}

fn settings(port: u16, token: &str, store: &str, throwaway: bool) -> String {
    // Without it, acknowledged messages are lost at power loss.
    let sync = if throwaway { "2m" } else { "always" };
    let store = store.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "# Written by apportion at every start.\n\
         listen: \"127.0.0.1:{port}\"\n\
         server_name: \"apportion\"\n\
         authorization {{ token: \"{token}\" }}\n\
         jetstream {{\n  store_dir: \"{store}\"\n  sync_interval: {sync}\n  max_file_store: 1TB\n  max_memory_store: 1GB\n}}\n"
    )
}

fn free_port() -> Result<u16> {
    let mut random = rand::rng();
    for _ in 0..100 {
        let port = random.random_range(PORTS);
        if require_free(port, "--nats-port").is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 between {} and {}", PORTS.start, PORTS.end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_sync_always_listen_on_loopback_and_quote_the_folder() {
        let text = settings(4222, "secret", "/tmp/a \"b\"\\c", false);
        assert!(text.contains("sync_interval: always"));
        assert!(text.contains("listen: \"127.0.0.1:4222\""));
        assert!(text.contains("token: \"secret\""));
        assert!(text.contains(r#"store_dir: "/tmp/a \"b\"\\c""#));
    }
}

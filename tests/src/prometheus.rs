//! Prometheus itself, over samples that `promtool` put into its store.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::http::get;

/// A start that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// What to do where a program is missing.
const MEND: &str = "run deploy/setup --tests (Debian: apt-get install prometheus)";

/// A server with a store of its own. It keeps its address when it is stopped and started again.
pub struct Prometheus {
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

impl Prometheus {
    /// Starts a server that holds these samples, in the text format of OpenMetrics (without its `# EOF`).
    ///
    /// # Errors
    /// When a program is missing, the samples are none, or the server does not get ready.
    pub fn start(samples: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("apportion-prometheus-").tempdir()?;
        let file = folder.path().join("samples.txt");
        fs::write(&file, format!("{samples}# EOF\n"))?;
        fs::write(folder.path().join("prometheus.yml"), "")?;
        let output = Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&file, &folder.path().join("data")])
            .output()
            .context(format!("promtool does not start: {MEND}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "promtool takes no such samples: {said}");
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut server = Self { folder, address, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it: nobody listens at its address any more.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again at the same address, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready: with what it said.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        let log = self.folder.path().join("log");
        let flag =
            |name: &str, value: &dyn AsRef<Path>| format!("--{name}={}", value.as_ref().display());
        let child = Command::new("prometheus")
            .arg(flag("config.file", &self.folder.path().join("prometheus.yml")))
            .arg(flag("storage.tsdb.path", &self.folder.path().join("data")))
            .arg(flag("storage.tsdb.retention.time", &"100y"))
            .arg(flag("web.listen-address", &self.address.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .context(format!("prometheus does not start: {MEND}"))?;
        let child = self.child.insert(child);
        let deadline = Instant::now() + PATIENCE;
        while !is_ready(self.address) {
            if child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("prometheus does not get ready:\n{}", fs::read_to_string(&log)?);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!("cannot stop prometheus: {error}");
        }
    }
}

fn is_ready(address: SocketAddr) -> bool {
    get(address, "/-/ready").starts_with("HTTP/1.1 200 ")
}

//! The roles of a standing `up`: where each shows its metrics, and which process it is.

use anyhow::Result;

use crate::http::get;
use crate::processes::{self, Process};
use crate::stand::Started;

/// A role of a standing `up`.
#[derive(Debug, Clone)]
pub struct Role {
    /// Such as `allocator-2`.
    pub name: String,
    /// Where it shows its metrics, as host and port.
    pub address: String,
}

impl Role {
    /// Its process; `None` while there is none.
    #[must_use]
    pub fn process(&self, up: &Started) -> Option<Process> {
        let own = format!("APPORTION_METRICS={}", self.address);
        let is_it = |process: &Process| {
            process.role().is_some() && processes::environment(process).contains(&own)
        };
        processes::below(up.pid()).into_iter().find(is_it)
    }

    /// A metric's value as it is shown; `None` where nothing is, or nobody answers.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<String> {
        let page = get(&self.address, "/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map(str::to_owned)
    }
}

/// All roles of an `up`, once it says that it runs.
///
/// # Errors
/// When it does not come so far.
pub fn all(up: &mut Started) -> Result<Vec<Role>> {
    let said = up.until("everything is started", |up| {
        Some(up.said()).filter(|said| said.contains("running; Ctrl-C stops"))
    })?;
    let role = |line: &str| {
        let (name, address) = line.split_once(": http://")?;
        let address = address.strip_suffix("/metrics")?;
        Some(Role { name: name.to_owned(), address: address.to_owned() })
    };
    Ok(said.lines().filter_map(role).collect())
}

//! The roles of a run: how many processes of which, and what each is told.

use std::env;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use coordinator::config::Settings;

use crate::cli::Launch;
use crate::folder::{DataFolder, Running};
use crate::process::{Recipe, exe};
use crate::wiring;

/// What all roles of a run have in common.
pub struct Fleet<'a> {
    /// What the command line says.
    pub options: &'a Launch,
    /// What `apportion.yaml` says.
    pub settings: &'a Settings,
    /// The configuration folder, absolute.
    pub config: &'a Path,
    /// The data folder.
    pub folder: &'a DataFolder,
    /// Where the servers are.
    pub urls: &'a Running,
}

/// Addresses for metrics, each for one role.
struct Addresses {
    /// The next fixed port, or any free one.
    next: Option<u16>,
    /// Held until all are known, so that no two are the same.
    held: Vec<TcpListener>,
}

impl Fleet<'_> {
    /// The roles of `run`, the coordinators first; with `once` of a run that ends when its work is done.
    ///
    /// # Errors
    /// When a port for metrics is taken, or the data folder cannot be written.
    pub fn recipes(&self, run: &str, once: bool) -> Result<Vec<Recipe>> {
        let mut addresses =
            (!once).then(|| Addresses { next: self.settings.metrics_port, held: Vec::new() });
        let mut role = |role: &str, name: &str| self.role(role, name, addresses.as_mut());
        let workers = &self.settings.workers;
        let with_store = |recipe: Recipe| recipe.env("DATABASE_URL", &self.urls.database_url);
        let mut recipes = Vec::new();
        for number in 1..=self.options.coordinators {
            let name = match number {
                1 => "coordinator".to_owned(),
                _ => format!("coordinator-{number}"),
            };
            let recipe = with_store(role("coordinator", &name)?)
                .env("APPORTION_RUN", run)
                .env("APPORTION_HOLDER", self.holder(&name)?)
                .arg("--config")
                .arg(self.config);
            recipes.push(if once { recipe.arg("--once") } else { recipe });
        }
        for number in 1..=self.options.gatherers.or(workers.gatherers).unwrap_or(1) {
            let recipe = role("gatherer", &format!("gatherer-{number}"))?;
            recipes.push(recipe.without_env("DATABASE_URL"));
        }
        for number in 1..=self.options.allocators.or(workers.allocators).unwrap_or(1) {
            let recipe = role("allocator", &format!("allocator-{number}"))?;
            recipes.push(recipe.without_env("DATABASE_URL"));
        }
        for number in 1..=self.options.emitters.or(workers.emitters).unwrap_or(1) {
            recipes.push(with_store(role("emitter", &format!("emitter-{number}"))?));
        }
        Ok(recipes)
    }

    /// Without addresses a role shows no metrics: one address inherited by all could be listened at by one of them.
    fn role(&self, role: &str, name: &str, addresses: Option<&mut Addresses>) -> Result<Recipe> {
        let metrics = match addresses {
            Some(addresses) => {
                let address = addresses.take(name)?;
                eprintln!("{name}: http://{address}/metrics");
                address
            }
            None => String::new(),
        };
        let echo = !metrics.is_empty();
        let recipe = Recipe::new(name, exe()?).arg(role).log(self.folder.log(name, echo));
        let configured = self.settings.environment();
        let unset = configured.into_iter().filter(|(name, _)| env::var_os(name).is_none());
        let recipe = unset.fold(recipe, |recipe, (name, value)| recipe.env(name, value));
        let recipe = recipe.env("APPORTION_METRICS", metrics).env("APPORTION_NAME", name);
        Ok(recipe
            .env("NATS_URL", &self.urls.nats_url)
            .env("APPORTION_DATA_DIR", self.folder.path()))
    }

    /// As whom this coordinator of the data folder leads: the same after a crash, so that its lease need not run out;
    /// another for any other coordinator or folder, also one with the same path on another host.
    fn holder(&self, name: &str) -> Result<String> {
        let path = self.folder.path().join(format!("{name}.id"));
        match std::fs::read_to_string(&path) {
            Ok(id) if !id.is_empty() => Ok(id),
            Ok(_) | Err(_) => {
                let id = wiring::new_run();
                std::fs::write(&path, &id)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(id)
            }
        }
    }
}

impl Addresses {
    fn take(&mut self, name: &str) -> Result<String> {
        let port = self.next.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
            match self.next {
                Some(port) => format!(
                    "port {port} of 127.0.0.1 for the metrics of {name} cannot be had: change `metrics_port` of `telemetry`"
                ),
                None => "no free port on 127.0.0.1 for metrics".to_owned(),
            }
        })?;
        self.next = self.next.map(|port| port.saturating_add(1));
        let address = listener.local_addr()?.to_string();
        self.held.push(listener);
        Ok(address)
    }
}

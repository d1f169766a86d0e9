//! Sources to gather from, without processes.

use std::fs;
use std::sync::Arc;

use apportion::configuration;
use gatherer::cut::{Cut, cut};
use gatherer::ports::{GatherRequest, Watch};
use gatherer::sources;
use proto::config::TenantConfig;
use proto::ids::{SourceId, TenantId};
use proto::line::LineBatch;
use proto::task::Gather;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A tenant with one source.
pub struct World {
    /// Holds its files.
    pub folder: TempDir,
    /// Its configuration.
    pub config: Arc<TenantConfig>,
    source: SourceId,
    runtime: Runtime,
}

impl World {
    /// A tenant of this configuration, whose source is called `bench`.
    pub fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("tenants")).expect("a folder");
        fs::write(folder.path().join("tenants/acme.yaml"), text).expect("a file");
        let config = configuration::load(folder.path()).expect("a sound configuration");
        let tenant = TenantId::parse("acme").expect("an id");
        let config = Arc::new(config.tenants[&tenant].clone());
        let source = SourceId::parse("bench").expect("an id");
        Self { folder, config, source, runtime: Runtime::new().expect("threads") }
    }

    /// The source's name.
    pub fn source(&self) -> &SourceId {
        &self.source
    }

    fn task(&self) -> Gather {
        Gather::first(
            self.config.config_hash().expect("a hash"),
            self.folder.path().to_str().expect("a path of UTF-8").to_owned(),
            "2026-06-15".parse().expect("a date"),
        )
    }

    /// Everything that the source has, as batches: read, sorted, cut.
    pub fn gather(&self) -> Vec<LineBatch> {
        let config = self.config.source(&self.source).expect("the source");
        let plugin = sources::plugin(config).expect("a kind of source");
        let request = GatherRequest {
            tenant: self.config.tenant.clone(),
            source: self.source.clone(),
            config: Arc::clone(&self.config),
            task: Arc::new(self.task()),
            watch: Watch::default(),
        };
        let (task, watch) = (Arc::clone(&request.task), request.watch.clone());
        let mut harvest =
            self.runtime.block_on(plugin.cost_input().collect(request)).expect("a bill");
        let mut batches = Vec::new();
        let mut take = |cut| {
            if let Cut::Batch(batch) = cut {
                batches.push(batch.lines);
            }
            Ok(())
        };
        cut(harvest.as_mut(), &task, &watch, &mut take).expect("a bill");
        batches
    }
}

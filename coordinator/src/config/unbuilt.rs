//! What is configured and does not run yet. It parses and is checked; running refuses it.

use proto::config::{EmitterConfig, SourceSettings, TenantConfig};

use super::problem::Problem;

/// Everything of a tenant that cannot run yet; empty: it can run.
#[must_use]
pub fn refuse_unbuilt(config: &TenantConfig) -> Vec<Problem> {
    let file = format!("tenants/{}.yaml", config.tenant);
    let mut found = Found { file, path: Vec::new(), problems: Vec::new() };
    for source in &config.sources {
        found.path = vec!["sources".to_owned(), source.id.to_string()];
        if let SourceSettings::Unbuilt { kind, .. } = &source.settings {
            let what = format!("source `{}`: kind {kind} does not run yet", source.id);
            found.add(what, "remove the source; kind focus runs");
        }
    }
    config.emitters.iter().for_each(|emitter| found.emitter(emitter));
    found.problems
}

struct Found {
    file: String,
    /// What is looked at.
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Found {
    fn add(&mut self, what: String, mend: &str) {
        let path = self.path.clone();
        self.problems.push(Problem { path, ..Problem::of_file(&self.file, what, mend) });
    }

    fn emitter(&mut self, emitter: &EmitterConfig) {
        let id = &emitter.id;
        self.path = vec!["emitters".to_owned(), id.to_string()];
        let kind = emitter.kind.as_str();
        if !matches!(kind, "csv" | "focus" | "parquet") {
            self.add(
                format!("emitter `{id}`: kind {kind} does not run yet"),
                "remove the emitter; kinds csv, focus and parquet run",
            );
        }
    }
}

//! What is configured and does not run yet. It parses and is checked; running refuses it.

use proto::config::{
    CostShare, Driver, EmitterConfig, Rule, SourceSettings, TenantConfig, Tier, Usage,
};

use super::problem::Problem;

/// Everything of a tenant that cannot run yet; empty: it can run.
#[must_use]
pub fn refuse_unbuilt(config: &TenantConfig) -> Vec<Problem> {
    let file = format!("tenants/{}.yaml", config.tenant);
    let mut found = Found { file, config, path: Vec::new(), problems: Vec::new() };
    for source in &config.sources {
        found.path = vec!["sources".to_owned(), source.id.to_string()];
        if let SourceSettings::Unbuilt { kind, .. } = &source.settings {
            let what = format!("source `{}`: kind {kind} does not run yet", source.id);
            found.add(what, "remove the source; kind focus runs");
        }
    }
    for (name, driver) in &config.drivers {
        found.path = vec!["drivers".to_owned(), name.clone()];
        // The gatherer is to fetch the weights of these, as tasks of step `driver`.
        if let Driver::Metric { .. } = driver {
            let what = format!("driver `{name}`: drivers with `metric` do not run yet");
            found.add(what, "remove the driver, and what uses it");
        }
    }
    for rule in &config.allocation {
        found.path = vec!["allocation".to_owned(), rule.id.clone()];
        found.chain(rule, &rule.chain);
    }
    config.emitters.iter().for_each(|emitter| found.emitter(emitter));
    found.problems
}

struct Found<'c> {
    file: String,
    config: &'c TenantConfig,
    /// What is looked at.
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, what: String, mend: &str) {
        let path = self.path.clone();
        self.problems.push(Problem { path, ..Problem::of_file(&self.file, what, mend) });
    }

    fn is_metric(&self, driver: &str) -> bool {
        matches!(self.config.drivers.get(driver), Some(Driver::Metric { .. }))
    }

    fn chain(&mut self, rule: &Rule, chain: &[Tier]) {
        for tier in chain {
            match tier.plain() {
                Tier::UsageRatio(Usage::Driver(name)) if self.is_metric(name) => {
                    let what = format!(
                        "rule `{}`: usage_ratio by driver `{name}` does not run yet",
                        rule.id
                    );
                    self.add(
                        what,
                        "use { metric: [NAME…] }, a driver with `table` or `ledger`, `fixed` or `even`",
                    );
                }
                Tier::InProportionToCost(CostShare::Driver { driver, .. })
                    if self.is_metric(driver) =>
                {
                    let what = format!(
                        "rule `{}`: in_proportion_to_cost by driver `{driver}` does not run yet",
                        rule.id
                    );
                    self.add(what, "use a driver with `ledger`");
                }
                Tier::Composition(parts) => {
                    parts.iter().for_each(|part| self.chain(rule, &part.chain))
                }
                Tier::Direct { .. }
                | Tier::Even(_)
                | Tier::UsageRatio(_)
                | Tier::InProportionToCost(_)
                | Tier::Fixed(_)
                | Tier::Resource
                | Tier::Stated(_)
                | Tier::Unallocated(_) => {}
            }
        }
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

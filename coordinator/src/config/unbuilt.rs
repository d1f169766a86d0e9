//! What is configured and does not run yet. It parses and is checked; running refuses it.

use proto::config::{
    CostShare, CostWindow, Driver, EmitterConfig, Rule, SourceScope, SourceSettings, TenantConfig,
    Tier, Usage,
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
        let kind = match driver {
            Driver::Metric { .. } => "metric",
            Driver::Table { .. } => continue,
            Driver::Ledger { .. } => "ledger",
        };
        let what = format!("driver `{name}`: drivers with `{kind}` do not run yet");
        found.add(what, "remove the driver, and what uses it");
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

    fn chain(&mut self, rule: &Rule, chain: &[Tier]) {
        for tier in chain {
            match tier.plain() {
                Tier::UsageRatio(Usage::Driver(name))
                    if matches!(self.config.drivers.get(name), Some(Driver::Table { .. })) => {}
                Tier::UsageRatio(Usage::Driver(name)) => {
                    let what = format!(
                        "rule `{}`: usage_ratio by driver `{name}` does not run yet",
                        rule.id
                    );
                    self.add(
                        what,
                        "use { metric: [NAME…] }, a driver with `table`, `fixed` or `even`",
                    );
                }
                Tier::InProportionToCost(CostShare::Driver { driver, .. }) => {
                    let what = format!(
                        "rule `{}`: in_proportion_to_cost by driver `{driver}` does not run yet",
                        rule.id
                    );
                    self.add(what, "use { window: date } without a driver");
                }
                Tier::InProportionToCost(CostShare::Ledger { sources, window, .. }) => {
                    if *window != CostWindow::Date {
                        let what = format!(
                            "rule `{}`: in_proportion_to_cost runs over the line's date only",
                            rule.id
                        );
                        self.add(what, "write `window: date`");
                    }
                    if *sources != SourceScope::Own {
                        let what = format!(
                            "rule `{}`: in_proportion_to_cost runs over the line's own source only",
                            rule.id
                        );
                        self.add(what, "remove `sources`");
                    }
                }
                Tier::Composition(parts) => {
                    parts.iter().for_each(|part| self.chain(rule, &part.chain))
                }
                Tier::Direct { .. }
                | Tier::Even(_)
                | Tier::UsageRatio(Usage::Metric(_))
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

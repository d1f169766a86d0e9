//! Ledger drivers: what the ledger cannot look at, and rules that count each other's cost in a circle.

use proto::config::ledger::{LEDGER_FIELDS, Stages, ledger_field, ledger_use};
use proto::config::{
    CostShare, Driver, Field, Match, Pattern, Rule, SourceConfig, TenantConfig, Tier,
};

use proto::ids::SourceId;

use super::places::Places;
use super::problem::{Problem, Report};

/// Notes what no ledger driver can do. Each problem stands where its driver or rule does.
pub fn check(config: &TenantConfig, places: &Places, report: &mut Report) {
    let file = format!("tenants/{}.yaml", config.tenant);
    let mut found = Found { config, file, path: Vec::new(), problems: Vec::new() };
    for (name, driver) in &config.drivers {
        found.path = vec!["drivers".to_owned(), name.clone()];
        match driver {
            Driver::Ledger { of: Some(of), .. } => {
                found.matcher(&format!("driver `{name}`: `of`"), of);
            }
            Driver::Metric { source, .. } => found.metric(name, source),
            Driver::Ledger { of: None, .. } | Driver::Table { .. } => {}
        }
    }
    for rule in &config.allocation {
        found.path = vec!["allocation".to_owned(), rule.id.clone()];
        found.chain(rule, &rule.chain);
    }
    if let Err(cycle) = Stages::of(config) {
        let first = cycle.0.first().cloned().unwrap_or_default();
        found.path = vec!["allocation".to_owned(), first];
        found.add(cycle.to_string(), "narrow `of`, so that one of them does not count the next");
    }
    found.problems.into_iter().for_each(|problem| report.add(places.point(problem)));
}

struct Found<'c> {
    config: &'c TenantConfig,
    file: String,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Found<'_> {
    fn add(&mut self, what: String, mend: impl Into<String>) {
        let path = self.path.clone();
        let problem = Problem { path, ..Problem::of_file(&self.file, what, mend.into()) };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Who is asked, and which label names who used what.
    fn metric(&mut self, name: &str, source: &SourceId) {
        let asked = self.config.source(source);
        if asked.is_some_and(|source| source.metrics.is_none()) {
            let what = format!("driver `{name}`: source `{source}` has no metrics");
            self.add(what, "name a source with `metrics`");
        }
        if self.config.metric_driver(name).is_none() {
            let what = format!("driver `{name}`: nothing says which label names who used what");
            self.add(
                what,
                "write `by (LABEL)` with one label into its query, or `owner: { table: NAME, key: LABEL }`",
            );
        }
    }

    fn chain(&mut self, rule: &Rule, chain: &[Tier]) {
        let config = self.config;
        for tier in chain {
            if let Tier::Composition(parts) = tier.plain() {
                parts.iter().for_each(|part| self.chain(rule, &part.chain));
            }
            if let Tier::InProportionToCost(CostShare::Driver { driver, .. }) = tier.plain()
                && let Some(Driver::Table { .. } | Driver::Metric { .. }) =
                    config.drivers.get(driver)
            {
                let what =
                    format!("rule `{}`: the weights of driver `{driver}` are no cost", rule.id);
                self.add(what, format!("write {{ usage_ratio: {driver} }}"));
            }
            let of_rule = |source: &&SourceConfig| {
                rule.sources.is_empty() || rule.sources.contains(&source.id)
            };
            let mut sources = config.sources.iter().filter(of_rule);
            let Some(using) = sources.find_map(|source| ledger_use(config, tier, &source.id))
            else {
                continue;
            };
            for field in using.within {
                self.field(&format!("rule `{}`: `within`", rule.id), field);
            }
            if let (Some(of), None) = (using.of, using.driver) {
                self.matcher(&format!("rule `{}`: `of`", rule.id), of);
            }
        }
    }

    fn matcher(&mut self, place: &str, matcher: &Match) {
        match matcher {
            Match::All(parts) | Match::Any(parts) => {
                parts.iter().for_each(|part| self.matcher(place, part));
            }
            Match::Field(field, pattern) => {
                self.field(place, field);
                self.pattern(place, field, pattern);
            }
        }
    }

    fn field(&mut self, place: &str, field: &Field) {
        if ledger_field(field).is_none() {
            let what = format!("{place} looks at {field}, which the ledger does not keep");
            self.add(what, format!("use {}", LEDGER_FIELDS.join(", ")));
        }
    }

    fn pattern(&mut self, place: &str, field: &Field, pattern: &Pattern) {
        match pattern {
            Pattern::Regex(_) | Pattern::Compare { .. } => {
                let what = format!("{place} compares {field} in a way that the ledger cannot");
                self.add(what, "write texts, with * and ? if need be, present, absent or not");
            }
            Pattern::Not(pattern) => self.pattern(place, field, pattern),
            Pattern::AnyOf(parts) => {
                parts.iter().for_each(|part| self.pattern(place, field, part));
            }
            Pattern::Exact(_) | Pattern::Glob(_) | Pattern::Present | Pattern::Absent => {}
        }
    }
}

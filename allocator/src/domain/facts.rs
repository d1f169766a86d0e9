//! Resolutions of one unit, held compactly: identities and metrics by number, one text each.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;
use proto::config::ResolutionSet;
use proto::money::Amount;
use proto::resolution::{IdentityResolution, WindowFit, window_fit};

/// Place of a resolution in [`Facts`].
pub type FactId = u32;

#[derive(Debug)]
struct Fact {
    start: i64,
    end: i64,
    /// In the order `resource_active`, `metrics_derived`, `tenant_period`.
    sets: [Box<[u32]>; 3],
    /// Metric, identity, value.
    usage: Box<[(u32, u32, Amount)]>,
    /// Metrics that could not be had.
    failed: Box<[u32]>,
    /// The resolution before of the same key, with another window.
    before: Option<FactId>,
}

/// All resolutions of one unit.
#[derive(Debug, Default)]
pub struct Facts {
    facts: Vec<Fact>,
    last_of_key: HashMap<Box<str>, FactId>,
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Facts {
    /// Takes resolutions in.
    pub fn add(&mut self, resolutions: Vec<IdentityResolution>) {
        for resolution in resolutions {
            let sets =
                [resolution.resource_active, resolution.metrics_derived, resolution.tenant_period];
            let sets = sets.map(|set| set.iter().map(|id| self.number(id)).collect());
            let usage = resolution.usage.iter();
            let usage = usage.map(|(m, id, v)| (self.number(m), self.number(id), *v)).collect();
            let failed = resolution.failed_metrics.iter().map(|m| self.number(m)).collect();
            let id = self.facts.len() as FactId;
            let before = self.last_of_key.insert(resolution.key.into_boxed_str(), id);
            let (start, end) = (resolution.window_start.0, resolution.window_end.0);
            self.facts.push(Fact { start, end, sets, usage, failed, before });
        }
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (text, number): (Arc<str>, u32) = (text.into(), self.texts.len() as u32);
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// The resolution of a key whose window fits a charge period best: see [`window_fit`].
    pub fn find(&self, key: &str, start: i64, end: i64) -> Option<FactId> {
        let mut next = self.last_of_key.get(key).copied();
        let mut best: Option<(WindowFit, FactId)> = None;
        while let Some(id) = next {
            let fact = &self.facts[id as usize];
            // Of equals the first that came: the one with the smaller number.
            if let Some(fit) = window_fit((fact.start, fact.end), (start, end))
                && best.is_none_or(|best| (fit, id) < best)
            {
                best = Some((fit, id));
            }
            next = fact.before;
        }
        best.map(|(_, id)| id)
    }

    /// The identities of a set.
    pub fn set(&self, fact: FactId, set: ResolutionSet) -> Vec<Arc<str>> {
        let sets = &self.facts[fact as usize].sets;
        let numbers: BTreeSet<u32> = match set {
            ResolutionSet::ResourceActive => sets[0].iter().copied().collect(),
            ResolutionSet::MetricsDerived => sets[1].iter().copied().collect(),
            ResolutionSet::TenantPeriod => sets[2].iter().copied().collect(),
            ResolutionSet::MergedActive => sets[0].iter().chain(&sets[1]).copied().collect(),
        };
        numbers.into_iter().map(|number| Arc::clone(&self.texts[number as usize])).collect()
    }

    /// Whether a set is empty that metrics would have filled which could not be had.
    pub fn lacks_set(&self, fact: FactId, set: ResolutionSet) -> bool {
        let fact = &self.facts[fact as usize];
        let (active, derived) = (fact.sets[0].is_empty(), fact.sets[1].is_empty());
        let empty = match set {
            ResolutionSet::MetricsDerived => derived,
            ResolutionSet::MergedActive => active && derived,
            ResolutionSet::ResourceActive | ResolutionSet::TenantPeriod => false,
        };
        empty && !fact.failed.is_empty()
    }

    /// Whether one of these metrics could not be had.
    pub fn lacks(&self, fact: FactId, metrics: &[String]) -> bool {
        let failed = &self.facts[fact as usize].failed;
        !failed.is_empty() && self.known(metrics).iter().any(|metric| failed.contains(metric))
    }

    fn known(&self, texts: &[String]) -> Vec<u32> {
        texts.iter().filter_map(|text| self.numbers.get(text.as_str()).copied()).collect()
    }

    /// Usage by identity, of each of these metrics.
    pub fn usage(&self, fact: FactId, metrics: &[String]) -> Vec<(Arc<str>, Amount)> {
        let metrics = self.known(metrics);
        let entries = self.facts[fact as usize].usage.iter();
        let entries = entries.filter(|(metric, ..)| metrics.contains(metric));
        entries.map(|(_, id, value)| (Arc::clone(&self.texts[*id as usize]), *value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proto::time::UtcSeconds;

    use super::*;

    #[test]
    fn the_window_that_holds_the_line_is_found() {
        let fact = |key: &str, start, end, id: &str| IdentityResolution {
            key: key.to_owned(),
            window_start: UtcSeconds(start),
            window_end: UtcSeconds(end),
            resource_active: vec![id.to_owned()],
            metrics_derived: vec!["sa:m".to_owned(), id.to_owned()],
            tenant_period: Vec::new(),
            usage: vec![("bytes".to_owned(), id.to_owned(), Amount::ONE)],
            failed_metrics: vec!["late".to_owned()],
        };
        let mut facts = Facts::default();
        facts.add(vec![fact("a", 0, 100, "sa:day"), fact("a", 10, 20, "sa:hour")]);
        facts.add(vec![fact("b", 0, 100, "sa:other")]);
        let set = |key, at| {
            let found = facts.find(key, at, at + 1)?;
            Some(facts.set(found, ResolutionSet::ResourceActive)[0].to_string())
        };
        assert_eq!(set("a", 9).as_deref(), Some("sa:day"));
        assert_eq!(set("a", 10).as_deref(), Some("sa:hour"));
        assert_eq!(set("a", 20).as_deref(), Some("sa:day"));
        assert_eq!(set("a", 100), None);
        let whole = |start, end| {
            let found = facts.find("a", start, end).unwrap();
            facts.set(found, ResolutionSet::ResourceActive)[0].to_string()
        };
        assert_eq!(whole(10, 20), "sa:hour");
        assert_eq!(whole(10, 100), "sa:day", "the hour does not hold all of it");
        assert_eq!(whole(0, 200), "sa:day", "nothing holds all of it");
        assert_eq!(set("c", 0), None);
        let b = facts.find("b", 0, 1).unwrap();
        assert_eq!(facts.set(b, ResolutionSet::MergedActive).len(), 2);
        assert_eq!(facts.usage(b, &["bytes".to_owned(), "none".to_owned()]).len(), 1);
        assert!(facts.usage(b, &["none".to_owned()]).is_empty());
        assert!(facts.lacks(b, &["none".to_owned(), "late".to_owned()]));
        assert!(!facts.lacks(b, &["none".to_owned(), "bytes".to_owned()]));
    }
}

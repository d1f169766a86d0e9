//! Tables, groups, drivers and virtual tags that no rule comes to, by whatever way.

use std::collections::BTreeSet;

use proto::config::{
    CostShare, Driver, Field, FixedShares, Match, Receivers, TenantConfig, Tier, Usage,
};

use super::problem::Problem;

/// Everything of a tenant that has a name and is used by no rule or source.
#[must_use]
pub fn unused(config: &TenantConfig) -> Vec<Problem> {
    let mut used = Used { config, names: BTreeSet::new() };
    for source in &config.sources {
        used.fields(source.owner_fields());
        for rule in source.built_in_rules.iter().chain([&source.default_rule]) {
            used.matcher(&rule.matcher);
            used.chain(&rule.chain);
        }
    }
    for rule in &config.allocation {
        used.matcher(&rule.matcher);
        used.chain(&rule.chain);
    }
    let file = format!("tenants/{}.yaml", config.tenant);
    let all = (config.tags.keys().map(|name| ("tags", name)))
        .chain(config.tables.keys().map(|name| ("tables", name)))
        .chain(config.groups.keys().map(|name| ("groups", name)))
        .chain(config.drivers.keys().map(|name| ("drivers", name)));
    let problem = |(section, name): (&'static str, &String)| {
        let (what, how) = match section {
            "tags" => ("virtual tag", format!("vtag.{name}")),
            "tables" => ("table", format!("table.{name}")),
            "groups" => ("group", format!("{{ even: {name} }}")),
            _ => ("driver", format!("{{ usage_ratio: {name} }}")),
        };
        let mend = format!("remove it, or use it in a rule, for instance as {how}");
        Problem::of_file(&file, format!("no rule uses the {what} `{name}`"), mend)
            .about(&[section, name])
    };
    all.filter(|name| !used.names.contains(name)).map(problem).collect()
}

struct Used<'c> {
    config: &'c TenantConfig,
    /// Section and name.
    names: BTreeSet<(&'static str, &'c String)>,
}

impl Used<'_> {
    /// Notes a name; its own name in the configuration the first time, to go on from there.
    fn first(&mut self, section: &'static str, name: &str) -> bool {
        let config = self.config;
        let own = match section {
            "tags" => config.tags.get_key_value(name).map(|(own, _)| own),
            "tables" => config.tables.get_key_value(name).map(|(own, _)| own),
            "groups" => config.groups.get_key_value(name).map(|(own, _)| own),
            _ => config.drivers.get_key_value(name).map(|(own, _)| own),
        };
        own.is_some_and(|own| self.names.insert((section, own)))
    }

    fn fields(&mut self, fields: &[Field]) {
        fields.iter().for_each(|field| self.field(field));
    }

    fn field(&mut self, field: &Field) {
        let config = self.config;
        match field {
            Field::VirtualTag(name) if self.first("tags", name) => {
                self.fields(&config.tags[name].from);
            }
            Field::Table(name) => self.table(name),
            Field::VirtualTag(_)
            | Field::Column(_)
            | Field::Tag(_)
            | Field::Source
            | Field::ProductType
            | Field::ProductCategory
            | Field::ResourceId => {}
        }
    }

    fn table(&mut self, name: &str) {
        if self.first("tables", name) {
            let keys = self.config.tables[name].key.iter();
            // The key of percents or weights is no field: an owner.
            keys.filter_map(|key| Field::parse(key).ok()).for_each(|field| self.field(&field));
        }
    }

    fn driver(&mut self, name: &str) {
        if !self.first("drivers", name) {
            return;
        }
        match &self.config.drivers[name] {
            Driver::Metric { owner, .. } => {
                owner.iter().for_each(|owner| self.table(&owner.table));
            }
            Driver::Table { table } => self.table(table),
            Driver::Ledger { of, .. } => of.iter().for_each(|of| self.matcher(of)),
        }
    }

    fn matcher(&mut self, tree: &Match) {
        match tree {
            Match::All(parts) | Match::Any(parts) => {
                parts.iter().for_each(|part| self.matcher(part));
            }
            Match::Field(field, _) => self.field(field),
        }
    }

    fn chain(&mut self, chain: &[Tier]) {
        for tier in chain {
            match tier.plain() {
                Tier::Direct { fields } => self.fields(fields),
                Tier::Even(Receivers::Group(group)) => {
                    self.first("groups", group);
                }
                Tier::UsageRatio(Usage::Driver(driver)) => self.driver(driver),
                Tier::Fixed(FixedShares::Table(table)) => self.table(table),
                Tier::InProportionToCost(CostShare::Driver { driver, within }) => {
                    self.driver(driver);
                    self.fields(within);
                }
                Tier::InProportionToCost(CostShare::Ledger { of, within, to, .. }) => {
                    of.iter().for_each(|of| self.matcher(of));
                    self.fields(within);
                    to.iter().for_each(|group| {
                        self.first("groups", group);
                    });
                }
                Tier::Composition(parts) => parts.iter().for_each(|part| self.chain(&part.chain)),
                Tier::Even(Receivers::Set(_))
                | Tier::UsageRatio(Usage::Metric(_))
                | Tier::Fixed(FixedShares::Inline(_))
                | Tier::Resource
                | Tier::Stated(_)
                | Tier::Unallocated(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    #[test]
    fn what_is_used_by_way_of_others_is_used() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tenants")).unwrap();
        for name in ["a", "b", "c", "d", "e", "f"] {
            let text = "SubAccountId,owner,percent\n1,x,100\n";
            std::fs::write(dir.path().join(format!("{name}.csv")), text).unwrap();
        }
        let text = r#"sources: { s: { kind: focus, files: ["*.csv"], owner: [vtag.bare] } }
tags:
  bare: { from: [tag.x, table.a] }
  idle: { from: [table.f] }
  inner: { from: [tag.y] }
tables:
  a: { file: a.csv, key: [SubAccountId], value: owner }
  b: { file: b.csv, key: [owner], value: percent }
  c: { file: c.csv, key: [owner], value: percent }
  d: { file: d.csv, key: [SubAccountId], value: owner }
  e: { file: e.csv, key: [SubAccountId], value: owner }
  f: { file: f.csv, key: [SubAccountId], value: owner }
groups: { one: [x], two: [x], three: [x] }
drivers:
  weights: { table: c }
  idle: { table: c }
  ledger: { ledger: { of: { ServiceName: present } } }
allocation:
  - id: r
    match: { any: [ { vtag.inner: present }, { tag.z: x } ] }
    chain:
      - composition:
          - { percent: 50, chain: [ { usage_ratio: weights }, { even: one } ] }
          - { percent: 50, chain: [ { in_proportion_to_cost: { of: { any: [ { table.d: x }, { table.e: x } ] }, to: two, window: date } } ] }
  - { id: q, match: { tag.q: x }, chain: [ { in_proportion_to_cost: { driver: ledger } }, { fixed: { table: b } } ] }
"#;
        std::fs::write(dir.path().join("tenants/acme.yaml"), text).unwrap();
        let config = load(dir.path(), &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        let found = config.unused();
        let said: Vec<String> =
            found.iter().map(|(_, p)| format!("{}:{} {}", p.line, p.column, p.what)).collect();
        assert_eq!(
            said,
            [
                "4:3 no rule uses the virtual tag `idle`",
                "12:3 no rule uses the table `f`",
                "13:31 no rule uses the group `three`",
                "16:3 no rule uses the driver `idle`",
            ]
        );
        assert_eq!(
            found[2].1.mend,
            "remove it, or use it in a rule, for instance as { even: three }"
        );
    }
}

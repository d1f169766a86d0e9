//! What lines say about a configuration. Pure, but for the tables' files, which say in which line a key stands.

use std::collections::{BTreeMap, BTreeSet};

use allocator::domain::survey::{KEYS_MAX, RuleKey, RuleUse, Survey, TableUse, Tally};
use coordinator::config::problem::nearest;
use coordinator::config::table::listed;
use coordinator::config::{Config, Problem};
use proto::config::{KeyPattern, Table, TenantConfig, Validity};
use proto::currency::Currency;
use proto::money::ExactSum;

use super::{Kind, Warned, at, at_rule, named};

/// Keys of one table without lines that are named.
const KEYS: usize = 20;
/// Values that a table does not have, or owners that the directory does not, that are named of each currency: those with
/// the most money.
const VALUES: usize = 5;

/// All warnings.
#[must_use]
pub fn judged(config: &Config, tenant: &TenantConfig, survey: &Survey) -> Vec<Warned> {
    let judge = Judge { config, tenant, survey };
    let mut warned = judge.rules();
    for (name, table) in &tenant.tables {
        if let Some(of) = survey.tables.get(name) {
            judge.table(name, table, of, &mut warned);
        }
    }
    judge.owners(&mut warned);
    warned
}

struct Judge<'a> {
    config: &'a Config,
    tenant: &'a TenantConfig,
    survey: &'a Survey,
}

impl Judge<'_> {
    fn warned(&self, kind: Kind, problem: Problem, tally: &Tally) -> Warned {
        let money = tally.money.iter().map(|(code, sum)| (code.to_string(), *sum)).collect();
        let tenant = self.tenant.tenant.clone();
        Warned { kind, tenant, rule: None, problem, lines: tally.count, money }
    }

    fn rules(&self) -> Vec<Warned> {
        let judged = |(place, rule): (usize, &proto::config::Rule)| {
            let of = self.survey.rules.get(&(rule.id.clone(), rule.valid))?;
            (of.took == 0 && of.met > 0)
                .then(|| Warned { rule: Some(place), ..self.rule(place, of) })
        };
        self.tenant.allocation.iter().enumerate().filter_map(judged).collect()
    }

    fn rule(&self, place: usize, of: &RuleUse) -> Warned {
        let id = &self.tenant.allocation[place].id;
        if of.taken_by.is_empty() {
            let what = format!("rule `{id}` matches none of the {} of the last run", lines(of.met));
            let mend = "mend its `match`, or remove it".to_owned();
            let problem = at_rule(self.config, self.tenant, place, what, mend);
            return self.warned(Kind::UnmatchedRule, problem, &Tally::default());
        }
        let mut all = Tally::default();
        of.taken_by.values().for_each(|tally| merge(&mut all, tally));
        let by = of
            .taken_by
            .iter()
            .map(|(key, tally)| format!("{} took {}", self.earlier(key), text(tally)));
        let by = by.collect::<Vec<_>>().join(", ");
        let what = format!("rule `{id}` took nothing in the last run: of what it matches, {by}");
        let mend = "put it before, or remove it".to_owned();
        let problem = at_rule(self.config, self.tenant, place, what, mend);
        self.warned(Kind::ShadowedRule, problem, &all)
    }

    /// A rule of the user's; the sources' own come after all of them.
    fn earlier(&self, (id, valid): &RuleKey) -> String {
        let is = |rule: &proto::config::Rule| rule.id == *id && rule.valid == *valid;
        let place = self.tenant.allocation.iter().position(is);
        place.map_or_else(|| format!("`{id}`"), |place| named(self.config, self.tenant, place))
    }

    fn table(&self, name: &str, table: &Table, of: &TableUse, warned: &mut Vec<Warned>) {
        let places = self.config.places.get(&self.tenant.tenant);
        let file = places.and_then(|places| places.table_file(name));
        let rows = file.map(|file| listed(&self.config.dir, file, table)).unwrap_or_default();
        let held = |valid: &Validity| self.survey.days.iter().any(|day| valid.contains(*day));
        let idle = rows.iter().filter(|row| {
            row.gives && held(&row.valid) && !of.rows.contains(&(row.key.clone(), row.valid))
        });
        for row in idle.clone().take(KEYS) {
            let key = row.key.join(", ");
            let what = format!("no line of the last run has the key `{key}` of table `{name}`");
            let problem = Problem::at(&row.at, what, "mend the key, or remove the row");
            warned.push(self.warned(Kind::UnmatchedKey, problem, &Tally::default()));
        }
        let here = |what: String, mend: &str| {
            at(self.config, self.tenant, &["tables", name], what, mend.to_owned())
        };
        let more = idle.count().saturating_sub(KEYS);
        if more > 0 {
            let what = format!("no line of the last run has {more} further keys of table `{name}`");
            let problem = here(what, "remove what the bills no longer hold");
            warned.push(self.warned(Kind::UnmatchedKey, problem, &Tally::default()));
        }
        for (place, one) in table.patterns.iter().enumerate() {
            if !of.patterns.contains(&place) {
                let (KeyPattern::Regex(text) | KeyPattern::Glob(text)) = &one.pattern;
                let what = format!(
                    "no line of the last run fits the pattern `{text}` of table `{name}` without having a row, or an earlier \
                     pattern, of its own"
                );
                let problem = here(what, "mend the pattern, or remove it");
                warned.push(self.warned(Kind::UnmatchedKey, problem, &Tally::default()));
            }
        }
        // A row without a value says that nobody is meant.
        let meant: BTreeSet<&Vec<String>> =
            rows.iter().filter(|row| !row.gives && held(&row.valid)).map(|row| &row.key).collect();
        let missed: BTreeMap<String, Tally> = of
            .missed
            .iter()
            .filter(|(key, _)| !meant.contains(key))
            .map(|(key, tally)| (key.join(", "), tally.clone()))
            .collect();
        let (most, rest) = most(&missed);
        for (key, tally) in most {
            let what =
                format!("table `{name}` has no row for `{key}`, which {} ask it for", text(tally));
            let problem = here(what, "add a row; without a value it says that nobody is meant");
            warned.push(self.warned(Kind::UnknownValue, problem, tally));
        }
        if let Some((count, tally)) = rest {
            let what = format!(
                "table `{name}` has no row for {}{count} further values, which {} ask it for",
                at_least(of.missed.len()),
                text(&tally)
            );
            warned.push(self.warned(Kind::UnknownValue, here(what, "add rows"), &tally));
        }
    }

    fn owners(&self, warned: &mut Vec<Warned>) {
        let Some(owners) = &self.tenant.owners else { return };
        let both = |(owner, of): (&String, &allocator::domain::survey::OwnerUse)| {
            let mut all = of.got.clone();
            merge(&mut all, &of.refused);
            (owner.clone(), all)
        };
        let unknown: BTreeMap<String, Tally> = self.survey.owners.iter().map(both).collect();
        let names = || {
            let rows = owners.rows.iter();
            rows.flat_map(|row| [&row.id].into_iter().chain(&row.aliases)).map(String::as_str)
        };
        let became = match owners.strict {
            true => "would have gone there, were the directory not strict",
            false => "went there all the same",
        };
        let here =
            |what: String, mend: String| at(self.config, self.tenant, &["owners"], what, mend);
        let (most, rest) = most(&unknown);
        for (owner, tally) in most {
            let what = format!("`{owner}` is not in the owner directory: {} {became}", text(tally));
            let mend = match nearest(owner, names()) {
                Some(near) => format!("did you mean `{near}`? Then add it to the aliases there"),
                None => "add it to the directory, if it is an owner".to_owned(),
            };
            warned.push(self.warned(Kind::UnknownOwner, here(what, mend), tally));
        }
        if let Some((count, tally)) = rest {
            let what = format!(
                "{}{count} further owners are not in the owner directory: {} {became}",
                at_least(self.survey.owners.len()),
                text(&tally)
            );
            let mend = "`apportion unallocated` and the outputs name them".to_owned();
            warned.push(self.warned(Kind::UnknownOwner, here(what, mend), &tally));
        }
    }
}

/// A value or owner, and what there is of it.
type Named<'a> = (&'a String, &'a Tally);

/// Those with the most money of each currency, the most first; and how many others there are, with theirs.
fn most<'a>(all: &'a BTreeMap<String, Tally>) -> (Vec<Named<'a>>, Option<(usize, Tally)>) {
    let currencies: BTreeSet<Currency> =
        all.values().flat_map(|tally| tally.money.keys().copied()).collect();
    let mut most: Vec<Named<'a>> = Vec::new();
    for currency in currencies {
        let with = |(name, tally): (&'a String, &'a Tally)| {
            Some((tally.money.get(&currency)?.size(), name, tally))
        };
        let mut by_size: Vec<(ExactSum, &String, &Tally)> = all.iter().filter_map(with).collect();
        by_size.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let some = by_size.into_iter().take(VALUES).map(|(_, name, tally)| (name, tally));
        let some: Vec<_> = some.filter(|(name, _)| most.iter().all(|(o, _)| o != name)).collect();
        most.extend(some);
    }
    let named: BTreeSet<&String> = most.iter().map(|(name, _)| *name).collect();
    let others = all.iter().filter(|(name, _)| !named.contains(name));
    let (mut count, mut rest) = (0, Tally::default());
    for (_, tally) in others {
        count += 1;
        merge(&mut rest, tally);
    }
    (most, (count > 0).then_some((count, rest)))
}

/// Above a bound, others are not told apart any more.
fn at_least(known: usize) -> &'static str {
    if known < KEYS_MAX { "" } else { "at least " }
}

fn merge(into: &mut Tally, other: &Tally) {
    into.count += other.count;
    for (currency, sum) in &other.money {
        into.money.entry(*currency).or_default().merge(sum);
    }
}

fn lines(count: u64) -> String {
    format!("{count} line{}", if count == 1 { "" } else { "s" })
}

/// `3 lines, 10.5 USD and 2 EUR`.
fn text(tally: &Tally) -> String {
    let sums: Vec<String> = tally.money.iter().map(|(code, sum)| format!("{sum} {code}")).collect();
    format!("{} with {}", lines(tally.count), sums.join(" and "))
}

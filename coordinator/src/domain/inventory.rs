//! What an inventory changes: the newest lifetimes as stored, and what a gather found, become a [`Plan`].

use std::collections::{BTreeMap, BTreeSet};

use proto::hash::Hash128;
use proto::ids::Generation;
use proto::inventory::{Identity, MADE_UP, Resource};
use proto::time::UtcSeconds;

use super::guard::Census;
use super::lifetime::{Change, Found, Known, Lifetime, Missing, meet};

/// The type of identities that are ours: no gather touches them.
pub const SYSTEM: &str = "system";

/// Whether entities of a type are ours.
#[must_use]
pub fn is_ours(kind: &str) -> bool {
    kind == SYSTEM || kind == MADE_UP
}

/// Type and id.
pub type Key = (String, String);

/// A resource or identity as a gather found it. An identity has no parent and no owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity {
    /// Type and id.
    pub key: Key,
    /// Name for people: not part of its history.
    pub display_name: Option<String>,
    /// The resource that it belongs to.
    pub parent: Option<String>,
    /// The identity that owns it.
    pub owner: Option<String>,
    /// Everything else.
    pub attributes: BTreeMap<String, String>,
    /// When the provider says that it began.
    pub created_at: Option<UtcSeconds>,
    /// When the provider says that it ended.
    pub deleted_at: Option<UtcSeconds>,
}

impl Entity {
    /// Hash of what it is: another one begins another stretch of its history.
    #[must_use]
    pub fn facts(&self) -> Hash128 {
        let optional = |text: &Option<String>| text.as_ref().map(|text| format!("={text}"));
        let fixed = [&self.parent, &self.owner].map(|text| optional(text).unwrap_or_default());
        let pairs = self.attributes.iter().flat_map(|(name, value)| [name.as_str(), value]);
        Hash128::of_texts(fixed.iter().map(String::as_str).chain(pairs))
    }
}

impl From<Resource> for Entity {
    fn from(resource: Resource) -> Self {
        let Resource { id, kind, display_name, parent, owner, created_at, deleted_at, attributes } =
            resource;
        let key = (kind, id);
        Self { key, display_name, parent, owner, attributes, created_at, deleted_at }
    }
}

impl From<Identity> for Entity {
    fn from(identity: Identity) -> Self {
        let Identity { id, kind, display_name, created_at, deleted_at, attributes } = identity;
        let (key, parent, owner) = ((kind, id), None, None);
        Self { key, display_name, parent, owner, attributes, created_at, deleted_at }
    }
}

/// The newest stretch of an entity's history as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Type and id.
    pub key: Key,
    /// When and what.
    pub known: Known<Hash128>,
    /// Name for people.
    pub display_name: Option<String>,
    /// While it is missing: a person said that it did not end.
    pub kept: bool,
}

/// Which types a gather speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scanned {
    /// These.
    Types(BTreeSet<String>),
    /// All there are, known or found.
    All,
}

impl Scanned {
    fn has(&self, kind: &str) -> bool {
        match self {
            Self::Types(types) => types.contains(kind),
            Self::All => true,
        }
    }
}

/// What is to be written, and what each population that was scanned came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// New stretches.
    pub opens: Vec<(Entity, Lifetime)>,
    /// Running stretches that end here, because the next begins.
    pub turns: Vec<(Key, UtcSeconds)>,
    /// Running stretches that say something else from their start on.
    pub corrections: Vec<Entity>,
    /// Names for people that changed.
    pub names: Vec<(Key, Option<String>)>,
    /// What is no longer missing.
    pub backs: Vec<Key>,
    /// What is missing.
    pub misses: Vec<(Key, Missing)>,
    /// By type.
    pub censuses: BTreeMap<String, Census>,
}

const NOBODY: Census = Census { active: 0, missing: 0, found: 0 };

/// The plan of a gather that found these entities, each at most once.
#[must_use]
pub fn plan(
    rows: &[Row],
    found: Vec<Entity>,
    scanned: &Scanned,
    by: (Generation, UtcSeconds),
) -> Plan {
    let mut plan = Plan::default();
    let mut found: BTreeMap<Key, Entity> = found
        .into_iter()
        .filter(|entity| !is_ours(&entity.key.0))
        .map(|entity| (entity.key.clone(), entity))
        .collect();
    if let Scanned::Types(types) = scanned {
        plan.censuses = types.iter().map(|kind| (kind.clone(), NOBODY)).collect();
    }
    for row in rows.iter().filter(|row| !is_ours(&row.key.0)) {
        plan.meet(row, found.remove(&row.key), scanned, by);
    }
    for entity in found.into_values() {
        let facts = entity.facts();
        plan.find(&entity, scanned);
        let seen = Found { created_at: entity.created_at, deleted_at: entity.deleted_at, facts };
        if let Change::Open(life) = meet(None, Some(&seen), scanned.has(&entity.key.0), by) {
            plan.opens.push((entity, life));
        }
    }
    plan
}

/// The census of a gather that found the same as the one in force: nothing changes of what is known to be missing.
#[must_use]
pub fn recount(rows: &[Row], scanned: &Scanned) -> BTreeMap<String, Census> {
    let mut censuses = match scanned {
        Scanned::Types(types) => types.iter().map(|kind| (kind.clone(), NOBODY)).collect(),
        Scanned::All => BTreeMap::new(),
    };
    let running = rows.iter().filter(|row| row.known.life.to.is_none());
    for row in running.filter(|row| !is_ours(&row.key.0) && scanned.has(&row.key.0)) {
        let census = censuses.entry(row.key.0.clone()).or_insert(NOBODY);
        count(census, row.known.missing.is_some(), row.kept);
    }
    censuses
}

/// Times without overlap that cover the same.
#[must_use]
pub fn merged(mut times: Vec<Lifetime>) -> Vec<Lifetime> {
    times.sort_by_key(|life| life.from);
    let mut all: Vec<Lifetime> = Vec::new();
    for life in times {
        match all.last_mut() {
            Some(last) if last.to.is_none_or(|to| life.from.is_none_or(|from| from <= to)) => {
                last.to = last.to.zip(life.to).map(|(a, b)| a.max(b));
            }
            _ => all.push(life),
        }
    }
    all
}

/// Counts one that lived before; one that a person keeps counts neither as living nor as missing.
fn count(census: &mut Census, missing: bool, kept: bool) {
    match (missing, kept) {
        (true, true) => {}
        (true, false) => (census.active, census.missing) = (census.active + 1, census.missing + 1),
        (false, _) => (census.active, census.found) = (census.active + 1, census.found + 1),
    }
}

impl Plan {
    /// The times of which it says something else than before.
    #[must_use]
    pub fn touches(&self) -> Vec<Lifetime> {
        merged(self.opens.iter().map(|(_, life)| *life).collect())
    }

    /// Counts one that the gather found living and that was not known to live.
    fn find(&mut self, entity: &Entity, scanned: &Scanned) {
        if scanned.has(&entity.key.0) {
            let census = self.censuses.entry(entity.key.0.clone()).or_insert(NOBODY);
            census.found += u64::from(entity.deleted_at.is_none());
        }
    }

    fn meet(
        &mut self,
        row: &Row,
        entity: Option<Entity>,
        scanned: &Scanned,
        by: (Generation, UtcSeconds),
    ) {
        let in_scan = scanned.has(&row.key.0);
        let seen = entity.as_ref().map(|entity| Found {
            created_at: entity.created_at,
            deleted_at: entity.deleted_at,
            facts: entity.facts(),
        });
        let change = meet(Some(&row.known), seen.as_ref(), in_scan, by);
        let runs = row.known.life.to.is_none();
        let living = seen.is_some_and(|seen| seen.deleted_at.is_none());
        if in_scan && runs {
            let census = self.censuses.entry(row.key.0.clone()).or_insert(NOBODY);
            count(census, !living, row.kept);
        } else if let Some(entity) = &entity {
            self.find(entity, scanned);
        }
        if let Some(entity) = entity.as_ref().filter(|_| runs && living)
            && matches!(change, Change::Nothing | Change::Back)
            && entity.display_name != row.display_name
        {
            self.names.push((row.key.clone(), entity.display_name.clone()));
        }
        match (change, entity) {
            (Change::Open(life), Some(entity)) => self.opens.push((entity, life)),
            (Change::Turn(at), Some(entity)) => {
                self.turns.push((row.key.clone(), at));
                self.opens.push((entity, Lifetime { from: Some(at), to: None }));
            }
            (Change::Correct, Some(entity)) => self.corrections.push(entity),
            (Change::Back, _) => self.backs.push(row.key.clone()),
            (Change::Miss(missing), _) => self.misses.push((row.key.clone(), missing)),
            (Change::Nothing | Change::Open(_) | Change::Turn(_) | Change::Correct, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, id: &str) -> Entity {
        Entity {
            key: (kind.into(), id.into()),
            display_name: None,
            parent: None,
            owner: None,
            attributes: BTreeMap::new(),
            created_at: None,
            deleted_at: None,
        }
    }
    fn row(kind: &str, id: &str) -> Row {
        let facts = entity(kind, id).facts();
        let life = Lifetime { from: None, to: None };
        let known = Known { life, facts, missing: None };
        Row { key: (kind.into(), id.into()), known, display_name: None, kept: false }
    }
    fn missing(row: Row, kept: bool) -> Row {
        let missing =
            Missing { generation: Generation(3), since: UtcSeconds(30), ends: UtcSeconds(30) };
        Row { known: Known { missing: Some(missing), ..row.known }, kept, ..row }
    }
    fn types(types: &[&str]) -> Scanned {
        Scanned::Types(types.iter().map(|kind| (*kind).to_owned()).collect())
    }
    const BY: (Generation, UtcSeconds) = (Generation(7), UtcSeconds(70));

    #[test]
    fn defect_17_8_no_gather_misses_what_is_ours() {
        let rows = [row(SYSTEM, "UNALLOCATED"), row(MADE_UP, "service_account:sa-9")];
        let plan = plan(&rows, vec![entity(MADE_UP, "service_account:sa-8")], &Scanned::All, BY);
        assert_eq!(plan, Plan::default(), "neither missed, counted nor found");
        assert!(recount(&rows, &Scanned::All).is_empty());
    }

    #[test]
    fn times_that_are_touched_are_merged_and_lose_nothing() {
        let t = |number: Option<i64>| number.map(UtcSeconds);
        let life = |(from, to)| Lifetime { from: t(from), to: t(to) };
        let all = |times: &[(Option<i64>, Option<i64>)]| {
            merged(times.iter().copied().map(life).collect())
        };
        let cases: [(&[_], &[_]); 5] = [
            (&[], &[]),
            (&[(Some(5), Some(9)), (Some(1), Some(3))], &[(Some(1), Some(3)), (Some(5), Some(9))]),
            (
                &[(Some(1), Some(9)), (Some(2), Some(3)), (Some(9), Some(12))],
                &[(Some(1), Some(12))],
            ),
            (&[(Some(4), None), (Some(7), Some(8))], &[(Some(4), None)]),
            (&[(Some(4), Some(6)), (None, Some(2))], &[(None, Some(2)), (Some(4), Some(6))]),
        ];
        for (times, wanted) in cases {
            assert_eq!(
                all(times),
                wanted.iter().copied().map(life).collect::<Vec<_>>(),
                "{times:?}"
            );
        }
    }

    #[test]
    fn a_type_that_was_not_scanned_is_neither_missed_nor_counted() {
        let rows = [row("cluster", "a"), row("topic", "t")];
        let found = vec![entity("topic", "new")];
        let plan = plan(&rows, found, &types(&["cluster", "connector"]), BY);
        let one = Census { active: 1, missing: 1, found: 0 };
        assert_eq!(
            plan.censuses,
            [("cluster".to_owned(), one), ("connector".to_owned(), NOBODY)].into()
        );
        assert_eq!(plan.misses.iter().map(|m| m.0.1.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(plan.opens.len(), 1, "what was found of it is known all the same");
    }

    #[test]
    fn unallocated_is_nobodys_to_take_away() {
        let rows = [row(SYSTEM, "UNALLOCATED"), row("user", "u")];
        let plan = plan(&rows, vec![entity(SYSTEM, "UNALLOCATED")], &Scanned::All, BY);
        assert_eq!(plan.misses.len(), 1);
        assert!(plan.opens.is_empty() && !plan.censuses.contains_key(SYSTEM));
        assert!(!recount(&rows, &Scanned::All).contains_key(SYSTEM));
    }

    #[test]
    fn what_a_person_keeps_counts_neither_here_nor_there() {
        let rows =
            [row("user", "a"), missing(row("user", "b"), true), missing(row("user", "c"), false)];
        let census = Census { active: 2, missing: 1, found: 1 };
        assert_eq!(recount(&rows, &Scanned::All)["user"], census);
        let plan = plan(&rows, vec![entity("user", "a")], &Scanned::All, BY);
        assert_eq!(plan.censuses["user"], census);
        assert!(plan.misses.is_empty(), "they are missing already");
        let all = vec![entity("user", "a"), entity("user", "b"), entity("user", "d")];
        let plan = super::plan(&rows, all, &Scanned::All, BY);
        assert_eq!(plan.censuses["user"], Census { active: 3, missing: 1, found: 3 });
        assert_eq!(plan.backs, [("user".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_the_provider_lists_as_ended_is_no_longer_there() {
        let rows = [row("cluster", "a")];
        let ended = Entity { deleted_at: Some(UtcSeconds(40)), ..entity("cluster", "a") };
        let plan = plan(&rows, vec![ended], &types(&["cluster"]), BY);
        assert_eq!(plan.censuses["cluster"], Census { active: 1, missing: 1, found: 0 });
        assert_eq!(plan.misses[0].1.ends, UtcSeconds(40));
    }

    #[test]
    fn a_name_for_people_makes_no_history_and_an_owner_does() {
        let rows = [row("cluster", "a")];
        let named = Entity { display_name: Some("A".into()), ..entity("cluster", "a") };
        let plan = plan(&rows, vec![named.clone()], &types(&["cluster"]), BY);
        assert_eq!((plan.names.len(), plan.opens.len()), (1, 0));
        let owned = Entity { owner: Some("user:u".into()), ..named };
        let plan = super::plan(&rows, vec![owned], &types(&["cluster"]), BY);
        assert_eq!((plan.names.len(), plan.turns.len(), plan.opens.len()), (0, 1, 1));
    }
}

//! What waits, for people and programs. Pure.

use anyhow::Result;
use serde::Serialize;

use crate::store::{MissingItem, Population};
use crate::summary::table;

/// How many of the missing are named to people.
const NAMED_MAX: usize = 20;

/// A population as programs see it, in `status`, `deletions` and `withdrawals`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PopulationStatus {
    /// Tenant.
    pub tenant: String,
    /// Source.
    pub source: String,
    /// `resource`, `identity` or `date`.
    pub class: String,
    /// Type of the resources or identities; empty for dates.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many lived before the last gather that was counted.
    pub active: i64,
    /// How many of those it did not find.
    pub missing: i64,
    /// How many of those wait.
    pub waiting: i64,
    /// How many a person keeps although they are missing.
    pub kept: i64,
    /// Doubtful gathers in a row.
    pub streak: i32,
    /// When the first of them was applied.
    pub first_at: Option<String>,
    /// So many gathers in a row end the wait; `None`: a person alone does.
    pub threshold: Option<i32>,
    /// And not before this moment.
    pub lasts_until: Option<String>,
    /// What it waits for, in words; `None`: for nothing.
    pub waits_for: Option<String>,
}

impl From<&Population> for PopulationStatus {
    fn from(of: &Population) -> Self {
        Self {
            tenant: of.key.0.clone(),
            source: of.key.1.clone(),
            class: of.class.clone(),
            kind: of.kind.clone(),
            active: of.active,
            missing: of.missing,
            waiting: of.waiting,
            kept: of.kept,
            streak: of.streak,
            first_at: of.first_at.clone(),
            threshold: of.threshold,
            lasts_until: of.lasts_until.clone(),
            waits_for: waits_for(of),
        }
    }
}

/// What a population waits for; `None`: for nothing.
#[must_use]
pub fn waits_for(of: &Population) -> Option<String> {
    if let Some((decision, by)) = &of.decided {
        return Some(format!("a coordinator, which applies that {by} {decision} it"));
    }
    if of.waiting == 0 {
        return None;
    }
    let Some(threshold) = of.threshold else {
        return Some("a person: `zero_gather_threshold` is never".to_owned());
    };
    let more = (threshold - of.streak).max(1);
    let gathers = if more == 1 { "gather".to_owned() } else { format!("{more} gathers") };
    let until = of.lasts_until.as_deref().map(|at| format!(", from {at} on")).unwrap_or_default();
    Some(format!("a person, or for the next {gathers} to say the same{until}"))
}

/// What people call a population.
#[must_use]
pub fn name(of: &Population) -> String {
    let (tenant, source) = &of.key;
    match of.class.as_str() {
        "date" => format!("dates of {tenant}/{source}"),
        class => format!("{class} {} of {tenant}/{source}", of.kind),
    }
}

/// Populations as a table.
#[must_use]
pub fn populations(all: &[PopulationStatus]) -> String {
    let header = [
        "tenant",
        "source",
        "of",
        "type",
        "waits for",
        "active",
        "missing",
        "waiting",
        "kept",
        "streak",
    ];
    let row = |one: &PopulationStatus| {
        let texts = [&one.tenant, &one.source, &one.class, &one.kind].map(Clone::clone);
        let waits = one.waits_for.clone().unwrap_or_else(|| "nothing".to_owned());
        let numbers = [one.active, one.missing, one.waiting, one.kept, i64::from(one.streak)];
        let numbers = numbers.map(|number| number.to_string());
        texts.into_iter().chain([waits]).chain(numbers).collect()
    };
    table(&header, 5, &all.iter().map(row).collect::<Vec<Vec<String>>>())
}

/// `list`.
#[must_use]
pub fn listed(what: &str, found: &[(Population, Vec<MissingItem>)]) -> String {
    if found.is_empty() {
        return format!("no {what} wait\n");
    }
    let all: Vec<PopulationStatus> = found.iter().map(|(one, _)| one.into()).collect();
    let mut text = populations(&all);
    for (population, items) in found {
        text.push_str(&format!("\nmissing {} ({}):\n", name(population), items.len()));
        for item in items.iter().take(NAMED_MAX) {
            let kept = if item.kept { ", kept by a person" } else { "" };
            text.push_str(&format!("  {} since {}{kept}\n", item.id, item.since));
        }
        if items.len() > NAMED_MAX {
            text.push_str(&format!("  and {} more: --json names all\n", items.len() - NAMED_MAX));
        }
    }
    text.push_str(&format!(
        "\n`apportion {what} confirm` if they are gone indeed, `apportion {what} reject` if not\n"
    ));
    text
}

/// The same for programs, with all that is missing.
///
/// # Errors
/// Never: it is written to memory.
pub fn listed_json(found: &[(Population, Vec<MissingItem>)]) -> Result<String> {
    let item = |item: &MissingItem| serde_json::json!({"id": item.id, "since": item.since, "kept": item.kept});
    let mut all = Vec::new();
    for (population, items) in found {
        let mut one = serde_json::to_value(PopulationStatus::from(population))?;
        one["items"] = items.iter().map(item).collect();
        all.push(one);
    }
    Ok(format!("{}\n", serde_json::json!({ "populations": all })))
}

/// `confirm` and `reject`.
#[must_use]
pub fn decided(confirm: bool, meant: &[Population]) -> String {
    let mut text = String::new();
    for one in meant {
        let missing = if confirm { one.waiting + one.kept } else { one.waiting };
        let what = if confirm { "end" } else { "are kept until they are found again" };
        text.push_str(&format!("{missing} missing of {}: they {what}\n", name(one)));
    }
    text.push_str("the coordinator applies it: within a second, or as soon as one runs\n");
    text
}

/// The same for programs.
///
/// # Errors
/// Never: it is written to memory.
pub fn decided_json(decision: &str, meant: &[Population]) -> Result<String> {
    let all: Vec<PopulationStatus> = meant.iter().map(Into::into).collect();
    let all = serde_json::to_value(all)?;
    Ok(format!("{}\n", serde_json::json!({ "decision": decision, "populations": all })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters() -> Population {
        Population {
            key: ("acme".into(), "cloud".into()),
            class: "resource".into(),
            kind: "cluster".into(),
            streak: 1,
            first_at: Some("2026-05-01T00:00:00Z".into()),
            active: 1_000,
            missing: 999,
            waiting: 999,
            threshold: Some(3),
            lasts_until: Some("2026-05-02T00:00:00Z".into()),
            ..Population::default()
        }
    }

    #[test]
    fn it_is_said_what_is_waited_for() {
        let waits = |of: Population| waits_for(&of).unwrap();
        assert_eq!(
            waits(clusters()),
            "a person, or for the next 2 gathers to say the same, from 2026-05-02T00:00:00Z on"
        );
        assert_eq!(
            waits(Population { streak: 7, ..clusters() }),
            "a person, or for the next gather to say the same, from 2026-05-02T00:00:00Z on"
        );
        assert!(waits(Population { threshold: None, ..clusters() }).starts_with("a person: "));
        let decided = Some(("confirmed".to_owned(), "ana".to_owned()));
        assert!(waits(Population { decided, ..clusters() }).contains("ana confirmed it"));
        assert_eq!(waits_for(&Population { waiting: 0, ..clusters() }), None);
    }

    #[test]
    fn people_see_what_is_missing_and_what_to_do() {
        let item = |n: usize| MissingItem {
            id: format!("lkc-{n:02}"),
            since: "2026-05-01T00:00:00Z".into(),
            kept: n == 0,
        };
        let few = Population { active: 30, missing: 21, waiting: 20, kept: 1, ..clusters() };
        let text = listed("deletions", &[(few, (0..21).map(item).collect())]);
        assert!(text.contains("missing resource cluster of acme/cloud (21):"), "{text}");
        assert!(text.contains("lkc-00 since 2026-05-01T00:00:00Z, kept by a person\n"), "{text}");
        assert!(text.contains("and 1 more: --json names all"), "{text}");
        assert!(text.ends_with("`apportion deletions reject` if not\n"), "{text}");
        assert_eq!(listed("withdrawals", &[]), "no withdrawals wait\n");
    }

    #[test]
    fn programs_see_all_of_it() {
        let item = MissingItem { id: "lkc-1".into(), since: "x".into(), kept: false };
        let text = listed_json(&[(clusters(), vec![item])]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["populations"][0]["type"], "cluster");
        assert_eq!(json["populations"][0]["items"][0]["id"], "lkc-1");
        let text = decided_json("confirmed", &[clusters()]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (json["decision"].as_str(), json["populations"][0]["waiting"].as_i64()),
            (Some("confirmed"), Some(999))
        );
    }
}

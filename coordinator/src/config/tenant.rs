//! A tenant's file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proto::config::{Guards, OnBadLine, TenantConfig, Timing};
use proto::currency::Currency;
use proto::ids::TenantId;
use proto::money::Amount;

use super::places::Places;
use super::problem::{Place, Report};
use super::read::{self, Cx, Map};
use super::yaml::{Node, Value};
use super::{
    built_in, driver, emitter, names, owner, params, rule, scalar, source, stage, table, tag,
    timing, trial,
};

/// Keys of a tenant's file, and of `defaults`.
pub const TENANT_KEYS: [&str; 19] = [
    "currency",
    "lookback",
    "cutoff",
    "final_after",
    "on_bad_line",
    "sources",
    "owners",
    "tags",
    "tables",
    "groups",
    "drivers",
    "allocation",
    "tests",
    "emitters",
    "guards",
    "allocator_params",
    "retention",
    "schedule",
    "sla",
];
/// Keys that come with later features.
pub const LATER_KEYS: [&str; 1] = ["limits"];
/// Keys of `retention`.
pub const RETENTION_KEYS: [&str; 1] = ["dates"];
/// Keys of `guards`.
pub const GUARDS_KEYS: [&str; 3] = ["zero_gather_threshold", "min_wall", "max_drop"];

/// Most canonical bytes of a tenant: they travel as one message, whose header needs some room.
const MAX_CANONICAL: usize = proto::envelope::MESSAGE_BYTES_MAX - 4096;

/// Adds to a tenant's file what only `defaults` says.
pub fn add_defaults(node: &mut Node, defaults: Option<&Node>, report: &mut Report) {
    let Some(entries) = defaults.and_then(|node| read::entries(node, "`defaults`", report)) else {
        return;
    };
    if matches!(node.value, Value::Null) {
        node.value = Value::Map(Vec::new());
    }
    if let Value::Map(own) = &mut node.value {
        let missing = entries.iter().filter(|entry| !own.iter().any(|own| own.key == entry.key));
        let missing: Vec<_> = missing.cloned().collect();
        own.extend(missing);
    }
}

/// Reads a tenant. `None`: something is wrong, and noted.
pub fn tenant(id: TenantId, node: &Node, dir: &Path, report: &mut Report) -> Option<TenantConfig> {
    let keys: Vec<&str> = TENANT_KEYS.iter().chain(&LATER_KEYS).copied().collect();
    let map = Map::read(node, "the tenant", &keys, report)?;
    for key in LATER_KEYS {
        if let Some(node) = map.get(key) {
            report.at(
                &node.at,
                format!("`{key}` means nothing yet"),
                "remove it until that feature is there",
            );
        }
    }
    let mut cx = Cx { dir, report, names: names::Names::default() };
    let cx = &mut cx;
    cx.names.tags = names::keys_of(map.get("tags"));
    cx.names.tables = names::keys_of(map.get("tables"));
    cx.names.groups = names::keys_of(map.get("groups"));
    cx.names.drivers = names::keys_of(map.get("drivers"));
    cx.names.sources = names::keys_of(map.get("sources"));

    let owners = map.get("owners").map(|node| owner::owners(node, cx));
    cx.names.strict_owners = names::strict_owners(owners.as_ref().and_then(Option::as_ref));
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    read_tables(&map, &mut places, cx);
    let (tags, tag_places) = map.get("tags").map(|node| tag::tags(node, cx)).unwrap_or_default();
    places.extend(tag_places);
    names::report_cycles(&tags, &cx.names.contents, &places, cx.report);
    let groups = map.get("groups").map(|node| owner::groups(node, cx)).unwrap_or_default();
    let drivers = map.get("drivers").map(|node| driver::drivers(node, cx)).unwrap_or_default();
    let (schedule, sla) = (map.get("schedule"), map.get("sla"));
    let timing = timing::of(schedule, sla, &Timing::default(), cx.report);
    let sources =
        map.need("sources", "the tenant", cx.report).map(|node| source::sources(node, &timing, cx));
    let mut sources = sources.unwrap_or_default();
    if let Some(node) = map.get("allocator_params") {
        params::apply(node, &mut sources, cx.report);
    }
    let built_in = built_in::ids(&sources);
    let before = cx.report.count();
    let allocation =
        map.get("allocation").map(|node| rule::rules(node, &built_in, cx)).unwrap_or_default();
    let ids: BTreeSet<String> =
        allocation.iter().map(|rule| rule.id.clone()).chain(built_in).collect();
    let ids = (cx.report.count() == before).then_some(&ids);
    let tests = map.get("tests").map(|node| trial::tests(node, ids, cx)).unwrap_or_default();
    let emitters = map.get("emitters").map(|node| emitter::emitters(node, cx)).unwrap_or_default();
    let days = |key: &str, cx: &mut Cx<'_>| {
        let node = map.get(key)?;
        read::parsed(node, &format!("`{key}`"), cx.report, scalar::days)
    };
    let lookback = |node| read::parsed(node, "`lookback`", cx.report, scalar::lookback);
    let lookback_days = map.get("lookback").and_then(lookback);
    let cutoff_days = days("cutoff", cx);
    if let (Some(lookback), Some(node)) = (lookback_days, map.get("lookback"))
        && lookback <= cutoff_days.unwrap_or(0)
    {
        cx.report.at(
            &node.at,
            "no date lies between `lookback` and `cutoff`",
            "make `lookback` longer than `cutoff`",
        );
    }
    let config = TenantConfig {
        tenant: id,
        currency: map.get("currency").map(|node| currencies(node, cx)).unwrap_or_default(),
        lookback_days,
        cutoff_days,
        retention_days: map.get("retention").and_then(|node| retention(node, lookback_days, cx)),
        final_after_days: days("final_after", cx),
        on_bad_line: map
            .get("on_bad_line")
            .and_then(|node| on_bad_line(node, cx))
            .unwrap_or_default(),
        sources,
        owners: owners.flatten(),
        tags,
        tables: std::mem::take(&mut cx.names.contents),
        groups,
        drivers,
        allocation,
        tests,
        emitters,
        guards: map.get("guards").map(|node| guards(node, cx)).unwrap_or_default(),
    };
    check_whole(&config, map.at, cx.report);
    stage::check(&config, &Places::of(node), cx.report);
    Some(config)
}

fn read_tables(map: &Map<'_>, places: &mut BTreeMap<String, Place>, cx: &mut Cx<'_>) {
    let entries = map.get("tables").and_then(|node| read::entries(node, "`tables`", cx.report));
    for entry in entries.unwrap_or_default() {
        places.insert(format!("table.{}", entry.key), entry.key_at.clone());
        if let Some(table) = table::table(&entry.value, &entry.key, cx) {
            cx.names.contents.insert(entry.key.clone(), table);
        }
    }
}

fn check_whole(config: &TenantConfig, at: &Place, report: &mut Report) {
    match config.to_canonical() {
        Ok(bytes) if bytes.len() > MAX_CANONICAL => {
            let what =
                format!("the configuration takes {} bytes, more than {MAX_CANONICAL}", bytes.len());
            report.at(
                &Place::whole(&at.file),
                what,
                "make its tables smaller, or replace rows by patterns",
            );
        }
        Ok(_) => {}
        Err(error) => {
            report.at(&Place::whole(&at.file), error.to_string(), "report this as a defect")
        }
    }
}

fn currencies(node: &Node, cx: &mut Cx<'_>) -> Vec<Currency> {
    let nodes = read::one_or_many(node, "`currency`", cx.report);
    let read = |node: &Node, cx: &mut Cx<'_>| {
        read::parsed(node, "`currency`", cx.report, str::parse::<Currency>)
    };
    let all: BTreeSet<Currency> = nodes.iter().filter_map(|node| read(node, cx)).collect();
    all.into_iter().collect()
}

fn on_bad_line(node: &Node, cx: &mut Cx<'_>) -> Option<OnBadLine> {
    let words = [("quarantine", OnBadLine::Quarantine), ("hold", OnBadLine::Hold)];
    read::word(node, "`on_bad_line`", &words, cx.report)
}

/// How long dates are kept.
fn retention(node: &Node, lookback: Option<u32>, cx: &mut Cx<'_>) -> Option<u32> {
    let map = Map::read(node, "`retention`", &RETENTION_KEYS, cx.report)?;
    let node = map.get("dates")?;
    let days = read::parsed(node, "`dates`", cx.report, scalar::days)?;
    if lookback.is_some_and(|lookback| lookback > days) {
        let what = "dates that `lookback` gathers would be removed";
        cx.report.at(&node.at, what, "keep them longer, or make `lookback` shorter");
    }
    Some(days)
}

/// Refuses to keep dates for less time than they stay replayable.
pub fn check_retention(node: &Node, days: Option<u32>, horizon: u64, report: &mut Report) {
    let Value::Map(entries) = &node.value else { return };
    let entry = entries.iter().find(|entry| entry.key == "retention");
    if let (Some(entry), Some(days)) = (entry, days)
        && u64::from(days) < horizon
    {
        let what =
            format!("`retention` keeps dates for {days}d, and they stay replayable for {horizon}d");
        let mend = format!(
            "write `dates: {horizon}d` or more, or lower nats.replay_horizon in apportion.yaml"
        );
        report.at(&entry.value.at, what, mend);
    }
}

fn guards(node: &Node, cx: &mut Cx<'_>) -> Guards {
    let mut guards = Guards::default();
    let Some(map) = Map::read(node, "`guards`", &GUARDS_KEYS, cx.report) else { return guards };
    if let Some(node) = map.get("zero_gather_threshold") {
        let read = |text: &str| match text {
            "never" => Ok(None),
            _ => match text.parse::<u32>() {
                Ok(count) if count > 0 => Ok(Some(count)),
                _ => Err("write a whole number, 1 or more, or never"),
            },
        };
        let threshold = read::parsed(node, "`zero_gather_threshold`", cx.report, read);
        guards.zero_gather_threshold = threshold.unwrap_or_default();
    }
    if let Some(node) = map.get("min_wall") {
        let seconds = read::parsed(node, "`min_wall`", cx.report, scalar::seconds);
        guards.min_wall_seconds = seconds.unwrap_or_default();
    }
    if let Some(node) = map.get("max_drop") {
        let percent = read::percent(node, "`max_drop`", cx.report);
        guards.max_drop_percent = percent.unwrap_or(Amount::ZERO);
    }
    guards
}

//! What holds at any moment, and what holds once faults have healed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use deadpool_postgres::Object;
use deadpool_postgres::tokio_postgres::Row;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::SourceId;

use crate::world::{self, World};

/// The visible generations that were seen, by source and date.
pub type Seen = BTreeMap<(String, String), i64>;

/// Equal data errors after which a unit is left alone.
const EQUAL_ERRORS_MAX: i32 = 3;

fn digest(row: &Row, at: usize) -> Result<Option<Hash128>> {
    let bytes: Option<&[u8]> = row.get(at);
    bytes.map(|bytes| Ok(Hash128(bytes.try_into().context("16 bytes")?))).transpose()
}

/// Visible generations only grow; each was made from one set of inputs, which the archive holds; errors are bounded;
/// nothing outside is newer than what is visible.
pub async fn always(own: &Object, seen: &mut Seen) -> Result<()> {
    let sql = "select s.source, s.date::text, s.visible_generation, s.wanted_generation, s.equal_errors,
                 s.visible_lines_hash, c.lines_hash, s.visible_rules, c.rules, c.resolution_hash, c.rows_hash, c.lines,
                 (select payload from line_archive a where a.tenant = s.tenant and a.source = s.source
                    and a.date = s.date and a.kind = 'line' and a.generation = s.visible_lines_generation),
                 (select max(r.generation) from emission_records r where r.tenant = s.tenant and r.source = s.source
                    and r.date = s.date)
               from pipeline_state s left join commits c on c.tenant = s.tenant and c.source = s.source
                 and c.date = s.date and c.generation = s.visible_generation
               order by s.source, s.date";
    let sql = own.prepare_cached(sql).await?;
    for row in own.query(&sql, &[]).await? {
        let (source, date): (String, String) = (row.get(0), row.get(1));
        let (visible, wanted, equal): (i64, i64, i32) = (row.get(2), row.get(3), row.get(4));
        let at = format!("{source}/{date}");
        ensure!(equal <= EQUAL_ERRORS_MAX, "{at}: {equal} equal errors");
        let before = seen.insert((source, date), visible).unwrap_or(0);
        ensure!(before <= visible, "{at}: {visible} is visible after {before}");
        ensure!(visible <= wanted, "{at}: {visible} is visible, but only {wanted} was wanted");
        let emitted: Option<i64> = row.get(13);
        ensure!(emitted.is_none_or(|e| e <= visible), "{at}: {emitted:?} lies outside");
        if visible == 0 {
            continue;
        }
        let (lines, rules) = (digest(&row, 6)?, digest(&row, 8)?);
        let lines = lines.with_context(|| format!("{at}: {visible} was never committed"))?;
        let rules = rules.context("rules of a commit")?;
        ensure!(digest(&row, 5)? == Some(lines), "{at}: other lines are visible than committed");
        ensure!(digest(&row, 7)? == Some(rules), "{at}: other rules are visible than committed");
        let rows = world::rows(lines, digest(&row, 9)?, rules);
        let is_empty = row.get::<_, i64>(11) == 0;
        ensure!(is_empty || digest(&row, 10)? == Some(rows), "{at}: rows of two generations mix");
        ensure!(is_empty || digest(&row, 12)? == Some(lines), "{at}: its archive is not there");
    }
    Ok(())
}

/// Everything that the bill has is visible, calculated by the rules in force, and emitted; nothing is out.
pub async fn healed(own: &Object, world: &World, config: &TenantConfig) -> Result<()> {
    let sql = "select s.source, s.date::text, s.state, s.lines_hash, s.visible_lines_hash, s.visible_rules, s.attempts,
                 s.equal_errors, s.visible_generation, s.lines_items
               from pipeline_state s order by s.source, s.date";
    let mut units = BTreeMap::new();
    for row in own.query(sql, &[]).await? {
        let at: (SourceId, String) = (row.get::<_, &str>(0).parse()?, row.get(1));
        let text = format!("{}/{}", at.0, at.1);
        let (state, attempts, equal): (&str, i32, i32) = (row.get(2), row.get(6), row.get(7));
        ensure!(state == "visible", "{text} is {state}");
        ensure!((attempts, equal) == (0, 0), "{text} is visible with {attempts} attempts, {equal}");
        let rules = config.rules_hash(&at.0, at.1.parse()?)?;
        ensure!(digest(&row, 5)? == Some(rules), "{text} is visible by old rules");
        ensure!(digest(&row, 3)? == digest(&row, 4)?, "{text} is visible with old lines");
        let has_lines = row.get::<_, i64>(9) > 0;
        units.insert(at, (digest(&row, 4)?.filter(|_| has_lines), row.get::<_, i64>(8)));
    }
    for (source, dates) in &world.bill {
        for (date, edition) in dates {
            let unit = units.get(&(source.clone(), date.to_string()));
            let (lines, _) = unit.with_context(|| format!("{source}/{date} is not there"))?;
            let wanted = world::lines(source, *date, *edition);
            ensure!(*lines == Some(wanted), "{source}/{date} has other lines than its bill");
        }
    }
    for ((source, date), (lines, _)) in &units {
        let billed = world.bill.get(source).is_some_and(|of| {
            date.parse().is_ok_and(|date: proto::time::UnitDate| of.contains_key(&date))
        });
        ensure!(billed || lines.is_none(), "{source}/{date} has lines, but no bill has it");
    }
    let out: i64 = own.query_one("select count(*) from tasks", &[]).await?.get(0);
    ensure!(out == 0, "{out} tasks are out for ever");
    let staged: i64 = own.query_one("select count(*) from staged_dates", &[]).await?.get(0);
    ensure!(staged == 0, "{staged} dates are staged for ever");
    outside(own, world, &units, config).await
}

async fn outside(
    own: &Object,
    world: &World,
    units: &BTreeMap<(SourceId, String), (Option<Hash128>, i64)>,
    config: &TenantConfig,
) -> Result<()> {
    let sql = "select source, date::text, emitter, generation, target, hash from emission_records order by 1, 2, 3";
    let rows = own.query(sql, &[]).await?;
    let wanted = units.len() * config.emitters.len();
    ensure!(rows.len() == wanted, "{} emissions of {wanted} are recorded", rows.len());
    let mut targets = std::collections::BTreeSet::new();
    for row in &rows {
        let at: (SourceId, String) = (row.get::<_, &str>(0).parse()?, row.get(1));
        let (emitter, generation): (&str, i64) = (row.get(2), row.get(3));
        let text = format!("{}/{} by {emitter}", at.0, at.1);
        let (_, visible) = units.get(&at).with_context(|| format!("{text}: no unit"))?;
        ensure!(generation == *visible, "{text}: {generation} lies outside, {visible} is visible");
        let target: Option<String> = row.get(4);
        let target = target.with_context(|| format!("{text}: no file"))?;
        let there = world.outside.get(&target).copied();
        ensure!(there.is_some() && there == digest(row, 5)?, "{text}: {target} holds another file");
        targets.insert(target);
    }
    let stale: Vec<_> = world.outside.keys().filter(|file| !targets.contains(*file)).collect();
    ensure!(stale.is_empty(), "files that no emitter writes any more lie outside: {stale:?}");
    Ok(())
}

/// What three equal data errors have set aside.
pub async fn quarantined(own: &Object) -> Result<Vec<(String, String)>> {
    let sql = "select source, date::text from pipeline_state where state = 'quarantined'";
    Ok(own.query(sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

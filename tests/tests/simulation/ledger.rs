//! The ledger: its own code at both ends of a commit, with the fence; between them no facts but the archive of lines and
//! resolutions, which is what later work stands on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use deadpool_postgres::tokio_postgres::error::SqlState;
use deadpool_postgres::{Object, Transaction, tokio_postgres};
use emitter::ledger::plan::{State, Step, Work};
use emitter::ledger::{flip, plan};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::report::{Committed, FailureClass, Restored};
use proto::subject::Stream;
use proto::task::{CommitUnit, RestoreUnit};
use proto::time::UnitDate;

use crate::world::World;

type Source<'a> = (&'a TenantId, &'a SourceId);
type Failures = Vec<(FailureClass, &'static str, (UnitDate, Generation))>;

/// What the database said of a group of units when the task was taken.
pub type Prepared = BTreeMap<UnitDate, State>;

/// How the transaction of a group went.
enum Outcome {
    Done(Vec<Committed>),
    /// The world changed under it.
    Busy,
    Failed(FailureClass),
}

/// Looks at what is wanted.
pub async fn prepare(own: &Object, at: Source<'_>, units: &[CommitUnit]) -> Result<Vec<Prepared>> {
    let mut prepared = Vec::new();
    for group in plan::groups(units) {
        prepared.push(flip::states(own, at, &group).await?);
    }
    Ok(prepared)
}

/// Commits the units of a task as [`emitter::ledger::commit`] does, from what was found when it was taken.
pub async fn commit(
    world: &mut World,
    own: &mut Object,
    at: Source<'_>,
    units: &[CommitUnit],
    prepared: &[Prepared],
) -> Result<(Vec<Committed>, Failures)> {
    let (mut done, mut failed) = (Vec::new(), Failures::new());
    for (group, states) in plan::groups(units).into_iter().zip(prepared) {
        match store(world, own, at, &group, states).await? {
            Outcome::Done(committed) => {
                done.extend(committed);
                continue;
            }
            Outcome::Failed(class) if group.len() == 1 => {
                failed.extend(group.iter().map(|u| (class, "rows", (u.date, u.generation))));
                continue;
            }
            Outcome::Busy | Outcome::Failed(_) => {}
        }
        for unit in group {
            let mut class = FailureClass::Transient;
            for _ in 0..2 {
                let states = flip::states(own, at, &[unit]).await?;
                match store(world, own, at, &[unit], &states).await? {
                    Outcome::Done(committed) => {
                        done.extend(committed);
                        break;
                    }
                    Outcome::Busy => {}
                    Outcome::Failed(of) => {
                        class = of;
                        break;
                    }
                }
            }
            if done.iter().all(|done| (done.date, done.generation) != (unit.date, unit.generation))
            {
                failed.push((class, "rows", (unit.date, unit.generation)));
            }
        }
    }
    Ok((done, failed))
}

async fn store(
    world: &mut World,
    own: &mut Object,
    at: Source<'_>,
    units: &[&CommitUnit],
    states: &Prepared,
) -> Result<Outcome> {
    let (mut done, mut works) = (Vec::new(), Vec::new());
    for unit in units {
        let of = |visible| Committed { date: unit.date, generation: unit.generation, visible };
        match plan::step(unit, states) {
            Step::AlreadyVisible => done.push(of(true)),
            Step::Superseded => done.push(of(false)),
            Step::Store(work) => works.push(work),
        }
    }
    let holds = |stream, date, manifest: &_| world.holds(stream, at.1, date, manifest);
    let here = |work: &Work<'_>| {
        let (unit, date) = (work.unit, work.unit.date);
        holds(Stream::Row, date, &unit.rows)
            && (!work.store_lines || holds(Stream::Line, date, &unit.lines))
            && unit.resolutions.as_ref().is_none_or(|resolutions| {
                !work.archive_resolutions || holds(Stream::Resolution, date, resolutions)
            })
    };
    if !works.iter().all(here) {
        return Ok(Outcome::Failed(FailureClass::InputMissing));
    }
    if works.is_empty() {
        return Ok(Outcome::Done(done));
    }
    let stored = {
        let txn = own.transaction().await?;
        match fill_and_flip(&txn, at, &works).await {
            Ok(true) => txn.commit().await.map(|()| true).map_err(Into::into),
            Ok(false) => txn.rollback().await.map(|()| false).map_err(Into::into),
            Err(error) => Err(error),
        }
    };
    match stored {
        Ok(true) => {}
        Ok(false) => {
            world.counts.fenced += 1;
            return Ok(Outcome::Busy);
        }
        Err(error) if is_wanted(&error) => return Ok(Outcome::Failed(FailureClass::Transient)),
        // Another commit from the same lines was faster.
        Err(error) if code(&error) == Some(SqlState::UNIQUE_VIOLATION) => {
            world.counts.fenced += 1;
            return Ok(Outcome::Busy);
        }
        Err(error) => return Err(error),
    }
    for work in works {
        let (date, generation) = (work.unit.date, work.unit.generation);
        let sql = "select wanted_generation = $4 and visible_generation = $4 from pipeline_state
                   where tenant = $1 and source = $2 and date = $3::text::date";
        let sql = own.prepare_cached(sql).await?;
        let (tenant, source) = (at.0.as_str(), at.1.as_str());
        let row =
            own.query_one(&sql, &[&tenant, &source, &date.to_string(), &generation.0]).await?;
        ensure!(
            row.get::<_, bool>(0),
            "{date} became visible as {generation}, which is not wanted"
        );
        world.counts.flips += 1;
        done.push(Committed { date, generation, visible: true });
    }
    Ok(Outcome::Done(done))
}

async fn fill_and_flip(txn: &Transaction<'_>, at: Source<'_>, works: &[Work<'_>]) -> Result<bool> {
    for work in works {
        if work.store_lines && work.unit.lines.items > 0 {
            archive(txn, at, work, ("line", work.lines_generation, work.unit.lines.hash)).await?;
        }
        if let Some((generation, hash)) = work.resolutions.filter(|_| work.archive_resolutions) {
            archive(txn, at, work, ("resolution", generation, hash)).await?;
        }
    }
    Ok(flip::flip(at, txn, works).await?)
}

async fn archive(
    txn: &Transaction<'_>,
    (tenant, source): Source<'_>,
    work: &Work<'_>,
    (kind, generation, hash): (&str, i64, Hash128),
) -> Result<()> {
    let sql = "insert into line_archive (tenant, source, date, kind, generation, batch, payload)
               values ($1, $2, $3::text::date, $4, $5, 0, $6)";
    let sql = txn.prepare_cached(sql).await?;
    let (tenant, source, date) = (tenant.as_str(), source.as_str(), work.unit.date.to_string());
    let payload = hash.0.as_slice();
    txn.execute(&sql, &[&tenant, &source, &date, &kind, &generation, &payload]).await?;
    Ok(())
}

/// Whether a transaction failed because the simulation said so.
fn is_wanted(error: &anyhow::Error) -> bool {
    code(error) == Some(SqlState::T_R_SERIALIZATION_FAILURE)
}

fn code(error: &anyhow::Error) -> Option<SqlState> {
    let of_postgres = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<tokio_postgres::Error>().and_then(|error| error.code().cloned())
    };
    error.chain().find_map(of_postgres)
}

/// Publishes what the archive holds at a new address.
pub async fn restore(
    world: &mut World,
    own: &Object,
    (tenant, source): Source<'_>,
    units: &[RestoreUnit],
    attempt: Attempt,
) -> Result<(Vec<Restored>, Failures)> {
    let (mut done, mut failed) = (Vec::new(), Failures::new());
    let sql = "select c.lines_hash, c.resolution_hash,
                 (select payload from line_archive a where a.tenant = $1 and a.source = $2 and a.date = s.date
                    and a.kind = 'line' and a.generation = c.lines_generation),
                 (select payload from line_archive a where a.tenant = $1 and a.source = $2 and a.date = s.date
                    and a.kind = 'resolution' and a.generation = c.resolution_generation)
               from pipeline_state s join commits c on c.tenant = $1 and c.source = $2 and c.date = s.date
                 and c.generation = s.visible_generation
               where s.tenant = $1 and s.source = $2 and s.date = $3::text::date";
    let sql = own.prepare_cached(sql).await?;
    for unit in units {
        let date = unit.date.to_string();
        let row = own.query_opt(&sql, &[&tenant.as_str(), &source.as_str(), &date]).await?;
        let digest = |at: usize| -> Result<Option<Hash128>> {
            let Some(row) = &row else { return Ok(None) };
            let bytes: Option<&[u8]> = row.get(at);
            bytes.map(|b| Ok(Hash128(b.try_into().context("16 bytes")?))).transpose()
        };
        if digest(0)? != Some(unit.lines) {
            let class = FailureClass::InputMissing;
            failed.push((class, "the archive", (unit.date, unit.generation)));
            continue;
        }
        ensure!(digest(2)? == digest(0)?, "the visible lines of {date} are not in the archive");
        ensure!(digest(3)? == digest(1)?, "the resolutions of {date} are not in the archive");
        let at = |stream| (stream, source, unit.date, unit.generation, attempt);
        let lines = world.publish(at(Stream::Line), digest(2)?)?;
        let resolutions = match digest(3)? {
            Some(hash) => Some(world.publish(at(Stream::Resolution), Some(hash))?),
            None => None,
        };
        done.push(Restored { date: unit.date, generation: unit.generation, lines, resolutions });
    }
    Ok((done, failed))
}

/// What readers see of a date.
pub struct Visible {
    pub generation: Generation,
    pub rows: Hash128,
}

/// The visible dates of a source, from the first to before the last.
pub async fn visible(
    own: &Object,
    (tenant, source): Source<'_>,
    (from, until): (UnitDate, UnitDate),
) -> Result<BTreeMap<UnitDate, Visible>> {
    let sql = "select s.date::text, c.generation, c.rows_hash from pipeline_state s join commits c
                 on c.tenant = s.tenant and c.source = s.source and c.date = s.date and c.generation = s.visible_generation
               where s.tenant = $1 and s.source = $2 and s.date >= $3::text::date and s.date < $4::text::date
               order by s.date";
    let sql = own.prepare_cached(sql).await?;
    let (from, until) = (from.to_string(), until.to_string());
    let rows = own.query(&sql, &[&tenant.as_str(), &source.as_str(), &from, &until]).await?;
    let of = |row: &tokio_postgres::Row| -> Result<(UnitDate, Visible)> {
        let (date, rows): (&str, &[u8]) = (row.get(0), row.get(2));
        let rows = Hash128(rows.try_into().context("16 bytes")?);
        Ok((date.parse()?, Visible { generation: Generation(row.get(1)), rows }))
    };
    rows.iter().map(of).collect()
}

//! Weights that the ledger adds up: which are wanted, which are in force, and who was calculated with which.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::Transaction;
use deadpool_postgres::tokio_postgres::Row;
use deadpool_postgres::tokio_postgres::types::ToSql;
use proto::driver::{DriverUse, DriverWeight, DriverWindow, lacking_hash};
use proto::ids::{Generation, SourceId, TenantId, UnitKey};
use proto::manifest::Manifest;
use proto::report::ComputedDriver;
use proto::task::DriverInput;
use proto::time::UnitDate;

use super::unit::HELD;
use super::{StateError, StateStore, execute, pack, parsed, plain, query, unit_key};
use crate::domain::backoff::ATTEMPTS_OF_A_RUN;

/// A window that is asked for.
#[derive(Debug, Clone)]
pub struct DriverWanted {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub window: DriverWindow,
    /// A source whose lines ask for it.
    pub source: SourceId,
    /// Whether its weights are those of what is visible now.
    pub fresh: bool,
    /// Whether it is being added up.
    pub out: bool,
    /// Whether it may be tried now.
    pub ready: bool,
    /// Whether a unit that counts is under way.
    pub moving: bool,
}

/// Of `pipeline_state p`: it is on its way to be visible.
fn moving() -> String {
    format!(
        "p.state in ('gathered', 'resolving', 'allocating', 'committing', 'restoring') and p.attempts < {ATTEMPTS_OF_A_RUN}
           and not (p.state = 'gathered' and {HELD})"
    )
}

/// The key of a window as parameters: driver, first day, first day after.
fn key(window: &DriverWindow) -> (&str, String, String) {
    (window.driver.as_str(), window.from.to_string(), window.until.to_string())
}

fn window_of(row: &Row, at: usize) -> Result<DriverWindow, StateError> {
    Ok(DriverWindow {
        driver: parsed("driver", row.get(at))?,
        from: parsed("from_date", row.get(at + 1))?,
        until: parsed("until_date", row.get(at + 2))?,
    })
}

impl StateStore {
    /// Windows that are asked for and not up to date, or being added up.
    pub(crate) async fn drivers_wanted_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<DriverWanted>, StateError> {
        let sql = format!(
            "select w.tenant, w.driver, w.from_date::text, w.until_date::text, w.source, w.fresh, w.task is not null,
               w.next_attempt_at <= now(),
               exists (select from pipeline_state p
                 join source_state s on s.tenant = p.tenant and s.source = p.source and s.in_force
                 where p.tenant = w.tenant and p.date >= w.from_date and p.date < w.until_date
                   and p.source = any(w.sources)
                   and {})
             from driver_windows w where not w.fresh or w.task is not null
             order by w.tenant, w.driver, w.from_date, w.until_date",
            moving()
        );
        let wanted = |row: &Row| {
            Ok(DriverWanted {
                tenant: parsed("tenant", row.get(0))?,
                window: window_of(row, 1)?,
                source: parsed("source", row.get(4))?,
                fresh: row.get(5),
                out: row.get(6),
                ready: row.get(7),
                moving: row.get(8),
            })
        };
        query(txn, "list wanted drivers", &sql, &[]).await?.iter().map(wanted).collect()
    }

    /// Notes that a window is being added up.
    pub(crate) async fn driver_dispatch_in_txn(
        txn: &Transaction<'_>,
        (wanted, name): (&DriverWanted, &str),
        generation: Generation,
        task: &str,
    ) -> Result<(), StateError> {
        let sql = "insert into drivers (tenant, driver, from_date, until_date, wanted_generation, task, dispatched_at, name)
                   values ($1, $2, $3::text::date, $4::text::date, $5, $6, now(), $7)
                   on conflict (tenant, driver, from_date, until_date)
                   do update set wanted_generation = $5, task = $6, dispatched_at = now(), name = $7";
        let (driver, from, until) = key(&wanted.window);
        let tenant = wanted.tenant.as_str();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&tenant, &driver, &from, &until, &generation.0, &task, &name];
        execute(txn, "dispatch a driver", sql, &parameters).await?;
        Ok(())
    }

    /// Puts weights in force, if they are those that are wanted; they are made again after `again`. Whether they were.
    pub(crate) async fn driver_computed_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: Generation,
        done: &ComputedDriver,
        again: Option<Duration>,
    ) -> Result<bool, StateError> {
        let sql = "update drivers set generation = $5, hash = $6, manifest = $7, basis = $8,
                     computed_at = now(), task = null, attempts = 0, last_error = null, next_attempt_at = now(),
                     lacking = null, lacks = 0, again_at = now() + make_interval(secs => $9)
                   where tenant = $1 and driver = $2 and from_date = $3::text::date and until_date = $4::text::date
                     and wanted_generation = $5 and task is not null";
        let (driver, from, until) = key(&done.window);
        let (tenant, manifest) = (tenant.as_str(), pack(&done.manifest)?);
        let hash = done.manifest.hash.0.as_slice();
        let again = again.map(|pause| pause.as_secs_f64());
        let parameters: [&(dyn ToSql + Sync); 9] =
            [&tenant, &driver, &from, &until, &generation.0, &hash, &manifest, &done.seen, &again];
        Ok(execute(txn, "put a driver in force", sql, &parameters).await? > 0)
    }

    /// Notes that wanted weights could not be had, and when they are asked for again. Those that are in force stay.
    pub(crate) async fn driver_lacks_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: Generation,
        reason: &str,
        again: impl Fn(i32) -> Option<Duration>,
    ) -> Result<(), StateError> {
        let sql = "select lacks from drivers where tenant = $1 and wanted_generation = $2 and task is not null
                   for update";
        let tenant = tenant.as_str();
        let rows = query(txn, "lock a driver", sql, &[&tenant, &generation.0]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let lacks = row.get::<_, i32>(0).saturating_add(1);
        let sql = "update drivers set task = null, attempts = 0, last_error = null, next_attempt_at = now(),
                     hash = coalesce(hash, $3), lacking = $4, lacks = $5, again_at = now() + make_interval(secs => $6)
                   where tenant = $1 and wanted_generation = $2 and task is not null";
        let (hash, reason) = (lacking_hash(), plain(reason));
        let again = again(lacks).map(|pause| pause.as_secs_f64());
        let parameters: [&(dyn ToSql + Sync); 6] =
            [&tenant, &generation.0, &hash.0.as_slice(), &reason, &lacks, &again];
        execute(txn, "note that a driver lacks its weights", sql, &parameters).await?;
        Ok(())
    }

    /// Keeps weights that were measured, for who asks why, instead of those before.
    pub(crate) async fn driver_weights_put_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        (window, generation): (&DriverWindow, Generation),
        weights: &[DriverWeight],
    ) -> Result<(), StateError> {
        let (driver, from, until) = key(window);
        let tenant = tenant.as_str();
        let sql = "delete from driver_weights where tenant = $1 and driver = $2 and from_date = $3::text::date
                     and until_date = $4::text::date";
        let of: [&(dyn ToSql + Sync); 4] = [&tenant, &driver, &from, &until];
        execute(txn, "forget weights", sql, &of).await?;
        let sql = "insert into driver_weights (tenant, driver, from_date, until_date, generation, within, party, currency, weight)
                   select $1, $2, $3::text::date, $4::text::date, $5, '', u.party, '', u.weight::numeric
                   from unnest($6::text[], $7::text[]) as u (party, weight)";
        for weights in weights.chunks(10_000) {
            let parties: Vec<&str> = weights.iter().map(|weight| weight.party.as_str()).collect();
            let numbers: Vec<String> =
                weights.iter().map(|weight| weight.weight.to_string()).collect();
            let parameters: [&(dyn ToSql + Sync); 7] =
                [&tenant, &driver, &from, &until, &generation.0, &parties, &numbers];
            execute(txn, "keep weights", sql, &parameters).await?;
        }
        Ok(())
    }

    /// Notes that weights could not be made, and when that is tried again.
    pub(crate) async fn driver_failed_in_txn(
        txn: &Transaction<'_>,
        tenant: &TenantId,
        generation: Generation,
        (reason, hopeless): (&str, bool),
        pause: impl Fn(i32) -> Duration,
    ) -> Result<(), StateError> {
        let sql = "select attempts from drivers where tenant = $1 and wanted_generation = $2 and task is not null
                   for update";
        let (tenant, reason) = (tenant.as_str(), plain(reason));
        let rows = query(txn, "lock a driver", sql, &[&tenant, &generation.0]).await?;
        let Some(row) = rows.first() else { return Ok(()) };
        let attempts = row.get::<_, i32>(0) + 1;
        // A single run does not wait for what trying again cannot mend.
        let attempts = if hopeless { attempts.max(ATTEMPTS_OF_A_RUN) } else { attempts };
        let sql = "update drivers set task = null, attempts = $3, last_error = $4,
                     next_attempt_at = now() + make_interval(secs => $5)
                   where tenant = $1 and wanted_generation = $2 and task is not null";
        let pause = pause(attempts).as_secs_f64();
        let parameters: [&(dyn ToSql + Sync); 5] =
            [&tenant, &generation.0, &attempts, &reason, &pause];
        execute(txn, "note a failed driver", sql, &parameters).await?;
        Ok(())
    }

    /// Removes up to `limit` windows that no date's rows were made with, and as many weights that are of no window, or
    /// of a generation that is no longer in force. Gives how many went.
    pub(crate) async fn drivers_tidy_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<u64, StateError> {
        let sql = "delete from drivers d using (
                     select tenant, driver, from_date, until_date from drivers d
                     where task is null and not exists (select from unit_drivers u where u.tenant = d.tenant
                       and u.driver = d.driver and u.from_date = d.from_date and u.until_date = d.until_date)
                     limit $1 for update skip locked) o
                   where (d.tenant, d.driver, d.from_date, d.until_date) = (o.tenant, o.driver, o.from_date, o.until_date)";
        let windows = execute(txn, "remove unused drivers", sql, &[&limit]).await?;
        // What is being made is written before it is reported.
        let sql = "delete from driver_weights where ctid = any(array(
                     select ctid from driver_weights w
                     where not exists (select from drivers d where d.tenant = w.tenant and d.driver = w.driver
                       and d.from_date = w.from_date and d.until_date = w.until_date
                       and (d.generation = w.generation or d.task is not null))
                     limit $1))";
        let weights = execute(txn, "remove unused weights", sql, &[&limit]).await?;
        Ok(windows + weights)
    }

    /// Takes back what has been added up for longer than `limit`.
    pub(crate) async fn drivers_overdue_in_txn(
        txn: &Transaction<'_>,
        limit: Duration,
    ) -> Result<(), StateError> {
        let sql = "update drivers set task = null, attempts = attempts + 1, last_error = 'it took too long'
                   where task is not null and dispatched_at < now() - make_interval(secs => $1)";
        execute(txn, "take overdue drivers back", sql, &[&limit.as_secs_f64()]).await?;
        Ok(())
    }

    /// Forgets what units' lines asked for.
    pub(crate) async fn unit_drivers_forget_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        dates: &[UnitDate],
    ) -> Result<(), StateError> {
        let sql = "delete from unit_drivers
                   where tenant = $1 and source = $2 and date = any($3::text[]::date[])";
        let dates: Vec<String> = dates.iter().map(ToString::to_string).collect();
        let of: [&(dyn ToSql + Sync); 3] = [&tenant.as_str(), &source.as_str(), &dates];
        execute(txn, "forget what units asked for", sql, &of).await?;
        Ok(())
    }

    /// Remembers what a unit's lines asked for. What is gone from the stream is forgotten, so that it is made again.
    pub(crate) async fn unit_drivers_put_in_txn(
        txn: &Transaction<'_>,
        unit: &UnitKey,
        uses: &[(DriverUse, Vec<SourceId>)],
    ) -> Result<(), StateError> {
        let (tenant, source, date) =
            (unit.tenant.as_str(), unit.source.as_str(), unit.date.to_string());
        for (used, sources) in uses {
            let (driver, from, until) = key(&used.window);
            if used.gone {
                let sql = "update drivers set hash = null, manifest = null, basis = null
                           where tenant = $1 and driver = $2 and from_date = $3::text::date
                             and until_date = $4::text::date and task is null";
                execute(txn, "forget a driver", sql, &[&tenant, &driver, &from, &until]).await?;
            }
            let sql = "insert into unit_drivers (tenant, source, date, driver, from_date, until_date, hash, sources)
                       values ($1, $2, $3::text::date, $4, $5::text::date, $6::text::date, $7, $8)";
            let hash = used.hash.as_ref().map(|hash| hash.0.as_slice());
            let sources: Vec<&str> = sources.iter().map(|source| source.as_str()).collect();
            let parameters: [&(dyn ToSql + Sync); 8] =
                [&tenant, &source, &date, &driver, &from, &until, &hash, &sources];
            execute(txn, "remember what a unit asked for", sql, &parameters).await?;
        }
        Ok(())
    }

    /// Up to `limit` visible units whose rows were made with other weights than those in force.
    pub(crate) async fn units_outdated_in_txn(
        txn: &Transaction<'_>,
        limit: i64,
    ) -> Result<Vec<UnitKey>, StateError> {
        let sql = "select distinct u.tenant, u.source, u.date::text from unit_drivers u
                   join drivers d using (tenant, driver, from_date, until_date)
                   join pipeline_state p on p.tenant = u.tenant and p.source = u.source and p.date = u.date
                   join source_state s on s.tenant = u.tenant and s.source = u.source and s.in_force
                   where p.state = 'visible' and d.hash is not null and u.hash is distinct from d.hash
                   order by 1, 2, 3 limit $1";
        query(txn, "list outdated units", sql, &[&limit]).await?.iter().map(unit_key).collect()
    }

    /// Weights in force of what the lines of some dates asked for.
    pub(crate) async fn unit_drivers_in_txn(
        txn: &Transaction<'_>,
        (tenant, source): (&TenantId, &SourceId),
        dates: &[UnitDate],
    ) -> Result<BTreeMap<UnitDate, Vec<DriverInput>>, StateError> {
        let sql = "select u.date::text, u.driver, u.from_date::text, u.until_date::text, d.manifest, d.hash = $4
                   from unit_drivers u join drivers d using (tenant, driver, from_date, until_date)
                   where u.tenant = $1 and u.source = $2 and u.date::text = any($3) and (d.manifest is not null or d.hash = $4)
                   order by u.date, u.driver, u.from_date, u.until_date";
        let dates: Vec<String> = dates.iter().map(UnitDate::to_string).collect();
        let lacking = lacking_hash();
        let lacking = lacking.0.as_slice();
        let (tenant, source) = (tenant.as_str(), source.as_str());
        let rows =
            query(txn, "list a unit's drivers", sql, &[&tenant, &source, &dates, &lacking]).await?;
        let mut inputs: BTreeMap<UnitDate, Vec<DriverInput>> = BTreeMap::new();
        for row in &rows {
            let window = window_of(row, 1)?;
            let stored = |e: rmp_serde::decode::Error| StateError::Stored {
                what: "manifest",
                of: window.driver.to_string(),
                why: e.to_string(),
            };
            let lacking: bool = row.get(5);
            let manifest = row.get::<_, Option<&[u8]>>(4).filter(|_| !lacking);
            let weights = manifest.map(rmp_serde::from_slice::<Manifest>).transpose();
            let weights = weights.map_err(stored)?;
            inputs.entry(parsed("date", row.get(0))?).or_default().push(DriverInput {
                driver: window.driver.clone(),
                window: window.from,
                until: Some(window.until),
                weights,
                lacking,
            });
        }
        Ok(inputs)
    }
}

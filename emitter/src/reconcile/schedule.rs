//! When which unit is compared: each within a period, and at most a fifth of the time, so that live work goes on.
//!
//! All processes take turns: whoever begins says until when nobody else does, and at the end for how long to rest. What
//! became visible is left alone for a while: it was verified when it was committed, and more of it may be coming.

use std::time::{Duration, Instant};

use deadpool_postgres::tokio_postgres::types::Type;
use proto::ids::UnitKey;
use runtime::observe::Metrics;
use runtime::store::Store;

use super::{check, record, unit};
use crate::error::EmitterError;
use crate::sql;

/// Units of each end of the queue, per turn.
const UNITS: i64 = 16;
/// How long a turn is believed in: one that takes longer, for a large unit, may meet another.
const TURN: Duration = Duration::from_secs(600);
/// A turn ends after so long, whatever is left.
const TURN_ENOUGH: Duration = Duration::from_secs(20);
/// For how long what became visible is left alone, at most a period.
const GRACE: Duration = Duration::from_secs(600);
/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Rest, in terms of work; and when units are late.
const REST: u32 = 4;
const REST_LATE: u32 = 1;

/// Compares units as they become due, every one within `period` where that can be done, until it is dropped.
pub async fn watch(store: Store, period: Duration, metrics: Metrics) {
    metrics.reconciles();
    let look_every = (period / 8).min(LOOK_EVERY);
    loop {
        if let Err(error) = turn(&store, period, &metrics).await {
            metrics.reconcile_checked("failed");
            let error = proto::fault::chain(&error);
            tracing::warn!(error, "failed to compare what is stored");
        }
        tokio::time::sleep(look_every).await;
    }
}

/// One turn, if nobody has it.
async fn turn(store: &Store, period: Duration, metrics: &Metrics) -> Result<(), EmitterError> {
    if !claim(store).await? {
        return Ok(());
    }
    let began = Instant::now();
    let worked = work(store, period, metrics).await;
    let rest = match &worked {
        Ok(true) => REST_LATE,
        Ok(false) | Err(_) => REST,
    };
    release(store, began.elapsed() * rest).await?;
    worked.map(|_| ())
}

/// Compares what is due; says whether some of it is late.
async fn work(store: &Store, period: Duration, metrics: &Metrics) -> Result<bool, EmitterError> {
    let began = Instant::now();
    let (due, late) = due(store, period).await?;
    for key in due {
        compare(store, &key, metrics).await?;
        if began.elapsed() > TURN_ENOUGH {
            break;
        }
    }
    Ok(late)
}

async fn compare(store: &Store, key: &UnitKey, metrics: &Metrics) -> Result<(), EmitterError> {
    let Some(checked) = check(store, key).await? else { return Ok(()) };
    record(store, key, &checked).await?;
    for difference in &checked.differences {
        let UnitKey { tenant, source, date } = key;
        let (generation, what) = (checked.generation, &difference.what);
        let (expected, found) = (&difference.expected, &difference.found);
        tracing::error!(%tenant, %source, %date, %generation, what, expected, found, "what is stored is not what it was made of");
    }
    metrics.reconcile_checked(if checked.differences.is_empty() { "clean" } else { "differs" });
    Ok(())
}

async fn claim(store: &Store) -> Result<bool, EmitterError> {
    let client = store.client().await?;
    let claimed =
        client.execute_typed(sql::RECONCILE_CLAIM, &[(&TURN.as_secs_f64(), Type::FLOAT8)]).await;
    Ok(claimed.map_err(EmitterError::sql("take a turn"))? > 0)
}

async fn release(store: &Store, rest: Duration) -> Result<(), EmitterError> {
    let client = store.client().await?;
    let released =
        client.execute_typed(sql::RECONCILE_RELEASE, &[(&rest.as_secs_f64(), Type::FLOAT8)]).await;
    released.map_err(EmitterError::sql("end a turn"))?;
    Ok(())
}

async fn due(store: &Store, period: Duration) -> Result<(Vec<UnitKey>, bool), EmitterError> {
    let client = store.client().await?;
    let (grace, period) = (GRACE.min(period).as_secs_f64(), period.as_secs_f64());
    let key =
        [(&UNITS as _, Type::INT8), (&grace as _, Type::FLOAT8), (&period as _, Type::FLOAT8)];
    let rows = client.query_typed(sql::RECONCILE_DUE, &key).await;
    let rows = rows.map_err(EmitterError::sql("look for units to compare"))?;
    let late = rows.iter().any(|row| row.get(3));
    Ok((rows.iter().map(unit).collect::<Result<_, _>>()?, late))
}

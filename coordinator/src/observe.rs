//! What the leading coordinator shows of the whole: read every few seconds beside its work, from Postgres and NATS.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::fault::chain;
use proto::manifest::Totals;
use proto::money::ExactSum;
use proto::subject::Step;
use runtime::bus::Bus;
use runtime::observe::Labels;
use runtime::observe::Metrics;
use runtime::observe::sampled::{self, Gauge, Sample};
use runtime::settings::Settings;

use crate::CoordinatorError;
use crate::domain::unit::UnitState;
use crate::store::StateStore;

/// How old a sample becomes.
const EVERY: Duration = Duration::from_secs(5);
/// The same for what takes longer to look at.
const SLOW_EVERY: Duration = Duration::from_secs(60);
/// Tenants with a series of their own; the others share one. No tenant can be called so.
const TENANTS_MAX: usize = 100;
const OTHERS: &str = "_other";

/// Looks again and again, until it is dropped.
pub async fn watch(state: StateStore, bus: Bus, settings: Settings, metrics: Metrics) {
    let (shards, every) = (settings.shards, settings.reconcile_every);
    let mut slow: Option<(Instant, Vec<Sample>)> = None;
    loop {
        let looked = async {
            let mut samples = of_state(&state).await?;
            if slow.as_ref().is_none_or(|(at, _)| at.elapsed() > SLOW_EVERY) {
                slow = Some((Instant::now(), of_state_slowly(&state, every).await?));
            }
            samples.extend(slow.iter().flat_map(|(_, samples)| samples.clone()));
            samples.extend(of_bus(&bus, shards).await?);
            Ok::<_, CoordinatorError>(samples)
        };
        match looked.await {
            Ok(samples) => metrics.sampled(samples),
            // The sample before stays; that nothing moves shows in the leader's own readiness.
            Err(error) => tracing::debug!(error = chain(&error), "failed to look for metrics"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn sample<const N: usize>(gauge: Gauge, labels: [(&'static str, &str); N], value: f64) -> Sample {
    let labels: Labels = labels.into_iter().map(|(name, of)| (name, of.to_owned())).collect();
    Sample { gauge, labels, value }
}

/// Counts are far below 2^53.
fn number(count: i64) -> f64 {
    count as f64
}

async fn of_state(state: &StateStore) -> Result<Vec<Sample>, CoordinatorError> {
    let mut samples = Vec::new();
    let units = state.observed_units().await?;
    let mut by_state: BTreeMap<&str, i64> = BTreeMap::new();
    for known in UnitState::ALL.iter().filter(|known| **known != UnitState::Visible) {
        by_state.insert(known.word(), 0);
    }
    let tenants = state.observed_tenants().await?;
    let mut lags: BTreeMap<&str, f64> = tenants.iter().map(|t| (t.as_str(), 0.0)).collect();
    let mut retrying = 0;
    for of in &units {
        *by_state.entry(&of.state).or_default() += of.count;
        // What is quarantined waits for a person, and is shown by its state.
        if of.state != UnitState::Quarantined.word() {
            let lag = lags.entry(&of.tenant).or_default();
            *lag = lag.max(of.oldest);
            retrying += of.retrying;
        }
    }
    for (state, count) in by_state {
        samples.push(sample(sampled::UNITS, [("state", state)], number(count)));
    }
    samples.push(sample(sampled::RETRYING, [], number(retrying)));
    for (tenant, lag) in longest(lags) {
        samples.push(sample(sampled::LAG, [("tenant", &tenant)], lag));
    }
    let mut tasks: BTreeMap<String, (i64, f64)> =
        STEPS.iter().map(|step| (step.to_string(), (0, 0.0))).collect();
    tasks.insert("emit".to_owned(), (0, 0.0));
    for (step, count, oldest) in state.observed_tasks().await? {
        tasks.insert(step, (count, oldest));
    }
    for (step, (count, oldest)) in &tasks {
        samples.push(sample(sampled::TASKS_OUT, [("step", step)], number(*count)));
        samples.push(sample(sampled::OLDEST_TASK, [("step", step)], *oldest));
    }
    let gathers = state.observed_gathers().await?;
    samples.push(sample(sampled::SOURCES_FAILING, [], number(gathers.failing)));
    samples.push(sample(sampled::GATHER_AGE, [], gathers.oldest));
    for (gauge, of_sources) in [
        (sampled::SOURCE_FAILING, state.observed_failing().await?),
        (sampled::SLA_OPEN, state.observed_breaches().await?),
    ] {
        for (tenant, source, value) in of_sources {
            samples.push(sample(gauge, [("tenant", &tenant), ("source", &source)], value));
        }
    }
    for guard in state.observed_guards().await? {
        let [tenant, source, class, kind] = &guard.key;
        let of = [("tenant", tenant), ("source", source), ("class", class), ("type", kind)];
        let of = of.map(|(name, value)| (name, value.as_str()));
        samples.push(sample(sampled::GUARD_STREAK, of, f64::from(guard.streak)));
        samples.push(sample(sampled::GUARD_WAITING, of, number(guard.waiting)));
    }
    Ok(samples)
}

/// Steps that there are without any emitter.
const STEPS: [Step; 8] = [
    Step::Gather,
    Step::Resolve,
    Step::Driver,
    Step::Measure,
    Step::Allocate,
    Step::Commit,
    Step::Restore,
    Step::Remove,
];

async fn of_state_slowly(
    state: &StateStore,
    reconcile_every: u64,
) -> Result<Vec<Sample>, CoordinatorError> {
    let provisional = state.observed_provisional().await?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut others = 0;
    for (at, (tenant, count)) in provisional.iter().enumerate() {
        if at < TENANTS_MAX {
            let of = [("tenant", tenant.as_str())];
            samples.push(sample(sampled::PROVISIONAL, of, number(*count)));
        } else {
            others += count;
        }
    }
    samples.push(sample(sampled::PROVISIONAL, [("tenant", OTHERS)], number(others)));
    let quarantined = state.observed_quarantined().await?;
    samples.push(sample(sampled::QUARANTINED, [], number(quarantined)));
    let reconciled = state.observed_reconciled().await?;
    samples.push(sample(sampled::RECONCILE_FINDINGS, [], number(reconciled.findings)));
    if reconcile_every > 0 {
        samples.push(sample(sampled::RECONCILE_AGE, [], reconciled.oldest));
        samples.push(sample(sampled::RECONCILE_EVERY, [], reconcile_every as f64));
    }
    Ok(samples)
}

async fn of_bus(bus: &Bus, shards: u32) -> Result<Vec<Sample>, CoordinatorError> {
    let mut samples = Vec::new();
    for usage in bus.stream_usage().await? {
        let of = [("stream", usage.stream.name())];
        samples.push(sample(sampled::STREAM_MESSAGES, of, usage.messages as f64));
        samples.push(sample(sampled::STREAM_BYTES, of, usage.bytes as f64));
        if let Some(max) = usage.bytes_max {
            samples.push(sample(sampled::STREAM_BYTES_MAX, of, max as f64));
        }
    }
    for (queue, lane, pending, held) in bus.queue_usage(shards).await? {
        let of = [("queue", queue.token()), ("lane", lane.token())];
        samples.push(sample(sampled::QUEUE_PENDING, of, pending as f64));
        samples.push(sample(sampled::QUEUE_HELD, of, held as f64));
    }
    Ok(samples)
}

/// The longest lags by tenant, and the longest of all the others as one.
fn longest(lags: BTreeMap<&str, f64>) -> Vec<(String, f64)> {
    let mut lags: Vec<(String, f64)> =
        lags.into_iter().map(|(tenant, lag)| (tenant.to_owned(), lag)).collect();
    if lags.len() <= TENANTS_MAX {
        return lags;
    }
    // Milliseconds have an order, which floats lack.
    lags.sort_by_cached_key(|(_, lag)| {
        Reverse(Duration::try_from_secs_f64(*lag).unwrap_or_default())
    });
    let others = lags.split_off(TENANTS_MAX);
    lags.extend(others.first().map(|(_, lag)| (OTHERS.to_owned(), *lag)));
    lags
}

/// Shows what rows and their lines differ by, per currency and billing period: the ledger refuses anything but 0.
pub(crate) fn reconcile(metrics: &Metrics, lines: &Totals, rows: &Totals) {
    let mut differences: BTreeMap<_, ExactSum> = BTreeMap::new();
    for (currency, period, sums) in lines.iter() {
        differences.entry((currency, period)).or_default().merge(&sums.amount);
    }
    for (currency, period, sums) in rows.iter() {
        differences.entry((currency, period)).or_default().merge(&sums.amount.negated());
    }
    for ((currency, _), difference) in differences {
        metrics.reconciled(&currency.to_string(), &difference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_tenants_makes_more_series_than_allowed() {
        let names: Vec<String> = (0..1_000).map(|n| format!("t{n:04}")).collect();
        let lags =
            || names.iter().enumerate().map(|(n, name)| (name.as_str(), f64::from(n as u32)));
        let shown = longest(lags().collect());
        assert_eq!(shown.len(), TENANTS_MAX + 1);
        assert_eq!(shown[0], ("t0999".to_owned(), 999.0));
        assert_eq!(shown[TENANTS_MAX], (OTHERS.to_owned(), 899.0));
        assert_eq!(longest(lags().take(3).collect()).len(), 3);
    }
}

//! Weights of metric drivers: one question for a window, whatever the number of those who have weights in it.

use proto::config::TenantConfig;
use proto::config::metric_driver::MetricDriver;
use proto::driver::{BATCH_WEIGHTS, DriverBatch, DriverWeight, DriverWindow, WEIGHTS_MAX};
use proto::fault::chain;
use proto::money::Amount;
use proto::report::{ComputedDriver, Report};
use proto::task::ComputeDriver;
use runtime::data::BatchWriter;
use runtime::worker::TaskContext;

use crate::error::GatherError;
use crate::metrics::{self, MetricQuery, Sampling, Shape, Window};

/// Characters that are told of what could not be had.
const LACKING_CHARS: usize = 2_000;

/// Asks for the weights of a window and publishes them. That they cannot be had is told, and is no error.
///
/// # Errors
/// When the configuration has no such driver, or NATS does not take the weights.
pub async fn measure(
    context: &TaskContext,
    config: &TenantConfig,
    task: &ComputeDriver,
) -> Result<Vec<Report>, GatherError> {
    let drivers = config.metric_drivers();
    let driver = drivers.get(&task.driver).ok_or_else(|| {
        GatherError::Config(format!("the configuration has no metric driver {}", task.driver))
    })?;
    let (from, until) = (task.from, task.until);
    let window = DriverWindow { driver: task.driver.clone(), from, until };
    let (weights, lacking) = match weights(config, driver, &window).await {
        Ok(weights) => (weights, None),
        Err(why) => (Vec::new(), Some(why.chars().take(LACKING_CHARS).collect())),
    };
    let at = (context.tenant(), context.source());
    let (generation, attempt) = (context.header.generation, context.attempt);
    let mut writer = BatchWriter::of_driver(&context.bus, at, &window, generation, attempt);
    for batch in weights.chunks(BATCH_WEIGHTS) {
        batch.iter().for_each(|weight| writer.manifest.add_item(weight.hash()));
        writer.write(&DriverBatch::new(batch), batch.len()).await?;
        context.progress.tick();
    }
    let manifest = writer.finish().await?;
    let (tenant, name) = (context.tenant(), &driver.name);
    tracing::info!(%tenant, driver = name, %from, %until, weights = manifest.items, lacking, "measured a driver");
    Ok(vec![Report::Driver(ComputedDriver { window, manifest, seen: String::new(), lacking })])
}

/// The weights, sorted by who has them; or why they cannot be had.
async fn weights(
    config: &TenantConfig,
    driver: &MetricDriver,
    window: &DriverWindow,
) -> Result<Vec<DriverWeight>, String> {
    let name = &driver.name;
    let asked = config.source(&driver.source).and_then(|source| source.metrics.as_ref());
    let asked = asked.ok_or_else(|| {
        format!("driver {name}: source {} has no `metrics` to ask", driver.source)
    })?;
    let source = metrics::source(asked).map_err(|error| chain(&error))?;
    let query = [MetricQuery {
        name: name.clone(),
        expression: driver.query.clone(),
        labels: vec![driver.label.clone()],
        sampling: Sampling::Backward,
        shape: Shape::Range { step: driver.step },
    }];
    let (start, end) = (window.from.start(), window.until.start());
    let outcome = source.fetch(&query, Window { start, end }).await.pop();
    let outcome = outcome.ok_or_else(|| format!("driver {name}: no answer"))?;
    let table = outcome.whole().map_err(|error| chain(&error))?;
    let mut weights = Vec::new();
    for (key, sum) in table.sums(&[&driver.label]) {
        let party = key.first().copied().flatten().unwrap_or_default();
        if party.trim().is_empty() || sum.is_negative() || sum.is_zero() {
            continue;
        }
        let weight = sum.priced(Amount::ONE, 1, 1).ok_or_else(|| {
            format!("driver {name}: the usage of {party} is too large: divide it in the query")
        })?;
        let (within, party) = (String::new(), party.to_owned());
        let (window_start, window_end) = (start, end);
        weights.push(DriverWeight {
            window_start,
            window_end,
            within,
            party,
            weight,
            currency: None,
        });
    }
    if weights.len() > WEIGHTS_MAX {
        let DriverWindow { from, until, .. } = window;
        return Err(format!(
            "driver {name} has more than {WEIGHTS_MAX} weights from {from} until {until}: add series up in the query"
        ));
    }
    Ok(weights)
}

//! The kinds of sources: one folder each.

#[cfg(feature = "http")]
pub mod confluent;
pub mod cursor;
pub mod focus;
#[cfg(feature = "http")]
pub mod measured;
pub mod synthetic;

use proto::config::{MeasuredSettings, SourceConfig, SourceSettings};

use crate::error::GatherError;
use crate::ports::EcosystemPlugin;

/// The plugin that a source is configured for.
///
/// # Errors
/// When its kind is known, but does not run yet.
pub fn plugin(config: &SourceConfig) -> Result<Box<dyn EcosystemPlugin>, GatherError> {
    match &config.settings {
        SourceSettings::Focus(settings) => Ok(Box::new(focus::Focus(settings.clone()))),
        SourceSettings::Synthetic(settings) => Ok(Box::new(synthetic::Synthetic(settings.clone()))),
        SourceSettings::SelfManagedKafka(settings) => measured(config, settings, "Apache Kafka"),
        SourceSettings::GenericMetrics(settings) => measured(config, settings, "Metrics"),
        #[cfg(feature = "http")]
        SourceSettings::ConfluentCloud(settings) => {
            Ok(Box::new(confluent::Confluent::new(settings, config.metrics.as_ref())?))
        }
        #[cfg(not(feature = "http"))]
        SourceSettings::ConfluentCloud(_) => Err(GatherError::Config(format!(
            "source {} is asked over HTTP, which this build cannot: build with feature `http`",
            config.id
        ))),
        SourceSettings::Unbuilt { kind, .. } => Err(GatherError::Config(format!(
            "source {} is of kind {kind}, which does not run yet: remove it, or use focus",
            config.id
        ))),
    }
}

#[cfg(feature = "http")]
fn measured(
    config: &SourceConfig,
    settings: &MeasuredSettings,
    service: &'static str,
) -> Result<Box<dyn EcosystemPlugin>, GatherError> {
    Ok(Box::new(measured::Measured::new(config, settings, service)?))
}

#[cfg(not(feature = "http"))]
fn measured(
    config: &SourceConfig,
    _: &MeasuredSettings,
    _: &'static str,
) -> Result<Box<dyn EcosystemPlugin>, GatherError> {
    let (id, kind) = (&config.id, config.kind());
    let text = format!("source {id} is of kind {kind}, and this program was built without `http`");
    Err(GatherError::Config(text))
}

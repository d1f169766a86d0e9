//! The kinds of sources: one folder each.

pub mod cursor;
pub mod focus;
pub mod synthetic;

use proto::config::{SourceConfig, SourceSettings};

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
        SourceSettings::Unbuilt { kind, .. } => Err(GatherError::Config(format!(
            "source {} is of kind {kind}, which does not run yet: remove it, or use focus",
            config.id
        ))),
    }
}

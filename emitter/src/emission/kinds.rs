//! Which implementation a configured emitter has.

use proto::config::EmitterConfig;

use super::Emitter;
use crate::csv::Csv;
use crate::error::EmitterError;
use crate::files::FileEmitter;
use crate::focus::Focus;

/// The emitter that `settings` ask for; relative folders start at `folder`.
///
/// # Errors
/// When the kind is not built yet, or cannot do what is asked of it.
pub fn open(settings: &EmitterConfig, folder: &str) -> Result<Box<dyn Emitter>, EmitterError> {
    match settings.kind.as_str() {
        "csv" => Ok(Box::new(FileEmitter::new(settings, folder, Csv::new(settings)?)?)),
        "focus" | "parquet" => {
            Ok(Box::new(FileEmitter::new(settings, folder, Focus::new(settings)?)?))
        }
        kind => {
            let text = format!(
                "emitter {}: kind {kind} is not built yet; use csv, focus or parquet, or remove the emitter",
                settings.id
            );
            Err(EmitterError::Settings(text))
        }
    }
}

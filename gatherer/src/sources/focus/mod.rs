//! Source `focus`: FOCUS Cost and Usage files, 1.0 to 1.3: CSV, plain or compressed with gzip or zstd, or Parquet.
//!
//! | file | what |
//! |---|---|
//! | [`files`] | which files there are, and whether they are what they were |
//! | [`plan`] | what of them must be read (pure) |
//! | [`input`] | the records of a file, whatever its format |
//! | [`open`], [`records`] | bytes of CSV to records |
//! | `parquet` | rows of Parquet to records |
//! | [`columns`], [`header`] | what stands where (pure) |
//! | [`map`], [`cells`], [`refusal`] | records to lines, or to what is kept of them (pure) |
//! | [`codec`] | lines as bytes whose order is the canonical order (pure) |
//! | [`read`], [`collect`] | one gather |
//!
//! What a cell means: empty, blank or `NULL` is no value. Enumerations get FOCUS' letter case; times of FOCUS, its
//! numbers and tags their one form, so that a bill has the same lines whatever wrote it: UTC to the second or finer,
//! numbers by value, keys of tags in order. Every other text stays as it stands, the provider's own columns too. Columns that FOCUS does not know are kept by the name the file gives them. A measure that is missing
//! equals the amount; an unreadable one refuses the record. An unreadable quantity stays as text, with a warning.
//! Times that say more than whole seconds, and billing periods that do not start a month, are also kept as text.

pub mod cells;
pub mod codec;
pub mod collect;
pub mod columns;
pub mod error;
pub mod files;
pub mod header;
pub mod input;
pub mod map;
pub mod open;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod plan;
pub mod read;
pub mod records;
pub mod refusal;

#[cfg(test)]
mod tests;

use std::path::Path;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::FocusSettings;

pub use error::FocusError;

use crate::error::GatherError;
use crate::ports::{
    CostInput, EcosystemPlugin, GatherRequest, Harvest, IdentityResolver, ServiceHandler,
};

/// A `focus` source.
pub struct Focus(pub FocusSettings);

impl EcosystemPlugin for Focus {
    fn cost_input(&self) -> &dyn CostInput {
        self
    }
    fn service_handlers(&self) -> Vec<&dyn ServiceHandler> {
        Vec::new()
    }
    fn identity_resolver(&self) -> Option<&dyn IdentityResolver> {
        None
    }
}

impl CostInput for Focus {
    fn available<'a>(
        &'a self,
        request: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<(), GatherError>> {
        let (folder, files) = (request.task.folder.clone(), self.0.files.clone());
        let look = move || files::readable(Path::new(&folder), &files);
        async move {
            let looked = tokio::task::spawn_blocking(look).await;
            Ok(looked.map_err(|e| GatherError::Thread(e.to_string()))??)
        }
        .boxed()
    }
    fn collect(
        &self,
        request: GatherRequest,
    ) -> BoxFuture<'_, Result<Box<dyn Harvest>, GatherError>> {
        let settings = self.0.clone();
        let read = move || -> Result<Box<dyn Harvest>, GatherError> {
            Ok(Box::new(collect::collect(&request, &settings)?))
        };
        async move {
            tokio::task::spawn_blocking(read)
                .await
                .map_err(|e| GatherError::Thread(e.to_string()))?
        }
        .boxed()
    }
}

//! Canonical bytes, and which hash changes when.
//!
//! | hash | changes with | used for |
//! |---|---|---|
//! | [`TenantConfig::config_hash`] | anything in the configuration, or the engine | naming a configuration version |
//! | [`TenantConfig::rules_hash`] | what can change a row of one (source, date) | which units to calculate again |
//! | [`TenantConfig::gather_hash`] | what can change a source's lines | whether a source must be read again |
//! | [`TenantConfig::resolve_hash`] | what can change a source's resolutions | which units to resolve again |

use serde::Serialize;

use super::metrics::MetricsConfig;
use super::source::{SourceConfig, SourceSettings};
use super::visible::Visible;
use super::{Duplicates, TenantConfig};
use crate::currency::Currency;
use crate::hash::Hash128;
use crate::ids::SourceId;
use crate::line::Measure;
use crate::time::UnitDate;

/// Raised when the same lines and rules give other rows than before: every unit is then calculated again.
pub const ENGINE_VERSION: u32 = 1;

/// Raised when the same files give other lines than before: every source is then read again.
pub const READER_VERSION: u32 = 1;

/// A configuration that has no canonical bytes, or bytes that are no configuration.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// Writing failed.
    #[error("the configuration of tenant {tenant} cannot be written")]
    Write {
        /// Whose.
        tenant: String,
        /// Why.
        source: rmp_serde::encode::Error,
    },
    /// Reading failed.
    #[error("these bytes are no configuration")]
    Read(#[from] rmp_serde::decode::Error),
    /// The bytes are not those that the hash names.
    #[error("configuration {expected} was asked for, and these bytes are {found}")]
    Hash {
        /// The hash that names the wanted configuration.
        expected: Hash128,
        /// The hash of the bytes.
        found: Hash128,
    },
    /// The tenant has no such source.
    #[error("tenant {tenant} has no source {source_id}")]
    NoSource {
        /// Whose configuration.
        tenant: String,
        /// The source that was asked for.
        source_id: SourceId,
    },
}

impl TenantConfig {
    /// The canonical bytes: named MessagePack, the same for the same configuration everywhere.
    ///
    /// # Errors
    /// When the encoder fails, which no configuration is known to cause.
    pub fn to_canonical(&self) -> Result<Vec<u8>, CanonicalError> {
        self.bytes_of(self)
    }

    /// Reads canonical bytes without asking which configuration they are.
    ///
    /// # Errors
    /// When they are none.
    pub fn from_canonical(bytes: &[u8]) -> Result<Self, CanonicalError> {
        Ok(rmp_serde::from_slice(bytes)?)
    }

    /// Reads the canonical bytes of the configuration that `expected` names.
    ///
    /// # Errors
    /// When they are no configuration, or another one.
    pub fn from_canonical_checked(bytes: &[u8], expected: Hash128) -> Result<Self, CanonicalError> {
        let found = Self::hash_of_canonical(bytes);
        if found != expected {
            return Err(CanonicalError::Hash { expected, found });
        }
        Self::from_canonical(bytes)
    }

    /// [`Self::config_hash`] of the configuration with these canonical bytes.
    #[must_use]
    pub fn hash_of_canonical(bytes: &[u8]) -> Hash128 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"apportion config\n").update(&ENGINE_VERSION.to_le_bytes()).update(bytes);
        Hash128::finish(&hasher.finalize())
    }

    /// Names the configuration version: everything in it, and the engine.
    ///
    /// # Errors
    /// See [`Self::to_canonical`].
    pub fn config_hash(&self) -> Result<Hash128, CanonicalError> {
        Ok(Self::hash_of_canonical(&self.to_canonical()?))
    }

    /// What can change a row of (`source`, `date`): the rules that hold then, the tags, tables, groups, drivers and
    /// owners that they can see, the source's `cost` and `owner`, the engine.
    ///
    /// # Errors
    /// When there is no such source; see [`Self::to_canonical`].
    pub fn rules_hash(&self, source: &SourceId, date: UnitDate) -> Result<Hash128, CanonicalError> {
        let source = self.source_or_error(source)?;
        self.hash("apportion rules\n", &Visible::of(self, source, date))
    }

    /// What can change the lines of `source`: its settings apart from `owner`, the tenant's currencies and window of
    /// dates, the reader.
    ///
    /// # Errors
    /// When there is no such source; see [`Self::to_canonical`].
    pub fn gather_hash(&self, source: &SourceId) -> Result<Hash128, CanonicalError> {
        let source = self.source_or_error(source)?;
        let reading = match &source.settings {
            SourceSettings::Focus(focus) => Reading::Focus {
                files: &focus.files,
                cost: focus.cost,
                duplicates: focus.duplicates,
            },
            other @ (SourceSettings::Synthetic(_)
            | SourceSettings::SelfManagedKafka(_)
            | SourceSettings::GenericMetrics(_)
            | SourceSettings::ConfluentCloud(_)
            | SourceSettings::Unbuilt { .. }) => Reading::Other(other),
        };
        let view = Gathered {
            reader: READER_VERSION,
            kind: source.kind(),
            reading,
            metrics: source.metrics.as_ref(),
            currency: &self.currency,
            lookback_days: self.lookback_days,
            cutoff_days: self.cutoff_days,
            retention_days: self.retention_days,
        };
        self.hash("apportion gather\n", &view)
    }

    pub(super) fn source_or_error(&self, id: &SourceId) -> Result<&SourceConfig, CanonicalError> {
        self.source(id).ok_or_else(|| CanonicalError::NoSource {
            tenant: self.tenant.to_string(),
            source_id: id.clone(),
        })
    }

    pub(super) fn hash(
        &self,
        domain: &str,
        view: &impl Serialize,
    ) -> Result<Hash128, CanonicalError> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(domain.as_bytes()).update(&self.bytes_of(view)?);
        Ok(Hash128::finish(&hasher.finalize()))
    }

    fn bytes_of(&self, value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
        rmp_serde::to_vec_named(value)
            .map_err(|source| CanonicalError::Write { tenant: self.tenant.to_string(), source })
    }
}

#[derive(Serialize)]
struct Gathered<'a> {
    reader: u32,
    kind: &'a str,
    reading: Reading<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<&'a MetricsConfig>,
    currency: &'a [Currency],
    lookback_days: Option<u32>,
    cutoff_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u32>,
}

#[derive(Serialize)]
enum Reading<'a> {
    Focus { files: &'a [String], cost: Measure, duplicates: Duplicates },
    Other(&'a SourceSettings),
}

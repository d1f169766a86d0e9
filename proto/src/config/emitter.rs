//! Emitters: where visible dates go.

use serde::{Deserialize, Serialize};

use super::field::Field;
use crate::ids::EmitterId;

/// One configured emitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmitterConfig {
    /// Its id, unique in the tenant.
    pub id: EmitterId,
    /// `csv`, `focus`, …
    pub kind: String,
    /// Folder of its files, relative to the configuration folder unless absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// The format of its files.
    #[serde(default, skip_serializing_if = "FileFormat::is_csv")]
    pub format: FileFormat,
    /// How rows are added up.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// Rows with equal values of these are added up. Empty: the kind's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<Field>,
    /// Columns of the output, in order. Empty: the kind's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Only dates of the last so many days. `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback_days: Option<u32>,
    /// Version of the format, where the kind has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Decimals of the numbers in Parquet files, from 0 to [`DECIMALS_MAX`]. `None`: the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u32>,
}

/// The most decimals that a number has: [`crate::money::MAX_SCALE`].
pub const DECIMALS_MAX: u32 = crate::money::MAX_SCALE;

/// How the files of an emitter are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// CSV.
    #[default]
    Csv,
    /// Parquet.
    Parquet,
}

impl FileFormat {
    /// Whether it is CSV.
    #[must_use]
    pub fn is_csv(&self) -> bool {
        *self == Self::Csv
    }
    /// How the names of its files end, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// How rows are added up before they go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Every row as it is.
    #[default]
    None,
    /// Per hour.
    Hourly,
    /// Per day.
    Daily,
    /// Per month.
    Monthly,
}

//! Emitters: where visible dates go.

use serde::{Deserialize, Serialize};

use super::file_name::FileName;
use crate::ids::EmitterId;

/// The columns of CSV files, in their order.
pub const CSV_COLUMNS: [&str; 33] = [
    "ecosystem",
    "tenant_id",
    "source",
    "timestamp",
    "resource_id",
    "product_category",
    "product_type",
    "identity_id",
    "cost_type",
    "amount",
    "currency",
    "allocation_method",
    "allocation_detail",
    "line_id",
    "rule",
    "charge_period_end",
    "billing_period",
    "booking_period",
    "invoice_id",
    "provider",
    "billing_account_id",
    "sub_account_id",
    "service",
    "charge_category",
    "charge_class",
    "owner_id",
    "quantity",
    "unit",
    "billed",
    "effective",
    "contracted",
    "list",
    "entry",
];
/// Those of [`CSV_COLUMNS`] that are added up instead of grouped by, in the order of a file of sums. `quantity` is one
/// only where `unit` is grouped: quantities of two units are never added.
pub const CSV_SUMS: [&str; 6] = ["amount", "billed", "effective", "contracted", "list", "quantity"];
/// What rows of CSV files are grouped by where `group_by` is left out.
pub const CSV_GROUP_BY: [&str; 11] = [
    "ecosystem",
    "tenant_id",
    "source",
    "timestamp",
    "resource_id",
    "product_category",
    "product_type",
    "identity_id",
    "owner_id",
    "cost_type",
    CSV_CURRENCY,
];
/// Grouped by in any case: amounts of two currencies are never added.
pub const CSV_CURRENCY: &str = "currency";

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
    /// What its files are called. `None`: as [`EmitterConfig::file_name`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileName>,
    /// The format of its files.
    #[serde(default, skip_serializing_if = "FileFormat::is_csv")]
    pub format: FileFormat,
    /// How rows are added up.
    #[serde(default)]
    pub aggregation: Aggregation,
    /// Rows with equal cells in these columns are added up. Empty: the kind's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Columns of the output, in order. Empty: all that there are.
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
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Parquet => "Parquet",
        }
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

impl EmitterConfig {
    /// What its files are called: `file`, or the usual name, of a month where rows are added up by month.
    #[must_use]
    pub fn file_name(&self) -> FileName {
        let usual =
            || FileName::usual(self.aggregation == Aggregation::Monthly, self.format.ending());
        self.file.clone().unwrap_or_else(usual)
    }

    /// What rows of a CSV file are grouped by: `group_by` or [`CSV_GROUP_BY`], and the currency.
    #[must_use]
    pub fn csv_group_by(&self) -> Vec<&str> {
        if self.group_by.is_empty() {
            return CSV_GROUP_BY.to_vec();
        }
        let mut group: Vec<&str> = self.group_by.iter().map(String::as_str).collect();
        if !group.contains(&CSV_CURRENCY) {
            group.push(CSV_CURRENCY);
        }
        group
    }

    /// The columns that `columns` of a CSV file can choose from, in the order of a file without `columns`: all of them,
    /// or those grouped by and then the sums.
    #[must_use]
    pub fn csv_columns(&self) -> Vec<&str> {
        if self.aggregation == Aggregation::None {
            return CSV_COLUMNS.to_vec();
        }
        let mut columns = self.csv_group_by();
        let quantities = columns.contains(&"unit");
        columns.extend(CSV_SUMS.iter().filter(|name| quantities || **name != "quantity"));
        columns
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

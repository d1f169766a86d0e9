//! What a rule can look at on a line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that a line has. Text form: as users write it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// A FOCUS column, or a provider's column that starts with `x_`.
    Column(String),
    /// `tag.KEY`: the rest is the key verbatim, dots too. Keys compare trimmed, without case.
    Tag(String),
    /// `vtag.NAME`: a virtual tag of the configuration.
    VirtualTag(String),
    /// `table.NAME`: the value that a table of the configuration gives for the line.
    Table(String),
    /// The id of the line's source.
    Source,
    /// The line's product type.
    ProductType,
    /// The line's product category.
    ProductCategory,
    /// The line's resource.
    ResourceId,
}

/// A text that names no field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// `tag.` and the like without a name.
    #[error("{0:?} lacks a name after the dot")]
    Nameless(String),
    /// Neither a column nor one of the other forms.
    #[error(
        "{0:?} is not a field: write a FOCUS column, x_COLUMN, tag.KEY, vtag.NAME, table.NAME, source, product_type, product_category or resource_id"
    )]
    Unknown(String),
}

/// Fields that are neither a column nor named by the user.
pub const FIELD_WORDS: [&str; 4] = ["source", "product_type", "product_category", "resource_id"];

/// The Cost and Usage columns of FOCUS 1.0 to 1.3.
pub const FOCUS_COLUMNS: [&str; 65] = [
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractApplied",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
];

impl Field {
    /// Reads a field as users write it.
    ///
    /// # Errors
    /// When `text` is none.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        let named = |name: &str, make: fn(String) -> Self| {
            let name = name.trim();
            if name.is_empty() {
                Err(FieldError::Nameless(text.to_owned()))
            } else {
                Ok(make(name.to_owned()))
            }
        };
        if let Some(key) = text.strip_prefix("tag.") {
            return named(key, Self::Tag);
        }
        if let Some(name) = text.strip_prefix("vtag.") {
            return named(name, Self::VirtualTag);
        }
        if let Some(name) = text.strip_prefix("table.") {
            return named(name, Self::Table);
        }
        match text {
            "source" => Ok(Self::Source),
            "product_type" => Ok(Self::ProductType),
            "product_category" => Ok(Self::ProductCategory),
            "resource_id" => Ok(Self::ResourceId),
            column if FOCUS_COLUMNS.binary_search(&column).is_ok() => {
                Ok(Self::Column(column.to_owned()))
            }
            column if column.len() > 2 && column.starts_with("x_") => {
                Ok(Self::Column(column.to_owned()))
            }
            _ => Err(FieldError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.write_str(name),
            Self::Tag(key) => write!(f, "tag.{key}"),
            Self::VirtualTag(name) => write!(f, "vtag.{name}"),
            Self::Table(name) => write!(f, "table.{name}"),
            Self::Source => f.write_str("source"),
            Self::ProductType => f.write_str("product_type"),
            Self::ProductCategory => f.write_str("product_category"),
            Self::ResourceId => f.write_str("resource_id"),
        }
    }
}

impl FromStr for Field {
    type Err = FieldError;
    fn from_str(text: &str) -> Result<Self, FieldError> {
        Self::parse(text)
    }
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_and_print_alike() {
        for text in [
            "ServiceName",
            "x_Custom",
            "tag.a.b",
            "vtag.team",
            "table.accounts",
            "source",
            "resource_id",
        ] {
            assert_eq!(Field::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Field::parse("tag.a.b"), Ok(Field::Tag("a.b".to_owned())));
        assert!(matches!(Field::parse("tag. "), Err(FieldError::Nameless(_))));
        for bad in ["servicename", "x_", "cost", "", "Id"] {
            assert!(matches!(Field::parse(bad), Err(FieldError::Unknown(_))), "{bad}");
        }
    }

    #[test]
    fn columns_are_sorted_for_the_search() {
        assert!(FOCUS_COLUMNS.is_sorted());
    }
}

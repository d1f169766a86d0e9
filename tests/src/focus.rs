//! FOCUS 1.2 and 1.3 files: what they have to hold, told apart from the code that writes them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use proto::money::{Amount, ExactSum};
use serde_json::Value;

use crate::output::{Row, contents};

/// The columns of FOCUS 1.2: name, type, and whether it may be null.
const COLUMNS: &str = "
    AvailabilityZone text null
    BilledCost number some
    BillingAccountId text some
    BillingAccountName text null
    BillingAccountType text some
    BillingCurrency text some
    BillingPeriodEnd time some
    BillingPeriodStart time some
    CapacityReservationId text null
    CapacityReservationStatus text null
    ChargeCategory text some
    ChargeClass text null
    ChargeDescription text null
    ChargeFrequency text some
    ChargePeriodEnd time some
    ChargePeriodStart time some
    CommitmentDiscountCategory text null
    CommitmentDiscountId text null
    CommitmentDiscountName text null
    CommitmentDiscountQuantity number null
    CommitmentDiscountStatus text null
    CommitmentDiscountType text null
    CommitmentDiscountUnit text null
    ConsumedQuantity number null
    ConsumedUnit text null
    ContractedCost number some
    ContractedUnitPrice number null
    EffectiveCost number some
    InvoiceId text null
    InvoiceIssuerName text some
    ListCost number some
    ListUnitPrice number null
    PricingCategory text null
    PricingCurrency text null
    PricingCurrencyContractedUnitPrice number null
    PricingCurrencyEffectiveCost number null
    PricingCurrencyListUnitPrice number null
    PricingQuantity number null
    PricingUnit text null
    ProviderName text some
    PublisherName text some
    RegionId text null
    RegionName text null
    ResourceId text null
    ResourceName text null
    ResourceType text null
    ServiceCategory text some
    ServiceName text some
    ServiceSubcategory text some
    SkuId text null
    SkuMeter text null
    SkuPriceDetails json null
    SkuPriceId text null
    SubAccountId text null
    SubAccountName text null
    SubAccountType text null
    Tags json null";

/// What FOCUS 1.3 adds.
const ADDED: &str = "
    AllocatedMethodDetails object null
    AllocatedMethodId text null
    AllocatedResourceId text null
    AllocatedResourceName text null
    AllocatedTags json null
    ContractApplied object null
    HostProviderName text some
    ServiceProviderName text some";

/// Columns of ours, which a provider's of the same name make way for.
const OWN: &str = "x_TenantId x_SourceId x_IdentityId x_OwnerId x_CostType x_AllocationRuleId x_AllocationTier \
    x_AllocationPart x_AllocationMethod x_AllocationDetail x_AllocationShare x_BookingPeriod x_Entry x_OriginLineId \
    x_OriginBilledCost x_OriginEffectiveCost x_OriginContractedCost x_OriginListCost x_OriginRows";

/// A version of FOCUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 57 columns.
    V1_2,
    /// 65 columns.
    V1_3,
}

/// Numbers that rows have parts of.
pub const SPLIT: [&str; 8] = [
    "BilledCost",
    "CommitmentDiscountQuantity",
    "ConsumedQuantity",
    "ContractedCost",
    "EffectiveCost",
    "ListCost",
    "PricingCurrencyEffectiveCost",
    "PricingQuantity",
];

const SERVICES: &str = "AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|\
    Identity|Integration|Internet of Things|Management and Governance|Media|Migration|Mobile|Multicloud|Networking|\
    Security|Storage|Web|Other";
const ENUMERATIONS: [(&str, &str); 8] = [
    ("CapacityReservationStatus", "Used|Unused"),
    ("ChargeCategory", "Usage|Purchase|Tax|Credit|Adjustment"),
    ("ChargeClass", "Correction"),
    ("ChargeFrequency", "One-Time|Recurring|Usage-Based"),
    ("CommitmentDiscountCategory", "Spend|Usage"),
    ("CommitmentDiscountStatus", "Used|Unused"),
    ("PricingCategory", "Standard|Dynamic|Committed|Other"),
    ("ServiceCategory", SERVICES),
];

/// Name, type, whether it may be null; by name.
fn columns(version: Version) -> Vec<(&'static str, &'static str, bool)> {
    let added = if version == Version::V1_3 { ADDED } else { "" };
    let words: Vec<_> = COLUMNS.split_whitespace().chain(added.split_whitespace()).collect();
    let mut columns: Vec<_> = words.chunks_exact(3).map(|c| (c[0], c[1], c[2] == "null")).collect();
    columns.sort_unstable();
    columns
}

/// The names of the columns of FOCUS 1.2.
pub fn names() -> Vec<&'static str> {
    columns(Version::V1_2).into_iter().map(|(name, ..)| name).collect()
}

/// The rows of all FOCUS files of a folder, each cell checked: type, null, enumeration.
///
/// # Errors
/// When a file or a cell is not as FOCUS of that version and we want it.
pub fn rows(folder: &Path, version: Version) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, text) in contents(folder)? {
        ensure!(text.ends_with('\n') && !text.starts_with('\u{feff}'), "{name}: another form");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let wanted = columns(version).into_iter().map(|(name, ..)| name);
        let wanted: Vec<_> = wanted.chain(OWN.split_whitespace()).collect();
        ensure!(header[..wanted.len()] == wanted, "{name}: {header:?}");
        let provider = &header[wanted.len()..];
        ensure!(provider.iter().all(|column| column.starts_with("x_")), "{name}: {header:?}");
        ensure!(provider.is_sorted_by(|a, b| a < b), "{name}: {header:?}");
        ensure!(header.iter().collect::<BTreeSet<_>>().len() == header.len(), "{name}: {header:?}");
        for row in reader.deserialize() {
            let row: Row = row.with_context(|| name.clone())?;
            check(&row, version).with_context(|| format!("{name}: {row:?}"))?;
            rows.push(row);
        }
    }
    Ok(rows)
}

fn check(row: &Row, version: Version) -> Result<()> {
    for (column, kind, nullable) in columns(version) {
        let cell = row[column].as_str();
        if cell.is_empty() {
            ensure!(nullable, "{column} is null");
            continue;
        }
        let sound = match kind {
            "text" => cell != "NULL",
            "number" => is_number(cell),
            "time" => is_time(cell),
            "object" => serde_json::from_str::<Value>(cell)?["Elements"].is_array(),
            _ => is_flat(cell),
        };
        ensure!(sound, "{column} is no {kind}: {cell}");
    }
    for (column, values) in ENUMERATIONS {
        let cell = row[column].as_str();
        ensure!(cell.is_empty() || values.split('|').any(|v| v == cell), "{column}: {cell}");
    }
    let code = row["BillingCurrency"].as_bytes();
    ensure!(code.len() == 3 && code.iter().all(u8::is_ascii_uppercase), "a currency");
    ensure!(row["ChargePeriodStart"] <= row["ChargePeriodEnd"], "the charge period");
    ensure!(row["BillingPeriodStart"] < row["BillingPeriodEnd"], "the billing period");
    Ok(())
}

fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.split_once('.').is_some_and(|(whole, decimals)| plain(whole) && plain(decimals))
}

fn is_time(cell: &str) -> bool {
    cell.len() == 20 && cell.ends_with('Z') && canonical_time(cell) == cell
}

/// An object without nesting.
fn is_flat(cell: &str) -> bool {
    let Ok(Value::Object(map)) = serde_json::from_str(cell) else { return false };
    map.values().all(|value| !value.is_array() && !value.is_object())
}

fn canonical_time(cell: &str) -> String {
    let moment = proto::moment::parse(cell.as_bytes());
    moment.map_or_else(|| format!("no time: {cell}"), |moment| moment.at.to_string())
}

/// What a record of a bill says, as our files would: cells that FOCUS wants and the bill lacks are filled as the
/// documentation says. The provider's own cells come along.
#[must_use]
pub fn expected(record: &Row, tenant: &str, source: &str, version: Version) -> Row {
    let cell = |column: &str| {
        record.get(column).map(String::as_str).filter(|cell| !matches!(*cell, "" | "NULL"))
    };
    let or = |columns: &[&str], word: &str| {
        columns.iter().find_map(|column| cell(column)).unwrap_or(word).to_owned()
    };
    let count = |quantity: &str| cell(quantity).map_or("", |_| "Count").to_owned();
    let sub_account = cell("SubAccountId").unwrap_or_default();
    let category = cell("ChargeCategory").unwrap_or("Usage");
    let service = cell("ServiceCategory").unwrap_or("Other");
    let month = canonical_time(cell("BillingPeriodStart").unwrap_or_default());
    let (year, of_year): (u32, u32) =
        (month[..4].parse().unwrap_or_default(), month[5..7].parse().unwrap_or_default());
    let next = format!("{:04}-{:02}-01T00:00:00Z", year + of_year / 12, of_year % 12 + 1);
    let day_end = || {
        let start = canonical_time(cell("ChargePeriodStart").unwrap_or_default());
        let date = start[..10].parse::<proto::time::UnitDate>().and_then(|d| d.plus_days(1));
        date.map(|date| date.start().to_string()).unwrap_or_default()
    };
    let filled = |column: &str| match column {
        "BillingAccountId" => tenant.to_owned(),
        "BillingAccountType" => "Billing Account".to_owned(),
        "BillingPeriodEnd" => next.clone(),
        "ChargePeriodEnd" => day_end(),
        "ChargeCategory" => category.to_owned(),
        "ChargeFrequency" => match category {
            "Usage" => "Usage-Based".to_owned(),
            "Purchase" => "Recurring".to_owned(),
            _ => "One-Time".to_owned(),
        },
        "ConsumedUnit" => count("ConsumedQuantity"),
        "PricingUnit" => count("PricingQuantity"),
        "ProviderName" => or(&["InvoiceIssuerName", "PublisherName"], source),
        "InvoiceIssuerName" => or(&["ProviderName", "PublisherName"], source),
        "PublisherName" => or(&["ProviderName", "InvoiceIssuerName"], source),
        "HostProviderName" => or(
            &["ServiceProviderName", "ProviderName", "PublisherName", "InvoiceIssuerName"],
            source,
        ),
        "ServiceProviderName" => {
            or(&["ProviderName", "PublisherName", "InvoiceIssuerName"], source)
        }
        "ServiceCategory" => "Other".to_owned(),
        "ServiceName" => service.to_owned(),
        "ServiceSubcategory" => format!("Other ({service})"),
        "SubAccountName" => sub_account.to_owned(),
        "SubAccountType" if !sub_account.is_empty() => "Sub Account".to_owned(),
        _ => String::new(),
    };
    let say = |(column, kind, _): (&str, &str, bool)| {
        let text = match (cell(column), kind) {
            (Some(cell), "number") => number(cell),
            (Some(cell), "time") => canonical_time(cell),
            (Some(cell), _) if column == "Tags" => {
                proto::tags::canonical(cell).unwrap_or_else(|_| cell.to_owned())
            }
            (Some(cell), _) => cell.to_owned(),
            (None, _) => filled(column),
        };
        (column.to_owned(), text)
    };
    let provider = record.keys().filter(|column| column.starts_with("x_"));
    let provider = provider.filter_map(|column| {
        let free = OWN.split_whitespace().all(|own| own != column);
        let name = if free { column.clone() } else { column.replacen("x_", "x_Provider", 1) };
        Some((name, cell(column)?.to_owned()))
    });
    let focus = columns(version).into_iter().filter(|(column, ..)| !is_allocated(column));
    focus.map(say).chain(provider).collect()
}

/// Whether a column tells how a line was split.
fn is_allocated(column: &str) -> bool {
    column.starts_with("Allocated")
}

fn number(cell: &str) -> String {
    Amount::parse(cell).map_or_else(|_| format!("no number: {cell}"), |amount| amount.to_string())
}

/// Puts the rows of each line together again: what all have in common, and the exact sums of their parts.
///
/// # Errors
/// When rows of a line differ in a dimension, or some are not there; or what they say of how they were split is wrong.
pub fn origins(rows: &[Row], version: Version) -> Result<Vec<Row>> {
    let mut lines: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| lines.entry(&row["x_OriginLineId"]).or_default().push(row));
    let mut origins = Vec::new();
    for (line, rows) in lines {
        ensure!(rows[0]["x_OriginRows"] == rows.len().to_string(), "{line} lacks rows");
        if version == Version::V1_3 {
            check_allocated(&rows).with_context(|| format!("{line}: {rows:?}"))?;
        }
        let mut origin = Row::new();
        for (column, kind, _) in columns(version) {
            if is_allocated(column) {
                continue;
            }
            let first = &rows[0][column];
            let cell = if SPLIT.contains(&column) && !first.is_empty() {
                let parts = rows.iter().map(|row| Amount::parse(&row[column]));
                parts.collect::<Result<ExactSum, _>>()?.to_string()
            } else {
                ensure!(rows.iter().all(|row| row[column] == *first), "{line} differs: {column}");
                if kind == "number" && !first.is_empty() { number(first) } else { first.clone() }
            };
            if let Some(whole) = rows[0].get(&format!("x_Origin{column}")) {
                ensure!(number(whole) == cell, "{line}: {column} is not its origin's");
            }
            origin.insert(column.to_owned(), cell);
        }
        for (column, cell) in rows[0].iter().filter(|(column, _)| column.starts_with("x_")) {
            if !cell.is_empty() && OWN.split_whitespace().all(|own| own != column) {
                ensure!(rows.iter().all(|row| row[column] == *cell), "{line} differs: {column}");
                origin.insert(column.clone(), cell.clone());
            }
        }
        origins.push(origin);
    }
    Ok(origins)
}

/// What FOCUS 1.3 wants of the rows of one line: nothing said where it went whole to whom it belongs, else ratios that
/// add up to 1, the method, and the receiver where there is one, with the line's tags.
fn check_allocated(rows: &[&Row]) -> Result<()> {
    let nobody = |row: &Row| row["x_OwnerId"] == "UNALLOCATED";
    if rows.len() == 1 && (nobody(rows[0]) || rows[0]["x_AllocationMethod"] == "direct") {
        let told = rows[0].iter().any(|(column, cell)| is_allocated(column) && !cell.is_empty());
        ensure!(!told, "it was not split");
        return Ok(());
    }
    let mut ratios = ExactSum::ZERO;
    for row in rows {
        let id = format!("{}#{}", row["x_AllocationRuleId"], row["x_AllocationTier"]);
        let (method, part) = (&row["AllocatedMethodId"], &row["x_AllocationPart"]);
        ensure!(*method == id || part != "0" && *method == format!("{id}.{part}"), "the method");
        let details: Value = serde_json::from_str(&row["AllocatedMethodDetails"])?;
        let element = &details["Elements"][0];
        let Value::Number(ratio) = &element["AllocatedRatio"] else {
            anyhow::bail!("no ratio in {details}");
        };
        ratios.add(Amount::parse(&ratio.to_string())?);
        ensure!(element["x_Share"] == row["x_AllocationShare"].as_str(), "the share");
        let receiver = if nobody(row) { "" } else { row["x_OwnerId"].as_str() };
        ensure!(row["AllocatedResourceId"] == receiver, "the receiver");
        ensure!(row["AllocatedResourceName"] == receiver, "the receiver's name");
        if receiver.is_empty() {
            ensure!(row["AllocatedTags"].is_empty(), "tags of nobody");
            continue;
        }
        let object = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text);
        let mut tags = object(&row["AllocatedTags"])?;
        ensure!(tags.remove("apportion/owner") == Some(receiver.into()), "the receiver's tag");
        let own = if row["Tags"].is_empty() { "{}" } else { &row["Tags"] };
        ensure!(tags == object(own)?, "the line's tags");
    }
    ensure!(ratios == ExactSum::from(Amount::ONE), "the ratios add up to {ratios}");
    Ok(())
}

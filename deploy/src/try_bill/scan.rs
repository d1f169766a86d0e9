//! What a bill is, and how much of its money each key that could name owners has a value for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use gatherer::sources::focus::columns::{self, COLUMNS};
use gatherer::sources::focus::files::{self, Listed};
use gatherer::sources::focus::header::{ColumnNames, Layout};
use gatherer::sources::focus::input::Input;
use gatherer::sources::focus::records::Record;
use gatherer::sources::focus::refusal::{is_null, number};
use proto::config::Field;
use proto::currency::Currency;
use proto::line::Measure;
use proto::money::{Amount, ExactSum};
use proto::row::UNALLOCATED;

use super::choose;

/// Which cost is taken: the first that every file has.
const COSTS: [Measure; 4] =
    [Measure::Effective, Measure::Billed, Measure::Contracted, Measure::List];
/// Columns that could name owners.
const OWNER_COLUMNS: [&str; 6] = [
    "SubAccountName",
    "SubAccountId",
    "BillingAccountName",
    "BillingAccountId",
    "ResourceName",
    "ResourceId",
];
/// Keys that are looked at; those that come up later are not.
const KEYS_MAX: usize = 500;
/// Values of a key that are told apart.
const VALUES_MAX: usize = 1_000;
/// Columns that came with a version of FOCUS, the newest first.
const NEW_COLUMNS: [(&str, &[&str]); 3] = [
    (
        "1.3",
        &[
            "AllocatedMethodDetails",
            "AllocatedMethodId",
            "AllocatedResourceId",
            "AllocatedResourceName",
            "AllocatedTags",
            "ContractApplied",
            "HostProviderName",
            "ServiceProviderName",
        ],
    ),
    (
        "1.2",
        &[
            "BillingAccountType",
            "InvoiceId",
            "PricingCurrency",
            "PricingCurrencyContractedUnitPrice",
            "PricingCurrencyEffectiveCost",
            "PricingCurrencyListUnitPrice",
            "SubAccountType",
        ],
    ),
    (
        "1.1",
        &[
            "CapacityReservationId",
            "CapacityReservationStatus",
            "CommitmentDiscountQuantity",
            "CommitmentDiscountUnit",
            "ServiceSubcategory",
            "SkuMeter",
            "SkuPriceDetails",
        ],
    ),
];

/// A file of the bill.
#[derive(Debug)]
pub struct BillFile {
    /// As it was named.
    pub name: String,
    /// Absolute.
    pub path: PathBuf,
    /// How its bytes are to be read.
    pub format: &'static str,
    /// The oldest FOCUS version that has all its columns.
    pub version: &'static str,
    /// Its records, unusable ones included.
    pub lines: u64,
}

/// A key that could name owners.
#[derive(Debug, Default)]
pub struct Key {
    /// |cost| of the lines that have a usable value, by currency.
    pub money: BTreeMap<Currency, ExactSum>,
    /// Those lines.
    pub lines: u64,
    /// The values, the first so many.
    pub values: BTreeSet<String>,
}

/// A bill that was looked at.
#[derive(Debug)]
pub struct Scanned {
    /// Its files, by name.
    pub files: Vec<BillFile>,
    /// The cost that is shared.
    pub cost: Measure,
    /// The costs that every file has.
    pub costs: Vec<Measure>,
    /// Lines and |cost| by currency.
    pub money: BTreeMap<Currency, (u64, ExactSum)>,
    /// By field. Tag keys that differ in case and blanks only are one.
    pub keys: BTreeMap<Field, Key>,
}

/// Looks at every record of the files that `entries` name, from `folder` on. `by`: a column or tag that is a key
/// whatever it is.
///
/// # Errors
/// When there is no such file, or it is no FOCUS bill: what and how to mend it.
pub fn scan(folder: &Path, entries: &[String], by: Option<&Field>) -> Result<Scanned> {
    let listed = files::list(folder, entries)?;
    let mut costs = COSTS.to_vec();
    for file in &listed {
        let mut records = Input::open(file)?;
        // What cannot be read is told when the file is looked at.
        if let Ok(Some(first)) = records.read() {
            let names = column_names(&first);
            costs.retain(|cost| names.contains(cost.column()));
        }
    }
    // Without any, the error about the first of them tells what the file has.
    let cost = costs.first().copied().unwrap_or(Measure::Effective);
    let mut scan = Scan { by, cost, scanned: Scanned::new(cost, costs), tags: HashMap::new() };
    for file in &listed {
        let read = scan.file(file)?;
        scan.scanned.files.push(read);
    }
    let lines: u64 = scan.scanned.files.iter().map(|file| file.lines).sum();
    ensure!(lines > 0, "the bill has a header and no line: give the whole file");
    Ok(scan.scanned)
}

fn column_names(header: &Record<'_>) -> BTreeSet<&'static str> {
    let texts = (0..header.fields()).filter_map(|at| std::str::from_utf8(header.field(at)).ok());
    texts.filter_map(|text| Some(COLUMNS[columns::recognise(text.trim())?].name)).collect()
}

impl Scanned {
    fn new(cost: Measure, costs: Vec<Measure>) -> Self {
        let (money, keys) = (BTreeMap::new(), BTreeMap::new());
        Self { files: Vec::new(), cost, costs, money, keys }
    }

    /// The currency of most lines, in which keys are judged: money of two currencies does not add up.
    #[must_use]
    pub fn main_currency(&self) -> Option<Currency> {
        let most = self.money.iter().max_by_key(|(_, (lines, _))| *lines);
        most.map(|(currency, _)| *currency)
    }
}

struct Scan<'a> {
    by: Option<&'a Field>,
    cost: Measure,
    scanned: Scanned,
    /// Texts of tags, read: neighbours share them.
    tags: HashMap<Vec<u8>, Vec<(Field, String)>>,
}

impl Scan<'_> {
    fn file(&mut self, file: &Listed) -> Result<BillFile> {
        let mut records = Input::open(file)?;
        let format = records.format();
        let layout = records.header(file, self.cost, &mut ColumnNames::default())?;
        let columns = self.key_columns(&layout);
        let mut lines = 0;
        loop {
            match records.read() {
                Ok(Some(record)) => self.record(&record, &layout, &columns),
                Ok(None) => break,
                Err(error) => return Err(records.damaged(file, error).into()),
            }
            lines += 1;
        }
        let path = std::path::absolute(&file.path)?;
        Ok(BillFile { name: file.name.clone(), path, format, version: version(&layout), lines })
    }

    /// Columns of this file that are keys: their fields and places.
    fn key_columns(&self, layout: &Layout) -> Vec<(Field, usize)> {
        let field = |written: &String| {
            let name = columns::recognise(written).map_or(written.as_str(), |n| COLUMNS[n].name);
            let field = Field::parse(name).ok()?;
            let own = name.starts_with("x_") && choose::owner_word(name).is_some();
            (own || OWNER_COLUMNS.contains(&name) || self.by == Some(&field)).then_some(field)
        };
        let columns = layout.written.iter().enumerate();
        columns.filter_map(|(at, written)| Some((field(written)?, at))).collect()
    }

    /// Counts a record; what the source would refuse for its numbers is left to the source.
    fn record(&mut self, record: &Record<'_>, layout: &Layout, columns: &[(Field, usize)]) {
        let text = |field: usize| std::str::from_utf8(record.get(field)?).ok().map(str::trim);
        let amount = layout.measures[self.cost as usize].and_then(|field| record.get(field));
        let amount = amount.and_then(|bytes| number(bytes).ok());
        let currency = text(layout.currency).and_then(|text| text.parse::<Currency>().ok());
        let (Some(amount), Some(currency)) = (amount.map(Amount::abs), currency) else { return };
        let (lines, sum) = self.scanned.money.entry(currency).or_insert((0, ExactSum::ZERO));
        *lines += 1;
        sum.add(amount);
        for (field, at) in columns {
            if let Some(value) = text(*at).filter(|value| is_usable(value)) {
                add(&mut self.scanned.keys, field, value, currency, amount);
            }
        }
        let Some(tags) = layout.tags.and_then(|field| record.get(field)) else { return };
        if is_null(tags) {
            return;
        }
        if !self.tags.contains_key(tags) {
            if self.tags.len() == VALUES_MAX {
                self.tags.clear();
            }
            self.tags.insert(tags.to_vec(), tags_of(tags));
        }
        for (field, value) in &self.tags[tags] {
            add(&mut self.scanned.keys, field, value, currency, amount);
        }
    }
}

/// The first usable value of each tag, by its folded key.
fn tags_of(text: &[u8]) -> Vec<(Field, String)> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| proto::tags::parse(text).ok());
    let parsed = parsed.unwrap_or_default();
    let keys: BTreeSet<String> = parsed.iter().map(|(key, _)| key.trim().to_lowercase()).collect();
    let value = |key: String| {
        let value = proto::tags::get(&parsed, &key).filter(|value| is_usable(value))?.to_owned();
        (!key.is_empty()).then_some((Field::Tag(key), value))
    };
    keys.into_iter().filter_map(value).collect()
}

/// Whether `direct` would take it.
fn is_usable(value: &str) -> bool {
    !is_null(value.as_bytes()) && !value.eq_ignore_ascii_case(UNALLOCATED)
}

fn add(
    keys: &mut BTreeMap<Field, Key>,
    field: &Field,
    value: &str,
    currency: Currency,
    amount: Amount,
) {
    if !keys.contains_key(field) {
        if keys.len() >= KEYS_MAX {
            return;
        }
        keys.insert(field.clone(), Key::default());
    }
    if let Some(key) = keys.get_mut(field) {
        key.lines += 1;
        key.money.entry(currency).or_default().add(amount);
        if key.values.len() < VALUES_MAX && !key.values.contains(value) {
            key.values.insert(value.to_owned());
        }
    }
}

fn version(layout: &Layout) -> &'static str {
    let has =
        |name: &&str| layout.written.iter().any(|w| columns::recognise(w) == columns::number(name));
    let found = NEW_COLUMNS.iter().find(|(_, names)| names.iter().any(has));
    found.map_or("1.0", |(version, _)| version)
}

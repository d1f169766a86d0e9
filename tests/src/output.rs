//! Emitted CSV files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::{Amount, ExactSum};

/// The header of every file.
pub const HEADER: &str = "ecosystem,tenant_id,source,timestamp,resource_id,product_category,product_type,identity_id,cost_type,amount,currency,allocation_method,allocation_detail,line_id,rule,charge_period_end,billing_period,booking_period,invoice_id,provider,billing_account_id,sub_account_id,service,charge_category,charge_class,owner_id,quantity,unit,billed,effective,contracted,list,entry";

/// A row: column to cell.
pub type Row = BTreeMap<String, String>;

/// A file as it lay there: its bytes, and when they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emitted {
    /// Its contents.
    pub bytes: Vec<u8>,
    /// Changes with every write.
    pub modified: SystemTime,
}

/// Name to file, of all files of a folder; none where there is no folder.
///
/// # Errors
/// When one cannot be read.
pub fn files(folder: &Path) -> Result<BTreeMap<String, Emitted>> {
    let mut found = BTreeMap::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // What is being written lies in a folder of its own, and is nobody's file yet.
        if path.is_dir() && path.extension().is_some_and(|of| of == "tmp") {
            continue;
        }
        let name = path.file_name().and_then(|name| name.to_str()).context("a name in UTF-8")?;
        let (bytes, modified) = (fs::read(&path)?, path.metadata()?.modified()?);
        found.insert(name.to_owned(), Emitted { bytes, modified });
    }
    Ok(found)
}

/// Name to contents, of all files of a folder.
///
/// # Errors
/// When one cannot be read.
pub fn contents(folder: &Path) -> Result<BTreeMap<String, String>> {
    let files = files(folder)?.into_iter();
    files.map(|(name, file)| Ok((name, String::from_utf8(file.bytes)?))).collect()
}

/// Names of the files that are new, gone, or were written since.
#[must_use]
pub fn touched(
    before: &BTreeMap<String, Emitted>,
    after: &BTreeMap<String, Emitted>,
) -> Vec<String> {
    let names = before.keys().chain(after.keys());
    let mut names: Vec<_> =
        names.filter(|name| before.get(*name) != after.get(*name)).cloned().collect();
    names.sort();
    names.dedup();
    names
}

/// Every row of every file of a folder.
///
/// # Errors
/// When a file has another header, is no CSV, or does not end its last line.
pub fn rows(folder: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, text) in contents(folder)? {
        ensure!(text.lines().next() == Some(HEADER), "{name} has another header");
        ensure!(text.ends_with('\n') && !text.contains('\r'), "{name} has lines of another end");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for row in reader.deserialize() {
            rows.push(row.with_context(|| name.clone())?);
        }
    }
    Ok(rows)
}

/// What the rows of a folder come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Total {
    /// All rows.
    pub rows: usize,
    /// All money.
    pub sums: Sums,
    /// Of that, what nobody pays.
    pub unallocated: ExactSum,
}

/// [`Total`] by tenant, source and currency.
///
/// # Errors
/// When a file or an amount cannot be read.
pub fn csv_sums(folder: &Path) -> Result<BTreeMap<(String, String, String), Total>> {
    let mut totals: BTreeMap<_, Total> = BTreeMap::new();
    for row in rows(folder)? {
        let key = (row["tenant_id"].clone(), row["source"].clone(), row["currency"].clone());
        let total = totals.entry(key).or_default();
        let amount = plain(&row["amount"])?;
        let mut measures = [None; 4];
        for (slot, measure) in measures.iter_mut().zip(Measure::ALL) {
            *slot = Some(plain(&row[measure.word()])?);
        }
        total.rows += 1;
        total.sums.add(amount, &measures);
        if row["owner_id"] == "UNALLOCATED" {
            total.unallocated.add(amount);
        }
    }
    Ok(totals)
}

/// A number in plain decimal notation and no other.
fn plain(text: &str) -> Result<Amount> {
    let amount = Amount::parse(text)?;
    ensure!(amount.to_string() == text, "{text} is not written plainly");
    Ok(amount)
}

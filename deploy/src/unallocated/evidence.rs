//! What is not allocated, and what the bill says about whose it may be. Pure.

use std::collections::BTreeMap;

use allocator::domain::unlisted_owner;
use anyhow::{Result, ensure};
use proto::config::{Field, TenantConfig};
use proto::money::{Amount, ExactSum};
use proto::report::Warning;
use proto::row::UNALLOCATED;

use crate::recompute::Recomputed;

/// Lines that are kept: the largest of each currency.
const LARGEST: usize = 10;
/// Keys of a table that are looked at.
const KEYS_MAX: usize = 100_000;

/// A line that nobody pays, wholly or in part.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Large {
    /// Its id.
    pub line: String,
    /// Of which source and day.
    pub date: String,
    /// What nobody pays of it.
    #[serde(serialize_with = "as_text")]
    pub amount: Amount,
    /// ISO code.
    pub currency: String,
    /// Why nobody does.
    pub reason: String,
    /// What it is for.
    pub service: String,
    /// What cost money.
    pub resource: String,
}

fn as_text<S: serde::Serializer>(amount: &Amount, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(amount)
}

/// What the lines with one key of a table say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyEvidence {
    /// Rows that nobody pays for want of a tag.
    pub untagged: u64,
    /// Money of tagged lines by owner; of one currency, else they say nothing.
    pub tagged: BTreeMap<String, ExactSum>,
    /// Tagged rows.
    pub rows: u64,
    /// Their currency.
    pub currency: Option<String>,
    /// There are several currencies.
    pub mixed: bool,
}

/// Everything that is gathered in one pass over the rows.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Money by currency and reason.
    pub reasons: BTreeMap<(String, String), ExactSum>,
    /// The largest lines, by currency, largest first: sums of two currencies say nothing to each other.
    pub largest: Vec<Large>,
    /// By table and key that the table does not have.
    pub keys: BTreeMap<(String, String), KeyEvidence>,
    /// Values that are not in the owner directory.
    pub unlisted: BTreeMap<String, u64>,
    /// Tables with one key column, and that column.
    tables: Vec<(String, String)>,
}

impl Evidence {
    /// Nothing yet, of a tenant's bills.
    #[must_use]
    pub fn of(config: &TenantConfig) -> Self {
        let one_column = |(name, table): (&String, &proto::config::Table)| {
            let [key] = table.key.as_slice() else { return None };
            match Field::parse(key) {
                Ok(Field::Column(column)) => Some((name.clone(), column)),
                Ok(_) | Err(_) => None,
            }
        };
        Self { tables: config.tables.iter().filter_map(one_column).collect(), ..Self::default() }
    }

    /// Counts a row in; `date` is for people.
    ///
    /// # Errors
    /// When there are too many different keys.
    pub fn add(&mut self, row: &Recomputed<'_>, date: &str) -> Result<()> {
        let cell = |name: &str| row.lines.cell(name).and_then(|column| column.get(row.at));
        let currency = row.lines.currency.get(row.at).unwrap_or_default();
        let nobody = row.dimension.owner == UNALLOCATED;
        let detail = row.dimension.detail.as_deref().unwrap_or_default();
        let reason = detail.split(':').next().unwrap_or_default();
        if nobody {
            let key = (currency.to_owned(), reason.to_owned());
            self.reasons.entry(key).or_default().add(row.money.amount);
            let text = |name: &str| cell(name).unwrap_or_default().to_owned();
            self.large(Large {
                line: row.money.line.to_string(),
                date: date.to_owned(),
                amount: row.money.amount,
                currency: currency.to_owned(),
                reason: detail.to_owned(),
                service: text("ServiceName"),
                resource: text("ResourceId"),
            });
        }
        let tagged = row.dimension.method == "direct" && row.dimension.identity.starts_with("tag:");
        let untagged = nobody && reason == "untagged";
        if !(tagged || untagged) {
            return Ok(());
        }
        for (table, column) in &self.tables {
            let Some(key) = cell(column).map(str::trim).filter(|key| !key.is_empty()) else {
                continue;
            };
            ensure!(
                self.keys.len() < KEYS_MAX,
                "there are more than {KEYS_MAX} keys: look at fewer dates with --from and --to"
            );
            let found = self.keys.entry((table.clone(), key.to_owned())).or_default();
            if nobody {
                found.untagged += 1;
                continue;
            }
            found.rows += 1;
            found.mixed |= found.currency.as_deref().is_some_and(|known| known != currency);
            found.currency = Some(currency.to_owned());
            found.tagged.entry(row.dimension.owner.clone()).or_default().add(row.money.amount);
        }
        Ok(())
    }

    /// Counts the warnings of a date in.
    pub fn warned(&mut self, warnings: &[Warning]) {
        for warning in warnings {
            if let Some(owner) = unlisted_owner(&warning.text) {
                *self.unlisted.entry(owner.to_owned()).or_default() += warning.count;
            }
        }
    }

    fn large(&mut self, line: Large) {
        let size = |line: &Large| ExactSum::from(line.amount).size();
        let order = |a: &Large, b: &Large| {
            let by_size = || size(b).cmp(&size(a)).then_with(|| a.line.cmp(&b.line));
            a.currency.cmp(&b.currency).then_with(by_size)
        };
        let at = self.largest.partition_point(|known| order(known, &line).is_lt());
        let first = self.largest.partition_point(|known| known.currency < line.currency);
        let end = self.largest.partition_point(|known| known.currency <= line.currency);
        if at - first < LARGEST {
            if end - first == LARGEST {
                self.largest.remove(end - 1);
            }
            self.largest.insert(at, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_lines_are_told_by_currency() {
        let mut evidence = Evidence::default();
        let amounts = ["3", "-50", "7", "1", "2", "4", "5", "6", "8", "9", "10", "-11", "12"];
        for (currency, amount) in
            [("JPY", "9000"), ("EUR", "1.5")].into_iter().chain(amounts.map(|a| ("USD", a)))
        {
            evidence.large(Large {
                line: amount.to_owned(),
                date: String::new(),
                amount: Amount::parse(amount).unwrap(),
                currency: currency.to_owned(),
                reason: String::new(),
                service: String::new(),
                resource: String::new(),
            });
        }
        let told: Vec<String> =
            evidence.largest.iter().map(|l| format!("{} {}", l.currency, l.line)).collect();
        let dollars = ["-50", "12", "-11", "10", "9", "8", "7", "6", "5", "4"];
        let wanted: Vec<String> = ["EUR 1.5".to_owned(), "JPY 9000".to_owned()]
            .into_iter()
            .chain(dollars.map(|a| format!("USD {a}")))
            .collect();
        assert_eq!(told, wanted);
    }
}

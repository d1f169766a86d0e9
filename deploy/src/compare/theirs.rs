//! What another tool allocated: any CSV file with an owner, a product and an amount per record.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use proto::money::{Amount, ExactSum};
use proto::time::UnitDate;

/// Owner, product and currency.
pub type Key = (String, String, String);

/// Distinct keys that are held at most.
const KEYS_MAX: usize = 1_000_000;

/// Which columns to read; `None`: the first known name that the header has.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Names {
    /// Their column of the owner [default: owner_id, owner, identity_id, principal, team, cost_center, the first there is]
    #[arg(long, value_name = "COLUMN")]
    pub owner: Option<String>,
    /// Their column of the product [default: product_type, product, service, ServiceName]
    #[arg(long, value_name = "COLUMN")]
    pub product: Option<String>,
    /// Their column of the amount [default: amount, cost, EffectiveCost, BilledCost]
    #[arg(long, value_name = "COLUMN")]
    pub amount: Option<String>,
}

const OWNERS: [&str; 6] = ["owner_id", "owner", "identity_id", "principal", "team", "cost_center"];
const PRODUCTS: [&str; 4] = ["product_type", "product", "service", "ServiceName"];
const AMOUNTS: [&str; 4] = ["amount", "cost", "EffectiveCost", "BilledCost"];
const CURRENCIES: [&str; 2] = ["currency", "BillingCurrency"];
const DATES: [&str; 4] = ["timestamp", "date", "usage_date", "ChargePeriodStart"];

/// What they have of one owner, product and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Theirs {
    /// Records.
    pub records: u64,
    /// Their sum.
    pub amount: ExactSum,
}

/// Their whole file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct File {
    /// By owner, product and currency.
    pub sums: BTreeMap<Key, Theirs>,
    /// Most decimals of an amount, by currency: what they round to.
    pub decimals: BTreeMap<String, u32>,
    /// First and last date, where they state dates.
    pub dates: Option<(UnitDate, UnitDate)>,
}

struct Columns {
    owner: usize,
    product: usize,
    amount: usize,
    currency: Option<usize>,
    date: Option<usize>,
}

/// Reads their file; `currency` stands for a column that they do not have.
///
/// # Errors
/// What cannot be read: with line, column and how to mend it.
pub fn read(input: impl Read, names: &Names, currency: Option<&str>) -> Result<File> {
    let mut reader = csv::Reader::from_reader(input);
    let header = reader.headers().context("their header cannot be read")?.clone();
    let columns = Columns::of(&header, names)?;
    ensure!(
        columns.currency.is_some() || currency.is_some(),
        "their file has no column currency: say it with --currency CODE"
    );
    let mut file = File::default();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        let named = |at: usize| header.get(at).unwrap_or_default();
        let amount = Amount::parse(cell(columns.amount))
            .with_context(|| format!("line {line}, column {}", named(columns.amount)))?;
        let code = columns.currency.map_or_else(|| currency.unwrap_or_default(), cell);
        if let Some(at) = columns.date {
            let day = cell(at).get(..10).and_then(|text| text.parse::<UnitDate>().ok());
            let Some(day) = day else {
                bail!(
                    "line {line}, column {}: {:?} starts with no date YYYY-MM-DD",
                    named(at),
                    cell(at)
                )
            };
            let (first, last) = file.dates.unwrap_or((day, day));
            file.dates = Some((first.min(day), last.max(day)));
        }
        let decimals = file.decimals.entry(code.to_owned()).or_default();
        *decimals = (*decimals).max(amount.scale()).max(written(cell(columns.amount)));
        let key =
            (cell(columns.owner).to_owned(), cell(columns.product).to_owned(), code.to_owned());
        let sums = file.sums.entry(key).or_default();
        sums.records += 1;
        sums.amount.add(amount);
        ensure!(
            file.sums.len() <= KEYS_MAX,
            "their file has more than {KEYS_MAX} pairs of owner and product: compare parts of it"
        );
    }
    Ok(file)
}

impl Columns {
    fn of(header: &csv::StringRecord, names: &Names) -> Result<Self> {
        let place = |name: &str| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
        let first = |known: &[&str]| known.iter().find_map(|name| place(name));
        let need = |what: &str, given: &Option<String>, known: &[&str]| {
            match given {
            Some(name) => place(name).with_context(|| format!("their file has no column {name}; it has {}", listed(header))),
            None => first(known).with_context(|| {
                format!(
                    "their file has no column that is known to hold the {what} ({}): name it with --{what} COLUMN; it has {}",
                    known.join(", "),
                    listed(header)
                )
            }),
        }
        };
        Ok(Self {
            owner: need("owner", &names.owner, &OWNERS)?,
            product: need("product", &names.product, &PRODUCTS)?,
            amount: need("amount", &names.amount, &AMOUNTS)?,
            currency: first(&CURRENCIES),
            date: first(&DATES),
        })
    }
}

/// Decimals of an amount as it is written: `7.00` is rounded to cents, though it is parsed as 7.
fn written(text: &str) -> u32 {
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    let decimals = text.split_once('.').map_or(0, |(_, rest)| digits(rest));
    u32::try_from(decimals).unwrap_or(u32::MAX)
}

fn listed(header: &csv::StringRecord) -> String {
    header.iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<File> {
        read(text.as_bytes(), &Names::default(), None)
    }

    #[test]
    fn records_are_added_up_by_owner_product_and_currency() {
        let file = of("Timestamp,identity_id,product_type,amount,currency\n\
            2026-05-02T00:00:00Z,a,KAFKA,1.25,USD\n2026-05-01T00:00:00Z,a,KAFKA,-0.5,USD\n2026-05-01,b,KAFKA,3,EUR\n")
        .unwrap();
        let key = ("a".to_owned(), "KAFKA".to_owned(), "USD".to_owned());
        let found = &file.sums[&key];
        assert_eq!((found.records, found.amount.to_string().as_str()), (2, "0.75"));
        assert_eq!((file.decimals["USD"], file.decimals["EUR"], file.sums.len()), (2, 0, 2));
        let days = ["2026-05-01", "2026-05-02"].map(|day| day.parse::<UnitDate>().unwrap());
        assert_eq!(file.dates, Some((days[0], days[1])));
        let cents = of("owner,product,amount,currency\na,p,7.00,USD\nb,p,3.00,USD\n").unwrap();
        assert_eq!(cents.decimals["USD"], 2, "whole amounts in cents are no rounding to units");
    }

    #[test]
    fn what_cannot_be_read_says_where_and_how_to_mend_it() {
        let said = |text: &str| format!("{:#}", of(text).unwrap_err());
        assert!(said("who,amount\na,1\n").contains("--owner COLUMN; it has who, amount"));
        assert!(said("owner,product,amount\na,p,1\n").contains("--currency CODE"));
        let bad = said("owner,product,amount,currency\na,p,1,USD\na,p,\"1,5\",USD\n");
        assert!(bad.contains("line 3, column amount"), "{bad}");
        let names = Names { owner: Some("nobody".into()), ..Names::default() };
        let missing = read("owner,product,amount\n".as_bytes(), &names, Some("USD")).unwrap_err();
        assert!(missing.to_string().contains("no column nobody; it has owner"), "{missing}");
    }
}

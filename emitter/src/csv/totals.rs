//! Rows with equal cells in some columns, added up exactly. Pure.

use std::collections::HashMap;

use csv::ByteRecord;
use proto::money::ExactSum;
use proto::time::{TimeError, UnitDate, UtcSeconds};

use super::columns::{Cell, Column, Scratch};
use crate::emission::{Place, VisibleRow};
use crate::error::EmitterError;

/// Most groups of one file: what bounds its memory.
const MOST_GROUPS: usize = 500_000;
const DAY: i64 = 86_400;
/// Between the cells of a key. No text of Postgres holds it and it is less than any other byte, so keys are ordered as
/// their cells are, one after the other.
const BETWEEN: u8 = 0;

/// Over which days rows are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// One.
    Day,
    /// Those of a calendar month.
    Month,
}

impl Bucket {
    /// Start and end of the bucket that a time lies in.
    fn span(self, at: UtcSeconds) -> Result<[UtcSeconds; 2], TimeError> {
        match self {
            Self::Day => {
                let start = at.0.div_euclid(DAY) * DAY;
                Ok([UtcSeconds(start), UtcSeconds(start + DAY)])
            }
            Self::Month => {
                let date = at.date()?.civil();
                let last = UnitDate::new(date.last_of_month());
                Ok([UnitDate::new(date.first_of_month()).start(), UtcSeconds(last.start().0 + DAY)])
            }
        }
    }
}

/// A cell of a file of sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The group's, by its place in the key.
    Group(usize),
    /// The sum of a column, by its place in [`Totals::sums`].
    Sum(usize),
}

/// Groups so far.
pub struct Totals {
    bucket: Bucket,
    group: Vec<Column>,
    sums: Vec<Column>,
    groups: HashMap<Box<[u8]>, Box<[Option<ExactSum>]>>,
    /// How many groups there may be.
    most: usize,
    /// Scratch space.
    key: Vec<u8>,
    /// The last row's day, and the bucket it lies in: rows come by time.
    last: Option<(i64, [UtcSeconds; 2])>,
}

impl Totals {
    /// None yet. `group` are the columns of the key, `sums` those that are added up.
    #[must_use]
    pub fn new(bucket: Bucket, group: Vec<Column>, sums: Vec<Column>) -> Self {
        let groups = HashMap::new();
        Self { bucket, group, sums, groups, most: MOST_GROUPS, key: Vec::new(), last: None }
    }

    /// Adds a row to its group.
    ///
    /// # Errors
    /// When there are too many groups, or the row's time is none.
    pub fn add(
        &mut self,
        row: &VisibleRow,
        place: &Place,
        scratch: &mut Scratch,
    ) -> Result<(), EmitterError> {
        let span = self.span(row)?;
        self.key.clear();
        for (at, column) in self.group.iter().enumerate() {
            if at > 0 {
                self.key.push(BETWEEN);
            }
            let key = &mut self.key;
            let cell = column.cell(row, place, span, scratch);
            cell.write(&mut |bytes| key.extend_from_slice(bytes));
        }
        if !self.groups.contains_key(self.key.as_slice()) {
            self.begin(place)?;
        }
        let found = self.groups.get_mut(self.key.as_slice());
        for (sum, column) in found.into_iter().flatten().zip(&self.sums) {
            if let Cell::Number(number) = column.cell(row, place, span, scratch) {
                sum.get_or_insert_default().add(number);
            }
        }
        Ok(())
    }

    fn span(&mut self, row: &VisibleRow) -> Result<[UtcSeconds; 2], EmitterError> {
        let day = row.charge_start.0.div_euclid(DAY);
        if let Some((last, span)) = self.last
            && last == day
        {
            return Ok(span);
        }
        let failed = |error: TimeError| EmitterError::Integrity(error.to_string());
        let span = self.bucket.span(row.charge_start).map_err(failed)?;
        self.last = Some((day, span));
        Ok(span)
    }

    /// A new group of the key.
    fn begin(&mut self, place: &Place) -> Result<(), EmitterError> {
        if self.groups.len() >= self.most {
            let text = format!(
                "the CSV file of {}/{} for {} has more than {} groups: write fewer columns in `group_by`, or remove `aggregation`",
                place.tenant, place.source, place.date, self.most
            );
            return Err(EmitterError::Settings(text));
        }
        if self.key.iter().filter(|byte| **byte == BETWEEN).count() + 1 != self.group.len() {
            let text = format!("{}: a text holds the byte 0", place.date);
            return Err(EmitterError::Integrity(text));
        }
        let sums = vec![None; self.sums.len()];
        self.groups.insert(self.key.as_slice().into(), sums.into());
        Ok(())
    }

    /// Gives the records of all groups, by their cells in the order of the columns grouped by.
    ///
    /// # Errors
    /// What `write` fails with.
    pub fn write(
        self,
        columns: &[Output],
        mut write: impl FnMut(&ByteRecord) -> Result<(), EmitterError>,
    ) -> Result<(), EmitterError> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut record = ByteRecord::new();
        for (key, sums) in groups {
            let cells: Vec<&[u8]> = key.split(|byte| *byte == BETWEEN).collect();
            record.clear();
            for column in columns {
                match column {
                    Output::Group(at) => record.push_field(cells[*at]),
                    Output::Sum(at) => match sums[*at] {
                        Some(sum) => record.push_field(sum.to_string().as_bytes()),
                        None => record.push_field(b""),
                    },
                }
            }
            write(&record)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use proto::config::Aggregation;
    use proto::money::Amount;

    use super::*;
    use crate::csv::fixture::{place, row, settings};
    use crate::csv::layout::{Layout, Shape};

    const MEASURES: [&str; 4] = ["billed", "effective", "contracted", "list"];

    fn written(aggregation: Aggregation, group: &[&str], rows: &[VisibleRow]) -> String {
        let shape = Shape::of(&settings(aggregation, group, &[])).unwrap();
        let mut layout = Layout::new(Vec::new(), &place(), &shape).unwrap();
        rows.iter().for_each(|row| layout.row(row).unwrap());
        String::from_utf8(layout.finish().unwrap()).unwrap()
    }

    /// A row of some currency, service, owner, second after the month's begin, and numbers.
    fn made(words: (u8, u8, u8), second: i64, numbers: [i64; 6]) -> VisibleRow {
        let mut made = row();
        let number = |at: usize| Amount::from_parts(numbers[at].into(), at as u32 * 3).unwrap();
        let text = |n: u8, texts: [&str; 3]| texts[usize::from(n)].to_owned();
        let line = Arc::make_mut(&mut made.of);
        line.currency = text(words.0, ["EUR", "USD", "JPY"]);
        line.service = Some(text(words.1, ["", "a, b", "=a"])).filter(|text| !text.is_empty());
        line.pricing_unit = Some(text(words.1, ["h", "", "GB"]));
        Arc::make_mut(&mut made.why).owner = text(words.2, ["x", "y", "é"]);
        made.charge_start.0 += second;
        made.amount = number(0);
        made.measures = [0, 1, 2, 3].map(number);
        made.quantities = [Some(number(4)).filter(|_| second % 3 > 0), None];
        made
    }

    fn rows() -> impl Strategy<Value = Vec<VisibleRow>> {
        let words = (0..3_u8, 0..3_u8, 0..3_u8);
        let numbers = prop::array::uniform6(any::<i64>());
        prop::collection::vec((words, 0..200_000_i64, numbers), 0..40).prop_map(|all| {
            all.into_iter().map(|(words, second, numbers)| made(words, second, numbers)).collect()
        })
    }

    type Sums = BTreeMap<(String, &'static str), ExactSum>;

    fn records(text: &str) -> Vec<BTreeMap<String, String>> {
        csv::Reader::from_reader(text.as_bytes()).deserialize().map(Result::unwrap).collect()
    }

    proptest! {
        #[test]
        fn sums_of_sums_are_the_sums_of_the_rows(rows in rows(), turn in 0..40_usize) {
            for group in [&["owner_id"][..], &["unit", "currency", "service", "timestamp"], &["entry"]] {
                let text = written(Aggregation::Daily, group, &rows);
                let mut wanted = Sums::new();
                for row in &rows {
                    let parts = MEASURES.into_iter().zip(row.measures);
                    for (name, part) in parts.chain([("amount", row.amount)]) {
                        wanted.entry((row.of.currency.clone(), name)).or_default().add(part);
                    }
                    if let Some(quantity) = row.quantities[0].filter(|_| group[0] == "unit") {
                        wanted.entry((row.of.currency.clone(), "quantity")).or_default().add(quantity);
                    }
                }
                let (mut found, mut keys) = (Sums::new(), Vec::new());
                for record in records(&text) {
                    for name in MEASURES.into_iter().chain(["amount", "quantity"]) {
                        if let Some(cell) = record.get(name).filter(|cell| !cell.is_empty()) {
                            let sum: ExactSum = cell.parse().unwrap();
                            found.entry((record["currency"].clone(), name)).or_default().merge(&sum);
                        }
                    }
                    let mut key: Vec<String> = group.iter().map(|name| record[*name].clone()).collect();
                    key.push(record["currency"].clone());
                    keys.push(key);
                }
                prop_assert_eq!(found, wanted);
                prop_assert!(keys.is_sorted_by(|a, b| a < b), "ordered, and each once: {:?}", keys);
                let mut turned = rows.clone();
                turned.rotate_left(turn.min(rows.len()));
                turned.reverse();
                prop_assert_eq!(written(Aggregation::Daily, group, &turned), text);
            }
        }
    }

    #[test]
    fn sums_are_written_to_the_letter() {
        let rows = [
            made((0, 1, 1), 0, [1, 2, 3, 4, 5, 6]),
            made((1, 1, 1), 3_600, [-1, 0, 0, 0, 0, 0]),
            made((0, 1, 1), 86_399, [i64::MAX; 6]),
            made((0, 2, 1), 86_400, [7, 7, 7, 7, 7, 7]),
        ];
        let day =
            written(Aggregation::Daily, &["timestamp", "service", "charge_period_end"], &rows);
        let wanted = "timestamp,service,charge_period_end,currency,amount,billed,effective,contracted,list\n\
            2026-05-01T00:00:00Z,\"a, b\",2026-05-02T00:00:00Z,EUR,9223372036854775808,9223372036854775808,\
            9223372036854775.809,9223372036854.77581,9223372036.854775811\n\
            2026-05-01T00:00:00Z,\"a, b\",2026-05-02T00:00:00Z,USD,-1,-1,0,0,0\n\
            2026-05-02T00:00:00Z,'=a,2026-05-03T00:00:00Z,EUR,7,7,0.007,0.000007,0.000000007\n";
        assert_eq!(day, wanted);
        let month =
            written(Aggregation::Monthly, &["timestamp", "charge_period_end", "unit"], &rows[3..]);
        let wanted = "timestamp,charge_period_end,unit,currency,amount,billed,effective,contracted,list,quantity\n\
            2026-05-01T00:00:00Z,2026-06-01T00:00:00Z,,EUR,7,7,0.007,0.000007,0.000000007,\n";
        assert_eq!(month, wanted);
        let by_default = written(Aggregation::Daily, &[], &rows);
        let head = "ecosystem,tenant_id,source,timestamp,resource_id,product_category,product_type,identity_id,\
            owner_id,cost_type,currency,amount,billed,effective,contracted,list\n";
        assert!(by_default.starts_with(head), "{by_default}");
        assert_eq!(records(&by_default).len(), 3);
    }

    #[test]
    fn too_many_groups_are_refused_with_the_mend() {
        let group = vec![Column::Line];
        let mut totals =
            Totals { most: 2, ..Totals::new(Bucket::Day, group, vec![Column::Amount]) };
        let mut add = |line: u8| {
            let mut row = row();
            row.line.0.0[0] = line;
            totals.add(&row, &place(), &mut Scratch::default())
        };
        add(1).unwrap();
        add(2).unwrap();
        add(1).unwrap();
        let refused = add(3).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the CSV file of acme/cloud for 2026-05-01 has more than 2 groups: write fewer columns in `group_by`, or remove `aggregation`"
        );
    }
}

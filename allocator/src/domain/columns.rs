//! One batch of lines as the rules see it. Every field is worked out at its first use, once per distinct value, and
//! so is every condition: texts come in dictionaries, and most bills repeat themselves.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use proto::column::{ColumnError, TextColumn};
use proto::config::Field;
use proto::line::{Lines, Measure, cell};
use proto::money::Amount;
use proto::tags;
use proto::time::{BillingPeriod, UnitDate, UtcSeconds};

use super::fields::{FieldId, Fields, Plan, Typed};
use super::lookup::join;
use super::matching::Tests;
use super::normalise::{Step, normalise};

/// Values of one field in a batch. Code 0 is not special: absent values are `None` wherever they stand.
#[derive(Debug)]
pub struct FieldColumn<'b> {
    codes: Codes<'b>,
    values: Vec<Option<Cow<'b, str>>>,
}

#[derive(Debug)]
enum Codes<'b> {
    /// All lines have code 0.
    Same,
    /// As the batch has them.
    Of(&'b TextColumn),
    /// Our own.
    Own(Vec<u32>),
}

impl FieldColumn<'_> {
    /// The code of a line's value.
    pub fn code(&self, line: usize) -> usize {
        let code = match &self.codes {
            Codes::Same => 0,
            Codes::Of(column) => column.code(line),
            Codes::Own(codes) => codes[line],
        };
        code as usize
    }
    /// The value of a code; `None` when absent. Trimmed, not empty, not `NULL`.
    pub fn value(&self, code: usize) -> Option<&str> {
        self.values[code].as_deref()
    }
    /// Values of all codes.
    pub fn values(&self) -> impl Iterator<Item = Option<&str>> {
        self.values.iter().map(Option::as_deref)
    }
}

/// A value as rules see it: trimmed; `None` when nothing is left or it says `NULL`.
pub fn clean(text: &str) -> Option<&str> {
    let text = text.trim();
    (!text.is_empty() && text != "NULL").then_some(text)
}

fn clean_owned(text: String) -> Option<Cow<'static, str>> {
    match clean(&text) {
        Some(kept) if kept.len() == text.len() => Some(Cow::Owned(text)),
        kept => kept.map(|kept| Cow::Owned(kept.to_owned())),
    }
}

/// Tags of one distinct text, as [`tags::parse`] gives them.
type Tags = Vec<(String, String)>;

/// A batch of lines with its fields and conditions.
#[derive(Debug)]
pub struct Batch<'b> {
    fields: &'b Fields,
    tests: &'b Tests,
    lines: &'b Lines,
    date: UnitDate,
    /// Values stated for whole fields, in a test of rules: they go before everything.
    given: Option<&'b BTreeMap<Field, String>>,
    columns: Vec<OnceCell<FieldColumn<'b>>>,
    tags: OnceCell<Vec<Tags>>,
    holds: Vec<OnceCell<Vec<bool>>>,
    periods: Vec<BillingPeriod>,
}

impl<'b> Batch<'b> {
    /// A batch of the unit of `date`.
    ///
    /// # Errors
    /// When a line's billing period is none.
    pub fn new(
        fields: &'b Fields,
        tests: &'b Tests,
        lines: &'b Lines,
        date: UnitDate,
        given: Option<&'b BTreeMap<Field, String>>,
    ) -> Result<Self, ColumnError> {
        Ok(Self {
            fields,
            tests,
            lines,
            date,
            given,
            columns: (0..fields.len()).map(|_| OnceCell::new()).collect(),
            tags: OnceCell::new(),
            holds: (0..tests.len()).map(|_| OnceCell::new()).collect(),
            periods: parsed(&lines.billing_period, "billing_period")?,
        })
    }

    /// The lines.
    pub fn lines(&self) -> &'b Lines {
        self.lines
    }

    /// The billing period of a line.
    pub fn period(&self, line: usize) -> BillingPeriod {
        self.periods[self.lines.billing_period.code(line) as usize - 1]
    }

    /// A field's values.
    pub fn column(&self, field: FieldId) -> &FieldColumn<'b> {
        self.columns[field].get_or_init(|| self.work_out(field))
    }

    /// A field's value on a line.
    pub fn value(&self, field: FieldId, line: usize) -> Option<&str> {
        let column = self.column(field);
        column.value(column.code(line))
    }

    /// Whether test number `test` holds on a line.
    pub fn holds(&self, test: usize, line: usize) -> bool {
        let (field, check) = self.tests.get(test);
        let column = self.column(field);
        let holds =
            self.holds[test].get_or_init(|| column.values().map(|v| check.holds(v)).collect());
        holds[column.code(line)]
    }

    fn work_out(&self, field: FieldId) -> FieldColumn<'b> {
        if let Some(value) = self.given.and_then(|given| stated(given, self.fields.name(field))) {
            return constant(clean_owned(value));
        }
        match self.fields.plan(field) {
            Plan::Cell(name) => self.cell(name),
            Plan::Typed(typed) => self.typed(*typed),
            Plan::Constant(value) => constant(clean(value).map(Cow::Borrowed)),
            Plan::Tag(key) => self.tag(key),
            Plan::FirstOf(from, steps) => self.first_of(from, steps),
            Plan::Table(keys, table) => self.derive(keys, |cells| {
                let cells = cells.iter().copied().collect::<Option<Vec<_>>>()?;
                clean_owned(table.get(&join(&cells), self.date)?)
            }),
        }
    }

    fn cell(&self, name: &str) -> FieldColumn<'b> {
        let Some(column) = self.lines.cell(name) else { return constant(None) };
        let values = column.values().iter().map(|text| clean(text).map(Cow::Borrowed));
        FieldColumn {
            codes: Codes::Of(column),
            values: std::iter::once(None).chain(values).collect(),
        }
    }

    fn tag(&self, key: &str) -> FieldColumn<'b> {
        let Some(column) = self.lines.cell(cell::TAGS) else { return constant(None) };
        // The gatherer counted and reported texts that are no tags; such a line has none.
        let read = |text: &String| tags::parse(text).unwrap_or_default();
        let tags = self.tags.get_or_init(|| column.values().iter().map(read).collect());
        let value = |tags: &Tags| tags::get(tags, key).and_then(|v| clean_owned(v.to_owned()));
        let values = std::iter::once(None).chain(tags.iter().map(value)).collect();
        FieldColumn { codes: Codes::Of(column), values }
    }

    fn first_of(&self, from: &[FieldId], steps: &[Step]) -> FieldColumn<'b> {
        let columns: Vec<_> = from.iter().map(|field| self.column(*field)).collect();
        let mut coder = Coder::default();
        let codes = (0..self.lines.len()).map(|line| {
            let found = columns.iter().enumerate().find_map(|(which, column)| {
                let code = column.code(line);
                column.value(code).map(|value| (which, code, value))
            });
            let key = found.map(|(which, code, _)| (which, code));
            coder.code(key, || clean_owned(normalise(found?.2, steps)))
        });
        let codes = codes.collect();
        FieldColumn { codes: Codes::Own(codes), values: coder.values }
    }

    /// A column of what `make` gives for the values of several fields.
    fn derive(
        &self,
        from: &[FieldId],
        make: impl Fn(&[Option<&str>]) -> Option<Cow<'static, str>>,
    ) -> FieldColumn<'b> {
        let columns: Vec<_> = from.iter().map(|field| self.column(*field)).collect();
        let mut coder = Coder::default();
        let codes = (0..self.lines.len()).map(|line| {
            let key: Vec<usize> = columns.iter().map(|column| column.code(line)).collect();
            let values = || columns.iter().map(|c| c.value(c.code(line))).collect::<Vec<_>>();
            coder.code(key, || make(&values()))
        });
        let codes = codes.collect();
        FieldColumn { codes: Codes::Own(codes), values: coder.values }
    }

    fn typed(&self, typed: Typed) -> FieldColumn<'b> {
        let lines = self.lines;
        let amount = |amount: Option<Amount>| amount.map(|a| Cow::Owned(a.to_string()));
        let seconds = |at: i64| Some(Cow::Owned(UtcSeconds(at).to_string()));
        match typed {
            Typed::Measure(m) => self.coded(|i| Some(self.measure(m, i)), amount),
            Typed::Quantity(q) => self.coded(|i| lines.quantity(q, i), amount),
            Typed::Currency => {
                let values = lines.currency.values().iter().map(|c| clean(c).map(Cow::Borrowed));
                let values = std::iter::once(None).chain(values).collect();
                FieldColumn { codes: Codes::Of(&lines.currency), values }
            }
            Typed::ChargeStart => self.coded(|i| lines.charge_start[i], seconds),
            Typed::ChargeEnd => self.coded(|i| lines.charge_end[i], seconds),
            Typed::PeriodStart => self.coded(|i| self.period(i), |p| Some(first_second(p, 0))),
            Typed::PeriodEnd => self.coded(|i| self.period(i), |p| Some(first_second(p, 1))),
        }
    }

    fn measure(&self, measure: Measure, line: usize) -> Amount {
        self.lines.measure(measure as usize, line).unwrap_or(self.lines.amount[line])
    }

    fn coded<T: Copy + Eq + Hash>(
        &self,
        get: impl Fn(usize) -> T,
        text: impl Fn(T) -> Option<Cow<'b, str>>,
    ) -> FieldColumn<'b> {
        let mut coder = Coder::default();
        let codes = (0..self.lines.len()).map(|i| coder.code(get(i), || text(get(i)))).collect();
        FieldColumn { codes: Codes::Own(codes), values: coder.values }
    }
}

/// What a test states of a field. Its tags are found as those of lines are: keys compare trimmed and without case.
fn stated(given: &BTreeMap<Field, String>, field: &Field) -> Option<String> {
    let Field::Tag(key) = field else { return given.get(field).cloned() };
    let tag = |(field, value): (&Field, &String)| {
        let Field::Tag(key) = field else { return None };
        Some((key.clone(), value.clone()))
    };
    tags::get(&given.iter().filter_map(tag).collect::<Tags>(), key).map(str::to_owned)
}

/// Gives each distinct key a code, and its value.
#[derive(Debug)]
struct Coder<'b, K> {
    codes: HashMap<K, u32>,
    values: Vec<Option<Cow<'b, str>>>,
}

impl<K> Default for Coder<'_, K> {
    fn default() -> Self {
        Self { codes: HashMap::new(), values: Vec::new() }
    }
}

impl<'b, K: Eq + Hash> Coder<'b, K> {
    fn code(&mut self, key: K, value: impl FnOnce() -> Option<Cow<'b, str>>) -> u32 {
        *self.codes.entry(key).or_insert_with(|| {
            self.values.push(value());
            // A batch holds at most 65,536 lines.
            self.values.len() as u32 - 1
        })
    }
}

fn constant(value: Option<Cow<'_, str>>) -> FieldColumn<'_> {
    FieldColumn { codes: Codes::Same, values: vec![value] }
}

/// The first second of the month `later` months (0 or 1) after `period`.
fn first_second(period: BillingPeriod, later: u8) -> Cow<'static, str> {
    let text = period.to_string();
    let (year, month) = text.split_at(text.len() - 3);
    let text = match (later, &month[1..]) {
        (0, month) => format!("{year}-{month}-01T00:00:00Z"),
        (_, "12") => format!("{:04}-01-01T00:00:00Z", year.parse().unwrap_or(0_u32) + 1),
        (_, month) => format!("{year}-{:02}-01T00:00:00Z", month.parse().unwrap_or(0_u32) + 1),
    };
    Cow::Owned(text)
}

/// Every distinct value of a column that no line may lack, read.
///
/// # Errors
/// When a line lacks it or a value cannot be read.
pub fn parsed<T: std::str::FromStr>(
    column: &TextColumn,
    name: &'static str,
) -> Result<Vec<T>, ColumnError> {
    let damaged = |what| ColumnError::Damaged { column: name, what };
    if (0..column.len()).any(|line| column.code(line) == 0) {
        return Err(damaged("a line without value"));
    }
    let read = |text: &String| text.parse().map_err(|_| damaged("a value that means nothing"));
    column.values().iter().map(read).collect()
}

//! From a record of a file to a line: pure, and exact or refused.

use proto::currency::Currency;
use proto::ids::{SourceId, TenantId};
use proto::line::Measure;
use proto::money::Amount;
use proto::report::QuarantinedRecord;
use proto::time::{BillingPeriod, DAYS_AHEAD, FIRST_DATE, UnitDate, UtcSeconds};

use super::cells::{Cells, KeptTimes};
use super::codec::Head;
use super::header::Layout;
use super::records::Record;
use super::refusal::{Refusal, Warnings, is_null, number, number_reason};
use proto::moment::{self, Moment};

/// What is told of a cost that a line lacks, in the order of the measures.
const FILLED: [&str; 4] = [
    "no BilledCost: the cost that counts stands for it",
    "no EffectiveCost: the cost that counts stands for it",
    "no ContractedCost: the cost that counts stands for it",
    "no ListCost: the cost that counts stands for it",
];

/// The largest record that a line can be made of: a batch holds it beside others.
pub const LINE_BYTES_MAX: usize = 96 * 1024;

/// What a source wants of its records.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub source: SourceId,
    /// The measure that is a line's amount.
    pub cost: Measure,
    /// Expected currencies; empty: any.
    pub currencies: Vec<Currency>,
    /// The coordinator's day.
    pub today: UnitDate,
}

/// What became of a record.
#[derive(Debug)]
pub enum Outcome {
    /// A line; its bytes are in the buffer that was given.
    Line(UnitDate, Box<Head>),
    /// A sound record of a date that is not asked for.
    Elsewhere(UnitDate),
    /// No line can be made of it.
    Refused(Box<Refusal>),
}

/// Maps the records of one file.
pub struct Mapper<'a> {
    wanted: &'a Wanted,
    layout: &'a Layout,
    cells: Cells,
    times: [Recent<Option<Moment>>; 3],
    currency: Recent<Option<Currency>>,
    date: Option<(i64, UnitDate)>,
    period: Option<(UtcSeconds, BillingPeriod)>,
    /// What a person should know of the file.
    pub warnings: Warnings,
}

/// The last text and what it meant: neighbours mostly say the same.
struct Recent<T> {
    text: Vec<u8>,
    value: T,
}

impl<T: Copy + Default> Recent<T> {
    fn new() -> Self {
        Self { text: Vec::new(), value: T::default() }
    }
    fn get(&mut self, text: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
        if self.text != text {
            self.text.clear();
            self.text.extend_from_slice(text);
            self.value = read(text);
        }
        self.value
    }
}

impl<'a> Mapper<'a> {
    /// A mapper of a file with this layout.
    #[must_use]
    pub fn new(wanted: &'a Wanted, layout: &'a Layout) -> Self {
        Self {
            wanted,
            layout,
            cells: Cells::new(&wanted.tenant, &wanted.source),
            times: [Recent::new(), Recent::new(), Recent::new()],
            currency: Recent::new(),
            date: None,
            period: None,
            warnings: Warnings::default(),
        }
    }

    /// Maps a record; the line's bytes go to `out`. Lines of dates that `asked` says no to are not made.
    pub fn map(
        &mut self,
        record: &Record<'_>,
        asked: &dyn Fn(UnitDate) -> bool,
        out: &mut Vec<u8>,
    ) -> Outcome {
        match self.check(record).and_then(|()| self.head(record)) {
            Err(refusal) => Outcome::Refused(Box::new(refusal)),
            Ok((date, _, _)) if !asked(date) => Outcome::Elsewhere(date),
            Ok((date, head, kept)) => {
                self.cells.write(record, self.layout, &head, kept, &mut self.warnings, out);
                Outcome::Line(date, head)
            }
        }
    }

    /// What is kept of a refused record.
    #[must_use]
    pub fn quarantine(
        &mut self,
        file: &str,
        record: &Record<'_>,
        refusal: Refusal,
    ) -> QuarantinedRecord {
        let start = record.get(self.layout.charge_start).and_then(moment::parse);
        let date = start.and_then(|start| self.date(record, start.at).ok());
        refusal.quarantined(file, record, self.layout, self.wanted.cost, date)
    }

    fn check(&self, record: &Record<'_>) -> Result<(), Refusal> {
        let (got, want) = (record.fields(), self.layout.width);
        let reason = if got != want {
            format!(
                "wrong number of cells: {got}, where the header has {want}: mend its commas and quotes"
            )
        } else if record.raw.len() > LINE_BYTES_MAX {
            let bytes = record.raw.len();
            format!(
                "too large: {bytes} bytes, at most {LINE_BYTES_MAX} can be carried: shorten its cells"
            )
        } else if std::str::from_utf8(record.raw).is_err() {
            "not UTF-8: save the file as UTF-8".to_owned()
        } else if memchr::memchr(0, record.raw).is_some() {
            "holds a NUL character, which no database takes: remove it".to_owned()
        } else {
            return Ok(());
        };
        Err(Refusal::of_record(reason))
    }

    /// Everything of a line but its cells.
    fn head(&mut self, record: &Record<'_>) -> Result<(UnitDate, Box<Head>, KeptTimes), Refusal> {
        let layout = self.layout;
        let no_date = || {
            Refusal::of_cell(
                layout,
                record,
                layout.charge_start,
                format!("no date: {}", moment::FORM),
            )
        };
        let start = self.time(record, 0, Some(layout.charge_start))?.ok_or_else(no_date)?;
        let date = self.date(record, start.at)?;
        let end = match self.time(record, 1, layout.charge_end)? {
            Some(end) => end,
            None => {
                self.warnings.add("no ChargePeriodEnd: taken to be the end of the day");
                Moment { at: UtcSeconds(date.start().0 + 86_400), more: false }
            }
        };
        if end.at < start.at {
            let reason = format!(
                "bad date: the charge period ends before it starts, at {}: mend either",
                start.at
            );
            let field = layout.charge_end.unwrap_or(layout.charge_start);
            return Err(Refusal::of_cell(layout, record, field, reason));
        }
        let billing = self.time(record, 2, layout.billing_start)?;
        let (amount, measures) = self.measures(record)?;
        let quantity = |field: Option<usize>| {
            let text = record.field(field?);
            if is_null(text) { None } else { number(text).ok() }
        };
        let head = Head {
            charge_start: start.at,
            charge_end: end.at,
            billing_period: self.billing_period(record, date, billing)?,
            currency: self.currency(record)?,
            amount,
            measures,
            quantities: layout.quantities.map(quantity),
        };
        let begins_month = |b: Moment| {
            !b.more && b.at.date().is_ok_and(|d| d.start() == b.at && d.civil().day() == 1)
        };
        let kept = KeptTimes {
            charge_start: start.more,
            charge_end: end.more,
            billing_start: billing.is_some_and(|billing| !begins_month(billing)),
        };
        Ok((date, Box::new(head), kept))
    }

    fn time(
        &mut self,
        record: &Record<'_>,
        which: usize,
        field: Option<usize>,
    ) -> Result<Option<Moment>, Refusal> {
        let Some(field) = field else { return Ok(None) };
        let text = record.field(field);
        if is_null(text) {
            return Ok(None);
        }
        let bad =
            || Refusal::of_cell(self.layout, record, field, format!("bad date: {}", moment::FORM));
        self.times[which].get(text, moment::parse).ok_or_else(bad).map(Some)
    }

    /// The date of a charge, if it is one that can be held.
    fn date(&mut self, record: &Record<'_>, start: UtcSeconds) -> Result<UnitDate, Refusal> {
        let day = start.0.div_euclid(86_400);
        if let Some((known, date)) = self.date
            && known == day
        {
            return Ok(date);
        }
        let (layout, today) = (self.layout, self.wanted.today);
        let refuse = |reason: String| Refusal::of_cell(layout, record, layout.charge_start, reason);
        let date = start.date().ok().filter(|date| *date >= FIRST_DATE);
        let date =
            date.ok_or_else(|| refuse(format!("bad date: before {FIRST_DATE}: mend the year")))?;
        if date.epoch_days() - today.epoch_days() > DAYS_AHEAD {
            let reason =
                format!("bad date: more than {DAYS_AHEAD} days ahead of {today}: mend the year");
            return Err(Refusal { too_early: true, ..refuse(reason) });
        }
        self.date = Some((day, date));
        Ok(date)
    }

    fn billing_period(
        &mut self,
        record: &Record<'_>,
        date: UnitDate,
        billing: Option<Moment>,
    ) -> Result<BillingPeriod, Refusal> {
        let Some(Moment { at, .. }) = billing else { return Ok(date.period()) };
        if let Some((known, period)) = self.period
            && known == at
        {
            return Ok(period);
        }
        let field = self.layout.billing_start.unwrap_or(self.layout.charge_start);
        let bad =
            || Refusal::of_cell(self.layout, record, field, format!("bad date: {}", moment::FORM));
        // An offset can lead out of the first year, and no period is written without one.
        let day = at.date().ok().filter(|day| day.civil().year() > 0).ok_or_else(bad)?;
        let period = day.period();
        self.period = Some((at, period));
        Ok(period)
    }

    fn currency(&mut self, record: &Record<'_>) -> Result<Currency, Refusal> {
        let field = self.layout.currency;
        let text = record.field(field);
        if is_null(text) {
            let reason = "no currency: write an ISO 4217 code such as USD";
            return Err(Refusal::of_cell(self.layout, record, field, reason));
        }
        let read = |text: &[u8]| std::str::from_utf8(text).ok()?.trim().parse().ok();
        let unknown = || {
            let reason = "unknown currency code: write an ISO 4217 code, three upper-case letters such as USD";
            Refusal::of_cell(self.layout, record, field, reason)
        };
        let currency: Currency = self.currency.get(text, read).ok_or_else(unknown)?;
        if !self.wanted.currencies.is_empty() && !self.wanted.currencies.contains(&currency) {
            self.warnings
                .add(&format!("currency {currency} is not the tenant's: the line is kept"));
        }
        Ok(currency)
    }

    /// The amount, and the measures that differ from it.
    fn measures(&mut self, record: &Record<'_>) -> Result<(Amount, [Option<Amount>; 4]), Refusal> {
        let layout = self.layout;
        let mut measures = [None; 4];
        for (slot, field) in measures.iter_mut().zip(layout.measures) {
            let Some(field) = field else { continue };
            let text = record.field(field);
            if !is_null(text) {
                let bad = |error| Refusal::of_cell(layout, record, field, number_reason(&error));
                *slot = Some(number(text).map_err(bad)?);
            }
        }
        let cost = self.wanted.cost as usize;
        let none = || {
            let field = layout.measures[cost].unwrap_or(layout.charge_start);
            Refusal::of_cell(layout, record, field, "no cost: write a number such as 12.5, or 0")
        };
        let amount = measures[cost].ok_or_else(none)?;
        for (measure, text) in measures.iter().zip(FILLED) {
            if measure.is_none() {
                self.warnings.add(text);
            }
        }
        measures
            .iter_mut()
            .filter(|measure| **measure == Some(amount))
            .for_each(|measure| *measure = None);
        Ok((amount, measures))
    }
}

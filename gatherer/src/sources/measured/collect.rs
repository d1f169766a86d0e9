//! Asks for a range of days and prices what was measured.

use std::collections::BTreeMap;

use proto::config::MeasuredCost;
use proto::hash::Hash128;
use proto::line::BillingLineItem;
use proto::report::{QuarantinedRecord, Warning};
use proto::time::UnitDate;
use serde::{Deserialize, Serialize};

use super::Measured;
use super::costs::{self, Lines};
use super::days::{self, Measurement};
use crate::error::GatherError;
use crate::ports::{GatherRequest, Harvest, Summary, TakeLine, Watch};
use crate::sources::cursor::{self, DateHashes};

/// Days before today that are asked for where the tenant has no `lookback`.
const DAYS: i64 = 200;

#[derive(Serialize, Deserialize)]
struct MeasuredCursor {
    settings: Hash128,
    dates: DateHashes,
}

/// What a gather found: few lines a day, so all of them are held.
pub struct MeasuredHarvest {
    hash: Hash128,
    summary: Summary,
    lines: BTreeMap<UnitDate, Vec<BillingLineItem>>,
    watch: Watch,
}

/// The whole days that a task asks for: today is not over. `None`: there are none.
fn asked(request: &GatherRequest) -> Result<Option<(UnitDate, UnitDate)>, GatherError> {
    let calendar = |error| GatherError::Config(format!("the days leave the calendar: {error}"));
    let task = &request.task;
    let yesterday = task.today.plus_days(-1).map_err(calendar)?;
    let last = task.until.map_or(yesterday, |until| until.min(yesterday));
    let first = match task.from {
        Some(from) => from,
        None => task.today.plus_days(-DAYS).map_err(calendar)?,
    };
    Ok((first <= last).then_some((first, last)))
}

/// Reads the costs of all days that are asked for.
///
/// # Errors
/// When one metric cannot be had: then nothing of it counts.
pub async fn collect(
    source: &Measured,
    request: &GatherRequest,
) -> Result<MeasuredHarvest, GatherError> {
    let hash = request
        .config
        .gather_hash(&request.source)
        .map_err(|error| GatherError::Config(error.to_string()))?;
    let mut harvest = MeasuredHarvest {
        hash,
        summary: Summary::default(),
        lines: BTreeMap::new(),
        watch: request.watch.clone(),
    };
    let Some((first, last)) = asked(request)? else { return Ok(harvest) };
    let measured = measure(source, (first, last)).await?;
    request.watch.tick()?;
    let whose = (&request.tenant, &request.source);
    let mut lines = Lines::new(&source.settings, source.service, whose);
    let known = Known::of(request, hash);
    let asks = source.settings.costs.iter().any(|cost| cost.quantity.query().is_some());
    let begun = measured.iter().flat_map(|days| days.keys().next()).min().copied();
    let (mut missing, mut lacking, mut in_part) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut date = first;
    while date <= last {
        let of_day: Vec<Option<Measurement>> =
            measured.iter().map(|days| days.get(&date).copied()).collect();
        if asks && of_day.iter().all(Option::is_none) {
            match known.kept(date) {
                // What was measured once is not undone by a server that forgets old samples.
                Some(hash) => _ = harvest.summary.unchanged.insert(date, hash),
                None if begun.is_none_or(|begun| begun < date) => missing.push(date),
                None => {}
            }
        } else {
            let mut all = Vec::new();
            for (cost, measured) in source.settings.costs.iter().zip(of_day) {
                note(cost, measured, source.step, &mut lacking, &mut in_part);
                let priced = costs::priced(cost, measured).map_err(GatherError::Config)?;
                all.extend(priced.map(|numbers| lines.line(date, cost, numbers)));
            }
            harvest.add(date, all);
        }
        date = date.plus_days(1).map_err(|error| {
            GatherError::Config(format!("the days leave the calendar: {error}"))
        })?;
    }
    harvest.warn(&missing, &lacking, &in_part);
    Ok(harvest)
}

/// What every cost measured on every day, in the order of the costs.
async fn measure(
    source: &Measured,
    (first, last): (UnitDate, UnitDate),
) -> Result<Vec<BTreeMap<UnitDate, Measurement>>, GatherError> {
    let costs = &source.settings.costs;
    let queries: Vec<_> = costs.iter().filter_map(|cost| costs::query(cost, source.step)).collect();
    let outcomes = source.metrics.fetch(&queries, days::window(first, last)).await;
    let mut outcomes = queries.iter().zip(outcomes);
    let mut measured = Vec::with_capacity(costs.len());
    for cost in costs {
        let answer = cost.quantity.query().and_then(|_| outcomes.next());
        measured.push(match answer {
            None => BTreeMap::new(),
            Some((query, outcome)) => days::by_day(&*outcome.whole()?, query.sampling)?,
        });
    }
    Ok(measured)
}

/// Notes what was not measured, or not all day.
fn note<'c>(
    cost: &'c MeasuredCost,
    measured: Option<Measurement>,
    step: u32,
    lacking: &mut BTreeMap<&'c str, u64>,
    in_part: &mut BTreeMap<&'c str, u64>,
) {
    if cost.quantity.query().is_none() {
        return;
    }
    let name = cost.product_type.as_str();
    match measured {
        None => *lacking.entry(name).or_default() += 1,
        Some(day) if day.moments < days::moments_of_a_day(step) => {
            *in_part.entry(name).or_default() += 1;
        }
        Some(_) => {}
    }
}

/// What the gather before found with the same settings, and is in force.
struct Known(BTreeMap<UnitDate, Hash128>);

impl Known {
    fn of(request: &GatherRequest, settings: Hash128) -> Self {
        let task = &request.task;
        let before = task.cursor.as_ref().and_then(|bytes| cursor::decode::<MeasuredCursor>(bytes));
        let before = before.filter(|before| before.settings == settings);
        let before: BTreeMap<UnitDate, Hash128> =
            before.map_or_else(Vec::new, |before| before.dates).into_iter().collect();
        let known = task.known.iter().filter(|known| {
            before.get(&known.date) == Some(&known.hash) && !task.republish.contains(&known.date)
        });
        Self(known.map(|known| (known.date, known.hash)).collect())
    }
    fn kept(&self, date: UnitDate) -> Option<Hash128> {
        self.0.get(&date).copied()
    }
}

impl MeasuredHarvest {
    fn add(&mut self, date: UnitDate, lines: Vec<BillingLineItem>) {
        let received = self.summary.read.entry(date).or_default();
        received.lines += lines.len() as u64;
        lines.iter().for_each(|line| received.totals.add_line(line));
        self.summary.records += lines.len() as u64;
        self.lines.insert(date, lines);
    }

    fn warn(
        &mut self,
        missing: &[UnitDate],
        lacking: &BTreeMap<&str, u64>,
        in_part: &BTreeMap<&str, u64>,
    ) {
        let warnings = &mut self.summary.warnings;
        let mut warn = |text, count| warnings.push(Warning { text, count });
        if let [first, .., last] | [first @ last] = missing {
            let span =
                if first == last { format!("{first}") } else { format!("{first} … {last}") };
            let text = format!("days without any sample are missing, not billed as zero: {span}");
            warn(text, missing.len() as u64);
        }
        for (name, count) in lacking {
            let text = format!("days have no sample of {name}, and no line of it");
            warn(text, *count);
        }
        for (name, count) in in_part {
            let text = format!("days have samples of {name} for a part of their hours only");
            warn(text, *count);
        }
    }
}

impl Harvest for MeasuredHarvest {
    fn summary(&self) -> &Summary {
        &self.summary
    }
    fn lines(&mut self, date: UnitDate, take: TakeLine<'_>) -> Result<(), GatherError> {
        self.watch.tick()?;
        self.lines.get(&date).into_iter().flatten().try_for_each(take)
    }
    fn quarantined(
        &mut self,
        _: &mut dyn FnMut(QuarantinedRecord) -> Result<(), GatherError>,
    ) -> Result<(), GatherError> {
        Ok(())
    }
    fn cursor(&self, dates: &BTreeMap<UnitDate, Hash128>) -> Option<Vec<u8>> {
        let dates = dates.iter().map(|(date, hash)| (*date, *hash)).collect();
        cursor::encode(&MeasuredCursor { settings: self.hash, dates })
    }
}

//! One gather of the bill: every page of every question, or nothing.

use std::collections::{BTreeMap, HashMap};

use proto::config::ConfluentSettings;
use proto::hash::Hash128;
use proto::report::{QuarantinedRecord, Warning};
use proto::time::UnitDate;
use serde_json::Value;

use super::map::{Mapper, Outcome};
use super::windows::{Days, is_in_reach, questions};
use crate::error::GatherError;
use crate::http::pages::{self, Place};
use crate::http::{HttpClient, HttpError};
use crate::ports::{GatherRequest, Harvest, Summary, TakeLine};
use crate::quarantine::Quarantine;
use crate::sources::focus::codec::Decoder;
use crate::sources::focus::header::ColumnNames;
use crate::spool::{Sorted, Spool, SpoolError};
use crate::window::Window;

/// Where the bill is.
const PATH: &str = "billing/v1/costs";
/// Rows of one page.
const PAGE_SIZE: &str = "2000";
/// The resolution that speaks of lines without a resource.
pub const ORGANIZATION: &str = "organization";

/// Asks for one row of the first days of the task's window.
///
/// # Errors
/// When it cannot be had.
pub async fn available(
    client: &HttpClient,
    settings: &ConfluentSettings,
    request: &GatherRequest,
) -> Result<(), GatherError> {
    let all = asked(settings, request)?;
    let Some(days) = all.first() else { return Ok(()) };
    let (from, until) = (days.from.to_string(), days.until.to_string());
    let query = [("start_date", &*from), ("end_date", &*until), ("page_size", "1")];
    client.ask(&client.get(PATH, &query)).await?;
    Ok(())
}

fn asked(settings: &ConfluentSettings, request: &GatherRequest) -> Result<Vec<Days>, GatherError> {
    let (window, today) = (Window::of(&request.task), request.task.today);
    questions(window, today, settings.days_per_query)
        .map_err(|error| GatherError::Config(error.to_string()))
}

/// Reads everything of the task's window that the API has.
///
/// # Errors
/// When any page cannot be had: nothing of the gather counts then.
pub async fn collect(
    client: &HttpClient,
    settings: &ConfluentSettings,
    request: &GatherRequest,
) -> Result<ConfluentHarvest, GatherError> {
    let task = &request.task;
    let window = Window::of(task);
    let mut reading = Reading {
        mapper: Mapper::new(&request.tenant, &request.source),
        spool: Spool::default(),
        quarantine: Quarantine::default(),
        summary: Summary::default(),
    };
    for days in asked(settings, request)? {
        request.watch.tick()?;
        reading.question(client, days, request).await?;
    }
    // What the API has no more is not gone: it stays as it is.
    let kept = task.known.iter().filter(|known| !is_in_reach(known.date, task.today));
    let kept = kept.filter(|known| window.contains(known.date));
    reading.summary.unchanged = kept.map(|known| (known.date, known.hash)).collect();
    let told = std::mem::take(&mut reading.mapper.warnings).into_iter();
    reading.summary.warnings = told.map(|(text, count)| Warning { text, count }).collect();
    reading.summary.quarantined = reading.quarantine.records();
    let names = std::mem::take(&mut reading.mapper.names);
    reading.summary.provider_columns = names.of_provider().map(str::to_owned).collect();
    Ok(ConfluentHarvest {
        summary: reading.summary,
        sorted: reading.spool.seal(),
        names,
        quarantine: reading.quarantine,
    })
}

struct Reading {
    mapper: Mapper,
    spool: Spool,
    quarantine: Quarantine,
    summary: Summary,
}

impl Reading {
    async fn question(
        &mut self,
        client: &HttpClient,
        days: Days,
        request: &GatherRequest,
    ) -> Result<(), GatherError> {
        let (from, until) = (days.from.to_string(), days.until.to_string());
        let query = [("start_date", &*from), ("end_date", &*until), ("page_size", PAGE_SIZE)];
        let question = client.get(PATH, &query);
        let (file, at) = (format!("{PATH} {from}..{until}"), question.at());
        let (mut bytes, mut number, mut page) = (Vec::new(), 0, 0);
        let before = self.quarantine.records();
        let mut seen: HashMap<String, Hash128> = HashMap::new();
        let mut take = |place: Place, row: Value| -> Result<(), GatherError> {
            if place.page != page {
                page = place.page;
                request.watch.tick()?;
            }
            number += 1;
            // A row that comes again means that the pages moved while they were read, so another one may be missing.
            if let Some(id) = row.get("id").and_then(Value::as_str) {
                let content = Hash128::of(row.to_string().as_bytes());
                if seen.insert(id.to_owned(), content) == Some(content) {
                    let what =
                        format!("row {id} came twice: the pages changed while they were read");
                    return Err(HttpError::Pages { at: at.clone(), what }.into());
                }
            }
            match self.mapper.map(&file, number, days, &row, &mut bytes) {
                Outcome::Line(date, head) => {
                    let received = self.summary.read.entry(date).or_default();
                    received.lines += 1;
                    received.totals.add(
                        head.currency,
                        head.billing_period,
                        head.amount,
                        &head.measures,
                    );
                    self.spool.push(date, &bytes)?;
                    self.summary.records += 1;
                }
                Outcome::Elsewhere => {}
                Outcome::Refused(record) => {
                    self.quarantine.push(&record)?;
                    self.summary.records += 1;
                }
            }
            Ok(())
        };
        pages::each(client, question, &mut take).await?;
        if self.quarantine.records() > before {
            self.summary.files_bad.push(file.clone());
        }
        self.summary.files_read.push(file);
        Ok(())
    }
}

/// What a gather of the bill found.
pub struct ConfluentHarvest {
    summary: Summary,
    sorted: Sorted,
    names: ColumnNames,
    quarantine: Quarantine,
}

impl Harvest for ConfluentHarvest {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn lines(&mut self, date: UnitDate, take: TakeLine<'_>) -> Result<(), GatherError> {
        let mut decoder = Decoder::new(&self.names);
        let mut each = |record: &[u8]| -> Result<(), GatherError> {
            let mut line = decoder.line(record).ok_or(SpoolError::Damaged)?.clone();
            let resource = line.cell(proto::line::cell::RESOURCE_ID);
            line.resolution_key = Some(resource.unwrap_or(ORGANIZATION).to_owned());
            take(&line)
        };
        self.sorted.each(date, &mut each)
    }

    fn quarantined(
        &mut self,
        take: &mut dyn FnMut(QuarantinedRecord) -> Result<(), GatherError>,
    ) -> Result<(), GatherError> {
        self.quarantine.each(take)
    }

    fn cursor(&self, _: &BTreeMap<UnitDate, Hash128>) -> Option<Vec<u8>> {
        // The API tells nothing of what changed: everything is read every time.
        None
    }
}

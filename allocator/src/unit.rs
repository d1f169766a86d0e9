//! The life of a unit here: read its resolutions and lines, apply the rules, publish its rows.
//!
//! The rules run on blocking threads, one batch at a time; reading ahead and publishing go on meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use proto::column::ColumnError;
use proto::driver::{DriverBatch, DriverWindow};
use proto::envelope::{self, EnvelopeError};
use proto::hash::SetHash;
use proto::ids::{DriverId, SourceId};
use proto::line::LineBatch;
use proto::manifest::{Manifest, Totals};
use proto::report::{FailureClass, Published};
use proto::resolution::ResolutionBatch;
use proto::subject::Stream;
use proto::task::AllocateUnit;
use proto::time::UnitDate;
use runtime::data::{BatchReader, BatchWriter, DataError};
use runtime::faults::crash_point;
use runtime::worker::TaskContext;

use crate::domain::{DriverWeights, Facts, Packed, Program, UnitAllocator, UnitError};

/// A unit of at most so many batches of lines is kept between its two passes instead of being read twice:
/// 64 × 100 KiB.
const KEPT_BATCHES_MAX: usize = 64;

/// A unit's lines share by at most so many weights of drivers: some 100 MiB.
const WEIGHTS_MAX: usize = 1_000_000;

/// Why a unit could not be allocated.
#[derive(Debug, thiserror::Error)]
pub enum UnitFailure {
    /// Its input could not be read, or its rows not be published.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Its input is damaged, or we are wrong.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// What was read is not what the manifest says, though every batch is.
    #[error("the {what} read differ from their manifest: {read} instead of {stated}")]
    Manifest {
        /// `lines`, `resolutions`.
        what: &'static str,
        /// What was read.
        read: String,
        /// What the manifest says.
        stated: String,
    },
    /// Its lines ask for more weights than are held.
    #[error(
        "the drivers of its lines have more than {WEIGHTS_MAX} weights, those of {driver} from {from} until {until} among \
         them: name fewer fields in `within`, or narrow what counts"
    )]
    Weights {
        /// Of which driver the last ones were.
        driver: DriverId,
        /// First day.
        from: UnitDate,
        /// First day after.
        until: UnitDate,
    },
    /// Rows do not add up to the lines: a defect, and nothing is reported as done.
    #[error("the rows of the unit differ from its lines: {0}")]
    Totals(String),
    /// The thread that did the work is gone.
    #[error("the work was given up: {0}")]
    GivenUp(#[from] tokio::task::JoinError),
}

impl UnitFailure {
    /// Whose fault it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Data(error) => error.class(),
            Self::Unit(_) | Self::Manifest { .. } | Self::Weights { .. } | Self::Totals(_) => {
                FailureClass::Data
            }
            Self::GivenUp(_) => FailureClass::Transient,
        }
    }
}

impl From<EnvelopeError> for UnitFailure {
    fn from(error: EnvelopeError) -> Self {
        Self::Data(error.into())
    }
}

impl From<ColumnError> for UnitFailure {
    fn from(error: ColumnError) -> Self {
        Self::Data(error.into())
    }
}

/// Allocates one unit under the task's attempt.
///
/// # Errors
/// When its input is missing or damaged, NATS does not answer, or rows would not add up. Nothing that was published
/// until then is ever read.
pub async fn allocate(
    context: &TaskContext,
    program: Arc<Program>,
    unit: &AllocateUnit,
) -> Result<Published, UnitFailure> {
    let facts = match &unit.resolutions {
        Some(manifest) => read_facts(context, unit, manifest).await?,
        None => Facts::default(),
    };
    let drivers = read_drivers(context, unit).await?;
    let mut allocator = UnitAllocator::new(program, unit.date, facts, drivers);
    let mut lines = Lines::new(context, unit);
    if allocator.needs_weights() {
        while let Some(payload) = lines.next().await? {
            allocator = weigh(allocator, payload).await?;
            context.progress.tick();
        }
        lines.again();
        allocator.weighed();
    }
    let mut rows = Rows::new(context, unit);
    let mut read = 0;
    while let Some(payload) = lines.next().await? {
        let (returned, packed, items) = apply(allocator, payload).await?;
        allocator = returned;
        read += items as u64;
        crash_point("allocator.read");
        rows.write(packed).await?;
        crash_point("allocator.batch");
        context.progress.tick();
    }
    if read != unit.lines.items {
        let (read, stated) = (read.to_string(), unit.lines.items.to_string());
        return Err(UnitFailure::Manifest { what: "lines", read, stated });
    }
    let drivers = allocator.drivers_used();
    let (last, warnings) = allocator.finish();
    rows.write(last).await?;
    let manifest = rows.finish(&unit.lines.totals).await?;
    crash_point("allocator.stored");
    let (date, generation) = (unit.date, unit.generation);
    let identities = Vec::new();
    Ok(Published { date, generation, manifest, warnings, lacking: None, drivers, identities })
}

async fn weigh(mut allocator: UnitAllocator, payload: Bytes) -> Result<UnitAllocator, UnitFailure> {
    let work = move || {
        let lines = envelope::decode::<LineBatch>(&payload)?.1.open()?;
        allocator.weigh(&lines)?;
        Ok(allocator)
    };
    tokio::task::spawn_blocking(work).await?
}

async fn apply(
    mut allocator: UnitAllocator,
    payload: Bytes,
) -> Result<(UnitAllocator, Vec<Packed>, usize), UnitFailure> {
    let work = move || {
        let lines = envelope::decode::<LineBatch>(&payload)?.1.open()?;
        let packed = allocator.allocate(&lines)?;
        Ok((allocator, packed, lines.len()))
    };
    tokio::task::spawn_blocking(work).await?
}

/// What the task names of drivers. Weights that are gone from the stream are as those still to come: they are made again.
async fn read_drivers(
    context: &TaskContext,
    unit: &AllocateUnit,
) -> Result<DriverWeights, UnitFailure> {
    let (mut drivers, mut held) = (DriverWeights::awaited(), 0);
    for input in &unit.drivers {
        let Some(until) = input.until else { continue };
        let window = DriverWindow { driver: input.driver.clone(), from: input.window, until };
        let Some(manifest) = &input.weights else {
            if input.lacking {
                drivers.lacks(window);
            }
            continue;
        };
        held =
            usize::try_from(manifest.items).map_or(usize::MAX, |items| items.saturating_add(held));
        if held > WEIGHTS_MAX {
            let DriverWindow { driver, from, until } = window;
            return Err(UnitFailure::Weights { driver, from, until });
        }
        let mut reader: BatchReader<DriverBatch> =
            BatchReader::of_driver(&context.bus, context.tenant(), &window, manifest);
        let (mut weights, mut hash) = (Vec::new(), SetHash::default());
        loop {
            match reader.next().await {
                Ok(Some(batch)) => weights.extend(batch.open()?),
                Ok(None) => break,
                Err(error) if error.class() == FailureClass::InputMissing => {
                    tracing::warn!(driver = %window.driver, "{error}: it is asked for again");
                    drivers.gone(window.clone());
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            context.progress.tick();
        }
        weights.iter().for_each(|weight| hash.add(weight.hash()));
        if (weights.len() as u64, hash.value()) == (manifest.items, manifest.hash) {
            drivers.add(window, manifest.hash, weights);
        } else {
            drivers.gone(window);
        }
    }
    Ok(drivers)
}

async fn read_facts(
    context: &TaskContext,
    unit: &AllocateUnit,
    manifest: &Manifest,
) -> Result<Facts, UnitFailure> {
    let (tenant, source) = (context.tenant(), context.source());
    let mut reader: BatchReader<ResolutionBatch> =
        BatchReader::new(&context.bus, Stream::Resolution, tenant, source, unit.date, manifest);
    let (mut facts, mut hash, mut items) = (Facts::default(), SetHash::default(), 0_u64);
    while let Some(batch) = reader.next().await? {
        let resolutions = batch.open()?;
        items += resolutions.len() as u64;
        resolutions.iter().for_each(|resolution| hash.add(resolution.hash()));
        facts.add(resolutions);
        context.progress.tick();
    }
    if (items, hash.value()) != (manifest.items, manifest.hash) {
        return Err(UnitFailure::Manifest {
            what: "resolutions",
            read: format!("{items} with hash {}", hash.value()),
            stated: format!("{} with hash {}", manifest.items, manifest.hash),
        });
    }
    Ok(facts)
}

/// The batches of lines of a unit, once or twice. The reader compares each with the hash in the manifest.
struct Lines<'a> {
    context: &'a TaskContext,
    unit: &'a AllocateUnit,
    reader: BatchReader<LineBatch>,
    /// Batches of the first pass, where they are few.
    kept: Option<Vec<Bytes>>,
    /// The kept batches again.
    again: Option<std::vec::IntoIter<Bytes>>,
}

impl<'a> Lines<'a> {
    fn new(context: &'a TaskContext, unit: &'a AllocateUnit) -> Self {
        let few = unit.lines.batches.len() <= KEPT_BATCHES_MAX;
        let reader = Self::reader(context, unit);
        Self { context, unit, reader, kept: few.then(Vec::new), again: None }
    }

    fn reader(context: &TaskContext, unit: &AllocateUnit) -> BatchReader<LineBatch> {
        let (tenant, source) = (context.tenant(), context.source());
        BatchReader::new(&context.bus, Stream::Line, tenant, source, unit.date, &unit.lines)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, DataError> {
        if let Some(again) = &mut self.again {
            return Ok(again.next());
        }
        let payload = self.reader.next_payload().await?.map(|(_, payload)| payload);
        if let (Some(kept), Some(payload)) = (&mut self.kept, &payload) {
            kept.push(payload.clone());
        }
        Ok(payload)
    }

    /// Starts from the first batch again.
    fn again(&mut self) {
        match self.kept.take() {
            Some(kept) => self.again = Some(kept.into_iter()),
            None => self.reader = Self::reader(self.context, self.unit),
        }
    }
}

/// The rows of a unit on their way out.
struct Rows(BatchWriter);

impl Rows {
    fn new(context: &TaskContext, unit: &AllocateUnit) -> Self {
        let (tenant, source): (_, &SourceId) = (context.tenant(), context.source());
        let (bus, attempt) = (&context.bus, context.attempt);
        Self(BatchWriter::new(
            bus,
            Stream::Row,
            tenant,
            source,
            unit.date,
            unit.generation,
            attempt,
        ))
    }

    async fn write(&mut self, packed: Vec<Packed>) -> Result<(), DataError> {
        for packed in packed {
            self.0.manifest.add_items(packed.batch.len(), packed.hash);
            self.0.manifest.totals.merge(&packed.totals);
            self.0.write(&packed.batch, packed.batch.len()).await?;
        }
        Ok(())
    }

    /// Closes the generation, if its rows add up to the lines: exactly, per currency, billing period and measure.
    async fn finish(self, lines: &Totals) -> Result<Manifest, UnitFailure> {
        let manifest = self.0.finish().await?;
        match difference(lines, &manifest.totals) {
            None => Ok(manifest),
            Some(difference) => Err(UnitFailure::Totals(difference)),
        }
    }
}

/// The first currency and billing period in which rows and lines differ.
fn difference(lines: &Totals, rows: &Totals) -> Option<String> {
    if lines == rows {
        return None;
    }
    let entry = |totals: &Totals| {
        let entries = totals.iter().map(|(currency, period, sums)| {
            let amounts = [&sums.amount].into_iter().chain(&sums.measures);
            let amounts: Vec<String> = amounts.map(ToString::to_string).collect();
            format!("{currency} {period}: {}", amounts.join(" "))
        });
        entries.collect::<Vec<_>>()
    };
    let (lines, rows) = (entry(lines), entry(rows));
    let only = |these: &[String], others: &[String]| {
        these.iter().find(|entry| !others.contains(entry)).cloned().unwrap_or_default()
    };
    Some(format!("lines [{}], rows [{}]", only(&lines, &rows), only(&rows, &lines)))
}

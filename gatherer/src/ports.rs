//! What a kind of source must be able to do.
//!
//! | trait | who |
//! |---|---|
//! | [`EcosystemPlugin`] | a kind of source with its settings: `focus`, `synthetic` |
//! | [`CostInput`] | reads the bill, all of it, before anything is published |
//! | [`Harvest`] | what one gather found: hands out its lines date by date, in canonical order |
//! | [`ServiceHandler`] | lists the resources and identities of one service of the source |
//! | [`IdentityResolver`] | says who could have caused the costs of a date |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::config::TenantConfig;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::inventory::{Identity, InventoryBatch};
use proto::line::BillingLineItem;
use proto::manifest::Totals;
use proto::report::{QuarantinedRecord, Warning};
use proto::resolution::IdentityResolution;
use proto::task::Gather;
use proto::time::{UnitDate, UtcSeconds};
use runtime::worker::Progress;

use crate::error::GatherError;

/// A kind of source with its settings.
pub trait EcosystemPlugin: Send + Sync {
    /// Where its bill comes from.
    fn cost_input(&self) -> &dyn CostInput;
    /// Who lists its resources and identities; none: a source of this kind has no inventory.
    fn service_handlers(&self) -> Vec<&dyn ServiceHandler>;
    /// Who says who caused its costs; `None`: its lines say so themselves.
    fn identity_resolver(&self) -> Option<&dyn IdentityResolver>;
}

/// Reads a bill.
pub trait CostInput: Send + Sync {
    /// Looks whether it can be read now, before any work is begun: a cheap question, asked once. That it can says nothing
    /// of what it holds.
    ///
    /// # Errors
    /// When it cannot.
    fn available<'a>(&'a self, _: &'a GatherRequest) -> BoxFuture<'a, Result<(), GatherError>> {
        std::future::ready(Ok(())).boxed()
    }
    /// Reads all of it, or all that changed since `request`'s cursor. Publishes nothing.
    ///
    /// # Errors
    /// When any part of it cannot be read: then nothing of it counts.
    fn collect(
        &self,
        request: GatherRequest,
    ) -> BoxFuture<'_, Result<Box<dyn Harvest>, GatherError>>;
}

/// What a gather is asked.
#[derive(Clone)]
pub struct GatherRequest {
    /// Whose bill.
    pub tenant: TenantId,
    /// Of which source.
    pub source: SourceId,
    /// The tenant's configuration that the task names.
    pub config: Arc<TenantConfig>,
    /// The task.
    pub task: Arc<Gather>,
    /// Ticked while work advances, and asked whether to go on.
    pub watch: Watch,
}

/// Lists resources and identities of one service, all or nothing: what was not answered in full is an error, never an
/// empty list. That one handler fails stops neither the others nor the lines, but nothing that it declares is then
/// taken for deleted.
pub trait ServiceHandler: Send + Sync {
    /// What people call the service.
    fn name(&self) -> &str;
    /// Types of resources that it lists. A type may be declared by several.
    fn resource_types(&self) -> Vec<String>;
    /// Lists everything that there is now.
    ///
    /// # Errors
    /// When any part of it cannot be had.
    fn inventory<'a>(
        &'a self,
        request: &'a GatherRequest,
    ) -> BoxFuture<'a, Result<InventoryBatch, GatherError>>;
}

/// Takes a line; an error ends the reading.
pub type TakeLine<'a> = &'a mut dyn FnMut(&BillingLineItem) -> Result<(), GatherError>;

/// What one gather found. Used on a thread that may block.
pub trait Harvest: Send {
    /// What there is.
    fn summary(&self) -> &Summary;
    /// Hands out the lines of a date of [`Summary::read`], in canonical order, as often as asked.
    ///
    /// # Errors
    /// When they cannot be read back; what `take` answers otherwise.
    fn lines(&mut self, date: UnitDate, take: TakeLine<'_>) -> Result<(), GatherError>;
    /// Hands out the records that could not be understood, once.
    ///
    /// # Errors
    /// When they cannot be read back; what `take` answers otherwise.
    fn quarantined(
        &mut self,
        take: &mut dyn FnMut(QuarantinedRecord) -> Result<(), GatherError>,
    ) -> Result<(), GatherError>;
    /// What the next gather gets, given the hash of every date of this one.
    fn cursor(&self, dates: &BTreeMap<UnitDate, Hash128>) -> Option<Vec<u8>>;
}

/// What one gather found, in numbers.
#[derive(Debug, Default)]
pub struct Summary {
    /// Dates with lines that were read, with what was counted while reading.
    pub read: BTreeMap<UnitDate, Received>,
    /// Dates that have not changed since the last gather, with the hash that they had then.
    pub unchanged: BTreeMap<UnitDate, Hash128>,
    /// Files that were read whole.
    pub files_read: Vec<String>,
    /// Files with quarantined records, read now or before.
    pub files_bad: Vec<String>,
    /// Records read, lines and quarantined ones, of files that were read whole.
    pub records: u64,
    /// Quarantined records among them.
    pub quarantined: u64,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// Columns of the provider's own (`x_`) that the files read have.
    pub provider_columns: Vec<String>,
}

/// What was counted when the records of a date were read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Number of lines.
    pub lines: u64,
    /// Their money.
    pub totals: Totals,
}

/// Says who could have caused the costs of a date.
pub trait IdentityResolver: Send + Sync {
    /// Whether it looks at the lines of the date and at the inventory: they are read for it then.
    fn looks_at_lines(&self) -> bool {
        false
    }
    /// Hands the resolutions of a date to `take`, always in the same order. Called on a thread that may block.
    ///
    /// # Errors
    /// When the facts cannot be had; what `take` answers otherwise.
    fn resolve(
        &self,
        request: &ResolveRequest,
        take: &mut dyn FnMut(IdentityResolution) -> Result<(), GatherError>,
    ) -> Result<Resolved, GatherError>;
}

/// What a resolver is asked.
#[derive(Debug, Clone)]
pub struct ResolveRequest {
    /// The date.
    pub date: UnitDate,
    /// What its lines ask for, where the resolver looks at them.
    pub wanted: BTreeSet<Wanted>,
    /// The inventory of the time, where the resolver looks at lines: each stretch of a lifetime is an item of its own.
    pub inventory: Arc<InventoryBatch>,
}

impl ResolveRequest {
    /// Of a date, for who looks at nothing else.
    #[must_use]
    pub fn of(date: UnitDate) -> Self {
        Self { date, wanted: BTreeSet::new(), inventory: Arc::default() }
    }
}

/// A resolution that lines ask for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Start of their charge period, inclusive.
    pub start: UtcSeconds,
    /// End of their charge period, exclusive.
    pub end: UtcSeconds,
    /// What they name it by.
    pub key: String,
    /// The type of product that they are about; empty: they do not say.
    pub product_type: String,
}

/// How well a date was resolved.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// What could not be had, and why: the resolutions do without it for now.
    pub lacking: Vec<String>,
    /// Identities in them that no inventory lists, of type [`proto::inventory::MADE_UP`], sorted by id.
    pub identities: Vec<Identity>,
}

/// Connects work on a blocking thread with the task that asked for it.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    progress: Progress,
    stopped: Arc<AtomicBool>,
}

impl Watch {
    /// A watch that ticks `progress`.
    #[must_use]
    pub fn new(progress: Progress) -> Self {
        Self { progress, stopped: Arc::default() }
    }
    /// Work has advanced: a batch, a few thousand records.
    ///
    /// # Errors
    /// When it is to stop.
    pub fn tick(&self) -> Result<(), GatherError> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(GatherError::Stopped);
        }
        self.progress.tick();
        Ok(())
    }
    /// Tells the work to stop at its next tick.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
    /// Stops the work when dropped: whoever waits for it holds this.
    #[must_use]
    pub fn guard(&self) -> StopOnDrop {
        StopOnDrop(self.clone())
    }
}

/// See [`Watch::guard`].
#[derive(Debug)]
pub struct StopOnDrop(Watch);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

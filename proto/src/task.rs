//! What the coordinator asks of workers.

use serde::{Deserialize, Serialize};

use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::ids::{DriverId, EmitterId, Generation};
use crate::manifest::Manifest;
use crate::time::UnitDate;

/// One task carries at most this many units.
pub const UNITS_MAX: usize = 64;

/// A piece of work. Tenant, source and generation are in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Read a source: all its dates under one generation.
    Gather(Gather),
    /// Turn lines, inventory and metrics into resolutions.
    Resolve(Resolve),
    /// Make the weights of one driver for one window: the ledger adds cost up, a gatherer asks for metrics.
    Driver(ComputeDriver),
    /// Apply the rules.
    Allocate(Allocate),
    /// Store lines and rows, and make them visible.
    Commit(Commit),
    /// Publish archived lines and resolutions again, when the stream no longer holds them.
    Restore(Restore),
    /// Carry visible dates to the outside.
    Emit(Emit),
    /// Take away files that were emitted and that no emitter writes any more.
    Remove(Remove),
}

impl Body for Task {
    const KIND: MessageKind = MessageKind::Task;
}

/// See [`Task::Gather`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gather {
    /// The tenant configuration, on the CONFIG stream.
    pub config: Hash128,
    /// The folder that relative paths of the configuration start from.
    pub folder: String,
    /// The coordinator's UTC day: bounds of dates are judged by it.
    pub today: UnitDate,
    /// Only dates from here on, where the tenant has a `lookback`.
    #[serde(default)]
    pub from: Option<UnitDate>,
    /// Only dates up to here, inclusive, where the tenant has a `cutoff`.
    #[serde(default)]
    pub until: Option<UnitDate>,
    /// The dates in force with the content that they have.
    pub known: Vec<KnownDate>,
    /// What the last good gather left for this one; opaque to the coordinator.
    #[serde(default)]
    pub cursor: Option<serde_bytes::ByteBuf>,
    /// Read everything again, whatever the cursor says.
    #[serde(default)]
    pub rehash: bool,
    /// Dates to publish again even though unchanged: their batches are gone.
    #[serde(default)]
    pub republish: Vec<UnitDate>,
    /// [`crate::inventory::GatheredInventory::content`] of the inventory in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Hash128>,
}

impl Gather {
    /// Of all that a source has, where nothing is known of it yet.
    #[must_use]
    pub fn first(config: Hash128, folder: String, today: UnitDate) -> Self {
        Self {
            config,
            folder,
            today,
            from: None,
            until: None,
            known: Vec::new(),
            cursor: None,
            rehash: false,
            republish: Vec::new(),
            inventory: None,
        }
    }
}

/// A date in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDate {
    /// Date.
    pub date: UnitDate,
    /// Hash of its lines.
    pub hash: Hash128,
}

/// See [`Task::Resolve`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// The tenant configuration.
    pub config: Hash128,
    /// The units.
    pub units: Vec<ResolveUnit>,
    /// Resources and identities that lived while the units' costs arose, as they are stored, on the INVENTORY stream
    /// under the first unit's generation: each stretch of a lifetime is an item of its own. `None`: the source's kind
    /// does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Manifest>,
}

/// A unit to resolve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolveUnit {
    /// Date.
    pub date: UnitDate,
    /// Fencing token of this unit's work.
    pub generation: Generation,
    /// Its lines.
    pub lines: Manifest,
    /// The gather whose inventory is applied.
    pub inventory: Option<Generation>,
}

/// See [`Task::Driver`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputeDriver {
    /// The tenant configuration.
    pub config: Hash128,
    /// Which driver.
    pub driver: DriverId,
    /// First date of the window, inclusive.
    pub from: UnitDate,
    /// Last date of the window, exclusive.
    pub until: UnitDate,
}

/// See [`Task::Allocate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocate {
    /// The tenant configuration whose rules apply.
    pub config: Hash128,
    /// The units.
    pub units: Vec<AllocateUnit>,
}

/// A unit to allocate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocateUnit {
    /// Date.
    pub date: UnitDate,
    /// Fencing token of this unit's work.
    pub generation: Generation,
    /// Its lines.
    pub lines: Manifest,
    /// Its resolutions, where a tier needs them.
    #[serde(default)]
    pub resolutions: Option<Manifest>,
    /// The drivers that its rules use.
    #[serde(default)]
    pub drivers: Vec<DriverInput>,
}

/// A driver as input of an allocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverInput {
    /// Which driver.
    pub driver: DriverId,
    /// First date of its window.
    pub window: UnitDate,
    /// First date after its window; `None`: a driver without windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnitDate>,
    /// Its weights; `None` while they are not ready.
    pub weights: Option<Manifest>,
    /// Whether they could not be had: rows do without them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacking: bool,
}

/// See [`Task::Commit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The units; several small ones may share a transaction, one is never split.
    pub units: Vec<CommitUnit>,
}

/// A unit to make visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitUnit {
    /// Date.
    pub date: UnitDate,
    /// The generation that becomes visible.
    pub generation: Generation,
    /// Its lines.
    pub lines: Manifest,
    /// Its resolutions, archived with the lines.
    #[serde(default)]
    pub resolutions: Option<Manifest>,
    /// Its rows.
    pub rows: Manifest,
    /// The tenant configuration that made the rows.
    pub config: Hash128,
    /// Hash of the rules that made the rows.
    pub rules: Hash128,
}

/// See [`Task::Restore`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// The units whose archived batches are published again, under this task's attempt.
    #[serde(default)]
    pub units: Vec<RestoreUnit>,
}

/// A unit whose batches are gone from the stream, while the archive of its visible generation holds the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreUnit {
    /// Date.
    pub date: UnitDate,
    /// Fencing token of this unit's work.
    pub generation: Generation,
    /// Hash of its lines in force: what is restored must have it.
    pub lines: Hash128,
}

/// See [`Task::Emit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emit {
    /// The tenant configuration.
    pub config: Hash128,
    /// The folder that relative paths of the configuration start from.
    pub folder: String,
    /// Which emitter.
    pub emitter: EmitterId,
    /// The units.
    pub units: Vec<EmitUnit>,
}

/// A visible date to carry outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmitUnit {
    /// Date.
    pub date: UnitDate,
    /// The visible generation that is wanted; a newer one may be emitted instead and is reported.
    pub generation: Generation,
    /// The generation that it replaces there.
    #[serde(default)]
    pub replaces: Option<Generation>,
    /// What was put there for this very generation: where it still lies there, it is left as it is.
    #[serde(default)]
    pub recorded: Option<Content>,
}

/// What an emission put outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Bytes.
    pub bytes: u64,
    /// Hash of the bytes.
    pub hash: Hash128,
}

/// See [`Task::Remove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// The files.
    pub files: Vec<EmittedFile>,
}

/// A file that an emitter put in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmittedFile {
    /// Its path, as it was reported.
    pub target: String,
    /// The folder that it lies in, at any depth: nothing outside of it is touched.
    pub dir: String,
    /// What was put there. Anything else is not ours, and is left.
    pub content: Content,
    /// Files that are written for its dates now. One of them may be this very file under another name.
    #[serde(default)]
    pub live: Vec<String>,
}

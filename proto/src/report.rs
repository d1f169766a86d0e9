//! What workers answer.

use serde::{Deserialize, Serialize};

use crate::currency::Currency;
use crate::driver::{DriverUse, DriverWindow};
use crate::envelope::{Body, MessageKind};
use crate::hash::Hash128;
use crate::ids::{EmitterId, Generation};
use crate::inventory::{GatheredInventory, Identity};
use crate::manifest::{Manifest, Totals};
use crate::money::Amount;
use crate::time::{UnitDate, UtcSeconds};

/// A worker's answer. Tenant, source, task generation and attempt are in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// A new or changed date of a gather under way; counts only with its [`Report::GatherDone`].
    GatheredDate(GatheredDate),
    /// Records of a gather under way that could not be understood; count only with its end.
    Quarantined(Vec<QuarantinedRecord>),
    /// A gather ended well: everything it reported counts now.
    GatherDone(GatherDone),
    /// Units whose resolutions are published.
    Resolved(Vec<Published>),
    /// Units whose rows are published.
    Allocated(Vec<Published>),
    /// Units whose archived batches are published again.
    Restored(Vec<Restored>),
    /// A driver's weights are published.
    Driver(ComputedDriver),
    /// Units that the ledger made visible, or found superseded.
    Committed(Vec<Committed>),
    /// Units that an emitter carried outside.
    Emitted(Vec<Emitted>),
    /// Files that an emitter took away, or left because they are no longer what it wrote.
    Removed(Vec<Removed>),
    /// Work that did not end well.
    Failed(Failed),
}

impl Body for Report {
    const KIND: MessageKind = MessageKind::Report;
}

/// See [`Report::GatheredDate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatheredDate {
    /// Date.
    pub date: UnitDate,
    /// Its lines, published under the gather's generation.
    pub lines: Manifest,
    /// What was counted when the records were read, before anything else was done with them.
    pub received: Totals,
}

/// A record that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedRecord {
    /// File, relative to the configuration's folder where it lies in it.
    pub file: String,
    /// Line of the file where the record starts, from 1.
    pub line: u64,
    /// The column at fault, if one is.
    #[serde(default)]
    pub column: Option<String>,
    /// What is wrong and how to mend it.
    pub reason: String,
    /// The record or the cell as it stands, cut to 1,000 characters.
    pub text: String,
    /// The date, where it can be read.
    #[serde(default)]
    pub date: Option<UnitDate>,
    /// The amount, where it and the currency can be read.
    #[serde(default)]
    pub amount: Option<(Currency, Amount)>,
}

/// See [`Report::GatherDone`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatherDone {
    /// First date that the gather speaks for, inclusive.
    pub covered_from: UnitDate,
    /// Last date that the gather speaks for, inclusive.
    pub covered_to: UnitDate,
    /// Every date that the source has in that range.
    pub dates: Vec<GatheredHash>,
    /// Those of [`Self::files`] that were read whole: their quarantined records replace the ones in force.
    pub files_read: Vec<String>,
    /// All files of the source that have quarantined records: those of other files go.
    pub files: Vec<String>,
    /// Number of quarantined records reported under this generation.
    pub quarantined: u64,
    /// Records read (of files that were read whole).
    pub records: u64,
    /// What a person should know: text and how often.
    pub warnings: Vec<Warning>,
    /// For the next gather.
    #[serde(default)]
    pub cursor: Option<serde_bytes::ByteBuf>,
    /// When the source itself says its dates are final, if it does.
    #[serde(default)]
    pub final_before: Option<UnitDate>,
    /// Columns of the provider's own (`x_`) that the files read have, with values or without, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_columns: Vec<String>,
    /// The source's resources and identities; `None`: a source of this kind has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<GatheredInventory>,
}

/// A date that a gather found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatheredHash {
    /// Date.
    pub date: UnitDate,
    /// Hash of its lines.
    pub hash: Hash128,
    /// Not published: counts only while the manifest in force has this hash.
    pub unchanged: bool,
}

/// Something that a person should know, which stops nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// A unit whose batches are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Date.
    pub date: UnitDate,
    /// The unit's fencing token, as in the task.
    pub generation: Generation,
    /// What was published.
    pub manifest: Manifest,
    /// What a person should know.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Of resolutions: what could not be had, and why. They do without it, and are to be made again later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
    /// What its lines asked drivers for, of rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drivers: Vec<DriverUse>,
    /// Of resolutions: identities in them that no inventory lists, of type [`crate::inventory::MADE_UP`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
}

/// A driver whose weights over a window are published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputedDriver {
    /// Which.
    pub window: DriverWindow,
    /// Its weights.
    pub manifest: Manifest,
    /// What the weights were added up from: a digest of the visible generations of the units that count; empty of what
    /// was measured.
    pub seen: String,
    /// What could not be had, and why: there are no weights then, and they are asked for again later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacking: Option<String>,
}

/// A unit whose archived batches are published again, at a new address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Date.
    pub date: UnitDate,
    /// The unit's fencing token, as in the task.
    pub generation: Generation,
    /// Its lines.
    pub lines: Manifest,
    /// The resolutions that its visible rows were made from, if any.
    #[serde(default)]
    pub resolutions: Option<Manifest>,
}

/// A unit that the ledger is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Date.
    pub date: UnitDate,
    /// The unit's fencing token.
    pub generation: Generation,
    /// Whether it is visible now; else a newer generation was wanted and nothing was stored.
    pub visible: bool,
}

/// A unit that an emitter is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emitted {
    /// Which emitter.
    pub emitter: EmitterId,
    /// Date.
    pub date: UnitDate,
    /// The generation that was emitted.
    pub generation: Generation,
    /// Where to, for people: a path or URL.
    pub target: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// Hash of the bytes.
    pub hash: Hash128,
    /// When.
    pub at: UtcSeconds,
    /// The folder that the emitter's files never leave, where it writes files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
}

/// A file that an emitter is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Its path, as in the task.
    pub target: String,
    /// Why it was left; `None`: it is gone.
    #[serde(default)]
    pub kept: Option<String>,
}

/// Whose fault a failure is, which decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The world may heal: again, after a pause.
    Transient,
    /// The same input fails again: after three equal ones the unit is quarantined.
    Data,
    /// A batch that a manifest names is gone or different: the coordinator orders it again.
    InputMissing,
}

/// See [`Report::Failed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// What failed: `gather`, `resolve`, `driver`, `allocate`, `commit`, `emit-<emitter>`, `remove`.
    pub step: String,
    /// The units concerned, with their fencing tokens; empty for a gather.
    pub units: Vec<(UnitDate, Generation)>,
    /// Whose fault it is.
    pub class: FailureClass,
    /// What, where and how to mend it.
    pub reason: String,
}

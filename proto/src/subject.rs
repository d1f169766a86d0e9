//! Every stream, subject and consumer name: the only file with those literals.
//!
//! `part = fnv1a32(tenant) % 64`, computed here so that no server mapping can drift; fixed in v1.

use crate::driver::DriverWindow;
use crate::ids::{Attempt, EmitterId, Generation, SourceId, TenantId};
use crate::time::UnitDate;

/// Number of partitions, fixed in v1.
pub const PARTITIONS: u32 = 64;
/// What every subject starts with.
pub const ROOT: &str = "apportion.v1";

/// The streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Lines.
    Line,
    /// Resolutions.
    Resolution,
    /// Drivers.
    Driver,
    /// Resources and identities.
    Inventory,
    /// Rows.
    Row,
    /// Canonical configurations.
    Config,
    /// Tasks.
    Task,
    /// Reports.
    Report,
    /// Refused messages.
    Refused,
}

impl Stream {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Line,
        Self::Resolution,
        Self::Driver,
        Self::Inventory,
        Self::Row,
        Self::Config,
        Self::Task,
        Self::Report,
        Self::Refused,
    ];
    /// The stream's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "APPORTION_LINE",
            Self::Resolution => "APPORTION_RESOLUTION",
            Self::Driver => "APPORTION_DRIVER",
            Self::Inventory => "APPORTION_INVENTORY",
            Self::Row => "APPORTION_ROW",
            Self::Config => "APPORTION_CONFIG",
            Self::Task => "APPORTION_TASK",
            Self::Report => "APPORTION_REPORT",
            Self::Refused => "APPORTION_REFUSED",
        }
    }
    /// The token after the root.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Resolution => "resolution",
            Self::Driver => "driver",
            Self::Inventory => "inventory",
            Self::Row => "row",
            Self::Config => "config",
            Self::Task => "task",
            Self::Report => "report",
            Self::Refused => "refused",
        }
    }
    /// What it holds.
    #[must_use]
    pub fn wildcard(self) -> String {
        format!("{ROOT}.{}.>", self.token())
    }
}

/// The partition of a tenant: 0 to 63.
#[must_use]
pub fn partition(tenant: &TenantId) -> u32 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in tenant.as_str().bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    hash % PARTITIONS
}

/// Address of the batches of one unit and attempt in LINE, RESOLUTION or ROW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitAddress {
    prefix: String,
}

impl UnitAddress {
    /// Where batches of (tenant, source, date, generation, attempt) lie in `stream`.
    #[must_use]
    pub fn new(
        stream: Stream,
        tenant: &TenantId,
        source: &SourceId,
        date: UnitDate,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let (token, part, date) = (stream.token(), partition(tenant), date.token());
        Self {
            prefix: format!(
                "{ROOT}.{token}.{part}.{tenant}.{source}.{date}.{generation}-{attempt}"
            ),
        }
    }
    /// Where resources and identities of one gather lie.
    #[must_use]
    pub fn inventory(
        tenant: &TenantId,
        source: &SourceId,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let part = partition(tenant);
        Self { prefix: format!("{ROOT}.inventory.{part}.{tenant}.{source}.{generation}-{attempt}") }
    }
    /// Where the weights of a driver over a window lie.
    #[must_use]
    pub fn driver(
        tenant: &TenantId,
        window: &DriverWindow,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let (part, driver) = (partition(tenant), &window.driver);
        let (from, until) = (window.from.token(), window.until.token());
        Self {
            prefix: format!(
                "{ROOT}.driver.{part}.{tenant}.{driver}.{from}-{until}.{generation}-{attempt}"
            ),
        }
    }
    /// Subject of one batch.
    #[must_use]
    pub fn batch(&self, batch: u32) -> String {
        format!("{}.{batch}", self.prefix)
    }
    /// All batches of this attempt.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}.*", self.prefix)
    }
}

/// All rows of one unit's generation, whatever the attempt: what is purged after its commit.
#[must_use]
pub fn rows_of(tenant: &TenantId, source: &SourceId, date: UnitDate) -> String {
    format!("{ROOT}.row.{}.{tenant}.{source}.{}.>", partition(tenant), date.token())
}

/// Where a canonical configuration lies.
#[must_use]
pub fn config(tenant: &TenantId, hash: crate::hash::Hash128) -> String {
    format!("{ROOT}.config.{}.{tenant}.{hash}", partition(tenant))
}

/// Where a source's reports go.
#[must_use]
pub fn report(tenant: &TenantId, source: &SourceId) -> String {
    format!("{ROOT}.report.{}.{tenant}.{source}", partition(tenant))
}

/// Where the leading coordinator says that it leads, every few seconds. No stream keeps it: who misses one hears the next.
#[must_use]
pub fn leader() -> String {
    format!("{ROOT}.leader")
}

/// Where refused messages of a step go.
#[must_use]
pub fn refused(step: &Step, tenant: &TenantId) -> String {
    format!("{ROOT}.refused.{step}.{}.{tenant}", partition(tenant))
}

/// Where a message goes whose tenant cannot be read.
#[must_use]
pub fn refused_unreadable(step: &Step) -> String {
    format!("{ROOT}.refused.{step}.unreadable")
}

/// What a task asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Read a source.
    Gather,
    /// Make resolutions.
    Resolve,
    /// Add a ledger driver up.
    Driver,
    /// Ask for a metric driver.
    Measure,
    /// Apply rules.
    Allocate,
    /// Store and make visible.
    Commit,
    /// Publish archived batches again.
    Restore,
    /// Carry outside, by one emitter.
    Emit(EmitterId),
    /// Take away what was carried outside; by any emitter, as the one that did it may be gone.
    Remove,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gather => f.write_str("gather"),
            Self::Resolve => f.write_str("resolve"),
            Self::Driver => f.write_str("driver"),
            Self::Measure => f.write_str("measure"),
            Self::Allocate => f.write_str("allocate"),
            Self::Commit => f.write_str("commit"),
            Self::Restore => f.write_str("restore"),
            Self::Emit(emitter) => write!(f, "emit-{emitter}"),
            Self::Remove => f.write_str("remove"),
        }
    }
}

impl std::str::FromStr for Step {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gather" => Ok(Self::Gather),
            "resolve" => Ok(Self::Resolve),
            "driver" => Ok(Self::Driver),
            "measure" => Ok(Self::Measure),
            "allocate" => Ok(Self::Allocate),
            "commit" => Ok(Self::Commit),
            "restore" => Ok(Self::Restore),
            "remove" => Ok(Self::Remove),
            _ => text
                .strip_prefix("emit-")
                .and_then(|id| EmitterId::parse(id).ok())
                .map(Self::Emit)
                .ok_or_else(|| format!("{text:?} is no step")),
        }
    }
}

/// Live work goes before replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Today's work.
    Live,
    /// Reprocessing.
    Replay,
}

impl Lane {
    /// Both, in order of precedence.
    pub const ALL: [Self; 2] = [Self::Live, Self::Replay];
    /// `live` or `replay`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay => "replay",
        }
    }
}

/// Subject of a task; unique per generation, so that sending it twice queues it once.
#[must_use]
pub fn task(
    step: &Step,
    lane: Lane,
    tenant: &TenantId,
    source: &SourceId,
    date: Option<UnitDate>,
    generation: Generation,
) -> String {
    let date = date.map_or_else(|| "all".to_owned(), UnitDate::token);
    format!(
        "{ROOT}.task.{step}.{}.{}.{tenant}.{source}.{date}.{generation}",
        lane.token(),
        partition(tenant)
    )
}

/// The generation that a subject names: of a task, or of a batch of lines, resolutions, drivers, inventory or rows.
#[must_use]
pub fn generation_of(subject: &str) -> Option<Generation> {
    let rest = subject.strip_prefix(ROOT)?.strip_prefix('.')?;
    let mut from_the_end = rest.rsplit('.');
    let number = match rest.split('.').next()? {
        "task" => from_the_end.next()?,
        "line" | "resolution" | "driver" | "inventory" | "row" => {
            from_the_end.nth(1)?.split_once('-')?.0
        }
        _ => return None,
    };
    number.parse().ok().map(Generation)
}

/// A group of steps that one kind of worker serves from one consumer: every `emit-*` has the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// [`Step::Gather`].
    Gather,
    /// [`Step::Resolve`].
    Resolve,
    /// [`Step::Driver`].
    Driver,
    /// [`Step::Measure`].
    Measure,
    /// [`Step::Allocate`].
    Allocate,
    /// [`Step::Commit`].
    Commit,
    /// [`Step::Restore`].
    Restore,
    /// [`Step::Emit`] and [`Step::Remove`].
    Emit,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Gather,
        Self::Resolve,
        Self::Driver,
        Self::Measure,
        Self::Allocate,
        Self::Commit,
        Self::Restore,
        Self::Emit,
    ];
    /// The token in consumer names; also the step's own token, `emit` apart.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Resolve => "resolve",
            Self::Driver => "driver",
            Self::Measure => "measure",
            Self::Allocate => "allocate",
            Self::Commit => "commit",
            Self::Restore => "restore",
            Self::Emit => "emit",
        }
    }
}

/// Name of the durable consumer of (queue, lane, shard).
#[must_use]
pub fn consumer(queue: Queue, lane: Lane, shard: u32) -> String {
    format!("{}-{}-{shard}", queue.token(), lane.token())
}

/// What that consumer takes, given how many shards there are and, for `emit`, which emitters are configured.
#[must_use]
pub fn consumer_filters(
    queue: Queue,
    lane: Lane,
    shard: u32,
    shards: u32,
    emitters: &[EmitterId],
) -> Vec<String> {
    let steps: Vec<String> = match queue {
        Queue::Emit => {
            let emits = emitters.iter().map(|e| Step::Emit(e.clone()));
            emits.chain([Step::Remove]).map(|step| step.to_string()).collect()
        }
        Queue::Gather
        | Queue::Resolve
        | Queue::Driver
        | Queue::Measure
        | Queue::Allocate
        | Queue::Commit
        | Queue::Restore => {
            vec![queue.token().to_owned()]
        }
    };
    let lane = lane.token();
    let per_step = |step: &String| -> Vec<String> {
        if shards == 1 {
            return vec![format!("{ROOT}.task.{step}.{lane}.>")];
        }
        let parts = (0..PARTITIONS).filter(|part| part / (PARTITIONS / shards) == shard);
        parts.map(|part| format!("{ROOT}.task.{step}.{lane}.{part}.>")).collect()
    };
    steps.iter().flat_map(per_step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_fnv1a_as_the_server_computes_them() {
        let part = |t: &str| partition(&TenantId::parse(t).unwrap());
        // nats-server's {{partition(8,…)}} gives 2 and 5 for these; 64 is a multiple of 8.
        assert_eq!(part("tenant-42") % 8, 2);
        assert_eq!(part("tenant-43") % 8, 5);
    }

    #[test]
    fn subjects_name_what_they_carry() {
        let (t, s) = (TenantId::parse("acme").unwrap(), SourceId::parse("cloud").unwrap());
        let date = "2026-05-01".parse().unwrap();
        let address = UnitAddress::new(Stream::Line, &t, &s, date, Generation(7), Attempt(255));
        let part = partition(&t);
        assert_eq!(
            address.batch(3),
            format!("apportion.v1.line.{part}.acme.cloud.20260501.7-00000000000000ff.3")
        );
        let emit = Step::Emit(EmitterId::parse("csv").unwrap());
        let subject = task(&emit, Lane::Live, &t, &s, Some(date), Generation(9));
        assert_eq!(
            subject,
            format!("apportion.v1.task.emit-csv.live.{part}.acme.cloud.20260501.9")
        );
        assert_eq!(generation_of(&subject), Some(Generation(9)));
        assert_eq!(generation_of(&address.batch(3)), Some(Generation(7)));
        let inventory = UnitAddress::inventory(&t, &s, Generation(8), Attempt(1)).batch(0);
        assert_eq!(generation_of(&inventory), Some(Generation(8)));
        assert_eq!(generation_of(&report(&t, &s)), None);
        assert_eq!("emit-csv".parse::<Step>().unwrap(), emit);
        assert!("emit-A.b".parse::<Step>().is_err());
        let filters = consumer_filters(Queue::Commit, Lane::Replay, 1, 32, &[]);
        assert_eq!(
            filters,
            ["apportion.v1.task.commit.replay.2.>", "apportion.v1.task.commit.replay.3.>"]
        );
    }
}

//! What exists outside of Postgres: the bill, NATS, and what was emitted.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use bytes::Bytes;
use proto::envelope::Header;
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::manifest::{Manifest, ManifestBuilder, Totals};
use proto::report::Report;
use proto::subject::{Stream, UnitAddress};
use proto::time::UnitDate;

/// A unit's stream, with who writes there: the generation of the work and the attempt at it.
pub type Address<'a> = (Stream, &'a SourceId, UnitDate, Generation, Attempt);

/// See the module.
pub struct World {
    pub tenant: TenantId,
    /// The dates that a bill has, and which edition of each; a source of the configuration each.
    pub bill: BTreeMap<SourceId, BTreeMap<UnitDate, u32>>,
    /// What the streams hold, by subject: the hash of a generation's items.
    pub batches: BTreeMap<String, Hash128>,
    /// Tasks that are queued or held, by subject.
    pub queue: BTreeMap<String, Bytes>,
    pub reports: Vec<(Header, Report)>,
    /// Files, by path.
    pub outside: BTreeMap<String, Hash128>,
    pub counts: Counts,
}

/// What was done to the code under test.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    /// Reports and tasks that were lost, doubled, or given back; transactions that failed, or whose outcome nobody heard.
    pub faults: u64,
    pub flips: u64,
    /// Flips that the fence refused.
    pub fenced: u64,
}

impl Counts {
    pub fn merge(&mut self, other: &Self) {
        self.events += other.events;
        self.faults += other.faults;
        self.flips += other.flips;
        self.fenced += other.fenced;
    }
}

impl World {
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            bill: BTreeMap::new(),
            batches: BTreeMap::new(),
            queue: BTreeMap::new(),
            reports: Vec::new(),
            outside: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Publishes items at an address, which is written once; an empty unit has no batches.
    pub fn publish(&mut self, at: Address<'_>, content: Option<Hash128>) -> Result<Manifest> {
        let (.., generation, attempt) = at;
        let manifest = manifest(content, generation, attempt);
        if content.is_some() {
            let before = self.batches.insert(self.subject(at), manifest.hash);
            ensure!(before.is_none_or(|hash| hash == manifest.hash), "{at:?} is written twice");
        }
        Ok(manifest)
    }

    fn subject(&self, (stream, source, date, generation, attempt): Address<'_>) -> String {
        UnitAddress::new(stream, &self.tenant, source, date, generation, attempt).all()
    }

    /// Whether a reader gets what a manifest names.
    pub fn holds(
        &self,
        stream: Stream,
        source: &SourceId,
        date: UnitDate,
        manifest: &Manifest,
    ) -> bool {
        let at = (stream, source, date, manifest.generation, manifest.attempt);
        manifest.batches.is_empty() || self.batches.get(&self.subject(at)) == Some(&manifest.hash)
    }

    /// Queues a task once.
    pub fn queue(&mut self, subject: &str, message: &Bytes) -> Result<()> {
        let before = self.queue.insert(subject.to_owned(), message.clone());
        ensure!(before.is_none_or(|there| there == *message), "{subject} holds two tasks");
        Ok(())
    }
}

/// What closes a generation; of nothing: an empty one.
fn manifest(content: Option<Hash128>, generation: Generation, attempt: Attempt) -> Manifest {
    let mut builder = ManifestBuilder::default();
    if let Some(content) = content {
        builder.add_item(content);
        builder.add_batch(1, &content.0);
    }
    builder.finish(generation, attempt)
}

/// What the lines of a date say in one edition of its bill.
pub fn lines(source: &SourceId, date: UnitDate, edition: u32) -> Hash128 {
    let (date, edition) = (date.to_string(), edition.to_string());
    Hash128::of_texts(["lines", source.as_str(), &date, &edition])
}

/// What is resolved of lines.
pub fn resolutions(lines: Hash128, lacking: bool) -> Hash128 {
    Hash128::of(&[b"resolved".as_slice(), &lines.0, &[u8::from(lacking)]].concat())
}

/// What rules make of lines and resolutions: the same from the same, always.
pub fn rows(lines: Hash128, resolutions: Option<Hash128>, rules: Hash128) -> Hash128 {
    let resolutions = resolutions.map_or([0; 16], |hash| hash.0);
    Hash128::of(&[b"rows".as_slice(), &lines.0, &resolutions, &rules.0].concat())
}

pub fn nothing() -> Totals {
    Totals::default()
}

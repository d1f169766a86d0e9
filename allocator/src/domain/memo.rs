//! Answers that were worked out before.

use std::hash::Hash;
use std::ops::Range;

use foldhash::{HashMap, HashMapExt};
use proto::hash::Hash128;
use proto::money::Shares;
use proto::row::PARTS_MAX;

use super::error::LineError;
use super::face::Face;
use super::notes::Miss;
use super::party::Party;
use super::prepare::{Answer, Answered};
use super::rows::RowWriter;
use super::warnings::WarningId;

/// Parties with their shares, ready for any number of lines.
#[derive(Debug)]
pub struct Prepared {
    /// Who, and how much.
    pub shares: Shares<Party>,
    /// What their rows have in common.
    pub face: Face,
    /// Places of their splits in the batch of rows under way, where known: one for [`PARTS_MAX`] parties each.
    splits: Vec<Option<u32>>,
    /// Content of the face.
    hash: Hash128,
    epoch: u64,
}

impl Prepared {
    /// Ready for use.
    pub fn new(shares: Shares<Party>, face: Face) -> Self {
        let splits = vec![None; shares.len().div_ceil(PARTS_MAX)];
        let hash = face.with(&Party::nobody()).hash(&mut Vec::new());
        Self { splits, shares, hash, face, epoch: 0 }
    }

    /// The pieces that a line is cut into by these parties: their places among them.
    pub fn pieces(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let all = self.shares.len();
        (0..all).step_by(PARTS_MAX).map(move |start| start..all.min(start + PARTS_MAX))
    }

    /// The place of a piece's split in the batch under way.
    pub fn split(&mut self, piece: &Range<usize>, rows: &mut RowWriter) -> u32 {
        if self.epoch != rows.epoch() {
            self.epoch = rows.epoch();
            self.splits.fill(None);
        }
        let Self { shares, face, splits, hash, .. } = self;
        *splits[piece.start / PARTS_MAX].get_or_insert_with(|| {
            let part =
                |at: usize| (rows.dimension(*hash, face, &shares.ids()[at]), shares.share(at));
            let parts: Vec<_> = piece.clone().map(part).collect();
            rows.batch.split(parts.into_iter())
        })
    }
}

/// An answer as it is kept.
#[derive(Debug)]
pub enum Kept {
    /// These take part.
    Give(Prepared),
    /// The tier does not apply.
    Miss(Option<Miss>),
    /// The line's allocation fails.
    Fail(LineError),
}

/// Answers by key. Places hold until the next [`Memo::clear`].
#[derive(Debug)]
pub struct Memo<K> {
    places: HashMap<K, u32>,
    kept: Vec<(Kept, Vec<WarningId>)>,
    parties: usize,
}

impl<K> Default for Memo<K> {
    fn default() -> Self {
        Self { places: HashMap::new(), kept: Vec::new(), parties: 0 }
    }
}

impl<K: Eq + Hash> Memo<K> {
    /// The place of what is kept for a key.
    pub fn find(&self, key: &K) -> Option<u32> {
        self.places.get(key).copied()
    }

    /// Keeps an answer.
    pub fn keep(&mut self, key: K, answered: Answered, face: impl FnOnce() -> Face) -> u32 {
        let kept = match answered.answer {
            Answer::Give(shares) => {
                self.parties += shares.len();
                Kept::Give(Prepared::new(shares, face()))
            }
            Answer::Miss(miss) => Kept::Miss(miss),
            Answer::Fail(error) => Kept::Fail(error),
        };
        let place = self.kept.len() as u32;
        self.kept.push((kept, answered.warnings));
        self.places.insert(key, place);
        place
    }

    /// What is kept, with its warnings.
    pub fn get(&self, place: u32) -> (&Kept, &[WarningId]) {
        let (kept, warnings) = &self.kept[place as usize];
        (kept, warnings)
    }

    /// What is kept, to use it.
    pub fn prepared(&mut self, place: u32) -> Option<&mut Prepared> {
        match &mut self.kept[place as usize].0 {
            Kept::Give(prepared) => Some(prepared),
            Kept::Miss(_) | Kept::Fail(_) => None,
        }
    }

    /// Parties that are kept.
    pub fn parties(&self) -> usize {
        self.parties + self.kept.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.places.clear();
        self.kept.clear();
        self.parties = 0;
    }
}

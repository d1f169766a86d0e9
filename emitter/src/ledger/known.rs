//! What was seen lately, in bounded memory.

use std::collections::HashSet;

use proto::hash::Hash128;

/// A set of hashes that forgets the ones not asked for lately; at most twice `half` of them.
#[derive(Debug)]
pub struct Known {
    half: usize,
    young: HashSet<Hash128>,
    old: HashSet<Hash128>,
}

impl Known {
    /// An empty set; `half` is 1 or more.
    #[must_use]
    pub fn new(half: usize) -> Self {
        Self { half, young: HashSet::new(), old: HashSet::new() }
    }
    /// Whether it is known; keeps it known for longer.
    pub fn contains(&mut self, hash: Hash128) -> bool {
        if self.young.contains(&hash) {
            return true;
        }
        let known = self.old.remove(&hash);
        if known {
            self.insert(hash);
        }
        known
    }
    /// Makes it known; says whether it is new.
    pub fn insert(&mut self, hash: Hash128) -> bool {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        let old = self.old.remove(&hash);
        self.young.insert(hash) && !old
    }
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_asked_for() {
        let hash = |n: u32| Hash128::of(&n.to_le_bytes());
        let mut known = Known::new(10);
        assert!(known.insert(hash(0)) && !known.insert(hash(0)));
        for n in 1..1_000 {
            assert!(known.contains(hash(0)), "asked for at every step, forgotten at {n}");
            known.insert(hash(n));
            assert!(known.young.len() + known.old.len() <= 20);
        }
        assert!(known.contains(hash(999)) && !known.contains(hash(500)));
        known.clear();
        assert!(!known.contains(hash(0)));
    }
}

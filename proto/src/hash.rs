//! 128-bit blake3, and the order-free hash of a set of items.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first 128 bits of a blake3 hash. Text form: 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash128(pub [u8; 16]);

impl Hash128 {
    /// Hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(&blake3::hash(bytes))
    }
    /// Hash of texts, told apart by their lengths.
    #[must_use]
    pub fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Self::finish(&hasher.finalize())
    }
    /// The first 128 bits of a finished hash.
    #[must_use]
    pub fn finish(hash: &blake3::Hash) -> Self {
        let (first, _) = hash.as_bytes().split_at(16);
        let mut out = [0; 16];
        out.copy_from_slice(first);
        Self(out)
    }
    /// The 32 hex digits, as ASCII.
    #[must_use]
    pub fn hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        text
    }
    /// The 32 hex digits of a hash, read back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|n| Self(n.to_be_bytes()))
    }
}

impl fmt::Display for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}
impl fmt::Debug for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl Serialize for Hash128 {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(&self.0)
    }
}
impl<'de> Deserialize<'de> for Hash128 {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let bytes = serde_bytes::ByteBuf::deserialize(d)?;
        let array = <[u8; 16]>::try_from(bytes.as_slice());
        array.map(Self).map_err(|_| serde::de::Error::invalid_length(bytes.len(), &"16 bytes"))
    }
}

/// Σ mod 2^128 of the hashes of items: independent of order, and duplicates show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetHash(u128);

impl SetHash {
    /// Counts one item in.
    pub fn add(&mut self, item: Hash128) {
        self.0 = self.0.wrapping_add(u128::from_be_bytes(item.0));
    }
    /// Counts another set in.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
    /// The hash of all items counted so far.
    #[must_use]
    pub fn value(self) -> Hash128 {
        Hash128(self.0.to_be_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_hash_ignores_order_and_sees_duplicates() {
        let (a, b) = (Hash128::of(b"a"), Hash128::of(b"b"));
        let set = |items: &[Hash128]| {
            let mut set = SetHash::default();
            items.iter().for_each(|h| set.add(*h));
            set.value()
        };
        assert_eq!(set(&[a, b]), set(&[b, a]));
        assert_ne!(set(&[a, a]), set(&[]));
        assert_ne!(set(&[a, b, b]), set(&[a]));
        assert_eq!(Hash128::parse(&a.to_string()), Some(a));
        assert_eq!(a.hex(), a.to_string().as_bytes());
        assert_ne!(Hash128::of_texts(["ab", "c"]), Hash128::of_texts(["a", "bc"]));
    }
}

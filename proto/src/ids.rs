//! Names and numbers that say what a message is about. Parsed once; never raw strings after.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The pattern of every id, as users are told it.
pub const ID_PATTERN: &str = "[a-z0-9][a-z0-9_-]{0,62}";

/// What an id names. Keeps a tenant from being passed where a source is meant.
pub trait Kind {
    /// The word for error messages.
    const WORD: &'static str;
}

/// Kinds of ids.
pub mod kind {
    /// A billing boundary.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Tenant {}
    /// One configured ecosystem plugin of a tenant.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Source {}
    /// One configured emitter of a tenant.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Emitter {}
    /// One configured driver of a tenant.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Driver {}

    impl super::Kind for Tenant {
        const WORD: &'static str = "tenant";
    }
    impl super::Kind for Source {
        const WORD: &'static str = "source";
    }
    impl super::Kind for Emitter {
        const WORD: &'static str = "emitter";
    }
    impl super::Kind for Driver {
        const WORD: &'static str = "driver";
    }
}

/// An id that matches [`ID_PATTERN`]: legal as a NATS token, an SQL value and a file name.
pub struct Id<K> {
    text: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

/// Id of a billing boundary.
pub type TenantId = Id<kind::Tenant>;
/// Id of a source within its tenant.
pub type SourceId = Id<kind::Source>;
/// Id of an emitter within its tenant.
pub type EmitterId = Id<kind::Emitter>;
/// Id of a driver within its tenant.
pub type DriverId = Id<kind::Driver>;

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word} id {text:?} is not allowed: ids are {ID_PATTERN} (lower-case letters, digits, - and _, at most 63, starting with a letter or digit)"
)]
pub struct IdError {
    word: &'static str,
    text: String,
}

impl<K: Kind> Id<K> {
    /// Checks `text` against [`ID_PATTERN`].
    ///
    /// # Errors
    /// When it does not match.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = text.as_bytes();
        let ok = matches!(bytes, [first, rest @ ..] if legal(*first) && rest.len() <= 62
            && rest.iter().all(|b| legal(*b) || *b == b'-' || *b == b'_'));
        if ok {
            Ok(Self { text: text.into(), kind: PhantomData })
        } else {
            Err(IdError { word: K::WORD, text: text.to_owned() })
        }
    }
}

impl<K> Id<K> {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        Self { text: Arc::clone(&self.text), kind: PhantomData }
    }
}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> std::hash::Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl<K> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}
impl<K: Kind> FromStr for Id<K> {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::parse(text)
    }
}
impl<K> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Number from one Postgres sequence, new for every dispatched piece of work: the fencing token. Never 0.
///
/// Its upper bits are the incarnation of the database, which is raised when a backup was restored: what was drawn after
/// that backup was made is never drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub i64);

/// Bits of a generation that count within an incarnation: a million million pieces of work.
const COUNTER_BITS: u32 = 40;

impl Generation {
    /// How often its database was restored before it was drawn.
    #[must_use]
    pub fn incarnation(self) -> i64 {
        self.0 >> COUNTER_BITS
    }
    /// The first one of an incarnation after that of `self`.
    #[must_use]
    pub fn first_of_next_incarnation(self) -> Self {
        Self(((self.incarnation() + 1) << COUNTER_BITS) + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// 64 random bits that a worker draws when it starts a task; readers read exactly `<generation>-<attempt>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt(pub u64);

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The unit of work: what is resolved, allocated, committed, emitted and replayed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitKey {
    /// Whose bill.
    pub tenant: TenantId,
    /// Of which source.
    pub source: SourceId,
    /// Which day.
    pub date: crate::time::UnitDate,
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.source, self.date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_is_above_all_generations_of_the_one_before() {
        let last = Generation((1 << COUNTER_BITS) - 1);
        let next = Generation(7).first_of_next_incarnation();
        assert!(next > last && Generation(7).incarnation() == 0 && next.incarnation() == 1);
        assert_eq!(next.first_of_next_incarnation().incarnation(), 2);
    }

    #[test]
    fn ids_are_legal_tokens() {
        for good in ["a", "0", "acme-prod_2", &"x".repeat(63)] {
            assert_eq!(TenantId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "A", "a.b", "*", ">", "-a", "_a", "a b", "ä", "..", &"x".repeat(64)] {
            let error = TenantId::parse(bad).unwrap_err().to_string();
            assert!(error.starts_with("tenant id") && error.contains(ID_PATTERN), "{error}");
        }
    }
}

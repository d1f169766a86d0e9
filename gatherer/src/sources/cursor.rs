//! What one gather leaves for the next, as bytes that only the gatherer reads.

use proto::hash::Hash128;
use proto::time::UnitDate;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A larger cursor is not kept: the next gather reads everything. Tasks and reports carry it.
const CURSOR_BYTES_MAX: usize = 256 * 1024;
/// The largest cursor once decompressed.
const CURSOR_TEXT_MAX: usize = 16 << 20;

/// Compressed, named MessagePack. `None`: it is too large to be carried.
pub fn encode<T: Serialize>(cursor: &T) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    rmp_serde::encode::write_named(&mut bytes, cursor).ok()?;
    let packed = zstd::bulk::compress(&bytes, 3).ok()?;
    (packed.len() <= CURSOR_BYTES_MAX && bytes.len() <= CURSOR_TEXT_MAX).then_some(packed)
}

/// The cursor in these bytes. `None`: another build wrote them, so everything is read again.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let bytes = zstd::bulk::decompress(bytes, CURSOR_TEXT_MAX).ok()?;
    rmp_serde::from_slice(&bytes).ok()
}

/// Dates as runs of days: `(first day since 1970, days)`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Days(Vec<(i64, u32)>);

impl FromIterator<UnitDate> for Days {
    /// The dates come sorted.
    fn from_iter<I: IntoIterator<Item = UnitDate>>(dates: I) -> Self {
        let mut runs: Vec<(i64, u32)> = Vec::new();
        for day in dates.into_iter().map(UnitDate::epoch_days) {
            match runs.last_mut() {
                Some((first, days)) if *first + i64::from(*days) == day => *days += 1,
                _ => runs.push((day, 1)),
            }
        }
        Self(runs)
    }
}

impl Days {
    /// The dates, sorted.
    pub fn iter(&self) -> impl Iterator<Item = UnitDate> {
        let days = self.0.iter().flat_map(|(first, days)| *first..*first + i64::from(*days));
        days.filter_map(|day| proto::time::UtcSeconds(day * 86_400).date().ok())
    }
}

/// Dates with the hash of their lines.
pub type DateHashes = Vec<(UnitDate, Hash128)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_cursors_come_back() {
        let dates: Vec<UnitDate> = ["2024-02-28", "2024-02-29", "2024-03-01", "2025-01-01"]
            .map(|d| d.parse().unwrap())
            .into();
        let days: Days = dates.iter().copied().collect();
        assert_eq!(days.0.len(), 2);
        let back: Days = decode(&encode(&days).unwrap()).unwrap();
        assert_eq!(back.iter().collect::<Vec<_>>(), dates);
        assert_eq!(decode::<Days>(b"something else"), None);
        assert_eq!(decode::<Days>(&encode(&"text").unwrap()), None);
        let noise: Vec<Hash128> = (0..20_000_u32).map(|n| Hash128::of(&n.to_le_bytes())).collect();
        assert_eq!(encode(&noise), None);
    }
}

//! Columns of a batch: names cost once per message, repeated strings once per batch.
//!
//! Every column is a small MessagePack map with packed bytes inside. `len` items, at most [`ITEMS_MAX`].

mod amounts;

use foldhash::fast::RandomState;
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

pub use amounts::{AmountColumn, AmountReader, decode_numbered, take_numbered};

/// More items than this in one batch are refused.
pub const ITEMS_MAX: usize = 65_536;

/// Why a column cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// A column's length differs from its batch's.
    #[error("column {column} holds {got} items where the batch has {want}")]
    Length {
        /// Which column.
        column: &'static str,
        /// Items in it.
        got: usize,
        /// Items in the batch.
        want: usize,
    },
    /// A packed value makes no sense.
    #[error("column {column} is damaged: {what}")]
    Damaged {
        /// Which column.
        column: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// The batch claims too many items.
    #[error("a batch of {0} items is refused: at most {ITEMS_MAX}")]
    TooMany(usize),
}

/// Refuses a batch that claims more than [`ITEMS_MAX`] items.
///
/// # Errors
/// When it does.
pub fn check_items(items: usize) -> Result<(), ColumnError> {
    if items > ITEMS_MAX { Err(ColumnError::TooMany(items)) } else { Ok(()) }
}

/// Texts as a dictionary and packed codes; code 0 is null, code k is `values[k - 1]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextColumn {
    #[serde(rename = "v")]
    values: Vec<String>,
    /// Bytes per code: 0 (every item has the one value), 1, 2 or 4, little endian.
    #[serde(rename = "w")]
    width: u8,
    #[serde(rename = "i", with = "serde_bytes")]
    codes: Vec<u8>,
    #[serde(rename = "n")]
    len: u32,
}

impl TextColumn {
    /// Number of items.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len as usize
    }
    /// Whether it holds no items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The distinct values, in order of first appearance; `values()[code - 1]`.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }
    /// The code of item `i`: 0 for null. `i < len`.
    #[must_use]
    pub fn code(&self, i: usize) -> u32 {
        match self.width {
            0 => u32::from(!self.values.is_empty()),
            1 => u32::from(self.codes[i]),
            2 => u32::from(u16::from_le_bytes([self.codes[2 * i], self.codes[2 * i + 1]])),
            _ => {
                let at = 4 * i;
                let c = &self.codes;
                u32::from_le_bytes([c[at], c[at + 1], c[at + 2], c[at + 3]])
            }
        }
    }
    /// The text of item `i`. `i < len`.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&str> {
        (self.code(i) as usize).checked_sub(1).map(|at| self.values[at].as_str())
    }
    /// Checks that every code is in range, so that [`Self::get`] cannot fail.
    ///
    /// # Errors
    /// When the column does not hold `want` sound items.
    pub fn check(&self, column: &'static str, want: usize) -> Result<(), ColumnError> {
        let damaged = |what| Err(ColumnError::Damaged { column, what });
        if self.len() != want {
            return Err(ColumnError::Length { column, got: self.len(), want });
        }
        if !matches!(self.width, 0 | 1 | 2 | 4) {
            return damaged("unknown code width");
        }
        if self.codes.len() != want * usize::from(self.width) {
            return damaged("wrong number of codes");
        }
        if self.width == 0 && self.values.len() > 1 {
            return damaged("a constant with several values");
        }
        if (0..want).any(|i| self.code(i) as usize > self.values.len()) {
            return damaged("a code outside its dictionary");
        }
        Ok(())
    }
}

/// Builds a [`TextColumn`].
#[derive(Debug, Default, Clone)]
pub struct TextBuilder {
    values: IndexSet<String, RandomState>,
    codes: Vec<u32>,
    bytes: usize,
}

impl TextBuilder {
    /// Appends an item.
    pub fn push(&mut self, text: Option<&str>) {
        let code = text.map_or(0, |text| self.code_of(text));
        self.codes.push(code);
    }
    /// Appends nulls until there are `len` items.
    pub fn pad_to(&mut self, len: usize) {
        self.codes.resize(len.max(self.codes.len()), 0);
    }
    /// Rough size in bytes of what was pushed so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes + 2 * self.codes.len()
    }
    /// Whether only nulls were pushed.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.values.is_empty()
    }
    fn code_of(&mut self, text: &str) -> u32 {
        if let Some(place) = self.values.get_index_of(text) {
            return place as u32 + 1;
        }
        self.values.insert(text.to_owned());
        self.bytes += text.len() + 3;
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }
    /// The column of everything pushed.
    #[must_use]
    pub fn finish(self) -> TextColumn {
        let len = u32::try_from(self.codes.len()).unwrap_or(u32::MAX);
        let constant = self.values.len() <= 1 && {
            let first = self.codes.first().copied().unwrap_or(0);
            self.codes.iter().all(|c| *c == first)
        };
        let width: u8 = match self.values.len() {
            _ if constant => 0,
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let mut codes = Vec::with_capacity(self.codes.len() * usize::from(width));
        for code in &self.codes {
            codes.extend_from_slice(&code.to_le_bytes()[..usize::from(width)]);
        }
        TextColumn { values: self.values.into_iter().collect(), width, codes, len }
    }
}

impl<'a> FromIterator<Option<&'a str>> for TextColumn {
    fn from_iter<I: IntoIterator<Item = Option<&'a str>>>(items: I) -> Self {
        let mut builder = TextBuilder::default();
        items.into_iter().for_each(|item| builder.push(item));
        builder.finish()
    }
}

/// Appends `n` as LEB128.
pub fn put_varint(out: &mut Vec<u8>, mut n: u128) {
    // Most numbers fit 64 bits; wide shifts are only paid for where needed.
    while n > u128::from(u64::MAX) {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    let mut n = n as u64;
    while n >= 0x80 {
        out.push((n as u8) | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a LEB128 number from the front of `bytes`.
#[must_use]
pub fn take_varint(bytes: &mut &[u8]) -> Option<u128> {
    // Most numbers fit 64 bits; wide shifts are only paid for where needed.
    let mut low: u64 = 0;
    for (i, byte) in bytes.iter().take(9).enumerate() {
        low |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *bytes = &bytes[i + 1..];
            return Some(u128::from(low));
        }
    }
    let mut n = u128::from(low);
    for (i, byte) in bytes.iter().enumerate().take(19).skip(9) {
        if i == 18 && *byte > 3 {
            return None;
        }
        n |= u128::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            *bytes = &bytes[i + 1..];
            return Some(n);
        }
    }
    None
}

fn zigzag(n: i128) -> u128 {
    ((n << 1) ^ (n >> 127)) as u128
}

fn unzigzag(n: u128) -> i128 {
    ((n >> 1) as i128) ^ -((n & 1) as i128)
}

/// Whole numbers as zigzag LEB128 differences to the item before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntColumn(#[serde(with = "serde_bytes")] Vec<u8>);

impl IntColumn {
    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
    /// Decodes all `want` items.
    ///
    /// # Errors
    /// When it does not hold exactly `want` sound numbers.
    pub fn decode(&self, column: &'static str, want: usize) -> Result<Vec<i64>, ColumnError> {
        let out = self.decode_most(column, want)?;
        if out.len() == want {
            Ok(out)
        } else {
            Err(ColumnError::Length { column, got: out.len(), want })
        }
    }
    /// Decodes however many items there are, up to [`ITEMS_MAX`].
    ///
    /// # Errors
    /// When there are more, or one is damaged.
    pub fn decode_all(&self, column: &'static str) -> Result<Vec<i64>, ColumnError> {
        self.decode_most(column, ITEMS_MAX)
    }
    fn decode_most(&self, column: &'static str, want: usize) -> Result<Vec<i64>, ColumnError> {
        let mut rest = self.0.as_slice();
        let mut out = Vec::with_capacity(want.min(rest.len()));
        let mut last = 0_i64;
        while !rest.is_empty() {
            let delta = take_varint(&mut rest).map(unzigzag).and_then(|d| i64::try_from(d).ok());
            let delta = delta.ok_or(ColumnError::Damaged { column, what: "a cut number" })?;
            last = last.wrapping_add(delta);
            out.push(last);
            if out.len() > want {
                return Err(ColumnError::Length { column, got: out.len(), want });
            }
        }
        Ok(out)
    }
}

impl FromIterator<i64> for IntColumn {
    fn from_iter<I: IntoIterator<Item = i64>>(items: I) -> Self {
        let (mut out, mut last) = (Vec::new(), 0_i64);
        for item in items {
            put_varint(&mut out, zigzag(i128::from(item.wrapping_sub(last))));
            last = item;
        }
        Self(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Amount;

    #[test]
    fn text_columns_come_back_at_every_width() {
        for distinct in [0_usize, 1, 2, 255, 256, 65_535] {
            let texts: Vec<String> = (0..distinct).map(|i| format!("t{i}")).collect();
            let items: Vec<Option<&str>> =
                texts.iter().map(|t| Some(t.as_str())).chain([None]).collect();
            let column: TextColumn = items.iter().copied().collect();
            column.check("x", items.len()).unwrap();
            let bytes = rmp_serde::to_vec_named(&column).unwrap();
            let back: TextColumn = rmp_serde::from_slice(&bytes).unwrap();
            assert_eq!((0..items.len()).map(|i| back.get(i)).collect::<Vec<_>>(), items);
        }
        let constant: TextColumn = [Some("a"), Some("a")].into_iter().collect();
        assert_eq!((constant.width, constant.get(1)), (0, Some("a")));
    }

    #[test]
    fn damaged_columns_are_refused() {
        let mut column: TextColumn = [Some("a"), None, Some("b")].into_iter().collect();
        assert!(column.check("x", 2).is_err());
        column.codes[2] = 9;
        assert!(column.check("x", 3).is_err());
        let amounts: AmountColumn = [Amount::parse("1.5").ok(), None].into_iter().collect();
        assert!(amounts.decode("x", 1).is_err() && amounts.decode("x", 3).is_err());
        assert!(IntColumn(vec![0x80]).decode("x", 1).is_err());
    }

    #[test]
    fn numbers_come_back() {
        let amounts: Vec<_> =
            ["0", "-1.25", "79228162514264337593543950335", "-0.0000000000000000000000000001"]
                .iter()
                .map(|t| Some(Amount::parse(t).unwrap()))
                .chain([None])
                .collect();
        let column: AmountColumn = amounts.iter().copied().collect();
        assert_eq!(column.decode("x", amounts.len()).unwrap(), amounts);
        let ints = [0, i64::MIN, i64::MAX, -5, 1_700_000_000];
        let column: IntColumn = ints.into_iter().collect();
        assert_eq!(column.decode("x", ints.len()).unwrap(), ints);
        let mut bytes = Vec::new();
        put_varint(&mut bytes, u128::MAX);
        assert_eq!(take_varint(&mut bytes.as_slice()), Some(u128::MAX));
    }
}

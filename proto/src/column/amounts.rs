//! Amounts as a column.

use serde::{Deserialize, Serialize};

use super::{ColumnError, ITEMS_MAX, put_varint, take_varint, unzigzag, zigzag};
use crate::money::Amount;

/// Amounts, each as scale byte and zigzag LEB128 mantissa; scale 255 is null.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmountColumn(#[serde(with = "serde_bytes")] Vec<u8>);

const NULL_SCALE: u8 = 255;

impl AmountColumn {
    /// Appends an item.
    pub fn push(&mut self, amount: Option<Amount>) {
        let Some(amount) = amount else {
            return self.0.push(NULL_SCALE);
        };
        put_amount(&mut self.0, amount);
    }
    /// Appends so many nulls.
    pub fn nulls(&mut self, items: usize) {
        self.0.resize(self.0.len() + items, NULL_SCALE);
    }
    /// Size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }
    /// Its items as they travel.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
    /// Reads it from its first item on.
    #[must_use]
    pub fn reader(&self, column: &'static str) -> AmountReader<'_> {
        AmountReader { rest: &self.0, column }
    }
    /// Decodes all `want` items.
    ///
    /// # Errors
    /// When it does not hold exactly `want` sound amounts.
    pub fn decode(
        &self,
        column: &'static str,
        want: usize,
    ) -> Result<Vec<Option<Amount>>, ColumnError> {
        let mut out = Vec::with_capacity(want.min(ITEMS_MAX));
        let mut reader = self.reader(column);
        reader.take(want, &mut out)?;
        reader.end()?;
        Ok(out)
    }
}

/// Reads an [`AmountColumn`] bit by bit.
#[derive(Debug)]
pub struct AmountReader<'a> {
    rest: &'a [u8],
    column: &'static str,
}

impl<'a> AmountReader<'a> {
    /// Appends the next `items`; their bytes.
    ///
    /// # Errors
    /// When there are fewer, or one is damaged.
    pub fn take(
        &mut self,
        items: usize,
        out: &mut Vec<Option<Amount>>,
    ) -> Result<&'a [u8], ColumnError> {
        self.each(items, |amount| {
            out.push(amount);
            true
        })
    }
    /// The same where none may be null.
    ///
    /// # Errors
    /// When one is, or as [`Self::take`].
    pub fn take_all(
        &mut self,
        items: usize,
        out: &mut Vec<Amount>,
    ) -> Result<&'a [u8], ColumnError> {
        self.each(items, |amount| amount.map(|amount| out.push(amount)).is_some())
    }
    /// Whether it ends here.
    ///
    /// # Errors
    /// When it does not.
    pub fn end(&self) -> Result<(), ColumnError> {
        let (column, what) = (self.column, "more amounts than items");
        if self.rest.is_empty() { Ok(()) } else { Err(ColumnError::Damaged { column, what }) }
    }
    fn each(
        &mut self,
        items: usize,
        mut take: impl FnMut(Option<Amount>) -> bool,
    ) -> Result<&'a [u8], ColumnError> {
        let column = self.column;
        let damaged = |what| ColumnError::Damaged { column, what };
        let all = self.rest;
        for got in 0..items {
            let missing = ColumnError::Length { column, got, want: items };
            let (scale, tail) = self.rest.split_first().ok_or(missing)?;
            self.rest = tail;
            let amount = if *scale == NULL_SCALE {
                None
            } else {
                let mantissa = take_varint(&mut self.rest).ok_or(damaged("a cut number"))?;
                let amount = Amount::from_parts(unzigzag(mantissa), u32::from(*scale));
                Some(amount.ok_or(damaged("a number of too many digits"))?)
            };
            if !take(amount) {
                return Err(damaged("a null where there must be an amount"));
            }
        }
        Ok(&all[..all.len() - self.rest.len()])
    }
}

impl FromIterator<Option<Amount>> for AmountColumn {
    fn from_iter<I: IntoIterator<Item = Option<Amount>>>(items: I) -> Self {
        let mut column = Self::default();
        items.into_iter().for_each(|item| column.push(item));
        column
    }
}

/// Decodes columns that are kept by number (0 to `N` - 1); the ones that were left out stay empty.
///
/// # Errors
/// When a number is unknown or comes twice, or a column does not hold exactly `want` sound amounts.
pub fn decode_numbered<const N: usize>(
    columns: &[(u8, AmountColumn)],
    column: &'static str,
    want: usize,
) -> Result<[Vec<Option<Amount>>; N], ColumnError> {
    let mut out = [const { Vec::new() }; N];
    for (slot, reader) in out.iter_mut().zip(take_numbered::<N>(columns, column)?) {
        let Some(mut reader) = reader else { continue };
        slot.reserve(want.min(ITEMS_MAX));
        reader.take(want, slot)?;
        reader.end()?;
    }
    Ok(out)
}

/// Readers of columns that are kept by number (0 to `N` - 1).
///
/// # Errors
/// When a number is unknown or comes twice.
pub fn take_numbered<'a, const N: usize>(
    columns: &'a [(u8, AmountColumn)],
    column: &'static str,
) -> Result<[Option<AmountReader<'a>>; N], ColumnError> {
    let damaged = |what| ColumnError::Damaged { column, what };
    let mut out = [const { None }; N];
    for (number, amounts) in columns {
        let slot = out.get_mut(usize::from(*number)).ok_or(damaged("an unknown number"))?;
        if slot.replace(amounts.reader(column)).is_some() {
            return Err(damaged("a number twice"));
        }
    }
    Ok(out)
}

/// Appends an amount: its scale, then its mantissa as a zigzag LEB128 number.
fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    out.push(u8::try_from(amount.scale()).unwrap_or(NULL_SCALE - 1));
    put_varint(out, zigzag(amount.mantissa()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_amount_is_refused() {
        assert!(AmountColumn(vec![0, 0xff]).decode("x", 1).is_err());
    }
}

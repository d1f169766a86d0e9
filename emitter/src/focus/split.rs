//! Parts of numbers that are not among a fact's own: they follow the row's other parts. Pure.

use proto::line::Measure;
use proto::money::{Amount, Shares, Splitter};

use crate::emission::VisibleRow;

/// Scratch space.
#[derive(Default)]
pub struct Parts {
    splitter: Splitter,
    parts: Vec<Amount>,
}

impl Parts {
    /// Splits a number of a line among its rows, exactly: in the order of the rows, parts add up to it.
    ///
    /// A number that equals one of the line's own, as a cost in the currency of pricing mostly does, is split as that
    /// one was. Another is split by the rows' shares; in a composition, where a share is one of a part that is not
    /// told, in proportion to the rows' parts of the first number of the line that is not 0; and evenly where all are.
    pub fn split(
        &mut self,
        number: Amount,
        own: &[(Amount, Vec<Amount>)],
        rows: &[VisibleRow],
    ) -> &[Amount] {
        if rows.len() == 1 {
            self.parts.clear();
            self.parts.push(number);
            return &self.parts;
        }
        if let Some((_, parts)) = own.iter().find(|(whole, _)| *whole == number) {
            self.parts.clone_from(parts);
            return &self.parts;
        }
        let ids = || (0..rows.len()).map(|at| format!("{at:010}"));
        let of_own = || {
            let (_, parts) = own.iter().find(|(whole, _)| !whole.is_zero())?;
            Shares::new(ids().zip(parts.iter().map(|part| part.abs()))).ok()
        };
        let of_shares = || Shares::new(ids().zip(numerators(rows)?)).ok();
        let shares = of_shares().or_else(of_own);
        let shares = shares.or_else(|| Shares::even(ids()).ok());
        if let Some(shares) = shares {
            shares.split(number, &mut self.splitter, &mut self.parts);
        }
        &self.parts
    }
}

/// The numbers of a line that its rows have parts of, with these.
pub fn own(
    rows: &[VisibleRow],
    wholes: &[Amount; 4],
    quantities: [Option<Amount>; 2],
) -> Vec<(Amount, Vec<Amount>)> {
    let mut own: Vec<(Amount, Vec<Amount>)> = Measure::ALL
        .iter()
        .map(|m| (wholes[*m as usize], rows.iter().map(|r| r.measures[*m as usize]).collect()))
        .collect();
    for (at, whole) in quantities.into_iter().enumerate() {
        let parts: Option<Vec<Amount>> = rows.iter().map(|row| row.quantities[at]).collect();
        own.extend(whole.zip(parts));
    }
    // Effective first: what most chargeback goes by.
    own.swap(0, 1);
    own
}

/// Numerators of shares that are all of one whole and add up to it; `None` otherwise.
fn numerators(rows: &[VisibleRow]) -> Option<Vec<Amount>> {
    let mut numerators = Vec::with_capacity(rows.len());
    let (mut sum, mut whole) = (0_u128, None);
    for row in rows {
        let (num, den) = row.origin.as_ref()?.share.narrow()?;
        if *whole.get_or_insert(den) != den {
            return None;
        }
        sum = sum.checked_add(num)?;
        numerators.push(Amount::from_parts(i128::try_from(num).ok()?, 0)?);
    }
    (Some(sum) == whole).then_some(numerators)
}

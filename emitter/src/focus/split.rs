//! Parts of numbers that are not among a fact's own: they follow the row's other parts. Pure.

use proto::line::Measure;
use proto::money::{Amount, Share, Shares, Splitter};

use crate::emission::VisibleRow;

/// Scratch space.
#[derive(Default)]
pub struct Parts {
    splitter: Splitter,
    parts: Vec<Amount>,
}

impl Parts {
    /// Splits a number of a line among its rows, whose `shares` these are, exactly: in their order, parts add up to it.
    ///
    /// A number that equals one of the line's own, as a cost in the currency of pricing mostly does, is split as that
    /// one was. Another is split by the rows' shares; in a composition, where a share is one of a part that is not
    /// told, in proportion to the rows' parts of the first number of the line that is not 0; and evenly where all are.
    pub fn split(
        &mut self,
        number: Amount,
        own: &[(Amount, Vec<Amount>)],
        shares: &[Share],
    ) -> &[Amount] {
        if shares.len() == 1 {
            self.parts.clear();
            self.parts.push(number);
            return &self.parts;
        }
        if let Some((_, parts)) = own.iter().find(|(whole, _)| *whole == number) {
            self.parts.clone_from(parts);
            return &self.parts;
        }
        let ids = || (0..shares.len()).map(|at| format!("{at:010}"));
        let of_own = || {
            let (_, parts) = own.iter().find(|(whole, _)| !whole.is_zero())?;
            Shares::new(ids().zip(parts.iter().map(|part| part.abs()))).ok()
        };
        let of_shares = || Shares::new(ids().zip(numerators(shares)?)).ok();
        let fractions = of_shares().or_else(of_own);
        let fractions = fractions.or_else(|| Shares::even(ids()).ok());
        if let Some(fractions) = fractions {
            fractions.split(number, &mut self.splitter, &mut self.parts);
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
fn numerators(shares: &[Share]) -> Option<Vec<Amount>> {
    let mut numerators = Vec::with_capacity(shares.len());
    let (mut sum, mut whole) = (0_u128, None);
    for share in shares {
        let (num, den) = share.narrow()?;
        if *whole.get_or_insert(den) != den {
            return None;
        }
        sum = sum.checked_add(num)?;
        numerators.push(Amount::from_parts(i128::try_from(num).ok()?, 0)?);
    }
    (Some(sum) == whole).then_some(numerators)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::money::{ExactSum, Share};

    fn amounts(texts: &[&str]) -> Vec<Amount> {
        texts.iter().map(|text| Amount::parse(text).unwrap()).collect()
    }

    fn split(number: &str, own: &[(&str, &[&str])], shares: &[&str]) -> Vec<Amount> {
        let own: Vec<_> = own.iter().map(|(n, p)| (amounts(&[n])[0], amounts(p))).collect();
        let shares: Vec<Share> = shares.iter().map(|share| share.parse().unwrap()).collect();
        let number = amounts(&[number])[0];
        let parts = Parts::default().split(number, &own, &shares).to_vec();
        assert_eq!(parts.iter().copied().collect::<ExactSum>(), number.into());
        parts
    }

    #[test]
    fn parts_follow_the_line_and_add_up() {
        let own = [("0", &["0", "0"][..]), ("5", &["3", "2"]), ("-4", &["-1", "-3"])];
        assert_eq!(split("9.5", &own, &["1/1"]), amounts(&["9.5"]));
        let as_own = split("-4.00", &own, &["1/3", "2/3"]);
        assert_eq!(as_own, amounts(&["-1", "-3"]), "a number of the line");
        let by_shares = amounts(&["-3.3333333333", "-6.6666666667"]);
        assert_eq!(split("-10", &own, &["1/3", "2/3"]), by_shares);
        // Shares of two parts of a composition do not tell how large these are.
        for shares in [["1/1", "1/1"], ["1/3", "1/2"]] {
            assert_eq!(split("-10", &own, &shares), amounts(&["-6", "-4"]));
            assert_eq!(split("1", &own[..1], &shares), amounts(&["0.5", "0.5"]));
        }
        let wide = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let wide = format!("{wide}/{wide}");
        assert_eq!(split("1", &own, &[&wide, "0/1"]), amounts(&["0.6", "0.4"]));
    }
}

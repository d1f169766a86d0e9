//! The money of a line, of a part of it, or of a row; its exact split; and the proof that nothing is lost.

use proto::line::{LineId, Lines, Measure};
use proto::money::{Amount, ExactSum, Shares, Splitter};

use super::error::UnitError;

/// All that is split of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineMoney {
    /// Of the measure that `cost` names.
    pub amount: Amount,
    /// In the order of [`Measure::ALL`]; `None` equals `amount`.
    pub measures: [Option<Amount>; 4],
    /// Pricing and consumed quantity.
    pub quantities: [Option<Amount>; 2],
}

impl LineMoney {
    /// Of a line of a batch.
    pub fn of(lines: &Lines, line: usize) -> Self {
        let amount = lines.amount[line];
        Self {
            amount,
            measures: [0, 1, 2, 3].map(|m| lines.measure(m, line).filter(|value| *value != amount)),
            quantities: [0, 1].map(|q| lines.quantity(q, line)),
        }
    }

    fn get(&self, which: usize) -> Option<Amount> {
        match which {
            0 => Some(self.amount),
            1..=4 => self.measures[which - 1],
            _ => self.quantities[which - 5],
        }
    }

    fn with_resolved_measures(&self, which: usize) -> Option<Amount> {
        if (1..=4).contains(&which) {
            self.get(which).or(Some(self.amount))
        } else {
            self.get(which)
        }
    }
}

/// Names of what is split, in the order of [`LineMoney::get`].
const NAMES: [&str; 7] = [
    "amount",
    "billed cost",
    "effective cost",
    "contracted cost",
    "list cost",
    "pricing quantity",
    "consumed quantity",
];
const _: () = assert!(NAMES.len() == 1 + Measure::ALL.len() + 2);

/// Scratch space of splits.
#[derive(Debug, Default)]
pub struct MoneySplitter {
    splitter: Splitter,
    parts: Vec<Amount>,
}

impl MoneySplitter {
    /// Splits everything in `money` by the same shares; appends one part per party, in their order.
    pub fn split<K>(&mut self, money: &LineMoney, shares: &Shares<K>, out: &mut Vec<LineMoney>) {
        if shares.len() == 1 {
            return out.push(*money);
        }
        let start = out.len();
        let nothing =
            LineMoney { amount: Amount::ZERO, measures: [None; 4], quantities: [None; 2] };
        out.resize(start + shares.len(), nothing);
        for which in 0..NAMES.len() {
            let Some(amount) = money.get(which) else { continue };
            shares.split(amount, &mut self.splitter, &mut self.parts);
            for (money, part) in out[start..].iter_mut().zip(&self.parts) {
                match which {
                    0 => money.amount = *part,
                    1..=4 => money.measures[which - 1] = (*part != money.amount).then_some(*part),
                    _ => money.quantities[which - 5] = Some(*part),
                }
            }
        }
    }
}

/// Checks that parts add up to their line: amount, every measure, every quantity. In release too.
///
/// # Errors
/// When they do not: a defect of ours.
pub fn conserve<'m>(
    line: LineId,
    whole: &LineMoney,
    parts: impl Iterator<Item = &'m LineMoney> + Clone,
) -> Result<(), UnitError> {
    for (which, what) in NAMES.into_iter().enumerate() {
        // Measures that equal the amount everywhere are proved with it.
        if whole.get(which).is_none() && parts.clone().all(|part| part.get(which).is_none()) {
            continue;
        }
        let expected = whole.with_resolved_measures(which).unwrap_or(Amount::ZERO);
        let mut rest = ExactSum::from(expected);
        for part in parts.clone() {
            rest.sub(part.with_resolved_measures(which).unwrap_or(Amount::ZERO));
        }
        if !rest.is_zero() {
            return Err(UnitError::Conservation { line, what, difference: rest });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::parse(text).unwrap()
    }

    fn money(texts: [&str; 7]) -> LineMoney {
        let get = |i: usize| (texts[i] != "-").then(|| amount(texts[i]));
        LineMoney {
            amount: amount(texts[0]),
            measures: [get(1), get(2), get(3), get(4)],
            quantities: [get(5), get(6)],
        }
    }

    #[test]
    fn everything_is_split_by_the_same_shares() {
        let whole = money(["-10", "0", "-", "1e-28", "-", "7", "-"]);
        let shares = Shares::new([("a", amount("1")), ("b", amount("2"))]).unwrap();
        let mut parts = Vec::new();
        MoneySplitter::default().split(&whole, &shares, &mut parts);
        assert_eq!(
            parts,
            [
                money(["-3.3333333333", "0", "-", "0", "-", "2.3333333333", "-"]),
                money(["-6.6666666667", "0", "-", "1e-28", "-", "4.6666666667", "-"]),
            ]
        );
        conserve(LineId::default(), &whole, parts.iter()).unwrap();
    }

    #[test]
    fn a_lost_part_is_found() {
        let whole = money(["10", "-", "-", "-", "3", "1", "-"]);
        for (parts, what) in [
            (
                [
                    money(["5", "-", "-", "-", "3", "1", "-"]),
                    money(["4", "-", "-", "-", "0", "-", "-"]),
                ],
                "amount",
            ),
            (
                [
                    money(["5", "-", "-", "-", "3", "1", "-"]),
                    money(["5", "-", "-", "-", "-", "-", "-"]),
                ],
                "list cost",
            ),
            (
                [
                    money(["5", "1", "-", "-", "3", "1", "-"]),
                    money(["5", "-", "-", "-", "0", "-", "-"]),
                ],
                "billed cost",
            ),
            (
                [
                    money(["5", "-", "-", "-", "3", "2", "-"]),
                    money(["5", "-", "-", "-", "0", "-", "-"]),
                ],
                "pricing quantity",
            ),
            (
                [
                    money(["5", "-", "-", "-", "3", "1", "-"]),
                    money(["5", "-", "-", "-", "0", "-", "1"]),
                ],
                "consumed quantity",
            ),
        ] {
            let error = conserve(LineId::default(), &whole, parts.iter()).unwrap_err().to_string();
            assert!(error.contains(&format!("miss its {what} by")), "{error}");
        }
    }
}

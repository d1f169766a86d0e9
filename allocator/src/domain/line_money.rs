//! The money of a line, of a part of it, or of a row; its exact split; and the proof that nothing is lost.

use proto::line::{LineId, Lines, Measure};
use proto::money::{Amount, ExactSum, Shares, Splitter, rest};
use proto::row::{OTHERS, PartsMoney};

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

    /// Of one of some parts.
    pub fn of_part(parts: &PartsMoney, part: usize) -> Self {
        Self {
            amount: parts.amounts[part],
            measures: [0, 1, 2, 3].map(|which| parts.other(which, part)),
            quantities: [4, 5].map(|which| parts.other(which, part)),
        }
    }

    /// Beside the amount, as columns of parts have it.
    pub fn others(&self) -> [Option<Amount>; OTHERS] {
        let [billed, effective, contracted, list] = self.measures;
        let [priced, consumed] = self.quantities;
        [billed, effective, contracted, list, priced, consumed]
    }
}

/// Of the columns beside the amount, those that equal it where they are null.
const MEASURES: usize = Measure::ALL.len();

/// Names of what is split: the amount, then the columns beside it.
const NAMES: [&str; 7] = [
    "amount",
    "billed cost",
    "effective cost",
    "contracted cost",
    "list cost",
    "pricing quantity",
    "consumed quantity",
];
const _: () = assert!(NAMES.len() == 1 + OTHERS);

/// Scratch space of splits.
#[derive(Debug, Default)]
pub struct MoneySplitter {
    splitter: Splitter,
    parts: Vec<Amount>,
}

impl MoneySplitter {
    /// Splits everything in `money` by the same shares: one part per party, in their order, instead of what `out` held.
    pub fn split<K>(&mut self, money: &LineMoney, shares: &Shares<K>, out: &mut PartsMoney) {
        out.clear();
        if shares.len() == 1 {
            return out.push(money.amount, money.others());
        }
        shares.split(money.amount, &mut self.splitter, &mut out.amounts);
        for (which, whole) in money.others().into_iter().enumerate() {
            let Some(whole) = whole else { continue };
            shares.split(whole, &mut self.splitter, &mut self.parts);
            let differs = |(part, amount): (&Amount, &Amount)| {
                (which >= MEASURES || part != amount).then_some(*part)
            };
            out.others[which].extend(self.parts.iter().zip(&out.amounts).map(differs));
        }
    }
}

/// Checks that parts add up to their line: amount, every measure, every quantity. In release too.
///
/// # Errors
/// When they do not: a defect of ours.
pub fn conserve(line: LineId, whole: &LineMoney, parts: &PartsMoney) -> Result<(), UnitError> {
    let lost = |what, rest: ExactSum| {
        let difference = UnitError::Conservation { line, what, difference: rest };
        if rest.is_zero() { Ok(()) } else { Err(difference) }
    };
    lost(NAMES[0], rest(whole.amount, parts.amounts.iter().copied()))?;
    for (which, other) in whole.others().into_iter().enumerate() {
        let column = &parts.others[which];
        // Measures that equal the amount everywhere are proved with it.
        if other.is_none() && column.iter().all(Option::is_none) {
            continue;
        }
        let where_null = |amount: Amount| if which < MEASURES { amount } else { Amount::ZERO };
        let expected = other.unwrap_or(where_null(whole.amount));
        let each = |part| parts.other(which, part).unwrap_or(where_null(parts.amounts[part]));
        lost(NAMES[1 + which], rest(expected, (0..parts.len()).map(each)))?;
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
        let mut parts = PartsMoney::default();
        MoneySplitter::default().split(&whole, &shares, &mut parts);
        let found: Vec<_> = (0..parts.len()).map(|part| LineMoney::of_part(&parts, part)).collect();
        assert_eq!(
            found,
            [
                money(["-3.3333333333", "0", "-", "0", "-", "2.3333333333", "-"]),
                money(["-6.6666666667", "0", "-", "1e-28", "-", "4.6666666667", "-"]),
            ]
        );
        conserve(LineId::default(), &whole, &parts).unwrap();
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
            let mut columns = PartsMoney::default();
            parts.iter().for_each(|part| columns.push(part.amount, part.others()));
            let error = conserve(LineId::default(), &whole, &columns).unwrap_err().to_string();
            assert!(error.contains(&format!("miss its {what} by")), "{error}");
        }
    }
}

use proptest::prelude::*;

use super::oracle::{self, amounts, config, parties, rational};
use crate::money::{Amount, ExactSum, Shares, Splitter};

fn split(amount: Amount, parties: &[(String, Amount)]) -> Vec<(String, Amount)> {
    let shares = Shares::new(parties.iter().cloned()).unwrap();
    let mut parts = Vec::new();
    shares.split(amount, &mut Splitter::default(), &mut parts);
    shares.ids().iter().cloned().zip(parts).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn parts_add_up_exactly(amount in amounts(), parties in parties()) {
        let parts = split(amount, &parties);
        let sum: ExactSum = parts.iter().map(|(_, part)| *part).collect();
        prop_assert_eq!(sum, ExactSum::from(amount));
        prop_assert!(parts.iter().all(|(_, part)| part.is_zero() || part.is_negative() == amount.is_negative()));
    }

    #[test]
    fn equals_the_rational_oracle(amount in amounts(), parties in parties()) {
        let parts = split(amount, &parties);
        let expected = oracle::split(amount, &parties);
        prop_assert_eq!(parts.len(), expected.len());
        for ((id, part), (expected_id, expected)) in parts.into_iter().zip(expected) {
            prop_assert_eq!(&id, &expected_id);
            prop_assert_eq!(rational(part), expected, "{}", id);
        }
    }

    #[test]
    fn even_equals_equal_weights(amount in amounts(), parties in parties(), weight in 1u64..) {
        let mut ids: Vec<String> = parties.into_iter().map(|(id, _)| id).collect();
        let even = Shares::even(ids.iter().cloned()).unwrap();
        ids.sort();
        ids.dedup();
        let equal: Vec<(String, Amount)> = ids.iter().map(|id| (id.clone(), Amount::from(weight))).collect();
        let mut parts = Vec::new();
        even.split(amount, &mut Splitter::default(), &mut parts);
        prop_assert_eq!(ids.into_iter().zip(parts).collect::<Vec<_>>(), split(amount, &equal));
    }

    #[test]
    fn order_and_sign_do_not_matter(
        amount in amounts(),
        (parties, shuffled) in parties().prop_flat_map(|parties| (Just(parties.clone()), Just(parties).prop_shuffle())),
    ) {
        let parts = split(amount, &parties);
        prop_assert_eq!(&split(amount, &shuffled), &parts);
        let mirrored: Vec<(String, Amount)> =
            split(amount.negated(), &parties).into_iter().map(|(id, part)| (id, part.negated())).collect();
        prop_assert_eq!(&mirrored, &parts);
    }

    #[test]
    fn sums_share_as_their_terms_do(amount in amounts(), parties in parties()) {
        // Weights of equal ids are added, so each sum stands for all terms of an id.
        let mut sums = std::collections::BTreeMap::<&str, ExactSum>::new();
        parties.iter().for_each(|(id, weight)| sums.entry(id).or_default().add(*weight));
        let sums = Shares::of_sums(sums.into_iter().map(|(id, sum)| (id.to_owned(), sum))).unwrap();
        let terms = Shares::new(parties.iter().cloned()).unwrap();
        prop_assert_eq!(sums.to_string(), terms.to_string());
        let (mut of_sums, mut of_terms) = (Vec::new(), Vec::new());
        sums.split(amount, &mut Splitter::default(), &mut of_sums);
        terms.split(amount, &mut Splitter::default(), &mut of_terms);
        prop_assert_eq!(of_sums, of_terms);
    }

    #[test]
    fn shares_are_the_weights(parties in parties()) {
        let shares = Shares::new(parties.iter().cloned()).unwrap();
        let (mut nums, mut weight) = (num_bigint::BigInt::ZERO, std::collections::BTreeMap::new());
        for (id, part) in &parties {
            *weight.entry(id.as_str()).or_insert_with(ExactSum::default) = {
                let mut sum = weight.get(id.as_str()).copied().unwrap_or_default();
                sum.add(*part);
                sum
            };
        }
        let big = |text: String| text.replace('.', "").parse::<num_bigint::BigInt>().unwrap();
        let fine = |sum: &ExactSum| {
            let text = sum.to_string();
            let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            big(text) * oracle::ten_to(28 - u32::try_from(decimals).unwrap())
        };
        let total: num_bigint::BigInt = weight.values().map(fine).sum();
        let mut den = num_bigint::BigInt::ZERO;
        for (id, share) in shares.iter() {
            den = big(share.den().to_string());
            let num = big(share.num().to_string());
            prop_assert_eq!(&num * &total, &den * fine(&weight[id.as_str()]), "{}", id);
            nums += num;
        }
        prop_assert_eq!(nums, den);
    }
}

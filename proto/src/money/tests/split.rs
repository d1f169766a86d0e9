use crate::money::{Amount, ExactSum, Shares, Splitter};

fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn shares(list: &[(&'static str, &str)]) -> Shares<&'static str> {
    Shares::new(list.iter().map(|(id, weight)| (*id, amount(weight)))).unwrap()
}

fn split<K>(shares: &Shares<K>, whole: &str) -> Vec<String> {
    let mut parts = Vec::new();
    shares.split(amount(whole), &mut Splitter::default(), &mut parts);
    parts.iter().map(Amount::to_string).collect()
}

#[test]
fn the_last_unit_goes_to_the_first_id() {
    let even = Shares::even(["b", "a", "c"]).unwrap();
    assert_eq!(split(&even, "10"), ["3.3333333334", "3.3333333333", "3.3333333333"]);
    assert_eq!(split(&even, "20"), ["6.6666666667", "6.6666666667", "6.6666666666"]);
    assert_eq!(split(&even, "-20"), ["-6.6666666667", "-6.6666666667", "-6.6666666666"]);
    assert_eq!(split(&even, "9"), ["3", "3", "3"]);
    assert_eq!(split(&even, "0"), ["0", "0", "0"]);
}

#[test]
fn the_largest_remainder_comes_before_the_first_id() {
    // Units 10^10: 1428571428.57, 2857142857.14, 5714285714.29: the one left over goes to a.
    assert_eq!(
        split(&shares(&[("a", "1"), ("b", "2"), ("c", "4")]), "1"),
        ["0.1428571429", "0.2857142857", "0.5714285714"]
    );
    assert_eq!(
        split(&shares(&[("a", "4"), ("b", "2"), ("c", "1")]), "1"),
        ["0.5714285714", "0.2857142857", "0.1428571429"]
    );
    assert_eq!(split(&shares(&[("a", "0"), ("b", "1"), ("c", "0")]), "-1.5"), ["0", "-1.5", "0"]);
}

#[test]
fn the_scale_is_ten_or_that_of_the_amount_or_what_fits() {
    let two = Shares::even(["a", "b"]).unwrap();
    assert_eq!(split(&two, "0.0000000001"), ["0.0000000001", "0"]);
    assert_eq!(split(&two, "0.00000000011"), ["0.00000000006", "0.00000000005"]);
    assert_eq!(split(&two, "1e-28"), ["0.0000000000000000000000000001", "0"]);
    // No decimal fits beside 29 digits, one beside 28.
    assert_eq!(
        split(&two, "79228162514264337593543950335"),
        ["39614081257132168796771975168", "39614081257132168796771975167"]
    );
    assert_eq!(
        split(&two, "7922816251426433759354395033"),
        ["3961408125713216879677197516.5", "3961408125713216879677197516.5"]
    );
    assert_eq!(
        split(&two, "7922816251426433759354395035"),
        ["3961408125713216879677197518", "3961408125713216879677197517"]
    );
}

/// Each way of calculating: 64 bits, 128 bits, 512 bits for the product only, 512 bits for the weights.
#[test]
fn every_width_gives_the_same_kind_of_result() {
    let narrow = shares(&[("a", "1"), ("b", "2")]);
    assert_eq!(split(&narrow, "1"), ["0.3333333333", "0.6666666667"]);
    let middle = shares(&[("a", "33333333333333333333333"), ("b", "66666666666666666666667")]);
    assert_eq!(
        middle.share(1).narrow(),
        Some((66_666_666_666_666_666_666_667, 100_000_000_000_000_000_000_000))
    );
    assert_eq!(split(&middle, "1"), ["0.3333333333", "0.6666666667"]);
    assert_eq!(
        split(&middle, "1000000000000"),
        ["333333333333.3333333333", "666666666666.6666666667"]
    );
    let wide = shares(&[
        ("a", "2640938750475477919784798344.5"),
        ("b", "5281877500950955839569596689.1"),
        ("c", "1e-28"),
    ]);
    assert_eq!(wide.share(0).narrow(), None);
    assert_eq!(split(&wide, "1"), ["0.3333333333", "0.6666666667", "0"]);
    assert_eq!(split(&wide, "-1"), ["-0.3333333333", "-0.6666666667", "0"]);
}

#[test]
fn percentages_of_a_composition() {
    let parts = shares(&[("compute", "70"), ("network", "20"), ("storage", "10")]);
    assert_eq!(split(&parts, "12.34"), ["8.638", "2.468", "1.234"]);
}

#[test]
fn many_parties() {
    let ids: Vec<String> = (0..5_000).map(|i| format!("id-{i}")).collect();
    let weighted = Shares::new(
        ids.iter().enumerate().map(|(i, id)| (id, Amount::from(i as u64 * 7919 % 1009))),
    )
    .unwrap();
    let even = Shares::even(&ids).unwrap();
    let (mut splitter, mut parts) = (Splitter::default(), Vec::new());
    for shares in [&weighted, &even] {
        for whole in ["0.01", "123456.789", "-79228162514264337593543950335"] {
            shares.split(amount(whole), &mut splitter, &mut parts);
            assert_eq!(parts.len(), ids.len());
            assert_eq!(
                parts.iter().copied().collect::<ExactSum>().to_amount(),
                Some(amount(whole))
            );
        }
    }
}

#[test]
fn a_splitter_holds_nothing_between_calls() {
    let (many, few) =
        (shares(&[("a", "1"), ("b", "2"), ("c", "4")]), shares(&[("x", "1"), ("y", "3")]));
    let (mut splitter, mut parts) = (Splitter::default(), vec![Amount::ONE; 9]);
    many.split(amount("1"), &mut splitter, &mut parts);
    few.split(amount("1"), &mut splitter, &mut parts);
    assert_eq!(parts, [amount("0.25"), amount("0.75")]);
}

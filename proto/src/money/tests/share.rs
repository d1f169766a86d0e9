use crate::money::{Amount, ExactSum, Share, Shares, SharesError, Wide};

fn weights(list: &[(&'static str, &str)]) -> Vec<(&'static str, Amount)> {
    list.iter().map(|(id, weight)| (*id, Amount::parse(weight).unwrap())).collect()
}

fn shown(list: &[(&'static str, &str)]) -> String {
    Shares::new(weights(list)).unwrap().to_string()
}

#[test]
fn shares_are_reduced_sorted_and_merged() {
    assert_eq!(shown(&[("b", "2"), ("a", "4")]), "a 2/3, b 1/3");
    assert_eq!(shown(&[("b", "0.25"), ("a", "0.5"), ("b", "0.25")]), "a 1/2, b 1/2");
    assert_eq!(shown(&[("a", "33.3"), ("b", "66.7")]), "a 333/1000, b 667/1000");
    assert_eq!(shown(&[("a", "7")]), "a 1/1");
    assert_eq!(shown(&[("a", "0"), ("b", "3")]), "a 0/1, b 1/1");
    // Bytewise: capitals before small letters, those before other alphabets.
    assert_eq!(shown(&[("é", "1"), ("a", "1"), ("Z", "2")]), "Z 2/4, a 1/4, é 1/4");
}

#[test]
fn even_shares_count_each_party_once() {
    let shares = Shares::even(["b", "a", "b", "c"]).unwrap();
    assert_eq!(
        (shares.len(), shares.ids(), shares.to_string()),
        (3, &["a", "b", "c"][..], "a 1/3, b 1/3, c 1/3".into())
    );
    assert_eq!(Shares::<&str>::even([]).unwrap_err().to_string(), "nobody to share with");
}

#[test]
fn weights_beyond_128_bits() {
    let shares =
        Shares::new(weights(&[("a", "79228162514264337593543950335"), ("b", "1e-28")])).unwrap();
    let den = "792281625142643375935439503350000000000000000000000000001";
    assert_eq!(shares.share(1).to_string(), format!("1/{den}"));
    assert_eq!((shares.share(1).narrow(), shares.share(0).narrow()), (None, None));
    // Reduced, wide weights are small again.
    assert_eq!(
        shown(&[
            ("a", "79228162514264337593543950335"),
            ("b", "158456325028528675187087900670e-1"),
            ("c", "0e-28")
        ]),
        "a 5/6, b 1/6, c 0/6"
    );
    // The weights alone do not fit 128 bits at their common scale; one tiny weight of 0 share apart they are even.
    assert_eq!(
        shown(&[("a", "5e28"), ("b", "5e28"), ("a", "1e-20"), ("b", "1e-20")]),
        "a 1/2, b 1/2"
    );
}

#[test]
fn sums_of_more_digits_than_an_amount_holds() {
    let sums = |list: [(&'static str, &str); 2]| {
        Shares::of_sums(list.map(|(id, sum)| (id, ExactSum::parse(sum).unwrap())))
    };
    let shares = sums([("b", "90071992547409.9300000000000000000000000001"), ("a", "1")]).unwrap();
    let den = "900719925474109300000000000000000000000001";
    assert_eq!(
        shares.to_string(),
        format!(
            "a 10000000000000000000000000000/{den}, b {}/{den}",
            "900719925474099300000000000000000000000001"
        )
    );
    let refused = sums([("b", "-90071992547409.9300000000000000000000000001"), ("a", "1")]);
    let words = "weight -90071992547409.9300000000000000000000000001 of `b` is negative: weights must be 0 or more";
    assert_eq!(refused.unwrap_err().to_string(), words);
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let refused = |list: &[(&'static str, &str)]| Shares::new(weights(list)).unwrap_err();
    assert_eq!(refused(&[]), SharesError::NoParties);
    assert_eq!(refused(&[("a", "0"), ("b", "0.00")]).to_string(), "all weights are 0");
    let negative = refused(&[("c", "-1"), ("b", "-2"), ("a", "9")]);
    assert_eq!(negative.to_string(), "weight -2 of `b` is negative: weights must be 0 or more");
    assert_eq!(refused(&[("b", "-2"), ("a", "9"), ("c", "-1")]), negative);
}

#[test]
fn share_has_a_text_form() {
    let wide = format!("1/{}", Wide::MAX);
    for text in ["1/1", "0/3", "2/3", &wide] {
        let share: Share = text.parse().unwrap();
        assert_eq!((share.to_string().as_str(), format!("{share:?}").as_str()), (text, text));
        let json = serde_json::to_string(&share).unwrap();
        assert_eq!(
            (json.as_str(), serde_json::from_str::<Share>(&json).unwrap()),
            (format!("\"{text}\"").as_str(), share)
        );
        assert_eq!(
            rmp_serde::from_slice::<Share>(&rmp_serde::to_vec_named(&share).unwrap()).unwrap(),
            share
        );
        assert_eq!(Share::new(share.num(), share.den()), Some(share));
    }
    assert_eq!("1/1".parse(), Ok(Share::ONE));
    assert_eq!(Share::from_texts("2", "3").unwrap().narrow(), Some((2, 3)));
    assert_eq!(Share::from_narrow(2, 3), "2/3".parse().ok());
    assert_eq!((Share::from_narrow(3, 2), Share::from_narrow(0, 0)), (None, None));
    let beyond = format!("1/{}0", Wide::MAX);
    for text in ["", "1", "1/", "/1", "0/0", "3/2", "-1/2", "+1/2", "1/2/3", "1 /2", "a/b", &beyond]
    {
        assert_eq!(
            text.parse::<Share>().unwrap_err().to_string(),
            format!(
                "`{text}` is not a share: write NUMERATOR/DENOMINATOR in decimal digits, at most 1, below 2^256"
            )
        );
    }
}

use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::Amount;

use super::model::{Money, Source, Summary};
use super::text;
use super::trouble::Trouble;

fn sums(amount: &str, billed: &str) -> Sums {
    let amount = Amount::parse(amount).unwrap();
    let mut sums = Sums::default();
    sums.add(amount, &[Some(Amount::parse(billed).unwrap()), None, None, None]);
    sums
}

/// 10 received, 7 paid, 3 not; 0.50 more came and was quarantined.
fn balanced() -> Summary {
    let money = Money {
        received: sums("10.00", "0"),
        quarantined: "0.50".parse().unwrap(),
        stored: sums("10", "0"),
        allocated: sums("7.25", "0"),
        unallocated: [("untagged", "1.75"), ("unknown_owner", "1")]
            .map(|(reason, amount)| (reason.to_owned(), sums(amount, "0")))
            .into(),
    };
    let source = Source {
        cost: Some(Measure::Effective),
        dates: 2,
        lines: 3,
        rows: 4,
        quarantined: 1,
        money: [("USD".to_owned(), money)].into(),
        warnings: vec![("Tags are no JSON".to_owned(), 12)],
    };
    let empty = Source::default();
    Summary {
        units: 2,
        failed: 0,
        seconds: 5,
        sources: [
            (("acme".to_owned(), "aws".to_owned()), source),
            (("acme".to_owned(), "new".to_owned()), empty),
        ]
        .into(),
    }
}

#[test]
fn the_document_has_exactly_this_shape() {
    let json = serde_json::to_string(&balanced().document()).unwrap();
    let wanted = concat!(
        r#"{"units":2,"failed":0,"tenants":[{"tenant":"acme","source":"aws","dates":2,"lines":3,"rows":4,"#,
        r#""quarantined":1,"totals":{"USD":{"received":"10.5","amount":"10","allocated":"7.25","unallocated":"2.75","#,
        r#""quarantined":"0.5","difference":"0","measures":{"billed":"0","effective":"10","contracted":"10","#,
        r#""list":"10"}}}},{"tenant":"acme","source":"new","dates":0,"lines":0,"rows":0,"quarantined":0,"totals":{}}]}"#,
    );
    assert_eq!(json, wanted);
}

#[test]
fn what_is_missing_is_found_in_every_measure_and_fails_the_run() {
    let mut summary = balanced();
    assert_eq!(summary.gaps(), []);
    assert_eq!(summary.exit_code(0, false, true), 0);
    assert_eq!(summary.exit_code(0, false, false), 1, "a quarantined record that nobody accepted");
    assert_eq!(summary.exit_code(1, false, true), 1, "the run itself failed");
    assert_eq!(summary.exit_code(0, true, true), 1, "something is missing");
    let money = summary.sources.values_mut().next().unwrap().money.get_mut("USD").unwrap();
    money.allocated = sums("7.2499999999", "0.01");
    let gaps: Vec<String> = summary
        .gaps()
        .iter()
        .map(|(place, gap)| format!("{place} {} {}", gap.what, gap.difference))
        .collect();
    let wanted = [
        "acme/aws USD amount 0.0000000001",
        "acme/aws USD billed -0.01",
        "acme/aws USD effective 0.0000000001",
        "acme/aws USD contracted 0.0000000001",
        "acme/aws USD list 0.0000000001",
    ];
    assert_eq!(gaps, wanted);
    assert_eq!(summary.exit_code(0, false, true), 1);
    let money = summary.sources.values_mut().next().unwrap().money.get_mut("USD").unwrap();
    money.allocated = sums("7.25", "0");
    money.stored = sums("9", "0");
    assert_eq!(summary.gaps()[0].1.what, "effective of the stored lines");
}

#[test]
fn people_read_tables_reasons_warnings_and_the_proof() {
    let text = text::summary(&balanced());
    let wanted = "2 units calculated, 0 failed, 5 s

tenant  source  dates  lines  rows  quarantined
acme    aws         2      3     4            1
acme    new         0      0     0            0

tenant  source  currency  measure           received  stored  allocated  unallocated  quarantined  difference
acme    aws     USD       effective (cost)      10.5      10       7.25         2.75          0.5           0
acme    aws     USD       billed                   0       0          0            0            0           0
acme    aws     USD       contracted              10      10       7.25         2.75            0           0
acme    aws     USD       list                    10      10       7.25         2.75            0           0

tenant  source  currency  unallocated because  amount
acme    aws     USD       unknown_owner             1
acme    aws     USD       untagged               1.75

warnings:
  acme/aws: Tags are no JSON (12 times)

proof: received − quarantined = allocated + unallocated for every tenant, source, currency and measure: difference 0
";
    assert_eq!(text, wanted);
}

#[test]
fn troubles_say_what_where_and_how_to_mend_it() {
    let list = vec!["acme/aws bills/x.csv:3:BilledCost: bad number: write 12.5 [12,5]".to_owned()];
    let what = "records are quarantined";
    let trouble = Trouble { what, missing: false, count: 4, list, mend: "mend the lines" };
    let wanted = "
records are quarantined (4):
  acme/aws bills/x.csv:3:BilledCost: bad number: write 12.5 [12,5]
  and 3 more
  to mend: mend the lines
";
    assert_eq!(text::troubles(&[trouble]), wanted);
    assert_eq!(text::troubles(&[]), "");
}

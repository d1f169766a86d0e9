//! Records that cannot be understood: quarantined with file, line, column and reason, while the rest goes on.

use proto::line::Measure;
use proto::time::UnitDate;
use tests::output::csv_sums;
use tests::stand::Stand;
use tests::world::{self, Line};

use crate::{assert_says, of};

const DIGITS: &str = "1234567890123456789012345678901234567890";
const BOUNDS: &str = "has more digits than can be held exactly: write at most 28 decimals, and no more than \
                      79228162514264337593543950335 without the point";

/// What is wrong with a line: column, cell, and what is said of it.
fn mistakes() -> Vec<(&'static str, String, String)> {
    let fraction = format!("0.{DIGITS}");
    let too_many = |cell: &str| format!("too many digits: `{cell}` {BOUNDS}");
    let mistake = |column, cell: &str, said: &str| (column, cell.to_owned(), said.to_owned());
    vec![
        mistake("BilledCost", "12,5", "bad number: decimal comma in `12,5`: write 12.5"),
        mistake("BilledCost", "1e400", &too_many("1e400")),
        mistake("BilledCost", DIGITS, &too_many(DIGITS)),
        mistake("BilledCost", &fraction, &too_many(&fraction)),
        mistake("BilledCost", " ", "no cost: write a number such as 12.5, or 0"),
        mistake("ChargePeriodStart", "2024-13-01", "bad date: write YYYY-MM-DDTHH:MM:SSZ"),
        mistake(
            "BillingCurrency",
            "dollars",
            "unknown currency code: write an ISO 4217 code, three upper-case letters such as USD",
        ),
    ]
}

#[test]
fn what_cannot_be_understood_is_set_aside_and_the_rest_goes_on() {
    let date: UnitDate = "2024-09-03".parse().unwrap();
    let line = |cost: &str| Line::new(date, "USD", cost).team("search");
    let good = [line("0.5"), line("-2.25")];
    let bad: Vec<Line> =
        mistakes().iter().map(|(column, cell, _)| line("7.25").set(column, cell)).collect();
    let stand = Stand::new("records");
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Billed));
    stand.write("bill.csv", world::csv(good[..1].iter().chain(&bad).chain(&good[1..])));
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["failed"]), (1, &0.into()), "{}", run.said);
    assert_eq!(run.summary["units"], 1, "{}", run.summary);
    let found = of(&run, "acme", "cloud");
    assert_eq!((&found["lines"], &found["quarantined"]), (&2.into(), &bad.len().into()), "{found}");
    // Of the bad ones, one has an amount and a currency that can be read: that with the bad date.
    let money = &found["totals"]["USD"];
    assert_eq!((&money["received"], &money["quarantined"]), (&"5.5".into(), &"7.25".into()));
    assert_eq!((&money["amount"], &money["difference"]), (&"-1.75".into(), &"0".into()));
    let csv = csv_sums(&stand.csv()).unwrap();
    let emitted = &csv[&("acme".to_owned(), "cloud".to_owned(), "USD".to_owned())];
    assert_eq!(emitted.sums.amount.to_string(), "-1.75");

    assert_says(&run.said, &["records are quarantined and no part of what is visible (7):"]);
    for (number, (column, cell, said)) in mistakes().iter().enumerate() {
        let line = number + 3;
        assert_says(&run.said, &[&format!("acme/cloud bill.csv:{line}:{column}: {said} [{cell}]")]);
    }
    let mend = "to mend: mend the lines and run again, or accept them with --allow-quarantine";
    assert_says(&run.said, &[mend]);

    // Accepted, they are as visible as before, and no reason to fail.
    let accepted = stand.run_once(&["--allow-quarantine"]);
    assert_eq!((accepted.code, &accepted.summary["units"]), (0, &0.into()), "{}", accepted.said);
    assert_eq!(accepted.summary["tenants"], run.summary["tenants"]);

    // Mended, they count.
    stand.write("bill.csv", world::csv(good.iter().chain(&vec![line("7.25"); bad.len()])));
    let run = stand.run_once(&[]);
    assert_eq!((run.code, &run.summary["units"]), (0, &1.into()), "{}", run.said);
    let found = of(&run, "acme", "cloud");
    assert_eq!((&found["lines"], &found["quarantined"]), (&9.into(), &0.into()), "{found}");
    assert_eq!(found["totals"]["USD"]["amount"], "49", "{found}");
}

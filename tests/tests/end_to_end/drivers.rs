//! Ledger drivers: support by the spend of all sources, tax by that of its account, trued up as the month's bill changes.

use std::collections::BTreeMap;

use proto::money::{Amount, ExactSum};
use proto::time::UnitDate;
use tests::output::rows;
use tests::stand::{Finished, Stand};

use crate::{assert_done, day};

const TENANT: &str = "drivers:
  spend: { ledger: { sources: all, of: { ChargeCategory: Usage }, window: billing_period } }
sources:
  cloud: { kind: focus, files: [cloud.csv], owner: [tag.team] }
  other: { kind: focus, files: [other.csv], owner: [tag.team] }
allocation:
  - id: support
    match: { ServiceName: Support* }
    chain: [ { in_proportion_to_cost: { driver: spend } }, { unallocated: no_driver } ]
  - id: tax
    match: { ChargeCategory: Tax }
    chain: [ { in_proportion_to_cost: { sources: all, within: [BillingAccountId] } }, { unallocated: no_driver } ]
emitters:
  csv: { dir: out/csv }
";

pub const HEADER: &str = "ChargePeriodStart,ChargePeriodEnd,BillingPeriodStart,BillingPeriodEnd,BillingCurrency,BilledCost,EffectiveCost,ListCost,ContractedCost,ChargeCategory,ServiceName,BillingAccountId,Tags\n";

/// Charges of a month: by day, or of the month as a whole.
pub struct Month(pub UnitDate);

impl Month {
    pub fn line(&self, days: (i64, i64), cost: &str, cells: (&str, &str, &str, &str)) -> String {
        let at = |days: i64| self.0.plus_days(days).expect("it is there").start();
        let (category, service, account, team) = cells;
        let (first, after) = self.0.period().days();
        let tags = if team.is_empty() {
            String::new()
        } else {
            format!("\"{{\"\"team\"\":\"\"{team}\"\"}}\"")
        };
        format!(
            "{},{},{},{},USD,{cost},{cost},{cost},{cost},{category},{service},{account},{tags}\n",
            at(days.0),
            at(days.1),
            first.start(),
            after.start(),
        )
    }

    pub fn spend(&self, day: i64, cost: &str, account: &str, team: &str) -> String {
        self.line((day, day + 1), cost, ("Usage", "Compute", account, team))
    }

    /// A tax of the whole month, of an account.
    pub fn tax(&self, cost: &str, account: &str) -> String {
        let (_, after) = self.0.period().days();
        let days = after.epoch_days() - self.0.epoch_days();
        self.line((0, days), cost, ("Tax", "Sales tax", account, ""))
    }

    fn cloud(&self) -> String {
        [
            self.tax("10", "A"),
            self.tax("1", "B"),
            self.spend(0, "30", "A", "a"),
            self.spend(1, "10", "B", "b"),
            // Nobody's cost gives nobody weight.
            self.spend(1, "500", "A", ""),
            self.line((2, 3), "60", ("Purchase", "Support (Business)", "A", "")),
        ]
        .concat()
    }

    fn other(&self, of_b: &str) -> String {
        [self.spend(0, of_b, "A", "b"), self.spend(3, "7", "A", "c"), self.spend(3, "-9", "A", "c")]
            .concat()
    }
}

pub fn owners(stand: &Stand, rule: &str, month: &str) -> BTreeMap<String, String> {
    let mut sums: BTreeMap<String, ExactSum> = BTreeMap::new();
    for row in rows(&stand.csv()).expect("it is there") {
        if row["rule"] == rule && row["timestamp"].starts_with(month) {
            let amount = Amount::parse(&row["amount"]).expect("it is there");
            sums.entry(row["owner_id"].clone()).or_default().add(amount);
        }
    }
    sums.into_iter().map(|(owner, sum)| (owner, sum.to_string())).collect()
}

pub fn shares<const N: usize>(shares: [(&str, &str); N]) -> BTreeMap<String, String> {
    shares.map(|(owner, sum)| (owner.to_owned(), sum.to_owned())).into()
}

pub fn finality(stand: &Stand) -> BTreeMap<String, Vec<String>> {
    let found = stand.database(|client| {
        let sql = "select finality, source || ' ' || date from apportion.units order by 1, 2";
        let rows = client.query(sql, &[])?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(String, String)>>())
    });
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    found
        .expect("it is there")
        .into_iter()
        .for_each(|(finality, unit)| by.entry(finality).or_default().push(unit));
    by
}

/// Every generation that ever became visible held exactly its lines.
pub fn assert_conserved(stand: &Stand, finished: &Finished) {
    for tenant in finished.summary["tenants"].as_array().expect("it is there") {
        assert_eq!(tenant["totals"]["USD"]["difference"], "0", "{tenant}");
    }
    let unequal = stand.database(|client| {
        let sql = "select c.source, c.date::text, c.amounts::text, p.amounts::text
                   from apportion.commits c join apportion.commits p
                     on p.tenant = c.tenant and p.source = c.source and p.date = c.date and p.lines_hash = c.lines_hash
                   where c.amounts is distinct from p.amounts";
        Ok(client.query(sql, &[])?.len())
    });
    assert_eq!(unequal.expect("it is there"), 0);
}

#[test]
fn a_month_is_trued_up_and_only_what_shares_by_it_is_calculated_again() {
    let stand = Stand::new("drivers");
    let may = Month(day("2026-05-01"));
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("cloud.csv", format!("{HEADER}{}", may.cloud()));
    stand.write("other.csv", format!("{HEADER}{}", may.other("20")));
    let run = stand.run_once(&[]);
    // Three dates of the cloud, two of the other; then the date of the taxes and that of support.
    assert_done(&run, 7);
    assert_conserved(&stand, &run);
    // a 30, b 10 + 20; c's spend is negative in total and counts 0.
    assert_eq!(owners(&stand, "support", "2026-05"), shares([("a", "30"), ("b", "30")]));
    // In account A a 30 and b 20; in B b alone.
    assert_eq!(owners(&stand, "tax", "2026-05"), shares([("a", "6"), ("b", "5")]));
    assert_eq!(finality(&stand).keys().collect::<Vec<_>>(), ["final"]);
    let csv = tests::output::files(&stand.csv()).unwrap();

    // Nothing changed: nothing is calculated again.
    assert_done(&stand.run_once(&[]), 0);
    // Nor where a date changes in what does not count.
    let more = may.line((3, 4), "5", ("Purchase", "Licence", "A", "c"));
    stand.write("other.csv", format!("{HEADER}{}{more}", may.other("20")));
    assert_done(&stand.run_once(&[]), 1);
    let now = tests::output::files(&stand.csv()).unwrap();
    assert_eq!(csv.iter().filter(|(name, bytes)| now.get(*name) != Some(bytes)).count(), 1);

    // Spend that counts: its date, the taxes' and support's, and nothing else.
    stand.write("other.csv", format!("{HEADER}{}", may.other("50")));
    let run = stand.run_once(&[]);
    assert_done(&run, 4);
    assert_conserved(&stand, &run);
    assert_eq!(owners(&stand, "support", "2026-05"), shares([("a", "20"), ("b", "40")]));
    assert_eq!(owners(&stand, "tax", "2026-05"), shares([("a", "3.75"), ("b", "7.25")]));
    let (_, status) = stand.ask_json(&["status", "--json"]);
    let changes = status["changes"].as_array().expect("a list of changes");
    let of_drivers = changes.iter().filter(|change| change["cause"] == "drivers");
    assert!(of_drivers.clone().count() >= 2, "{changes:?}");
    assert!(of_drivers.clone().all(|change| change["difference"] == "0"), "{changes:?}");

    // Explained from what is stored, and just what is stored.
    let support =
        rows(&stand.csv()).unwrap().into_iter().find(|row| row["rule"] == "support").unwrap();
    let ask = [
        "explain",
        "--json",
        "--tenant",
        "acme",
        "--date",
        "2026-05-03",
        "--line",
        &support["line_id"],
    ];
    let (code, told) = stand.ask_json(&ask);
    assert_eq!((code, &told["stored"]["same"]), (0, &true.into()), "{told}");
}

#[test]
fn a_month_that_still_runs_is_provisional() {
    let stand = Stand::new("drivers-running");
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let today = proto::time::UtcSeconds(i64::try_from(seconds).unwrap()).date().unwrap();
    let (first, _) = today.period().days();
    let month = Month(first);
    stand.write("tenants/acme.yaml", TENANT);
    stand.write("cloud.csv", format!("{HEADER}{}", month.cloud()));
    stand.write("other.csv", format!("{HEADER}{}", month.other("20")));
    let run = stand.run_once(&[]);
    assert_done(&run, 7);
    assert_conserved(&stand, &run);
    let support = first.plus_days(2).unwrap();
    let provisional = [format!("cloud {first}"), format!("cloud {support}")];
    assert_eq!(finality(&stand)["provisional"], provisional);
}

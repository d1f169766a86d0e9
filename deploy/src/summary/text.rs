//! The summary for people. Pure.

use comfy_table::{CellAlignment, Table};
use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::ExactSum;
use rust_decimal::Decimal;

use super::model::{Money, Source, Summary};
use super::trouble::Trouble;
use crate::store::SourceKey;

/// An aligned table without lines; the first `texts` columns are text, the others numbers.
#[must_use]
pub fn table(header: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    rows.iter().for_each(|row| {
        table.add_row(row);
    });
    for at in 0..header.len() {
        if let Some(column) = table.column_mut(at) {
            let side = if at < texts { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(side);
            column.set_padding((0, 2));
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// How much of the whole a part is, in percent; `None` where that says nothing.
#[must_use]
pub fn share(part: &ExactSum, whole: &ExactSum) -> Option<Decimal> {
    let number = |sum: &ExactSum| sum.to_string().parse::<Decimal>().ok();
    number(part)?.checked_mul(Decimal::ONE_HUNDRED)?.checked_div(number(whole)?)
}

/// The same as text with two decimals; `-` where it says nothing.
#[must_use]
pub fn percent(part: &ExactSum, whole: &ExactSum) -> String {
    let share = share(part, whole);
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share.round_dp(2)))
}

/// The whole summary.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    let (units, failed, seconds) = (summary.units, summary.failed, summary.seconds);
    let mut text = format!("{units} units calculated, {failed} failed, {seconds} s\n\n");
    let sources: Vec<(&SourceKey, &Source)> = summary.sources.iter().collect();
    let counts: Vec<Vec<String>> = sources
        .iter()
        .map(|((tenant, source), found)| {
            let numbers = [found.dates, found.lines, found.rows, found.quarantined];
            [tenant.clone(), source.clone()]
                .into_iter()
                .chain(numbers.map(|n| n.to_string()))
                .collect()
        })
        .collect();
    let header = ["tenant", "source", "dates", "lines", "rows", "quarantined"];
    text.push_str(&table(&header, 2, &counts));
    let money: Vec<Vec<String>> = each_currency(&sources)
        .flat_map(|(key, source, code, money)| measures(key, source, code, money))
        .collect();
    if !money.is_empty() {
        let header = [
            "tenant",
            "source",
            "currency",
            "measure",
            "received",
            "stored",
            "allocated",
            "unallocated",
            "quarantined",
            "difference",
        ];
        text.push_str(&format!("\n{}", table(&header, 4, &money)));
    }
    let reasons: Vec<Vec<String>> = each_currency(&sources)
        .flat_map(|(key, _, code, money)| reasons(key, code, money))
        .collect();
    if !reasons.is_empty() {
        let header = ["tenant", "source", "currency", "unallocated because", "amount"];
        text.push_str(&format!("\n{}", table(&header, 4, &reasons)));
    }
    let warnings: Vec<String> = sources
        .iter()
        .flat_map(|((tenant, source), found)| {
            found
                .warnings
                .iter()
                .map(move |(text, count)| format!("  {tenant}/{source}: {text} ({count} times)\n"))
        })
        .collect();
    if !warnings.is_empty() {
        text.push_str(&format!("\nwarnings:\n{}", warnings.concat()));
    }
    if money.is_empty() {
        text.push_str("\nnothing is visible\n");
    } else if summary.gaps().is_empty() {
        text.push_str(
            "\nproof: received − quarantined = allocated + unallocated for every tenant, source, currency and measure: \
             difference 0\n",
        );
    }
    text
}

fn each_currency<'a>(
    sources: &'a [(&'a SourceKey, &'a Source)],
) -> impl Iterator<Item = (&'a SourceKey, &'a Source, &'a str, &'a Money)> {
    sources.iter().flat_map(|(key, source)| {
        source.money.iter().map(move |(code, money)| (*key, *source, code.as_str(), money))
    })
}

/// The amount first, under the name of the measure that it is; then the other measures.
fn measures(
    (tenant, source): &SourceKey,
    of: &Source,
    code: &str,
    money: &Money,
) -> Vec<Vec<String>> {
    let nobodys = money.nobodys();
    let row = |name: String, numbers: [&ExactSum; 6]| {
        let texts = [tenant.clone(), source.clone(), code.to_owned(), name];
        texts.into_iter().chain(numbers.map(ToString::to_string)).collect::<Vec<String>>()
    };
    let name =
        of.cost.map_or_else(|| "amount".to_owned(), |cost| format!("{} (cost)", cost.word()));
    let (came, difference) = (money.came(), money.difference());
    let amount = [
        &came,
        &money.stored.amount,
        &money.allocated.amount,
        &nobodys.amount,
        &money.quarantined,
        &difference,
    ];
    let mut rows = vec![row(name, amount)];
    for measure in Measure::ALL.into_iter().filter(|measure| Some(*measure) != of.cost) {
        let part = |sums: &Sums| *sums.measure(measure);
        let numbers = [
            &part(&money.received),
            &part(&money.stored),
            &part(&money.allocated),
            &part(&nobodys),
            &ExactSum::ZERO,
            &money.measure_difference(measure),
        ];
        rows.push(row(measure.word().to_owned(), numbers));
    }
    rows
}

fn reasons((tenant, source): &SourceKey, code: &str, money: &Money) -> Vec<Vec<String>> {
    let one = |(reason, sums): (&String, &Sums)| {
        vec![
            tenant.clone(),
            source.clone(),
            code.to_owned(),
            reason.clone(),
            sums.amount.to_string(),
        ]
    };
    money.unallocated.iter().map(one).collect()
}

/// What did not go well, for people; empty when all did.
#[must_use]
pub fn troubles(troubles: &[Trouble]) -> String {
    let mut text = String::new();
    for trouble in troubles {
        text.push_str(&format!("\n{} ({}):\n", trouble.what, trouble.count));
        for line in &trouble.list {
            text.push_str(&format!("  {line}\n"));
        }
        let rest = trouble.more();
        if rest > 0 {
            text.push_str(&format!("  and {rest} more\n"));
        }
        text.push_str(&format!("  to mend: {}\n", trouble.mend));
    }
    text
}

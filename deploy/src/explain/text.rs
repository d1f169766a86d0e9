//! An explanation for people: at most 100 columns. Pure.

use allocator::domain::trace::{Condition, Outcome, Received, RuleTried, Step};
use proto::line::Measure;
use proto::money::{Amount, Share};

use super::{Explained, Listed};

/// Digits of a line's id that a short text shows; `--line` finds it by them.
pub const BRIEF_ID: usize = 8;

/// Columns of a line of text.
const WIDTH: usize = 100;
/// Entries of a long list that are shown.
const SHOWN: usize = 12;

/// All of it.
#[must_use]
pub fn text(explained: &Explained, listed: Option<&Listed>, row: Option<&str>) -> String {
    let mut out = Lines::default();
    if let Some(listed) = listed {
        out.add(&format!("{} lines; the largest is explained below", listed.all));
        for (source, line) in &listed.lines {
            out.add(&format!("  {}  {source}  {} {}", line.line, line.amount, line.currency));
        }
        let more = listed.all - listed.lines.len() as i64;
        if more > 0 {
            out.add(&format!("  and {more} smaller ones"));
        }
        out.add("");
    }
    billed(explained, &mut out);
    rules(explained, &mut out);
    steps(explained, &mut out);
    legend(explained, &mut out);
    rows(explained, row, &mut out);
    for to in &explained.emitted {
        let old =
            if to.generation == explained.unit.generation { "" } else { " (an older generation)" };
        out.add(&format!("emitted by {} at {}{old}", to.emitter, to.at));
        out.add(&format!("  {}", to.target));
    }
    out.0
}

/// The rule, and the arithmetic of the amount: what a person needs to redo it.
#[must_use]
pub fn brief(explained: &Explained) -> String {
    let mut out = Lines::default();
    let line = &explained.line;
    let name = line.cell("ResourceName").or(line.cell("ResourceId")).unwrap_or_default();
    let rule = explained.trace.rules.last().map_or("", |rule| rule.id.as_str());
    let place = explained.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
    let (id, amount, currency) = (&line.id.to_string()[..BRIEF_ID], line.amount, line.currency);
    out.add(&format!("rule {rule}{place} takes line {id}, {name}: {amount} {currency}"));
    steps(explained, &mut out);
    out.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Appends a line, cut to the width.
    fn add(&mut self, line: &str) {
        let line = line.replace(['\n', '\r', '\t'], " ");
        match line.char_indices().nth(WIDTH - 1) {
            Some((end, _)) if line.chars().count() > WIDTH => {
                self.0.push_str(&line[..end]);
                self.0.push('…');
            }
            _ => self.0.push_str(line.trim_end()),
        }
        self.0.push('\n');
    }
}

fn billed(explained: &Explained, out: &mut Lines) {
    let (line, unit) = (&explained.line, &explained.unit);
    out.add(&format!("line {} of {}/{}, {}", line.id, unit.tenant, unit.source, unit.date));
    let entry =
        |out: &mut Lines, name: &str, value: &str| out.add(&format!("  {name:<28} {value}"));
    entry(out, "ChargePeriod", &format!("{} to {}", line.charge_start, line.charge_end));
    entry(out, "billing period", &line.billing_period.to_string());
    for measure in Measure::ALL {
        let mark =
            if explained.cost == Some(measure) { "   the amount that is shared" } else { "" };
        entry(out, measure.column(), &format!("{} {}{mark}", line.measure(measure), line.currency));
    }
    for (name, quantity) in ["PricingQuantity", "ConsumedQuantity"].iter().zip(line.quantities) {
        if let Some(quantity) = quantity {
            entry(out, name, &quantity.to_string());
        }
    }
    for (name, value) in &line.cells {
        entry(out, name, value);
    }
    match (&line.resolution_key, &explained.resolution) {
        (None, _) => {}
        (Some(key), None) => out.add(&format!("resolution {key}: there is none for this time")),
        (Some(key), Some(resolution)) => {
            out.add(&format!(
                "resolution {key}, {} to {}",
                resolution.window_start, resolution.window_end
            ));
            let sets = [
                ("resource_active", &resolution.resource_active),
                ("metrics_derived", &resolution.metrics_derived),
                ("tenant_period", &resolution.tenant_period),
                ("metrics that could not be had", &resolution.failed_metrics),
            ];
            for (name, ids) in sets.into_iter().filter(|(_, ids)| !ids.is_empty()) {
                entry(out, name, &short(ids.iter().cloned(), ids.len()));
            }
            let usage = resolution
                .usage
                .iter()
                .map(|(metric, id, value)| format!("{metric} {id} = {value}"));
            if !resolution.usage.is_empty() {
                entry(out, "usage", &short(usage, resolution.usage.len()));
            }
        }
    }
}

/// The first entries of a list, and how many more there are.
fn short(texts: impl Iterator<Item = String>, all: usize) -> String {
    let shown: Vec<String> = texts.take(SHOWN).collect();
    match all.saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{}, and {more} more", shown.join(", ")),
    }
}

fn rules(explained: &Explained, out: &mut Lines) {
    let unit = &explained.unit;
    let commit = explained.commit.as_ref().map(|c| format!(", commit {c}")).unwrap_or_default();
    out.add(&format!("rules in their order (configuration {}{commit})", unit.config));
    for rule in &explained.trace.rules {
        let place = explained.place.as_ref().filter(|_| rule.takes);
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        out.add(&format!("  {}{place}: {}", rule.id, verdict(rule)));
    }
}

fn verdict(rule: &RuleTried) -> String {
    match &rule.because {
        None => "takes it".to_owned(),
        Some(Condition { field: None, wanted, .. }) => format!("no, it is for {wanted}"),
        Some(Condition { field: Some(field), wanted, value }) => match value {
            Some(value) => format!("no, {field} is {value:?}, wanted {wanted}"),
            None => format!("no, {field} is absent, wanted {wanted}"),
        },
    }
}

fn steps(explained: &Explained, out: &mut Lines) {
    // What the step under way splits: the line, or a part of a composition.
    let mut parts: Vec<(u16, Amount)> = Vec::new();
    let mut amount = explained.line.amount;
    for step in &explained.trace.steps {
        let indent = "  ".repeat(step.depth + 1);
        if step.depth > 0
            && let Some(at) = parts.iter().position(|(part, _)| *part == step.part)
        {
            amount = parts[at].1;
        }
        let inputs: Vec<String> = step.inputs.iter().map(input).collect();
        let inputs =
            if inputs.is_empty() { String::new() } else { format!(" ({})", inputs.join(", ")) };
        match &step.outcome {
            Outcome::Passed(why) => {
                out.add(&format!("{indent}{}{inputs}: does not apply, {why}", step.label))
            }
            Outcome::Parts(received) => {
                out.add(&format!("{indent}{}: {amount} in {} parts", step.label, received.len()));
                parts.extend((0_u16..).zip(received).map(|(part, to)| (part, to.working.part)));
                received
                    .iter()
                    .for_each(|to| out.add(&format!("{indent}  {}", product(amount, to))));
            }
            Outcome::Gave(received) => {
                out.add(&format!("{indent}{}{inputs} applies to {amount}", step.label));
                received.iter().for_each(|to| gave(&indent, step, amount, to, out));
            }
        }
    }
    if let Some(why) = &explained.trace.failed {
        out.add(&format!("  the allocation failed: {why}"));
    }
}

/// What the rests are, where there are any.
fn legend(explained: &Explained, out: &mut Lines) {
    let rounds = |step: &Step| match &step.outcome {
        Outcome::Passed(_) => false,
        Outcome::Parts(to) | Outcome::Gave(to) => {
            to.iter().any(|to| !to.working.remainder.num().is_zero())
        }
    };
    if explained.trace.steps.iter().any(rounds) {
        out.add("  (rest: of the last decimal's unit; the largest go up until the parts add up)");
    }
}

fn gave(indent: &str, step: &Step, amount: Amount, to: &Received, out: &mut Lines) {
    let who = if to.identity.ends_with(&format!(":{}", to.owner)) || to.identity == to.owner {
        to.owner.clone()
    } else {
        format!("{} for {}", to.owner, to.identity)
    };
    let whole = to.share.num() == to.share.den() && step.inputs.is_empty();
    match whole {
        true => out.add(&format!("{indent}  {who}: {}", to.working.part)),
        false => out.add(&format!("{indent}  {who}: {}", product(amount, to))),
    }
}

fn input((field, value): &(String, Option<String>)) -> String {
    match value {
        Some(value) => format!("{field} = {value:?}"),
        None => format!("{field} is absent"),
    }
}

/// `412.87 × 612/1000 = 252.67644`, with what rounding did.
fn product(amount: Amount, to: &Received) -> String {
    let working = &to.working;
    let exact = working.remainder.num().is_zero();
    let rounding = match (exact, working.rounded_up) {
        (true, _) => String::new(),
        (false, true) => format!(" (rest {}, up)", fraction(working.remainder)),
        (false, false) => format!(" (rest {})", fraction(working.remainder)),
    };
    format!("{amount} × {} = {}{rounding}", to.share, working.part)
}

/// A fraction that a person can read: long ones as a decimal cut to six digits.
fn fraction(share: Share) -> String {
    let text = share.to_string();
    if text.len() <= 24 {
        return text;
    }
    // One whole split by this share, cut: exact enough to compare remainders by eye.
    let (num, den) = (share.num().to_string(), share.den().to_string());
    let digits = decimals(&num, &den);
    format!("0.{digits}…")
}

/// The first six decimals of a fraction below 1, by long division on decimal texts.
fn decimals(num: &str, den: &str) -> String {
    let shift = den.len().saturating_sub(30);
    let head = |text: &str| -> u128 {
        let keep = text.len().saturating_sub(shift);
        text.get(..keep).and_then(|head| head.parse().ok()).unwrap_or_default()
    };
    let (mut rest, den) = (head(num), head(den).max(1));
    let mut digits = String::new();
    for _ in 0..6 {
        rest *= 10;
        digits.push(char::from(b'0' + u8::try_from((rest / den).min(9)).unwrap_or(9)));
        rest -= rest / den * den;
    }
    digits
}

fn rows(explained: &Explained, wanted: Option<&str>, out: &mut Lines) {
    let unit = &explained.unit;
    let said = if explained.same {
        "the same are stored"
    } else {
        "NOT what is stored: the rows below are the stored ones"
    };
    out.add(&format!("rows ({said}, generation {})", unit.generation));
    for (key, (why, money)) in explained.keys().iter().zip(&explained.trace.rows) {
        let mark = if wanted == Some(key) { "▶" } else { " " };
        out.add(&format!("{mark} {key}"));
        let detail = why.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
        out.add(&format!(
            "    {} owes {} {}{detail}",
            why.owner, money.amount, explained.line.currency
        ));
    }
    if !explained.same {
        for row in &explained.stored {
            out.add(&format!(
                "  {} owes {} by {} {}.{}",
                row.owner, row.costs[0], row.rule, row.tier, row.part
            ));
        }
    }
    if explained.trace.rows.len() > 1 {
        out.add(
            "  the other costs and the quantities are split by the same shares: --json has them",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_fractions_are_cut_and_short_ones_are_exact() {
        let share = |num: &str, den: &str| Share::from_texts(num, den).unwrap();
        assert_eq!(fraction(share("2", "3")), "2/3");
        assert_eq!(fraction(share("123456789012345", "987654321098765")), "0.124999…");
        let wide = ("1".repeat(60), "9".repeat(61));
        assert_eq!(fraction(share(&wide.0, &wide.1)), "0.011111…");
    }
}

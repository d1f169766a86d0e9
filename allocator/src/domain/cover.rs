//! Rules that take no line, whatever the lines: an earlier one matches all that they match. Only what can be proven.

use proto::config::{Match, Pattern, Rule, TenantConfig, Validity};

use super::columns::clean;
use super::fields::canonical;
use super::matching::Check;

/// A rule that an earlier one covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covered {
    /// Its place among the tenant's rules.
    pub rule: usize,
    /// The place of the earlier one.
    pub by: usize,
    /// Days on which it takes nothing. `None`: all of its own.
    pub days: Option<Validity>,
}

/// Every rule of the tenant that an earlier rule covers: by the first that covers it on all of its days, else by the first
/// that does on some.
///
/// A rule that is covered on some days by one that holds on those days only is none: that is how an exception is written.
#[must_use]
pub fn covered(config: &TenantConfig) -> Vec<Covered> {
    let rules = &config.allocation;
    let covers = |rule: usize, by: usize| -> Option<Covered> {
        let (later, earlier) = (&rules[rule], &rules[by]);
        let days = days(&earlier.valid, &later.valid)?;
        let sources = covers_sources(config, earlier, later);
        (sources && implies(&later.matcher, &earlier.matcher)).then_some(Covered { rule, by, days })
    };
    let first = |rule: usize| {
        let found: Vec<Covered> = (0..rule).filter_map(|by| covers(rule, by)).collect();
        found.iter().find(|one| one.days.is_none()).or(found.first()).copied()
    };
    (0..rules.len()).filter_map(first).collect()
}

/// Days of the later rule on which the earlier holds, too: `Some(None)` all of them, `None` none that count.
fn days(earlier: &Validity, later: &Validity) -> Option<Option<Validity>> {
    if within(later, earlier) {
        return Some(None);
    }
    if within(earlier, later) || !earlier.overlaps(later) {
        return None;
    }
    let until = match (earlier.until, later.until) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    Some(Some(Validity { from: earlier.from.max(later.from), until }))
}

/// Whether all days of one are days of the other.
fn within(inner: &Validity, outer: &Validity) -> bool {
    let from = outer.from.is_none_or(|out| inner.from.is_some_and(|within| out <= within));
    let until = outer.until.is_none_or(|out| inner.until.is_some_and(|within| within <= out));
    from && until
}

fn covers_sources(config: &TenantConfig, earlier: &Rule, later: &Rule) -> bool {
    let of = |rule: &Rule, id| rule.sources.is_empty() || rule.sources.contains(id);
    let mut sources = config.sources.iter().map(|source| &source.id);
    sources.all(|id| !of(later, id) || of(earlier, id))
}

/// Whether every line that matches `a` matches `b`, as far as that can be told.
fn implies(a: &Match, b: &Match) -> bool {
    if a == b || b.is_every_line() {
        return true;
    }
    if let Match::All(parts) = b
        && parts.iter().all(|part| implies(a, part))
    {
        return true;
    }
    if let Match::Any(parts) = a
        && parts.iter().all(|part| implies(part, b))
    {
        return true;
    }
    if let Match::Any(parts) = b
        && parts.iter().any(|part| implies(a, part))
    {
        return true;
    }
    match (a, b) {
        (Match::All(parts), _) => parts.iter().any(|part| implies(part, b)),
        (Match::Field(field, narrow), Match::Field(other, wide)) => {
            canonical(field) == canonical(other) && narrower(narrow, wide)
        }
        (Match::Any(_) | Match::Field(..), _) => false,
    }
}

/// Whether every value that fits `a` fits `b`, as far as that can be told.
fn narrower(a: &Pattern, b: &Pattern) -> bool {
    if a == b {
        return true;
    }
    if let Pattern::AnyOf(parts) = a {
        return parts.iter().all(|part| narrower(part, b));
    }
    if let Pattern::AnyOf(parts) = b
        && parts.iter().any(|part| narrower(a, part))
    {
        return true;
    }
    match (a, b) {
        (Pattern::Exact(text), _) => clean(text).is_none_or(|text| fits(b, Some(text))),
        (Pattern::Absent, _) => fits(b, None),
        (Pattern::Glob(_) | Pattern::Regex(_) | Pattern::Compare { .. }, Pattern::Present) => true,
        (Pattern::Glob(a), Pattern::Glob(b)) => {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            wider_glob(&a, &b)
        }
        (Pattern::Not(a), Pattern::Not(b)) => narrower(b, a),
        (Pattern::Present, Pattern::Not(b)) => **b == Pattern::Absent,
        (Pattern::Not(a), Pattern::Present) => **a == Pattern::Absent,
        (Pattern::Glob(_) | Pattern::Regex(_) | Pattern::Compare { .. }, Pattern::Not(b)) => {
            **b == Pattern::Absent
        }
        (Pattern::Compare { gt, lt }, Pattern::Compare { gt: gt_b, lt: lt_b }) => {
            let above = gt_b.is_none_or(|b| gt.is_some_and(|a| a >= b));
            above && lt_b.is_none_or(|b| lt.is_some_and(|a| a <= b))
        }
        _ => false,
    }
}

/// Whether a value fits, as the engine has it.
fn fits(pattern: &Pattern, value: Option<&str>) -> bool {
    Check::compile(pattern, "").is_ok_and(|check| check.holds(value))
}

/// Whether the glob `b` covers every text that the glob `a` covers: it does where it covers `a` itself, with `*` as
/// something that only `*` covers and `?` as one character. Some that are wider are not told.
fn wider_glob(a: &[char], b: &[char]) -> bool {
    // Of each start of `a`: whether the part of `b` so far covers it.
    let mut covers = vec![false; a.len() + 1];
    covers[0] = true;
    for wide in b {
        let before = std::mem::replace(&mut covers, vec![false; a.len() + 1]);
        for at in 0..=a.len() {
            let one = at > 0 && a[at - 1] != '*' && (*wide == '?' || *wide == a[at - 1]);
            covers[at] = match wide {
                '*' => before[at] || (at > 0 && covers[at - 1]),
                _ => one && before[at - 1],
            };
        }
    }
    covers[a.len()]
}

#[cfg(test)]
mod tests {
    use proto::config::Field;
    use proto::money::Amount;

    use super::*;

    fn pattern(text: &str) -> Pattern {
        match text.split_once(' ') {
            Some(("not", rest)) => Pattern::Not(Box::new(pattern(rest))),
            Some(("any", rest)) => Pattern::AnyOf(rest.split(' ').map(pattern).collect()),
            Some(("gt", number)) => Pattern::Compare { gt: Amount::parse(number).ok(), lt: None },
            _ if text == "present" => Pattern::Present,
            _ if text == "absent" => Pattern::Absent,
            _ => Pattern::of_text(text),
        }
    }

    #[test]
    fn what_is_told_of_patterns() {
        for (a, b) in [
            ("x", "x"),
            ("x", "any y x"),
            ("any x y", "any y z x"),
            ("x", "present"),
            ("gt 1", "present"),
            ("absent", "not x"),
            ("x", "not y"),
            ("abc", "a*"),
            ("ab*", "a*"),
            ("a?c*", "a*"),
            ("a*b*c", "*b*"),
            ("a?", "??"),
            ("gt 3", "gt 2"),
            ("5", "gt 2"),
            ("not absent", "present"),
            ("not a*", "not ab"),
            ("NULL", "y"),
        ] {
            assert!(narrower(&pattern(a), &pattern(b)), "{a} in {b}");
        }
        for (a, b) in [
            ("a*", "ab*"),
            ("*", "?"),
            ("a*", "a?"),
            ("not x", "present"),
            ("present", "x"),
            ("x", "X"),
            ("gt 1", "gt 2"),
            ("not x", "not y"),
            ("x", "absent"),
            ("*b*", "*b"),
        ] {
            assert!(!narrower(&pattern(a), &pattern(b)), "{a} in {b}");
        }
    }

    #[test]
    fn what_is_told_of_matches() {
        let field =
            |name: &str, text: &str| Match::Field(Field::parse(name).unwrap(), pattern(text));
        let (s3, tax) = (field("ServiceName", "S3"), field("ChargeCategory", "Tax"));
        let both = Match::All(vec![s3.clone(), tax.clone()]);
        let either = Match::Any(vec![tax.clone(), s3.clone()]);
        let nested = Match::All(vec![either.clone(), field("tag.a", "b")]);
        for (a, b) in [(&both, &s3), (&both, &either), (&s3, &either), (&nested, &either)] {
            assert!(implies(a, b) && implies(a, &Match::every_line()) && !implies(b, a));
        }
        assert!(implies(&either, &Match::Any(vec![s3.clone(), tax.clone()])), "in another order");
        let (resource, column) = (field("resource_id", "i-1"), field("ResourceId", "i-*"));
        assert!(implies(&resource, &column), "two names of one field");
        assert!(!implies(&Match::every_line(), &s3) && !implies(&s3, &tax));
    }

    #[test]
    fn days_that_are_covered() {
        let days = |from: &str, until: &str| Validity {
            from: from.parse().ok(),
            until: until.parse().ok(),
        };
        let (may, june) = (days("2026-05-01", "2026-06-01"), days("2026-06-01", "2026-07-01"));
        let (ever, summer) = (days("", ""), days("2026-05-15", "2026-08-15"));
        assert_eq!(super::days(&ever, &may), Some(None));
        assert_eq!(super::days(&may, &may), Some(None));
        assert_eq!(super::days(&may, &ever), None, "an exception");
        assert_eq!(super::days(&may, &june), None, "they never meet");
        assert_eq!(super::days(&may, &summer), Some(Some(days("2026-05-15", "2026-06-01"))));
        assert_eq!(super::days(&days("", "2026-06-01"), &days("2026-05-01", "")), Some(Some(may)));
    }
}

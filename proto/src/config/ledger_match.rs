//! Which lines an `of` counts, by what the ledger keeps of them, and whether it states the lines of a rule.

use super::field::Field;
use super::ledger::{LEDGER_FIELDS, ledger_field};
use super::matching::{Match, Pattern};

/// Alternatives that a tree of conditions is looked at as; beyond, none is stated.
const ALTERNATIVES_MAX: usize = 64;

type Conditions<'m> = Vec<(&'m Field, &'m Pattern)>;

fn alternatives(matcher: &Match) -> Vec<Conditions<'_>> {
    match matcher {
        Match::Field(field, pattern) => vec![vec![(field, pattern)]],
        Match::Any(parts) => parts.iter().flat_map(alternatives).take(ALTERNATIVES_MAX).collect(),
        Match::All(parts) => parts.iter().fold(vec![Vec::new()], |so_far, part| {
            let part = alternatives(part);
            let both = so_far.iter().flat_map(|a| part.iter().map(move |b| [&a[..], b].concat()));
            both.take(ALTERNATIVES_MAX).collect()
        }),
    }
}

/// Whether `of` states that lines which `other` takes count.
pub(super) fn states(of: &Match, other: &Match) -> bool {
    let stated = |of: &Conditions<'_>, other: &Conditions<'_>| {
        !of.is_empty()
            && of.iter().all(|(field, pattern)| {
                let mut same =
                    other.iter().filter(|(theirs, _)| same_field(field, theirs)).peekable();
                same.peek().is_some() && same.all(|(_, theirs)| can_meet(pattern, theirs))
            })
    };
    let others = alternatives(other);
    alternatives(of).iter().any(|of| others.iter().any(|other| stated(of, other)))
}

fn same_field(a: &Field, b: &Field) -> bool {
    a == b || ledger_field(a).is_some_and(|place| ledger_field(b) == Some(place))
}

/// Whether a value can fit both; where that is hard to say, it can.
fn can_meet(a: &Pattern, b: &Pattern) -> bool {
    match (a, b) {
        (Pattern::AnyOf(parts), other) | (other, Pattern::AnyOf(parts)) => {
            parts.iter().any(|part| can_meet(part, other))
        }
        (Pattern::Exact(text), other) | (other, Pattern::Exact(text)) => {
            fits(other, Some(text.trim())).unwrap_or(true)
        }
        (Pattern::Absent, other) | (other, Pattern::Absent) => {
            matches!(other, Pattern::Absent | Pattern::Not(_))
        }
        _ => true,
    }
}

/// Whether a value, trimmed, fits a pattern; `None`: only the allocator can say (regular expressions, numbers).
#[must_use]
pub fn fits(pattern: &Pattern, value: Option<&str>) -> Option<bool> {
    Some(match pattern {
        Pattern::Exact(text) => value == Some(text.trim()),
        Pattern::Glob(glob) => value.is_some_and(|value| glob_fits(glob, value)),
        Pattern::AnyOf(parts) => {
            let mut any = false;
            for part in parts {
                any |= fits(part, value)?;
            }
            any
        }
        Pattern::Present => value.is_some(),
        Pattern::Absent => value.is_none(),
        Pattern::Not(pattern) => !fits(pattern, value)?,
        Pattern::Regex(_) | Pattern::Compare { .. } => return None,
    })
}

/// Whether a line with these values of [`LEDGER_FIELDS`], trimmed, counts; `None`: the match asks for what the ledger
/// cannot tell.
#[must_use]
pub fn counts(of: &Match, values: &[Option<&str>; LEDGER_FIELDS.len()]) -> Option<bool> {
    match of {
        Match::All(parts) => {
            let mut all = true;
            for part in parts {
                all &= counts(part, values)?;
            }
            Some(all)
        }
        Match::Any(parts) => {
            let mut any = false;
            for part in parts {
                any |= counts(part, values)?;
            }
            Some(any)
        }
        Match::Field(field, pattern) => fits(pattern, values[ledger_field(field)?]),
    }
}

/// `*` stands for any characters, `?` for one.
fn glob_fits(glob: &str, value: &str) -> bool {
    let (glob, value): (Vec<char>, Vec<char>) = (glob.chars().collect(), value.chars().collect());
    let (mut g, mut v, mut star) = (0, 0, None);
    while v < value.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, v));
                g += 1;
            }
            Some(letter) if *letter == '?' || *letter == value[v] => (g, v) = (g + 1, v + 1),
            // The last star takes one character more.
            Some(_) | None => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (g, v) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_take_any_characters() {
        for (glob, value, fits) in [
            ("AWS Support*", "AWS Support (Business)", true),
            ("*Premium Support*", "x Premium Support", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(glob_fits(glob, value), fits, "{glob:?} {value:?}");
        }
    }
}

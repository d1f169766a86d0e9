//! Match trees, compiled: leaves are numbered tests of a field's value, each evaluated once per distinct value.

use std::collections::{BTreeSet, HashMap};

use proto::config::{Field, Match, Pattern};
use proto::money::Amount;
use regex::Regex;

use super::columns::{Batch, clean};
use super::error::CompileError;
use super::fields::{FieldCompiler, FieldId};
use super::normalise::{compile_glob, compile_regex};

/// A condition on a line.
#[derive(Debug)]
pub enum Node {
    /// Known without looking at the line.
    Always(bool),
    /// All hold.
    All(Vec<Node>),
    /// One holds.
    Any(Vec<Node>),
    /// Test number so-and-so holds.
    Test(usize),
}

impl Node {
    /// Whether it holds on a line.
    pub fn holds(&self, batch: &Batch<'_>, line: usize) -> bool {
        match self {
            Self::Always(holds) => *holds,
            Self::All(nodes) => nodes.iter().all(|node| node.holds(batch, line)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(batch, line)),
            Self::Test(test) => batch.holds(*test, line),
        }
    }

    fn all(mut nodes: Vec<Self>) -> Self {
        nodes.retain(|node| !matches!(node, Self::Always(true)));
        if nodes.iter().any(|node| matches!(node, Self::Always(_))) {
            Self::Always(false)
        } else if nodes.is_empty() {
            Self::Always(true)
        } else {
            Self::All(nodes)
        }
    }

    fn any(mut nodes: Vec<Self>) -> Self {
        nodes.retain(|node| !matches!(node, Self::Always(false)));
        if nodes.iter().any(|node| matches!(node, Self::Always(_))) {
            Self::Always(true)
        } else if nodes.is_empty() {
            Self::Always(false)
        } else {
            Self::Any(nodes)
        }
    }
}

/// What a value must be.
#[derive(Debug)]
pub enum Check {
    /// One of these texts.
    OneOf(BTreeSet<String>),
    /// One of these words, whatever their case.
    Word(&'static str),
    /// The glob, as written, covers it.
    Glob(String, Regex),
    /// The expression is found.
    Regex(Regex),
    /// One check holds.
    AnyOf(Vec<Check>),
    /// There is a value.
    Present,
    /// There is none.
    Absent,
    /// The check does not hold.
    Not(Box<Check>),
    /// A number between these.
    Compare(Option<Amount>, Option<Amount>),
}

impl Check {
    /// Compiles a pattern; `place` is for messages.
    pub fn compile(pattern: &Pattern, place: &str) -> Result<Self, CompileError> {
        let at = || place.to_owned();
        Ok(match pattern {
            // A value is trimmed before it is looked at, so what it is compared with is too.
            Pattern::Exact(text) => Self::OneOf([text.trim().to_owned()].into()),
            Pattern::Glob(glob) => Self::Glob(glob.clone(), compile_glob(glob, at)?),
            Pattern::Regex(regex) => Self::Regex(compile_regex(regex, at)?),
            Pattern::AnyOf(patterns) => Self::any_of(patterns, place)?,
            Pattern::Present => Self::Present,
            Pattern::Absent => Self::Absent,
            Pattern::Not(pattern) => Self::Not(Box::new(Self::compile(pattern, place)?)),
            Pattern::Compare { gt, lt } => Self::Compare(*gt, *lt),
        })
    }

    /// Exact texts go into one set: lists of accounts are long.
    fn any_of(patterns: &[Pattern], place: &str) -> Result<Self, CompileError> {
        let (mut texts, mut checks) = (BTreeSet::new(), Vec::new());
        for pattern in patterns {
            if let Pattern::Exact(text) = pattern {
                texts.insert(text.trim().to_owned());
            } else {
                checks.push(Self::compile(pattern, place)?);
            }
        }
        checks.push(Self::OneOf(texts));
        Ok(Self::AnyOf(checks))
    }

    /// Whether it holds for a value.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Self::Present => value.is_some(),
            Self::Absent => value.is_none(),
            Self::Not(check) => !check.holds(value),
            Self::AnyOf(checks) => checks.iter().any(|check| check.holds(value)),
            Self::OneOf(texts) => value.is_some_and(|value| texts.contains(value)),
            Self::Word(word) => value.is_some_and(|value| value.eq_ignore_ascii_case(word)),
            Self::Glob(_, regex) | Self::Regex(regex) => {
                value.is_some_and(|value| regex.is_match(value))
            }
            Self::Compare(gt, lt) => {
                let number = value.and_then(|value| Amount::parse(value).ok());
                number.is_some_and(|n| gt.is_none_or(|gt| n > gt) && lt.is_none_or(|lt| n < lt))
            }
        }
    }
}

/// All tests of the rules of a source; equal ones are one.
#[derive(Debug, Default)]
pub struct Tests {
    tests: Vec<(FieldId, Check)>,
}

impl Tests {
    /// Number of tests.
    pub fn len(&self) -> usize {
        self.tests.len()
    }
    /// What a test looks at and for.
    pub fn get(&self, test: usize) -> (FieldId, &Check) {
        let (field, check) = &self.tests[test];
        (*field, check)
    }
}

/// Compiles match trees.
#[derive(Debug, Default)]
pub struct MatchCompiler {
    tests: Tests,
    known: HashMap<(FieldId, String), usize>,
}

impl MatchCompiler {
    /// All tests asked for.
    pub fn finish(self) -> Tests {
        self.tests
    }

    /// Compiles a tree of the rule `rule`.
    pub fn node(
        &mut self,
        tree: &Match,
        rule: &str,
        fields: &mut FieldCompiler<'_>,
    ) -> Result<Node, CompileError> {
        Ok(match tree {
            Match::All(trees) => Node::all(self.nodes(trees, rule, fields)?),
            Match::Any(trees) => Node::any(self.nodes(trees, rule, fields)?),
            Match::Field(field, pattern) => {
                let place = format!("rule {rule}: {field}");
                let check = Check::compile(pattern, &place)?;
                if let Some(source) = fields.constant(field) {
                    return Ok(Node::Always(check.holds(clean(source))));
                }
                Node::Test(self.test(fields.id(field)?, check))
            }
        })
    }

    fn nodes(
        &mut self,
        trees: &[Match],
        rule: &str,
        fields: &mut FieldCompiler<'_>,
    ) -> Result<Vec<Node>, CompileError> {
        trees.iter().map(|tree| self.node(tree, rule, fields)).collect()
    }

    /// Lines of ChargeCategory `Usage`; providers write it in different case.
    pub fn usage_lines(&mut self, fields: &mut FieldCompiler<'_>) -> Result<Node, CompileError> {
        let category = Field::Column(proto::line::cell::CHARGE_CATEGORY.to_owned());
        Ok(Node::Test(self.test(fields.id(&category)?, Check::Word("Usage"))))
    }

    fn test(&mut self, field: FieldId, check: Check) -> usize {
        let next = self.tests.len();
        let test = *self.known.entry((field, format!("{check:?}"))).or_insert(next);
        if test == next {
            self.tests.tests.push((field, check));
        }
        test
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(pattern: &Pattern, value: Option<&str>) -> bool {
        Check::compile(pattern, "x").unwrap().holds(value)
    }

    #[test]
    fn only_absent_and_not_hold_for_an_absent_value() {
        let number = |text| Some(Amount::parse(text).unwrap());
        let exact = |text: &str| Pattern::Exact(text.to_owned());
        let list = Pattern::AnyOf(vec![exact("a"), exact("b"), Pattern::of_text("c*")]);
        let between = Pattern::Compare { gt: number("-1"), lt: number("2.5") };
        for (pattern, yes, no) in [
            (&exact("a"), "a", "A"),
            (&exact(" a "), "a", "b"),
            (&Pattern::of_text("a*c"), "abc", "abcd"),
            (&Pattern::Regex("^a".to_owned()), "abc", "ba"),
            (&list, "cc", "d"),
            (&list, "b", "bb"),
            (&between, "2.4999", "2.50"),
            (&between, "1e-3", "-1.0"),
            (&between, "0", "many"),
            (&Pattern::Not(Box::new(exact("a"))), "b", "a"),
        ] {
            assert!(holds(pattern, Some(yes)), "{pattern:?} {yes}");
            assert!(!holds(pattern, Some(no)), "{pattern:?} {no}");
            assert_eq!(holds(pattern, None), matches!(pattern, Pattern::Not(_)), "{pattern:?}");
        }
        assert!(holds(&Pattern::Present, Some("x")) && !holds(&Pattern::Present, None));
        assert!(holds(&Pattern::Absent, None) && !holds(&Pattern::Absent, Some("x")));
        let absent_or_a = Pattern::AnyOf(vec![Pattern::Absent, exact("a")]);
        assert!(holds(&absent_or_a, None) && holds(&absent_or_a, Some("a")));
        assert!(!holds(&Pattern::Not(Box::new(Pattern::Absent)), None));
    }

    #[test]
    fn what_is_known_before_is_folded() {
        assert!(matches!(Node::all(vec![]), Node::Always(true)));
        assert!(matches!(Node::any(vec![Node::Test(0), Node::Always(true)]), Node::Always(true)));
        assert!(matches!(Node::all(vec![Node::Test(0), Node::Always(false)]), Node::Always(false)));
        assert!(matches!(Node::any(vec![]), Node::Always(false)));
    }
}

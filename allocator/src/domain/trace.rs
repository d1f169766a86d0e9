//! Why a line's rows are what they are: the engine's own steps, written down as it takes them. Only for explaining;
//! nothing is written down while units are allocated. In short, for who surveys all lines: which tiers were tried.

use std::fmt;

use proto::money::{Amount, Share, Working};
use proto::row::{RowDimension, RowMoney};
use serde::Serialize;

use super::columns::Batch;
use super::fields::FieldId;
use super::matching::{Check, Node};
use super::notes::Miss;
use super::party::Party;
use super::program::{Program, TierId, TierKind};

/// Everything about one line.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    /// Rules in the order in which they were tried; the last one takes the line.
    pub rules: Vec<RuleTried>,
    /// Tiers in the order in which they were tried, parts of compositions after their composition.
    pub steps: Vec<Step>,
    /// Why the allocation failed, if it did.
    pub failed: Option<String>,
    /// The rows that came of it.
    pub rows: Vec<(RowDimension, RowMoney)>,
}

/// A rule that was tried.
#[derive(Debug, Clone, Serialize)]
pub struct RuleTried {
    /// Its id.
    pub id: String,
    /// Whether it takes the line.
    pub takes: bool,
    /// The first condition that does not hold.
    pub because: Option<Condition>,
}

/// A condition that does not hold.
#[derive(Debug, Clone, Serialize)]
pub struct Condition {
    /// What is looked at; `None`: the rule is for other sources.
    pub field: Option<String>,
    /// What it should be.
    pub wanted: String,
    /// What it is.
    pub value: Option<String>,
}

/// A field and its value on the line.
pub type Input = (String, Option<String>);

/// A tier that was tried.
#[derive(Debug, Clone)]
pub struct Step {
    /// How many compositions it stands in.
    pub depth: usize,
    /// Its place in the rule, as rows name it.
    pub tier: u16,
    /// The part of a composition that it stands in, as rows name it.
    pub part: u16,
    /// As users write it: `even kafka_users`.
    pub label: String,
    /// What it looked at.
    pub inputs: Vec<Input>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a tier.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It does not apply, and why.
    Passed(String),
    /// It splits the line into parts, each with a chain of its own.
    Parts(Vec<Received>),
    /// These get it.
    Gave(Vec<Received>),
}

/// One part of a split.
#[derive(Debug, Clone)]
pub struct Received {
    /// Who, or which part.
    pub identity: String,
    /// Who pays; empty for a part of a composition.
    pub owner: String,
    /// Of what is split.
    pub share: Share,
    /// How its part of the amount comes about.
    pub working: Working,
}

/// A tier that was tried, in short: what can be taken down of every line.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// Which.
    pub tier: TierId,
    /// The money that came to it.
    pub amount: Amount,
    /// Why it does not apply, where a person should know.
    pub miss: Option<Miss>,
}

/// Takes the steps down. Empty and idle unless asked for.
#[derive(Debug, Default)]
pub struct Recorder {
    steps: Option<Vec<Step>>,
    tried: Option<Vec<Tried>>,
    depth: usize,
}

impl Recorder {
    /// From now on.
    pub fn start(&mut self) {
        *self = Self { steps: Some(Vec::new()), ..Self::default() };
    }
    /// From now on, in short.
    pub fn start_short(&mut self) {
        *self = Self { tried: Some(Vec::new()), ..Self::default() };
    }
    /// What was taken down in short.
    pub fn finish_short(&mut self) -> Vec<Tried> {
        std::mem::take(self).tried.unwrap_or_default()
    }
    /// Takes a tier down in short.
    pub fn tried(&mut self, tier: TierId, amount: Amount, miss: Option<Miss>) {
        if let Some(tried) = &mut self.tried {
            tried.push(Tried { tier, amount, miss });
        }
    }
    /// What was taken down.
    pub fn finish(&mut self) -> Vec<Step> {
        std::mem::take(self).steps.unwrap_or_default()
    }
    /// Whether anything is.
    pub fn is_on(&self) -> bool {
        self.steps.is_some()
    }
    /// Into a composition's parts.
    pub fn enter(&mut self) {
        self.depth += 1;
    }
    /// And out.
    pub fn leave(&mut self) {
        self.depth -= 1;
    }
    /// Takes a step down.
    pub fn step(&mut self, program: &Program, tier: TierId, inputs: Vec<Input>, outcome: Outcome) {
        let (compiled, depth) = (&program.tiers[tier], self.depth);
        let (place, part, label) = (compiled.place, compiled.part, compiled.label.clone());
        let step = Step { depth, tier: place, part, label, inputs, outcome };
        self.steps.iter_mut().for_each(|steps| steps.push(step.clone()));
    }
}

/// What a tier looks at on a line.
pub fn inputs(program: &Program, tier: TierId, batch: &Batch<'_>, line: usize) -> Vec<Input> {
    let value = |field: &FieldId| {
        let value = batch.value(*field, line).map(str::to_owned);
        (program.fields.name(*field).to_string(), value)
    };
    match &program.tiers[tier].kind {
        TierKind::Direct(fields) => fields.iter().map(value).collect(),
        TierKind::Cost(basis) => program.bases[*basis].within.iter().map(value).collect(),
        TierKind::Ledger { place, .. } => {
            program.ledgers[*place].within.iter().map(value).collect()
        }
        TierKind::Resource => vec![value(&program.resource)],
        TierKind::EvenSet(..) | TierKind::Metrics(_) => {
            let keys = batch.lines().resolution_key.as_ref();
            let key = keys.and_then(|keys| keys.get(line)).map(str::to_owned);
            vec![("resolution key".to_owned(), key)]
        }
        TierKind::EvenGroup(_)
        | TierKind::Driver { .. }
        | TierKind::Fixed(_)
        | TierKind::FixedTable(_)
        | TierKind::Composition(..)
        | TierKind::Unallocated => Vec::new(),
    }
}

/// Why a tier does not apply.
pub fn passed(miss: Option<Miss>) -> Outcome {
    Outcome::Passed(miss.map_or("nothing to go by", Miss::text).to_owned())
}

impl Received {
    /// Of a party.
    pub fn party(party: &Party, share: Share, working: Working) -> Self {
        let (identity, owner) = (party.identity.to_string(), party.owner.to_string());
        Self { identity, owner, share, working }
    }
}

/// The first condition of a match that does not hold on a line.
pub fn failing(
    node: &Node,
    program: &Program,
    batch: &Batch<'_>,
    line: usize,
) -> Option<Condition> {
    match node {
        Node::Always(true) => None,
        Node::Always(false) => {
            Some(Condition { field: None, wanted: "another source".to_owned(), value: None })
        }
        Node::All(nodes) => nodes.iter().find_map(|node| failing(node, program, batch, line)),
        Node::Any(_) if node.holds(batch, line) => None,
        // None of them holds: the first says what was looked for.
        Node::Any(nodes) => nodes.iter().find_map(|node| failing(node, program, batch, line)),
        Node::Test(test) if batch.holds(*test, line) => None,
        Node::Test(test) => {
            let (field, check) = program.tests.get(*test);
            Some(Condition {
                field: Some(program.fields.name(field).to_string()),
                wanted: check.to_string(),
                value: batch.value(field, line).map(str::to_owned),
            })
        }
    }
}

/// Texts of a list that are shown.
const SHOWN: usize = 4;

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(texts) => {
                let shown: Vec<String> =
                    texts.iter().take(SHOWN).map(|text| format!("{text:?}")).collect();
                f.write_str(&shown.join(" or "))?;
                match texts.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " or {more} more"),
                }
            }
            Self::Word(word) => f.write_str(word),
            Self::Glob(glob, _) => write!(f, "{glob:?}"),
            Self::Regex(regex) => write!(f, "/{regex}/"),
            Self::AnyOf(checks) => {
                let nothing =
                    |check: &&Check| matches!(check, Check::OneOf(texts) if texts.is_empty());
                let some = checks.iter().filter(|check| !nothing(check));
                let texts: Vec<String> = some.map(ToString::to_string).collect();
                f.write_str(&texts.join(" or "))
            }
            Self::Present => f.write_str("present"),
            Self::Absent => f.write_str("absent"),
            Self::Not(check) => write!(f, "not {check}"),
            Self::Compare(Some(gt), Some(lt)) => write!(f, "above {gt} and below {lt}"),
            Self::Compare(Some(gt), None) => write!(f, "above {gt}"),
            Self::Compare(None, Some(lt)) => write!(f, "below {lt}"),
            Self::Compare(None, None) => f.write_str("a number"),
        }
    }
}

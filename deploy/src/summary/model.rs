//! What a summary says, and its proof. Pure.

use std::collections::BTreeMap;

use proto::line::Measure;
use proto::manifest::Sums;
use proto::money::ExactSum;
use serde::Serialize;

use crate::store::SourceKey;

/// Money of one source in one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Money {
    /// Counted when the lines were read.
    pub received: Sums,
    /// Readable amounts of quarantined records.
    pub quarantined: ExactSum,
    /// Lines as stored.
    pub stored: Sums,
    /// Rows as stored that somebody pays.
    pub allocated: Sums,
    /// Rows as stored that nobody pays, by reason.
    pub unallocated: BTreeMap<String, Sums>,
}

/// What must be 0 and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Of what.
    pub what: String,
    /// By how much.
    pub difference: ExactSum,
}

impl Money {
    /// Everything that came from the source.
    #[must_use]
    pub fn came(&self) -> ExactSum {
        let mut sum = self.received.amount;
        sum.merge(&self.quarantined);
        sum
    }

    /// What nobody pays, whatever the reason.
    #[must_use]
    pub fn nobodys(&self) -> Sums {
        let mut all = Sums::default();
        self.unallocated.values().for_each(|sums| all.merge(sums));
        all
    }

    /// received − quarantined − allocated − unallocated.
    #[must_use]
    pub fn difference(&self) -> ExactSum {
        let rest = self.came().difference(&self.quarantined);
        rest.difference(&self.allocated.amount).difference(&self.nobodys().amount)
    }

    /// The same for a measure. Quarantined records have no readable measure other than the amount.
    #[must_use]
    pub fn measure_difference(&self, measure: Measure) -> ExactSum {
        let rest = self.received.measure(measure).difference(self.allocated.measure(measure));
        rest.difference(self.nobodys().measure(measure))
    }

    /// Everything that does not add up; empty: the proof holds.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = vec![Gap { what: "amount".to_owned(), difference: self.difference() }];
        for measure in Measure::ALL {
            let difference = self.measure_difference(measure);
            gaps.push(Gap { what: measure.word().to_owned(), difference });
            let stored = self.received.measure(measure).difference(self.stored.measure(measure));
            gaps.push(Gap {
                what: format!("{} of the stored lines", measure.word()),
                difference: stored,
            });
        }
        gaps.retain(|gap| !gap.difference.is_zero());
        gaps
    }
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The measure that `amount` is.
    pub cost: Option<Measure>,
    /// Visible dates in range.
    pub dates: i64,
    /// Their lines as stored.
    pub lines: i64,
    /// Their rows as stored.
    pub rows: i64,
    /// Quarantined records in force.
    pub quarantined: i64,
    /// Money by currency.
    pub money: BTreeMap<String, Money>,
    /// What a person should know, and how often.
    pub warnings: Vec<(String, u64)>,
}

/// A run and what is visible after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Units that the run made visible.
    pub units: i64,
    /// Sources, units and emissions that the run gave up.
    pub failed: i64,
    /// Seconds that it took.
    pub seconds: i64,
    /// Every source in force.
    pub sources: BTreeMap<SourceKey, Source>,
}

impl Summary {
    /// Everything that does not add up: where, and what.
    #[must_use]
    pub fn gaps(&self) -> Vec<(String, Gap)> {
        let of = |((tenant, source), found): (&SourceKey, &Source)| {
            let gaps = found.money.iter().flat_map(|(currency, money)| {
                let place = format!("{tenant}/{source} {currency}");
                money.gaps().into_iter().map(move |gap| (place.clone(), gap))
            });
            gaps.collect::<Vec<_>>()
        };
        self.sources.iter().flat_map(of).collect()
    }

    /// Quarantined records in force.
    #[must_use]
    pub fn quarantined(&self) -> i64 {
        self.sources.values().map(|source| source.quarantined).sum()
    }

    /// The exit code of the run, which itself ended with `code`; `missing`: something did not get where it should.
    #[must_use]
    pub fn exit_code(&self, code: u8, missing: bool, allow_quarantine: bool) -> u8 {
        let quarantine = self.quarantined() > 0 && !allow_quarantine;
        let wrong = missing || self.failed > 0 || quarantine || !self.gaps().is_empty();
        code.max(u8::from(wrong))
    }

    /// The one JSON document.
    #[must_use]
    pub fn document(&self) -> Document<'_> {
        let tenants = self.sources.iter().map(|((tenant, source), found)| SourceDocument {
            tenant,
            source,
            dates: found.dates,
            lines: found.lines,
            rows: found.rows,
            quarantined: found.quarantined,
            totals: found.money.iter().map(|(code, money)| (code.as_str(), money.into())).collect(),
        });
        Document { units: self.units, failed: self.failed, tenants: tenants.collect() }
    }
}

/// [`Summary`] as JSON.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    units: i64,
    failed: i64,
    tenants: Vec<SourceDocument<'a>>,
}

#[derive(Debug, Serialize)]
struct SourceDocument<'a> {
    tenant: &'a str,
    source: &'a str,
    dates: i64,
    lines: i64,
    rows: i64,
    quarantined: i64,
    totals: BTreeMap<&'a str, MoneyDocument>,
}

#[derive(Debug, Serialize)]
struct MoneyDocument {
    received: ExactSum,
    amount: ExactSum,
    allocated: ExactSum,
    unallocated: ExactSum,
    quarantined: ExactSum,
    difference: ExactSum,
    measures: MeasuresDocument,
}

#[derive(Debug, Serialize)]
struct MeasuresDocument {
    billed: ExactSum,
    effective: ExactSum,
    contracted: ExactSum,
    list: ExactSum,
}

impl From<&Money> for MoneyDocument {
    fn from(money: &Money) -> Self {
        let [billed, effective, contracted, list] = money.stored.measures;
        Self {
            received: money.came(),
            amount: money.stored.amount,
            allocated: money.allocated.amount,
            unallocated: money.nobodys().amount,
            quarantined: money.quarantined,
            difference: money.difference(),
            measures: MeasuresDocument { billed, effective, contracted, list },
        }
    }
}

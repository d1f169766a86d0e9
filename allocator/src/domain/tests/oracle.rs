//! A second, naive implementation of the rules over big rationals: slow, line by line, nothing remembered.
//! It knows what `property.rs` makes use of.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the oracle refuses loudly what property.rs does not make"
)]

use std::collections::BTreeMap;

use num_bigint::BigInt;
use num_rational::BigRational;
use proto::config::{CostShare, FixedShares, Part, Receivers, ResolutionSet, Usage};
use proto::resolution::IdentityResolution;
use proto::row::UNALLOCATED;

use super::*;

/// A row without its detail: identity, owner, method, amount and measures (resolved), quantities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OracleRow {
    pub identity: String,
    pub owner: String,
    pub method: String,
    pub money: Vec<Option<Amount>>,
}

/// Everything that is given.
pub struct Oracle<'a> {
    pub config: &'a TenantConfig,
    pub lines: &'a [BillingLineItem],
    pub resolutions: &'a [IdentityResolution],
}

type Money = Vec<Option<Amount>>;
type Weighted = Vec<(String, String, BigRational)>;

fn rational(amount: Amount) -> BigRational {
    BigRational::new(amount.mantissa().into(), BigInt::from(10).pow(amount.scale()))
}

fn money(line: &BillingLineItem) -> Money {
    let measures = Measure::ALL.into_iter().map(|m| Some(line.measure(m)));
    [Some(line.amount)].into_iter().chain(measures).chain(line.quantities).collect()
}

/// Largest remainder over parties in order of their ids, at the finest scale from max(own, 10) down that fits.
fn split(amount: Amount, weights: &[BigRational]) -> Vec<Amount> {
    let total: BigRational = weights.iter().sum();
    let limit = BigInt::from(2).pow(96);
    let own = rational(amount);
    let magnitude = if amount.is_negative() { -own } else { own };
    let fits = |scale: &u32| (&magnitude * BigInt::from(10).pow(*scale)).to_integer() < limit;
    let scale = (amount.scale()..=amount.scale().max(10)).rev().find(fits).unwrap();
    let units = (&magnitude * BigInt::from(10).pow(scale)).to_integer();
    let whole = BigRational::from_integer(units.clone());
    let exact: Vec<BigRational> = weights.iter().map(|w| &whole * w / &total).collect();
    let mut parts: Vec<BigInt> = exact.iter().map(BigRational::to_integer).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|a, b| exact[*b].fract().cmp(&exact[*a].fract()).then(a.cmp(b)));
    let left = &units - parts.iter().sum::<BigInt>();
    for party in order.into_iter().take(usize::try_from(left).unwrap()) {
        parts[party] += 1;
    }
    let signed =
        |part: &BigInt| i128::try_from(part).unwrap() * if amount.is_negative() { -1 } else { 1 };
    parts.iter().map(|part| Amount::from_parts(signed(part), scale).unwrap()).collect()
}

fn split_money(whole: &Money, weights: &[BigRational]) -> Vec<Money> {
    let mut out = vec![vec![None; whole.len()]; weights.len()];
    for (which, amount) in whole.iter().enumerate() {
        let Some(amount) = amount else { continue };
        for (party, part) in split(*amount, weights).into_iter().enumerate() {
            out[party][which] = Some(part);
        }
    }
    out
}

impl Oracle<'_> {
    /// The rows of every line.
    pub fn rows(&self) -> Vec<Vec<OracleRow>> {
        self.lines.iter().map(|line| self.allocate(line, false)).collect()
    }

    fn field(&self, line: &BillingLineItem, field: &Field) -> Option<String> {
        let text = match field {
            Field::Column(name) => line.cell(name)?.to_owned(),
            Field::Tag(key) => {
                let tags = proto::tags::parse(line.cell("Tags")?).ok()?;
                proto::tags::get(&tags, key)?.to_owned()
            }
            other => panic!("the oracle does not know {other}"),
        };
        let text = text.trim().to_owned();
        (!text.is_empty() && text != "NULL").then_some(text)
    }

    fn matches(&self, line: &BillingLineItem, matcher: &Match) -> bool {
        match matcher {
            Match::All(parts) => parts.iter().all(|part| self.matches(line, part)),
            Match::Any(parts) => parts.iter().any(|part| self.matches(line, part)),
            Match::Field(field, pattern) => {
                let value = self.field(line, field);
                match pattern {
                    Pattern::Exact(text) => value.as_ref() == Some(text),
                    Pattern::Absent => value.is_none(),
                    other => panic!("the oracle does not know {other:?}"),
                }
            }
        }
    }

    /// `weighing`: lines that are shared by cost give nothing.
    fn allocate(&self, line: &BillingLineItem, weighing: bool) -> Vec<OracleRow> {
        let source = &self.config.sources[0];
        let rules = self.config.rules_in_force(source, date());
        let rule = rules.into_iter().find(|rule| self.matches(line, &rule.matcher)).unwrap();
        self.chain(line, &rule.chain, &money(line), weighing)
    }

    fn chain(
        &self,
        line: &BillingLineItem,
        chain: &[Tier],
        whole: &Money,
        weighing: bool,
    ) -> Vec<OracleRow> {
        for tier in chain {
            if let Tier::Composition(parts) = tier {
                let percents: Vec<_> = parts.iter().map(|part| rational(part.percent)).collect();
                let shared = split_money(whole, &percents);
                let rows =
                    |(part, money): (&Part, &Money)| self.chain(line, &part.chain, money, weighing);
                return parts.iter().zip(&shared).flat_map(rows).collect();
            }
            if weighing && matches!(tier, Tier::InProportionToCost(_)) {
                return Vec::new();
            }
            let Some((method, mut parties)) = self.tier(line, tier) else { continue };
            parties.sort_by(|a, b| a.0.cmp(&b.0));
            let weights: Vec<_> = parties.iter().map(|(.., weight)| weight.clone()).collect();
            let row = |((identity, owner, _), money): ((String, String, BigRational), Money)| {
                OracleRow { identity, owner, method: method.to_owned(), money }
            };
            return parties.into_iter().zip(split_money(whole, &weights)).map(row).collect();
        }
        let (identity, owner) = (UNALLOCATED.to_owned(), UNALLOCATED.to_owned());
        vec![OracleRow { identity, owner, method: "unallocated".to_owned(), money: whole.clone() }]
    }

    fn tier(&self, line: &BillingLineItem, tier: &Tier) -> Option<(&'static str, Weighted)> {
        let one = || BigRational::from_integer(1.into());
        match tier {
            Tier::Direct { fields } => {
                let named = |field: &&Field| {
                    self.field(line, field).is_some_and(|value| value != UNALLOCATED)
                };
                let field = fields.iter().find(named)?;
                let value = self.field(line, field)?;
                let kind = match field {
                    Field::Column(name) if name == "ResourceId" => "resource",
                    Field::Column(_) => "sub_account_id",
                    _ => "tag",
                };
                let owner = self.owner(&value)?;
                Some(("direct", vec![(format!("{kind}:{value}"), owner, one())]))
            }
            Tier::Even(Receivers::Group(group)) => {
                let weighted = self.config.groups[group].iter().map(|owner| (owner.clone(), one()));
                Some(("even", even(self.owners(weighted.collect())?)))
            }
            Tier::Even(Receivers::Set(ResolutionSet::ResourceActive)) => {
                let set = self.resolution(line)?.resource_active.iter();
                let set = set.map(|id| (id.clone(), one())).collect();
                let parties = self.identities(set)?;
                (!parties.is_empty()).then(|| ("even", even(parties)))
            }
            Tier::Stated(stated) => {
                let mut set = self.resolution(line)?.resource_active.clone();
                let of = |id: &str, kind: &String| id.starts_with(&format!("{kind}:"));
                set.retain(|id| stated.identity_types.iter().any(|kind| of(id, kind)));
                let parties = self.identities(set.into_iter().map(|id| (id, one())).collect())?;
                (!parties.is_empty()).then(|| ("stated", even(parties)))
            }
            Tier::UsageRatio(Usage::Metric(metrics)) => {
                if self.resolution(line)?.failed_metrics.iter().any(|m| metrics.contains(m)) {
                    return None;
                }
                let mut sums = BTreeMap::<String, BigRational>::new();
                for (metric, identity, value) in &self.resolution(line)?.usage {
                    if metrics.contains(metric) {
                        *sums.entry(identity.clone()).or_default() += rational(*value);
                    }
                }
                let zero = BigRational::default();
                if sums.values().sum::<BigRational>() <= zero {
                    return None;
                }
                let positive =
                    sums.into_iter().map(|(id, w)| (id, if w < zero { zero.clone() } else { w }));
                let parties = self.identities(positive.collect())?;
                let any = parties.iter().any(|(.., weight)| *weight > zero);
                any.then_some(("usage_ratio", parties))
            }
            Tier::Fixed(FixedShares::Inline(percents)) => {
                let weighted = percents.iter().map(|(owner, p)| (owner.clone(), rational(*p)));
                Some(("fixed", self.owners(weighted.collect())?))
            }
            Tier::InProportionToCost(share) => {
                Some(("in_proportion_to_cost", self.by_cost(line, share)?))
            }
            Tier::Resource => {
                let id = self.field(line, &field("ResourceId"))?;
                Some(("resource", vec![(format!("resource:{id}"), UNALLOCATED.to_owned(), one())]))
            }
            Tier::Unallocated(_) => {
                Some(("unallocated", vec![(UNALLOCATED.to_owned(), UNALLOCATED.to_owned(), one())]))
            }
            other => panic!("the oracle does not know {other:?}"),
        }
    }

    fn by_cost(&self, line: &BillingLineItem, share: &CostShare) -> Option<Weighted> {
        let CostShare::Ledger { of: None, within, to: None, .. } = share else {
            panic!("the oracle does not know {share:?}");
        };
        let key = |line: &BillingLineItem| {
            within.iter().map(|f| self.field(line, f)).collect::<Option<Vec<_>>>()
        };
        let (wanted, zero) = (key(line)?, BigRational::default());
        let mut sums = BTreeMap::<String, BigRational>::new();
        let mut currencies = std::collections::BTreeSet::new();
        for other in self.lines {
            let usage = self.field(other, &field("ChargeCategory")).as_deref() == Some("Usage");
            if !usage || key(other).as_ref() != Some(&wanted) {
                continue;
            }
            for row in self.allocate(other, true).into_iter().filter(|row| row.method == "direct") {
                *sums.entry(row.owner).or_default() += rational(row.money[0].unwrap());
                currencies.insert(other.currency);
            }
        }
        sums.retain(|_, sum| *sum > zero);
        let weighted = sums.into_iter().map(|(owner, w)| (format!("owner:{owner}"), owner, w));
        let weighted: Weighted = weighted.collect();
        (currencies.len() == 1 && !weighted.is_empty()).then_some(weighted)
    }

    fn resolution(&self, line: &BillingLineItem) -> Option<&IdentityResolution> {
        self.resolutions.iter().find(|r| Some(&r.key) == line.resolution_key.as_ref())
    }

    fn owner(&self, value: &str) -> Option<String> {
        let Some(owners) = &self.config.owners else { return Some(value.to_owned()) };
        let listed = owners
            .rows
            .iter()
            .find(|row| row.id == value || row.aliases.iter().any(|a| a == value));
        match listed {
            Some(row) => Some(row.id.clone()),
            None => (!owners.strict).then(|| value.to_owned()),
        }
    }

    fn owners(&self, weighted: Vec<(String, BigRational)>) -> Option<Weighted> {
        let mut sums = BTreeMap::<String, BigRational>::new();
        for (name, weight) in weighted {
            *sums.entry(self.owner(&name)?).or_default() += weight;
        }
        Some(sums.into_iter().map(|(owner, w)| (format!("owner:{owner}"), owner, w)).collect())
    }

    fn identities(&self, weighted: Vec<(String, BigRational)>) -> Option<Weighted> {
        let party = |(identity, weight): (String, BigRational)| {
            let owner = self.owner(identity.split_once(':').unwrap().1)?;
            Some((identity, owner, weight))
        };
        weighted.into_iter().map(party).collect()
    }
}

/// Repeated parties count once.
fn even(parties: Weighted) -> Weighted {
    let one = BigRational::from_integer(1.into());
    parties.into_iter().map(|(identity, owner, _)| (identity, owner, one.clone())).collect()
}

//! Distinct dimensions as columns.

use serde::{Deserialize, Serialize};

use super::{CostType, DimensionRef, Entry, RowDimension};
use crate::column::{ColumnError, IntColumn, TextBuilder, TextColumn, check_items};
use crate::time::BillingPeriod;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Dimensions {
    rule: TextColumn,
    tier: IntColumn,
    part: IntColumn,
    identity: TextColumn,
    owner: TextColumn,
    cost_type: IntColumn,
    method: TextColumn,
    detail: TextColumn,
    entry: IntColumn,
    #[serde(skip_serializing_if = "Option::is_none")]
    booking_period: Option<TextColumn>,
}

/// Collects [`Dimensions`].
#[derive(Debug, Default)]
pub(super) struct DimensionsBuilder {
    rule: TextBuilder,
    tier: Vec<u16>,
    part: Vec<u16>,
    identity: TextBuilder,
    owner: TextBuilder,
    cost_type: Vec<CostType>,
    method: TextBuilder,
    detail: TextBuilder,
    entry: Vec<Entry>,
    booking_period: Vec<Option<BillingPeriod>>,
}

impl DimensionsBuilder {
    /// Appends one; its place.
    pub(super) fn push(&mut self, dimension: DimensionRef<'_>) -> u32 {
        let place = self.tier.len() as u32;
        self.rule.push(Some(dimension.rule));
        self.tier.push(dimension.tier);
        self.part.push(dimension.part);
        self.identity.push(Some(dimension.identity));
        self.owner.push(Some(dimension.owner));
        self.cost_type.push(dimension.cost_type);
        self.method.push(Some(dimension.method));
        self.detail.push(dimension.detail);
        self.entry.push(dimension.entry);
        self.booking_period.push(dimension.booking_period);
        place
    }

    /// About as many bytes as they will have.
    pub(super) fn size(&self) -> usize {
        let texts = [&self.rule, &self.identity, &self.owner, &self.method, &self.detail];
        texts.iter().map(|texts| texts.size()).sum::<usize>() + 4 * self.tier.len()
    }

    pub(super) fn finish(self) -> Dimensions {
        let booking: Vec<_> =
            self.booking_period.iter().map(|period| period.map(|p| p.to_string())).collect();
        let some = booking.iter().any(Option::is_some);
        Dimensions {
            rule: self.rule.finish(),
            tier: self.tier.into_iter().map(i64::from).collect(),
            part: self.part.into_iter().map(i64::from).collect(),
            identity: self.identity.finish(),
            owner: self.owner.finish(),
            cost_type: self.cost_type.into_iter().map(|cost_type| cost_type as i64).collect(),
            method: self.method.finish(),
            detail: self.detail.finish(),
            entry: self.entry.into_iter().map(|entry| entry as i64).collect(),
            booking_period: some.then(|| booking.iter().map(Option::as_deref).collect()),
        }
    }
}

impl Dimensions {
    pub(super) fn open(&self) -> Result<Vec<RowDimension>, ColumnError> {
        let len = self.rule.len();
        check_items(len)?;
        for (name, column) in [
            ("rule", &self.rule),
            ("identity", &self.identity),
            ("owner", &self.owner),
            ("method", &self.method),
            ("detail", &self.detail),
        ] {
            column.check(name, len)?;
        }
        if let Some(column) = &self.booking_period {
            column.check("booking_period", len)?;
        }
        let (tier, part) = (self.tier.decode("tier", len)?, self.part.decode("part", len)?);
        let (cost, entry) =
            (self.cost_type.decode("cost_type", len)?, self.entry.decode("entry", len)?);
        let text = |column: &TextColumn, i| column.get(i).unwrap_or_default().to_owned();
        let dimension = |i: usize| {
            let booking = self
                .booking_period
                .as_ref()
                .and_then(|c| c.get(i))
                .map(str::parse)
                .transpose()
                .ok()?;
            Some(RowDimension {
                rule: text(&self.rule, i),
                tier: u16::try_from(tier[i]).ok()?,
                part: u16::try_from(part[i]).ok()?,
                identity: text(&self.identity, i),
                owner: text(&self.owner, i),
                cost_type: *[CostType::Usage, CostType::Shared]
                    .get(usize::try_from(cost[i]).ok()?)?,
                method: text(&self.method, i),
                detail: self.detail.get(i).map(str::to_owned),
                entry: *Entry::ALL.get(usize::try_from(entry[i]).ok()?)?,
                booking_period: booking,
            })
        };
        let damaged =
            ColumnError::Damaged { column: "dimensions", what: "a value that means nothing" };
        (0..len).map(dimension).collect::<Option<Vec<_>>>().ok_or(damaged)
    }
}

//! Distinct dimensions as columns.

use serde::{Deserialize, Serialize};

use super::{CostType, Entry, RowDimension};
use crate::column::{ColumnError, IntColumn, TextColumn, check_items};

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

impl Dimensions {
    pub(super) fn new(items: &[RowDimension]) -> Self {
        let booking: Vec<_> =
            items.iter().map(|d| d.booking_period.map(|p| p.to_string())).collect();
        let some = booking.iter().any(Option::is_some);
        Self {
            rule: items.iter().map(|d| Some(d.rule.as_str())).collect(),
            tier: items.iter().map(|d| i64::from(d.tier)).collect(),
            part: items.iter().map(|d| i64::from(d.part)).collect(),
            identity: items.iter().map(|d| Some(d.identity.as_str())).collect(),
            owner: items.iter().map(|d| Some(d.owner.as_str())).collect(),
            cost_type: items.iter().map(|d| d.cost_type as i64).collect(),
            method: items.iter().map(|d| Some(d.method.as_str())).collect(),
            detail: items.iter().map(|d| d.detail.as_deref()).collect(),
            entry: items.iter().map(|d| d.entry as i64).collect(),
            booking_period: some.then(|| booking.iter().map(Option::as_deref).collect()),
        }
    }

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

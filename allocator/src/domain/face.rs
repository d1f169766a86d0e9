//! What the rows of one answer have in common: everything of their dimension but the party.

use std::borrow::Cow;

use proto::config::Reason;
use proto::row::{ALLOCATION_FAILED, CostType, DimensionRef, Entry};

use super::error::LineError;
use super::notes::{Notes, NotesId, cut};
use super::party::Party;
use super::program::{Program, TierId, TierKind, UNALLOCATED_METHOD};

/// A dimension without its party.
#[derive(Debug, Clone)]
pub struct Face {
    /// Id of the rule.
    pub rule: String,
    /// Place of the tier.
    pub tier: u16,
    /// Part of a composition.
    pub part: u16,
    /// Usage or shared.
    pub cost_type: CostType,
    /// The tier's name, or what it states.
    pub method: Cow<'static, str>,
    /// Reason or detail. Where nobody pays it starts with the reason: `no_driver` or `no_driver: what was tried`.
    pub detail: Option<String>,
    /// Whether the tier is a `direct`: what it gives counts as weight of cost.
    pub direct: bool,
}

impl Face {
    /// Of what a tier gives after some that did not apply.
    pub fn of(program: &Program, tier: TierId, notes: &Notes, list: NotesId) -> Self {
        let compiled = &program.tiers[tier];
        let stated = &compiled.stated;
        let detail = match notes.stated(list, stated.detail.as_ref()) {
            Some(detail) => Some(detail.to_owned()),
            None if matches!(compiled.kind, TierKind::Resource) => {
                Some(notes.reason(list, reason(compiled.reason, notes, list)))
            }
            None => notes.detail(list),
        };
        let method = stated.method.clone().map(Cow::Owned);
        Self {
            rule: compiled.rule.clone(),
            tier: compiled.place,
            part: compiled.part,
            cost_type: stated.cost_type.unwrap_or(compiled.kind.cost_type()),
            method: method.unwrap_or(Cow::Borrowed(compiled.kind.method())),
            detail,
            direct: matches!(compiled.kind, TierKind::Direct(_)),
        }
    }

    /// Of a row that nobody pays. `pending`: what is still to come, if that is why.
    pub fn of_nobody(
        program: &Program,
        tier: TierId,
        notes: &Notes,
        list: NotesId,
        pending: Option<&str>,
    ) -> Self {
        let detail = match pending {
            Some(what) => notes.reason(list, &format!("{}: {what}", Reason::DriverPending)),
            None => notes.reason(list, reason(program.tiers[tier].reason, notes, list)),
        };
        Self {
            cost_type: CostType::Shared,
            method: Cow::Borrowed(UNALLOCATED_METHOD),
            detail: Some(detail),
            direct: false,
            ..Self::of(program, tier, notes, list)
        }
    }

    /// Of a line whose allocation failed.
    pub fn of_failure(rule: &str, error: &LineError) -> Self {
        Self {
            rule: rule.to_owned(),
            tier: 0,
            part: 0,
            cost_type: CostType::Shared,
            method: Cow::Borrowed(ALLOCATION_FAILED),
            detail: Some(cut(format!("{}: {error}", Reason::AllocationFailed))),
            direct: false,
        }
    }

    /// The whole dimension.
    pub fn with<'a>(&'a self, party: &'a Party) -> DimensionRef<'a> {
        DimensionRef {
            rule: &self.rule,
            tier: self.tier,
            part: self.part,
            identity: &party.identity,
            owner: &party.owner,
            cost_type: self.cost_type,
            method: &self.method,
            detail: self.detail.as_deref(),
            entry: Entry::Original,
            booking_period: None,
        }
    }
}

/// A value that the strict directory refused is not the same as no value.
fn reason(stated: Reason, notes: &Notes, list: NotesId) -> &'static str {
    if stated == Reason::Untagged && notes.unknown_owner(list) {
        Reason::UnknownOwner.as_str()
    } else {
        stated.as_str()
    }
}

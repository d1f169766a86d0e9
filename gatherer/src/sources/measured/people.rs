//! From labels to identities and teams: pure.

use proto::config::{Charge, ListedIdentity, MeasuredIdentities};

/// Type of who moves bytes.
pub const PRINCIPAL: &str = "principal";
/// Type of a team that is charged itself.
pub const TEAM: &str = "team";

/// `type:id`, as identities are named everywhere.
pub fn typed(kind: &str, id: &str) -> String {
    format!("{kind}:{id}")
}

/// The team of a principal.
pub fn team<'s>(identities: &'s MeasuredIdentities, principal: &str) -> &'s str {
    identities.teams.get(principal).unwrap_or(&identities.default_team)
}

/// The team of a listed identity.
pub fn team_of<'s>(identities: &'s MeasuredIdentities, listed: &'s ListedIdentity) -> &'s str {
    listed.team.as_deref().unwrap_or_else(|| team(identities, &listed.id))
}

/// Who is charged for what a principal does.
pub fn charged(identities: &MeasuredIdentities, principal: &str) -> String {
    match identities.charge {
        Charge::Principal => typed(PRINCIPAL, principal),
        Charge::Team => typed(TEAM, team(identities, principal)),
    }
}

/// Who is charged for what a listed identity does.
pub fn charged_listed(identities: &MeasuredIdentities, listed: &ListedIdentity) -> String {
    match identities.charge {
        Charge::Principal => typed(&listed.kind, &listed.id),
        Charge::Team => typed(TEAM, team_of(identities, listed)),
    }
}

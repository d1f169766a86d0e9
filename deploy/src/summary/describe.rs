//! One line about one thing that does not go on. Pure.

use crate::store::{Emission, Finding, Stuck};

/// One line about a date that waits.
#[must_use]
pub fn unit(unit: &Stuck) -> String {
    let ((tenant, source), date, state) = (&unit.key, &unit.date, &unit.state);
    let why = unit.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let tries = if unit.attempts > 0 {
        format!(", {} failed attempts", unit.attempts)
    } else {
        String::new()
    };
    format!("{tenant}/{source}/{date} ({state}{tries}){why}")
}

/// One line about an emission that is due.
#[must_use]
pub fn emission(emission: &Emission) -> String {
    let ((tenant, source), date, emitter) = (&emission.key, &emission.date, &emission.emitter);
    let why = emission.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    format!("{tenant}/{source}/{date} by {emitter}{why}")
}

/// One line about stored facts that are not what they were made of.
#[must_use]
pub fn finding(finding: &Finding) -> String {
    let Finding { key: (tenant, source), date, what, expected, found, since } = finding;
    format!(
        "{tenant}/{source}/{date} {what}: expected {expected}, found {found} (known since {since})"
    )
}

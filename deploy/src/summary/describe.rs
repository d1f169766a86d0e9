//! One line about one thing that does not go on. Pure.

use crate::store::{Emission, Stuck};

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

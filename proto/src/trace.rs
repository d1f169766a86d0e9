//! Which trace a piece of work belongs to.
//!
//! Everything that is done with the lines of one gather, by whatever process and however often, is one trace. Its ids
//! follow from the gather, so that nobody has to keep them: they outlive restarts, redeliveries and months.

use crate::hash::Hash128;
use crate::ids::{Generation, SourceId, TenantId};

/// The trace of a gather and its root span, as W3C Trace Context and OpenTelemetry number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// `trace-id`.
    pub id: [u8; 16],
    /// `parent-id` of what is done first in it.
    pub root: [u8; 8],
}

impl Trace {
    /// The trace of what a gather brought.
    #[must_use]
    pub fn of_gather(tenant: &TenantId, source: &SourceId, generation: Generation) -> Self {
        let number = generation.0.to_string();
        let hash =
            |what| Hash128::of_texts([what, tenant.as_str(), source.as_str(), number.as_str()]).0;
        let [a, b, c, d, e, f, g, h, ..] = hash("root");
        Self { id: hash("trace"), root: [a, b, c, d, e, f, g, h] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gather_has_one_trace_and_shares_it_with_no_other() {
        let of = |tenant: &str, source: &str, generation| {
            let (tenant, source) = (tenant.parse().unwrap(), source.parse().unwrap());
            Trace::of_gather(&tenant, &source, Generation(generation))
        };
        let one = of("acme", "aws", 7);
        assert_eq!(one, of("acme", "aws", 7));
        for other in [of("acme", "aws", 8), of("acme", "gcp", 7), of("acm", "eaws", 7)] {
            assert!(one.id != other.id && one.root != other.root);
        }
        assert!(one.id != [0; 16] && one.root != [0; 8]);
    }
}

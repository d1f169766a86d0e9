//! What a process shows of itself: metrics, and whether it lives and is ready. Nothing that works depends on it.
//!
//! | module | what |
//! |---|---|
//! | [`metrics`] | counters of this process, and the page that shows all metrics |
//! | [`sampled`] | gauges that the leading coordinator reads from the state, replaced as a whole |
//! | [`sums`] | gauges of exact sums of money |
//! | [`counts`] | what tasks and reports say about items and money (pure) |
//! | [`health`] | alive, ready |
//! | [`server`] | `/metrics`, `/health/live`, `/health/ready` over HTTP |

pub mod counts;
pub mod health;
pub mod metrics;
pub mod sampled;
pub mod server;
pub mod sums;

pub use health::Health;
pub use metrics::Metrics;

/// What a process shows of itself. Cheap to clone; all clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Observe {
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Alive, ready.
    pub health: Health,
}

/// The labels of one series, in a fixed order.
pub type Labels = Vec<(&'static str, String)>;

/// Labels from pairs of name and value.
pub(crate) fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

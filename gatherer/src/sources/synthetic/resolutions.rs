//! Who a synthetic source says caused its costs.

use proto::config::SyntheticSettings;
use proto::money::Amount;
use proto::resolution::IdentityResolution;
use proto::time::{UnitDate, UtcSeconds};

use super::{identity_id, next, resource_id, sequence};

/// Keeps the sequences of resolutions apart from those of lines, whose products are fewer.
const PLACE: u32 = u32::MAX;

/// The resolution of one resource on one date: `fanout` identities of the pool, each with some usage.
pub fn resolution(
    settings: &SyntheticSettings,
    date: UnitDate,
    resource: u32,
) -> IdentityResolution {
    let mut state = sequence(settings.seed, date, [resource, PLACE]);
    let pool = u64::from(settings.identities.max(1));
    let first = next(&mut state) % pool;
    let fanout = u64::from(settings.fanout).min(pool);
    let mut numbers: Vec<u64> = (0..fanout).map(|n| (first + n) % pool).collect();
    numbers.sort_unstable();
    let identities: Vec<String> = numbers.iter().map(|n| identity_id(*n)).collect();
    let usage = identities.iter().map(|identity| {
        let random = next(&mut state);
        let value = Amount::from_parts(i128::from(random % 999_999 + 1), (random >> 32) as u32 % 4);
        let value = value.expect("six digits and three decimals fit an amount");
        (SyntheticSettings::METRIC.to_owned(), identity.clone(), value)
    });
    IdentityResolution {
        key: resource_id(resource),
        window_start: date.start(),
        window_end: UtcSeconds(date.start().0 + 86_400),
        usage: usage.collect(),
        metrics_derived: identities.clone(),
        resource_active: identities,
        tenant_period: Vec::new(),
        failed_metrics: Vec::new(),
    }
}

//! How much each tenant may have out at a time: one tenant cannot starve the rest, nor a replay the live work.

use std::collections::BTreeMap;

use proto::ids::TenantId;
use proto::subject::Lane;

/// Tasks of one tenant that may be out at a time.
pub const TENANT_TASKS_MAX: i64 = 64;
/// Those of them that may be a replay's.
pub const TENANT_REPLAYS_MAX: i64 = TENANT_TASKS_MAX / 2;

/// How many more tasks each tenant may have out.
pub struct Budget {
    all: BTreeMap<String, i64>,
    replays: BTreeMap<String, i64>,
}

impl Budget {
    /// With what is out: per tenant, all tasks and those of replays.
    #[must_use]
    pub fn new(out: Vec<(String, i64, i64)>) -> Self {
        let replays = out.iter().map(|(tenant, _, replays)| (tenant.clone(), *replays)).collect();
        Self { all: out.into_iter().map(|(tenant, all, _)| (tenant, all)).collect(), replays }
    }

    /// Tenants that have as much out as they may: what else of theirs is due must not stand before others'.
    #[must_use]
    pub fn spent(&self, lane: Lane) -> Vec<String> {
        let spent = |out: &BTreeMap<String, i64>, most: i64| -> Vec<String> {
            let spent = out.iter().filter(|(_, out)| **out >= most);
            spent.map(|(tenant, _)| tenant.clone()).collect()
        };
        let mut all = spent(&self.all, TENANT_TASKS_MAX);
        if lane == Lane::Replay {
            all.extend(spent(&self.replays, TENANT_REPLAYS_MAX));
        }
        all
    }

    /// Takes one task; false when the tenant has as much out as it may.
    pub fn take(&mut self, tenant: &TenantId, lane: Lane) -> bool {
        let all = self.all.entry(tenant.as_str().to_owned()).or_default();
        if *all >= TENANT_TASKS_MAX {
            return false;
        }
        if lane == Lane::Replay {
            let replays = self.replays.entry(tenant.as_str().to_owned()).or_default();
            if *replays >= TENANT_REPLAYS_MAX {
                return false;
            }
            *replays += 1;
        }
        *all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_leaves_room_for_live_work() {
        let acme = TenantId::parse("acme").unwrap();
        let mut budget = Budget::new(vec![("acme".into(), 10, 2)]);
        let replays = std::iter::repeat_with(|| budget.take(&acme, Lane::Replay));
        assert_eq!(replays.take_while(|taken| *taken).count(), 30);
        assert_eq!((budget.spent(Lane::Live).len(), budget.spent(Lane::Replay).len()), (0, 1));
        let live = std::iter::repeat_with(|| budget.take(&acme, Lane::Live));
        assert_eq!(live.take_while(|taken| *taken).count(), 24);
        assert_eq!(budget.spent(Lane::Live), ["acme"]);
        assert!(budget.take(&TenantId::parse("other").unwrap(), Lane::Replay));
    }
}

//! Packing small units into tasks, so that thousands of them do not cost a message and a transaction each.

use proto::task::UNITS_MAX;

/// A task holds at most this many lines or rows in total (one unit may be larger on its own).
pub const ITEMS_MAX: u64 = 20_000;
/// …and at most this many batches, because their hashes travel in the task.
pub const BATCHES_MAX: u64 = 4_000;

/// Cuts units (items, batches) into groups, in order.
#[must_use]
pub fn pack<T>(units: Vec<T>, size: impl Fn(&T) -> (u64, u64)) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut held = (0_u64, 0_u64);
    for unit in units {
        let (items, batches) = size(&unit);
        let fits = groups.last().is_some_and(|group| {
            group.len() < UNITS_MAX
                && held.0 + items <= ITEMS_MAX
                && held.1 + batches <= BATCHES_MAX
        });
        match groups.last_mut() {
            Some(group) if fits => {
                group.push(unit);
                held = (held.0 + items, held.1 + batches);
            }
            _ => {
                groups.push(vec![unit]);
                held = (items, batches);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stay_within_their_limits_and_lose_nothing() {
        let units: Vec<u64> = (0..200).map(|i| if i % 50 == 0 { 50_000 } else { 300 }).collect();
        let groups = pack(units.clone(), |items| (*items, items / 1000));
        assert_eq!(groups.concat(), units);
        for group in groups {
            assert!(group.len() <= UNITS_MAX);
            assert!(group.len() == 1 || group.iter().sum::<u64>() <= ITEMS_MAX);
        }
        assert!(pack(Vec::<u64>::new(), |i| (*i, 0)).is_empty());
    }
}

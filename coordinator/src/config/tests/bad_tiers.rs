//! Tiers that say what they cannot, and parameters that do not add up.

use super::*;

#[test]
fn what_rows_say() {
    let rule = |tier: &str| format!("allocation: [ {{ id: r, chain: [ {tier} ] }} ]");
    one(
        &rule("{ even: resource_active, cost_type: used }"),
        "2:69: `cost_type` is \"used\" (known: usage, shared)",
    );
    one(
        &rule("{ even: resource_active, detail: No usage }"),
        "2:66: `detail` is \"No usage\" (write a word of at most 64 small letters, digits and _, such as no_metrics_located)",
    );
    one(
        &rule("{ direct: tag.team, identity_types: [user] }"),
        "2:69: `identity_types` stands beside `even` of a resolution's set only (remove it, or write `even: tenant_period` or another set)",
    );
    one(
        &rule("{ unallocated: no_rule, detail: mine }"),
        "2:33: `unallocated` always says its reason (move `cost_type`, `method`, `detail`, `identity_types` to the tier before)",
    );
    one(
        &rule("{ method: even_split }"),
        "2:33: the tier says what its rows say, but not what it does (add a tier: `even: SET`)",
    );
    one(&rule("{ resource: yes }"), "2:45: `resource` is \"yes\" (known: true)");
}

#[test]
fn allocator_parameters() {
    one(
        "allocator_params: { kafka_cku_usage_ratio: 0.6, kafka_cku_shared_ratio: 0.3 }",
        "2:19: `kafka_cku_usage_ratio` 0.6 and `kafka_cku_shared_ratio` 0.3 add to 0.9, not 1 (let them add to exactly 1, for instance `kafka_cku_shared_ratio: 0.4`)",
    );
    one(
        "allocator_params: { kafka_cku_usage_ratio: 0.7000000001 }",
        "2:19: `kafka_cku_usage_ratio` 0.7000000001 and `kafka_cku_shared_ratio` 0.3 (where nothing is stated) add to 1.0000000001, not 1 (let them add to exactly 1, for instance `kafka_cku_shared_ratio: 0.2999999999`)",
    );
    one(
        "allocator_params: { kafka_cku_usage_ratio: 70 }",
        "2:44: `kafka_cku_usage_ratio` is \"70\" (a ratio lies between 0 and 1: 0.7 is 70 percent)",
    );
    one(
        "allocator_params: { kafka_cku_usage_ration: 1 }",
        "2:21: unknown key `kafka_cku_usage_ration` in `allocator_params` (did you mean `kafka_cku_usage_ratio`?)",
    );
}

//! What ledger drivers cannot do.

use super::one;

#[test]
fn ledger_drivers_look_at_what_the_ledger_keeps_and_never_in_a_circle() {
    one(
        "allocation: [ { id: r, chain: [ { in_proportion_to_cost: { within: [tag.team] } } ] } ]",
        "2:21: rule `r`: `within` looks at tag.team, which the ledger does not keep (use source, product_type, InvoiceId, ResourceId, ServiceCategory, ProviderName, BillingAccountId, SubAccountId, ServiceName, ChargeCategory, ChargeClass, PricingUnit, ConsumedUnit)",
    );
    let text = "drivers:
  d: { ledger: { of: { ServiceName: { regex: x } } } }";
    one(
        text,
        "3:3: driver `d`: `of` compares ServiceName in a way that the ledger cannot (write texts, with * and ? if need be, present, absent or not)",
    );
    let circle = "allocation:
- { id: a, match: { ServiceName: A* }, chain: [ { in_proportion_to_cost: { of: { ServiceName: B1 } } } ] }
- { id: b, match: { ServiceName: B* }, chain: [ { in_proportion_to_cost: { of: { ServiceName: [C, A2] } } } ] }";
    one(
        circle,
        "3:9: rules count each other's cost in a circle: a → b → a (narrow `of`, so that one of them does not count the next)",
    );
}

//! What the columns of FOCUS files hold, where a format wants to know. Pure.

use super::columns::{Content, Version};
use crate::files::Kind;

/// Our own columns of costs.
const OWN_COSTS: [&str; 4] =
    ["x_OriginBilledCost", "x_OriginEffectiveCost", "x_OriginContractedCost", "x_OriginListCost"];
/// Our own columns of whole numbers.
const OWN_WHOLE: [&str; 3] = ["x_AllocationTier", "x_AllocationPart", "x_OriginRows"];

/// What the column of this name holds; one that is not known holds text.
#[must_use]
pub fn kind(name: &str) -> Kind {
    if OWN_COSTS.contains(&name) {
        return Kind::Cost;
    }
    if OWN_WHOLE.contains(&name) {
        return Kind::Whole;
    }
    let column = Version::V1_3.columns().iter().find(|column| column.name == name);
    match column.map(|column| column.content) {
        Some(Content::Cost(_) | Content::Split(_)) => Kind::Cost,
        Some(Content::Quantity(_) | Content::Number) => Kind::Decimal,
        Some(Content::Time(_)) => Kind::Time,
        Some(
            Content::Currency
            | Content::Json
            | Content::Object
            | Content::Allocated(_)
            | Content::Text(_),
        )
        | None => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::OWN;
    use super::*;

    #[test]
    fn columns_have_their_kinds() {
        let count = |kind_of: Kind| {
            let names = Version::V1_2.columns().iter().map(|column| column.name).chain(OWN);
            names.filter(|name| kind(name) == kind_of).count()
        };
        let kinds = [Kind::Cost, Kind::Decimal, Kind::Whole, Kind::Time];
        assert_eq!(kinds.map(count), [6 + 4, 6, 3, 4]);
        assert_eq!(kind("x_Anything"), Kind::Text);
    }
}

//! What FOCUS 1.3 says of a split line: the `Allocated` columns. Pure.
//!
//! | column | what stands in it |
//! |---|---|
//! | AllocatedMethodId | `RULE#TIER`, and `.PART` behind it for the second part of a composition and those after: one id for each way in which the rules share costs out |
//! | AllocatedMethodDetails | `Elements` with one element: the ratio, which adds up to exactly 1 over a line's rows, and in `x_` keys the share as a fraction, the method, the cost type, who caused it, and the detail |
//! | AllocatedResourceId, AllocatedResourceName | the owner; null where nobody pays |
//! | AllocatedTags | the line's tags and the owner, under [`OWNER_TAG`]; null where nobody pays |
//!
//! All are null on the one row of a line that nobody shares: its own owner has it whole, or nobody.

use proto::money::{Amount, Share};
use proto::row::UNALLOCATED;
use serde_json::{Map, Value};

use crate::emission::VisibleRow;
use crate::emission::texts::RowText;

/// The tag of the receiver.
pub const OWNER_TAG: &str = "apportion/owner";

/// Whether a line with these rows was split.
#[must_use]
pub fn is_split(rows: &[VisibleRow]) -> bool {
    match rows {
        [row] => row.why.owner != UNALLOCATED && row.why.method != "direct",
        _ => true,
    }
}

/// Who receives a row, if anybody does.
#[must_use]
pub fn receiver(why: &RowText) -> Option<&str> {
    Some(why.owner.as_str()).filter(|owner| *owner != UNALLOCATED)
}

/// Appends the id of the method.
pub fn method(why: &RowText, out: &mut Vec<u8>) {
    out.extend_from_slice(why.rule.as_bytes());
    out.push(b'#');
    out.extend_from_slice(why.tier.to_string().as_bytes());
    if why.part > 0 {
        out.push(b'.');
        out.extend_from_slice(why.part.to_string().as_bytes());
    }
}

/// Appends how much of its line a row is, and why.
pub fn details(why: &RowText, ratio: Amount, share: Share, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"Elements":[{"AllocatedRatio":"#);
    out.extend_from_slice(ratio.to_text().as_bytes());
    let share = share.to_string();
    let words = [
        ("x_Share", Some(share.as_str())),
        ("x_Method", Some(&why.method)),
        ("x_CostType", Some(&why.cost_type)),
        ("x_IdentityId", Some(&why.identity)),
        ("x_Detail", why.detail.as_deref()),
    ];
    for (key, word) in words {
        let Some(word) = word else { continue };
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        json(word, out);
    }
    out.extend_from_slice(b"}]}");
}

/// The line's tags, flat JSON, up to where the receiver's comes.
#[must_use]
pub fn tags_begun(flat: Option<&str>) -> String {
    let text = flat.unwrap_or("{}");
    let mut text = text.to_owned();
    // Theirs would be a second one of that name.
    if text.contains(OWNER_TAG)
        && let Ok(mut map) = serde_json::from_str::<Map<String, Value>>(&text)
    {
        map.remove(OWNER_TAG);
        text = Value::Object(map).to_string();
    }
    let begun = text.trim_ascii().strip_suffix('}').unwrap_or("{").trim_ascii_end();
    let between = if begun.ends_with('{') { "" } else { "," };
    format!("{begun}{between}\"{OWNER_TAG}\":")
}

/// Appends the tags of a receiver's row.
pub fn tags(begun: &str, owner: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(begun.as_bytes());
    json(owner, out);
    out.push(b'}');
}

/// Appends a text as JSON.
fn json(text: &str, out: &mut Vec<u8>) {
    let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(Value::from(text).to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> RowText {
        RowText {
            tier: 1,
            part: 0,
            identity: "user \"é\"".into(),
            owner: "team-a".into(),
            rule: "shared".into(),
            cost_type: "shared".into(),
            method: "even".into(),
            detail: Some("a\nb".into()),
            ..RowText::default()
        }
    }

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_part_says_how_it_came_about() {
        assert_eq!(text(|out| method(&why(), out)), "shared#1");
        assert_eq!(text(|out| method(&RowText { part: 2, ..why() }, out)), "shared#1.2");
        let (ratio, share) = (Amount::parse("0.3333333333").unwrap(), "1/3".parse().unwrap());
        let wanted = r#"{"Elements":[{"AllocatedRatio":0.3333333333,"x_Share":"1/3","x_Method":"even","x_CostType":"shared","x_IdentityId":"user \"é\"","x_Detail":"a\nb"}]}"#;
        assert_eq!(text(|out| details(&why(), ratio, share, out)), wanted);
        let bare = RowText { detail: None, identity: "u".into(), ..why() };
        let found = text(|out| details(&bare, Amount::ONE, Share::ONE, out));
        assert!(
            found.contains(r#""AllocatedRatio":1,"#) && found.ends_with(r#""u"}]}"#),
            "{found}"
        );
        assert_eq!(receiver(&why()), Some("team-a"));
        assert_eq!(receiver(&RowText { owner: UNALLOCATED.into(), ..why() }), None);
    }

    #[test]
    fn tags_are_the_lines_and_the_receivers() {
        for (flat, wanted) in [
            (None, r#"{"apportion/owner":"te\"am"}"#),
            (Some("{}"), r#"{"apportion/owner":"te\"am"}"#),
            (Some("{ }"), r#"{"apportion/owner":"te\"am"}"#),
            (
                Some(r#" { "b":1.10, "a":null } "#),
                r#"{ "b":1.10, "a":null,"apportion/owner":"te\"am"}"#,
            ),
            (
                Some(r#"{"apportion/owner":"x","a":"apportion/owner"}"#),
                r#"{"a":"apportion/owner","apportion/owner":"te\"am"}"#,
            ),
        ] {
            let found = text(|out| tags(&tags_begun(flat), "te\"am", out));
            assert_eq!(found, wanted);
            assert!(serde_json::from_str::<Value>(&found).is_ok());
        }
    }
}

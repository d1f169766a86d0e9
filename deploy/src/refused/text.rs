//! What was refused, for people and programs. Pure.

use anyhow::Result;
use proto::envelope;
use runtime::refused::Refused;
use serde_json::{Value, json};

use crate::summary::table;

/// Bytes of an unreadable message that are shown.
const BYTES_SHOWN: usize = 256;

/// `list`; `next` is the number of the first that is not shown.
#[must_use]
pub fn listed(found: &[Refused], next: Option<u64>) -> String {
    if found.is_empty() {
        return "nothing was refused\n".to_owned();
    }
    let row = |one: &Refused| {
        let bytes = one.payload.len().to_string();
        vec![one.at.clone(), one.subject.clone(), one.reason.clone(), one.number.to_string(), bytes]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    let mut text = table(&["refused at", "found at", "reason", "number", "bytes"], 3, &rows);
    if let Some(next) = next {
        text.push_str(&format!("\nthere are more: `apportion refused list --from {next}`\n"));
    }
    text.push_str("\n`apportion refused show NUMBER` shows what one holds; once the reason is mended, `apportion refused requeue NUMBER`\n");
    text
}

/// The same for programs.
///
/// # Errors
/// Never: it is written to memory.
pub fn listed_json(found: &[Refused], next: Option<u64>) -> Result<String> {
    let all: Vec<Value> = found.iter().map(about).collect();
    Ok(serde_json::to_string(&json!({"refused": all, "next": next}))? + "\n")
}

fn about(one: &Refused) -> Value {
    json!({
        "number": one.number,
        "at": one.at,
        "subject": one.subject,
        "reason": one.reason,
        "bytes": one.payload.len(),
    })
}

/// A message with what it holds, as far as it can be read.
///
/// # Errors
/// Never: it is written to memory.
pub fn shown(one: &Refused) -> Result<String> {
    let mut text = format!(
        "number      {}\nrefused at  {}\nfound at    {}\nreason      {}\nbytes       {}\n",
        one.number,
        one.at,
        one.subject,
        one.reason,
        one.payload.len()
    );
    let (header, body) = contents(one);
    match header {
        Some(header) => {
            text.push_str(&format!("header      {}\n", serde_json::to_string_pretty(&header)?));
        }
        None => text.push_str("header      cannot be read\n"),
    }
    match body {
        Some(body) => {
            text.push_str(&format!("body        {}\n", serde_json::to_string_pretty(&body)?))
        }
        None => text.push_str(&format!("bytes       {}\n", hex(&one.payload))),
    }
    Ok(text)
}

/// The same for programs.
///
/// # Errors
/// Never: it is written to memory.
pub fn shown_json(one: &Refused) -> Result<String> {
    let mut value = about(one);
    let (header, body) = contents(one);
    value["header"] = header.unwrap_or_default();
    value["body"] = body.unwrap_or_default();
    value["payload_hex"] = hex(&one.payload).into();
    Ok(serde_json::to_string(&value)? + "\n")
}

/// `requeue`.
#[must_use]
pub fn requeued(one: &Refused) -> String {
    format!("message {} is back at {}\n", one.number, one.subject)
}

/// Header and body, each where it can be read.
fn contents(one: &Refused) -> (Option<Value>, Option<Value>) {
    let Ok((header, body)) = envelope::decode_header(&one.payload) else { return (None, None) };
    (serde_json::to_value(header).ok(), rmp_serde::from_slice(body).ok())
}

fn hex(bytes: &[u8]) -> String {
    let shown: String = bytes.iter().take(BYTES_SHOWN).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > BYTES_SHOWN { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::envelope::Header;
    use proto::ids::{Attempt, Generation};
    use proto::task::{Restore, Task};

    fn refused(payload: Vec<u8>) -> Refused {
        Refused {
            number: 7,
            at: "2026-05-01T00:00:00Z".into(),
            subject: "apportion.v1.task.gather".into(),
            reason: "no such thing".into(),
            payload: payload.into(),
        }
    }

    #[test]
    fn what_can_be_read_is_shown_and_what_cannot_is_shown_as_bytes() {
        let header = Header::new::<Task>("acme".parse().unwrap(), Generation(3), Attempt(4));
        let mut bytes =
            envelope::encode(&header, &Task::Restore(Restore { units: Vec::new() })).unwrap();
        let text = shown(&refused(bytes.clone())).unwrap();
        assert!(text.contains("\"tenant\": \"acme\"") && text.contains("body        {"), "{text}");
        bytes.truncate(bytes.len() - 1);
        let text = shown(&refused(bytes)).unwrap();
        assert!(text.contains("\"generation\": 3") && text.contains("\nbytes       8"), "{text}");
        let text = shown(&refused(vec![0xc1; 300])).unwrap();
        assert!(text.contains("header      cannot be read\nbytes       c1c1"), "{text}");
        assert!(text.ends_with("c1…\n"), "{text}");
    }

    #[test]
    fn a_page_says_where_the_next_begins() {
        assert_eq!(listed(&[], None), "nothing was refused\n");
        let one = [refused(vec![1])];
        assert!(listed(&one, Some(9)).contains("`apportion refused list --from 9`"));
        let json: Value = serde_json::from_str(&listed_json(&one, None).unwrap()).unwrap();
        assert_eq!(
            (json["refused"][0]["number"].as_u64(), json["next"].is_null()),
            (Some(7), true)
        );
    }
}

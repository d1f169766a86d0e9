//! Answers in pages: all of them or none.

use std::collections::HashSet;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::client::{HttpClient, Question, plain};
use super::error::HttpError;

/// Most pages of one answer: a server that links on and on is not followed for ever.
const PAGES_MAX: usize = 100_000;

/// One page: `data`, and where the next one is.
#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    metadata: Metadata,
    data: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    next: Option<String>,
    #[serde(default)]
    total_size: Option<u64>,
}

/// Where an item stood: which page, from 1, and which item of it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Page.
    pub page: usize,
    /// Item.
    pub item: usize,
}

/// Asks for every page in turn, and hands each item to `take`. Numbers keep their text.
///
/// # Errors
/// When a page cannot be had, links to another server, comes a second time, or fewer items came than there are said
/// to be: what was taken then counts for nothing. What `take` answers otherwise.
pub async fn each<E: From<HttpError>>(
    client: &HttpClient,
    first: Question,
    take: &mut (dyn FnMut(Place, Value) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (mut question, mut items, mut total) = (first, 0_u64, 0_u64);
    let mut seen: HashSet<Url> = HashSet::new();
    for page in 1..=PAGES_MAX {
        let at = question.at();
        if !seen.insert(question.url().clone()) {
            let what = format!("page {page} links to a page that was read before");
            return Err(HttpError::Pages { at, what }.into());
        }
        let body = client.ask(&question).await?;
        let read: Page = serde_json::from_slice(&body).map_err(|error| HttpError::Malformed {
            at: at.clone(),
            what: format!("page {page} is no list: {error}"),
        })?;
        // The bytes are gone before the items are used.
        drop(body);
        total = total.max(read.metadata.total_size.unwrap_or_default());
        items += read.data.len() as u64;
        for (item, value) in read.data.into_iter().enumerate() {
            take(Place { page, item: item + 1 }, value)?;
        }
        match read.metadata.next.filter(|next| !next.is_empty()) {
            Some(next) => question = question.moved_to(link(question.url(), &next, &at)?),
            None if items < total => {
                let what = format!("{items} items came of the {total} that there are said to be");
                return Err(HttpError::Pages { at, what }.into());
            }
            None => return Ok(()),
        }
    }
    let what = format!("there are more than {PAGES_MAX} pages");
    Err(HttpError::Pages { at: question.at(), what }.into())
}

/// The address that a page links to, if it lies at the server that was asked.
fn link(from: &Url, next: &str, at: &str) -> Result<Url, HttpError> {
    let to = from.join(next).map_err(|error| HttpError::Malformed {
        at: at.to_owned(),
        what: format!("its link to the next page is no address: {error}"),
    })?;
    let same = to.scheme() == from.scheme()
        && to.host_str() == from.host_str()
        && to.port_or_known_default() == from.port_or_known_default()
        && to.username().is_empty()
        && to.password().is_none();
    if same { Ok(to) } else { Err(HttpError::ForeignLink { at: at.to_owned(), to: plain(&to) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_followed_to_the_same_server_only() {
        let from = Url::parse("https://api.confluent.cloud/billing/v1/costs?a=b").unwrap();
        let to = |next: &str| link(&from, next, "GET x").map(|url| url.to_string());
        let next = "https://api.confluent.cloud/billing/v1/costs?page_token=T";
        assert_eq!(to(next).unwrap(), next);
        assert_eq!(
            to("https://api.confluent.cloud:443/x").unwrap(),
            "https://api.confluent.cloud/x"
        );
        assert_eq!(to("?page_token=T").unwrap(), next);
        for foreign in [
            "https://api.confluent.cloud.evil.example/x?secret=1",
            "http://api.confluent.cloud/x",
            "https://api.confluent.cloud:8443/x",
            "//evil.example/x",
            "https://api.confluent.cloud@evil.example/x",
            "https://me:pw@api.confluent.cloud/x",
            "file:///etc/passwd",
        ] {
            let error = to(foreign).unwrap_err();
            assert!(matches!(error, HttpError::ForeignLink { .. }), "{foreign}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert!(matches!(to("https://[").unwrap_err(), HttpError::Malformed { .. }));
    }
}

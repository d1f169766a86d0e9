//! Servers that are asked over HTTP, and secrets, of which only the place is known here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a secret is found: `${VAR}` or `file:/path`. The secret itself is looked up by the process that uses it, so
/// it is never part of a configuration version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SecretPlace(String);

impl SecretPlace {
    /// Reads `${VAR}` or `file:/path`.
    ///
    /// # Errors
    /// How to write it; the text is not repeated, for it may be the secret.
    pub fn parse(text: &str) -> Result<Self, String> {
        let place = Self(text.to_owned());
        match (place.variable(), place.file()) {
            (None, None) => Err(
                "a secret is named, not written: put it into a variable and write ${VAR}, or into a file and write file:/path"
                    .to_owned(),
            ),
            _ => Ok(place),
        }
    }
    /// The variable of the environment that holds it, if one does.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        let name = self.0.strip_prefix("${")?.strip_suffix('}')?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let named = name.starts_with(|c: char| !c.is_ascii_digit()) && name.chars().all(legal);
        named.then_some(name)
    }
    /// The absolute path of the file that holds it, if one does.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.0.strip_prefix("file:").filter(|path| path.starts_with('/') && path.len() > 1)
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How to say who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpAuth {
    /// Not at all.
    #[default]
    None,
    /// By name and password.
    Basic {
        /// The name; of an API key, its id.
        username: String,
        /// The password; of an API key, its secret.
        password: SecretPlace,
    },
    /// By a token.
    Bearer {
        /// The token.
        token: SecretPlace,
    },
}

/// A server, and how patiently it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HttpServer {
    /// Address without credentials, query and fragment: `http://host:9090/prefix`.
    pub url: String,
    /// Who asks.
    #[serde(default)]
    pub auth: HttpAuth,
    /// Seconds for one attempt, from connecting to the end of the answer, 1 or more.
    pub timeout_seconds: u32,
    /// Attempts for one question, the first one included, 1 or more.
    pub attempts: u32,
    /// Questions at a time, 1 or more.
    pub concurrency: u32,
    /// The largest answer that is read, in bytes, 1 or more.
    pub response_bytes_max: u64,
}

impl HttpServer {
    /// Seconds for one attempt where nothing is configured.
    pub const TIMEOUT_SECONDS: u32 = 30;
    /// Attempts where nothing is configured.
    pub const ATTEMPTS: u32 = 5;
    /// Questions at a time where nothing is configured.
    pub const CONCURRENCY: u32 = 4;
    /// The largest answer where nothing is configured: about two million samples.
    pub const RESPONSE_BYTES_MAX: u64 = 64 << 20;

    /// A server that is asked without credentials, with all limits as where nothing is configured.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            auth: HttpAuth::None,
            timeout_seconds: Self::TIMEOUT_SECONDS,
            attempts: Self::ATTEMPTS,
            concurrency: Self::CONCURRENCY,
            response_bytes_max: Self::RESPONSE_BYTES_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_named_by_a_variable_or_a_file() {
        let place = |text: &str| SecretPlace::parse(text).unwrap();
        assert_eq!(place("${PROM_TOKEN}").variable(), Some("PROM_TOKEN"));
        assert_eq!(place("file:/run/secrets/token").file(), Some("/run/secrets/token"));
        for text in ["hunter2", "${A:-b}", "${9}", "${}", "x${A}", "file:token", "file:/", ""] {
            let error = SecretPlace::parse(text).unwrap_err();
            assert!(error.contains("${VAR}"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}

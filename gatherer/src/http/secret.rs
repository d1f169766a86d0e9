//! Secrets: looked up where they are used, printed nowhere.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use proto::config::{HttpAuth, SecretPlace};

use super::error::HttpError;

/// Most bytes of a file that holds a secret.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// What stands where a secret would.
const HIDDEN: &str = "***";

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Secret {
    /// Looks it up. Line ends at its end are not part of it.
    ///
    /// # Errors
    /// When there is none, or an empty one.
    pub fn look_up(place: &SecretPlace) -> Result<Self, HttpError> {
        let error = |why: String| HttpError::Secret { place: place.to_string(), why };
        let text = match (place.variable(), place.file()) {
            (Some(name), _) => std::env::var(name)
                .map_err(|_| error(format!("the variable {name} is not set: export it")))?,
            (None, Some(path)) => {
                let io = |e: std::io::Error| error(format!("the file cannot be read: {e}"));
                if std::fs::metadata(path).map_err(io)?.len() > FILE_BYTES_MAX {
                    let why = format!("the file is larger than {FILE_BYTES_MAX} bytes");
                    return Err(error(why));
                }
                std::fs::read_to_string(path).map_err(io)?
            }
            (None, None) => return Err(error("write ${VAR} or file:/path".to_owned())),
        };
        let text = text.trim_end_matches(['\n', '\r']);
        if text.is_empty() {
            return Err(error("it is empty".to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nobody in particular.
    None,
    /// By name and password.
    Basic(String, Secret),
    /// By a token.
    Bearer(Secret),
}

impl Credentials {
    /// Looks them up.
    ///
    /// # Errors
    /// When a secret cannot be had.
    pub fn look_up(auth: &HttpAuth) -> Result<Self, HttpError> {
        Ok(match auth {
            HttpAuth::None => Self::None,
            HttpAuth::Basic { username, password } => {
                Self::Basic(username.clone(), Secret::look_up(password)?)
            }
            HttpAuth::Bearer { token } => Self::Bearer(Secret::look_up(token)?),
        })
    }

    /// Adds them to a request.
    pub fn add_to(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match self {
            Self::None => request,
            Self::Basic(name, password) => request.basic_auth(name, Some(&password.0)),
            Self::Bearer(token) => request.bearer_auth(&token.0),
        }
    }

    /// A text of the server without what was sent to it, should it repeat that.
    #[must_use]
    pub fn hide_in(&self, text: &str) -> String {
        let (secret, sent) = match self {
            Self::None => return text.to_owned(),
            Self::Basic(name, password) => {
                (password, BASE64.encode(format!("{name}:{}", password.0)))
            }
            Self::Bearer(token) => (token, token.0.clone()),
        };
        text.replace(&secret.0, HIDDEN).replace(&sent, HIDDEN)
    }
}

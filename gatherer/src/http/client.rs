//! The client of one server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::Timestamp;
use proto::config::HttpServer;
use proto::fault::chain;
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, Url};
use tokio::sync::Semaphore;

use super::error::HttpError;
use super::patience::{Patience, asked_pause};
use super::secret::Credentials;

/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 4 * 1024;
/// Characters of a refusal that are told.
const REFUSAL_CHARS: usize = 300;
/// Seconds for a connection to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// Asks one server. Clones share its limits.
#[derive(Debug, Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    base: Url,
    credentials: Credentials,
    server: HttpServer,
    patience: Patience,
    /// Questions that may be under way.
    free: Arc<Semaphore>,
}

/// A question: it changes nothing at the server, so it may be asked twice.
#[derive(Debug, Clone)]
pub struct Question {
    method: Method,
    url: Url,
    body: Option<(&'static str, String)>,
}

impl Question {
    /// Where, for people: without query and credentials.
    #[must_use]
    pub fn at(&self) -> String {
        format!("{} {}", self.method, plain(&self.url))
    }
    /// Its address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }
    /// The same question with another address.
    #[must_use]
    pub(super) fn moved_to(&self, url: Url) -> Self {
        Self { url, ..self.clone() }
    }
}

impl HttpClient {
    /// The client of a server.
    ///
    /// # Errors
    /// When its address is none, or a secret cannot be had.
    pub fn new(server: &HttpServer) -> Result<Self, HttpError> {
        Self::with_patience(server, Patience::default())
    }

    /// The same with other pauses.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(server: &HttpServer, patience: Patience) -> Result<Self, HttpError> {
        let base = base(&server.url)?;
        // The whole program uses one implementation of TLS; a second caller finds it there already.
        if rustls::crypto::CryptoProvider::get_default().is_none()
            && rustls::crypto::ring::default_provider().install_default().is_err()
        {
            tracing::debug!("another thread has just set up TLS");
        }
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("apportion/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(Duration::from_secs(server.timeout_seconds.max(1).into()));
        if is_here(&base) {
            builder = builder.no_proxy();
        }
        let inner = builder.build().map_err(|error| {
            HttpError::Settings(format!("HTTP cannot be set up: {}", chain(&error)))
        })?;
        Ok(Self {
            inner,
            base,
            credentials: Credentials::look_up(&server.auth)?,
            server: server.clone(),
            patience,
            free: Arc::new(Semaphore::new(server.concurrency.max(1) as usize)),
        })
    }

    /// Reads `path`, below the server's address.
    #[must_use]
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Question {
        Question { method: Method::GET, url: self.url(path, query), body: None }
    }

    /// Asks `path` with a form.
    #[must_use]
    pub fn form(&self, path: &str, form: &[(&str, &str)]) -> Question {
        // A form is written as a query is.
        let written = self.url(path, form).query().unwrap_or_default().to_owned();
        let body = Some(("application/x-www-form-urlencoded", written));
        Question { method: Method::POST, url: self.url(path, &[]), body }
    }

    /// Asks `path` with a JSON document.
    #[must_use]
    pub fn json(&self, path: &str, document: &serde_json::Value) -> Question {
        let body = Some(("application/json", document.to_string()));
        Question { method: Method::POST, url: self.url(path, &[]), body }
    }

    fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/{}", path.trim_start_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Asks until there is an answer, or none is to be expected any more; the whole body of the answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ask(&self, question: &Question) -> Result<Vec<u8>, HttpError> {
        let attempts = AtomicU32::new(0);
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.patience.first)
            .with_max_delay(self.patience.longest)
            .with_max_times(self.server.attempts.saturating_sub(1) as usize)
            .with_jitter();
        let attempt = || {
            attempts.fetch_add(1, Ordering::Relaxed);
            self.attempt(question)
        };
        let answer = attempt
            .retry(pauses)
            .when(HttpError::is_transient)
            .adjust(|error: &HttpError, planned| self.patience.pause(planned, error.asked_pause()))
            .notify(|error: &HttpError, pause: Duration| {
                tracing::warn!(%error, ?pause, "asking again");
            })
            .await;
        answer.map_err(|last| match attempts.load(Ordering::Relaxed) {
            0 | 1 => last,
            attempts => HttpError::GaveUp { attempts, last: Box::new(last) },
        })
    }

    async fn attempt(&self, question: &Question) -> Result<Vec<u8>, HttpError> {
        // Held while asking, not while pausing.
        let _free = self.free.acquire().await.expect("this semaphore is never closed");
        let request = self.inner.request(question.method.clone(), question.url.clone());
        let response = self
            .with_body(self.credentials.add_to(request), question)
            .send()
            .await
            .map_err(|error| self.broken(question, error))?;
        let status = response.status();
        if status.is_success() {
            return self.body(question, response).await;
        }
        if let Some(to) = response.headers().get(LOCATION).filter(|_| status.is_redirection()) {
            let to = to.to_str().ok().and_then(|to| question.url.join(to).ok());
            let to = to.map_or("an address that is none".to_owned(), |to| plain(&to));
            return Err(HttpError::Redirect { at: question.at(), to });
        }
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let wait = asked_pause(header, Timestamp::now());
        let said = self.refusal(response).await;
        Err(HttpError::Status { at: question.at(), status: status.as_u16(), said, wait })
    }

    fn with_body(&self, request: RequestBuilder, question: &Question) -> RequestBuilder {
        match &question.body {
            Some((kind, body)) => request.header(CONTENT_TYPE, *kind).body(body.clone()),
            None => request,
        }
    }

    /// The body, never more of it than the limit.
    async fn body(&self, question: &Question, mut from: Response) -> Result<Vec<u8>, HttpError> {
        let max = self.server.response_bytes_max;
        let too_large = || HttpError::TooLarge { at: question.at(), max };
        let declared = from.content_length().unwrap_or_default();
        if declared > max {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(declared as usize);
        while let Some(chunk) = from.chunk().await.map_err(|error| self.broken(question, error))? {
            if (body.len() + chunk.len()) as u64 > max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The beginning of what a refusal says: one line, without secrets. A refusal that breaks off says less.
    async fn refusal(&self, mut from: Response) -> String {
        let mut body = Vec::new();
        while body.len() < REFUSAL_BYTES_MAX {
            match from.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(REFUSAL_BYTES_MAX);
        let text = self.credentials.hide_in(&String::from_utf8_lossy(&body));
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ").chars().take(REFUSAL_CHARS).collect()
    }

    fn broken(&self, question: &Question, error: reqwest::Error) -> HttpError {
        let at = question.at();
        if error.is_timeout() && !error.is_connect() {
            return HttpError::TimedOut { at, seconds: self.server.timeout_seconds };
        }
        // Without its address, whose query may say what is nobody else's business.
        let what = self.credentials.hide_in(&chain(&error.without_url()));
        HttpError::Transport { at, what }
    }
}

/// Reads the address of a server.
fn base(text: &str) -> Result<Url, HttpError> {
    let wrong = |what: &str| HttpError::Settings(format!("`url` {what}"));
    let url = Url::parse(text).map_err(|error| {
        wrong(&format!("is no address ({error}): write http://HOST:PORT or https://HOST"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is no address of a web server: write http://HOST:PORT or https://HOST"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("holds credentials: give them as `username` and `password`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("holds a query: end it with the path"));
    }
    Ok(url)
}

/// Whether the server runs on this machine: then no proxy lies between.
fn is_here(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An address for people: without query and credentials.
#[must_use]
pub(super) fn plain(url: &Url) -> String {
    let port = url.port().map_or(String::new(), |port| format!(":{port}"));
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

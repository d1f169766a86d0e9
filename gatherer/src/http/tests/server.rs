//! A server that answers as a test tells it, byte for byte: also what no honest server would.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET`, `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Headers by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: String,
    /// When.
    pub at: Instant,
}

impl Asked {
    /// The path.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
    /// A value of the query or of a form.
    pub fn value(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let text = if self.method == "POST" { self.body.as_str() } else { query };
        let url = reqwest::Url::parse(&format!("http://x/?{text}")).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What the server does about a request.
pub enum Act {
    /// Status, headers, body.
    Reply(u16, Vec<(&'static str, String)>, String),
    /// Says that `0` bytes come, sends fewer, and closes.
    Cut(usize, String),
    /// Sends chunks without an end, as long as anybody listens.
    Endless,
    /// Never answers.
    Hang,
    /// Closes without a word.
    Close,
    /// Answers once the test says so.
    Wait(Arc<Notify>, String),
}

impl Act {
    /// A good answer.
    pub fn ok(body: impl Into<String>) -> Self {
        Self::Reply(200, Vec::new(), body.into())
    }
    /// An answer with a status only.
    pub fn status(status: u16) -> Self {
        Self::Reply(status, Vec::new(), String::new())
    }
}

/// See the module.
pub struct Server {
    /// Its address.
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    most: Arc<AtomicUsize>,
}

impl Server {
    /// Starts it: `script` is given every request with its number, from 0.
    pub async fn start(script: impl Fn(usize, &Asked) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, most) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::<AtomicUsize>::default());
        let server = Self { url, asked: asked.clone(), most: most.clone() };
        let (script, now) = (Arc::new(script), Arc::<AtomicUsize>::default());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (script, asked) = (script.clone(), asked.clone());
                let (now, most) = (now.clone(), most.clone());
                tokio::spawn(async move {
                    let Some(request) = read(&mut stream).await else { return };
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let number = {
                        let mut asked = asked.lock().unwrap();
                        asked.push(request.clone());
                        asked.len() - 1
                    };
                    act(&mut stream, script(number, &request), &now).await;
                });
            }
        });
        server
    }

    /// What was asked until now.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Most requests that were open at a time.
    pub fn most_at_a_time(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    Some(Asked { method, target, headers, body, at: Instant::now() })
}

async fn act(stream: &mut TcpStream, act: Act, now: &AtomicUsize) {
    let head = |status: u16, length: usize, headers: &[(&str, String)]| {
        let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        format!(
            "HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        )
    };
    let answer = match act {
        Act::Reply(status, headers, body) => head(status, body.len(), &headers) + &body,
        Act::Cut(length, body) => head(200, length, &[]) + &body,
        Act::Wait(told, body) => {
            told.notified().await;
            head(200, body.len(), &[]) + &body
        }
        Act::Close => String::new(),
        Act::Endless => {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut open = stream.write_all(head.as_bytes()).await.is_ok();
            let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
            while open {
                open = stream.write_all(chunk.as_bytes()).await.is_ok();
            }
            String::new()
        }
        Act::Hang => {
            // Until the other side has had enough.
            let mut byte = [0];
            while stream.read(&mut byte).await.is_ok_and(|read| read > 0) {}
            String::new()
        }
    };
    now.fetch_sub(1, Ordering::SeqCst);
    // Whoever went away does not want it.
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        stream.shutdown().await.unwrap_or_default();
    }
}

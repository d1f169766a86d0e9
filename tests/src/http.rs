//! A server that answers over HTTP as a test tells it, with the faults that a real one has.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

/// The answer to a GET, head and all; empty where nobody answers yet.
#[must_use]
pub fn get(address: impl ToSocketAddrs, path: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().unwrap_or_default()
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The path, without its query.
    pub path: String,
    /// The query, as it stands in the address.
    pub query: String,
    /// Path and query.
    pub target: String,
    /// The value of `authorization`.
    pub authorization: String,
    /// What it brought.
    pub body: Vec<u8>,
}

impl Asked {
    /// A value of the query; nothing in it is escaped.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// What the server does about a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A document.
    Json(Value),
    /// A status without a document, and how many seconds to wait.
    Status(u16, Option<u32>),
    /// Says that more comes than does, and closes.
    Cut,
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// See the module. It ends with the test's process.
pub struct HttpServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl HttpServer {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port")?;
        let address = listener.local_addr()?;
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (script, seen): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&asked));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let (script, seen) = (Arc::clone(&script), Arc::clone(&seen));
                std::thread::spawn(move || {
                    // Whoever went away does not want it.
                    if let Err(error) = serve(stream, script.as_ref(), &seen) {
                        eprintln!("a request was not answered: {error:#}");
                    }
                });
            }
        });
        Ok(Self { address, asked })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked since this was last asked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn serve(stream: TcpStream, script: &Script, seen: &Mutex<Vec<Asked>>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(());
    }
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut authorization, mut length) = (String::new(), 0_u64);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_lowercase().as_str() {
            "authorization" => value.trim().clone_into(&mut authorization),
            "content-length" => length = value.trim().parse()?,
            _ => {}
        }
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let asked = Asked { path, query, target: target.clone(), authorization, body };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
    let (status, wait, body, length) = match script(&asked) {
        Answer::Json(body) => {
            let body = body.to_string();
            let length = body.len();
            (200, None, body, length)
        }
        Answer::Status(status, wait) => (status, wait, String::new(), 0),
        Answer::Cut => (200, None, "{\"data\":[".to_owned(), 5_000),
    };
    let wait = wait.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let mut stream = &stream;
    write!(
        stream,
        "HTTP/1.1 {status} Status\r\nconnection: close\r\ncontent-length: {length}\r\n{wait}\r\n{body}"
    )?;
    Ok(())
}

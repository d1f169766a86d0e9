//! The first words of a NATS connection: what the server says of itself, and whether it lets us in.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// The part of a server's `INFO` that we need.
#[derive(Debug, Deserialize)]
pub struct Info {
    /// Server version, such as `2.15.1`.
    pub version: String,
    /// Is JetStream on?
    #[serde(default)]
    pub jetstream: bool,
}

/// Connects to `address` (`host:port`) and reads the server's `INFO`; with a token also logs in.
pub fn hello(address: &str, token: Option<&str>, limit: Duration) -> Result<Info> {
    let mut last = None;
    for socket in address.to_socket_addrs().with_context(|| format!("cannot resolve {address}"))? {
        match TcpStream::connect_timeout(&socket, limit) {
            Ok(stream) => return talk(&stream, token, limit),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).context("no connection"),
        None => bail!("{address} resolves to no address"),
    }
}

fn talk(mut stream: &TcpStream, token: Option<&str>, limit: Duration) -> Result<Info> {
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let mut reader = BufReader::new(stream);
    let line = read_line(&mut reader)?;
    let info = line.strip_prefix("INFO ").context("it does not answer like a NATS server")?;
    let info: Info = serde_json::from_str(info).context("unreadable INFO")?;
    if let Some(token) = token {
        let connect = serde_json::json!({
            "verbose": false, "pedantic": false, "lang": "rust", "version": "0", "auth_token": token,
        });
        stream.write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes())?;
        let answer = read_line(&mut reader)?;
        ensure!(answer == "PONG", "refused: {answer}");
    }
    Ok(info)
}

fn read_line(reader: &mut BufReader<&TcpStream>) -> Result<String> {
    use std::io::Read;
    let mut line = String::new();
    // An INFO line is a few hundred bytes; whatever floods us is no NATS server.
    reader.take(64 * 1024).read_line(&mut line).context("no answer")?;
    ensure!(line.ends_with('\n'), "the connection was closed");
    Ok(line.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn server(says: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(says.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn info_is_read_and_strangers_are_told_apart() {
        let limit = Duration::from_secs(5);
        let info =
            hello(&server("INFO {\"version\":\"2.10.4\",\"x\":1}\r\n"), None, limit).unwrap();
        assert_eq!((info.version.as_str(), info.jetstream), ("2.10.4", false));
        let error = hello(&server("HTTP/1.1 400 Bad Request\r\n"), None, limit).unwrap_err();
        assert!(format!("{error:#}").contains("does not answer like a NATS server"));
        let error = hello(&server("INFO"), None, limit).unwrap_err();
        assert!(format!("{error:#}").contains("closed"));
    }
}

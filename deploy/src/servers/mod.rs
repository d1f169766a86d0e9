//! The two servers: embedded ones as children, or given ones by `NATS_URL` and `DATABASE_URL`.

mod cluster;
pub mod dump;
pub mod find;
pub mod given;
mod hello;
mod nats;
mod orphans;
mod postgres;
mod socket;
mod stuck;
mod version;

pub use cluster::forsaken;
pub use nats::{EmbeddedNats, NatsOptions};
pub use postgres::{EmbeddedPostgres, PostgresOptions};
pub use version::Version;

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::process::guard::open_lock;

/// Is `port` free on loopback? Says which option to change when it is not.
fn require_free(port: u16, option: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} on 127.0.0.1 is in use by another program: choose another with {option}, or leave it out"
            )
        }
        Err(error) => Err(error)
            .with_context(|| format!("cannot listen on port {port} of 127.0.0.1 ({option})")),
    }
}

/// Does no process hold the lock that the server and its descendants inherit?
fn is_free(lock: &Path) -> Result<bool> {
    let file: File = open_lock(lock)?;
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot try lock {}", lock.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_named_with_its_option() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let message = format!("{:#}", require_free(port, "--nats-port").unwrap_err());
        assert!(message.contains(&format!("port {port} on 127.0.0.1 is in use")), "{message}");
        assert!(message.contains("--nats-port"), "{message}");
        // Servers of other tests take ports meanwhile, and a process that is being started holds this one for a moment:
        // of many that were given back, one is free.
        drop(taken);
        let given_back = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        assert!((0..100).any(|_| require_free(given_back(), "--nats-port").is_ok()));
    }

    #[test]
    fn a_held_lock_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert!(is_free(&path).unwrap());
        let holder = open_lock(&path).unwrap();
        holder.lock().unwrap();
        assert!(!is_free(&path).unwrap());
        drop(holder);
        assert!(is_free(&path).unwrap());
    }
}

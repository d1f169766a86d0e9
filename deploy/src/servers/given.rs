//! Servers that the user runs: `NATS_URL` and `DATABASE_URL`, checked before anything uses them.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgres::NoTls;

use super::find::{NATS_FLOOR, POSTGRES_MAJORS};
use super::hello::{Info, hello};
use super::version::Version;

const LIMIT: Duration = Duration::from_secs(5);
const DEFAULT_PORT: u16 = 4222;

/// Checks version and JetStream of the first server of `url` (one, or several with commas) that answers.
/// Says what it found, without secrets.
pub fn check_nats(url: &str) -> Result<String> {
    let addresses: Vec<String> =
        url.split(',').map(|one| address(one.trim())).collect::<Result<_>>()?;
    let mut failures = Vec::new();
    for address in &addresses {
        match hello(address, None, LIMIT) {
            Ok(info) => {
                judge_nats(&info).with_context(|| format!("NATS_URL ({address})"))?;
                return Ok(format!("nats-server {} at {address}", info.version));
            }
            Err(error) => failures.push(format!("{address}: {error:#}")),
        }
    }
    bail!(
        "no NATS server answers at NATS_URL ({}): start one, or unset NATS_URL",
        failures.join("; ")
    )
}

fn judge_nats(info: &Info) -> Result<()> {
    let version = Version::find(&info.version);
    let fits = version.is_some_and(|version| version >= NATS_FLOOR);
    ensure!(
        fits,
        "nats-server {} is older than {NATS_FLOOR} and loses acknowledged messages at power loss: upgrade it, and set \
         `sync_interval: always` in its jetstream block",
        info.version
    );
    ensure!(
        info.jetstream,
        "JetStream is off: start nats-server with a `jetstream` block and `sync_interval: always` in it"
    );
    Ok(())
}

/// `host:port` of one NATS URL.
fn address(url: &str) -> Result<String> {
    let rest = match url.split_once("://") {
        Some(("nats" | "tls", rest)) => rest,
        Some((scheme, _)) => bail!(
            "NATS_URL: scheme `{scheme}` is not supported: write nats://HOST:PORT or tls://HOST:PORT"
        ),
        None => url,
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host).trim_end_matches('/');
    ensure!(!host.is_empty(), "NATS_URL names no host: write nats://HOST:PORT");
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Ok(if has_port { host.to_owned() } else { format!("{host}:{DEFAULT_PORT}") })
}

/// Checks version and encoding of the database at `url`. Says what it found, without secrets.
pub fn check_database(url: &str) -> Result<String> {
    // On a thread of its own, because this client must not be used on a thread that already runs async code.
    std::thread::scope(|scope| scope.spawn(|| look_at_database(url)).join())
        .map_err(|_| anyhow::anyhow!("the Postgres client panicked"))?
}

fn look_at_database(url: &str) -> Result<String> {
    let mut config: postgres::Config = url.parse().context("DATABASE_URL is no Postgres URL")?;
    let mut client = config
        .connect_timeout(LIMIT)
        .connect(NoTls)
        .context("no database answers at DATABASE_URL: start it, or unset DATABASE_URL")?;
    let row = client.query_one(
        "select current_database()::text, current_setting('server_encoding'), current_setting('server_version_num')",
        &[],
    )?;
    let (name, encoding, number): (String, String, String) = (row.get(0), row.get(1), row.get(2));
    let number: u64 = number.parse().context("server_version_num is no number")?;
    judge_database(&name, &encoding, number / 10_000)?;
    Ok(format!("PostgreSQL {}.{}, database {name}", number / 10_000, number % 10_000))
}

fn judge_database(name: &str, encoding: &str, major: u64) -> Result<()> {
    ensure!(
        major >= *POSTGRES_MAJORS.start(),
        "DATABASE_URL: PostgreSQL {major} is older than {}: upgrade the server",
        POSTGRES_MAJORS.start()
    );
    if !POSTGRES_MAJORS.contains(&major) {
        tracing::warn!(
            "PostgreSQL {major} is newer than what is tested ({})",
            POSTGRES_MAJORS.end()
        );
    }
    ensure!(
        encoding == "UTF8",
        "database {name} is not UTF8 but {encoding}: make another with \
         `create database apportion encoding 'UTF8' locale 'C.UTF-8' template template0` and name it in DATABASE_URL"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_nats_urls() {
        assert_eq!(address("nats://a.example:4333").unwrap(), "a.example:4333");
        assert_eq!(address("nats://user:pa@ss@h/").unwrap(), "h:4222");
        assert_eq!(address("tls://[::1]").unwrap(), "[::1]:4222");
        assert_eq!(address("localhost").unwrap(), "localhost:4222");
        assert!(
            address("http://x").unwrap_err().to_string().contains("scheme `http` is not supported")
        );
        assert!(address("nats://").is_err());
    }

    #[test]
    fn old_servers_and_missing_jetstream_are_named() {
        let info = |version: &str, jetstream| Info { version: version.into(), jetstream };
        assert!(judge_nats(&info("2.15.1", true)).is_ok());
        let message = judge_nats(&info("2.10.27", true)).unwrap_err().to_string();
        assert!(
            message.contains("2.10.27 is older than 2.15.0") && message.contains("sync_interval"),
            "{message}"
        );
        assert!(
            judge_nats(&info("2.15.1", false))
                .unwrap_err()
                .to_string()
                .contains("JetStream is off")
        );
        assert!(judge_nats(&info("unknown", true)).is_err());
    }

    #[test]
    fn a_database_that_is_not_utf8_is_refused_with_the_fix() {
        assert!(judge_database("bills", "UTF8", 15).is_ok());
        let message = judge_database("bills", "SQL_ASCII", 15).unwrap_err().to_string();
        assert!(message.contains("database bills is not UTF8 but SQL_ASCII"), "{message}");
        assert!(message.contains("create database"), "{message}");
        assert!(judge_database("bills", "UTF8", 13).is_err());
    }

    #[test]
    fn nobody_there_is_said_without_the_secret() {
        let message = format!("{:#}", check_nats("nats://s3cret@127.0.0.1:1").unwrap_err());
        assert!(message.contains("127.0.0.1:1") && !message.contains("s3cret"), "{message}");
    }
}

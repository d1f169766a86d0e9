//! The schema: forward-only migrations, embedded, run under an advisory lock by blocking tools.

use postgres::{Client, NoTls};
use proto::ids::Generation;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection, or a statement failed.
    #[error("failed to {what}")]
    Sql {
        /// Which operation.
        what: &'static str,
        /// Postgres' own words.
        #[source]
        error: postgres::Error,
    },
    /// A migration failed.
    #[error("failed to migrate the database")]
    Migration(#[from] refinery::Error),
    /// Text would be damaged.
    #[error(
        "database {database} is encoded in {encoding}, not UTF8: create one with `createdb -E UTF8 -T template0 NAME` and point DATABASE_URL at it"
    )]
    Encoding {
        /// Its name.
        database: String,
        /// Its encoding.
        encoding: String,
    },
    /// Too old.
    #[error("Postgres {0} is too old: 14 or newer is needed")]
    Version(String),
}

/// Refuses a database that is not fit: another encoding than UTF8, or a server older than 14.
///
/// # Errors
/// When it is not fit or cannot be asked.
pub fn check(client: &mut Client) -> Result<(), MigrateError> {
    let failed = |error| MigrateError::Sql { what: "look at the database", error };
    let sql = "select current_database(), current_setting('server_encoding'), current_setting('server_version'),
                 current_setting('server_version_num')::int";
    let row = client.query_one(sql, &[]).map_err(failed)?;
    let (database, encoding): (String, String) = (row.get(0), row.get(1));
    if row.get::<_, i32>(3) < 140_000 {
        return Err(MigrateError::Version(row.get(2)));
    }
    if encoding == "UTF8" { Ok(()) } else { Err(MigrateError::Encoding { database, encoding }) }
}

/// Version of the newest migration of this build.
#[must_use]
pub fn newest() -> i32 {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or_default()
}

/// Brings the schema up to date. Gives the names of the migrations that ran. Must not be called on a runtime's thread.
///
/// # Errors
/// When the database is not fit, cannot be reached, or a migration fails.
pub fn migrate(url: &str) -> Result<Vec<String>, MigrateError> {
    let failed = |what| move |error| MigrateError::Sql { what, error };
    let mut client = Client::connect(url, NoTls).map_err(failed("connect to Postgres"))?;
    check(&mut client)?;
    // One at a time: two coordinators may start together.
    let prepare = "select pg_advisory_lock(715517923);
                   create schema if not exists apportion; set search_path = apportion;
                   set client_min_messages = warning";
    client.batch_execute(prepare).map_err(failed("prepare the schema"))?;
    let report = embedded::migrations::runner().run(&mut client)?;
    client
        .batch_execute("select pg_advisory_unlock(715517923)")
        .map_err(failed("end the migration"))?;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}

/// Raises the incarnation of a database: everything that it draws from now on is above what it, or what it is a copy
/// of, drew before. Gives the new incarnation. Must not be called on a runtime's thread.
///
/// # Errors
/// When the database cannot be reached or has no tables of ours.
pub fn raise_incarnation(url: &str) -> Result<i64, MigrateError> {
    let failed = |error| MigrateError::Sql { what: "raise the incarnation", error };
    let mut client = Client::connect(url, NoTls).map_err(failed)?;
    let mut txn = client.transaction().map_err(failed)?;
    // Nobody draws meanwhile: a leader's transactions hold a row of it.
    txn.batch_execute("lock table apportion.leader in exclusive mode").map_err(failed)?;
    let sql = "select last_value from apportion.generation_seq";
    let drawn = Generation(txn.query_one(sql, &[]).map_err(failed)?.get(0));
    let first = drawn.first_of_next_incarnation();
    let sql = "select setval('apportion.generation_seq', $1, false)";
    txn.execute(sql, &[&first.0]).map_err(failed)?;
    txn.commit().map_err(failed)?;
    Ok(first.incarnation())
}

//! The Postgres pool. SQL itself lives in the `store.rs`/`sql` of the crate that owns the tables.

use std::str::FromStr;
use std::time::Duration;

use deadpool_postgres::tokio_postgres::{self, NoTls};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};

/// Why Postgres cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No address.
    #[error(
        "DATABASE_URL is not set: this role needs Postgres; set it to postgres://user@host/database"
    )]
    Unset,
    /// The address makes no sense.
    #[error("DATABASE_URL cannot be read: write postgres://user:password@host:port/database")]
    Url(#[source] tokio_postgres::Error),
    /// The pool cannot be built.
    #[error("failed to build the connection pool")]
    Build(#[from] deadpool_postgres::BuildError),
    /// No connection.
    #[error("failed to connect to Postgres")]
    Connect(#[from] PoolError),
    /// A statement failed.
    #[error("failed to {what}")]
    Sql {
        /// Which operation.
        what: &'static str,
        /// Postgres' own words.
        #[source]
        error: tokio_postgres::Error,
    },
}

impl StoreError {
    /// For `map_err`: names the operation.
    pub fn sql(what: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |error| Self::Sql { what, error }
    }
    /// Whether trying again later may help: connection trouble, locks, serialization, a server going down.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Sql { error, .. } => error.code().is_none_or(|code| {
                // Classes: 08 connection, 40 rollback, 53 resources, 55 object state, 57 operator intervention; 25006 read-only.
                matches!(&code.code()[..2], "08" | "40" | "53" | "55" | "57")
                    || code.code() == "25006"
            }),
            Self::Unset | Self::Url(_) | Self::Build(_) => false,
        }
    }
}

/// What every session is told. A process that freezes within a transaction would hold its locks, the leader's row among
/// them, for as long as it is frozen: its transaction ends before the lease does.
const OPTIONS: &str = "-c search_path=apportion -c TimeZone=UTC -c client_min_messages=warning \
    -c idle_in_transaction_session_timeout=10s";

/// How a pool is used right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUsage {
    /// Connections that it may have.
    pub max: u64,
    /// Connections that it has.
    pub open: u64,
    /// Those of them that nobody uses.
    pub idle: u64,
    /// Tasks that wait for one.
    pub waiting: u64,
}

/// A bounded pool of connections with `search_path = apportion`.
#[derive(Clone)]
pub struct Store(Pool);

impl Store {
    /// A pool of at most `max` connections; connects on first use.
    ///
    /// # Errors
    /// When the address is missing or cannot be read.
    pub fn open(url: &str, role: &str, max: usize) -> Result<Self, StoreError> {
        if url.is_empty() {
            return Err(StoreError::Unset);
        }
        let mut config = tokio_postgres::Config::from_str(url).map_err(StoreError::Url)?;
        config.application_name(format!("apportion {role}"));
        config.options(OPTIONS);
        config.connect_timeout(Duration::from_secs(5));
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let timeouts = Timeouts {
            wait: Some(Duration::from_secs(30)),
            create: Some(Duration::from_secs(10)),
            recycle: None,
        };
        let manager = Manager::from_config(config, NoTls, manager);
        let pool = Pool::builder(manager)
            .max_size(max)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()?;
        Ok(Self(pool))
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// When none can be had in time.
    pub async fn client(&self) -> Result<Object, StoreError> {
        Ok(self.0.get().await?)
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.simple_query("").await.map(|_| ()).map_err(StoreError::sql("ask Postgres anything"))
    }

    /// How the pool is used right now.
    #[must_use]
    pub fn usage(&self) -> PoolUsage {
        let status = self.0.status();
        PoolUsage {
            max: status.max_size as u64,
            open: status.size as u64,
            idle: status.available as u64,
            waiting: status.waiting as u64,
        }
    }
}

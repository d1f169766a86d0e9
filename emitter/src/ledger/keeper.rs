//! The ledger's keeper: owns what is known of stored dimensions, and deletes what nobody can see any more.
//!
//! Dimensions are stored in short transactions of their own, while facts are on their way: they are immutable and
//! named by content, so one that no fact uses does no harm, and no fact waits for another ledger's transaction.

use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseActFuture,
    WrapFuture,
};
use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use proto::ids::TenantId;
use runtime::store::Store;

use super::dimension::{Dimension, DimensionKind, id_of};
use super::known::Known;
use super::purge;
use crate::error::EmitterError;
use crate::sql;

/// Dimensions that are remembered as stored: twice as many at most, some 20 MB.
const KNOWN_HALF: usize = 200_000;
/// Dimensions per statement.
const PIECE: usize = 2_000;
/// How often it looks for what may be deleted.
const PURGE_EVERY: Duration = Duration::from_secs(5);

/// The keeper, to be asked.
#[derive(Clone)]
pub struct LedgerKeeper {
    address: Addr<Keeper>,
}

impl LedgerKeeper {
    /// Starts it over a pool of its own: whoever asks holds a connection already, so sharing one could starve both.
    #[must_use]
    pub fn start(store: Store) -> Self {
        let keeper = move || Keeper { store, known: Known::new(KNOWN_HALF), purging: false };
        Self { address: runtime::keeper::start(keeper) }
    }

    /// Returns once all these dimensions are stored and durable.
    ///
    /// # Errors
    /// When Postgres does not take them, or another content has the same key.
    pub async fn ensure(
        &self,
        kind: DimensionKind,
        tenant: TenantId,
        dimensions: Vec<Dimension>,
    ) -> Result<(), EmitterError> {
        self.address
            .send(Ensure { kind, tenant, dimensions })
            .await
            .map_err(|e| EmitterError::Gone(e.into()))?
    }

    /// Forgets what it knows: the database contradicted it (restored from a backup, for one).
    ///
    /// # Errors
    /// When the process is ending.
    pub async fn forget(&self) -> Result<(), EmitterError> {
        self.address.send(Forget).await.map_err(|e| EmitterError::Gone(e.into()))
    }
}

struct Keeper {
    store: Store,
    known: Known,
    purging: bool,
}

impl Actor for Keeper {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.run_interval(PURGE_EVERY, |keeper, context| {
            if std::mem::replace(&mut keeper.purging, true) {
                return;
            }
            let purge = purge::purge(keeper.store.clone()).into_actor(keeper);
            context.spawn(purge.map(|purged, keeper, _| {
                keeper.purging = false;
                if let Err(error) = purged {
                    tracing::warn!(
                        error = proto::fault::chain(&error),
                        "failed to delete superseded facts"
                    );
                }
            }));
        });
    }
}

struct Ensure {
    kind: DimensionKind,
    tenant: TenantId,
    dimensions: Vec<Dimension>,
}

impl Message for Ensure {
    type Result = Result<(), EmitterError>;
}

impl Handler<Ensure> for Keeper {
    type Result = ResponseActFuture<Self, Result<(), EmitterError>>;

    fn handle(&mut self, asked: Ensure, _: &mut Context<Self>) -> Self::Result {
        let mut new = asked.dimensions;
        new.retain(|dimension| !self.known.contains(dimension.hash));
        // One order for all ledgers: two that store the same ones cannot wait for each other in a circle.
        new.sort_unstable_by_key(|dimension| id_of(dimension.hash));
        new.dedup_by_key(|dimension| dimension.hash);
        let store = self.store.clone();
        let stored = async move { put(&store, asked.kind, &asked.tenant, new).await };
        Box::pin(stored.into_actor(self).map(|stored, keeper, _| {
            for dimension in stored? {
                keeper.known.insert(dimension.hash);
            }
            Ok(())
        }))
    }
}

struct Forget;

impl Message for Forget {
    type Result = ();
}

impl Handler<Forget> for Keeper {
    type Result = ();

    fn handle(&mut self, _: Forget, _: &mut Context<Self>) {
        self.known.clear();
    }
}

/// Stores dimensions and hands them back.
async fn put(
    store: &Store,
    kind: DimensionKind,
    tenant: &TenantId,
    dimensions: Vec<Dimension>,
) -> Result<Vec<Dimension>, EmitterError> {
    if dimensions.is_empty() {
        return Ok(dimensions);
    }
    let client = store.client().await?;
    let (insert, colliding) = match kind {
        DimensionKind::Billing => (sql::PUT_BILLING_DIMENSIONS, sql::COLLIDING_BILLING_DIMENSIONS),
        DimensionKind::Chargeback => {
            (sql::PUT_CHARGEBACK_DIMENSIONS, sql::COLLIDING_CHARGEBACK_DIMENSIONS)
        }
    };
    let tenant = tenant.as_str();
    for piece in dimensions.chunks(PIECE) {
        let ids: Vec<i64> = piece.iter().map(|dimension| id_of(dimension.hash)).collect();
        let hashes: Vec<&[u8]> =
            piece.iter().map(|dimension| dimension.hash.0.as_slice()).collect();
        let column = |i: usize| -> Vec<Option<&str>> {
            piece.iter().map(|d| d.texts[i].as_deref()).collect()
        };
        let texts: Vec<_> = (0..kind.texts()).map(column).collect();
        let key: [(&(dyn ToSql + Sync), Type); 3] =
            [(&tenant, Type::TEXT), (&ids, Type::INT8_ARRAY), (&hashes, Type::BYTEA_ARRAY)];
        let texts = texts.iter().map(|column| (column as &(dyn ToSql + Sync), Type::TEXT_ARRAY));
        let all: Vec<_> = key.iter().cloned().chain(texts).collect();
        client.execute_typed(insert, &all).await.map_err(EmitterError::sql("store dimensions"))?;
        // Read in a statement of its own, so that it sees what others stored meanwhile.
        let found = client
            .query_typed(colliding, &key)
            .await
            .map_err(EmitterError::sql("check dimensions"))?;
        if let Some(row) = found.first() {
            let id: i64 = row.get(0);
            let text = format!(
                "{kind:?} dimension {id} of tenant {tenant} is stored with another content: keys collide"
            );
            return Err(EmitterError::Integrity(text));
        }
    }
    Ok(dimensions)
}

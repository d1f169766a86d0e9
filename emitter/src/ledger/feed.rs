//! The dimensions of one commit on their way to the keeper, while facts flow.

use proto::hash::Hash128;
use proto::ids::TenantId;
use tokio::task::JoinHandle;

use super::dimension::{Dimension, DimensionKind};
use super::keeper::LedgerKeeper;
use super::known::Known;
use crate::error::EmitterError;

/// Dimensions that are handed over at a time.
const PIECE: usize = 2_000;
/// Dimensions that one commit remembers having handed over: twice as many at most.
const SEEN_HALF: usize = 50_000;

/// Hands dimensions of one kind to the keeper, one piece in flight.
pub struct Feed {
    keeper: LedgerKeeper,
    kind: DimensionKind,
    tenant: TenantId,
    seen: Known,
    pending: Vec<Dimension>,
    in_flight: Option<JoinHandle<Result<(), EmitterError>>>,
}

impl Feed {
    /// A feed for one commit.
    #[must_use]
    pub fn new(keeper: &LedgerKeeper, kind: DimensionKind, tenant: &TenantId) -> Self {
        let (keeper, tenant) = (keeper.clone(), tenant.clone());
        Self {
            keeper,
            kind,
            tenant,
            seen: Known::new(SEEN_HALF),
            pending: Vec::new(),
            in_flight: None,
        }
    }

    /// Counts a dimension in; its texts are copied only if it is new here.
    pub fn add(&mut self, hash: Hash128, texts: &[Option<&str>]) {
        if !self.seen.contains(hash) {
            self.seen.insert(hash);
            let texts = texts.iter().map(|text| text.map(str::to_owned)).collect();
            self.pending.push(Dimension { hash, texts });
        }
    }

    /// Hands over what has gathered, if it is a piece.
    ///
    /// # Errors
    /// When the piece before could not be stored.
    pub async fn send(&mut self) -> Result<(), EmitterError> {
        if self.pending.len() >= PIECE { self.hand_over().await } else { Ok(()) }
    }

    /// Returns once everything that was counted in is durable.
    ///
    /// # Errors
    /// When something could not be stored.
    pub async fn settle(&mut self) -> Result<(), EmitterError> {
        self.hand_over().await?;
        self.landed().await
    }

    async fn hand_over(&mut self) -> Result<(), EmitterError> {
        self.landed().await?;
        if !self.pending.is_empty() {
            let (keeper, kind, tenant) = (self.keeper.clone(), self.kind, self.tenant.clone());
            let piece = std::mem::take(&mut self.pending);
            self.in_flight =
                Some(tokio::spawn(async move { keeper.ensure(kind, tenant, piece).await }));
        }
        Ok(())
    }

    async fn landed(&mut self) -> Result<(), EmitterError> {
        match self.in_flight.take() {
            // A panic ends the process, so a task that cannot be joined was aborted with it.
            Some(sent) => sent.await.unwrap_or(Err(EmitterError::Gone(runtime::keeper::Gone))),
            None => Ok(()),
        }
    }
}

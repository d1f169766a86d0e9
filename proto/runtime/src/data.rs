//! Batches and manifests over the bus, and the cache of configurations.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proto::column::ColumnError;
use proto::config::TenantConfig;
use proto::driver::DriverWindow;
use proto::envelope::{self, BATCH_BYTES_MAX, Body, EnvelopeError, Header};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::manifest::{BatchRef, Manifest, ManifestBuilder};
use proto::report::FailureClass;
use proto::subject::{self, Stream, UnitAddress};
use proto::time::UnitDate;
use tokio::task::JoinHandle;

use crate::bus::{Bus, BusError, Put};

/// Batches that a reader fetches ahead: bounds its memory at 4 × 256 KiB.
const PREFETCH: usize = 4;
/// Configurations that a process keeps at hand.
const CONFIGS_MAX: usize = 64;

/// Why data could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A batch that a manifest names is not there.
    #[error("batch {0} is gone from the stream")]
    Missing(String),
    /// A configuration is not there, or not the one that its hash names: the coordinator publishes it again.
    #[error("configuration {0} is not on the stream yet")]
    NoConfig(String),
    /// A batch differs from what its manifest says.
    #[error("batch {0} differs from its manifest")]
    Different(String),
    /// A batch above the limit.
    #[error("a batch of {0} bytes is above {BATCH_BYTES_MAX}: one of its items is too large")]
    Oversized(usize),
    /// NATS.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Not a message.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Damaged columns.
    #[error(transparent)]
    Column(#[from] ColumnError),
}

impl DataError {
    /// Whose fault it is.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Missing(_) | Self::Different(_) | Self::Envelope(EnvelopeError::Old { .. }) => {
                FailureClass::InputMissing
            }
            Self::Bus(BusError::Conflict(_)) | Self::Oversized(_) | Self::Column(_) => {
                FailureClass::Data
            }
            // A newer schema heals when this build is upgraded. No gather brings a configuration back.
            Self::NoConfig(_) | Self::Bus(_) | Self::Envelope(EnvelopeError::Schema { .. }) => {
                FailureClass::Transient
            }
            Self::Envelope(_) => FailureClass::Data,
        }
    }
}

/// Publishes the batches of one unit, or of a source's inventory, and attempt, one in flight while the next is built, and collects their manifest.
pub struct BatchWriter {
    bus: Bus,
    stream: Stream,
    address: UnitAddress,
    tenant: TenantId,
    source: SourceId,
    /// `None`: of all dates.
    date: Option<UnitDate>,
    generation: Generation,
    attempt: Attempt,
    in_flight: Option<JoinHandle<Result<Put, BusError>>>,
    /// The caller counts items and money in here.
    pub manifest: ManifestBuilder,
}

impl BatchWriter {
    /// A writer of (tenant, source, date, generation, attempt) into `stream`.
    #[must_use]
    pub fn new(
        bus: &Bus,
        stream: Stream,
        tenant: &TenantId,
        source: &SourceId,
        date: UnitDate,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let address = UnitAddress::new(stream, tenant, source, date, generation, attempt);
        Self::at(bus, (stream, address), (tenant, source), Some(date), (generation, attempt))
    }

    /// A writer of what a gather found of (tenant, source) as a whole: its resources and identities.
    #[must_use]
    pub fn of_inventory(
        bus: &Bus,
        tenant: &TenantId,
        source: &SourceId,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let address = UnitAddress::inventory(tenant, source, generation, attempt);
        let to = (Stream::Inventory, address);
        Self::at(bus, to, (tenant, source), None, (generation, attempt))
    }

    /// A writer of the weights of a driver over a window.
    #[must_use]
    pub fn of_driver(
        bus: &Bus,
        (tenant, source): (&TenantId, &SourceId),
        window: &DriverWindow,
        generation: Generation,
        attempt: Attempt,
    ) -> Self {
        let to = (Stream::Driver, UnitAddress::driver(tenant, window, generation, attempt));
        Self::at(bus, to, (tenant, source), None, (generation, attempt))
    }

    fn at(
        bus: &Bus,
        (stream, address): (Stream, UnitAddress),
        (tenant, source): (&TenantId, &SourceId),
        date: Option<UnitDate>,
        (generation, attempt): (Generation, Attempt),
    ) -> Self {
        Self {
            bus: bus.clone(),
            stream,
            address,
            tenant: tenant.clone(),
            source: source.clone(),
            date,
            generation,
            attempt,
            in_flight: None,
            manifest: ManifestBuilder::default(),
        }
    }

    /// Publishes the next batch, which holds `items` items.
    ///
    /// # Errors
    /// When it is too large, or an earlier one could not be published.
    pub async fn write<B: Body>(&mut self, body: &B, items: usize) -> Result<(), DataError> {
        let header = Header::new::<B>(self.tenant.clone(), self.generation, self.attempt)
            .of_source(self.source.clone())
            .of_batch(self.manifest.next_batch());
        let header = match self.date {
            Some(date) => header.of_date(date),
            None => header,
        };
        let payload = envelope::encode(&header, body)?;
        if payload.len() > BATCH_BYTES_MAX {
            return Err(DataError::Oversized(payload.len()));
        }
        let batch = self.manifest.add_batch(u32::try_from(items).unwrap_or(u32::MAX), &payload);
        self.settle().await?;
        let (bus, stream, subject) = (self.bus.clone(), self.stream, self.address.batch(batch));
        self.in_flight =
            Some(tokio::spawn(
                async move { bus.put(stream, &subject, Bytes::from(payload)).await },
            ));
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), DataError> {
        if let Some(sent) = self.in_flight.take() {
            let failed = |e: tokio::task::JoinError| BusError::Publish {
                subject: self.address.all(),
                what: e.to_string(),
            };
            sent.await.map_err(failed)??;
        }
        Ok(())
    }

    /// Awaits the last acknowledgement; everything in the manifest is durable then.
    ///
    /// # Errors
    /// When a batch could not be published.
    pub async fn finish(mut self) -> Result<Manifest, DataError> {
        self.settle().await?;
        Ok(self.manifest.finish(self.generation, self.attempt))
    }
}

type Fetch = JoinHandle<Result<Option<Bytes>, BusError>>;

/// Reads exactly the batches that a manifest names, in order, a few ahead.
pub struct BatchReader<B> {
    bus: Bus,
    stream: Stream,
    address: UnitAddress,
    rest: VecDeque<(u32, BatchRef)>,
    ahead: VecDeque<(u32, BatchRef, Fetch)>,
    body: PhantomData<fn() -> B>,
}

impl<B: Body> BatchReader<B> {
    /// A reader of what `manifest` names in `stream`.
    #[must_use]
    pub fn new(
        bus: &Bus,
        stream: Stream,
        tenant: &TenantId,
        source: &SourceId,
        date: UnitDate,
        manifest: &Manifest,
    ) -> Self {
        let address =
            UnitAddress::new(stream, tenant, source, date, manifest.generation, manifest.attempt);
        Self::at(bus, stream, address, manifest)
    }

    /// A reader of a gather's resources and identities.
    #[must_use]
    pub fn of_inventory(
        bus: &Bus,
        tenant: &TenantId,
        source: &SourceId,
        manifest: &Manifest,
    ) -> Self {
        let address = UnitAddress::inventory(tenant, source, manifest.generation, manifest.attempt);
        Self::at(bus, Stream::Inventory, address, manifest)
    }

    /// A reader of the weights of a driver over a window.
    #[must_use]
    pub fn of_driver(
        bus: &Bus,
        tenant: &TenantId,
        window: &DriverWindow,
        manifest: &Manifest,
    ) -> Self {
        let address = UnitAddress::driver(tenant, window, manifest.generation, manifest.attempt);
        Self::at(bus, Stream::Driver, address, manifest)
    }

    fn at(bus: &Bus, stream: Stream, address: UnitAddress, manifest: &Manifest) -> Self {
        let rest = (0..).zip(manifest.batches.iter().copied()).collect();
        Self { bus: bus.clone(), stream, address, rest, ahead: VecDeque::new(), body: PhantomData }
    }

    /// The next batch as it lies in the stream, its hash checked; `None` after the last.
    ///
    /// # Errors
    /// When it is missing or different, or NATS does not answer.
    pub async fn next_payload(&mut self) -> Result<Option<(u32, Bytes)>, DataError> {
        while self.ahead.len() < PREFETCH
            && let Some((batch, expected)) = self.rest.pop_front()
        {
            let (bus, stream, subject) = (self.bus.clone(), self.stream, self.address.batch(batch));
            self.ahead.push_back((
                batch,
                expected,
                tokio::spawn(async move { bus.get(stream, &subject).await }),
            ));
        }
        let Some((batch, expected, fetch)) = self.ahead.pop_front() else { return Ok(None) };
        let subject = self.address.batch(batch);
        let failed = |e: tokio::task::JoinError| BusError::Read {
            subject: subject.clone(),
            what: e.to_string(),
        };
        let payload =
            fetch.await.map_err(failed)??.ok_or_else(|| DataError::Missing(subject.clone()))?;
        if Hash128::of(&payload) == expected.hash {
            Ok(Some((batch, payload)))
        } else {
            Err(DataError::Different(subject))
        }
    }

    /// The next batch; `None` after the last.
    ///
    /// # Errors
    /// When it is missing, different or no message, or NATS does not answer.
    pub async fn next(&mut self) -> Result<Option<B>, DataError> {
        let Some((_, payload)) = self.next_payload().await? else { return Ok(None) };
        Ok(Some(envelope::decode(&payload)?.1))
    }
}

/// Oldest first.
type Cached = VecDeque<((TenantId, Hash128), Arc<TenantConfig>)>;

/// Tenant configurations by hash: content-addressed, so a cached one is never stale.
#[derive(Clone)]
pub struct Configs {
    bus: Bus,
    cached: Arc<Mutex<Cached>>,
}

impl Configs {
    /// An empty cache over `bus`.
    #[must_use]
    pub fn new(bus: Bus) -> Self {
        Self { bus, cached: Arc::default() }
    }

    /// The configuration of a tenant with this hash.
    ///
    /// # Errors
    /// When it is not on the CONFIG stream (the coordinator publishes it again) or NATS does not answer.
    pub async fn get(
        &self,
        tenant: &TenantId,
        hash: Hash128,
    ) -> Result<Arc<TenantConfig>, DataError> {
        let key = (tenant.clone(), hash);
        if let Some(found) = self.lock().iter().find(|(k, _)| *k == key) {
            return Ok(Arc::clone(&found.1));
        }
        let subject = subject::config(tenant, hash);
        let payload = self
            .bus
            .get(Stream::Config, &subject)
            .await?
            .ok_or_else(|| DataError::NoConfig(subject.clone()))?;
        let (_, config) = envelope::decode::<TenantConfig>(&payload)?;
        if config.config_hash().ok() != Some(hash) {
            return Err(DataError::NoConfig(subject));
        }
        let config = Arc::new(config);
        let mut cached = self.lock();
        cached.push_back((key, Arc::clone(&config)));
        if cached.len() > CONFIGS_MAX {
            cached.pop_front();
        }
        Ok(config)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cached> {
        self.cached.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

//! Weights that gatherers measured: read before the transaction, kept in it.

use std::collections::HashMap;

use proto::driver::{DriverBatch, DriverWeight, DriverWindow};
use proto::ids::{Attempt, Generation, TenantId};
use proto::manifest::Manifest;
use proto::report::{Failed, FailureClass, Report};
use runtime::data::{BatchReader, DataError};

use super::inventory::Decoded;
use crate::leader::Leader;
use crate::post::Post;

/// Weights that are held at a time, unless a single window has more. What is beyond is read when it is delivered again.
const WEIGHTS_MAX: u64 = 400_000;

/// What was measured, by generation and attempt.
pub(crate) type Measured = HashMap<(Generation, Attempt), Result<Vec<DriverWeight>, DataError>>;

impl Post {
    /// Reads the weights that these reports tell of and that were measured. No transaction waits for NATS.
    pub(crate) async fn weights_read(&self, leader: &Leader, reports: &[Decoded]) -> Measured {
        let (mut measured, mut held) = (Measured::new(), 0);
        for (header, report) in reports.iter().flatten() {
            if let Report::Driver(done) = report
                && done.lacking.is_none()
                && leader.is_measured(&header.tenant, &done.window.driver)
            {
                held += done.manifest.items;
                if held > WEIGHTS_MAX && !measured.is_empty() {
                    break;
                }
                let read = self.weights_of(&header.tenant, &done.window, &done.manifest).await;
                measured.insert((header.generation, header.attempt), read);
            }
        }
        measured
    }

    async fn weights_of(
        &self,
        tenant: &TenantId,
        window: &DriverWindow,
        manifest: &Manifest,
    ) -> Result<Vec<DriverWeight>, DataError> {
        let mut reader: BatchReader<DriverBatch> =
            BatchReader::of_driver(&self.bus, tenant, window, manifest);
        let mut weights = Vec::new();
        while let Some(batch) = reader.next().await? {
            weights.extend(batch.open()?);
        }
        Ok(weights)
    }
}

/// That weights were reported and cannot be read.
pub(super) fn unread(error: &DataError) -> Failed {
    let reason = format!("its weights cannot be read: {}", proto::fault::chain(error));
    let (step, units) = ("measure".to_owned(), Vec::new());
    Failed { step, units, class: FailureClass::Transient, reason }
}

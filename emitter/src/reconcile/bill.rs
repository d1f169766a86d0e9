//! What a unit was made of, from the archive: lines, and the resolutions of its rows.

use deadpool_postgres::tokio_postgres::Transaction;
use proto::envelope::{self, MessageKind};
use proto::hash::{Hash128, SetHash};
use proto::ids::UnitKey;
use proto::line::{LineBatch, LineId};
use proto::manifest::Totals;
use proto::money::Amount;
use proto::report::FailureClass;
use proto::resolution::ResolutionBatch;
use runtime::data::DataError;

use crate::archived::{Archived, damaged};
use crate::error::EmitterError;
use crate::ledger::dimension::{DimensionKind, LineTexts, hash_of, id_of};

/// The archived lines and resolutions of a unit, added up.
#[derive(Debug, Default)]
pub struct Bill {
    /// Lines.
    pub lines: u64,
    /// Of the lines, with all their cells.
    pub hash: SetHash,
    /// Of the lines as `billing` holds them.
    pub stored: SetHash,
    /// What the lines add up to.
    pub totals: Totals,
    /// Of the resolutions.
    pub resolutions: SetHash,
}

/// A line as `billing` holds it.
#[derive(Debug, Clone, Copy)]
pub struct StoredLine {
    /// Its id.
    pub line: LineId,
    /// What it shares with others.
    pub dimension: i64,
    /// Seconds since 1970.
    pub charge: [i64; 2],
    /// Amount, four measures, two quantities.
    pub numbers: [Option<Amount>; 7],
}

impl StoredLine {
    /// Hash over everything in it.
    #[must_use]
    pub fn hash(&self) -> Hash128 {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(&self.line.0.0);
        bytes.extend_from_slice(&self.dimension.to_le_bytes());
        self.charge.iter().for_each(|at| bytes.extend_from_slice(&at.to_le_bytes()));
        for number in self.numbers {
            // One that is not there has a scale that none has.
            let (scale, mantissa) = number.map_or((u32::MAX, 0), |n| (n.scale(), n.mantissa()));
            bytes.extend_from_slice(&scale.to_le_bytes());
            bytes.extend_from_slice(&mantissa.to_le_bytes());
        }
        Hash128::of(&bytes)
    }
}

/// Reads the archive of a visible unit; what it says where it is damaged.
///
/// # Errors
/// When Postgres fails.
pub async fn read(
    transaction: &Transaction<'_>,
    unit: &UnitKey,
) -> Result<Result<Bill, String>, EmitterError> {
    match add_up(transaction, unit).await {
        Ok(bill) => Ok(Ok(bill)),
        Err(error @ (EmitterError::Integrity(_) | EmitterError::Data(_)))
            if error.class() == FailureClass::Data =>
        {
            Ok(Err(proto::fault::chain(&error)))
        }
        Err(error) => Err(error),
    }
}

async fn add_up(transaction: &Transaction<'_>, unit: &UnitKey) -> Result<Bill, EmitterError> {
    let UnitKey { tenant, source, date } = unit;
    let mut archived = Archived::of_visible(transaction, tenant, source, *date).await?;
    let (mut bill, mut scratch) = (Bill::default(), Vec::with_capacity(1024));
    while let Some((kind, message)) = archived.next().await? {
        match kind {
            MessageKind::Line => {
                let body = envelope::decode::<LineBatch>(&message).map_err(DataError::from)?.1;
                let lines = body.open().map_err(DataError::from)?;
                let texts = LineTexts::new(source, &lines);
                for at in 0..lines.len() {
                    let line = lines.item(at).map_err(DataError::from)?;
                    let dimension =
                        hash_of(DimensionKind::Billing, tenant, &texts.of(at), &mut scratch);
                    let [billed, effective, contracted, list] = line.measures;
                    let [priced, consumed] = line.quantities;
                    let amount = Some(line.amount);
                    let stored = StoredLine {
                        line: line.id,
                        dimension: id_of(dimension),
                        charge: [line.charge_start.0, line.charge_end.0],
                        numbers: [amount, billed, effective, contracted, list, priced, consumed],
                    };
                    bill.lines += 1;
                    bill.hash.add(line.hash());
                    bill.stored.add(stored.hash());
                    bill.totals.add_line(&line);
                }
            }
            MessageKind::Resolution => {
                let body = envelope::decode::<ResolutionBatch>(&message);
                let resolutions = body.map_err(DataError::from)?.1.open();
                let resolutions = resolutions.map_err(DataError::from)?;
                resolutions.iter().for_each(|one| bill.resolutions.add(one.hash()));
            }
            MessageKind::Row
            | MessageKind::Driver
            | MessageKind::Inventory
            | MessageKind::Task
            | MessageKind::Report
            | MessageKind::Config => {
                return Err(damaged(*date, "is neither lines nor resolutions"));
            }
        }
    }
    Ok(bill)
}

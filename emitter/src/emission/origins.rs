//! The lines of a date as the archive keeps them, every cell of the provider included, in the order of the bill.
//!
//! They are read twice and never held: a first pass tells Postgres where each line stands, so that it can order rows
//! so; a second one runs beside the rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::Type;
use proto::envelope;
use proto::line::{LineBatch, LineId, Lines};
use runtime::data::DataError;
use runtime::worker::TaskContext;

use super::{Place, Visible};
use crate::archived::{Archived, damaged};
use crate::error::EmitterError;
use crate::sql;
use crate::wire::CopyIn;

/// A second pass under way.
pub struct Origins<'a, 't> {
    archived: Archived<'a, 't>,
    place: &'a Place,
    lines: Arc<Lines>,
    /// Place of the first line of `lines`.
    first: i64,
}

/// The provider's own columns (`x_`) that bills of a source ever had, whatever date they were of.
///
/// # Errors
/// When Postgres fails.
pub async fn provider_columns(
    transaction: &Transaction<'_>,
    place: &Place,
) -> Result<BTreeSet<String>, EmitterError> {
    let (tenant, source) = (place.tenant.as_str(), place.source.as_str());
    let key = [(&tenant as _, Type::TEXT), (&source as _, Type::TEXT)];
    let found = transaction.query_typed(sql::PROVIDER_COLUMNS, &key).await;
    let found = found.map_err(EmitterError::sql("read the provider's columns"))?;
    Ok(found.iter().map(|row| row.get(0)).collect())
}

/// The first pass over some dates of a source: fills the table of places, which lives as long as the transaction, and
/// adds to the provider's own columns those that are not known of the source, as where it did not say.
///
/// # Errors
/// When Postgres fails or the archive is damaged.
pub async fn place<'p>(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    dates: impl Iterator<Item = (&'p Place, &'p Visible)>,
    names: &mut BTreeSet<String>,
) -> Result<(), EmitterError> {
    let failed = || EmitterError::sql("place lines");
    transaction.batch_execute(sql::CREATE_LINE_PLACES).await.map_err(failed())?;
    for (place, visible) in dates {
        let mut archived = lines(transaction, *visible, place).await?;
        let mut at = 0_i64;
        while let Some(batch) = next(&mut archived, place).await? {
            let own = batch.cell_names().filter(|name| name.starts_with("x_"));
            names.extend(own.map(str::to_owned));
            let sink = transaction.copy_in(sql::COPY_LINE_PLACES).await.map_err(failed())?;
            let mut copy = CopyIn::new(sink);
            for id in batch.ids() {
                copy.tuples.start(3);
                copy.tuples.date(place.date);
                copy.tuples.bytes(&id.0.0);
                copy.tuples.int8(at);
                at += 1;
            }
            copy.finish().await.map_err(failed())?;
            context.progress.tick();
        }
    }
    Ok(())
}

impl<'a, 't> Origins<'a, 't> {
    /// Begins the second pass, over one date.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn of(
        transaction: &'a Transaction<'t>,
        visible: Visible,
        place: &'a Place,
    ) -> Result<Self, EmitterError> {
        let archived = lines(transaction, visible, place).await?;
        Ok(Self { archived, place, lines: Arc::default(), first: 0 })
    }

    /// The batch that holds a line, and where it is in there. Places are asked for in order.
    ///
    /// # Errors
    /// When Postgres fails, or the archive is damaged or holds another line there.
    pub async fn at(
        &mut self,
        place: i64,
        line: LineId,
    ) -> Result<(Arc<Lines>, usize), EmitterError> {
        loop {
            let at = usize::try_from(place - self.first).ok();
            if let Some(id) = at.and_then(|at| self.lines.id.get(at))
                && *id == line
            {
                return Ok((Arc::clone(&self.lines), at.unwrap_or_default()));
            }
            let end = self.first + self.lines.len() as i64;
            let another = || damaged(self.place.date, &format!("does not hold line {line}"));
            if place < end {
                return Err(another());
            }
            let batch = next(&mut self.archived, self.place).await?.ok_or_else(another)?;
            self.first = end;
            self.lines = Arc::new(batch.open().map_err(DataError::from)?);
        }
    }
}

async fn lines<'a, 't>(
    transaction: &'a Transaction<'t>,
    visible: Visible,
    place: &'a Place,
) -> Result<Archived<'a, 't>, EmitterError> {
    let Place { tenant, source, date, .. } = place;
    Archived::of_lines(transaction, tenant, source, *date, visible.lines_generation).await
}

async fn next(
    archived: &mut Archived<'_, '_>,
    place: &Place,
) -> Result<Option<LineBatch>, EmitterError> {
    let Some((kind, message)) = archived.next().await? else { return Ok(None) };
    if kind != envelope::MessageKind::Line {
        return Err(damaged(place.date, "holds no lines"));
    }
    Ok(Some(envelope::decode::<LineBatch>(&message).map_err(DataError::from)?.1))
}

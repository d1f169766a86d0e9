//! A date's rows from Postgres, in their final order and in bounded memory.
//!
//! Postgres joins rows with lines and sorts them by charge start and line; the rows of one line, few, are put in order
//! here, where their texts are known. For emitters that need cells the order is that of the bill, and each row is given
//! its line as it passes by.

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::hash::Hash128;
use proto::line::LineId;
use proto::money::{Amount, Share};
use runtime::worker::TaskContext;
use tokio::sync::mpsc::Sender;

use super::origins::Origins;
use super::texts::Texts;
use super::{Origin, Place, Visible, VisibleRow};
use crate::error::EmitterError;
use crate::sql;
use crate::ticking::ticking;
use crate::wire::{PgAmount, PgDate, PgSeconds};

/// Rows that are read at a time.
const PIECE: i32 = 2_000;

/// Sends the rows of a generation, piece by piece; a line's rows are never parted. With `cells`, for which
/// [`super::origins::place`] was asked first, each has its line.
///
/// # Errors
/// When Postgres fails, a row lacks its line or a line its rows, or the receiver is gone.
pub async fn read(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    visible: Visible,
    place: &Place,
    cells: bool,
    to: Sender<Vec<VisibleRow>>,
) -> Result<(), EmitterError> {
    let failed = || EmitterError::sql("read visible rows");
    let mut origins = None;
    if cells {
        origins = Some(Origins::of(transaction, visible, place).await?);
    }
    let statement = if cells { sql::PLACED_ROWS } else { sql::VISIBLE_ROWS };
    let types = [Type::TEXT, Type::DATE, Type::INT8, Type::INT8];
    let statement = transaction.prepare_typed(statement, &types).await.map_err(failed())?;
    let (tenant, date) = (place.tenant.as_str(), PgDate(place.date));
    let parameters =
        [&tenant as _, &date as _, &visible.generation as _, &visible.lines_generation as _];
    let portal = transaction.bind(&statement, &parameters).await.map_err(failed())?;
    let mut texts = Texts::new(&place.tenant);
    let mut run: Vec<VisibleRow> = Vec::new();
    loop {
        let found = ticking(&context.progress, transaction.query_portal(&portal, PIECE))
            .await
            .map_err(failed())?;
        let last = found.len() < PIECE as usize;
        let found = found
            .iter()
            .map(|row| Found::read(row, place, cells))
            .collect::<Result<Vec<_>, _>>()?;
        let (lines, rows) =
            (found.iter().map(|f| f.line_dimension), found.iter().map(|f| f.row_dimension));
        texts.fetch(transaction, lines, rows).await?;
        for found in found {
            let origin = match origins.as_mut().zip(found.placed) {
                Some((origins, (stands, share))) => {
                    let (lines, at) = origins.at(stands, found.line).await?;
                    Some(Origin { place: stands, share, lines, at })
                }
                None => None,
            };
            run.push(found.with(&texts, place, origin)?);
        }
        if last {
            sort(&mut run);
            return send(&to, run).await;
        }
        // The last line may go on in the next piece.
        let line = run.last().map(|row| row.line);
        let end = run.iter().rposition(|row| Some(row.line) != line).map_or(0, |at| at + 1);
        let rest = run.split_off(end);
        sort(&mut run);
        send(&to, std::mem::replace(&mut run, rest)).await?;
        context.progress.tick();
    }
}

fn sort(rows: &mut [VisibleRow]) {
    let place = |row: &VisibleRow| row.origin.as_ref().map(|origin| origin.place);
    rows.sort_by(|a, b| {
        let lines = (place(a), a.charge_start, a.line).cmp(&(place(b), b.charge_start, b.line));
        lines.then_with(|| a.why.cmp(&b.why))
    });
}

async fn send(to: &Sender<Vec<VisibleRow>>, rows: Vec<VisibleRow>) -> Result<(), EmitterError> {
    let gone = |_| EmitterError::Busy("the output was given up".into());
    if rows.is_empty() { Ok(()) } else { to.send(rows).await.map_err(gone) }
}

/// One record of [`sql::VISIBLE_ROWS`] or [`sql::PLACED_ROWS`].
struct Found {
    charge: [PgSeconds; 2],
    line_dimension: i64,
    line: LineId,
    row_dimension: i64,
    amount: Amount,
    measures: [Option<PgAmount>; 4],
    quantities: [Option<PgAmount>; 2],
    /// The line's place in the bill and the row's share, where they are read.
    placed: Option<(i64, Share)>,
}

impl Found {
    fn read(row: &Row, place: &Place, cells: bool) -> Result<Self, EmitterError> {
        let damaged = |what: &str| EmitterError::Integrity(format!("{}: {what}", place.date));
        let line = <[u8; 16]>::try_from(row.get::<_, &[u8]>(3))
            .map_err(|_| damaged("a stored line id is not 128 bits"))?;
        let line = LineId(Hash128(line));
        let (Some(start), Some(end), Some(line_dimension)) = (row.get(0), row.get(1), row.get(2))
        else {
            return Err(damaged(&format!("a row names line {line}, which is not stored")));
        };
        let (Some(row_dimension), Some(PgAmount(amount))) = (row.get(4), row.get(5)) else {
            return Err(damaged(&format!("line {line} has no row")));
        };
        let number = |at| {
            row.try_get::<_, Option<PgAmount>>(at).map_err(EmitterError::sql("read visible rows"))
        };
        let placed = if cells {
            let Some(at) = row.get(12) else {
                return Err(damaged(&format!("line {line} is not in the archive")));
            };
            let share = Share::from_texts(row.get(13), row.get(14));
            Some((at, share.map_err(|error| damaged(&error.to_string()))?))
        } else {
            None
        };
        Ok(Self {
            charge: [start, end],
            line_dimension,
            line,
            row_dimension,
            amount,
            measures: [number(6)?, number(7)?, number(8)?, number(9)?],
            quantities: [number(10)?, number(11)?],
            placed,
        })
    }

    fn with(
        self,
        texts: &Texts<'_>,
        place: &Place,
        origin: Option<Origin>,
    ) -> Result<VisibleRow, EmitterError> {
        let lost = |what: &str| {
            let (date, line) = (place.date, self.line);
            EmitterError::Integrity(format!(
                "{date}: the dimension of {what} line {line} is not stored"
            ))
        };
        let [PgSeconds(charge_start), PgSeconds(charge_end)] = self.charge;
        Ok(VisibleRow {
            charge_start,
            charge_end,
            line: self.line,
            amount: self.amount,
            measures: self
                .measures
                .map(|measure| measure.map_or(self.amount, |PgAmount(amount)| amount)),
            quantities: self.quantities.map(|quantity| quantity.map(|PgAmount(amount)| amount)),
            of: texts.line(self.line_dimension).ok_or_else(|| lost(""))?,
            why: texts.row(self.row_dimension).ok_or_else(|| lost("a row of"))?,
            origin,
        })
    }
}

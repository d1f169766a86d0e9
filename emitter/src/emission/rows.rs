//! A date's rows from Postgres, in their final order and in bounded memory.
//!
//! Postgres joins rows with lines and sorts them by charge start and line; the rows of one line, few, are put in order
//! here, where their texts are known.

use deadpool_postgres::tokio_postgres::types::Type;
use deadpool_postgres::tokio_postgres::{Row, Transaction};
use proto::hash::Hash128;
use proto::line::LineId;
use proto::money::Amount;
use runtime::worker::TaskContext;
use tokio::sync::mpsc::Sender;

use super::texts::Texts;
use super::{Place, Visible, VisibleRow};
use crate::error::EmitterError;
use crate::sql;
use crate::ticking::ticking;
use crate::wire::{PgAmount, PgDate, PgSeconds};

/// Rows that are read at a time.
const PIECE: i32 = 2_000;

/// Sends the rows of a generation, piece by piece; a line's rows are never parted.
///
/// # Errors
/// When Postgres fails, a row lacks its line or a line its rows, or the receiver is gone.
pub async fn read(
    transaction: &Transaction<'_>,
    context: &TaskContext,
    visible: Visible,
    place: &Place,
    to: Sender<Vec<VisibleRow>>,
) -> Result<(), EmitterError> {
    let failed = || EmitterError::sql("read visible rows");
    let types = [Type::TEXT, Type::DATE, Type::INT8, Type::INT8];
    let statement = transaction.prepare_typed(sql::VISIBLE_ROWS, &types).await.map_err(failed())?;
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
        let found =
            found.iter().map(|row| Found::read(row, place)).collect::<Result<Vec<_>, _>>()?;
        let (lines, rows) =
            (found.iter().map(|f| f.line_dimension), found.iter().map(|f| f.row_dimension));
        texts.fetch(transaction, lines, rows).await?;
        for found in found {
            run.push(found.with(&texts, place)?);
        }
        if last {
            sort(&mut run);
            return send(&to, run).await;
        }
        // The last line may go on in the next piece.
        let line = run.last().map(|row| (row.charge_start, row.line));
        let end = run
            .iter()
            .rposition(|row| Some((row.charge_start, row.line)) != line)
            .map_or(0, |at| at + 1);
        let rest = run.split_off(end);
        sort(&mut run);
        send(&to, std::mem::replace(&mut run, rest)).await?;
        context.progress.tick();
    }
}

fn sort(rows: &mut [VisibleRow]) {
    rows.sort_by(|a, b| (a.charge_start, a.line, &a.why).cmp(&(b.charge_start, b.line, &b.why)));
}

async fn send(to: &Sender<Vec<VisibleRow>>, rows: Vec<VisibleRow>) -> Result<(), EmitterError> {
    let gone = |_| EmitterError::Busy("the output was given up".into());
    if rows.is_empty() { Ok(()) } else { to.send(rows).await.map_err(gone) }
}

/// One record of [`sql::VISIBLE_ROWS`].
struct Found {
    charge: [PgSeconds; 2],
    line_dimension: i64,
    line: LineId,
    row_dimension: i64,
    amount: Amount,
    measures: [Option<PgAmount>; 4],
    quantities: [Option<PgAmount>; 2],
}

impl Found {
    fn read(row: &Row, place: &Place) -> Result<Self, EmitterError> {
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
        Ok(Self {
            charge: [start, end],
            line_dimension,
            line,
            row_dimension,
            amount,
            measures: [number(6)?, number(7)?, number(8)?, number(9)?],
            quantities: [number(10)?, number(11)?],
        })
    }

    fn with(self, texts: &Texts<'_>, place: &Place) -> Result<VisibleRow, EmitterError> {
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
        })
    }
}

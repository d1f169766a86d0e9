//! Rows into `chargeback_splits` and `chargeback_pieces`.

use std::collections::HashMap;

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use futures_util::{TryStreamExt, pin_mut};
use proto::currency::Currency;
use proto::hash::{Hash128, SetHash};
use proto::line::LineId;
use proto::row::{RowBatch, Rows, Split};
use proto::subject::Stream;
use proto::task::CommitUnit;
use proto::time::BillingPeriod;
use runtime::data::{BatchReader, DataError};
use runtime::worker::TaskContext;

use super::dimension::{DimensionKind, hash_of, id_of, with_row_texts};
use super::feed::Feed;
use super::lines::check_items;
use super::pieces::{Owner, Pieces};
use super::plan::Work;
use crate::error::EmitterError;
use crate::sql;
use crate::wire::{CopyIn, PgDate, Tuples};

/// Columns of `chargeback_splits`.
const SPLIT_COLUMNS: i16 = 7;

/// Stores the rows of some units; their lines are stored, in this transaction or before.
///
/// # Errors
/// When a batch is missing, different or damaged, or Postgres does not take it.
pub async fn store(
    context: &TaskContext,
    transaction: &Transaction<'_>,
    works: &[Work<'_>],
    feed: &mut Feed,
) -> Result<(), EmitterError> {
    // Before the COPY: no query can run while it is under way.
    let mut periods = Vec::with_capacity(works.len());
    for work in works {
        periods.push(Periods::of(context, transaction, work).await?);
    }
    let mut copies = Copies::new(transaction);
    for (work, periods) in works.iter().zip(&periods) {
        let (date, manifest) = (work.unit.date, &work.unit.rows);
        let mut reader = BatchReader::<RowBatch>::new(
            &context.bus,
            Stream::Row,
            context.tenant(),
            context.source(),
            date,
            manifest,
        );
        let mut packer = Packer::new(context, work.unit, periods);
        for batch in 0.. {
            let Some(body) = reader.next().await? else { break };
            check_items(date, manifest, batch, body.len())?;
            let rows = body.open().map_err(DataError::from)?;
            packer.batch(&rows, &mut copies.splits, feed)?;
            if packer.pieces.parts() >= PARTS_WAITING {
                packer.flush(&mut copies).await?;
            }
            feed.send().await?;
            context.progress.tick();
        }
        packer.flush(&mut copies).await?;
        if packer.set.value() != manifest.hash {
            let text = format!(
                "the rows of {date}, generation {}, differ from their manifest",
                work.unit.generation
            );
            return Err(EmitterError::Integrity(text));
        }
    }
    copies.finish().await
}

/// Pieces on their way into Postgres, and splits that wait until these make way.
struct Copies<'a, 't> {
    transaction: &'a Transaction<'t>,
    pieces: Option<CopyIn>,
    splits: Tuples,
}

/// Bytes of splits that wait at most, apart from those of the pieces that wait.
const SPLITS_WAITING: usize = 1024 * 1024;
/// Parts that wait for others of their splits at most, a batch's apart: 1 MB, and as much for each measure that differs.
const PARTS_WAITING: usize = 50_000;

impl<'a, 't> Copies<'a, 't> {
    fn new(transaction: &'a Transaction<'t>) -> Self {
        Self { transaction, pieces: None, splits: Tuples::default() }
    }

    /// Where pieces are appended.
    async fn open(&mut self) -> Result<&mut CopyIn, EmitterError> {
        let pieces = match self.pieces.take() {
            Some(copy) => copy,
            None => {
                let sink = self.transaction.copy_in(sql::COPY_PIECES).await;
                CopyIn::new(sink.map_err(EmitterError::sql("store rows"))?)
            }
        };
        Ok(self.pieces.insert(pieces))
    }

    /// Sends all of it; more may follow.
    async fn finish(&mut self) -> Result<(), EmitterError> {
        let failed = EmitterError::sql;
        if let Some(pieces) = self.pieces.take() {
            pieces.finish().await.map_err(failed("store rows"))?;
        }
        if self.splits.is_empty() {
            return Ok(());
        }
        let sink = self.transaction.copy_in(sql::COPY_SPLITS).await;
        let mut splits = CopyIn::new(sink.map_err(failed("store shares"))?);
        splits.tuples = std::mem::take(&mut self.splits);
        splits.finish().await.map_err(failed("store shares"))?;
        Ok(())
    }
}

/// Currency and billing period of each line of a unit.
enum Periods {
    /// All lines agree, as most units' do: nothing to look up.
    One(String, String),
    /// The distinct pairs, and which of them each line has.
    Many(Vec<(String, String)>, HashMap<LineId, u16>),
}

impl Periods {
    async fn of(
        context: &TaskContext,
        transaction: &Transaction<'_>,
        work: &Work<'_>,
    ) -> Result<Self, EmitterError> {
        let text = |(currency, period): (Currency, BillingPeriod)| {
            (currency.to_string(), period.to_string())
        };
        let all =
            work.unit.lines.totals.iter().map(|(currency, period, _)| text((currency, period)));
        let mut pairs: Vec<_> = all.collect();
        if let [(currency, period)] = pairs.as_mut_slice() {
            return Ok(Self::One(std::mem::take(currency), std::mem::take(period)));
        }
        let mut lines = HashMap::new();
        if !pairs.is_empty() {
            let failed = EmitterError::sql;
            let (tenant, date) = (context.tenant().as_str(), PgDate(work.unit.date));
            let key: [(&(dyn ToSql + Sync), Type); 3] =
                [(&tenant, Type::TEXT), (&date, Type::DATE), (&work.lines_generation, Type::INT8)];
            let found = transaction
                .query_typed_raw(sql::LINE_PERIODS, key)
                .await
                .map_err(failed("read lines"))?;
            pin_mut!(found);
            while let Some(row) = found.try_next().await.map_err(failed("read lines"))? {
                let (line, currency, period): (&[u8], &str, &str) =
                    (row.get(0), row.get(1), row.get(2));
                let pair =
                    pairs.iter().position(|(c, p)| (c.as_str(), p.as_str()) == (currency, period));
                let (Some(pair), Ok(line)) = (pair, <[u8; 16]>::try_from(line)) else {
                    let date = work.unit.date;
                    let text = format!(
                        "a stored line of {date} has {currency} of {period}, which its manifest does not name"
                    );
                    return Err(EmitterError::Integrity(text));
                };
                lines.insert(LineId(Hash128(line)), pair as u16);
            }
        }
        Ok(Self::Many(pairs, lines))
    }

    /// Number of distinct pairs.
    fn pairs(&self) -> usize {
        match self {
            Self::One(..) => 1,
            Self::Many(pairs, _) => pairs.len(),
        }
    }

    /// The pair of a line, and its number.
    fn get(&self, line: LineId) -> Option<(u16, &str, &str)> {
        match self {
            Self::One(currency, period) => Some((0, currency, period)),
            Self::Many(pairs, lines) => {
                let pair = *lines.get(&line)?;
                let (currency, period) = &pairs[usize::from(pair)];
                Some((pair, currency, period))
            }
        }
    }
}

/// Splits of a unit that are remembered; one that is forgotten is stored again under another number.
const SPLITS_KNOWN: usize = 100_000;

struct Packer<'a> {
    context: &'a TaskContext,
    unit: &'a CommitUnit,
    periods: &'a Periods,
    set: SetHash,
    /// The number of each split, by its hash and the pair of its lines.
    splits: HashMap<(Hash128, u16), i32>,
    /// Numbers given so far.
    last: i32,
    pieces: Pieces,
    scratch: Vec<u8>,
}

impl<'a> Packer<'a> {
    fn new(context: &'a TaskContext, unit: &'a CommitUnit, periods: &'a Periods) -> Self {
        let (set, splits, pieces, scratch) = Default::default();
        Self { context, unit, periods, set, splits, last: 0, pieces, scratch }
    }

    fn batch(
        &mut self,
        rows: &Rows,
        splits: &mut Tuples,
        feed: &mut Feed,
    ) -> Result<(), EmitterError> {
        let date = self.unit.date;
        if self.splits.len() >= SPLITS_KNOWN {
            self.splits.clear();
        }
        // Per place in the batch and pair: the split's number, and the id of the dimension.
        let pairs = self.periods.pairs();
        let mut numbers: Vec<Option<i32>> = vec![None; rows.splits.len() * pairs];
        let mut ids: Vec<Option<i64>> = vec![None; rows.dimensions.len() * pairs];
        for piece in &rows.pieces {
            let Some((pair, currency, period)) = self.periods.get(piece.line) else {
                let text = format!(
                    "a row of {date} names line {}, which is not among its lines",
                    piece.line
                );
                return Err(EmitterError::Integrity(text));
            };
            let at = piece.split as usize;
            let split = &rows.splits[at];
            let number = match numbers[at * pairs + usize::from(pair)] {
                Some(number) => number,
                None => {
                    let of = (rows, pairs, pair, currency, period);
                    let number = self.number(split, of, &mut ids, splits, feed);
                    *numbers[at * pairs + usize::from(pair)].insert(number)
                }
            };
            self.set.add(piece.hash);
            let start = piece.start as usize;
            let parts = start..start + split.parts.len();
            self.pieces.add(number, piece.line, &rows.money, parts);
        }
        Ok(())
    }

    /// Sends the pieces that wait.
    async fn flush(&mut self, copies: &mut Copies<'_, '_>) -> Result<(), EmitterError> {
        let failed = EmitterError::sql;
        let tenant = self.context.tenant().as_str();
        let (generation, date) = (self.unit.generation.0, self.unit.date);
        let owner = Owner { generation, date, tenant };
        self.pieces.sort();
        let copy = copies.open().await?;
        while self.pieces.put(owner, &mut copy.tuples) {
            copy.send().await.map_err(failed("store rows"))?;
        }
        if copies.splits.size() < SPLITS_WAITING { Ok(()) } else { copies.finish().await }
    }

    /// The number of a split for lines of a pair; one that has none yet is stored.
    fn number(
        &mut self,
        split: &Split,
        (rows, pairs, pair, currency, period): (&Rows, usize, u16, &str, &str),
        ids: &mut [Option<i64>],
        splits: &mut Tuples,
        feed: &mut Feed,
    ) -> i32 {
        if let Some(number) = self.splits.get(&(split.hash, pair)) {
            return *number;
        }
        self.last += 1;
        self.splits.insert((split.hash, pair), self.last);
        let (tenant, source) = (self.context.tenant(), self.context.source());
        splits.start(SPLIT_COLUMNS);
        splits.int8(self.unit.generation.0);
        splits.date(self.unit.date);
        splits.int4(self.last);
        splits.text(tenant.as_str());
        splits.int8s(split.parts.iter().map(|(place, _)| {
            let place = *place as usize;
            *ids[place * pairs + usize::from(pair)].get_or_insert_with(|| {
                with_row_texts(source, currency, period, &rows.dimensions[place], |texts| {
                    let hash = hash_of(DimensionKind::Chargeback, tenant, texts, &mut self.scratch);
                    feed.add(hash, texts);
                    id_of(hash)
                })
            })
        }));
        splits.shares(split.parts.iter().map(|(_, share)| share));
        self.last
    }
}

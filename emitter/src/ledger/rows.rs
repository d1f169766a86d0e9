//! Rows into `chargeback_facts`.

use std::collections::HashMap;

use deadpool_postgres::tokio_postgres::Transaction;
use deadpool_postgres::tokio_postgres::types::{ToSql, Type};
use futures_util::{TryStreamExt, pin_mut};
use proto::currency::Currency;
use proto::hash::{Hash128, SetHash};
use proto::line::LineId;
use proto::row::{RowBatch, RowMoney, Rows};
use proto::subject::Stream;
use proto::task::CommitUnit;
use proto::time::{BillingPeriod, UnitDate};
use runtime::data::{BatchReader, DataError};
use runtime::worker::TaskContext;

use super::dimension::{DimensionKind, hash_of, id_of, with_row_texts};
use super::feed::Feed;
use super::lines::check_items;
use super::plan::Work;
use crate::error::EmitterError;
use crate::sql;
use crate::wire::{CopyIn, PgDate, Tuples};

/// Columns of `chargeback_facts`.
const COLUMNS: i16 = 14;

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
    if works.iter().all(|work| work.unit.rows.items == 0) {
        return Ok(());
    }
    let failed = EmitterError::sql;
    let mut copy =
        CopyIn::new(transaction.copy_in(sql::COPY_FACTS).await.map_err(failed("store rows"))?);
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
        let mut packer = Packer {
            context,
            unit: work.unit,
            periods,
            set: SetHash::default(),
            scratch: Vec::new(),
        };
        for batch in 0.. {
            let Some(body) = reader.next().await? else { break };
            check_items(date, manifest, batch, body.len())?;
            packer.batch(&body.open().map_err(DataError::from)?, &mut copy.tuples, feed)?;
            copy.send().await.map_err(failed("store rows"))?;
            feed.send().await?;
            context.progress.tick();
        }
        if packer.set.value() != manifest.hash {
            let text = format!(
                "the rows of {date}, generation {}, differ from their manifest",
                work.unit.generation
            );
            return Err(EmitterError::Integrity(text));
        }
    }
    copy.finish().await.map_err(failed("store rows"))?;
    Ok(())
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

struct Packer<'a> {
    context: &'a TaskContext,
    unit: &'a CommitUnit,
    periods: &'a Periods,
    set: SetHash,
    scratch: Vec<u8>,
}

impl Packer<'_> {
    fn batch(
        &mut self,
        rows: &Rows,
        out: &mut Tuples,
        feed: &mut Feed,
    ) -> Result<(), EmitterError> {
        let (tenant, source) = (self.context.tenant(), self.context.source());
        let (date, generation) = (self.unit.date, self.unit.generation.0);
        // Per place in the batch: hash of the row's dimension as sent. Per place and pair: its id as stored.
        let sent: Vec<Hash128> =
            rows.dimensions.iter().map(proto::row::RowDimension::hash).collect();
        let pairs = self.periods.pairs();
        let mut ids: Vec<Option<i64>> = vec![None; rows.dimensions.len() * pairs];
        for (money, place) in &rows.rows {
            let Some((pair, currency, period)) = self.periods.get(money.line) else {
                let text = format!(
                    "a row of {date} names line {}, which is not among its lines",
                    money.line
                );
                return Err(EmitterError::Integrity(text));
            };
            let place = *place as usize;
            let id = *ids[place * pairs + usize::from(pair)].get_or_insert_with(|| {
                with_row_texts(source, currency, period, &rows.dimensions[place], |texts| {
                    let hash = hash_of(DimensionKind::Chargeback, tenant, texts, &mut self.scratch);
                    feed.add(hash, texts);
                    id_of(hash)
                })
            });
            self.set.add(money.hash(sent[place]));
            put_row(out, generation, id, date, tenant.as_str(), money);
        }
        Ok(())
    }
}

fn put_row(
    out: &mut Tuples,
    generation: i64,
    dimension: i64,
    date: UnitDate,
    tenant: &str,
    money: &RowMoney,
) {
    out.start(COLUMNS);
    out.int8(generation);
    out.int8(dimension);
    out.date(date);
    out.text(tenant);
    out.bytes(&money.line.0.0);
    out.share(&money.share);
    out.amount(money.amount);
    money.measures.iter().chain(&money.quantities).for_each(|amount| out.amount_or_null(*amount));
}

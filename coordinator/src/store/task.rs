//! Tasks that are out: written before they are published, deleted when nothing waits for them any more.

use bytes::Bytes;
use deadpool_postgres::Transaction;
use proto::envelope::{self, Header};
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::subject::{self, Lane, Step};
use proto::task::Task;
use proto::time::UnitDate;
use proto::trace::Trace;
use runtime::store::StoreError;

use super::{StateError, StateStore, execute, parsed, query};

/// A task to publish after the transaction that wrote it has committed.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub subject: String,
    /// What.
    pub message: Bytes,
    /// Batches of an inventory that are published before it: subject and message. Only the first sending has them: who
    /// then finds them gone fails, and the work is sent anew.
    pub inventory: Vec<(String, Bytes)>,
    /// Which trace it is part of.
    pub trace: Trace,
    /// A new gather of this source, with which its trace begins.
    pub gathers: Option<(TenantId, SourceId)>,
}

impl StateStore {
    /// New fencing tokens.
    pub(crate) async fn generations_draw_in_txn(
        txn: &Transaction<'_>,
        count: usize,
    ) -> Result<Vec<Generation>, StateError> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let sql = "select nextval('generation_seq') from generate_series(1::bigint, $1)";
        let rows = query(txn, "draw generations", sql, &[&count]).await?;
        Ok(rows.iter().map(|row| Generation(row.get(0))).collect())
    }

    /// The highest generation that was ever drawn; 0 for none.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn generation_drawn(&self) -> Result<Generation, StateError> {
        let client = self.store.client().await?;
        let sql = "select case when is_called then last_value else last_value - 1 end from generation_seq";
        let row =
            client.query_one(sql, &[]).await.map_err(StoreError::sql("look at generations"))?;
        Ok(Generation(row.get(0)))
    }

    /// Writes a task down. Its own generation is what makes its subject unique; `gathered` is that of the gather whose
    /// lines it is about.
    pub(crate) async fn task_add_in_txn(
        txn: &Transaction<'_>,
        (step, lane): (&Step, Lane),
        (tenant, source): (&TenantId, &SourceId),
        date: Option<UnitDate>,
        (generation, gathered): (Generation, Generation),
        task: &Task,
    ) -> Result<Outgoing, StateError> {
        let trace = Trace::of_gather(tenant, source, gathered);
        let gathers = matches!(task, Task::Gather(_)).then(|| (tenant.clone(), source.clone()));
        let subject = subject::task(step, lane, tenant, source, date, generation);
        let header =
            Header::new::<Task>(tenant.clone(), generation, Attempt(0)).of_source(source.clone());
        let message = envelope::encode(&header, task)?;
        let sql = "insert into tasks (subject, tenant, source, step, generation, message, replay, gathered)
                   values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let replay = lane == Lane::Replay;
        let (tenant, source, step) = (tenant.as_str(), source.as_str(), step.to_string());
        execute(
            txn,
            "write a task",
            sql,
            &[&subject, &tenant, &source, &step, &generation.0, &message, &replay, &gathered.0],
        )
        .await?;
        Ok(Outgoing { subject, message: message.into(), inventory: Vec::new(), trace, gathers })
    }

    /// Deletes tasks that no unit, source, driver or emission waits for; gives their subjects.
    pub(crate) async fn tasks_settle_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<String>, StateError> {
        let sql = "delete from tasks t where
                     not exists (select 1 from pipeline_state p where p.task = t.subject)
                     and not exists (select 1 from emission_records e where e.task = t.subject)
                     and not exists (select 1 from emitted_files f where f.task = t.subject)
                     and not exists (select 1 from drivers d where d.task = t.subject)
                     and not exists (select 1 from source_state s where s.gather_subject = t.subject)
                   returning subject";
        let rows = query(txn, "settle tasks", sql, &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Number of tasks that are out, per tenant: all, and those of replays.
    pub(crate) async fn tasks_count_in_txn(
        txn: &Transaction<'_>,
    ) -> Result<Vec<(String, i64, i64)>, StateError> {
        let sql =
            "select tenant, count(*), count(*) filter (where replay) from tasks group by tenant";
        let rows = query(txn, "count tasks", sql, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
    }

    /// Notes that these tasks were published. Who has lost the lead notes nothing: who leads now sends them again.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn tasks_sent(&self, subjects: &[String]) -> Result<(), StateError> {
        let client = self.store.client().await?;
        // One statement, for one trip: after every sweep.
        let sql = "with lead as (select 1 from leader where role = 'coordinator' and epoch = $2 for share)
                   update tasks set sent_at = now(), sends = sends + 1
                   where subject = any($1) and exists (select from lead)";
        let failed = || StoreError::sql("note sent tasks");
        let statement = client.prepare_cached(sql).await.map_err(failed())?;
        client.execute(&statement, &[&subjects, &self.epoch]).await.map_err(failed())?;
        Ok(())
    }

    /// Tasks that were never sent, or sent longer ago than `seconds`.
    ///
    /// # Errors
    /// When Postgres cannot be asked.
    pub async fn tasks_unanswered(&self, seconds: u64) -> Result<Vec<Outgoing>, StateError> {
        let client = self.store.client().await?;
        let sql = "select subject, message, tenant, source, gathered from tasks
                   where sent_at is null or sent_at <= now() - make_interval(secs => $1) order by generation";
        let seconds = f64::from(u32::try_from(seconds).unwrap_or(u32::MAX));
        let failed = || StoreError::sql("list unanswered tasks");
        let statement = client.prepare_cached(sql).await.map_err(failed())?;
        let rows = client.query(&statement, &[&seconds]).await.map_err(failed())?;
        let outgoing = |row: &deadpool_postgres::tokio_postgres::Row| {
            let (tenant, source) = (parsed("tenant", row.get(2))?, parsed("source", row.get(3))?);
            Ok(Outgoing {
                subject: row.get(0),
                message: Bytes::from(row.get::<_, Vec<u8>>(1)),
                inventory: Vec::new(),
                trace: Trace::of_gather(&tenant, &source, Generation(row.get(4))),
                gathers: None,
            })
        };
        rows.iter().map(outgoing).collect()
    }
}

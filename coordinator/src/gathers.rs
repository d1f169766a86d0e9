//! Gathers out: what is asked of which source, when its time has come.

use deadpool_postgres::Transaction;
use proto::subject::{Lane, Step};
use proto::task::{Gather, KnownDate, Task};
use serde_bytes::ByteBuf;

use crate::leader::{Leader, today};
use crate::store::{GatherDue, Outgoing, StateError, StateStore};
use crate::sweep::one;

impl Leader {
    /// Sends out the gathers that are due.
    pub(crate) async fn plan_gathers(
        &self,
        txn: &Transaction<'_>,
        tasks: &mut Vec<Outgoing>,
    ) -> Result<(), StateError> {
        // A single run goes on: it ends with what the stream refuses, where a standing one can wait.
        if self.streams_filling && self.every.is_some() {
            return Ok(());
        }
        for due in StateStore::gathers_due_in_txn(txn, &self.run, self.every.is_none()).await? {
            let Some(entry) = self.config(&due.tenant) else { continue };
            let at = (&due.tenant, &due.source);
            let known = StateStore::units_known_in_txn(txn, at).await?;
            let inventory = StateStore::inventory_in_force_in_txn(txn, at).await?;
            let today = today();
            let generation = one(StateStore::generations_draw_in_txn(txn, 1).await?)?;
            let trigger = if self.every.is_some() { "schedule" } else { "manual" };
            let new = format!("gather-{generation}");
            let run = StateStore::gather_run_in_txn(txn, at, (&new, trigger), entry.hash).await?;
            let back = |days: Option<u32>| days.and_then(|d| today.plus_days(-i64::from(d)).ok());
            let (from, until) = match run.range {
                Some((from, to)) => (Some(from), Some(to)),
                None => (back(entry.config.lookback_days), back(entry.config.cutoff_days)),
            };
            let GatherDue { cursor, .. } = &due;
            let task = Task::Gather(Gather {
                config: entry.hash,
                folder: self.folder.to_string_lossy().into_owned(),
                today,
                from: from.max(self.kept_from(entry)),
                until,
                republish: known.iter().filter(|k| k.2).map(|k| k.0).collect(),
                known: known
                    .iter()
                    .map(|(date, hash, _)| KnownDate { date: *date, hash: *hash })
                    .collect(),
                cursor: cursor.clone().map(ByteBuf::from),
                rehash: run.range.is_some(),
                inventory: inventory.map(|(_, content)| content),
            });
            let out = StateStore::task_add_in_txn(
                txn,
                (&Step::Gather, Lane::Live),
                at,
                None,
                (generation, generation),
                &task,
            )
            .await?;
            let reading = entry.config.gather_hash(at.1)?;
            let sent = (generation, out.subject.as_str());
            StateStore::gather_dispatch_in_txn(txn, at, sent, (reading, &run.id)).await?;
            tasks.push(out);
        }
        Ok(())
    }
}

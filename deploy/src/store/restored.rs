//! What a database is told after it was restored from a backup, and whether one can be.

use anyhow::{Context, Result};
use postgres::{Client, Transaction};

/// The server's major.
pub fn server_major(txn: &mut Transaction<'_>) -> Result<u64> {
    let sql = "select current_setting('server_version_num')::int / 10000";
    let major: i32 = txn.query_one(sql, &[])?.get(0);
    u64::try_from(major).context("the server has no version")
}

/// Whether there is nothing of ours: no schema, or nothing in it.
pub fn is_empty(txn: &mut Transaction<'_>) -> Result<bool> {
    let sql = "select not exists (select from pg_class where relnamespace = to_regnamespace('apportion'))";
    Ok(txn.query_one(sql, &[])?.get(0))
}

/// Removes a schema of ours that holds nothing: a backup brings its own.
pub fn drop_empty_schema(client: &mut Client) -> Result<()> {
    client.batch_execute("drop schema if exists apportion").context("cannot drop an empty schema")
}

/// Nothing of the life before is believed in: nobody leads, nothing is compared yet, and what lies outside is to be
/// compared with what is recorded. Tasks that were out name folders of that life: they are forgotten, and who waited for
/// them is taken back as overdue by the next sweep. Gives the number of visible dates.
pub fn begin_another_life(client: &mut Client) -> Result<i64> {
    let mut txn = client.transaction()?;
    let sql = "update leader set lease_until = 'epoch';
               update reconciler set free_at = now();
               update pipeline_state set visible_checked_at = null, emitted_generation = 0 where visible_generation > 0;
               update emission_records set compare = true where hash is not null and not compare;
               delete from tasks;
               update pipeline_state set dispatched_at = 'epoch' where dispatched_at is not null;
               update source_state set gather_at = 'epoch' where gather_generation is not null;
               update emission_records set dispatched_at = 'epoch' where task is not null;
               update emitted_files set dispatched_at = 'epoch' where task is not null;
               update drivers set dispatched_at = 'epoch' where task is not null";
    txn.batch_execute(sql).context("cannot ready what was restored")?;
    let dates =
        txn.query_one("select count(*) from pipeline_state where visible_generation > 0", &[])?;
    txn.commit()?;
    Ok(dates.get(0))
}

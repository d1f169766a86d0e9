//! How far a run is.

use anyhow::Result;
use postgres::Client;

/// How far a run is: done, and known so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Sources whose gather has ended, and all.
    pub sources: (u64, u64),
    /// Dates that are visible as they should be, and all.
    pub units: (u64, u64),
    /// Emissions that are outside, and all.
    pub emissions: (u64, u64),
}

/// How far `run` is.
pub fn progress(client: &mut Client, run: &str) -> Result<Progress> {
    let sql = "with units as (
                 select p.tenant, p.source, p.date, p.state, p.visible_generation
                 from pipeline_state p join source_state s using (tenant, source) where s.in_force)
               select (select count(*) from source_state where in_force and settled_run is not distinct from $1),
                 (select count(*) from source_state where in_force),
                 (select count(*) from units where state = 'visible'), (select count(*) from units),
                 count(*) filter (where r.generation >= u.visible_generation and r.emitter_hash = e.hash), count(*)
               from units u join emitters e using (tenant)
               left join emission_records r using (tenant, source, date, emitter)
               where u.visible_generation > 0 and in_lookback(u.date, e.lookback_days, e.monthly)";
    let row = client.query_one(sql, &[&run])?;
    let pair = |at: usize| {
        let number = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or(0);
        (number(at), number(at + 1))
    };
    Ok(Progress { sources: pair(0), units: pair(2), emissions: pair(4) })
}

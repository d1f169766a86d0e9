//! Who reads all the while: each look is one statement, so one snapshot. A date shows one complete generation (I3), and
//! generations only grow (I4).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgres::{Client, NoTls};
use proto::money::ExactSum;
use proto::time::UnitDate;

use super::oracle::Oracle;

const PAUSE: Duration = Duration::from_millis(40);
const LOOK: &str = "
select p.tenant, p.source, p.date::text, p.visible_generation, p.visible_rows, f.rows, f.amount::text
from apportion.pipeline_state p
cross join lateral (select count(*) as rows, coalesce(sum(amount), 0) as amount from apportion.chargeback_facts
    where tenant = p.tenant and date = p.date and generation = p.visible_generation) f
where p.visible_generation > 0";

/// A reading thread.
pub struct Reader {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Reader {
    /// Starts to read; a server that is away is waited for.
    #[must_use]
    pub fn start(database: String, oracle: Oracle) -> Self {
        let (stop, looks) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (asked, counted) = (Arc::clone(&stop), Arc::clone(&looks));
        let thread = std::thread::spawn(move || {
            let mut seen = Seen { oracle, generations: BTreeMap::new() };
            let mut client: Option<Client> = None;
            while !asked.load(Ordering::Relaxed) {
                std::thread::sleep(PAUSE);
                let Some(open) = &mut client else {
                    client = Client::connect(&database, NoTls).ok();
                    continue;
                };
                // Before its tables are there, and while it restarts, there is nothing to see.
                let Ok(rows) = open.query(LOOK, &[]) else {
                    client = None;
                    continue;
                };
                for row in rows {
                    seen.check(&row)?;
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { stop, looks, thread: Some(thread) }
    }

    /// Whether it saw something that must not be seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, and gives the number of looks.
    ///
    /// # Errors
    /// When it saw something that must not be seen, or nothing at all.
    pub fn end(mut self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("it ends once")?;
        match thread.join() {
            Ok(seen) => seen.context("a reader")?,
            Err(_) => bail!("the reader panicked"),
        }
        let looks = self.looks.load(Ordering::Relaxed);
        ensure!(looks > 0, "the reader never saw anything");
        Ok(looks)
    }
}

struct Seen {
    oracle: Oracle,
    generations: BTreeMap<(String, String, String), i64>,
}

impl Seen {
    fn check(&mut self, row: &postgres::Row) -> Result<()> {
        let (tenant, source, date): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let (generation, stated, rows): (i64, Option<i64>, i64) =
            (row.get(3), row.get(4), row.get(5));
        let what = format!("{tenant}/{source} {date}, generation {generation}");
        let sum = ExactSum::parse(&row.get::<_, String>(6))?;
        let day: UnitDate = date.parse()?;
        ensure!(stated == Some(rows), "I3: {what}: {rows} rows are seen of {stated:?}");
        ensure!(
            self.oracle.may_be_seen(&tenant, day, rows, &sum),
            "I3: {what}: its {rows} rows come to {sum}, which no bill does"
        );
        let before = self.generations.insert((tenant, source, date), generation);
        ensure!(
            before.is_none_or(|before| before <= generation),
            "I4: {what}: generation {before:?} was visible before"
        );
        Ok(())
    }
}

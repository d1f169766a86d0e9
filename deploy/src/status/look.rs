//! What `status` sees.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use runtime::bus::Bus;
use serde::Serialize;

use crate::guard::text::PopulationStatus;
use crate::store;
use crate::summary::describe;

/// How many waiting dates and emissions are listed.
const LISTED_MAX: i64 = 10;
/// How long NATS may take to answer.
const NATS_LIMIT: Duration = Duration::from_secs(3);

/// Where everything stands. Serialises as the JSON document of `status --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Process id of the `up` or `run` over the data folder, if one runs.
    pub pid: Option<u32>,
    /// How to reach the database with psql; `None` where the address holds a password.
    pub database: Option<String>,
    /// Are our tables there?
    #[serde(skip)]
    pub migrated: bool,
    /// The coordinator that leads, if its lease runs.
    pub leader: Option<String>,
    /// Every source in force.
    pub sources: Vec<SourceStatus>,
    /// Tasks that are out, by step.
    pub tasks: BTreeMap<String, i64>,
    /// Dates that failed, wait or are quarantined: the first ones.
    pub waiting: Vec<Problem>,
    /// How many there are.
    pub waiting_count: i64,
    /// Emissions that failed: the first ones.
    pub emissions_failed: Vec<Problem>,
    /// How many there are.
    pub emissions_failed_count: i64,
    /// Visible dates whose stored facts are not what they were made of: the first difference of the first ones.
    pub findings: Vec<Finding>,
    /// How many dates there are.
    pub findings_count: i64,
    /// Files that no emitter writes any more and that were kept, because somebody changed them, or cannot be removed:
    /// the first ones.
    pub files_left: Vec<FileLeft>,
    /// How many there are.
    pub files_left_count: i64,
    /// Dates that were to be visible in the last seven days and were not: the newest ones.
    pub breaches: Vec<Breach>,
    /// How many there are.
    pub breaches_count: i64,
    /// Drivers whose weights are made, due, failed or not to be had: the first ones.
    pub drivers: Vec<DriverStatus>,
    /// How many there are.
    pub drivers_count: i64,
    /// Dates that were calculated again with another outcome: the newest ones.
    pub changes: Vec<Change>,
    /// What each source has of a type, how often gathers found far less of it, and what that waits for.
    pub populations: Vec<PopulationStatus>,
    /// From when on tenants keep their dates, and what was removed.
    pub retention: Vec<Retention>,
    /// Messages per stream; `None`: NATS was not asked or did not answer.
    pub streams: Option<Vec<StreamStatus>>,
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// Its tenant.
    pub tenant: String,
    /// Its id.
    pub source: String,
    /// Its kind.
    pub kind: String,
    /// Number of dates by state.
    pub dates: BTreeMap<String, i64>,
    /// First and last visible date.
    pub visible: Option<(String, String)>,
    /// Visible dates that usage or a driver's weights may still change.
    pub provisional: i64,
    /// When the last good gather ended.
    pub gathered_at: Option<String>,
    /// Records that it read.
    pub records: Option<i64>,
    /// Is a gather under way?
    pub gathering: bool,
    /// The schedule that it names; `None`: the default interval.
    pub schedule: Option<String>,
    /// When it is gathered next, or tried again, if somebody leads then.
    pub next_gather_at: Option<String>,
    /// Since when it cannot be gathered.
    pub failing_since: Option<String>,
    /// Failed gathers since the last good one.
    pub failed_gathers: i32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// Quarantined records in force.
    pub quarantined: i64,
    /// Emissions that are due.
    pub emissions_due: i64,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// Something that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// What.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// A date, or its emission, that does not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `tenant/source/date`.
    pub unit: String,
    /// For people.
    pub text: String,
}

/// A visible date whose stored facts are not what they were made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// `tenant/source/date`.
    pub unit: String,
    /// What differs.
    pub what: String,
    /// As it was made.
    pub expected: String,
    /// As it is stored.
    pub found: String,
    /// Since when it is known.
    pub since: String,
    /// For people.
    pub text: String,
}

/// A date that was not visible in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// `tenant/source/date`.
    pub unit: String,
    /// When it was to be.
    pub due: String,
    /// When it became visible; `None`: it has not yet.
    pub visible: Option<String>,
    /// How many seconds later that was.
    pub late_seconds: Option<i64>,
}

/// A driver over a window whose weights are not as they should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DriverStatus {
    /// Tenant.
    pub tenant: String,
    /// Its name; of what the ledger adds up, its id.
    pub driver: String,
    /// First day of the window.
    pub from: String,
    /// The day after its last.
    pub until: String,
    /// What is the matter, in words.
    pub state: String,
}

/// A file that no emitter writes any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileLeft {
    /// Where it lies.
    pub file: String,
    /// `tenant/source`.
    pub source: String,
    /// The emitter that wrote it.
    pub emitter: String,
    /// Why it is still there.
    pub why: String,
}

/// A date whose rows were replaced by others, in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `tenant/source/date`.
    pub unit: String,
    /// When.
    pub at: String,
    /// `withdrawn`, or which of `lines`, `usage` and `rules` differ, or else `drivers`.
    pub cause: String,
    /// Currency; `None` where the date never had lines.
    pub currency: Option<String>,
    /// The old total; `None` where an earlier build did not record it.
    pub old_total: Option<String>,
    /// The new total.
    pub new_total: Option<String>,
    /// New less old.
    pub difference: Option<String>,
}

/// How long a tenant keeps its dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// Tenant.
    pub tenant: String,
    /// Dates before it are removed once nothing of them is to be done; `None`: all are kept.
    pub kept_from: Option<String>,
    /// Dates that were removed, of all sources.
    pub removed: i64,
    /// The last of them.
    pub last_removed: Option<String>,
    /// When dates were removed last.
    pub removed_at: Option<String>,
}

/// A stream of NATS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Its name.
    pub stream: String,
    /// Messages in it; each has a subject of its own.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Looks at the database, and at NATS where it is known.
pub fn look(url: &str, nats: Option<&str>, pid: Option<u32>) -> Result<Standing> {
    let mut client = store::connect(url)?;
    let mut view = store::view(&mut client)?;
    let config: postgres::Config = url.parse()?;
    let database = config.get_password().is_none().then(|| url.to_owned());
    let mut standing = Standing { pid, database, ..Standing::default() };
    standing.migrated = store::is_migrated(&mut view)?;
    if !standing.migrated {
        return Ok(standing);
    }
    standing.leader =
        store::leader(&mut view)?.filter(|leader| leader.alive).map(|leader| leader.holder);
    let mut work = store::work(&mut view)?;
    let mut provisional = store::provisional(&mut view)?;
    let mut times = store::times(&mut view)?;
    for row in store::sources(&mut view)? {
        let work = work.remove(&row.key).unwrap_or_default();
        let provisional = provisional.remove(&row.key).unwrap_or_default();
        let times = times.remove(&row.key).unwrap_or_default();
        let warning = |(text, count): (String, u64)| Warning { text, count };
        standing.sources.push(SourceStatus {
            tenant: row.key.0,
            source: row.key.1,
            kind: row.kind,
            dates: work.states,
            visible: work.visible,
            provisional,
            gathered_at: row.gathered_at,
            records: row.records,
            gathering: row.gathering,
            schedule: times.schedule,
            next_gather_at: times.next,
            failing_since: times.failing_since,
            failed_gathers: row.attempts,
            error: row.last_error,
            quarantined: row.quarantined,
            emissions_due: work.emissions,
            warnings: row.warnings.into_iter().map(warning).collect(),
        });
    }
    standing.tasks = store::tasks(&mut view)?;
    let unit =
        |(tenant, source): &store::SourceKey, date: &str| format!("{tenant}/{source}/{date}");
    let stuck = store::stuck(&mut view, LISTED_MAX, true)?;
    standing.waiting_count = stuck.all;
    standing.waiting = stuck
        .first
        .iter()
        .map(|stuck| Problem { unit: unit(&stuck.key, &stuck.date), text: describe::unit(stuck) })
        .collect();
    let emissions = store::emissions(&mut view, LISTED_MAX, true)?;
    standing.emissions_failed_count = emissions.all;
    standing.emissions_failed = emissions
        .first
        .iter()
        .map(|due| Problem { unit: unit(&due.key, &due.date), text: describe::emission(due) })
        .collect();
    let findings = store::findings(&mut view, LISTED_MAX)?;
    standing.findings_count = findings.all;
    let finding = |of: store::Finding| Finding {
        unit: unit(&of.key, &of.date),
        text: describe::finding(&of),
        what: of.what,
        expected: of.expected,
        found: of.found,
        since: of.since,
    };
    standing.findings = findings.first.into_iter().map(finding).collect();
    let breaches = store::breaches(&mut view, LISTED_MAX)?;
    standing.breaches_count = breaches.all;
    let breach = |of: store::Breach| Breach {
        unit: unit(&of.key, &of.date),
        due: of.due,
        visible: of.visible,
        late_seconds: of.late_seconds,
    };
    standing.breaches = breaches.first.into_iter().map(breach).collect();
    let left = store::left(&mut view, LISTED_MAX)?;
    standing.files_left_count = left.all;
    let file = |left: store::Left| FileLeft {
        file: left.target,
        source: format!("{}/{}", left.key.0, left.key.1),
        emitter: left.emitter,
        why: left.why,
    };
    standing.files_left = left.first.into_iter().map(file).collect();
    let change = |change: store::Change| Change {
        unit: unit(&change.key, &change.date),
        at: change.at,
        cause: change.cause,
        currency: change.currency,
        old_total: change.before,
        new_total: change.after,
        difference: change.difference,
    };
    standing.changes = store::changes(&mut view, LISTED_MAX)?.into_iter().map(change).collect();
    let (drivers, count) = store::unsettled_drivers(&mut view, LISTED_MAX)?;
    standing.drivers = drivers.into_iter().map(driver).collect();
    standing.drivers_count = count;
    standing.populations = store::populations(&mut view)?.iter().map(Into::into).collect();
    let retention = |kept: store::Kept| Retention {
        tenant: kept.tenant,
        kept_from: kept.from,
        removed: kept.removed,
        last_removed: kept.last,
        removed_at: kept.at,
    };
    standing.retention = store::kept(&mut view)?.into_iter().map(retention).collect();
    standing.streams = nats.and_then(streams);
    Ok(standing)
}

fn driver(of: store::UnsettledDriver) -> DriverStatus {
    let state = match (of.error, of.lacking, of.under_way) {
        (Some(error), ..) => format!("failed, tried again: {error}"),
        (None, Some(lacking), _) => format!("cannot be had: {lacking}"),
        (None, None, true) => "under way".to_owned(),
        (None, None, false) => "due".to_owned(),
    };
    DriverStatus { tenant: of.tenant, driver: of.driver, from: of.from, until: of.until, state }
}

/// Messages per stream. That NATS is away is no reason to say nothing of the rest.
fn streams(url: &str) -> Option<Vec<StreamStatus>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = runtime.block_on(async {
        tokio::time::timeout(NATS_LIMIT, async {
            Bus::connect(url, "status").await?.stream_usage().await
        })
        .await
    });
    let usage = asked.ok()?.ok()?;
    let status = |usage: runtime::streams::StreamUsage| StreamStatus {
        stream: usage.stream.name().to_owned(),
        messages: usage.messages,
        bytes: usage.bytes,
    };
    Some(usage.into_iter().map(status).collect())
}

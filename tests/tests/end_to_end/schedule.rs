//! Sources are gathered at their times, whoever leads; dates that are not visible in time are recorded once; a source that
//! is not there is waited for.

use anyhow::Result;
use nix::sys::signal::Signal;
use proto::time::UnitDate;
use tests::roles;
use tests::stand::{PATIENCE, Stand, Started};
use tests::world;

use crate::{assert_done, day};

const TENANT: &str = r#"currency: USD
schedule: { cron: "30 4 1 1 *", time_zone: Europe/Berlin }
sources:
  yearly: { kind: focus, files: ["yearly.csv"] }
  often:
    kind: focus
    files: ["often.csv"]
    schedule: { cron: "*/2 * * * * *" }
    sla: { visible_by: "00:00", after: 0d }
allocation:
  - { id: rest, chain: [ { unallocated: untagged } ] }
emitters:
  csv: { dir: out/csv }
"#;
const NEW_YEAR: &str = "01-01T03:30:00";

/// The one text that a query gives; none while there is nothing to ask.
fn ask(stand: &Stand, sql: &str) -> Option<String> {
    let asked = stand.database(|client| {
        client.batch_execute("set search_path = apportion; set time zone 'UTC'")?;
        Ok(client.query_opt(sql, &[])?.and_then(|row| row.get::<_, Option<String>>(0)))
    });
    asked.ok().flatten()
}

fn change(stand: &Stand, sql: &str) -> Result<u64> {
    stand.database(|client| {
        Ok(client.execute(&format!("update apportion.source_state set {sql}"), &[])?)
    })
}

/// Gathers of a source that ended well, for that reason.
fn gathers(stand: &Stand, source: &str, trigger: &str) -> usize {
    let sql = format!(
        "select count(*)::text from pipeline_runs where kind = 'gather' and status = 'done'
           and source = '{source}' and trigger = '{trigger}'"
    );
    ask(stand, &sql).and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn next(stand: &Stand, source: &str) -> String {
    let sql = format!(
        "select to_char(next_gather_at, 'MM-DD\"T\"HH24:MI:SS') from source_state where source = '{source}'"
    );
    ask(stand, &sql).unwrap_or_default()
}

fn more(up: &mut Started, stand: &Stand, source: &str, than: usize) -> usize {
    let gathers =
        |_: &Started| Some(gathers(stand, source, "schedule")).filter(|count| *count > than);
    up.until("it is gathered", gathers).expect("it comes to that")
}

fn open(stand: &Stand) -> Option<String> {
    ask(
        stand,
        "select string_agg(date::text, ' ' order by date) from sla_breaches where visible_at is null",
    )
}

fn end(mut up: Started) {
    up.signal(Signal::SIGTERM).expect("it runs");
    assert!(up.end(PATIENCE).expect("it ends").success(), "{}", up.said());
}

#[test]
fn sources_are_gathered_at_their_times_and_dates_that_come_late_are_recorded_once() -> Result<()> {
    let stand = Stand::with_servers("schedule", None)?.impatient();
    stand.write("tenants/acme.yaml", TENANT);
    let mut often = world::bill(71, "USD", day("2026-05-01"), 2, 4);
    stand.write("often.csv", world::csv(&often));
    stand.write("yearly.csv", world::csv(&world::bill(72, "USD", day("2026-05-01"), 1, 4)));
    // Whoever runs once need not wait.
    assert_done(&stand.run_once(&[]), 3);
    assert_eq!(next(&stand, "yearly"), NEW_YEAR);

    let mut up = stand.start(&["up"]);
    let all = roles::all(&mut up)?;
    let seen = more(&mut up, &stand, "often", 2);
    let even = "select (extract(epoch from next_gather_at) % 2)::text from source_state where source = 'often'";
    assert_eq!(ask(&stand, even).and_then(|rest| rest.parse::<f64>().ok()), Some(0.0));

    // Nothing of yesterday and today is there, and their time has come.
    let yesterday: UnitDate =
        ask(&stand, "select (now()::date - 1)::text").expect("a date").parse()?;
    let today = yesterday.plus_days(1)?;
    change(
        &stand,
        &format!("sla_date = '{yesterday}', sla_due_at = now() where source = 'often'"),
    )?;
    let both = format!("{yesterday} {today}");
    up.until("both are recorded", |_| open(&stand).filter(|open| *open == both))?;
    let metric = r#"apportion_sla_breaches_open{tenant="acme",source="often"}"#;
    let shown = |wanted: f64| {
        let value = |role: &roles::Role| role.metric(metric)?.parse::<f64>().ok();
        all.iter().any(|role| value(role) == Some(wanted))
    };
    up.until("the metric tells of both", |_| shown(2.0).then_some(()))?;
    often.extend(world::bill(73, "USD", yesterday, 1, 4));
    stand.write("often.csv", world::csv(&often));
    up.until("one comes late", |_| open(&stand).filter(|open| *open == today.to_string()))?;
    up.until("the metric tells of one", |_| shown(1.0).then_some(()))?;
    let late = format!(
        "select (late = visible_at - due_at and late > interval '0')::text from sla_breaches where date = '{yesterday}'"
    );
    assert_eq!(ask(&stand, &late).as_deref(), Some("true"));
    let (_, status) = stand.ask(&["status"]);
    assert!(
        status.contains(&format!("acme/often/{today}: due {today}T00:00:00Z, not visible yet")),
        "{status}"
    );
    assert!(
        status.contains(&format!("acme/often/{yesterday}: due {yesterday}T00:00:00Z, visible")),
        "{status}"
    );
    assert!(up.said().contains("a date is not visible in time"), "{}", up.said());
    end(up);

    // Its time is nobody's memory: it stays over a restart, and what was missed meanwhile is made up once.
    let mut up = stand.start(&["up"]);
    let seen = more(&mut up, &stand, "often", seen);
    assert_eq!(
        (next(&stand, "yearly").as_str(), gathers(&stand, "yearly", "schedule")),
        (NEW_YEAR, 0)
    );
    end(up);
    assert_eq!(
        change(&stand, "next_gather_at = now() - interval '3 years' where source = 'yearly'")?,
        1
    );
    let mut up = stand.start(&["up"]);
    assert_eq!(more(&mut up, &stand, "yearly", 0), 1);
    more(&mut up, &stand, "often", seen + 1);
    assert_eq!(
        (next(&stand, "yearly").as_str(), gathers(&stand, "yearly", "schedule")),
        (NEW_YEAR, 1)
    );

    // What is not there is waited for, and nothing goes.
    stand.remove("often.csv");
    let failing = "select last_error from source_state where source = 'often' and failing_since is not null and attempts > 1";
    let error = up.until("it is not there", |_| ask(&stand, failing))?;
    assert!(
        error.starts_with("the source is not available: ") && error.contains("often.csv"),
        "{error}"
    );
    // Between two attempts it is said when the next one is.
    let told = up.until("it is told when it is tried again", |_| {
        let (_, status) = stand.ask(&["status"]);
        let line = status.lines().find(|line| line.contains("; next try at ")).map(str::to_owned);
        line.filter(|line| line.starts_with("acme/often cannot be gathered since "))
    })?;
    assert!(told.contains("the source is not available"), "{told}");
    let kept = "select count(*)::text from pipeline_state where source = 'often' and visible_generation > 0 and not withdrawn";
    assert_eq!(ask(&stand, kept).as_deref(), Some("3"));
    stand.write("often.csv", world::csv(&often));
    let well = "select 'well' from source_state where source = 'often' and failing_since is null";
    up.until("it is there again", |_| ask(&stand, well))?;
    end(up);
    Ok(())
}

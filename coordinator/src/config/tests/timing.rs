//! Schedules, and times by which dates are to be visible.

use proto::config::{Schedule, Sla, Timing};

use super::*;

const BERLIN: &str = "Europe/Berlin";

fn cron(expression: &str, time_zone: &str) -> Schedule {
    Schedule::Cron { expression: expression.to_owned(), time_zone: time_zone.to_owned() }
}

fn sla(visible_by: u16, time_zone: &str, after_days: u32) -> Sla {
    Sla { visible_by, time_zone: time_zone.to_owned(), after_days }
}

#[test]
fn a_source_is_as_it_says_or_as_its_tenant_does() {
    let source = |more: &str| format!("{{ kind: focus, files: [\"*.csv\"]{more} }}");
    let tenant = format!(
        "schedule: {{ cron: \" 0  6 * * * \", time_zone: {BERLIN} }}\nsla: {{ visible_by: 08:00 }}\nsources:\n\
         \x20 a: {}\n  b: {}\n  c: {}\n",
        source(""),
        source(", schedule: { every: 1h }, sla: none"),
        source(", sla: { visible_by: \"23:30\", time_zone: Europe/Berlin, after: 2d }"),
    );
    let dir = folder(&[("tenants/acme.yaml", &tenant)]);
    let config = load(dir.path(), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    let sources = config.tenants.into_values().next().unwrap().sources;
    let times: Vec<Timing> = sources.into_iter().map(|source| source.timing).collect();
    let daily = Some(cron("0 6 * * *", BERLIN));
    let wanted = [
        Timing { schedule: daily.clone(), sla: Some(sla(480, "UTC", 1)) },
        Timing { schedule: Some(Schedule::Every(3_600)), sla: None },
        Timing { schedule: daily, sla: Some(sla(1_410, BERLIN, 2)) },
    ];
    assert_eq!(times, wanted);
    assert!(good_tenant("").sources[0].timing.is_empty());
}

#[test]
fn a_schedule_that_names_no_time_is_told_with_its_mend() {
    let form = "write minute, hour, day of month, month and day of week, such as \"0 6 * * *\", or seconds before them";
    for text in ["0 6 * *", "0 25 * * *", "at six"] {
        let found = wrong(&format!("schedule: {{ cron: \"{text}\" }}"));
        let [found] = &found[..] else { panic!("{found:?}") };
        let start = format!("tenants/acme.yaml:2:19: `cron` is {text:?} (");
        assert!(found.starts_with(&start) && found.ends_with(&format!("{form})")), "{found}");
    }
    one(
        "schedule: { cron: \"0 6 30 2 *\" }",
        "2:19: `cron` is \"0 6 30 2 *\" (such a time never comes: write one that does)",
    );
    one(
        "schedule: { cron: \"0 6 * * *\", time_zone: Europe/Berln }",
        "2:43: `time_zone` is \"Europe/Berln\" (did you mean `Europe/Berlin`?)",
    );
    one(
        "schedule: { cron: \"0 6 * * *\", time_zone: here }",
        "2:43: `time_zone` is \"here\" (there is no time zone \"here\": write a name of the tz database, such as Europe/Berlin, or UTC)",
    );
    one(
        "schedule: { every: 15m, cron: \"0 6 * * *\" }",
        "2:31: `schedule` has both `every` and `cron` (keep one of the two)",
    );
    one(
        "schedule: {}",
        "2:11: `schedule` has neither `every` nor `cron` (write `every: 15m`, or `cron: \"0 6 * * *\"` with its `time_zone`)",
    );
    one("schedule: { every: 0s }", "2:20: `every` is \"0s\" (write at least 1s)");
    one(
        "schedule: { every: 15 }",
        "2:20: `every` is \"15\" (write a number with its unit, such as 90s, 30m, 24h, 5d or 2w)",
    );
    one(
        "schedule: { every: 15m, time_zone: UTC }",
        "2:36: `time_zone` means nothing for `every` (remove it, or write `cron` in place of `every`)",
    );
    one(
        "schedule: daily",
        "2:11: `schedule` is a text (write a map: `key: value` lines, or { key: value })",
    );
}

#[test]
fn a_time_that_dates_cannot_be_visible_by_is_told_with_its_mend() {
    one("sla: { after: 1d }", "2:6: `sla` lacks `visible_by` (add `visible_by: …`)");
    one(
        "sla: { visible_by: 8am }",
        "2:20: `visible_by` is \"8am\" (write hours and minutes in quotes, such as \"08:00\")",
    );
    one(
        "sla: { visible_by: \"08:00\", after: 12h }",
        "2:36: `after` is \"12h\" (write whole days, such as 5d, at most 36500d)",
    );
    one("sla: never", "2:6: `sla` is \"never\" (write { visible_by: \"08:00\" }, or `none`)");
}

use super::look::{
    Breach, Change, DriverStatus, FileLeft, Finding, Problem, SourceStatus, Standing,
};
use super::text;

fn unit_of(day: u32) -> String {
    format!("acme/aws/2026-09-{day:02}")
}

fn standing() -> Standing {
    let source = SourceStatus {
        tenant: "acme".to_owned(),
        source: "aws".to_owned(),
        kind: "focus".to_owned(),
        dates: [
            ("visible".to_owned(), 27),
            ("gathered".to_owned(), 2),
            ("quarantined".to_owned(), 1),
        ]
        .into(),
        visible: Some(("2026-09-01".to_owned(), "2026-09-30".to_owned())),
        gathered_at: Some("2026-10-01T03:00:00Z".to_owned()),
        records: Some(2_811),
        next_gather_at: Some("2026-10-01T06:00:00Z".to_owned()),
        failing_since: Some("2026-10-01T03:15:00Z".to_owned()),
        failed_gathers: 2,
        error: Some("bills/x.csv.gz: the file ends too early".to_owned()),
        quarantined: 3,
        emissions_due: 4,
        provisional: 5,
        ..SourceStatus::default()
    };
    let unit = unit_of(4);
    Standing {
        pid: Some(42),
        database: Some("postgresql://apportion@%2Ftmp%2Fx:5432/apportion".to_owned()),
        migrated: true,
        leader: Some("host".to_owned()),
        sources: vec![source],
        tasks: [("allocate".to_owned(), 2)].into(),
        waiting: vec![Problem { text: format!("{unit} (quarantined): boom"), unit }],
        waiting_count: 3,
        findings: vec![Finding {
            unit: unit_of(3),
            what: "rows".to_owned(),
            expected: "81".to_owned(),
            found: "80".to_owned(),
            since: "2026-10-01T04:00:00Z".to_owned(),
            text: "acme/aws/2026-09-03 rows: expected 81, found 80".to_owned(),
        }],
        findings_count: 2,
        breaches: vec![
            Breach {
                unit: unit_of(29),
                due: "2026-09-30T08:00:00Z".to_owned(),
                visible: None,
                late_seconds: None,
            },
            Breach {
                unit: unit_of(27),
                due: "2026-09-28T08:00:00Z".to_owned(),
                visible: Some("2026-09-28T09:10:05Z".to_owned()),
                late_seconds: Some(4_205),
            },
        ],
        breaches_count: 2,
        files_left: vec![FileLeft {
            file: "/out/acme_aws_2026-09.csv".to_owned(),
            source: "acme/aws".to_owned(),
            emitter: "csv".to_owned(),
            why: "it was changed after it was emitted".to_owned(),
        }],
        files_left_count: 1,
        drivers: vec![DriverStatus {
            tenant: "acme".to_owned(),
            driver: "sessions".to_owned(),
            from: "2026-09-01".to_owned(),
            until: "2026-09-02".to_owned(),
            state: "cannot be had: nobody answers".to_owned(),
        }],
        drivers_count: 1,
        changes: vec![Change {
            unit: "acme/aws/2026-09-02".to_owned(),
            at: "2026-10-01T03:00:05Z".to_owned(),
            cause: "lines, rules".to_owned(),
            currency: Some("USD".to_owned()),
            old_total: Some("10".to_owned()),
            new_total: Some("25.5".to_owned()),
            difference: Some("15.5".to_owned()),
        }],
        ..Standing::default()
    }
}

#[test]
fn people_see_sources_work_and_reasons() {
    let wanted = "apportion runs (pid 42); coordinator host leads
psql 'postgresql://apportion@%2Ftmp%2Fx:5432/apportion'    (schema apportion)

tenant  source  kind   visible                   last gather           next gather           dates  waiting  quarantined  last read  bad records  emissions due
acme    aws     focus  2026-09-01 to 2026-09-30  2026-10-01T03:00:00Z  2026-10-01T06:00:00Z     30        2            1       2811            3              4

tasks out: allocate 2

changed at            date                 cause         currency  old total  new total  difference
2026-10-01T03:00:05Z  acme/aws/2026-09-02  lines, rules  USD              10       25.5        15.5

acme/aws: 5 dates are provisional, see the view `units`

acme/aws cannot be gathered since 2026-10-01T03:15:00Z (2 attempts): bills/x.csv.gz: the file ends too early; next try at 2026-10-01T06:00:00Z

visible dates that are not stored as they were made: `apportion reconcile` looks again (2):
  acme/aws/2026-09-03 rows: expected 81, found 80
  and 1 more

dates that were not visible when they were to be, in the last seven days (2):
  acme/aws/2026-09-29: due 2026-09-30T08:00:00Z, not visible yet
  acme/aws/2026-09-27: due 2026-09-28T08:00:00Z, visible 2026-09-28T09:10:05Z, 1:10:05 late

dates that do not go on (3):
  acme/aws/2026-09-04 (quarantined): boom
  and 2 more

drivers whose weights are not up to date (1):
  acme: sessions from 2026-09-01 until 2026-09-02: cannot be had: nobody answers

files that no emitter writes any more: remove them by hand, or they are added up with the others (1):
  /out/acme_aws_2026-09.csv (acme/aws): it was changed after it was emitted
";
    assert_eq!(text::standing(&standing()), wanted);
}

#[test]
fn programs_get_one_document() {
    let json = serde_json::to_value(standing()).unwrap();
    assert_eq!(json["sources"][0]["dates"]["visible"], 27);
    assert_eq!(json["sources"][0]["visible"][1], "2026-09-30");
    assert_eq!(json["waiting_count"], 3);
    assert_eq!(json["streams"], serde_json::Value::Null);
    assert!(json.get("migrated").is_none());
}

#[test]
fn nothing_that_runs_is_said_with_the_way_to_start_it() {
    let text = text::nothing(std::path::Path::new("/data"), false);
    assert!(
        text.starts_with("nothing runs over /data: start it with `apportion up --data-dir /data`"),
        "{text}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&text::nothing("/data".as_ref(), true)).unwrap();
    assert_eq!(json["pid"], serde_json::Value::Null);
}

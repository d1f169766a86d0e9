//! The second gather and those after it: only what changed is read and published.

use super::*;
use proto::time::UnitDate;

fn day(text: &str) -> UnitDate {
    text.parse().unwrap()
}

/// Two files that share 2024-09-02, gathered once.
fn two_files() -> Tenant {
    let mut tenant = Tenant::new(Measure::Billed, &["*.csv"]);
    tenant
        .write("a.csv", bill(&[("2024-09-01", "1"), ("2024-09-02", "2"), ("2024-09-05", "oops")]));
    tenant.write("b.csv", bill(&[("2024-09-02", "20"), ("2024-09-03", "30")]));
    let found = tenant.gather_on();
    assert_eq!(found.published(), ["2024-09-01", "2024-09-02", "2024-09-03"]);
    assert_eq!((found.records, found.quarantined.len(), found.files_read.len()), (5, 1, 2));
    tenant
}

#[test]
fn nothing_changed_nothing_read() {
    let mut tenant = two_files();
    let found = tenant.gather_on();
    assert_eq!((found.unchanged(), found.published().len(), found.records), (3, 0, 0));
    assert!(
        found.files_read.is_empty() && found.batches.is_empty() && found.quarantined.is_empty()
    );
    assert_eq!(found.files_bad, ["a.csv"], "what it told before stays in force");
    // Again, on what that one left.
    assert_eq!(tenant.gather_on().unchanged(), 3);
    tenant.write("a.csv", bill(&[("2024-09-01", "1"), ("2024-09-02", "2"), ("2024-09-05", "50")]));
    let mended = tenant.gather_on();
    assert!(mended.files_bad.is_empty() && mended.published() == ["2024-09-05"]);
}

#[test]
fn one_changed_line_publishes_its_date_alone() {
    let mut tenant = two_files();
    tenant
        .write("a.csv", bill(&[("2024-09-01", "1"), ("2024-09-02", "3"), ("2024-09-05", "oops")]));
    let found = tenant.gather_on();
    assert_eq!((found.published(), found.unchanged()), (vec!["2024-09-02".to_owned()], 2));
    assert_eq!(found.files_read, ["a.csv"]);
    assert_eq!(
        found.lines[&day("2024-09-02")].len(),
        2,
        "the other file's line of that date is there too"
    );
    assert_eq!(found.quarantined.len(), 1, "of the file that was read whole");
    assert_eq!(found.sum(Measure::Billed), "23");
}

#[test]
fn a_file_that_goes_takes_its_lines_along() {
    let mut tenant = two_files();
    tenant.remove("b.csv");
    let found = tenant.gather_on();
    assert_eq!(found.published(), ["2024-09-02"]);
    let dates: Vec<String> = found.dates.iter().map(|d| d.date.to_string()).collect();
    assert_eq!(dates, ["2024-09-01", "2024-09-02"], "2024-09-03 is withdrawn by not being there");
    assert_eq!((found.records, found.quarantined.len()), (0, 0), "a.csv was not read whole");
    tenant.remove("a.csv");
    assert!(tenant.error().contains("nothing is withdrawn"));
}

#[test]
fn a_file_that_comes_is_read_and_others_only_where_it_matters() {
    let mut tenant = two_files();
    tenant.write("c.csv", bill(&[("2024-09-03", "300"), ("2024-09-04", "400")]));
    let found = tenant.gather_on();
    assert_eq!(found.published(), ["2024-09-03", "2024-09-04"]);
    assert_eq!(found.sum(Measure::Billed), "730");
    assert_eq!(found.files_read, ["c.csv"]);
}

#[test]
fn the_same_content_elsewhere_is_unchanged() {
    let mut tenant = two_files();
    tenant.age("a.csv", 60);
    std::fs::rename(tenant.folder.path().join("b.csv"), tenant.folder.path().join("z.csv"))
        .unwrap();
    let found = tenant.gather_on();
    assert_eq!((found.files_read.len(), found.published().len(), found.unchanged()), (2, 0, 3));
}

#[test]
fn what_is_in_force_decides_not_what_was_found() {
    let mut tenant = two_files();
    tenant.task.known.retain(|k| k.date != day("2024-09-03"));
    tenant.task.known[0].hash = proto::hash::Hash128([7; 16]);
    let found = tenant.gather();
    assert_eq!(found.published(), ["2024-09-01", "2024-09-03"]);
    tenant.task.known.clear();
    assert_eq!(tenant.gather().published().len(), 3);
}

#[test]
fn republish_and_rehash_do_what_they_say() {
    let mut tenant = two_files();
    tenant.task.republish = vec![day("2024-09-02")];
    let found = tenant.gather();
    assert_eq!((found.published(), found.unchanged()), (vec!["2024-09-02".to_owned()], 2));
    assert_eq!(found.lines[&day("2024-09-02")].len(), 2);
    tenant.task.rehash = true;
    let found = tenant.gather();
    assert_eq!(
        (found.files_read.len(), found.published(), found.unchanged()),
        (2, vec!["2024-09-02".to_owned()], 2)
    );
}

#[test]
fn other_settings_read_everything() {
    let mut tenant = two_files();
    tenant.settings.cost = Measure::Effective;
    let found = tenant.gather();
    assert_eq!((found.files_read.len(), found.unchanged()), (2, 3));
}

#[test]
fn a_file_that_was_just_written_is_read_again() {
    let mut tenant = Tenant::of(bill(&[("2024-09-01", "1")]));
    tenant.age("bill.csv", 0);
    tenant.gather_on();
    let found = tenant.gather_on();
    assert_eq!(
        (found.files_read.len(), found.unchanged()),
        (1, 1),
        "its times may hide a second change"
    );
}

#[test]
fn a_change_that_its_stamp_hides_is_noticed_where_it_matters() {
    let mut tenant = two_files();
    let path = tenant.folder.path().join("b.csv");
    let stamp = path.metadata().unwrap().modified().unwrap();
    let text = std::fs::read_to_string(&path).unwrap().replace("30,30,USD", "31,31,USD");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
    file.set_modified(stamp).unwrap();
    drop(file);
    // b.csv shares a date with the file that changed, so it is looked into, and gives itself away.
    tenant.write("a.csv", bill(&[("2024-09-02", "3")]));
    let found = tenant.gather_on();
    assert_eq!(
        (found.files_read.len(), found.published()),
        (2, vec!["2024-09-02".to_owned(), "2024-09-03".to_owned()])
    );
}

#[test]
fn a_window_leaves_other_dates_alone_and_can_move() {
    let mut tenant = two_files();
    tenant.task.cursor = None;
    tenant.task.known.clear();
    (tenant.task.from, tenant.task.until) = (Some(day("2024-09-02")), Some(day("2024-09-02")));
    let found = tenant.gather_on();
    let told = (found.published(), found.records, found.quarantined.len());
    assert_eq!(told, (vec!["2024-09-02".to_owned()], 2, 0), "the bad record is of another date");
    tenant.task.until = Some(day("2024-09-03"));
    let found = tenant.gather_on();
    assert_eq!((found.published(), found.unchanged()), (vec!["2024-09-03".to_owned()], 1));
    assert!(found.files_read.is_empty());
    tenant.task.until = Some(day("2024-09-05"));
    let found = tenant.gather_on();
    assert_eq!((found.unchanged(), found.quarantined.len()), (2, 1), "now it is told");
    assert_eq!(found.files_read, ["a.csv"]);
}

#[test]
fn a_date_too_far_ahead_is_looked_at_again_when_its_day_comes() {
    let mut tenant = Tenant::of(bill(&[("2024-09-01", "1"), ("2027-07-21", "2")]));
    let found = tenant.gather_on();
    assert_eq!((found.dates.len(), found.quarantined.len()), (1, 1));
    tenant.task.today = day("2026-06-16");
    let found = tenant.gather_on();
    assert_eq!((found.published(), found.quarantined.len()), (vec!["2027-07-21".to_owned()], 0));
}

#[test]
fn a_gather_that_is_given_up_stops() {
    let tenant = Tenant::of(bill(&[("2024-09-01", "1")]));
    let request = tenant.request();
    request.watch.stop();
    assert!(matches!(collect(&request, &tenant.settings), Err(GatherError::Stopped)));
}

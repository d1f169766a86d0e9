//! `apportion try`: a bill and nothing else.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use flate2::Compression;
use flate2::write::GzEncoder;
use proto::line::Measure;
use proto::money::ExactSum;
use serde_json::Value;
use tests::program;
use tests::stand::{PATIENCE, Stand};
use tests::world::{self, Line};

use crate::{assert_done, day, of, shared};

/// `try` in the configuration folder, with a temporary folder of its own that must be empty afterwards.
fn tried(stand: &Stand, args: &[impl AsRef<OsStr>]) -> Output {
    let temporary = stand.config().join("temporary");
    fs::create_dir_all(&temporary).expect("the folder is ours");
    let output = assert_cmd::Command::new(program::apportion())
        .arg("try")
        .args(args)
        .current_dir(stand.config())
        .env("TMPDIR", &temporary)
        .env_remove("NATS_URL")
        .env_remove("DATABASE_URL")
        .timeout(PATIENCE)
        .output()
        .expect("the program starts");
    let left: Vec<PathBuf> = fs::read_dir(&temporary)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new(), "{}", text(&output.stderr));
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("it speaks UTF-8")
}

/// The exit code and the document.
fn document(stand: &Stand, args: &[&str]) -> (Option<i32>, Value) {
    let output = tried(stand, &[args, &["--json"]].concat());
    let said = text(&output.stdout);
    let read = serde_json::from_str(&said);
    let document = read.unwrap_or_else(|e| panic!("{e}: {said}\n{}", text(&output.stderr)));
    (output.status.code(), document)
}

fn sum(value: &Value) -> ExactSum {
    value.as_str().and_then(|text| ExactSum::parse(text).ok()).unwrap_or_else(|| panic!("{value}"))
}

/// Billed = allocated + unallocated, and the owners and the reasons add up to them.
fn assert_proved(document: &Value, currency: &str, cost: Measure, billed: &str) {
    let of = &document["currencies"][currency];
    let proof = &of["proof"][cost.column()];
    assert_eq!(proof["billed"], billed, "{document}");
    assert_eq!(proof["difference"], "0", "{document}");
    let mut rest = sum(&proof["billed"]);
    rest = rest.difference(&sum(&proof["allocated"])).difference(&sum(&proof["unallocated"]));
    assert!(rest.difference(&sum(&proof["quarantined"])).is_zero(), "{document}");
    let total = |values: &Value| {
        let mut total = ExactSum::ZERO;
        values.as_object().into_iter().flatten().for_each(|(_, value)| total.merge(&sum(value)));
        total
    };
    if document["cost"] == cost.column() {
        let owed = total(&of["owners"]).difference(&sum(&proof["billed"]));
        assert!(owed.negated().difference(&sum(&proof["quarantined"])).is_zero(), "{document}");
        assert_eq!(total(&of["unallocated"]), sum(&proof["unallocated"]), "{document}");
    }
}

/// Two dates in dollars with teams on most, and a few lines in euros.
fn lines() -> (Vec<Line>, Vec<Line>) {
    let dollars = world::bill(31, "USD", day("2026-05-01"), 2, 40);
    let euros = ["7.25", "0.0000000000000000000000000003", "-1.5"];
    let euros = euros.map(|cost| Line::new(day("2026-05-02"), "EUR", cost).team("search"));
    (dollars, euros.to_vec())
}

#[test]
fn a_bill_alone_gives_who_owes_what_and_rules_that_give_the_same_again() {
    let stand = Stand::new("try");
    let (dollars, euros) = lines();
    let all: Vec<&Line> = dollars.iter().chain(&euros).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&world::csv(all.iter().copied())).expect("memory takes all");
    stand.write("my [bill].csv.gz", gzip.finish().expect("memory takes all"));
    let args = ["my [bill].csv.gz", "--by", "tag.TEAM", "--write", "proposed"];
    let (code, found) = document(&stand, &args);
    assert_eq!(code, Some(0), "{found}");
    assert_eq!(found["files"][0]["format"], "CSV in gzip");
    assert_eq!(found["files"][0]["focus"], "1.2");
    assert_eq!(found["files"][0]["lines"], all.len());
    assert_eq!(found["by"]["field"], "tag.team");
    let sums = world::sums(all.iter().copied(), Measure::Effective);
    for (currency, sums) in &sums {
        assert_proved(&found, currency, Measure::Effective, &sums.amount.to_string());
        let billed = sums.measure(Measure::Billed).to_string();
        assert_proved(&found, currency, Measure::Billed, &billed);
    }
    let owners = found["currencies"]["USD"]["owners"].as_object().expect("owners");
    for owner in ["checkout", "search", "growth", "team-data-platform", "UNALLOCATED"] {
        assert!(owners.contains_key(owner), "{found}");
    }
    assert!(!owners.contains_key("SEARCH"), "one team in two cases is one owner: {found}");
    let reasons = &found["currencies"]["USD"]["unallocated"];
    assert!(reasons["untagged"].is_string() && reasons["unused_commitment"].is_string(), "{found}");

    // The written rules, run as they stand, come to the same.
    let written = stand.config().join("proposed/tenants/company.yaml");
    stand.write("tenants/company.yaml", fs::read(&written).expect("rules were written"));
    let run = stand.run_once(&[]);
    assert_done(&run, 2);
    for currency in ["USD", "EUR"] {
        let (total, proof) = (
            &of(&run, "company")["totals"][currency],
            &found["currencies"][currency]["proof"]["EffectiveCost"],
        );
        for field in ["allocated", "unallocated", "difference"] {
            assert_eq!(total[field], proof[field], "{field} {currency}");
        }
    }
    // And they are not overwritten.
    let again = tried(&stand, &args);
    assert_eq!(again.status.code(), Some(64));
    let said = text(&again.stderr);
    assert!(said.contains("proposed/tenants/company.yaml is there already"), "{said}");
}

#[test]
fn without_a_terminal_nothing_is_asked_or_written_and_people_read_a_table() {
    let stand = Stand::new("try-text");
    let (dollars, _) = lines();
    stand.write("bill.csv", world::csv(&dollars));
    let output = tried(&stand, &["bill.csv"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    let proof = &world::sums(&dollars, Measure::Effective)["USD"].amount;
    for part in [
        "bill.csv: FOCUS 1.2, CSV, 96 lines\n",
        "owners by ",
        "\n= the bill ",
        "nobody pays because",
        &format!("proof: USD EffectiveCost: billed {proof} = allocated "),
        "proof: USD BilledCost: billed ",
        ": difference 0\n",
    ] {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
    assert!(said.lines().count() < 30 && !said.contains("write these rules"), "{said}");
    let names = fs::read_dir(stand.config()).expect("it is there");
    let mut names: Vec<_> = names.map(|entry| entry.expect("it can be read").file_name()).collect();
    names.sort();
    assert_eq!(names, ["bill.csv", "temporary", "tenants"]);
}

/// `try` at a terminal of its own, where a person gives this answer: the exit code and what the person sees.
fn answered(stand: &Stand, answer: &str) -> (Option<i32>, String) {
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let side = || Stdio::from(terminal.slave.try_clone().expect("a side of the terminal"));
    let mut command = Command::new(program::apportion());
    command.args(["try", "bill.csv"]).current_dir(stand.config());
    command.env_remove("NATS_URL").env_remove("DATABASE_URL");
    command.stdin(side()).stdout(side()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    // The terminal ends with the last who holds its other side.
    drop((command, terminal.slave));
    let mut person = fs::File::from(terminal.master);
    let mut screen = person.try_clone().expect("a second handle");
    let (told, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut piece) {
            if told.send(piece[..count].to_vec()).is_err() {
                break;
            }
        }
    });
    let (mut said, mut asked) = (Vec::new(), false);
    loop {
        match seen.recv_timeout(PATIENCE) {
            Ok(piece) => said.extend(piece),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().expect("it is ours");
                panic!("it hangs:\n{}", text(&said));
            }
        }
        if !asked && text(&said).ends_with("or Enter for none: ") {
            asked = true;
            person.write_all(format!("{answer}\n").as_bytes()).expect("it reads");
        }
    }
    let said = text(&said);
    assert!(asked, "{said}");
    (child.wait().expect("it ends").code(), said)
}

#[test]
fn at_a_terminal_a_person_is_asked_and_yes_writes_and_no_does_not() {
    let (dollars, _) = lines();
    let names = |answer: &str| {
        let stand = Stand::new("try-terminal");
        stand.write("bill.csv", world::csv(&dollars));
        let (code, said) = answered(&stand, answer);
        assert_eq!(code, Some(0), "{said}");
        let written = stand.config().join("apportion/tenants/company.yaml").is_file();
        let entries = fs::read_dir(stand.config()).expect("it is there").count();
        if written {
            assert!(said.contains("written: apportion/tenants/company.yaml"), "{said}");
            let checked = Command::new(program::apportion())
                .args(["config", "check", "--config", "apportion"])
                .current_dir(stand.config())
                .output()
                .expect("the program starts");
            assert!(checked.status.success(), "{}", text(&checked.stdout));
        }
        // Beside the bill and the folder that a stand has.
        (written, entries - 2)
    };
    let names = &names;
    std::thread::scope(|scope| {
        let asked = ["y", "n"].map(|answer| scope.spawn(move || names(answer)));
        let found = asked.map(|one| one.join().expect("it passes"));
        assert_eq!(found, [(true, 1), (false, 0)]);
    });
}

#[test]
fn what_cannot_be_used_is_told_before_a_server_starts() {
    let stand = Stand::new("try-bad");
    let (dollars, _) = lines();
    stand.write("bill.csv", world::csv(&dollars));
    stand.write("other.csv", "Date;Cost\n2026-05-01;1\n");
    stand.write("bill.parquet", "PAR1");
    stand.write("head.csv", "ChargePeriodStart,BillingCurrency,BilledCost\n");
    let refused = |args: &[&str], part: &str| {
        let output = tried(&stand, args);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(64), ""), "{said}");
        assert!(said.contains(part) && !said.contains("PostgreSQL"), "{part:?} is not in\n{said}");
    };
    refused(&["absent.csv"], "file absent.csv does not exist");
    refused(&["other.csv"], "separate its columns by commas");
    refused(&["bill.parquet"], "bill.parquet breaks off");
    refused(&["head.csv"], "a header and no line");
    refused(&["bill.csv", "--by", "tag.squad"], "keys that it has: ");
    refused(&["bill.csv", "--by", "table.x"], "needs a configuration");
}

#[test]
fn a_bad_record_is_told_and_proved_beside_the_rest() {
    let stand = Stand::new("try-quarantine");
    let header = "ChargePeriodStart,BillingCurrency,BilledCost,SubAccountId";
    stand.write(
        "bill.csv",
        format!("{header}\n2026-05-01,USD,2.5,a\n2026-05-01,USD,1,b\nyesterday,USD,4,a\n"),
    );
    let (code, found) = document(&stand, &["bill.csv"]);
    assert_eq!((code, &found["cost"]), (Some(1), &"BilledCost".into()), "{found}");
    assert_eq!(found["by"]["field"], "SubAccountId");
    assert_proved(&found, "USD", Measure::Billed, "7.5");
    assert_eq!(found["currencies"]["USD"]["proof"]["BilledCost"]["quarantined"], "4");
}

#[test]
fn the_shared_bills_are_split_by_their_owner_tags() {
    if !shared::is_there() {
        return;
    }
    let stand = Stand::new("try-shared");
    let bills: [(&str, &str, &str, &str, &str); 4] =
        shared::BILLS.map(|(name, file, billed, _)| match name {
            "sample" => (file, billed, "1.0", "CSV", ""),
            _ => (file, billed, "1.2", "CSV in gzip", "tag.owner"),
        });
    for (file, billed, version, format, by) in bills {
        let path = shared::folder().join(file);
        let (code, found) = document(&stand, &[Path::to_str(&path).expect("UTF-8")]);
        assert_eq!(code, Some(0), "{found}");
        let told = &found["files"][0];
        assert_eq!((&told["focus"], &told["format"]), (&version.into(), &format.into()), "{found}");
        assert_eq!(told["lines"], 1_000);
        if !by.is_empty() {
            assert_eq!(found["by"]["field"], by, "{found}");
        }
        assert_proved(&found, "USD", Measure::Billed, billed);
    }
}

//! `apportion bench`: the real pipeline beside COPY alone, and what it refuses to measure.

use std::process::{Command, Output};

use serde_json::Value;
use tests::program;

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(program::apportion());
    command.arg("bench").args(arguments).env_remove("DATABASE_URL").env_remove("NATS_URL");
    command.output().expect("the program runs")
}

#[test]
fn everything_that_is_made_is_stored_and_measured() {
    let shape = "--json --rows 4000 --fanout 5 --tenants 2 --dates 3 --allocators 2";
    let output = bench(&shape.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    // 134 lines of each of six units, in resources of ten lines.
    assert_eq!((&document["lines"], &document["rows"]), (&840.into(), &4200.into()), "{document}");
    assert_eq!(document["difference"], "0", "{document}");
    assert_eq!(document["units"], 6, "{document}");
    assert!(document["units_per_s"].as_u64().is_some_and(|speed| speed > 0), "{document}");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("a number: {document}"));
    for part in [&document["end_to_end"], &document["wall"], &document["phases"]["gather"]] {
        assert!(number(&part["rows_per_s"]) > 0.0 && number(&part["seconds"]) > 0.0, "{document}");
    }
    // Servers, processes and a round trip cost more than a few thousand bare rows.
    assert!((0.0..1.0).contains(&number(&document["ratio"])), "{document}");
    assert!(number(&document["bytes_per_row"]["rows"]) > 50.0, "{document}");
    if cfg!(target_os = "linux") {
        let roles = ["coordinator", "gatherer", "allocator", "emitter", "nats-server", "postgres"];
        for role in roles {
            assert!(number(&document["rss_mb"][role]) > 1.0, "{role}: {document}");
            assert!(number(&document["cpu_s"][role]) >= 0.0, "{role}: {document}");
        }
    }
}

#[test]
fn an_impossible_shape_or_a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("mine"), "").expect("writable");
    let used = folder.path().to_str().expect("UTF-8");
    for (arguments, named) in [
        (["--rows", "299"], "--rows 300 or more"),
        (["--identities", "9"], "--identities 9 are fewer than --fanout 10"),
        (["--data-dir", used], "is not empty"),
    ] {
        let output = bench(&arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{said}");
        assert!(output.stdout.is_empty());
    }
}

//! Whatever goes wrong, a command with `--json` answers with one document, and exit code 1.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The error of a command that fails in `folder`.
fn error(folder: &Path, args: &[&str], database: Option<&str>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apportion"));
    command.args(args).arg("--json").current_dir(folder);
    command.env_remove("NATS_URL").env_remove("DATABASE_URL").env_remove("APPORTION_DATA_DIR");
    let output = command.envs(database.map(|url| ("DATABASE_URL", url))).output();
    let output = output.expect("the binary starts");
    let (out, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{args:?}: {out}{said}");
    let document: Value = serde_json::from_str(&out)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {out}\n{said}"));
    let keys: Vec<&String> = document.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["error"], "{args:?}: {document}");
    let error = document["error"].as_str().expect("a text").to_owned();
    assert!(said.contains(&format!("error: {error}")), "{args:?}: {error} is not in\n{said}");
    error
}

#[test]
fn a_failure_is_one_document() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = root.path();
    fs::create_dir(folder.join("tenants")).expect("ours");
    let tenant = "sources: { aws: { kind: focus, files: [bill.csv] } }\n";
    fs::write(folder.join("tenants/acme.yaml"), tenant).expect("ours");
    fs::write(folder.join("theirs.csv"), "owner,product,amount\na,b,1\n").expect("ours");
    let whose = ["--tenant", "acme"];
    let explain = [&["explain", "--date", "2026-05-01", "--line", "00"], &whose[..]].concat();
    let compare = [&["compare", "--csv", "theirs.csv", "--currency", "USD"], &whose[..]].concat();
    let backfill = [
        &["backfill", "--source", "aws", "--from", "2026-05-01", "--to", "2026-05-02"],
        &whose[..],
    ]
    .concat();
    let asking: [&[&str]; 9] = [
        &backfill,
        &["runs"],
        &explain,
        &compare,
        &["unallocated", "--tenant", "acme"],
        &["plan", "--config", "."],
        &["deletions", "list"],
        &["withdrawals", "confirm"],
        &["config", "check", "--lint"],
    ];
    for args in asking {
        let error = error(folder, args, None);
        assert!(error.starts_with("there is no database"), "{args:?}: {error}");
    }
    // A database that is named and does not answer.
    let nowhere = Some("postgresql://nobody@127.0.0.1:1/nothing");
    for args in [&["status"][..], &explain, &["run", "--once"]] {
        error(folder, args, nowhere);
    }
    // What is not there, what is wrong, and a command line that nobody understands.
    let absent = error(folder, &["try", "absent.csv"], None);
    assert!(absent.contains("absent.csv does not exist"), "{absent}");
    let absent = error(folder, &["run", "--once", "--config", "absent"], None);
    assert!(absent.contains("absent cannot be found"), "{absent}");
    let usage = error(folder, &["explain", "--tenant", "acme"], None);
    assert!(usage.contains("--date <DATE>"), "{usage}");
    fs::write(folder.join("tenants/acme.yaml"), "curency: USD\n").expect("ours");
    let wrong = error(folder, &["run", "--once"], None);
    assert!(wrong.contains("did you mean `currency`?"), "{wrong}");
}

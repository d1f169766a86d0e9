//! Files and folders that are wrong.

use super::*;

const SOURCE: &str = "sources: { cloud: { kind: focus, files: [\"*.csv\"] } }\n";

#[test]
fn folders() {
    let missing = load(Path::new("/nowhere/at/all"), &no_env).unwrap_err().to_string();
    assert_eq!(
        missing,
        "/nowhere/at/all: there is no such folder (name a folder with tenants/<tenant>.yaml in it)"
    );
    let mend = "write one file per tenant: tenants/<tenant>.yaml";
    assert_eq!(problems(&[]), format!("tenants: there are no tenants ({mend})"));
    assert_eq!(
        problems(&[("tenants/notes.txt", "x"), ("tenants/.a.yaml", "x")]),
        format!("tenants: there are no tenants ({mend})")
    );
    let bare = tempfile::tempdir().unwrap();
    let bare = load(bare.path(), &no_env).unwrap_err().to_string();
    assert!(
        bare.starts_with("tenants: cannot read the folder: ")
            && bare.ends_with(&format!("({mend})")),
        "{bare}"
    );
}

#[test]
fn names_of_tenants() {
    let pattern = "ids are [a-z0-9][a-z0-9_-]{0,62} (lower-case letters, digits, - and _, at most 63, starting with a letter or digit)";
    assert_eq!(
        problems(&[("tenants/a.b.yaml", SOURCE)]),
        format!(
            "tenants/a.b.yaml: tenant id \"a.b\" is not allowed: {pattern} (rename the file, for instance to a-b.yaml)"
        )
    );
    assert_eq!(
        problems(&[("tenants/Acme.yaml", SOURCE)]),
        format!(
            "tenants/Acme.yaml: tenant id \"Acme\" is not allowed: {pattern} (rename the file, for instance to acme.yaml)"
        )
    );
    assert_eq!(
        problems(&[("tenants/a.yaml", SOURCE), ("tenants/A.yaml", SOURCE)]),
        "tenants/a.yaml: A.yaml and a.yaml stand for the same tenant: their names differ only in case or ending (keep one, in lower case and ending in .yaml)"
    );
    assert!(
        problems(&[("tenants/a.yaml", SOURCE), ("tenants/a.yml", SOURCE)])
            .contains("a.yaml and a.yml stand for the same tenant")
    );
    assert_eq!(
        problems(&[("tenants/a.yaml", SOURCE), ("apportion.yaml", ""), ("apportion.yml", "")]),
        "apportion.yml: stands beside apportion.yaml (keep one of the two)"
    );
}

#[test]
fn tenants_that_would_write_the_same_files() {
    let tenant = |source: &str, dir: &str| {
        format!(
            "sources: {{ {source}: {{ kind: focus, files: [\"*.csv\"] }} }}\nemitters: {{ csv: {{ dir: {dir} }} }}\n"
        )
    };
    let (one, other) = (tenant("prod_aws", "out"), tenant("aws", "./out/"));
    assert_eq!(
        problems(&[("tenants/acme.yaml", &one), ("tenants/acme_prod.yaml", &other)]),
        "tenants/acme_prod.yaml:2:13: emitter `csv` writes file acme_prod_aws_2026-05-01.csv for source `aws`, as emitter \
         `csv` of tenant acme does for source `prod_aws` (give it another `dir` or `file`)\n  \
         2 | emitters: { csv: { dir: ./out/ } }\n    |             ^"
    );
    let two = "sources: { a: { kind: focus, files: [a.csv] }, b: { kind: focus, files: [b.csv] } }
emitters: { csv: { dir: x, file: \"{date}.csv\" } }";
    let found = problems(&[("tenants/acme.yaml", two)]);
    assert!(found.contains("(add {source} to `file`)"), "{found}");
    let month = "sources: { a: { kind: focus, files: [a.csv] } }
emitters: { a: { kind: csv, dir: x, file: \"{month}-02.csv\" }, b: { kind: csv, dir: x, file: \"{date}.csv\" } }";
    let found = problems(&[("tenants/acme.yaml", month)]);
    assert!(
        found.contains("emitter `b` writes file 2026-05-02.csv for source `a`, as emitter `a`"),
        "{found}"
    );
    let elsewhere = tenant("aws", "out/prod");
    let files = [("tenants/acme.yaml", one.as_str()), ("tenants/acme_prod.yaml", &elsewhere)];
    assert_eq!(load(folder(&files).path(), &no_env).unwrap().tenants.len(), 2);
}

#[test]
fn tenants_that_would_read_what_they_write() {
    let tenant = |files: &str, emitter: &str| {
        format!(
            "sources: {{ aws: {{ kind: focus, files: [\"{files}\"] }} }}\nemitters: {{ csv: {{ {emitter} }} }}\n"
        )
    };
    for (files, emitter) in [
        ("**/*.csv", "dir: out"),
        ("./bills/*.csv", "dir: bills"),
        ("bills/*/2026-05*.csv", "dir: bills, file: \"{source}/{month}.csv\""),
        ("acme_aws_*", "dir: ."),
    ] {
        let text = tenant(files, emitter);
        let wrong = format!(
            "tenants/acme.yaml:2:13: emitter `csv` writes files that {files:?} of source `aws` of tenant acme reads as bills"
        );
        assert!(problems(&[("tenants/acme.yaml", &text)]).starts_with(&wrong), "{text}");
    }
    for (files, emitter) in [
        ("bills/*.csv", "dir: out"),
        ("bills/*.csv", "dir: bills/out"),
        ("bills/*.csv.gz", "dir: bills"),
        ("bills/aws-*.csv", "dir: bills"),
    ] {
        let text = tenant(files, emitter);
        let folder = folder(&[("tenants/acme.yaml", &text)]);
        assert!(load(folder.path(), &no_env).is_ok(), "{text}");
    }
    // Of another tenant, too.
    let (one, other) = (tenant("shared/*", "dir: out"), tenant("x.csv", "dir: shared"));
    let found = problems(&[("tenants/a.yaml", &one), ("tenants/b.yaml", &other)]);
    assert!(
        found.starts_with("tenants/b.yaml:2:13: emitter `csv` writes files that \"shared/*\""),
        "{found}"
    );
}

#[test]
fn every_problem_of_every_file_in_one_go() {
    let a = "sources: { cloud: { kind: focus, files: [] } }\nlookback: 5\n";
    let b = "sorces: {}\ncurrency: usd\nallocation: [ { id: x, chain: [ dircet ] } ]\n";
    assert_eq!(
        problems(&[("tenants/a.yaml", a), ("tenants/b.yaml", b), ("apportion.yaml", "data-dir: x\n")]),
        "apportion.yaml:1:1: unknown key `data-dir` in apportion.yaml (did you mean `data_dir`?)
  1 | data-dir: x
    | ^
tenants/a.yaml:1:41: `files` is an empty list (write at least one entry, or remove the key)
  1 | sources: { cloud: { kind: focus, files: [] } }
    |                                         ^
tenants/a.yaml:2:11: `lookback` is \"5\" (write its unit: did you mean `5d`?)
  2 | lookback: 5
    |           ^
tenants/b.yaml:1:1: the tenant lacks `sources` (add `sources: …`)
  1 | sorces: {}
    | ^
tenants/b.yaml:1:1: unknown key `sorces` in the tenant (did you mean `sources`?)
  1 | sorces: {}
    | ^
tenants/b.yaml:2:11: `currency` is \"usd\" (\"usd\" is not an ISO 4217 currency code: write three upper-case letters such as USD)
  2 | currency: usd
    |           ^
tenants/b.yaml:3:33: there is no tier `dircet` that stands alone (did you mean `direct`?)
  3 | allocation: [ { id: x, chain: [ dircet ] } ]
    |                                 ^"
    );
}

#[test]
fn yaml() {
    let file = |text: &str| problems(&[("tenants/a.yaml", text)]);
    assert!(
        file("sources: [\n").starts_with("tenants/a.yaml:1:10: this is not YAML: unclosed bracket"),
        "{}",
        file("sources: [\n")
    );
    let plain = file(&format!("{SOURCE}emitters: {{ csv: {{ dir: ${{OUT}}/csv }} }}\n"));
    assert!(
        plain.starts_with("tenants/a.yaml:2:")
            && plain.contains("(put it in quotes: \"${OUT}/csv\")"),
        "{plain}"
    );
    assert!(file(&format!("{SOURCE}currency: USD\ncurrency: EUR\n")).starts_with(
        "tenants/a.yaml:3:1: `currency` stands here twice, first in line 2 (remove one)"
    ));
    assert!(
        file("- a\n").starts_with("tenants/a.yaml:1:1: the tenant is a list (write a map"),
        "{}",
        file("- a\n")
    );
    assert!(file("").starts_with("tenants/a.yaml:1:1: the tenant lacks `sources`"));
    assert!(
        file(&format!("{SOURCE}owners:\n"))
            .contains("2:1: `owners` has no value (write one, or remove the key)")
    );
    let big = format!("{SOURCE}#{}\n", "x".repeat(1 << 20));
    assert!(file(&big).contains("more than 1048576 (put long lists into tables (CSV files))"));
    let folder = folder(&[]);
    fs::write(folder.path().join("tenants/a.yaml"), b"x: \xff\n").unwrap();
    let bytes = load(folder.path(), &no_env).unwrap_err().to_string();
    assert_eq!(bytes, "tenants/a.yaml: the file is not UTF-8 (save it as UTF-8)");
}

#[test]
fn variables() {
    let text = format!("{SOURCE}emitters:\n  csv:\n    dir: ${{OUT_DIR}}/csv\n");
    assert_eq!(
        problems(&[("tenants/a.yaml", &text)]),
        "tenants/a.yaml:4:10: the variable OUT_DIR is not set (set it (export OUT_DIR=…), or give a default: ${OUT_DIR:-default})
  4 |     dir: ${OUT_DIR}/csv
    |          ^"
    );
    one(
        "currency: file:/nowhere/at/all",
        "2:11: cannot read /nowhere/at/all: No such file or directory (os error 2) (create the file, or make it readable for this user)",
    );
}

#[test]
fn settings() {
    let file = |text: &str| problems(&[("apportion.yaml", text), ("tenants/a.yaml", SOURCE)]);
    assert!(file("workers: { shards: 3 }").contains("1:20: `shards` is 3 (write a divisor of 64"));
    assert!(
        file("nats: { stream_bytes_max: 10 }")
            .contains("`stream_bytes_max` is \"10\" (write a number with its unit, such as 64KiB")
    );
    assert!(file("telemetry: { metrics_port: 65400 }").contains("write a port of 1 to 65335"));
    assert!(file("reconcile: { every: 0s }").contains("write at least 1s, or `never`"));
    assert!(file("telemetry: { logs: yaml }").contains("`logs` is \"yaml\" (known: text, json)"));
    assert!(file("defaults: { cutof: 1d }").contains(
        "apportion.yaml:1:13: unknown key `cutof` in the tenant (did you mean `cutoff`?)"
    ));
    let secret = file("postgres: mysql://u:pw@host\nnats: { url: [ pw ] }");
    assert!(secret.contains("apportion.yaml:1:11: `postgres` is no address (write an address that starts with postgres:// or postgresql://)"), "{secret}");
    assert!(!secret.contains("pw"), "{secret}");
    let secret = file("nats: { url: \"nats://u:pw@host\", slots: 1 }");
    assert!(secret.contains("unknown key `slots`") && !secret.contains("pw"), "{secret}");
}

#[test]
fn tables() {
    one(
        "tables: { t: { file: none.csv, key: [a], value: b } }",
        "2:22: cannot read the file none.csv: No such file or directory (os error 2) (write a path relative to the configuration folder, and make the file readable)",
    );
    assert_eq!(
        wrong("tables: { t: { file: teams.csv, key: [SubAcountId], value: teem } }"),
        [
            "tenants/acme.yaml:2:39: teams.csv has no column `SubAcountId` (did you mean `SubAccountId`?)",
            "tenants/acme.yaml:2:60: teams.csv has no column `teem` (did you mean `team`?)"
        ]
    );
    assert_eq!(
        wrong("tables: { t: { file: teams.csv, key: [SubAccountId], valeu: team } }"),
        [
            "tenants/acme.yaml:2:14: table `t` lacks `value` (add `value: …`)",
            "tenants/acme.yaml:2:54: unknown key `valeu` in table `t` (did you mean `value`?)",
        ]
    );
}

/// What is wrong with a CSV file that is read as a table with the key `k` and the value `v`.
fn csv(text: &str) -> String {
    let tenant = format!("{SOURCE}tables: {{ t: {{ file: t.csv, key: [k], value: v }} }}\n");
    problems(&[("tenants/a.yaml", &tenant), ("t.csv", text)])
}

#[test]
fn csv_files() {
    assert_eq!(
        csv(""),
        "t.csv:1:1: the file has no header (write the names of the columns in its first line)"
    );
    assert!(
        csv("k,v\na,1\nb\n")
            .starts_with("t.csv:3:1: this row has 1 cells, the header 2 (add what is missing")
    );
    assert!(
        csv("k,v\na,1\n,2\n")
            .starts_with("t.csv:3:1: the key cell `k` is empty (fill it, or remove the row)")
    );
    assert!(csv("k,v,k\na,1,b\n").contains("the column `k` is there twice (rename or remove one)"));
    assert!(csv("k,v\na,1\n\na,2\n").starts_with(
        "t.csv:4:1: the key a is there twice for the same days, first in line 2 (remove one"
    ));
    let dated = csv("k,v,valid_from,valid_to\na,1,,2026-02-01\na,2,2026-01-01,\n");
    assert!(
        dated.starts_with("t.csv:3:1: the key a is there twice for the same days, first in line 2"),
        "{dated}"
    );
    assert!(csv("k,v,valid_from\na,1,01.02.2026\n").contains(
        "`valid_from` is \"01.02.2026\" (write a date as YYYY-MM-DD, or leave it empty)"
    ));
    assert!(
        csv("k,v,valid_from,valid_to\na,1,2026-01-01,2026-01-01\n")
            .contains("the row ends (2026-01-01) before it begins (2026-01-01)")
    );
    let tenant = format!("{SOURCE}tables: {{ t: {{ file: t.csv, key: [k], value: v }} }}\n");
    let folder = folder(&[("tenants/a.yaml", &tenant)]);
    fs::write(folder.path().join("t.csv"), b"k,v\na,\xe4\n").unwrap();
    let latin = load(folder.path(), &no_env).unwrap_err().to_string();
    assert!(
        latin.contains("cannot read the file t.csv: line 2 is not UTF-8 (save it as UTF-8)"),
        "{latin}"
    );
}

#[test]
fn owner_files() {
    let owners = |text: &str| {
        problems(&[
            ("tenants/a.yaml", &format!("{SOURCE}owners: {{ file: o.csv }}\n")),
            ("o.csv", text),
        ])
    };
    assert!(owners("name\na\n").contains("o.csv:1:1: o.csv has no column `id`"));
    assert!(
        owners("id,alias\na,b\n")
            .contains("the owner file has no use for the column `alias` (did you mean `aliases`?)")
    );
    assert!(
        owners("id\na\nunallocated\n")
            .contains("o.csv:3:1: UNALLOCATED is what nobody owns, no owner")
    );
    assert!(owners("id,parent\nteam-a,team-b\n").contains("o.csv:2:1: the parent `team-b` of owner `team-a` is not in the file (did you mean `team-a`?)"));
    assert!(
        owners("id,aliases\na,x\nb,x;y\n")
            .contains("o.csv:3:1: `x` means two owners for the same days, first in line 2")
    );
    assert!(
        owners("id,parent\na,b\nb,a\n")
            .contains("owner `a` stands above itself (change one `parent` on the way up)")
    );
    assert!(owners("id,name\n,x\n").contains("the owner has no `id`"));
}

#[test]
fn a_tenant_fits_into_one_message() {
    let rows: String = (0..40_000).map(|row| format!("account-{row},team-{row}\n")).collect();
    let tenant = format!("{SOURCE}tables: {{ t: {{ file: t.csv, key: [k], value: v }} }}\n");
    let found = problems(&[("tenants/a.yaml", &tenant), ("t.csv", &format!("k,v\n{rows}"))]);
    assert!(
        found.starts_with("tenants/a.yaml: the configuration takes ")
            && found.ends_with("(make its tables smaller, or replace rows by patterns)"),
        "{found}"
    );
}

//! `demo`, `run --once`, `status` and what they say, with everything real.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use apportion::progress;
use apportion::servers::{EmbeddedPostgres, PostgresOptions};
use apportion::store;
use proto::money::ExactSum;
use serde_json::Value;

struct Company {
    root: tempfile::TempDir,
}

impl Company {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        // Open to the account that Postgres runs as when we are root.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        Self { root }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join("demo").join(name)
    }

    fn apportion(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apportion"));
        command
            .args(arguments)
            .current_dir(self.root.path())
            .env_remove("DATABASE_URL")
            .env_remove("NATS_URL")
            .env("PATH", path());
        command.output().expect("the binary starts")
    }

    /// `run --once --json`: exit code, document, stderr.
    fn run(&self, more: &[&str]) -> Result<(i32, Value, String)> {
        let (config, data) = (self.at(""), self.at(".apportion"));
        let folders = ["--config", text(&config), "--data-dir", text(&data)];
        let ran = self.apportion(&[&["run", "--once", "--json"], &folders[..], more].concat());
        let said = String::from_utf8(ran.stderr)?;
        let document =
            serde_json::from_slice(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {said}"));
        Ok((ran.status.code().context("a signal ended it")?, document, said))
    }

    /// Sums of the column `amount` of all CSV files, by tenant, source and currency.
    fn emitted(&self) -> Result<BTreeMap<(String, String, String), ExactSum>> {
        let mut sums: BTreeMap<_, ExactSum> = BTreeMap::new();
        for entry in fs::read_dir(self.at("out/csv"))? {
            let mut reader = csv::Reader::from_path(entry?.path())?;
            let header = reader.headers()?.clone();
            let at = |name: &str| {
                header.iter().position(|column| column == name).context("no such column")
            };
            let key = [at("tenant_id")?, at("source")?, at("currency")?];
            let amount = at("amount")?;
            for record in reader.records() {
                let record = record?;
                let [tenant, source, currency] = key.map(|at| record[at].to_owned());
                let amount: ExactSum = record[amount].parse()?;
                sums.entry((tenant, source, currency)).or_default().merge(&amount);
            }
        }
        Ok(sums)
    }

    /// When each CSV file was written.
    fn written(&self) -> Result<BTreeMap<String, SystemTime>> {
        let mut written = BTreeMap::new();
        for entry in fs::read_dir(self.at("out/csv"))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            written.insert(name, entry.metadata()?.modified()?);
        }
        Ok(written)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

/// The entry of a source; null when there is none.
fn of<'a>(document: &'a Value, tenant: &str, source: &str) -> &'a Value {
    let all = document["tenants"].as_array().into_iter().flatten();
    let mut found = all.filter(|one| one["tenant"] == tenant && one["source"] == source);
    found.next().unwrap_or(&Value::Null)
}

/// The first line (from 0) with a cost that is not 0, and that cost.
fn first_cost(bill: &str) -> Result<(usize, ExactSum)> {
    let mut reader = csv::Reader::from_reader(bill.as_bytes());
    let column = reader.headers()?.iter().position(|name| name == "BilledCost");
    let column = column.context("no such column")?;
    for (at, record) in reader.records().enumerate() {
        let cost: ExactSum = record?[column].parse()?;
        if !cost.is_zero() {
            return Ok((at + 1, cost));
        }
    }
    bail!("every cost is 0")
}

/// PATH with the binary's folder before the others.
fn path() -> std::ffi::OsString {
    let own = Path::new(env!("CARGO_BIN_EXE_apportion")).parent().map(Path::to_owned);
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = own.into_iter().chain(std::env::split_paths(&others));
    std::env::join_paths(all).expect("no folder's name holds a colon")
}

fn differences(document: &Value) -> Vec<String> {
    let all = document["tenants"].as_array().into_iter().flatten();
    let totals = all.flat_map(|one| one["totals"].as_object().into_iter().flatten());
    totals.map(|(_, money)| money["difference"].to_string()).collect()
}

#[test]
fn a_company_is_calculated_to_the_last_decimal_and_every_trouble_is_named() {
    let company = Company::new();
    let demo = company.apportion(&["demo", "--dir", "demo"]);
    let said = String::from_utf8(demo.stdout).unwrap();
    assert_eq!(demo.status.code(), Some(0), "{said}\n{}", String::from_utf8_lossy(&demo.stderr));
    // For people on a terminal: short, narrow, proven, and a process killed on the way.
    assert!(
        said.lines().count() <= 45 && said.lines().all(|line| line.chars().count() <= 100),
        "{said}"
    );
    assert!(said.contains("every tenant, source, currency and measure: difference 0\n"), "{said}");
    assert!(said.contains("\n(allocator-1 was killed with kill -9 half-way: "), "{said}");
    assert!(said.contains("\nΣ delta 0; 30 dates would be calculated again; digest "), "{said}");

    // What it proposes works as it is printed; `up` goes on until somebody ends it.
    let printed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let [explain, plan, up] = printed[..] else { panic!("three commands: {printed:?}") };
    let explain = explain.strip_prefix("cd demo; ").expect("it begins in the company's folder");
    for command in [explain, plan] {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(company.at("")).env("PATH", path());
        let ran = shell.env_remove("DATABASE_URL").env_remove("NATS_URL").output().unwrap();
        assert!(ran.status.success(), "{command}: {ran:?}");
    }
    assert_eq!(up, "apportion up");

    // There it was built by `deploy/demo`, and is not on PATH.
    let readme =
        include_str!("../../README.md").replace("../target/release/apportion", "apportion");
    assert!(
        readme.contains(&format!("```text\n{said}```\n")),
        "the README shows another demo:\n{said}"
    );

    // Again: no work, every file untouched, and what lies outside is what the summary says.
    let before = company.written().unwrap();
    assert_eq!(before.len(), 120);
    let (code, document, _) = company.run(&[]).unwrap();
    assert_eq!((code, &document["units"], &document["failed"]), (0, &0.into(), &0.into()));
    assert_eq!(company.written().unwrap(), before);
    assert_eq!(differences(&document), [r#""0""#; 5]);
    for ((tenant, source, currency), sum) in company.emitted().unwrap() {
        let money = &of(&document, &tenant, &source)["totals"][&currency];
        assert_eq!(money["amount"], sum.to_string(), "{tenant}/{source} {currency}");
        let mut parts: ExactSum = money["allocated"].as_str().unwrap().parse().unwrap();
        parts.merge(&money["unallocated"].as_str().unwrap().parse().unwrap());
        assert_eq!(parts, sum);
    }
    let status = ["status", "--data-dir", text(&company.at(".apportion"))].map(str::to_owned);
    let status: Vec<&str> = status.iter().map(String::as_str).collect();
    let nothing = company.apportion(&status);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&nothing.stdout)
            .starts_with("no apportion of this data folder runs")
    );
    assert!(String::from_utf8_lossy(&nothing.stdout).contains("pixelforge  gcp"), "{nothing:?}");

    // Its own configuration does nothing in vain, but for what it shows: a machine that is switched off, one that is
    // nobody's, and a team that left.
    let lint = ["config", "check", "--json", "--config", "demo", "--data-dir", "demo/.apportion"];
    let lint = company.apportion(&lint);
    let told: Value = serde_json::from_slice(&lint.stdout).unwrap();
    let warned = told["warnings"].as_array().unwrap().iter();
    let warned: Vec<(&str, bool)> = warned
        .map(|one| {
            let (what, money) = (one["what"].as_str().unwrap(), one["money"].as_array().unwrap());
            (what.split('`').nth(1).unwrap(), money.is_empty())
        })
        .collect();
    assert_eq!(warned, [("legacy-login", true), ("growth", false), ("squads", false)], "{told}");
    assert!(told.to_string().contains("no row for `load-test-2`, which 120 lines"), "{told}");
    assert_eq!((lint.status.code(), &told["notes"]), (Some(0), &Value::Array(Vec::new())));

    // Two bad lines and a truncated file.
    let azure = company.at("bills/nordwind/azure-2026-09-first.csv");
    let bill = fs::read_to_string(&azure).unwrap();
    let mut lines: Vec<String> = bill.lines().map(str::to_owned).collect();
    let (at, cost) = first_cost(&bill).unwrap();
    lines[at] = lines[at].replace("2026-09-", "2026-13-");
    lines[at + 1] = lines[at + 1].replace(",EUR,", ",EURO,");
    fs::write(&azure, lines.join("\n") + "\n").unwrap();
    let aws = company.at("bills/acme/aws-2026-09-week2.csv.gz");
    let whole = fs::read(&aws).unwrap();
    fs::write(&aws, &whole[..whole.len() / 2]).unwrap();
    let (code, document, said) = company.run(&["--allow-quarantine"]).unwrap();
    assert_eq!((code, &document["failed"]), (1, &1.into()), "{said}");
    assert!(said.contains("sources could not be gathered (1):\n  acme/aws: "), "{said}");
    assert!(said.contains("records are quarantined and no part of what is visible (2):"), "{said}");
    let place = "nordwind/azure bills/nordwind/azure-2026-09-first.csv";
    let (first, second) = (at + 1, at + 2);
    assert!(said.contains(&format!("{place}:{first}:ChargePeriodStart: bad date")), "{said}");
    assert!(
        said.contains(&format!("{place}:{second}:BillingCurrency: unknown currency")),
        "{said}"
    );
    let found = of(&document, "nordwind", "azure");
    assert_eq!(found["quarantined"], 2);
    assert_eq!(
        found["totals"]["EUR"]["quarantined"],
        cost.to_string(),
        "the other's currency is unknown"
    );
    assert_eq!(of(&document, "acme", "aws")["dates"], 30, "what was visible stays");
    assert_eq!(differences(&document), [r#""0""#; 5]);

    // The file is whole again; what is quarantined must be accepted. A bill that is gone takes its dates along.
    fs::write(&aws, &whole).unwrap();
    fs::remove_file(company.at("bills/nordwind/azure-2026-09-second.csv")).unwrap();
    assert_eq!(company.run(&[]).unwrap().0, 1);
    let (code, document, said) = company.run(&["--allow-quarantine"]).unwrap();
    assert_eq!(code, 0, "{said}");
    let azure = of(&document, "nordwind", "azure");
    assert_eq!((&azure["dates"], &azure["quarantined"]), (&15.into(), &2.into()));
    assert_eq!(differences(&document), [r#""0""#; 5]);

    let folder = company.at(".apportion/postgres");
    let server = EmbeddedPostgres::start(&folder, PostgresOptions::default()).unwrap();
    look_at_database(&company, &server, &status).unwrap();
}

/// Status, progress and troubles, with a few of the latter made by hand.
fn look_at_database(company: &Company, server: &EmbeddedPostgres, status: &[&str]) -> Result<()> {
    let mut client = store::connect(&server.url())?;
    let run: String = client
        .query_one("select run_id from pipeline_runs where kind = 'session' order by started_at desc limit 1", &[])?
        .get(0);
    let far = store::progress(&mut client, &run)?;
    assert_eq!((far.sources, far.units, far.emissions), ((4, 4), (120, 120), (240, 240)));
    let watching = progress::watch(&server.url(), &run);
    drop(watching);
    client.batch_execute(
        "update pipeline_state set state = 'quarantined', attempts = 3, last_error = 'boom'
               where tenant = 'acme' and date = '2026-09-07';
             update emission_records set generation = 1, attempts = 2, last_error = 'disk full'
               where tenant = 'nordwind' and source = 'aws' and date = '2026-09-08' and emitter = 'csv'",
    )?;
    let far = store::progress(&mut client, &run)?;
    assert_eq!((far.units, far.emissions), ((119, 120), (239, 240)));

    let asked = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_apportion"));
        let said = command.args(status).args(more).env("DATABASE_URL", server.url()).output()?;
        assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
        anyhow::Ok(String::from_utf8(said.stdout)?)
    };
    let standing: Value = serde_json::from_str(&asked(&["--json"])?)?;
    let acme = &standing["sources"][0];
    assert_eq!(
        (&acme["tenant"], &acme["dates"]["visible"], &acme["dates"]["quarantined"]),
        (&"acme".into(), &29.into(), &1.into())
    );
    assert_eq!(acme["visible"], serde_json::json!(["2026-09-01", "2026-09-30"]));
    let azure = &standing["sources"][2];
    assert_eq!(azure["visible"], serde_json::json!(["2026-09-01", "2026-09-15"]));
    assert_eq!(
        (&azure["quarantined"], &standing["sources"][1]["emissions_due"]),
        (&2.into(), &1.into())
    );
    let said = asked(&[])?;
    assert!(said.contains("acme/aws/2026-09-07 (quarantined, 3 failed attempts): boom"), "{said}");
    assert!(said.contains("nordwind/aws/2026-09-08 by csv: disk full"), "{said}");
    assert!(said.contains("no coordinator leads"), "{said}");

    let request = apportion::summary::Request {
        database_url: &server.url(),
        run: &run,
        code: 0,
        told: apportion::summary::Told::Json,
        allow_quarantine: true,
    };
    assert_eq!(apportion::summary::summarise(&request)?.0, 1, "two things are missing");
    let migrated = Command::new(env!("CARGO_BIN_EXE_apportion"))
        .arg("migrate")
        .env("DATABASE_URL", server.ensure_database("fresh")?)
        .output()?;
    assert!(String::from_utf8_lossy(&migrated.stdout).contains("V1__state\n"), "{migrated:?}");
    drop(client);
    assert!(company.at("out/csv").is_dir());
    Ok(())
}

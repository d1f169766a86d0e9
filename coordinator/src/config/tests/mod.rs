//! Whole folders: what is read, and every message.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

mod bad_files;
mod bad_rules;
mod bad_tiers;
mod confluent;
mod good;
mod measured;
mod metrics;
mod stages;
mod timing;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tenants")).unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn no_env(_: &str) -> Option<String> {
    None
}

/// The problems of a folder, printed.
fn problems(files: &[(&str, &str)]) -> String {
    load(folder(files).path(), &no_env).unwrap_err().to_string()
}

/// The problems of a tenant that has one source and this besides, printed without excerpts. Line 2 is the first of
/// `text`.
fn wrong(text: &str) -> Vec<String> {
    let tenant = format!("sources: {{ cloud: {{ kind: focus, files: [\"*.csv\"] }} }}\n{text}");
    let files = [
        ("tenants/acme.yaml", tenant.as_str()),
        ("owners.csv", "id,aliases,valid_from,valid_to\ncheckout,cart;shop,,\nsearch,,,\n"),
        (
            "percents.csv",
            "owner,percent,valid_from,valid_to\na,60,,2026-07-01\nb,40,,\na,59,2026-07-01,\n",
        ),
        ("teams.csv", "SubAccountId,team\n1,a\n"),
    ];
    let found = load(folder(&files).path(), &no_env).unwrap_err();
    found.0.into_iter().map(|problem| Problem { excerpt: None, ..problem }.to_string()).collect()
}

/// Exactly one problem: this one.
#[track_caller]
fn one(text: &str, message: &str) {
    let found = wrong(text);
    assert_eq!(found, [format!("tenants/acme.yaml:{message}")], "{text}");
}

/// The one tenant of a folder, read without problem.
fn good_tenant(text: &str) -> TenantConfig {
    let tenant = format!("sources: {{ cloud: {{ kind: focus, files: [\"*.csv\"] }} }}\n{text}");
    let folder = folder(&[("tenants/acme.yaml", &tenant)]);
    let config = load(folder.path(), &no_env).unwrap_or_else(|problems| panic!("{problems}"));
    config.tenants.into_values().next().unwrap()
}

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

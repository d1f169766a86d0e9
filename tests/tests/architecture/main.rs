//! What the layout promises, asserted: who may depend on whom, what is pure, and where each thing has its one place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

mod rules;
mod source;

use source::{Source, root};

/// The members of the workspace, and which other members each may depend on.
const MEMBERS: [(&str, &str, &[&str]); 8] = [
    ("proto", "proto", &[]),
    ("runtime", "proto/runtime", &["proto"]),
    ("gatherer", "gatherer", &["proto", "runtime"]),
    ("allocator", "allocator", &["proto", "runtime"]),
    ("emitter", "emitter", &["proto", "runtime"]),
    ("coordinator", "coordinator", &["proto", "runtime"]),
    (
        "apportion",
        "deploy",
        &["proto", "runtime", "gatherer", "allocator", "emitter", "coordinator"],
    ),
    (
        "tests",
        "tests",
        &["proto", "runtime", "gatherer", "allocator", "emitter", "coordinator", "apportion"],
    ),
];

/// Crates that do I/O or read a clock: nothing that `proto` may use.
const IMPURE_CRATES: [&str; 10] = [
    "actix",
    "async-nats",
    "backon",
    "deadpool-postgres",
    "postgres",
    "rand",
    "refinery",
    "tokio",
    "tokio-postgres",
    "tracing",
];

/// Crates that speak to Postgres: nothing that the allocator may use, itself.
const DATABASE_CRATES: [&str; 4] = ["deadpool-postgres", "postgres", "refinery", "tokio-postgres"];

/// What may lie in the root, besides what git ignores.
const TOP_LEVEL: [&str; 23] = [
    ".ci",
    ".clippy.toml",
    ".dockerignore",
    ".git",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".rustfmt.toml",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "allocator",
    "coordinator",
    "deploy",
    "docs",
    "emitter",
    "gatherer",
    "proto",
    "tests",
];

fn folders() -> Vec<&'static str> {
    MEMBERS.iter().map(|(_, folder, _)| *folder).collect()
}

fn sources() -> Vec<Source> {
    source::all(&folders())
}

fn assert_none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

/// Name of each member, with the names of everything that it depends on (tests and build included).
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--offline", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let names = |list: &Value| -> BTreeSet<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|each| each["name"].as_str().expect("a name").to_owned()).collect()
    };
    let packages = metadata["packages"].as_array().expect("a list").iter();
    packages
        .map(|package| {
            let name = package["name"].as_str().expect("a name").to_owned();
            (name, names(&package["dependencies"]))
        })
        .collect()
}

#[test]
fn members_depend_on_proto_and_runtime_and_never_on_each_other() {
    let found = dependencies();
    let members: BTreeSet<&str> = MEMBERS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<_>>(), members);
    let mut broken = Vec::new();
    for (name, _, allowed) in MEMBERS {
        for dependency in &found[name] {
            if members.contains(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} depends on {dependency}"));
            }
        }
    }
    let users = |of: &str, crates: &[&str]| -> Vec<String> {
        let used = crates.iter().filter(|name| found[of].contains(**name));
        used.map(|name| format!("{of} depends on {name}")).collect()
    };
    broken.extend(users("proto", &IMPURE_CRATES));
    broken.extend(users("allocator", &DATABASE_CRATES));
    broken.extend(users("gatherer", &DATABASE_CRATES));
    assert_none(&broken, "edges that the layout does not have");
}

#[test]
fn versions_stand_in_the_root_only() {
    let mut broken = Vec::new();
    for folder in folders() {
        let file = format!("{folder}/Cargo.toml");
        let text = fs::read_to_string(root().join(&file)).unwrap();
        let mut section = String::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.starts_with('[') {
                section = line.to_owned();
                if section.contains("dependencies.") {
                    broken.push(format!("{file}:{}: {line}: write NAME.workspace = true", at + 1));
                }
            } else if !line.is_empty()
                && section.contains("dependencies")
                && (!line.contains("workspace = true") || line.contains("version"))
            {
                broken.push(format!("{file}:{}: {line}", at + 1));
            }
        }
    }
    assert_none(&broken, "dependencies that do not take their version from the root");
}

#[test]
fn the_root_holds_only_what_belongs_there() {
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    let ignored: BTreeSet<&str> = ignored.lines().map(|line| line.trim_matches('/')).collect();
    let mut broken = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !TOP_LEVEL.contains(&name.as_str()) && !ignored.contains(name.as_str()) {
            broken.push(name);
        }
    }
    assert_none(&broken, "names that do not belong in the root");
}

//! Golden files: messages as earlier builds wrote them, decoded for ever.
//!
//! `proto/golden/<kind>-<schema>-<name>.mpk` is one whole message. A file is written once and never again: when a
//! schema number is raised, its old files and their values in code stay, and new ones join them.
//! `APPORTION_GOLDEN=write cargo test -p proto --test golden` writes the files that are missing.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use proto::envelope::{self, Body, Header, MessageKind};
use proto::hash::Hash128;
use proto::ids::{Attempt, Generation, SourceId, TenantId};
use proto::money::Amount;
use proto::time::UnitDate;

mod config;
mod data;
mod report;
mod task;

const WRITE: &str = "APPORTION_GOLDEN=write cargo test -p proto --test golden";

type Check = Box<dyn Fn(&[u8]) -> Result<(), String>>;

/// What one file holds.
struct Case {
    file: String,
    kind: MessageKind,
    schema: u16,
    /// The message as this build writes it.
    bytes: Vec<u8>,
    /// Whether these bytes are this message.
    check: Check,
}

/// A message of schema `schema`. What later schemas write differently is built by hand in its own case.
fn case<B: Body + PartialEq + Debug + 'static>(name: &str, schema: u16, body: B) -> Case {
    let tenant = TenantId::parse("acme").expect("an id");
    let mut header = Header::new::<B>(tenant, Generation(7), Attempt(0xfedc_ba98_7654_3210));
    header.schema = schema;
    if matches!(B::KIND, MessageKind::Line | MessageKind::Resolution | MessageKind::Row) {
        let source = SourceId::parse("cloud").expect("an id");
        header = header.of_source(source).of_date(day("2024-09-30")).of_batch(3);
    }
    let bytes = envelope::encode(&header, &body).expect("it can be written");
    let check = move |bytes: &[u8]| {
        let (found, value) = envelope::decode::<B>(bytes).map_err(|e| e.to_string())?;
        if found != header {
            return Err(format!("its header is {found:?}, not {header:?}"));
        }
        if value == body { Ok(()) } else { Err(format!("it holds {value:?}, not {body:?}")) }
    };
    let file = format!("{}-{schema}-{name}.mpk", word(B::KIND));
    Case { file, kind: B::KIND, schema, bytes, check: Box::new(check) }
}

fn cases() -> Vec<Case> {
    [data::cases(), task::cases(), report::cases(), config::cases()].into_iter().flatten().collect()
}

/// Every kind there is. A new one does not compile until it has a word, and fails until it has a file.
const KINDS: [MessageKind; 8] = [
    MessageKind::Line,
    MessageKind::Resolution,
    MessageKind::Row,
    MessageKind::Driver,
    MessageKind::Inventory,
    MessageKind::Task,
    MessageKind::Report,
    MessageKind::Config,
];

fn word(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Line => "line",
        MessageKind::Resolution => "resolution",
        MessageKind::Row => "row",
        MessageKind::Driver => "driver",
        MessageKind::Inventory => "inventory",
        MessageKind::Task => "task",
        MessageKind::Report => "report",
        MessageKind::Config => "config",
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

fn day(text: &str) -> UnitDate {
    text.parse().expect("a date")
}

fn amount(text: &str) -> Amount {
    Amount::parse(text).expect("a number")
}

fn hash(text: &str) -> Hash128 {
    Hash128::of(text.as_bytes())
}

#[test]
fn every_golden_file_decodes_to_its_value() {
    let write = std::env::var("APPORTION_GOLDEN").is_ok_and(|word| word == "write");
    let mut problems = Vec::new();
    for case in cases() {
        let path = folder().join(&case.file);
        if write && !path.exists() && case.schema == case.kind.schema() {
            fs::write(&path, &case.bytes).unwrap();
        }
        let checked = match fs::read(&path) {
            Ok(bytes) => (case.check)(&bytes),
            Err(error) => Err(format!("{error}; write it with `{WRITE}` and check it in")),
        };
        problems.extend(checked.err().map(|problem| format!("golden/{}: {problem}", case.file)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_golden_file_has_its_value_and_every_schema_its_file() {
    let cases = cases();
    let known: BTreeSet<String> = cases.iter().map(|case| case.file.clone()).collect();
    assert_eq!(known.len(), cases.len(), "two cases share a name");
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "golden/{name} has no value in proto/tests/golden");
    }
    for kind in KINDS {
        for schema in kind.oldest_schema()..=kind.schema() {
            let found = cases.iter().any(|case| case.kind == kind && case.schema == schema);
            assert!(found, "{} messages of schema {schema} have no golden file", word(kind));
        }
    }
}

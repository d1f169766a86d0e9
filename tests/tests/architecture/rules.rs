//! Rules about the text of the sources.

use crate::source::Source;
use crate::{assert_none, sources};

/// Words that pure code does not say: I/O, threads, clocks, chance, floats.
const IMPURE: [&str; 20] = [
    "tokio",
    "actix",
    "async_nats",
    "deadpool",
    "deadpool_postgres",
    "tokio_postgres",
    "postgres",
    "rand",
    "tracing",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "f32",
    "f64",
];

/// The same hidden in a group: `use std::{fs, …}`.
const IMPURE_STD: [&str; 5] = ["fs", "net", "env", "process", "thread"];

/// The longest file, in lines.
const LINES_MAX: usize = 500;

/// Where SQL may stand: the coordinator's state, the ledger, what prepares or looks at a database.
const SQL_PLACES: [&str; 5] = [
    "coordinator/src/store/",
    "coordinator/src/migrate.rs",
    "emitter/src/sql.rs",
    "deploy/src/servers/",
    "deploy/src/store/",
];

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// Every line of the sources that `picked` picks, on which a word stands.
fn words(words: &[&str], picked: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| picked(source)) {
        for word in words {
            broken.extend(source.lines_with(word).into_iter().map(|line| at(source, line, word)));
        }
    }
    broken
}

fn is_pure(source: &Source) -> bool {
    source.path.starts_with("proto/src/") || source.path.contains("/src/domain/")
}

#[test]
fn the_vocabulary_and_every_domain_are_pure() {
    let pure = |source: &Source| is_pure(source) && !source.is_test();
    let mut broken = words(&IMPURE, pure);
    for source in sources().iter().filter(|source| pure(source)) {
        for (start, _) in source.code.match_indices("std::{") {
            let group = source.code[start..].split(';').next().unwrap_or_default();
            let mut names = group.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let Some(name) = names.find(|name| IMPURE_STD.contains(name)) {
                broken.push(at(source, source.line_of(start), name));
            }
        }
    }
    assert_none(&broken, "impure words in pure code");
    let domains = sources().iter().filter(|source| source.path.contains("/src/domain/")).count();
    assert!(domains > 0, "no domain was found");
}

#[test]
fn subjects_are_written_in_one_file() {
    let home = "proto/src/subject.rs";
    let mut broken = Vec::new();
    let mut found = false;
    for source in sources().iter().filter(|source| !source.is_test()) {
        let literals = source.literals.iter().filter(|(_, text)| text.contains("apportion.v1"));
        for (line, text) in literals {
            found |= source.path == home;
            if source.path != home {
                broken.push(at(source, *line, text));
            }
        }
        if source.path != home {
            broken.extend(source.lines_with("subject::ROOT").into_iter().map(|line| {
                at(source, line, "subject::ROOT: build the subject in proto/src/subject.rs")
            }));
        }
    }
    assert!(found, "{home} holds no subject any more");
    assert_none(&broken, "subjects outside of proto/src/subject.rs");
}

/// Whether a text is SQL: how it starts, and what must follow there.
fn is_sql(text: &str) -> bool {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let starts = |word: &str, marks: &[&str]| {
        let rest = text.strip_prefix(word);
        rest.is_some_and(|rest| marks.iter().any(|mark| rest.contains(mark)))
    };
    let objects = &["table ", "index ", "view ", "role ", "database ", "schema ", "sequence "];
    starts("select ", &[" from ", "(", "$1"])
        || text == "select 1"
        || starts("insert into ", &[""])
        || starts("update ", &[" set "])
        || starts("delete from ", &[""])
        || starts("truncate ", &[""])
        || starts("with ", &[" as (", " as materialized ("])
        || starts("copy ", &[" stdin", " stdout"])
        || starts("lock table ", &[""])
        || starts("set local ", &[""])
        || ["create ", "alter ", "drop "].iter().any(|word| starts(word, objects))
}

#[test]
fn sql_is_recognised() {
    for sql in
        ["select 1", "Select x\n from y", "update t set a = 1", "with x as (select 1) select 2"]
    {
        assert!(is_sql(sql), "{sql}");
    }
    for prose in ["select a folder", "update the file", "with --once", "create a user", "copy of x"]
    {
        assert!(!is_sql(prose), "{prose}");
    }
}

#[test]
fn sql_stands_in_its_places() {
    let mut broken = Vec::new();
    let mut used = [false; SQL_PLACES.len()];
    for source in sources().iter().filter(|source| !source.is_test()) {
        for (line, text) in source.literals.iter().filter(|(_, text)| is_sql(text)) {
            match SQL_PLACES.iter().position(|place| source.path.starts_with(place)) {
                Some(place) => used[place] = true,
                None => broken.push(at(source, *line, text.lines().next().unwrap_or_default())),
            }
        }
    }
    assert_none(&broken, "SQL outside of its places");
    let unused = SQL_PLACES.iter().zip(used).filter(|(_, used)| !used);
    let unused: Vec<String> = unused.map(|(place, _)| (*place).to_owned()).collect();
    assert_none(&unused, "places for SQL that hold none: take them off the list");
}

#[test]
fn no_file_is_longer_than_five_hundred_lines() {
    let long = |source: &Source| {
        let lines = source.text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", source.path))
    };
    assert_none(&sources().iter().filter_map(long).collect::<Vec<_>>(), "files that are too long");
}

#[test]
fn actix_stays_with_the_keepers_and_nats_with_the_bus() {
    let broken = words(&["actix"], |source| {
        let keeper = source.path.ends_with("/keeper.rs");
        !keeper && source.path != "proto/runtime/src/process.rs" && !source.is_test()
    });
    assert_none(&broken, "actix outside of keepers");
    let broken = words(&["async_nats"], |source| {
        !source.path.starts_with("proto/runtime/src/") && !source.is_test()
    });
    assert_none(&broken, "async_nats outside of proto/runtime");
}

/// Whether the place `found` of the code is seen from outside: in a `pub` signature, field or alias.
fn is_public(code: &str, found: usize) -> bool {
    let before = &code[..found];
    let item = &before[before.rfind([';', '{', '}']).map_or(0, |at| at + 1)..];
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    if words(item).iter().any(|word| word == "fn" || word == "type") {
        return words(item).iter().take_while(|word| *word != "fn").any(|word| word == "pub");
    }
    let field = &item[item.rfind([',', '(']).map_or(0, |at| at + 1)..];
    words(field).iter().any(|word| word == "pub")
}

#[test]
fn addresses_of_actors_stay_behind_their_handles() {
    let mut broken = Vec::new();
    // `start` is what makes the addresses that keepers hide.
    let picked = |source: &&Source| source.path != "proto/runtime/src/keeper.rs";
    for source in sources().iter().filter(picked) {
        for word in ["Addr<", "Recipient<"] {
            let found = source.code.match_indices(word).map(|(place, _)| place);
            let public = found.filter(|place| is_public(&source.code, *place));
            broken.extend(public.map(|place| at(source, source.line_of(place), word)));
        }
    }
    assert_none(&broken, "addresses of actors in public signatures");
    assert!(
        is_public("mod x; pub fn f(a: A, b: ", 25) && is_public("struct S { a: A, pub b: ", 24)
    );
    assert!(!is_public("pub struct S(", 13) && !is_public("pub struct S { pub a: A, b: ", 28));
}

#[test]
fn nothing_is_left_to_do_and_no_lint_is_silenced() {
    let macros = ["todo!", "unimplemented!", "dbg!", "do_send"];
    let mut broken = words(&macros, |source| !source.path.starts_with("tests/tests/architecture/"));
    for source in &sources() {
        // Spelled apart, so that this file does not find itself.
        for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")] {
            let lines = source.text.lines().enumerate().filter(|(_, line)| line.contains(mark));
            broken.extend(lines.map(|(line, _)| at(source, line + 1, mark)));
        }
        let silenced = source.code.match_indices("allow(");
        let attributes = silenced.filter(|(place, _)| source.code[..*place].ends_with(['[', '!']));
        broken.extend(
            attributes
                .map(|(place, _)| at(source, source.line_of(place), "#[allow]: use #[expect]")),
        );
    }
    assert_none(&broken, "unfinished work");
}

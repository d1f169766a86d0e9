//! `config check`: every problem in one go.

use std::path::Path;

use coordinator::config::{self, Problems};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// For people.
    pub text: String,
    /// No problems; notes are none.
    pub sound: bool,
}

/// Reads the folder, runs the tests of the rules, and notes what does not run yet.
#[must_use]
pub fn check(folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Checked {
    let found = match config::load(folder, env) {
        Ok(found) => found,
        Err(Problems(problems)) => {
            let count = counted(problems.len(), "problem");
            return Checked { text: format!("{}\n\n{count}\n", Problems(problems)), sound: false };
        }
    };
    let tenants = found.tenants.values();
    let failed = found.failed_tests(allocator::domain::trial::check);
    let notes = found.unbuilt();
    let (failures, sound) = (failed.len(), failed.is_empty());
    let mut text = String::new();
    if !sound {
        text.push_str(&format!("{}\n\n", Problems(failed)));
    }
    for note in &notes {
        text.push_str(&format!("note: {note}\n"));
    }
    if !notes.is_empty() {
        text.push_str("note: until then `up` and `run` refuse this configuration\n\n");
    }
    let sources = tenants.clone().map(|tenant| tenant.sources.len()).sum();
    let rules = tenants.clone().map(|tenant| tenant.allocation.len()).sum();
    let tests = tenants.map(|tenant| tenant.tests.len()).sum();
    text.push_str(&format!(
        "{}, {}, {}, {}: {}\n",
        counted(found.tenants.len(), "tenant"),
        counted(sources, "source"),
        counted(rules, "rule"),
        counted(tests, "test"),
        if sound { "sound".to_owned() } else { format!("{} failed", counted(failures, "test")) },
    ));
    Checked { text, sound }
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

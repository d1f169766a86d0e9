//! `config check`: every problem in one go, and what the configuration does not do.

use std::path::Path;

use anyhow::Result;
use coordinator::config::{self, Config, Problem, Problems};
use serde_json::{Value, json};

use super::lint::{Warned, merged, without_lines};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// For people.
    pub text: String,
    /// No problems; notes and warnings are none.
    pub sound: bool,
}

/// Reads the folder, runs the tests of the rules, and notes what does not run yet and what is of no use.
#[must_use]
pub fn check(folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Checked {
    let found = Found::of(folder, env);
    Checked { text: found.text(), sound: found.sound() }
}

/// The same, for who says it.
#[derive(Debug)]
pub struct Found {
    /// The configuration, where it could be read.
    pub config: Option<Config>,
    /// What is wrong.
    problems: Vec<Problem>,
    /// What does not run yet.
    unbuilt: Vec<Problem>,
    /// What a person should know about the check.
    notes: Vec<String>,
    /// What is of no use.
    pub warned: Vec<Warned>,
}

impl Found {
    /// What the files alone say.
    #[must_use]
    pub fn of(folder: &Path, env: &dyn Fn(&str) -> Option<String>) -> Self {
        match config::load(folder, env) {
            Ok(config) => Self {
                problems: config.failed_tests(allocator::domain::trial::check),
                unbuilt: config.unbuilt(),
                notes: Vec::new(),
                warned: merged(without_lines(&config), Vec::new()),
                config: Some(config),
            },
            Err(Problems(problems)) => Self {
                problems,
                config: None,
                unbuilt: Vec::new(),
                notes: Vec::new(),
                warned: Vec::new(),
            },
        }
    }

    /// Adds what the lines of the last run say.
    pub fn add(&mut self, (warned, notes): (Vec<Warned>, Vec<String>)) {
        self.warned = merged(std::mem::take(&mut self.warned), warned);
        self.notes = notes;
    }

    /// No problems.
    #[must_use]
    pub fn sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let Some(found) = &self.config else {
            let count = counted(self.problems.len(), "problem");
            return format!("{}\n\n{count}\n", Problems(self.problems.clone()));
        };
        let mut text = String::new();
        if !self.sound() {
            text.push_str(&format!("{}\n\n", Problems(self.problems.clone())));
        }
        for note in &self.unbuilt {
            text.push_str(&format!("note: {note}\n"));
        }
        if !self.unbuilt.is_empty() {
            text.push_str("note: until then `up` and `run` refuse this configuration\n\n");
        }
        for warned in &self.warned {
            text.push_str(&format!("warning: {}\n", warned.problem));
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        if !self.warned.is_empty() || !self.notes.is_empty() {
            text.push('\n');
        }
        let [tenants, sources, rules, tests] = counts(found);
        let warnings = match self.warned.len() {
            0 => String::new(),
            count => format!(", {}", counted(count, "warning")),
        };
        text.push_str(&format!(
            "{}, {}, {}, {}: {}{warnings}\n",
            counted(tenants, "tenant"),
            counted(sources, "source"),
            counted(rules, "rule"),
            counted(tests, "test"),
            if self.sound() {
                "sound".to_owned()
            } else {
                format!("{} failed", counted(self.problems.len(), "test"))
            },
        ));
        text
    }

    /// For programs: one document.
    ///
    /// # Errors
    /// Never for what is found here.
    pub fn document(&self) -> Result<String> {
        let [tenants, sources, rules, tests] = self.config.as_ref().map(counts).unwrap_or_default();
        let warned = |warned: &Warned| {
            let mut value = problem(&warned.problem);
            let money = warned.money.iter();
            value["kind"] = json!(warned.kind);
            value["tenant"] = json!(warned.tenant);
            value["lines"] = json!(warned.lines);
            value["money"] = money
                .map(|(code, sum)| json!({"currency": code, "amount": sum.to_string()}))
                .collect();
            value
        };
        let document = json!({
            "sound": self.sound(),
            "tenants": tenants, "sources": sources, "rules": rules, "tests": tests,
            "problems": self.problems.iter().map(problem).collect::<Vec<_>>(),
            "unbuilt": self.unbuilt.iter().map(problem).collect::<Vec<_>>(),
            "warnings": self.warned.iter().map(warned).collect::<Vec<_>>(),
            "notes": self.notes,
        });
        Ok(format!("{}\n", serde_json::to_string(&document)?))
    }
}

/// Line and column are 0 where it is about the file as a whole.
fn problem(problem: &Problem) -> Value {
    json!({"file": problem.file, "line": problem.line, "column": problem.column, "what": problem.what,
        "mend": problem.mend})
}

/// Tenants, sources, rules, tests.
fn counts(config: &Config) -> [usize; 4] {
    let tenants = config.tenants.values();
    let sources = tenants.clone().map(|tenant| tenant.sources.len()).sum();
    let rules = tenants.clone().map(|tenant| tenant.allocation.len()).sum();
    let tests = tenants.map(|tenant| tenant.tests.len()).sum();
    [config.tenants.len(), sources, rules, tests]
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

//! Bad input gets a clear message: what is wrong, where, and how to mend it. The real program says it.

use std::ffi::OsStr;
use std::time::Duration;

use serde_json::Value;
use tests::program;
use tests::stand::{Finished, Stand};

#[cfg(test)]
mod altered;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod files;
#[cfg(test)]
mod records;
#[cfg(test)]
mod servers;

/// `run --once --json` that must not even begin: exit code 1 and why, on stdout as a document. Gives what it said.
fn refused(stand: &Stand, more: &[&str], environment: &[(&str, &str)]) -> String {
    let args = ["run", "--once", "--json", "--config"].map(OsStr::new);
    let (config, data) = (stand.config(), stand.data());
    let output = assert_cmd::Command::new(program::apportion())
        .args(args)
        .arg(&config)
        .arg("--data-dir")
        .arg(&data)
        .args(more)
        .env_remove("NATS_URL")
        .env_remove("DATABASE_URL")
        .envs(environment.iter().copied())
        .timeout(Duration::from_secs(60))
        .output()
        .expect("the program starts");
    let said = String::from_utf8(output.stderr).expect("it speaks UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let error = document["error"].as_str().expect("a text");
    assert!(said.ends_with(&format!("error: {error}\n")), "{error} is not the end of {said}");
    said
}

/// Each of these lines was said, just so.
fn assert_says(said: &str, lines: &[&str]) {
    for line in lines {
        assert!(said.lines().any(|each| each.trim() == *line), "not said: {line}\nbut:\n{said}");
    }
}

/// What the summary says about a source.
fn of<'a>(finished: &'a Finished, tenant: &str, source: &str) -> &'a Value {
    let all = finished.summary["tenants"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = all.iter().find(|each| each["tenant"] == tenant && each["source"] == source);
    found.unwrap_or_else(|| panic!("no {tenant}/{source} in {}", finished.summary))
}

//! `apportion demo`: a realistic company out of a seed, written into a folder and run.

mod acts;
mod bill;
mod charge;
pub mod company;
mod csv;
mod rng;
mod tags;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::cli::Launch;
use crate::drill::Drill;
use crate::launch::{Once, launch};
use crate::say::say;
use crate::summary::Told;

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder for the company: bills, rules, results
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Another seed gives another company
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// Only write the folder
    #[arg(long)]
    pub no_run: bool,
}

impl Demo {
    /// Writes the company, calculates its month and says where to look; the exit code of the run.
    ///
    /// # Errors
    /// When the folder cannot be written, holds something else, or the run cannot start.
    pub fn run(self) -> Result<u8> {
        let written = write(&self.dir, self.seed)?;
        let dir = self.dir.canonicalize()?;
        let shown = dir.display();
        eprintln!(
            "{shown}: three tenants, {} lines of bills in {} files",
            written.lines, written.files
        );
        for kept in &written.kept {
            eprintln!("  kept your {kept}: it differs from the demo's");
        }
        let data_dir = dir.join(".apportion");
        if self.no_run {
            eprintln!(
                "run it: apportion run --once --config {shown} --data-dir {}",
                data_dir.display()
            );
            return Ok(0);
        }
        for name in ["DATABASE_URL", "NATS_URL"] {
            let set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
            // What is configured there would make way for the demo.
            ensure!(
                !set,
                "{name} is set, and the demo would replace what is in force there: unset it, or write the folder with \
                 --no-run and run it yourself"
            );
        }
        let options = Launch::over(dir.clone(), data_dir.clone());
        let drill = Drill::new("allocator-1");
        let once =
            Once { told: Told::Nothing, allow_quarantine: false, drill: Some(&drill), then: None };
        let code = launch(&options, Some(once))?;
        if code == 0 {
            say(&acts::played(&dir, drill.killed())?)?;
        }
        Ok(code)
    }
}

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    /// Files of bills.
    pub files: usize,
    /// Their lines.
    pub lines: usize,
    /// What people changed, and stays as it is.
    pub kept: Vec<String>,
}

/// Writes the company of `seed` into `dir`. Files that are there with these bytes are left untouched; rules and tables
/// that somebody changed stay.
///
/// # Errors
/// When the folder cannot be written, or holds tenants of somebody else.
pub fn write(dir: &Path, seed: u64) -> Result<Written> {
    refuse_others(dir)?;
    let mut written = Written::default();
    for (name, text) in company::WRITTEN {
        match fs::read(dir.join(name)) {
            Ok(found) if found != text.as_bytes() => written.kept.push(name.to_owned()),
            Ok(_) => {}
            Err(_) => put(&dir.join(name), text.as_bytes())?,
        }
    }
    for bill in company::bills(seed) {
        written.files += 1;
        written.lines += bill.charges.len();
        let path = dir.join("bills").join(&bill.name);
        let mut bytes = bill.text().into_bytes();
        if bill.name.ends_with(".gz") {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&bytes)?;
            bytes = encoder.finish()?;
        }
        // An untouched file is not even read again.
        if fs::read(&path).ok().as_deref() != Some(bytes.as_slice()) {
            put(&path, &bytes)?;
        }
    }
    Ok(written)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// A configuration of somebody else is not mixed with the demo's.
fn refuse_others(dir: &Path) -> Result<()> {
    let folder = dir.join("tenants");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", folder.display()));
        }
    };
    for entry in entries {
        let name = format!("tenants/{}", entry?.file_name().to_string_lossy());
        if !company::WRITTEN.iter().any(|(own, _)| *own == name) {
            bail!(
                "{} holds {name}, which is not the demo's: choose another folder with --dir",
                dir.display()
            );
        }
    }
    Ok(())
}

//! `apportion try`: a bill and nothing else. Proposes who owns what, and calculates it with the real pipeline in a
//! folder that goes afterwards.

mod choose;
mod scan;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use proto::config::Field;
use proto::ids::TenantId;
use proto::line::Measure;
use proto::money::ExactSum;

use crate::cli::Launch;
use crate::launch::{Once, launch};
use crate::say::say;
use crate::scratch::Scratch;
use crate::store;
use crate::summary::{Money, Summary, Told};
use choose::Ranked;
use scan::Scanned;

/// The folder that a plain yes means.
const FOLDER: &str = "apportion";
/// The tenant of a tried bill.
const TENANT: &str = "company";
/// Its source.
const SOURCE: &str = "bill";

/// `try`.
#[derive(Debug, Args)]
pub struct Try {
    /// FOCUS files: CSV, plain or compressed with gzip or zstd, or Parquet
    #[arg(value_name = "BILL", required = true)]
    pub bills: Vec<String>,
    /// What names the owner: tag.KEY or a column [default: what covers most of the cost]
    #[arg(long, value_name = "FIELD", value_parser = Field::parse)]
    pub by: Option<Field>,
    /// Print one JSON document on stdout, and nothing else there
    #[arg(long)]
    pub json: bool,
    /// Write the configuration into this folder without asking
    #[arg(long, value_name = "DIR")]
    pub write: Option<PathBuf>,
}

/// What came out.
#[derive(Debug)]
struct Outcome {
    scanned: Scanned,
    /// All keys, the best first.
    keys: Vec<Ranked>,
    /// The key that was taken; none where the bill has none.
    by: Option<Ranked>,
    /// Who owes how much, nobody included, by currency.
    owners: BTreeMap<String, BTreeMap<String, ExactSum>>,
    /// The proof, by currency.
    money: BTreeMap<String, Money>,
    /// What the run warned of, and how often.
    warnings: Vec<(String, u64)>,
    /// The file that was written.
    written: Option<PathBuf>,
}

impl Try {
    /// Prints who owes what; the exit code: 0 when every line could be read, else 1.
    ///
    /// # Errors
    /// When the bill cannot be used, the key is none of its, or the run cannot start.
    pub fn run(self) -> Result<u8> {
        for name in ["DATABASE_URL", "NATS_URL"] {
            let set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
            ensure!(
                !set,
                "{name} is set, and a bill is tried on servers of its own: unset it for this command"
            );
        }
        let target = self.write.as_deref().map(tenant_file).transpose()?;
        let by = self.by.as_ref().map(folded).transpose()?;
        let scanned = scan::scan(&std::env::current_dir()?, &self.bills, by.as_ref())?;
        let keys = choose::rank(&scanned);
        let chosen = match &by {
            Some(by) => Some(named(by, &keys)?),
            None => keys.first().cloned(),
        };
        let rules = text::rules(&scanned, chosen.as_ref(), (TENANT, SOURCE));
        let folder = Scratch::new("try")?;
        put(&folder.config().join(format!("tenants/{TENANT}.yaml")), &rules)?;
        let options = Launch { throwaway: true, ..Launch::over(folder.config(), folder.data()) };
        let found = Mutex::new(Calculated::default());
        let look = |url: &str, summary: &Summary| -> Result<()> {
            let calculated = calculated(url, summary)?;
            *found.lock().unwrap_or_else(PoisonError::into_inner) = calculated;
            Ok(())
        };
        let once =
            Once { told: Told::Nothing, allow_quarantine: false, drill: None, then: Some(&look) };
        let code = match launch(&options, Some(once)) {
            Ok(code) => code,
            Err(error) => {
                return Err(
                    error.context(format!("the bill could not be calculated; {}", folder.keep()))
                );
            }
        };
        let (owners, money, warnings) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if code > 1 || money.is_empty() {
            // Interrupted, or nothing could be used: why has been told.
            return Ok(code);
        }
        let mut outcome =
            Outcome { scanned, keys, by: chosen, owners, money, warnings, written: None };
        let rules = format!("{rules}{}", text::EMITTERS);
        if let Some(path) = target {
            put(&path, &rules)?;
            outcome.written = Some(path);
        }
        say(&if self.json { text::document(&outcome)? } else { text::report(&outcome) })?;
        if self.write.is_none() && !self.json {
            offer(&rules)?;
        }
        Ok(code)
    }
}

/// Keys of tags compare trimmed and without case.
fn folded(by: &Field) -> Result<Field> {
    match by {
        Field::Tag(key) => Ok(Field::Tag(key.trim().to_lowercase())),
        Field::Column(_) => Ok(by.clone()),
        Field::ResourceId => Ok(Field::Column(proto::line::cell::RESOURCE_ID.to_owned())),
        Field::VirtualTag(_)
        | Field::Table(_)
        | Field::Source
        | Field::ProductType
        | Field::ProductCategory => bail!(
            "--by {by} needs a configuration: name a column of the bill or tag.KEY, or write a configuration with \
             --write DIR and go on from there"
        ),
    }
}

fn named(by: &Field, keys: &[Ranked]) -> Result<Ranked> {
    let found = keys.iter().find(|key| key.field == *by);
    found.cloned().with_context(|| {
        let known: Vec<String> =
            keys.iter().take(text::KEYS_SHOWN).map(|key| key.field.to_string()).collect();
        format!(
            "--by {by}: the bill has no cost with a value there; keys that it has: {}",
            if known.is_empty() { "none".to_owned() } else { known.join(", ") }
        )
    })
}

/// Owners and proof of what the run made visible, by currency, and what it warned of.
type Calculated =
    (BTreeMap<String, BTreeMap<String, ExactSum>>, BTreeMap<String, Money>, Vec<(String, u64)>);

fn calculated(database_url: &str, summary: &Summary) -> Result<Calculated> {
    let mut client = store::connect(database_url)?;
    let mut view = store::view(&mut client)?;
    let mut owners: BTreeMap<String, BTreeMap<String, ExactSum>> = BTreeMap::new();
    for unit in store::visible_units(&mut view, &TenantId::parse(TENANT)?, None, (None, None))? {
        for (key, sum) in store::unit_sums(&mut view, &unit)? {
            owners.entry(key.currency).or_default().entry(key.owner).or_default().merge(&sum);
        }
    }
    // Only one source is there, and what counts of the run is known.
    let source = summary.sources.values().next().cloned().unwrap_or_default();
    Ok((owners, source.money, source.warnings))
}

/// Where the tenant goes in a configuration folder; what is there is not overwritten.
fn tenant_file(dir: &Path) -> Result<PathBuf> {
    let path = dir.join(format!("tenants/{TENANT}.yaml"));
    ensure!(!path.exists(), "{} is there already: choose another folder", path.display());
    Ok(path)
}

fn put(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Asks a person where to write the rules to; nobody at a terminal, no question.
fn offer(rules: &str) -> Result<()> {
    let input = std::io::stdin();
    if !input.is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(());
    }
    say(&format!(
        "\nwrite these rules to a new configuration folder? y for ./{FOLDER}, another name, or Enter for none: "
    ))?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer).context("cannot read the answer")?;
    let folder = match answer.trim() {
        "" | "n" | "N" | "no" => return Ok(()),
        "y" | "Y" | "yes" => FOLDER,
        name => name,
    };
    let path = tenant_file(Path::new(folder))?;
    put(&path, rules)?;
    say(&text::next(&path))
}

/// The costs whose sums are proved: what is shared, and what is on the invoice.
fn proved(scanned: &Scanned) -> Vec<Measure> {
    let billed = scanned.costs.iter().copied().filter(|cost| *cost == Measure::Billed);
    let mut all = vec![scanned.cost];
    all.extend(billed.filter(|billed| *billed != scanned.cost));
    all
}

//! What the demo tells once its month is calculated: who owes what, why, and what if.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use coordinator::config::places;
use proto::ids::TenantId;
use proto::money::ExactSum;
use proto::row::UNALLOCATED;

use super::{company, put};
use crate::configuration;
use crate::explain;
use crate::plan::{self, Scope};
use crate::reach::{Database, Reach};
use crate::store::{self, Of};
use crate::summary::table;

/// The change that the third act tries: a team that left hands what it runs to another.
const CHANGE: [&str; 2] =
    ["data-plattform: data-platform }", "data-plattform: data-platform, growth: search }"];
/// The resource and the day that the second act looks at.
const WHY: (&str, &str) = ("arn:aws:eks:eu-central-1:111111111111:node/shared-eks-1", "2026-09-03");
/// Whose rules the acts look at.
const TENANT: &str = "acme";

/// All three acts over the company in `dir`, as an absolute path.
///
/// # Errors
/// When the database or the folder cannot be read.
pub fn played(dir: &Path, killed: Option<&str>) -> Result<String> {
    let reach = Reach { config: None, data_dir: Some(dir.join(".apportion")) };
    let mut database = reach.database()?;
    let mut said =
        String::from("ACT 1  Who owes what: September 2026, every bill to the last decimal\n");
    said.push_str(&who_owes_what(&mut database)?);
    // The run ends with 0 for nothing less: see `Summary::exit_code`.
    said.push_str(
        "rows + unallocated = bill for every tenant, source, currency and measure: difference 0\n",
    );
    if let Some(victim) = killed {
        said.push_str(&format!(
            "({victim} was killed with kill -9 half-way: no cent lost, doubled or half visible)\n"
        ));
    }
    said.push_str(
        "\nACT 2  Why: one line of a cluster that three teams share, to be redone by hand\n",
    );
    let (text, line) = why(&mut database, dir)?;
    said.push_str(&text);
    said.push_str(
        "\nACT 3  What if search took over what growth still runs? Told before anything changes\n",
    );
    said.push_str(&what_if(&mut database, dir)?);
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let (place, program) = (from(&here, dir), program(&here, dir)?);
    said.push_str(&format!(
        "$ cd {}; {program} explain --tenant {TENANT} --date {} --line {line}
$ {program} plan --config what-if --data-dir .apportion
$ {program} up\n",
        place.display(),
        WHY.1
    ));
    Ok(said)
}

/// `path` as it is called in the folder `here`: absolute, unless it lies in there.
fn from<'p>(here: &Path, path: &'p Path) -> &'p Path {
    path.strip_prefix(here).unwrap_or(path)
}

/// What people type in `dir` to run this very program, when they come from the folder `here`.
fn program(here: &Path, dir: &Path) -> Result<String> {
    let own = std::env::current_exe()
        .and_then(|path| path.canonicalize())
        .context("cannot tell where this program lies")?;
    let name = env!("CARGO_PKG_NAME");
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(name));
    let mut found = found.filter_map(|path| path.canonicalize().ok());
    if found.next().is_some_and(|first| first == own) {
        return Ok(name.to_owned());
    }
    let path = match (own.strip_prefix(here), dir.strip_prefix(here)) {
        (Ok(own), Ok(dir)) => dir.components().map(|_| "..").collect::<PathBuf>().join(own),
        (Ok(_) | Err(_), _) => own,
    };
    Ok(path.display().to_string())
}

/// The arithmetic of the largest line of a shared cluster on a day, and the beginning of that line's id.
fn why(database: &mut Database, dir: &Path) -> Result<(String, String)> {
    let mut view = store::view(&mut database.client)?;
    let day = Some(WHY.1.parse().context("a day of ours")?);
    let tenant = TenantId::parse(TENANT)?;
    let units = store::visible_units(&mut view, &tenant, None, (day, day))?;
    let mut largest = None;
    for unit in &units {
        largest = store::lines_of(&mut view, unit, Of::Resource(WHY.0), 1)?.1.pop().or(largest);
    }
    let line = largest.with_context(|| format!("nothing of {} is visible on {}", WHY.0, WHY.1))?;
    let mut explained = explain::found(&mut view, &units, &line.line)?;
    ensure!(explained.same, "line {} is not stored as its rules have it", line.line);
    let rule = explained.trace.rules.last().map(|rule| rule.id.as_str());
    explained.place = rule.and_then(|rule| places::of_rule(dir, &tenant, rule));
    let id: String = line.line.to_string().chars().take(explain::BRIEF_ID).collect();
    Ok((explain::brief(&explained), id))
}

/// Who owes how much of one bill.
type Owners = BTreeMap<String, ExactSum>;

/// Owners of every tenant and currency, two bills side by side.
fn who_owes_what(database: &mut Database) -> Result<String> {
    let mut view = store::view(&mut database.client)?;
    let mut bills: BTreeMap<(String, String), Owners> = BTreeMap::new();
    for (name, _) in company::WRITTEN {
        let Some(tenant) = name.strip_prefix("tenants/").and_then(|n| n.strip_suffix(".yaml"))
        else {
            continue;
        };
        for unit in store::visible_units(&mut view, &TenantId::parse(tenant)?, None, (None, None))?
        {
            for (key, sum) in store::unit_sums(&mut view, &unit)? {
                let owners = bills.entry((tenant.to_owned(), key.currency)).or_default();
                owners.entry(key.owner).or_default().merge(&sum);
            }
        }
    }
    let mut billed: BTreeMap<(String, String), ExactSum> = BTreeMap::new();
    for stored in store::lines(&mut view)? {
        let key = (stored.key.0, stored.currency);
        billed.entry(key).or_default().merge(&stored.sums.amount);
    }
    let mut blocks: Vec<_> = bills
        .iter()
        .map(|(key, owners)| block(key, owners, billed.get(key).copied().unwrap_or_default()))
        .collect::<Result<_>>()?;
    // Those of one height beside each other.
    blocks.sort_by_key(|block| std::cmp::Reverse(block.len()));
    Ok(side_by_side(&blocks))
}

/// The owners of a bill, who nobody owes for last, and their sum, which is the bill.
fn block(
    (tenant, currency): &(String, String),
    owners: &Owners,
    billed: ExactSum,
) -> Result<Vec<[String; 2]>> {
    let mut total = ExactSum::ZERO;
    let mut lines = vec![[format!("{tenant} {currency}"), String::new()]];
    let (nobody, some): (Vec<_>, Vec<_>) =
        owners.iter().partition(|(owner, _)| *owner == UNALLOCATED);
    for (owner, sum) in some.into_iter().chain(nobody) {
        total.merge(sum);
        lines.push([format!("  {owner}"), sum.to_string()]);
    }
    ensure!(total == billed, "{tenant} {currency}: rows are {total}, the bill is {billed}");
    lines.push(["  = the bill".to_owned(), billed.to_string()]);
    Ok(lines)
}

fn side_by_side(blocks: &[Vec<[String; 2]>]) -> String {
    let mut text = String::new();
    for pair in blocks.chunks(2) {
        let height = pair.iter().map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let cell = |[name, sum]: &[String; 2]| format!("{name:<18}{}", aligned(sum));
            let cells = pair.iter().map(|block| block.get(at).map(cell).unwrap_or_default());
            let line = cells.map(|cell| format!("{cell:<48}")).collect::<String>();
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

/// A sum with its decimal point where all have theirs, so that people can add them up.
fn aligned(sum: &str) -> String {
    match sum.split_once('.') {
        Some((whole, decimals)) => format!("{whole:>8}.{decimals:<16}"),
        None => format!("{sum:>8}"),
    }
}

/// Writes the changed configuration and plans it.
fn what_if(database: &mut Database, dir: &Path) -> Result<String> {
    let candidate = dir.join("what-if");
    let own = format!("tenants/{TENANT}.yaml");
    for (name, _) in company::WRITTEN {
        let text = fs::read_to_string(dir.join(name))
            .with_context(|| format!("cannot read {name} of the demo"))?;
        let text = if name == own { text.replace(CHANGE[0], CHANGE[1]) } else { text };
        put(&candidate.join(name), text.as_bytes())?;
    }
    let config = configuration::load(&candidate)?;
    let tenant = config.tenants.get(&TenantId::parse(TENANT)?);
    let tenant = tenant.with_context(|| format!("the demo has no tenant {TENANT}"))?;
    let planned = plan::plan(database, tenant, config.git_commit.as_deref(), Scope::default())?;
    let lines = planned.difference.owners();
    let moved: Vec<_> = lines.iter().filter(|(_, moved)| !moved.delta().is_zero()).collect();
    let row = |((owner, currency), moved): &&((&str, &str), plan::Moved)| {
        let sums = [moved.before, moved.after, moved.delta()].map(|sum| sum.to_string());
        [(*owner).to_owned(), (*currency).to_owned()].into_iter().chain(sums).collect::<Vec<_>>()
    };
    let rows: Vec<_> = moved.iter().map(row).collect();
    let mut said = table(&["owner", "currency", "before", "after", "delta"], 2, &rows);
    let dates = planned.units.len();
    said.push_str(&format!(
        "Σ delta 0; {dates} dates would be calculated again; digest {}\n",
        planned.digest
    ));
    Ok(said)
}

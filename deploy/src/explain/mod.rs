//! `apportion explain`: one line as billed, why its rows are what they are, and the arithmetic, to be redone by hand.
//!
//! The line, its resolution and the configuration come from the archive, so it works after the stream has expired; the
//! steps are those of the allocator's own engine, and what it comes to is compared with what is stored.

mod absent;
mod document;
mod text;

use std::fmt;
use std::sync::Arc;

use allocator::domain::Program;
use allocator::domain::trace::Trace;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use coordinator::config::places;
use postgres::Transaction;
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, LineId, Measure};
use proto::money::ExactSum;
use proto::resolution::{IdentityResolution, WindowFit};
use proto::row::{RowDimension, RowMoney};
use proto::time::UnitDate;

use crate::configuration;
use crate::reach::Reach;
use crate::recompute::engine;
use crate::say::say;
use crate::store::{self, EmittedTo, FoundLine, Of, StoredRow, VisibleUnit};
use crate::supervise::exit;

pub use text::{BRIEF_ID, brief};

/// Lines of an identity or resource that are listed.
const LISTED: i64 = 20;

/// Candidates that are told.
const CANDIDATES: usize = 20;

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Whose
    #[arg(long, value_name = "ID")]
    pub tenant: TenantId,
    /// The day that it is charged for
    #[arg(long, value_name = "DATE")]
    pub date: UnitDate,
    /// Only of this source [default: all]
    #[arg(long, value_name = "ID")]
    pub source: Option<SourceId>,
    /// What to explain.
    #[command(flatten)]
    pub which: Which,
    /// Which database; with `--config` the rule is shown with its place in the files there.
    #[command(flatten)]
    pub reach: Reach,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// What to explain.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// A line, by its id or the start of it: column `line_id` of the outputs
    #[arg(long, value_name = "ID")]
    pub line: Option<String>,
    /// A row, by the key that `explain` prints: LINE/RULE/TIER.PART/IDENTITY
    #[arg(long, value_name = "KEY")]
    pub row: Option<String>,
    /// The lines of an identity, such as `tag:checkout`; the largest is explained
    #[arg(long, value_name = "ID")]
    pub identity: Option<String>,
    /// The lines of a resource; the largest is explained
    #[arg(long, value_name = "ID")]
    pub resource: Option<String>,
}

/// A line with everything that is known of it.
pub struct Explained {
    /// The date that it is part of.
    pub unit: VisibleUnit,
    /// As billed.
    pub line: BillingLineItem,
    /// Which of its costs is its amount.
    pub cost: Option<Measure>,
    /// Its resolution, if it has one.
    pub resolution: Option<IdentityResolution>,
    /// Why.
    pub trace: Trace,
    /// Where the rule stands in the user's files, if that is known.
    pub place: Option<String>,
    /// The commit of the configuration that made it.
    pub commit: Option<String>,
    /// What is stored.
    pub stored: Vec<StoredRow>,
    /// Whether that is what the engine made of it now.
    pub same: bool,
    /// Where the date was carried.
    pub emitted: Vec<EmittedTo>,
}

/// The lines that an identity or resource has to do with.
pub struct Listed {
    /// How many there are.
    pub all: i64,
    /// The largest.
    pub lines: Vec<(SourceId, FoundLine)>,
}

impl Explain {
    /// Prints it; the exit code: 1 when what is stored is not what the rules make of the line, 2 when several lines may
    /// be meant (with `--json`, that is an error).
    ///
    /// # Errors
    /// When there is no such line, or the archive or database cannot be read.
    pub fn run(self) -> Result<u8> {
        let mut database = self.reach.database()?;
        let mut view = store::view(&mut database.client)?;
        let day = Some(self.date);
        let mut units =
            store::visible_units(&mut view, &self.tenant, self.source.as_ref(), (day, day))?;
        if units.is_empty() {
            let source = self.source.as_ref();
            if let Some(day) = store::removed_on(&mut view, &self.tenant, source, self.date)? {
                bail!(
                    "{} of {} was removed on {day}: its `retention` keeps nothing that old",
                    self.date,
                    self.tenant
                );
            }
            let others = absent::date(&mut view, &self.tenant, source)?;
            bail!("nothing of {} is visible on {}: {others}", self.tenant, self.date);
        }
        let (listed, start, row) = self.wanted(&mut view, &units)?;
        // What is listed is of one source, whatever other sources have a line with that id.
        if let Some((source, _)) = listed.as_ref().and_then(|listed| listed.lines.first()) {
            units.retain(|unit| unit.source == *source);
        }
        let mut explained = match found(&mut view, &units, &start) {
            Err(error) if error.is::<Ambiguous>() && !self.json => {
                eprintln!("error: {error}");
                return Ok(exit::USAGE);
            }
            found => found?,
        };
        explained.place = self.place(&explained)?;
        if let Some(key) = &row {
            let keys: Vec<String> = explained.keys();
            ensure!(
                keys.contains(key),
                "line {start} has no row {key}; it has\n  {}",
                keys.join("\n  ")
            );
        }
        let said = match self.json {
            true => document::document(&explained, listed.as_ref(), row.as_deref())?,
            false => text::text(&explained, listed.as_ref(), row.as_deref()),
        };
        say(&said)?;
        Ok(u8::from(!explained.same))
    }

    /// Lines to list, the start of the id of the line to explain, and the row that is meant.
    fn wanted(
        &self,
        view: &mut Transaction<'_>,
        units: &[VisibleUnit],
    ) -> Result<(Option<Listed>, String, Option<String>)> {
        let Which { line, row, identity, resource } = &self.which;
        if let Some(line) = line {
            return Ok((None, line.trim().to_lowercase(), None));
        }
        if let Some(key) = row {
            let (line, _) = key.split_once('/').context(
                "a row's key is LINE/RULE/TIER.PART/IDENTITY: `explain --line ID` prints those of a line",
            )?;
            return Ok((None, line.to_owned(), Some(key.clone())));
        }
        let (of, what) = match (identity, resource) {
            (Some(id), _) => (Of::Identity(id), format!("identity {id}")),
            (None, Some(id)) => (Of::Resource(id), format!("resource {id}")),
            (None, None) => bail!("which line? Give --line, --row, --identity or --resource"),
        };
        let mut listed = Listed { all: 0, lines: Vec::new() };
        for unit in units {
            let (all, lines) = store::lines_of(view, unit, of, LISTED)?;
            listed.all += all;
            listed.lines.extend(lines.into_iter().map(|line| (unit.source.clone(), line)));
        }
        largest_first(&mut listed.lines);
        let Some((_, first)) = listed.lines.first() else {
            let others = absent::named(view, units, of)?;
            bail!("{what} has no row of {} on {}{others}", self.tenant, self.date);
        };
        let first = first.line.clone();
        Ok((Some(listed), first, None))
    }

    /// Where the rule that takes the line stands, if the folder that is named holds the rules that made its rows.
    fn place(&self, explained: &Explained) -> Result<Option<String>> {
        let Some(folder) = &self.reach.config else { return Ok(None) };
        let config = configuration::load(folder)?;
        let unit = &explained.unit;
        let Some(tenant) = config.tenants.get(&unit.tenant) else { return Ok(None) };
        let same = tenant.source(&unit.source).is_some()
            && tenant.rules_hash(&unit.source, unit.date)? == unit.rules;
        let rule = explained.trace.rules.last().filter(|rule| rule.takes && same);
        Ok(rule.and_then(|rule| places::of_rule(folder, &unit.tenant, &rule.id)))
    }
}

/// Several lines may be meant.
#[derive(Debug)]
pub struct Ambiguous {
    start: String,
    /// Source, date and id.
    candidates: Vec<(SourceId, UnitDate, LineId)>,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "several lines have an id that starts with {}: give more of it, or --source",
            self.start
        )?;
        for (source, date, id) in self.candidates.iter().take(CANDIDATES) {
            write!(f, "\n  {source} {date} {id}")?;
        }
        if self.candidates.len() > CANDIDATES { f.write_str("\n  and more") } else { Ok(()) }
    }
}

impl std::error::Error for Ambiguous {}

/// Explains the line of these units whose id starts so.
///
/// # Errors
/// When none has it, or the archive or database cannot be read; [`Ambiguous`] when several have it.
pub fn found(view: &mut Transaction<'_>, units: &[VisibleUnit], start: &str) -> Result<Explained> {
    ensure!(
        !start.is_empty() && start.chars().all(|c| c.is_ascii_hexdigit()),
        "{start:?} is no line id: these are 32 hex digits, column line_id of the outputs"
    );
    let (mut candidates, mut first) = (Vec::new(), None);
    for unit in units {
        let like = store::lines_like(view, unit, start, CANDIDATES + 1)?;
        candidates.extend(like.ids.into_iter().map(|id| (unit.source.clone(), unit.date, id)));
        first = first.or(like.first.map(|found| (unit, found)));
    }
    if candidates.len() > 1 {
        bail!(Ambiguous { start: start.to_owned(), candidates });
    }
    if let Some((unit, (lines, at))) = first {
        let line = lines.item(at)?;
        let config = store::config_version(view, &unit.tenant, unit.config)?;
        let program = Arc::new(Program::compile(&config, &unit.source)?);
        let trace = engine(view, unit, &program)?.explain(&lines, at)?;
        let resolution = resolution(view, unit, &line)?;
        let stored = store::stored_rows(view, unit, line.id)?;
        let mut made: Vec<StoredRow> =
            trace.rows.iter().map(|(why, money)| as_stored(why, money)).collect();
        made.sort();
        return Ok(Explained {
            cost: config.source(&unit.source).map(proto::config::SourceConfig::cost),
            same: made == stored,
            emitted: store::emitted_to(view, unit)?,
            commit: store::commit_of(view, unit)?,
            place: None,
            unit: unit.clone(),
            line,
            resolution,
            trace,
            stored,
        });
    }
    let dates: Vec<String> = units.iter().map(|u| format!("{}/{}", u.source, u.date)).collect();
    let others = absent::line(view, units, start)?;
    bail!("no line of {} has an id that starts with {start}{others}", dates.join(", "))
}

/// By currency; each source gave its own largest first.
fn largest_first(lines: &mut [(SourceId, FoundLine)]) {
    let size = |(_, found): &(SourceId, FoundLine)| {
        ExactSum::parse(&found.amount).unwrap_or_default().size()
    };
    lines.sort_by_cached_key(|line| (line.1.currency.clone(), std::cmp::Reverse(size(line))));
}

fn resolution(
    view: &mut Transaction<'_>,
    unit: &VisibleUnit,
    line: &BillingLineItem,
) -> Result<Option<IdentityResolution>> {
    let Some(key) = &line.resolution_key else { return Ok(None) };
    let mut found: Option<(WindowFit, IdentityResolution)> = None;
    store::archived_resolutions(view, unit, &mut |resolutions| {
        for resolution in resolutions.into_iter().filter(|r| r.key == *key) {
            let fit = resolution.fit(line.charge_start, line.charge_end);
            if let Some(fit) = fit
                && found.as_ref().is_none_or(|(best, _)| fit < *best)
            {
                found = Some((fit, resolution));
            }
        }
        Ok(())
    })?;
    Ok(found.map(|(_, resolution)| resolution))
}

/// A row of the engine as the ledger stores it.
fn as_stored(why: &RowDimension, money: &RowMoney) -> StoredRow {
    let measure = |measure: Measure| money.measures[measure as usize].unwrap_or(money.amount);
    let [billed, effective, contracted, list] = Measure::ALL.map(measure);
    StoredRow {
        tier: i32::from(why.tier),
        part: i32::from(why.part),
        identity: why.identity.clone(),
        owner: why.owner.clone(),
        rule: why.rule.clone(),
        cost_type: why.cost_type.word().to_owned(),
        method: why.method.clone(),
        detail: why.detail.clone(),
        share: money.share.to_string(),
        costs: [money.amount, billed, effective, contracted, list].map(|cost| cost.to_string()),
        quantities: money.quantities.map(|quantity| quantity.map(|q| q.to_string())),
    }
}

impl Explained {
    /// A key for each row, in the order of the trace.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let key = |(why, _): &(RowDimension, RowMoney)| {
            format!("{}/{}/{}.{}/{}", self.line.id, why.rule, why.tier, why.part, why.identity)
        };
        self.trace.rows.iter().map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_line_of_all_sources_comes_first() {
        let priced = |source: &str, amount: &str, currency: &str| {
            let found = FoundLine {
                line: format!("{amount}-{source}"),
                rows: 1,
                amount: amount.into(),
                currency: currency.into(),
            };
            (SourceId::parse(source).unwrap(), found)
        };
        let line = |source: &str, amount: &str| priced(source, amount, "USD");
        let mut lines = vec![line("a", "2"), line("a", "1.00"), line("b", "-30.5"), line("b", "2")];
        largest_first(&mut lines);
        let order: Vec<&str> = lines.iter().map(|(_, found)| found.line.as_str()).collect();
        assert_eq!(order, ["-30.5-b", "2-a", "2-b", "1.00-a"]);
        lines.insert(0, priced("b", "9000", "JPY"));
        lines.push(priced("a", "0.01", "EUR"));
        largest_first(&mut lines);
        let order: Vec<&str> = lines.iter().map(|(_, found)| found.line.as_str()).collect();
        assert_eq!(order, ["0.01-a", "9000-b", "-30.5-b", "2-a", "2-b", "1.00-a"]);
    }
}

//! Where emitters of all tenants write, seen together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use proto::config::{SourceSettings, TenantConfig};
use proto::ids::{EmitterId, SourceId, TenantId};
use proto::time::UnitDate;

use super::places::Places;
use super::problem::{Problem, Report};

/// A tenant, and where its parts stand.
type Placed<'c> = (&'c TenantConfig, Option<&'c Places>);

/// Notes emitters that would write over each other, and those whose files would be read as bills.
pub fn check<'c>(
    folder: &Path,
    tenants: impl Iterator<Item = Placed<'c>> + Clone,
    report: &mut Report,
) {
    clashes(folder, tenants.clone(), report);
    loops(folder, tenants, report);
}

/// Notes emitters whose files would have the same names: of one tenant, or of several, as `a_b` with source `c` writes
/// `a_b_c_DATE`, and so does `a` with source `b_c`.
fn clashes<'c>(folder: &Path, tenants: impl Iterator<Item = Placed<'c>>, report: &mut Report) {
    let mut files: BTreeMap<PathBuf, (&TenantId, &SourceId, &EmitterId)> = BTreeMap::new();
    for (config, places) in tenants {
        let tenant = &config.tenant;
        let folders =
            config.emitters.iter().filter_map(|emitter| Some((emitter, emitter.dir.as_ref()?)));
        for (emitter, dir) in folders {
            let (id, file) = (&emitter.id, emitter.file_name());
            for source in config.sources.iter().map(|source| &source.id) {
                // Every day of some month: a name of a month can be that of a day, as `{month}-01` is.
                let mut other = None;
                for date in days() {
                    let name = file.of(tenant, source, date);
                    // Comparing components, not texts: `out` is `./out/`.
                    let path = folder.join(dir).join(&name).components().collect();
                    let owner = (tenant, source, id);
                    let before = files.insert(path, owner).filter(|before| *before != owner);
                    other = other.or(before.map(|before| (name, before)));
                }
                let Some((name, (other, its, another))) = other else { continue };
                let what = format!(
                    "emitter `{id}` writes file {name} for source `{source}`, as emitter `{another}` of tenant {other} \
                     does for source `{its}`"
                );
                let mend = match other == tenant && another == id {
                    true => "add {source} to `file`",
                    false => "give it another `dir` or `file`",
                };
                let problem = Problem::of_file(format!("tenants/{tenant}.yaml"), what, mend)
                    .about(&["emitters", id.as_str()]);
                report.add(places.map_or(problem.clone(), |places| places.point(problem)));
            }
        }
    }
}

/// The days of a month that has 31.
fn days() -> impl Iterator<Item = UnitDate> {
    (1..=31).filter_map(|day| format!("2026-05-{day:02}").parse().ok())
}

/// Notes emitters whose files some source would read: each run would then add its own output to the bill.
fn loops<'c>(
    folder: &Path,
    tenants: impl Iterator<Item = Placed<'c>> + Clone,
    report: &mut Report,
) {
    let read: Vec<Bills<'_>> =
        tenants.clone().flat_map(|(config, _)| Bills::of(folder, config)).collect();
    // Any day stands for all: what differs between names are digits.
    let Ok(date) = "2026-05-01".parse::<UnitDate>() else { return };
    for (config, places) in tenants {
        let tenant = &config.tenant;
        for emitter in &config.emitters {
            let Some(dir) = &emitter.dir else { continue };
            let names = config
                .sources
                .iter()
                .map(|source| emitter.file_name().of(tenant, &source.id, date));
            let paths: BTreeSet<PathBuf> =
                names.map(|name| folder.join(dir).join(name).components().collect()).collect();
            let Some(bills) = read.iter().find(|bills| paths.iter().any(|path| bills.hold(path)))
            else {
                continue;
            };
            let what = format!(
                "emitter `{}` writes files that {:?} of source `{}` of tenant {} reads as bills",
                emitter.id, bills.entry, bills.source, bills.tenant
            );
            let mend = "give it a `dir` that no source's `files` reach";
            let problem = Problem::of_file(format!("tenants/{tenant}.yaml"), what, mend)
                .about(&["emitters", emitter.id.as_str()]);
            report.add(places.map_or(problem.clone(), |places| places.point(problem)));
        }
    }
}

/// What an entry of a source's `files` stands for.
struct Bills<'c> {
    tenant: &'c TenantId,
    source: &'c SourceId,
    entry: &'c str,
    pattern: Pattern,
    /// What every path begins with, which most others do not.
    prefix: String,
}

impl<'c> Bills<'c> {
    fn of(folder: &Path, config: &'c TenantConfig) -> Vec<Self> {
        let sources = config.sources.iter().filter_map(|source| match &source.settings {
            SourceSettings::Focus(focus) => Some((&source.id, focus)),
            SourceSettings::Synthetic(_)
            | SourceSettings::SelfManagedKafka(_)
            | SourceSettings::GenericMetrics(_)
            | SourceSettings::ConfluentCloud(_)
            | SourceSettings::Unbuilt { .. } => None,
        });
        let entries =
            sources.flat_map(|(id, focus)| focus.files.iter().map(move |file| (id, file)));
        let bills = entries.filter_map(|(source, entry)| {
            let wild = entry.find(['*', '?', '[']).unwrap_or(entry.len());
            let literal: PathBuf = folder.join(&entry[..wild]).components().collect();
            let prefix = literal.to_str()?.to_owned();
            let (tenant, rest) = (&config.tenant, &entry[wild..]);
            let slash = if entry[..wild].ends_with('/') || wild == 0 { "/" } else { "" };
            let pattern = format!("{}{slash}{rest}", Pattern::escape(&prefix));
            // What is no pattern is told when it is read.
            Some(Self { tenant, source, entry, pattern: Pattern::new(&pattern).ok()?, prefix })
        });
        bills.collect()
    }

    fn hold(&self, path: &Path) -> bool {
        let options = MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..MatchOptions::new()
        };
        path.to_str().is_some_and(|path| path.starts_with(&self.prefix))
            && self.pattern.matches_path_with(path, options)
    }
}

//! The owner directory and groups of owners.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{OwnerRow, Owners};

use super::csv_file::CsvFile;
use super::names;
use super::problem::{Place, Report, suggest};
use super::read::{self, Cx, Map};
use super::yaml::Node;

/// Keys of `owners`.
pub const OWNERS_KEYS: [&str; 2] = ["file", "strict"];

/// Columns of the owner file; `id` is needed.
pub const OWNER_COLUMNS: [&str; 10] = [
    "id",
    "name",
    "kind",
    "parent",
    "cost_center",
    "gl_code",
    "email",
    "aliases",
    "valid_from",
    "valid_to",
];

/// Reads `owners`.
pub fn owners(node: &Node, cx: &mut Cx<'_>) -> Option<Owners> {
    let map = Map::read(node, "`owners`", &OWNERS_KEYS, cx.report)?;
    let strict =
        map.get("strict").map_or(Some(false), |node| read::flag(node, "`strict`", cx.report));
    let file = CsvFile::read(cx.dir, map.need("file", "`owners`", cx.report)?, cx.report)?;
    for column in file.header.iter().filter(|column| !OWNER_COLUMNS.contains(&column.as_str())) {
        let what = format!("the owner file has no use for the column `{column}`");
        cx.report.at(&Place::line(&file.file, 1), what, suggest(column, OWNER_COLUMNS));
    }
    let id = file.column("id", &Place::line(&file.file, 1), cx.report)?;
    cx.names.owner_file = Some((file.file.name.clone(), file.header.clone()));
    let mut rows = Vec::new();
    for (line, cells) in &file.rows {
        let Some(valid) = file.validity(*line, cells, cx.report) else { continue };
        let cell = |name: &str| {
            let at = file.header.iter().position(|column| column == name);
            at.map(|at| cells[at].clone()).unwrap_or_default()
        };
        let mut aliases: Vec<String> = cell("aliases")
            .split(';')
            .map(|alias| alias.trim().to_owned())
            .filter(|alias| !alias.is_empty())
            .collect();
        aliases.sort();
        aliases.dedup();
        let row = OwnerRow {
            id: cells[id].clone(),
            valid,
            aliases,
            name: cell("name"),
            kind: cell("kind"),
            parent: cell("parent"),
            cost_center: cell("cost_center"),
            gl_code: cell("gl_code"),
            email: cell("email"),
        };
        rows.push((row, *line));
    }
    check(&file, &rows, cx.report);
    rows.sort();
    Some(Owners { strict: strict?, rows: rows.into_iter().map(|(row, _)| row).collect() })
}

fn check(file: &CsvFile, rows: &[(OwnerRow, usize)], report: &mut Report) {
    let ids: BTreeSet<&str> = rows.iter().map(|(row, _)| row.id.as_str()).collect();
    let mut seen: BTreeMap<&str, Vec<(&OwnerRow, usize)>> = BTreeMap::new();
    for (row, line) in rows {
        let at = Place::line(&file.file, *line);
        if row.id.is_empty() {
            report.at(&at, "the owner has no `id`", "fill it, or remove the row");
            continue;
        }
        if row.id.eq_ignore_ascii_case("UNALLOCATED") {
            report.at(
                &at,
                "UNALLOCATED is what nobody owns, no owner",
                "give the owner another id",
            );
        }
        if !row.parent.is_empty() && !ids.contains(row.parent.as_str()) {
            let what =
                format!("the parent `{}` of owner `{}` is not in the file", row.parent, row.id);
            report.at(&at, what, suggest(&row.parent, ids.iter().copied()));
        }
        for name in [&row.id].into_iter().chain(&row.aliases) {
            let earlier = seen.entry(name).or_default();
            if let Some((_, first)) =
                earlier.iter().find(|(other, _)| other.valid.overlaps(&row.valid))
            {
                let what =
                    format!("`{name}` means two owners for the same days, first in line {first}");
                report.at(&at, what, "remove one, or give them `valid_from` and `valid_to`");
            }
            earlier.push((row, *line));
        }
    }
    report_circle(file, rows, report);
}

/// An owner above itself.
fn report_circle(file: &CsvFile, rows: &[(OwnerRow, usize)], report: &mut Report) {
    let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (row, _) in rows.iter().filter(|(row, _)| !row.parent.is_empty()) {
        parents.entry(&row.id).or_default().insert(&row.parent);
    }
    for (row, line) in rows {
        let mut above = BTreeSet::new();
        let mut next = vec![row.id.as_str()];
        while let Some(id) = next.pop() {
            for parent in
                parents.get(id).into_iter().flatten().filter(|parent| above.insert(**parent))
            {
                next.push(parent);
            }
        }
        if above.contains(row.id.as_str()) {
            let what = format!("owner `{}` stands above itself", row.id);
            let mend = "change one `parent` on the way up";
            report.at(&Place::line(&file.file, *line), what, mend);
            return;
        }
    }
}

/// Reads `groups`.
pub fn groups(node: &Node, cx: &mut Cx<'_>) -> BTreeMap<String, Vec<String>> {
    let mut groups = BTreeMap::new();
    for entry in read::entries(node, "`groups`", cx.report).unwrap_or_default() {
        let what = format!("group `{}`", entry.key);
        if proto::config::ResolutionSet::ALL.iter().any(|set| set.as_str() == entry.key) {
            cx.report.at(
                &entry.key_at,
                format!("{what} has the name of a resolution set"),
                "choose another name",
            );
        }
        let mut members = BTreeSet::new();
        for node in read::list(&entry.value, &what, cx.report).unwrap_or_default() {
            if let Some(owner) = read::text(node, "an owner", cx.report) {
                names::owner(owner, &node.at, &cx.names, cx.report);
                if !members.insert(owner.to_owned()) {
                    cx.report.at(&node.at, format!("`{owner}` is in {what} twice"), "remove one");
                }
            }
        }
        groups.insert(entry.key.clone(), members.into_iter().collect());
    }
    groups
}

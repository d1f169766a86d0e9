//! Tables: CSV files with keys and a value, read into their sorted canonical form.

use std::path::Path;

use proto::config::{KeyPattern, Table, TablePattern, TableRow, Validity};

use super::csv_file::CsvFile;
use super::problem::{Place, Report};
use super::read::{self, Cx, Map};
use super::yaml::Node;

/// Keys of a table.
pub const TABLE_KEYS: [&str; 4] = ["file", "key", "value", "patterns"];
/// Keys of one of its patterns.
pub const PATTERN_KEYS: [&str; 3] = ["regex", "glob", "value"];

/// Reads `tables.NAME`.
pub fn table(node: &Node, name: &str, cx: &mut Cx<'_>) -> Option<Table> {
    let what = format!("table `{name}`");
    let map = Map::read(node, &what, &TABLE_KEYS, cx.report)?;
    let file =
        map.need("file", &what, cx.report).and_then(|file| CsvFile::read(cx.dir, file, cx.report));
    let key_node = map.need("key", &what, cx.report);
    let key_nodes = key_node.map(|key| read::one_or_many(key, "`key`", cx.report));
    let column = |node: &'_ Node, what: &str, cx: &mut Cx<'_>| {
        read::text(node, what, cx.report).map(|name| (name.to_owned(), node.at.clone()))
    };
    let key: Vec<(String, Place)> =
        key_nodes.unwrap_or_default().iter().filter_map(|node| column(node, "`key`", cx)).collect();
    let value = map.need("value", &what, cx.report).and_then(|node| column(node, "`value`", cx));
    let patterns = map.get("patterns").map(|node| patterns(node, cx)).unwrap_or_default();
    let (file, (value, value_at)) = (file?, value?);
    if key.is_empty() {
        return None;
    }
    if key.len() > 1 && !patterns.is_empty() {
        cx.report.at(
            map.at,
            format!("{what} has patterns and {} key columns", key.len()),
            "patterns need a table with one key column",
        );
    }
    let columns: Vec<Option<usize>> =
        key.iter().map(|(column, at)| file.column(column, at, cx.report)).collect();
    let value_column = file.column(&value, &value_at, cx.report)?;
    let columns: Vec<usize> = columns.into_iter().collect::<Option<_>>()?;
    let rows = rows(&file, &columns, value_column, cx.report);
    let key = key.into_iter().map(|(column, _)| column).collect();
    Some(Table { key, value, rows, patterns })
}

/// A row of a table's file.
#[derive(Debug, Clone)]
pub struct ListedRow {
    /// The cells of its key.
    pub key: Vec<String>,
    /// The days for which it holds.
    pub valid: Validity,
    /// Whether it gives a value; one without says that nobody is meant.
    pub gives: bool,
    /// Where it stands.
    pub at: Place,
}

/// The rows of a table once more, as they stand in the file that `file` names in the folder `dir`. Empty where that
/// cannot be read any more.
#[must_use]
pub fn listed(dir: &Path, file: &Node, table: &Table) -> Vec<ListedRow> {
    let mut report = Report::default();
    let Some(file) = CsvFile::read(dir, file, &mut report) else { return Vec::new() };
    let column = |name: &String| file.header.iter().position(|column| column == name);
    let key: Option<Vec<usize>> = table.key.iter().map(column).collect();
    let (Some(key), Some(value)) = (key, column(&table.value)) else { return Vec::new() };
    let mut row = |(line, cells): &(usize, Vec<String>)| {
        Some(ListedRow {
            key: key.iter().map(|column| cells[*column].clone()).collect(),
            valid: file.validity(*line, cells, &mut report)?,
            gives: !cells[value].is_empty(),
            at: Place::line(&file.file, *line),
        })
    };
    file.rows.iter().filter_map(&mut row).collect()
}

fn rows(file: &CsvFile, key: &[usize], value: usize, report: &mut Report) -> Vec<TableRow> {
    let mut rows: Vec<(TableRow, usize)> = Vec::new();
    for (line, cells) in &file.rows {
        let Some(valid) = file.validity(*line, cells, report) else { continue };
        if let Some(empty) = key.iter().find(|column| cells[**column].is_empty()) {
            let what = format!("the key cell `{}` is empty", file.header[*empty]);
            report.at(&Place::line(&file.file, *line), what, "fill it, or remove the row");
            continue;
        }
        // An empty value gives nothing, which is what no row gives.
        if !cells[value].is_empty() {
            let key = key.iter().map(|column| cells[*column].clone()).collect();
            rows.push((TableRow { key, valid, value: cells[value].clone() }, *line));
        }
    }
    rows.sort();
    for pair in rows.windows(2) {
        let [(a, first), (b, second)] = pair else { continue };
        if a.key == b.key && a.valid.overlaps(&b.valid) {
            let (first, second) = (first.min(second), first.max(second));
            let what = format!(
                "the key {} is there twice for the same days, first in line {first}",
                a.key.join(", ")
            );
            report.at(
                &Place::line(&file.file, *second),
                what,
                "remove one, or give them `valid_from` and `valid_to`",
            );
        }
    }
    rows.into_iter().map(|(row, _)| row).collect()
}

fn patterns(node: &Node, cx: &mut Cx<'_>) -> Vec<TablePattern> {
    let nodes = read::list(node, "`patterns`", cx.report).unwrap_or_default();
    nodes.iter().filter_map(|node| pattern(node, cx)).collect()
}

fn pattern(node: &Node, cx: &mut Cx<'_>) -> Option<TablePattern> {
    let map = Map::read(node, "a table's pattern", &PATTERN_KEYS, cx.report)?;
    let value = map.need("value", "a table's pattern", cx.report)?;
    let text = read::text(value, "`value`", cx.report)?.to_owned();
    let pattern = match (map.get("regex"), map.get("glob")) {
        (Some(regex), None) => {
            let compiled = super::matching::regex(regex, cx.report)?;
            super::matching::replacement(&text, &compiled, &value.at, cx.report);
            KeyPattern::Regex(compiled.as_str().to_owned())
        }
        (None, Some(glob)) => KeyPattern::Glob(read::text(glob, "`glob`", cx.report)?.to_owned()),
        (Some(_), Some(_)) | (None, None) => {
            cx.report.at(
                map.at,
                "a table's pattern needs one of `regex` and `glob`",
                "write { regex: R, value: V } or { glob: G, value: V }",
            );
            return None;
        }
    };
    Some(TablePattern { pattern, value: text })
}

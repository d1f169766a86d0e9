//! Emitters.

use proto::config::emitter::{CSV_COLUMNS, CSV_CURRENCY, CSV_SUMS, DECIMALS_MAX};
use proto::config::file_name::FileName;
use proto::config::{Aggregation, EmitterConfig, FileFormat};
use proto::ids::EmitterId;

use super::problem::{Report, suggest};
use super::read::{self, Cx, Map};
use super::scalar;
use super::yaml::{Entry, Node};

/// Kinds of emitters; what runs today is said by `unbuilt`.
pub const EMITTER_KINDS: [&str; 5] = ["csv", "focus", "parquet", "prometheus", "webhook"];
/// Versions of FOCUS that an emitter can be asked for; what runs today is said by `unbuilt`.
pub const FOCUS_VERSIONS: [&str; 2] = ["1.2", "1.3"];
/// Keys of an emitter.
pub const EMITTER_KEYS: [&str; 10] = [
    "kind",
    "dir",
    "file",
    "format",
    "decimals",
    "aggregation",
    "group_by",
    "columns",
    "lookback",
    "version",
];

/// Reads `emitters`, sorted by id.
pub fn emitters(node: &Node, cx: &mut Cx<'_>) -> Vec<EmitterConfig> {
    let entries = read::entries(node, "`emitters`", cx.report).unwrap_or_default();
    let mut emitters: Vec<EmitterConfig> =
        entries.iter().filter_map(|entry| emitter(entry, cx)).collect();
    emitters.sort_by(|a, b| a.id.cmp(&b.id));
    emitters
}

fn emitter(entry: &Entry, cx: &mut Cx<'_>) -> Option<EmitterConfig> {
    let what = format!("emitter `{}`", entry.key);
    let id = match EmitterId::parse(&entry.key) {
        Ok(id) => Some(id),
        Err(error) => {
            cx.report.at(&entry.key_at, error.to_string(), "rename the emitter");
            None
        }
    };
    let map = Map::read(&entry.value, &what, &EMITTER_KEYS, cx.report)?;
    let kinds = EMITTER_KINDS.map(|kind| (kind, kind));
    let kind = match map.get("kind") {
        Some(node) => read::word(node, "`kind`", &kinds, cx.report),
        None if EMITTER_KINDS.contains(&entry.key.as_str()) => Some(entry.key.as_str()),
        None => {
            let mend = format!("add `kind`, one of {}", EMITTER_KINDS.join(", "));
            cx.report.at(
                &entry.key_at,
                format!("{what} lacks `kind`, and its id is no kind"),
                mend,
            );
            None
        }
    };
    let files = matches!(kind, Some("csv" | "focus" | "parquet"));
    let dir = if files { map.need("dir", &what, cx.report) } else { map.get("dir") };
    let dir = dir.and_then(|node| read::text(node, "`dir`", cx.report)).map(str::to_owned);
    let words = [
        ("none", Aggregation::None),
        ("hourly", Aggregation::Hourly),
        ("daily", Aggregation::Daily),
        ("monthly", Aggregation::Monthly),
    ];
    let aggregation = map.get("aggregation").map_or(Some(Aggregation::None), |node| {
        read::word(node, "`aggregation`", &words, cx.report)
    });
    let lookback = map
        .get("lookback")
        .map(|node| read::parsed(node, "`lookback`", cx.report, scalar::lookback));
    let version = map.get("version").map(|node| version(node, kind, cx));
    let format = format(&map, kind, cx);
    let decimals = map.get("decimals").map(|node| decimals(node, format, cx));
    let file = map.get("file").map(|node| {
        read::parsed(node, "`file`", cx.report, |text| {
            text.parse::<FileName>().map_err(|error| error.to_string())
        })
    });
    let mut emitter = EmitterConfig {
        id: id?,
        kind: kind?.to_owned(),
        dir,
        format,
        file: file.map_or(Some(None), |file| file.map(Some))?,
        aggregation: aggregation?,
        group_by: Vec::new(),
        columns: Vec::new(),
        lookback_days: lookback.map_or(Some(None), |days| days.map(Some))?,
        version: version.map_or(Some(None), |version| version.map(Some))?,
        decimals: decimals.map_or(Some(None), |decimals| decimals.map(Some))?,
    };
    if let (true, Some(file), Some(node)) = (files, &emitter.file, map.get("file")) {
        ending(node, &file.to_string(), emitter.format, cx.report);
    }
    columns(&map, &mut emitter, cx.report);
    foreign(&map, &emitter.kind, cx.report);
    Some(emitter)
}

/// Notes keys that are for other kinds of files.
fn foreign(map: &Map<'_>, kind: &str, report: &mut Report) {
    let keys: &[&str] = match kind {
        "csv" => &["version"],
        "focus" | "parquet" => &["aggregation", "group_by", "columns"],
        _ => &[],
    };
    for (key, node) in keys.iter().filter_map(|key| Some((key, map.get(key)?))) {
        let (what, mend) = match *key {
            "version" => (format!("`{key}` is for FOCUS"), "remove it, or write `kind: focus`"),
            _ => (
                format!("`{key}` is for CSV: FOCUS has the rows and columns of its version"),
                "remove it, or write `kind: csv`",
            ),
        };
        report.at(&node.at, what, mend);
    }
}

/// The format of its files; kind `parquet` is FOCUS rows as Parquet.
fn format(map: &Map<'_>, kind: Option<&str>, cx: &mut Cx<'_>) -> FileFormat {
    let own = if kind == Some("parquet") { FileFormat::Parquet } else { FileFormat::Csv };
    let Some(node) = map.get("format") else { return own };
    let words = [("csv", FileFormat::Csv), ("parquet", FileFormat::Parquet)];
    let Some(format) = read::word(node, "`format`", &words, cx.report) else { return own };
    if format != own && kind != Some("focus") {
        let what = format!("kind {} has files of its own format", kind.unwrap_or_default());
        cx.report.at(&node.at, what, "remove `format`, or use kind focus");
    }
    format
}

/// Notes names of files that say another format than the files have: who reads them goes by the name.
fn ending(node: &Node, name: &str, format: FileFormat, report: &mut Report) {
    let Some((_, found)) = name.rsplit_once('.') else { return };
    let others = ["csv", "parquet", "gz", "zst"].into_iter();
    let mut others = others.filter(|other| *other != format.ending());
    if others.any(|other| found.eq_ignore_ascii_case(other)) {
        let right = format.ending();
        let what = format!("`file` ends in .{found}, and its files are {}", format.name());
        report.at(&node.at, what, format!("end it in .{right}"));
    }
}

/// Decimals of the numbers in Parquet files.
fn decimals(node: &Node, format: FileFormat, cx: &mut Cx<'_>) -> Option<u32> {
    if format.is_csv() {
        cx.report.at(
            &node.at,
            "`decimals` is for Parquet: CSV has all of each number",
            "remove it",
        );
    }
    read::parsed(node, "`decimals`", cx.report, |text| {
        let number = text.parse().ok().filter(|decimals| *decimals <= DECIMALS_MAX);
        number.ok_or_else(|| {
            format!("write a whole number from 0 to {DECIMALS_MAX}, or remove it: 18")
        })
    })
}

/// Reads `group_by` and `columns`; for CSV files also checks them, and `aggregation`.
fn columns(map: &Map<'_>, emitter: &mut EmitterConfig, report: &mut Report) {
    let is_csv = emitter.kind == "csv";
    if let Some(node) = map.get("group_by") {
        let known = |name: &str| {
            if !is_csv || CSV_COLUMNS.contains(&name) && !CSV_SUMS.contains(&name) {
                return Ok(());
            }
            let known = CSV_COLUMNS.into_iter().filter(|column| !CSV_SUMS.contains(column));
            Err(match CSV_SUMS.contains(&name) {
                true => ("is added up".to_owned(), "group by other columns".to_owned()),
                false => ("is no column of CSV files".to_owned(), suggest(name, known)),
            })
        };
        emitter.group_by = names(node, "group_by", report, known);
        if is_csv && emitter.aggregation == Aggregation::None {
            let what = "`group_by` does nothing without `aggregation`";
            report.at(&node.at, what, "add `aggregation: daily`, or remove `group_by`");
        }
    }
    if is_csv
        && emitter.aggregation == Aggregation::Hourly
        && let Some(node) = map.get("aggregation")
    {
        let what = "`aggregation: hourly` is finer than what there is: costs are kept by day";
        let mend = "write `aggregation: daily`, or remove it for a row per line and receiver";
        report.at(&node.at, what, mend);
    }
    if emitter.aggregation == Aggregation::Monthly
        && let (Some(file), Some(node)) = (&emitter.file, map.get("file"))
        && !file.is_monthly()
    {
        let what = "`file`: rows that are added up by month need a file of the month";
        report.at(&node.at, what, "write {month} instead of {date}, or remove `file`");
    }
    if let Some(node) = map.get("columns") {
        let there = emitter.csv_columns();
        let known = |name: &str| {
            if !is_csv || there.contains(&name) {
                return Ok(());
            }
            let left_out = CSV_COLUMNS.contains(&name);
            Err(match name {
                "quantity" => (
                    "is no sum: it can be of several units".to_owned(),
                    "add `unit` to `group_by`".to_owned(),
                ),
                _ if left_out => (
                    "is not grouped by, so rows that are added up differ in it".to_owned(),
                    "add it to `group_by`, or remove it".to_owned(),
                ),
                _ => ("is no column of CSV files".to_owned(), suggest(name, there.iter().copied())),
            })
        };
        emitter.columns = names(node, "columns", report, known);
        let currency = |name: &String| name == CSV_CURRENCY;
        if is_csv
            && emitter.aggregation != Aggregation::None
            && !emitter.columns.is_empty()
            && !emitter.columns.iter().any(currency)
        {
            let what = "`columns`: sums of several currencies would look alike";
            report.at(&node.at, what, format!("add `{CSV_CURRENCY}`"));
        }
    }
}

/// A list of columns, each once; `known` says what is wrong with one, and how to mend it.
fn names(
    node: &Node,
    key: &str,
    report: &mut Report,
    known: impl Fn(&str) -> Result<(), (String, String)>,
) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for node in read::one_or_many(node, &format!("`{key}`"), report) {
        let Some(name) = read::text(node, &format!("`{key}`"), report) else { continue };
        match known(name) {
            Err((what, mend)) => report.at(&node.at, format!("`{key}`: `{name}` {what}"), mend),
            Ok(()) if names.iter().any(|other| other == name) => {
                let what = format!("`{key}` names `{name}` twice");
                report.at(&node.at, what, "remove one");
            }
            Ok(()) => names.push(name.to_owned()),
        }
    }
    names
}

/// The version of a format: for FOCUS one of [`FOCUS_VERSIONS`], because a bare `1.20` is another text.
fn version(node: &Node, kind: Option<&str>, cx: &mut Cx<'_>) -> Option<String> {
    if !matches!(kind, Some("focus" | "parquet")) {
        return read::text(node, "`version`", cx.report).map(str::to_owned);
    }
    read::parsed(node, "`version`", cx.report, |text| {
        let known = FOCUS_VERSIONS.contains(&text);
        let mend = FOCUS_VERSIONS.map(|version| format!("\"{version}\"")).join(" or ");
        if known { Ok(text.to_owned()) } else { Err(format!("write {mend}, or remove it: 1.2")) }
    })
}

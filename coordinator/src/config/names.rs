//! What a tenant's configuration defines, for checking what refers to it.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::{Field, Owners, Table, VirtualTag};

use super::problem::{Place, Report, suggest};
use super::yaml::{Node, Value};

/// Names by kind. `None`: the section itself could not be read, so nothing is said about what refers to it.
#[derive(Debug, Default)]
pub struct Names {
    /// Virtual tags.
    pub tags: Option<BTreeSet<String>>,
    /// Tables.
    pub tables: Option<BTreeSet<String>>,
    /// Groups.
    pub groups: Option<BTreeSet<String>>,
    /// Drivers.
    pub drivers: Option<BTreeSet<String>>,
    /// Sources.
    pub sources: Option<BTreeSet<String>>,
    /// The tables that could be read.
    pub contents: BTreeMap<String, Table>,
    /// Ids and aliases of the owner directory, when it is strict.
    pub strict_owners: Option<BTreeSet<String>>,
    /// The owner file, and its columns.
    pub owner_file: Option<(String, Vec<String>)>,
}

/// The keys of a section.
#[must_use]
pub fn keys_of(section: Option<&Node>) -> Option<BTreeSet<String>> {
    match section.map(|node| &node.value) {
        None => Some(BTreeSet::new()),
        Some(Value::Map(entries)) => Some(entries.iter().map(|entry| entry.key.clone()).collect()),
        Some(Value::Null | Value::Text { .. } | Value::List(_)) => None,
    }
}

/// Ids and aliases of a strict directory.
#[must_use]
pub fn strict_owners(owners: Option<&Owners>) -> Option<BTreeSet<String>> {
    let owners = owners.filter(|owners| owners.strict)?;
    let ids = owners.rows.iter().flat_map(|row| [&row.id].into_iter().chain(&row.aliases));
    Some(ids.cloned().collect())
}

/// Checks an owner that a rule or group names.
pub fn owner(name: &str, at: &Place, names: &Names, report: &mut Report) {
    if name.eq_ignore_ascii_case("UNALLOCATED") {
        let mend = "use a `composition` with a part whose chain is [ { unallocated: REASON } ]";
        report.at(at, "UNALLOCATED is no owner that can be given a share", mend);
    } else if let Some(owners) = &names.strict_owners
        && !owners.contains(name)
    {
        let near = suggest(name, owners.iter().map(String::as_str));
        let mend = if near.starts_with("did you mean") { near } else { missing_line(name, names) };
        report.at(
            at,
            format!("owner `{name}` is not in the owner directory, which is strict"),
            mend,
        );
    }
}

/// The line that the owner file lacks.
fn missing_line(name: &str, names: &Names) -> String {
    let Some((file, header)) = &names.owner_file else {
        return "add it to the file of `owners`".to_owned();
    };
    let cell = |column: &String| match column == "id" {
        true if name.contains([',', '"']) => format!("\"{}\"", name.replace('"', "\"\"")),
        true => name.to_owned(),
        false => String::new(),
    };
    let line: Vec<String> = header.iter().map(cell).collect();
    format!("add the line `{}` to {file}", line.join(","))
}

/// Reports virtual tags and tables that look at themselves, directly or through each other.
pub fn report_cycles(
    tags: &BTreeMap<String, VirtualTag>,
    tables: &BTreeMap<String, Table>,
    places: &BTreeMap<String, Place>,
    report: &mut Report,
) {
    let name = |field: &Field| match field {
        Field::VirtualTag(_) | Field::Table(_) => Some(field.to_string()),
        Field::Column(_)
        | Field::Tag(_)
        | Field::Source
        | Field::ProductType
        | Field::ProductCategory
        | Field::ResourceId => None,
    };
    let mut looks_at: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (tag, value) in tags {
        looks_at.insert(format!("vtag.{tag}"), value.from.iter().filter_map(name).collect());
    }
    for (table, value) in tables {
        let fields = value.key.iter().filter_map(|key| name(&Field::parse(key).ok()?));
        looks_at.insert(format!("table.{table}"), fields.collect());
    }
    // Whatever is left when nothing more can be taken away lies on a cycle, or leads to one.
    let mut left: BTreeSet<String> = looks_at.keys().cloned().collect();
    loop {
        let free: Vec<String> = left
            .iter()
            .filter(|name| looks_at[*name].iter().all(|next| !left.contains(next)))
            .cloned()
            .collect();
        if free.is_empty() {
            break;
        }
        free.iter().for_each(|name| {
            left.remove(name);
        });
    }
    if let Some(first) = left.iter().next() {
        let all: Vec<&str> = left.iter().map(String::as_str).collect();
        if let Some(at) = places.get(first) {
            let what = format!("these look at each other in a circle: {}", all.join(", "));
            report.at(at, what, "let one of them look at a column or tag instead");
        }
    }
}

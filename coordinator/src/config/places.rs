//! Where in the user's files something stands, for who explains.

use std::collections::BTreeMap;
use std::path::Path;

use proto::ids::TenantId;

use super::folder;
use super::problem::{Place, Problem, Report};
use super::yaml::{self, Entry, Node, Value};

/// Keys of list entries that tell them apart.
const NAMES: [&str; 2] = ["id", "name"];
/// `emitters.ID.KEY` is as deep as problems point without having read the file themselves.
const DEPTH: usize = 3;

/// Where the parts of a tenant's file stand: by the keys that lead to them, and by id or name in lists, or by [`nth`].
#[derive(Debug, Clone, Default)]
pub struct Places {
    places: BTreeMap<Vec<String>, Place>,
    /// Of each table, the file that it names.
    files: BTreeMap<String, Node>,
}

/// The entry of a list at that place, from 0: of several entries with one id, the one that is meant.
#[must_use]
pub fn nth(place: usize) -> String {
    // No key or id holds a control character.
    format!("\u{0}{place}")
}

impl Places {
    /// Everything of a file, three levels deep.
    #[must_use]
    pub fn of(root: &Node) -> Self {
        let mut places = BTreeMap::new();
        note(root, &mut Vec::new(), &mut places);
        let tables = entry(root, "tables").into_iter().flat_map(|tables| match &tables.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null | Value::List(_) | Value::Text { .. } => &[],
        });
        let file = |table: &Entry| Some((table.key.clone(), entry(&table.value, "file")?.clone()));
        let files = tables.filter_map(file).collect();
        Self { places, files }
    }

    /// The file of a table, where it is named.
    #[must_use]
    pub fn table_file(&self, table: &str) -> Option<&Node> {
        self.files.get(table)
    }

    /// The problem at the place of what it is about, or of the nearest that is above that.
    #[must_use]
    pub fn point(&self, problem: Problem) -> Problem {
        let mut above = (1..=problem.path.len()).rev();
        match above.find_map(|depth| self.places.get(&problem.path[..depth])) {
            Some(place) => Problem::at(place, problem.what, problem.mend),
            None => problem,
        }
    }
}

fn note(node: &Node, path: &mut Vec<String>, places: &mut BTreeMap<Vec<String>, Place>) {
    if path.len() == DEPTH {
        return;
    }
    let mut below = |name: &str, at: &Place, node: &Node| {
        path.push(name.to_owned());
        places.entry(path.clone()).or_insert_with(|| at.clone());
        note(node, path, places);
        path.pop();
    };
    match &node.value {
        Value::Map(entries) => {
            entries.iter().for_each(|each| below(&each.key, &each.key_at, &each.value));
        }
        Value::List(nodes) => {
            for (place, node) in nodes.iter().enumerate() {
                below(&nth(place), &node.at, node);
                let name = NAMES.iter().find_map(|key| entry(node, key));
                if let Some(Node { at, value: Value::Text { text, .. } }) = name {
                    below(text, at, node);
                }
            }
        }
        Value::Null | Value::Text { .. } => {}
    }
}

/// The place of a rule of a tenant: `tenants/acme.yaml:31:5`. `None`: it is built in, or the file cannot be read.
#[must_use]
pub fn of_rule(dir: &Path, tenant: &TenantId, rule: &str) -> Option<String> {
    let root = file_of(dir, tenant)?;
    let Value::List(rules) = &entry(&root, "allocation")?.value else { return None };
    let has_id = |node: &&Node| text(entry(node, "id")) == Some(rule);
    rules.iter().find(has_id).map(|node| node.at.to_string())
}

/// The file of a tenant's owner directory, relative to the folder.
#[must_use]
pub fn of_owners(dir: &Path, tenant: &TenantId) -> Option<String> {
    text(entry(entry(&file_of(dir, tenant)?, "owners")?, "file")).map(str::to_owned)
}

/// The file of a tenant's table, relative to the folder.
#[must_use]
pub fn of_table(dir: &Path, tenant: &TenantId, table: &str) -> Option<String> {
    let root = file_of(dir, tenant)?;
    text(entry(entry(entry(&root, "tables")?, table)?, "file")).map(str::to_owned)
}

fn file_of(dir: &Path, tenant: &TenantId) -> Option<Node> {
    let mut report = Report::default();
    let path = folder::tenant_files(dir, &mut report).remove(tenant)?;
    yaml::parse(&folder::read(dir, &path, &mut report)?, &mut report)
}

fn text(node: Option<&Node>) -> Option<&str> {
    match &node?.value {
        Value::Text { text, .. } => Some(text),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

fn entry<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_where_people_wrote_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tenants")).unwrap();
        let text =
            "currency: USD\nallocation:\n  - id: a\n    chain: []\n  - chain: []\n    id: b\n";
        std::fs::write(dir.path().join("tenants/acme.yaml"), text).unwrap();
        let of =
            |tenant: &str, rule: &str| of_rule(dir.path(), &TenantId::parse(tenant).unwrap(), rule);
        assert_eq!(of("acme", "a").unwrap(), "tenants/acme.yaml:3:5");
        assert_eq!(of("acme", "b").unwrap(), "tenants/acme.yaml:5:5");
        assert_eq!((of("acme", "focus/default@1"), of("nord", "a")), (None, None));
        let text = "owners: { file: who.csv }\ntables: { accounts: { file: a.csv } }\n";
        std::fs::write(dir.path().join("tenants/nord.yaml"), text).unwrap();
        let nord = TenantId::parse("nord").unwrap();
        assert_eq!(of_owners(dir.path(), &nord).unwrap(), "who.csv");
        assert_eq!(of_table(dir.path(), &nord, "accounts").unwrap(), "a.csv");
        assert_eq!(of_table(dir.path(), &nord, "others"), None);
    }
}

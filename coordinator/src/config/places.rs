//! Where in the user's files something stands, for who explains.

use std::path::Path;

use proto::ids::TenantId;

use super::folder;
use super::problem::Report;
use super::yaml::{self, Node, Value};

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

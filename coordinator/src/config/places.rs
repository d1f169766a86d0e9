//! Where in the user's files something stands, for who explains.

use std::path::Path;

use proto::ids::TenantId;

use super::folder;
use super::problem::Report;
use super::yaml::{self, Node, Value};

/// The place of a rule of a tenant: `tenants/acme.yaml:31:5`. `None`: it is built in, or the file cannot be read.
#[must_use]
pub fn of_rule(dir: &Path, tenant: &TenantId, rule: &str) -> Option<String> {
    let mut report = Report::default();
    let path = folder::tenant_files(dir, &mut report).remove(tenant)?;
    let file = folder::read(dir, &path, &mut report)?;
    let root = yaml::parse(&file, &mut report)?;
    let Value::List(rules) = &entry(&root, "allocation")?.value else { return None };
    let has_id = |node: &&Node| {
        let id = entry(node, "id").map(|id| &id.value);
        matches!(id, Some(Value::Text { text, .. }) if text == rule)
    };
    rules.iter().find(has_id).map(|node| node.at.to_string())
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
    }
}

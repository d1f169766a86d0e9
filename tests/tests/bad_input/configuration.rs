//! Mistakes in what users write. All of them are told at once, before any server starts.

use tests::program;
use tests::stand::Stand;

use crate::{assert_says, refused};

const SOURCE: &str = "sources: { cloud: { kind: focus, files: [\"bill.csv\"] } }\n";

/// Every mistake, each in a tenant of its own.
fn wrong() -> Stand {
    let stand = Stand::new("configuration");
    let tenant = |name: &str, more: &str| {
        stand.write(&format!("tenants/{name}.yaml"), format!("{SOURCE}{more}\n"));
    };
    tenant("a", "");
    tenant("A", "");
    tenant("a.b", "");
    tenant("key", "curency: USD");
    tenant("percent", "allocation: [ { id: split, chain: [ { fixed: { a: 60, b: 39 } } ] } ]");
    tenant("variable", "emitters: { csv: { dir: \"${NOWHERE_SET}/csv\" } }");
    stand
}

const SAID: [&str; 5] = [
    "tenants/a.yaml: A.yaml and a.yaml stand for the same tenant: their names differ only in case or ending (keep one, \
     in lower case and ending in .yaml)",
    "tenants/a.b.yaml: tenant id \"a.b\" is not allowed: ids are [a-z0-9][a-z0-9_-]{0,62} (lower-case letters, digits, \
     - and _, at most 63, starting with a letter or digit) (rename the file, for instance to a-b.yaml)",
    "tenants/key.yaml:2:1: unknown key `curency` in the tenant (did you mean `currency`?)",
    "tenants/percent.yaml:2:58: the percents of `fixed` add to 99, not 100 (change them until they add to exactly 100, \
     for instance this one to `40`)",
    "tenants/variable.yaml:2:25: the variable NOWHERE_SET is not set (set it (export NOWHERE_SET=…), or give a default: \
     ${NOWHERE_SET:-default})",
];

#[test]
fn a_run_is_refused_with_every_mistake_and_starts_nothing() {
    let stand = wrong();
    let said = refused(&stand, &[], &[]);
    assert!(said.starts_with("error: the configuration cannot run\n"), "{said}");
    assert_says(&said, &SAID);
    assert!(!stand.data().exists(), "not even a data folder is made");
}

#[test]
fn config_check_says_the_same() {
    let stand = wrong();
    let mut command = assert_cmd::Command::new(program::apportion());
    let output = command.args(["config", "check", "--config"]).arg(stand.config()).output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_says(&said, &SAID);
    assert_says(&said, &["5 problems"]);
}

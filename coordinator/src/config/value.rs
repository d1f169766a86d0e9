//! Values inside values: `${VAR}`, `${VAR:-default}` and `file:/path`.

use std::path::Path;

use super::metrics::SECRET_KEYS;
use super::problem::Report;
use super::yaml::{Entry, Node, Value};

/// Most bytes of a file that a value names.
const MAX_FILE: u64 = 64 * 1024;

/// Looks up a variable of the environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces variables and `file:/path` in every scalar of a tree, secrets apart. Keys stay as they are; `$${` stands for `${`.
pub fn resolve(node: &mut Node, env: Env<'_>, report: &mut Report) {
    match &mut node.value {
        Value::Null => {}
        Value::Text { text, .. } => {
            if text.contains("${") {
                match substitute(text, env) {
                    Ok(new) => *text = new,
                    Err(error) => report.unknown_at(&node.at, error.what, error.mend),
                }
            }
            if text.starts_with("file:/") {
                match from_file(&text["file:".len()..]) {
                    Ok(new) => *text = new,
                    Err(error) => report.unknown_at(&node.at, error.what, error.mend),
                }
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| resolve(item, env, report)),
        Value::Map(entries) => {
            let open = |entry: &&mut Entry| {
                let is_text = matches!(entry.value.value, Value::Text { .. });
                !(is_text && SECRET_KEYS.contains(&entry.key.as_str()))
            };
            let entries = entries.iter_mut().filter(open);
            entries.for_each(|entry| resolve(&mut entry.value, env, report));
        }
    }
}

#[derive(Debug)]
struct Wrong {
    what: String,
    mend: String,
}

fn substitute(text: &str, env: Env<'_>) -> Result<String, Wrong> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        if let Some(literal) = before.strip_suffix('$') {
            out.push_str(literal);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let Some(end) = after.find('}') else {
            let mend = "close it, or write $${ for a plain ${";
            return Err(Wrong { what: "`${` is never closed".into(), mend: mend.into() });
        };
        let (name, default) = match after[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&after[..end], None),
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit())
            || !name.chars().all(legal)
        {
            let what = format!("`${{{name}}}` is not the name of a variable");
            return Err(Wrong {
                what,
                mend: "use letters, digits and _, or write $${ for a plain ${".into(),
            });
        }
        match (env(name), default) {
            (Some(value), _) => out.push_str(&value),
            (None, Some(default)) => out.push_str(default),
            (None, None) => {
                let mend =
                    format!("set it (export {name}=…), or give a default: ${{{name}:-default}}");
                return Err(Wrong { what: format!("the variable {name} is not set"), mend });
            }
        }
        rest = &after[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn from_file(path: &str) -> Result<String, Wrong> {
    let wrong = |why: String, mend: &str| Wrong {
        what: format!("cannot read {path}: {why}"),
        mend: mend.into(),
    };
    let mend = "create the file, or make it readable for this user";
    let size =
        std::fs::metadata(Path::new(path)).map_err(|error| wrong(error.to_string(), mend))?.len();
    if size > MAX_FILE {
        return Err(wrong(
            format!("it has {size} bytes, more than {MAX_FILE}"),
            "name a file with one value",
        ));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string(), mend))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        (name == "HOME_DIR").then(|| "/data".to_owned())
    }

    #[test]
    fn variables_are_replaced() {
        let good = |text: &str| substitute(text, &env).unwrap();
        assert_eq!(good("${HOME_DIR}/x"), "/data/x");
        assert_eq!(good("${NONE:-a:-b}-${HOME_DIR}"), "a:-b-/data");
        assert_eq!(good("${NONE:-}"), "");
        assert_eq!(good("$${HOME_DIR} $x $"), "${HOME_DIR} $x $");
    }

    #[test]
    fn what_is_refused() {
        let bad = |text: &str| substitute(text, &env).unwrap_err();
        assert_eq!(bad("${NONE}").what, "the variable NONE is not set");
        assert_eq!(
            bad("${NONE}").mend,
            "set it (export NONE=…), or give a default: ${NONE:-default}"
        );
        assert_eq!(bad("${NONE").what, "`${` is never closed");
        assert_eq!(bad("${9}").what, "`${9}` is not the name of a variable");
        assert!(
            from_file("/nowhere/at/all")
                .unwrap_err()
                .what
                .starts_with("cannot read /nowhere/at/all")
        );
    }
}

//! Normalisers of virtual tags, compiled.

use std::collections::BTreeMap;

use proto::config::Normaliser;
use regex::Regex;

use super::error::CompileError;

/// One step of normalising a value.
#[derive(Debug)]
pub enum Step {
    /// White space at both ends goes.
    Trim,
    /// Lower case.
    Lowercase,
    /// The prefix goes.
    StripPrefix(String),
    /// The whole value is replaced where it is listed.
    Alias(BTreeMap<String, String>),
    /// Every find is replaced.
    Replace(Regex, String),
}

impl Step {
    /// Compiles the steps of the virtual tag `tag`.
    ///
    /// # Errors
    /// When a regular expression is none.
    pub fn compile_all(steps: &[Normaliser], tag: &str) -> Result<Vec<Self>, CompileError> {
        let compile = |step: &Normaliser| {
            Ok(match step {
                Normaliser::Trim => Self::Trim,
                Normaliser::Lowercase => Self::Lowercase,
                Normaliser::StripPrefix(prefix) => Self::StripPrefix(prefix.clone()),
                Normaliser::Alias(names) => Self::Alias(names.clone()),
                Normaliser::Regex { regex, to } => {
                    Self::Replace(compile_regex(regex, || format!("tag {tag}"))?, to.clone())
                }
            })
        };
        steps.iter().map(compile).collect()
    }

    fn apply(&self, value: String) -> String {
        match self {
            Self::Trim => value.trim().to_owned(),
            Self::Lowercase => value.to_lowercase(),
            Self::StripPrefix(prefix) => match value.strip_prefix(prefix.as_str()) {
                Some(rest) => rest.to_owned(),
                None => value,
            },
            Self::Alias(names) => names.get(&value).cloned().unwrap_or(value),
            Self::Replace(regex, to) => regex.replace_all(&value, to.as_str()).into_owned(),
        }
    }
}

/// A value after all steps; the caller decides whether what is left is absent.
pub fn normalise(value: &str, steps: &[Step]) -> String {
    steps.iter().fold(value.to_owned(), |value, step| step.apply(value))
}

/// A regular expression, or where the one that is none stands.
pub fn compile_regex(pattern: &str, place: impl FnOnce() -> String) -> Result<Regex, CompileError> {
    Regex::new(pattern).map_err(|error| CompileError::Regex {
        place: place(),
        pattern: pattern.to_owned(),
        source: Box::new(error),
    })
}

/// `*` and `?` as a regular expression over the whole value.
pub fn compile_glob(glob: &str, place: impl FnOnce() -> String) -> Result<Regex, CompileError> {
    let mut pattern = String::from("(?s)^");
    for letter in glob.chars() {
        match letter {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            other => pattern.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    compile_regex(&pattern, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_run_in_order() {
        let alias = [("chekout".to_owned(), "checkout".to_owned())].into_iter().collect();
        let steps = Step::compile_all(
            &[
                Normaliser::Trim,
                Normaliser::Lowercase,
                Normaliser::StripPrefix("team-".to_owned()),
                Normaliser::Alias(alias),
                Normaliser::Regex { regex: "^([a-z]+)_v[0-9]+$".to_owned(), to: "$1".to_owned() },
            ],
            "team",
        )
        .unwrap();
        for (from, to) in [
            (" Team-Chekout ", "checkout"),
            ("search_v12", "search"),
            ("team-", ""),
            ("x-team-a", "x-team-a"),
        ] {
            assert_eq!(normalise(from, &steps), to, "{from:?}");
        }
        let bad = [Normaliser::Regex { regex: "(".to_owned(), to: String::new() }];
        let error = Step::compile_all(&bad, "team").unwrap_err().to_string();
        assert_eq!(error, r#"tag team: "(" is not a regular expression"#);
    }

    #[test]
    fn globs_cover_the_whole_value() {
        let glob = |g: &str| compile_glob(g, String::new).unwrap();
        assert!(glob("AWS Support*").is_match("AWS Support (Business)"));
        assert!(!glob("AWS Support*").is_match("x AWS Support"));
        assert!(glob("a?c").is_match("a\nc") && !glob("a?c").is_match("ac"));
        assert!(glob("a.*").is_match("a./b/c") && !glob("a.*").is_match("ab"));
        assert!(glob("?").is_match("ü"));
    }
}

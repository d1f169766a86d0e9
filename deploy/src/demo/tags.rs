//! Tags as people write them: mostly right.

/// How a company tags.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    /// The key that was agreed on, and the ones that people use instead.
    pub key: &'static str,
    /// What somebody's template writes instead.
    pub other: &'static str,
    /// What it puts before the value.
    pub prefix: &'static str,
}

/// A team, and how its name is misspelt.
pub type Team = (&'static str, &'static str);

impl Dialect {
    /// The tags of resource number `number`, one of `team`; empty: none. Every way of writing them comes up among nine
    /// neighbours.
    #[must_use]
    pub fn tags(&self, number: usize, team: Team, environment: &str) -> String {
        let (key, other) = (self.key, self.other);
        let (key, value) = match number % 9 {
            1 => (format!(" {key}"), team.0.to_owned()),
            3 => (key.to_uppercase(), format!(" {} ", team.0)),
            4 => (key.to_owned(), team.0.to_uppercase()),
            5 => return String::new(),
            6 => (other.to_owned(), format!("{}{}", self.prefix, team.0)),
            8 => (key.to_owned(), team.1.to_owned()),
            _ => (key.to_owned(), team.0.to_owned()),
        };
        format!(r#"{{"environment":"{environment}","{key}":"{value}"}}"#)
    }
}

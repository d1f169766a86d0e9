//! Versions as servers print them.

use std::fmt;

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u64, pub u64, pub u64);

impl Version {
    /// The first number with dots in a text such as `nats-server: v2.15.1` or `postgres (PostgreSQL) 18.4`.
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let digits = word.trim_start_matches('v');
            let mut parts = digits.split('.').map(leading_number);
            let (major, minor) = (parts.next()??, parts.next().unwrap_or(Some(0)).unwrap_or(0));
            Some(Self(major, minor, parts.next().flatten().unwrap_or(0)))
        })
    }
}

/// `4` of `4-beta`, nothing of `beta`.
fn leading_number(text: &str) -> Option<u64> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_the_servers_print() {
        assert_eq!(Version::find("nats-server: v2.15.1"), Some(Version(2, 15, 1)));
        assert_eq!(Version::find("postgres (PostgreSQL) 18.4"), Some(Version(18, 4, 0)));
        assert_eq!(
            Version::find("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)"),
            Some(Version(15, 18, 0))
        );
        assert_eq!(Version::find("2.16.0-preview.1"), Some(Version(2, 16, 0)));
        assert_eq!(Version::find("postgres (PostgreSQL) 19beta1"), Some(Version(19, 0, 0)));
        assert_eq!(Version::find("no version here"), None);
    }
}

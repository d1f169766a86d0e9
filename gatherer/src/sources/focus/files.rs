//! Which files a source has, and whether they are what they were.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use glob::{MatchOptions, Pattern};
use serde::{Deserialize, Serialize};

use super::error::FocusError;

/// A change this soon after another may leave a file's times as they were.
const CLOCK_TICK: Duration = Duration::from_secs(2);

/// What tells a file's states apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    /// Nanoseconds since 1970.
    modified: i128,
}

impl Stamp {
    /// Of these metadata.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        let modified =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self { device: metadata.dev(), inode: metadata.ino(), size: metadata.size(), modified }
    }

    /// Whether the file was changed so short a time before `now` that another change could go unnoticed.
    #[must_use]
    pub fn is_fresh(&self, now: SystemTime) -> bool {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let settled = since.saturating_sub(CLOCK_TICK).as_nanos();
        i128::try_from(settled).is_ok_and(|settled| self.modified >= settled)
    }
}

/// A file of a source.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// How reports call it: relative to the configuration's folder where it lies in it.
    pub name: String,
    /// How it is now.
    pub stamp: Stamp,
}

/// All files that `entries` name, sorted by name. One that is matched twice, or through a link, is there once.
///
/// # Errors
/// When an entry matches no file, is no pattern, or a file's state cannot be asked.
pub fn list(folder: &Path, entries: &[String]) -> Result<Vec<Listed>, FocusError> {
    let mut found: BTreeMap<PathBuf, Listed> = BTreeMap::new();
    for entry in entries {
        // A file whose very name has brackets or stars in it is meant as it is written.
        let pattern = is_pattern(entry) && !folder.join(entry).is_file();
        let paths = if pattern { matches(folder, entry)? } else { vec![plain(folder, entry)?] };
        for path in paths {
            let listed = look(folder, path)?;
            // Two names of one file: the first in order is kept, so that the choice does not depend on the entries.
            let real = listed.path.canonicalize().map_err(|source| io(&listed.name, source))?;
            match found.get_mut(&real) {
                Some(other) if other.name <= listed.name => {}
                Some(other) => *other = listed,
                None => _ = found.insert(real, listed),
            }
        }
    }
    let mut files: Vec<Listed> = found.into_values().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// Looks whether all files that `entries` name can be opened: nothing of them is read.
///
/// # Errors
/// As [`list`]; when a file cannot be opened.
pub fn readable(folder: &Path, entries: &[String]) -> Result<(), FocusError> {
    let open = |file: Listed| match std::fs::File::open(&file.path) {
        Ok(_) => Ok(()),
        Err(source) => Err(io(&file.name, source)),
    };
    list(folder, entries)?.into_iter().try_for_each(open)
}

fn is_pattern(entry: &str) -> bool {
    entry.contains(['*', '?', '['])
}

fn plain(folder: &Path, entry: &str) -> Result<PathBuf, FocusError> {
    let path = folder.join(entry);
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(FocusError::Folder(name_of(folder, &path)?)),
        Ok(_) => Ok(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(FocusError::Missing(name_of(folder, &path)?))
        }
        Err(source) => Err(io(&name_of(folder, &path)?, source)),
    }
}

fn matches(folder: &Path, entry: &str) -> Result<Vec<PathBuf>, FocusError> {
    let bad = |what: String| FocusError::Pattern { entry: entry.to_owned(), what };
    let base = folder.to_str().ok_or_else(|| FocusError::Name(folder.display().to_string()))?;
    let pattern = if entry.starts_with('/') {
        entry.to_owned()
    } else {
        format!("{}/{entry}", Pattern::escape(base))
    };
    // As in a shell, `*` finds no hidden files: they are mostly half-written ones.
    let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
    let paths = glob::glob_with(&pattern, options).map_err(|error| bad(error.to_string()))?;
    let (mut files, mut folders) = (Vec::new(), false);
    for path in paths {
        let path = path.map_err(|error| {
            let name = error.path().display().to_string();
            FocusError::Io { path: name, source: error.into() }
        })?;
        if path.is_dir() {
            folders = true;
        } else {
            files.push(path);
        }
    }
    if files.is_empty() {
        let found = if folders { " (only folders)" } else { "" };
        return Err(FocusError::NoMatch {
            entry: entry.to_owned(),
            folder: folder.display().to_string(),
            found,
        });
    }
    Ok(files)
}

fn look(folder: &Path, path: PathBuf) -> Result<Listed, FocusError> {
    let name = name_of(folder, &path)?;
    let metadata = path.metadata().map_err(|source| io(&name, source))?;
    if !metadata.is_file() {
        return Err(FocusError::Special(name));
    }
    Ok(Listed { path, stamp: Stamp::of(&metadata), name })
}

fn name_of(folder: &Path, path: &Path) -> Result<String, FocusError> {
    let name = path.strip_prefix(folder).unwrap_or(path);
    name.to_str().map(str::to_owned).ok_or_else(|| FocusError::Name(path.display().to_string()))
}

fn io(name: &str, source: std::io::Error) -> FocusError {
    FocusError::Io { path: name.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, entries: &[&str]) -> Result<Vec<String>, String> {
        let entries: Vec<String> = entries.iter().map(|e| (*e).to_owned()).collect();
        let listed = list(folder, &entries).map_err(|e| proto::fault::chain(&e))?;
        Ok(listed.into_iter().map(|l| l.name).collect())
    }

    #[test]
    fn each_file_once_however_it_is_named() {
        let base = tempfile::tempdir().unwrap();
        // A folder name that would be a pattern.
        let folder = base.path().join("bills [2024]*");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        for name in ["b.csv", "a.csv", ".hidden.csv", "sub/c.csv"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(folder.join("a.csv"), folder.join("z.csv")).unwrap();
        assert_eq!(
            names(&folder, &["*.csv", "a.csv", "?.csv", "**/*.csv"]).unwrap(),
            ["a.csv", "b.csv", "sub/c.csv"]
        );
        assert_eq!(names(&folder, &["z.csv"]).unwrap(), ["z.csv"]);
        let absolute = folder.join("b.csv");
        assert_eq!(names(&folder, &[absolute.to_str().unwrap()]).unwrap(), ["b.csv"]);
        assert_eq!(
            names(&base.path().join("elsewhere"), &[absolute.to_str().unwrap()]).unwrap(),
            [absolute.to_str().unwrap()]
        );
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let error = |entry: &str| names(folder.path(), &[entry]).unwrap_err();
        assert!(
            error("*.csv").contains("\"*.csv\" matches no file")
                && error("*.csv").contains("nothing is withdrawn")
        );
        assert!(error("s*").contains("only folders"), "{}", error("s*"));
        assert!(error("a.csv").contains("a.csv does not exist"));
        assert!(error("sub").contains("sub is a folder") && error("sub").contains("sub/*.csv"));
        assert!(error("a[.csv").contains("is no pattern"));
        assert!(error("/dev/null").contains("no ordinary file"));
    }
}

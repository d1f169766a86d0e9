//! The files of a configuration folder, and which of them are tenants.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::ids::TenantId;

use super::problem::{Report, SourceFile};

/// Most bytes of a YAML file.
pub const MAX_YAML: u64 = 1 << 20;

/// How to mend a folder without tenants.
const NO_TENANTS: &str = "write one file per tenant: tenants/<tenant>.yaml";

/// `apportion.yaml`, if it is there: its path.
pub fn settings_file(dir: &Path, report: &mut Report) -> Option<PathBuf> {
    let found: Vec<PathBuf> = ["apportion.yaml", "apportion.yml"]
        .iter()
        .map(|name| dir.join(name))
        .filter(|path| path.exists())
        .collect();
    if found.len() > 1 {
        report.file("apportion.yml", "stands beside apportion.yaml", "keep one of the two");
    }
    found.into_iter().next()
}

/// The tenants' files by id. Files whose names are no ids, or name one tenant twice, are reported.
pub fn tenant_files(dir: &Path, report: &mut Report) -> BTreeMap<TenantId, PathBuf> {
    let folder = dir.join("tenants");
    let listed = fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            report.file("tenants", format!("cannot read the folder: {error}"), NO_TENANTS);
            return BTreeMap::new();
        }
    };
    let mut by_lower_case: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((stem, extension)) = name.rsplit_once('.') else { continue };
        let yaml = matches!(extension.to_ascii_lowercase().as_str(), "yaml" | "yml");
        if yaml && !name.starts_with('.') && entry.path().is_file() {
            by_lower_case.entry(stem.to_lowercase()).or_default().push(name);
        }
    }
    if by_lower_case.is_empty() {
        report.file("tenants", "there are no tenants", NO_TENANTS);
    }
    let mut files = BTreeMap::new();
    for mut names in by_lower_case.into_values() {
        names.sort();
        let [name] = names.as_slice() else {
            let last = names.last().cloned().unwrap_or_default();
            let what = format!(
                "{} stand for the same tenant: their names differ only in case or ending",
                names.join(" and ")
            );
            report.file(
                format!("tenants/{last}"),
                what,
                "keep one, in lower case and ending in .yaml",
            );
            continue;
        };
        let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
        match TenantId::parse(stem) {
            Ok(tenant) => {
                files.insert(tenant, folder.join(name));
            }
            Err(error) => {
                let mend = format!("rename the file, for instance to {}.yaml", legal(stem));
                report.file(format!("tenants/{name}"), error.to_string(), mend);
            }
        }
    }
    files
}

/// A legal id that looks like `stem`.
fn legal(stem: &str) -> String {
    let legal = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c.to_ascii_lowercase() } else { '-' }
    };
    let text: String = stem.chars().map(legal).take(63).collect();
    let text = text.trim_matches(['-', '_']);
    if text.is_empty() { "tenant".to_owned() } else { text.to_owned() }
}

/// Reads a YAML file of the folder.
pub fn read(dir: &Path, path: &Path, report: &mut Report) -> Option<Arc<SourceFile>> {
    let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let failed = |error: std::io::Error| {
        (format!("cannot read the file: {error}"), "make it readable for this user")
    };
    let read = || {
        let size = fs::metadata(path).map_err(failed)?.len();
        if size > MAX_YAML {
            let what = format!("the file has {size} bytes, more than {MAX_YAML}");
            return Err((what, "put long lists into tables (CSV files)"));
        }
        let bytes = fs::read(path).map_err(failed)?;
        String::from_utf8(bytes)
            .map_err(|_| ("the file is not UTF-8".to_owned(), "save it as UTF-8"))
    };
    match read() {
        Ok(text) => {
            report.reads(path);
            let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
            Some(Arc::new(SourceFile { name, text }))
        }
        Err((what, mend)) => {
            report.file(name, what, mend);
            None
        }
    }
}

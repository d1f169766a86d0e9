//! The folder of Postgres' unix socket: short (a socket's path has at most 103 to 107 bytes) and open to its
//! owner only, which is what makes `trust` on it safe.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use nix::unistd::geteuid;

use crate::process::account::{Account, make_folder};

/// Room for `/.s.PGSQL.65535.lock` in the shortest limit there is (macOS: 103 bytes).
const MAX_FOLDER: usize = 80;

/// Makes (or takes again) the socket folder that belongs to the Postgres folder `home`.
pub fn folder(home: &Path, account: Option<&Account>) -> Result<PathBuf> {
    let uid = account.map_or_else(|| geteuid().as_raw(), |account| account.uid);
    let hash = blake3::hash(format!("{uid} {}", home.display()).as_bytes()).to_hex();
    let name = format!("apportion-{}", &hash[..16]);
    let folder = parent(&name, account)?.join(name);
    match fs::symlink_metadata(&folder) {
        Ok(found) => ensure!(
            found.is_dir() && found.uid() == uid,
            "socket folder {} belongs to somebody else: remove it",
            folder.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot look at {}", folder.display()));
        }
    }
    make_folder(&folder, 0o700, account)?;
    Ok(folder)
}

/// The temporary folder where it is short and can be entered, else `/tmp`.
fn parent(name: &str, account: Option<&Account>) -> Result<PathBuf> {
    let temporary = std::env::temp_dir();
    let short = temporary.as_os_str().len() + 1 + name.len() <= MAX_FOLDER;
    let open = match account {
        Some(account) => account.blocked_at(&temporary)?.is_none(),
        None => true,
    };
    Ok(if short && open { temporary } else { PathBuf::from("/tmp") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_short_private_and_the_same_each_time() {
        let home = tempfile::tempdir().unwrap();
        let made = folder(home.path(), None).unwrap();
        assert!(made.as_os_str().len() <= MAX_FOLDER);
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        assert_eq!(folder(home.path(), None).unwrap(), made);
        assert_ne!(folder(&home.path().join("other"), None).unwrap(), made);
        fs::remove_dir(made).unwrap();
        fs::remove_dir(folder(&home.path().join("other"), None).unwrap()).unwrap();
    }
}

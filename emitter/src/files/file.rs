//! A file that takes another's place all at once.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use proto::hash::Hash128;
use proto::task::Content;

use crate::emission::{Published, Sealed};
use crate::error::EmitterError;

/// New content under a temporary name in the same folder. Dropped before [`Sealed::publish`], it goes away.
pub struct NewFile {
    folder: PathBuf,
    target: PathBuf,
    temporary: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
    published: bool,
}

impl NewFile {
    /// Begins the content of the file at `target`, whose folder is made if it is not there.
    ///
    /// The temporary name is fixed, so that a crash leaves at most one file behind, which the next attempt takes over;
    /// a lock on it keeps away from a process that is still writing although it lost its database connection.
    ///
    /// # Errors
    /// When it cannot be made, or somebody is writing it.
    pub fn create(target: &Path) -> Result<Self, EmitterError> {
        let folder = target.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(failed("make folder", folder))?;
        let name = target.file_name().unwrap_or_default();
        let temporary = folder.join(format!(".{}.tmp", name.display()));
        let opened = File::options().write(true).create(true).truncate(false).open(&temporary);
        let file = opened.map_err(failed("create", &temporary))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(EmitterError::Busy(format!(
                    "another process is writing {}",
                    temporary.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &temporary)(error)),
        }
        // Whoever held the lock may have put this very file in its place meanwhile: it is not ours to empty.
        if !is_at(&file, &temporary).map_err(failed("look at", &temporary))? {
            let text = format!("another process was writing {}", temporary.display());
            return Err(EmitterError::Busy(text));
        }
        file.set_len(0).map_err(failed("empty", &temporary))?;
        let (folder, target, hasher) =
            (folder.to_owned(), target.to_owned(), blake3::Hasher::new());
        Ok(Self { folder, target, temporary, file, hasher, bytes: 0, published: false })
    }

    /// Makes the content durable under its temporary name.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn seal(self) -> Result<Self, EmitterError> {
        self.file.sync_all().map_err(failed("write", &self.temporary))?;
        Ok(self)
    }

    fn done(&mut self) -> Published {
        let hash = Hash128::finish(&self.hasher.finalize());
        Published::at(&self.target, Content { bytes: self.bytes, hash })
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Sealed for NewFile {
    fn publish(mut self: Box<Self>) -> Result<Published, EmitterError> {
        let published = self.done();
        if holds(&self.target, published.content)? {
            return Ok(published);
        }
        fs::rename(&self.temporary, &self.target).map_err(failed("rename to", &self.target))?;
        self.published = true;
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(failed("write folder", &self.folder))?;
        Ok(published)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = fs::remove_file(&self.temporary)
        {
            // The next attempt takes it over.
            tracing::debug!(path = %self.temporary.display(), %error, "failed to remove a temporary file");
        }
    }
}

impl Published {
    /// A file.
    pub fn at(path: &Path, content: Content) -> Self {
        Self { target: path.display().to_string(), content }
    }
}

/// Whether an open file is the one at `path`.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (file.metadata()?, path.symlink_metadata());
    match there {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the file at `path` has just this content.
///
/// # Errors
/// When it is there and cannot be read.
pub fn holds(path: &Path, content: Content) -> Result<bool, EmitterError> {
    compare(path, content).map_err(failed("read", path))
}

fn compare(path: &Path, content: Content) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() != content.bytes {
        return Ok(false);
    }
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Hash128::finish(&hasher.finalize()) == content.hash),
            read => hasher.update(&buffer[..read]),
        };
    }
}

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmitterError {
    let path = path.display().to_string();
    move |error| EmitterError::File { what, path, error }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, text: &str) -> Published {
        let mut file = NewFile::create(&folder.join("a.csv")).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Box::new(file.seal().unwrap()).publish().unwrap()
    }

    #[test]
    fn content_changes_place_all_at_once_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("deep/er");
        let (target, inode) =
            (folder.join("a.csv"), |path: &Path| fs::metadata(path).unwrap().ino());
        let first = put(&folder, "one");
        assert_eq!(first.content, Content { bytes: 3, hash: Hash128::of(b"one") });
        assert!(holds(&target, first.content).unwrap());
        let other = Content { hash: Hash128::of(b"two"), ..first.content };
        assert!(!holds(&target, other).unwrap() && !holds(&folder, first.content).unwrap());
        assert!(!holds(&folder.join("none.csv"), first.content).unwrap());
        let before = inode(&target);
        assert_eq!(put(&folder, "one"), first);
        assert_eq!(inode(&target), before, "equal content is left as it lies");
        put(&folder, "two");
        assert_eq!(fs::read_to_string(&target).unwrap(), "two");
        let mut given_up = NewFile::create(&folder.join("a.csv")).unwrap();
        given_up.write_all(b"half").unwrap();
        drop(given_up.seal().unwrap());
        assert_eq!(fs::read_to_string(&target).unwrap(), "two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_are_taken_over_and_live_writers_are_not() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(".a.csv.tmp"), "what a crash left, which is longer").unwrap();
        put(root.path(), "new");
        assert_eq!(fs::read_to_string(root.path().join("a.csv")).unwrap(), "new");
        let writing = NewFile::create(&root.path().join("a.csv")).unwrap();
        let refused = NewFile::create(&root.path().join("a.csv")).err().unwrap();
        assert!(matches!(refused, EmitterError::Busy(_)), "{refused}");
        drop(writing);
        put(root.path(), "newer");
        // One that was opened before it was put in place, and locked after.
        let (temporary, target) = (root.path().join(".a.csv.tmp"), root.path().join("a.csv"));
        fs::write(&temporary, "whole").unwrap();
        let opened = File::options().write(true).open(&temporary).unwrap();
        assert!(is_at(&opened, &temporary).unwrap());
        fs::rename(&temporary, &target).unwrap();
        assert!(!is_at(&opened, &temporary).unwrap(), "gone from there");
        fs::write(&temporary, "next").unwrap();
        assert!(!is_at(&opened, &temporary).unwrap(), "another one is there");
    }
}

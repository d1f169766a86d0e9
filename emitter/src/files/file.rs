//! A file that takes another's place all at once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use proto::hash::Hash128;
use proto::task::Content;
use runtime::faults::crash_point;

use crate::emission::{Published, Sealed};
use crate::error::EmitterError;

/// New content beside its target, in a folder `.NAME.tmp` of its own. Dropped before [`Sealed::publish`], it goes away.
pub struct NewFile {
    folder: PathBuf,
    target: PathBuf,
    nest: PathBuf,
    temporary: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
    published: bool,
}

impl NewFile {
    /// Begins the content of the file at `target`, whose folder is made if it is not there.
    ///
    /// Whatever else lies beside the target is taken away first: what a crash left, and the content of a process that
    /// froze. Awake again, that one has nothing to put in place: its rows may be older than those that lie there by
    /// then. Who begins holds the lock of the unit in Postgres, so that no two that are alive do so at once.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(target: &Path) -> Result<Self, EmitterError> {
        let folder = target.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(folder).map_err(failed("make folder", folder))?;
        let name = target.file_name().unwrap_or_default();
        let nest = folder.join(format!(".{}.tmp", name.display()));
        empty(&nest).map_err(failed("empty folder", &nest))?;
        // A name that nobody else has: another process never puts this file in place, nor this one another's.
        let temporary = nest.join(format!("{:016x}", rand::random::<u64>()));
        let opened = File::options().write(true).create_new(true).open(&temporary);
        let file = opened.map_err(failed("create", &temporary))?;
        let (folder, target, hasher) =
            (folder.to_owned(), target.to_owned(), blake3::Hasher::new());
        Ok(Self { folder, target, nest, temporary, file, hasher, bytes: 0, published: false })
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
        crash_point("file.sealed");
        fs::rename(&self.temporary, &self.target).map_err(failed("rename to", &self.target))?;
        self.published = true;
        crash_point("file.renamed");
        leave(&self.nest);
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(failed("write folder", &self.folder))?;
        Ok(published)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = fs::remove_file(&self.temporary) {
            // The next attempt takes it away.
            tracing::debug!(path = %self.temporary.display(), %error, "failed to remove a temporary file");
        }
        leave(&self.nest);
    }
}

/// Makes a folder, or empties the one that is there; a file of that name makes way.
fn empty(nest: &Path) -> io::Result<()> {
    match fs::create_dir(nest) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    if !nest.symlink_metadata()?.is_dir() {
        fs::remove_file(nest)?;
        return fs::create_dir(nest);
    }
    for left in fs::read_dir(nest)? {
        fs::remove_file(left?.path())?;
    }
    Ok(())
}

/// Takes a folder away that nobody needs; who began meanwhile has something in it, and it stays.
fn leave(nest: &Path) {
    if let Err(error) = fs::remove_dir(nest) {
        tracing::debug!(path = %nest.display(), %error, "a folder of temporary files stays");
    }
}

impl Published {
    /// A file.
    pub fn at(path: &Path, content: Content) -> Self {
        Self { target: path.display().to_string(), content }
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
    use proto::report::FailureClass;
    use std::os::unix::fs::MetadataExt;

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
    fn leftovers_make_way_and_who_was_passed_by_puts_nothing_in_place() {
        let root = tempfile::tempdir().unwrap();
        let (target, nest) = (root.path().join("a.csv"), root.path().join(".a.csv.tmp"));
        // What a build left that knew no folder, and what a crash left.
        fs::write(&nest, "what a crash left, which is longer").unwrap();
        put(root.path(), "new");
        assert_eq!(fs::read_to_string(&target).unwrap(), "new");
        fs::create_dir(&nest).unwrap();
        fs::write(nest.join("0123456789abcdef"), "half").unwrap();
        put(root.path(), "newer");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing else is left");

        // One froze when its content was whole; another one took its place, and has ended or is still writing.
        let whole = |text: &str| {
            let mut file = NewFile::create(&target).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            Box::new(file.seal().unwrap())
        };
        let frozen = whole("old");
        put(root.path(), "newest");
        let refused = frozen.publish().err().unwrap();
        assert_eq!(refused.class(), FailureClass::Transient, "{refused}");
        let (frozen, writing) = (whole("old"), whole("last"));
        assert!(frozen.publish().is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "newest");
        writing.publish().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "last");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing else is left");
    }
}

//! Taking away what was put in place: only what is still just that, and never out of the emitter's folder.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use proto::report::{Removed, Report};
use proto::task::{EmittedFile, Remove};
use runtime::worker::WorkError;
use tokio::task::spawn_blocking;

use super::file::{failed, holds};
use crate::error::EmitterError;
use crate::worker::reports;

/// Takes the files of a task away, one after the other.
///
/// # Errors
/// When none got anywhere and trying again may help.
pub async fn remove(task: Remove) -> Result<Vec<Report>, WorkError> {
    let work = spawn_blocking(move || {
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        for file in &task.files {
            match remove_one(file) {
                Ok(kept) => done.push(Removed { target: file.target.clone(), kept }),
                Err(error) => failures.push((Vec::new(), error)),
            }
        }
        (done, failures)
    });
    let (done, failures) = work.await.map_err(|_| EmitterError::Gone(runtime::keeper::Gone))?;
    reports("remove", (!done.is_empty()).then_some(Report::Removed(done)), failures)
}

/// `None` when the file is gone or lives on under another name; else why it is left.
fn remove_one(wanted: &EmittedFile) -> Result<Option<String>, EmitterError> {
    let (path, dir) = (Path::new(&wanted.target), Path::new(&wanted.dir));
    let Some(found) = look(path, Path::symlink_metadata)? else { return Ok(None) };
    let is_inside = path.strip_prefix(dir).is_ok_and(|below| {
        below.components().count() > 0
            && below.components().all(|part| matches!(part, Component::Normal(_)))
    });
    if !is_inside || !lies_in(path, dir)? {
        return Ok(Some(format!("it lies outside of {}", dir.display())));
    }
    if !found.is_file() {
        return Ok(Some("it is no file any more".to_owned()));
    }
    for live in &wanted.live {
        let same = |live: Metadata| (live.dev(), live.ino()) == (found.dev(), found.ino());
        if look(Path::new(live), |path| path.metadata())?.is_some_and(same) {
            return Ok(None);
        }
    }
    if !holds(path, wanted.content)? {
        return Ok(Some("it was changed after it was emitted".to_owned()));
    }
    // Compared and removed has to be one file: another may have taken its place meanwhile.
    let still = look(path, Path::symlink_metadata)?;
    let written =
        |file: &Metadata| (file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec());
    if still.is_some_and(|still| written(&still) != written(&found)) {
        return Ok(Some("it was replaced after it was emitted".to_owned()));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(failed("remove", path)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let folder = path.parent().unwrap_or(dir);
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed("write folder", folder))?;
    tracing::info!(path = wanted.target, "removed a file that no emitter writes any more");
    Ok(None)
}

/// Whether the folder of `path` is `dir` or lies in it, symbolic links followed.
fn lies_in(path: &Path, dir: &Path) -> Result<bool, EmitterError> {
    let folder = path.parent().unwrap_or(dir);
    let real = |path: &Path| path.canonicalize().map_err(failed("look at", path));
    Ok(real(folder)?.starts_with(real(dir)?))
}

fn look(
    path: &Path,
    at: impl Fn(&Path) -> io::Result<Metadata>,
) -> Result<Option<Metadata>, EmitterError> {
    match at(path) {
        Ok(found) => Ok(Some(found)),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(failed("look at", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::hash::Hash128;
    use proto::task::Content;
    use std::os::unix::fs::symlink;

    fn emitted(path: &Path, dir: &Path, text: &str) -> EmittedFile {
        EmittedFile {
            target: path.display().to_string(),
            dir: dir.display().to_string(),
            content: Content { bytes: text.len() as u64, hash: Hash128::of(text.as_bytes()) },
            live: Vec::new(),
        }
    }

    #[test]
    fn what_was_written_goes_and_anything_else_stays() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("out");
        fs::create_dir_all(dir.join("deep")).unwrap();
        let (own, changed, folder) = (dir.join("deep/a.csv"), dir.join("b.csv"), dir.join("deep"));
        fs::write(&own, "ours").unwrap();
        fs::write(&changed, "ourz").unwrap();
        assert_eq!(remove_one(&emitted(&own, &dir, "ours")).unwrap(), None);
        assert!(!own.exists());
        assert_eq!(remove_one(&emitted(&own, &dir, "ours")).unwrap(), None, "gone is gone");
        let kept = remove_one(&emitted(&changed, &dir, "ours")).unwrap().unwrap();
        assert_eq!(kept, "it was changed after it was emitted");
        let kept = remove_one(&emitted(&folder, &dir, "ours")).unwrap().unwrap();
        assert_eq!(kept, "it is no file any more");
        assert_eq!(fs::read_to_string(&changed).unwrap(), "ourz");
        assert!(folder.exists());
    }

    #[test]
    fn nothing_out_of_the_folder_is_touched() {
        let root = tempfile::tempdir().unwrap();
        let (dir, other) = (root.path().join("out"), root.path().join("other"));
        fs::create_dir_all(&dir).unwrap();
        fs::create_dir_all(&other).unwrap();
        fs::write(other.join("a.csv"), "ours").unwrap();
        symlink(&other, dir.join("link")).unwrap();
        symlink(other.join("a.csv"), dir.join("a.csv")).unwrap();
        for path in [
            other.join("a.csv"),
            dir.join("../other/a.csv"),
            dir.join("link/a.csv"),
            dir.join("a.csv"),
        ] {
            let kept = remove_one(&emitted(&path, &dir, "ours")).unwrap();
            assert!(kept.is_some(), "{}", path.display());
        }
        assert_eq!(fs::read_to_string(other.join("a.csv")).unwrap(), "ours");
        assert!(dir.join("a.csv").is_symlink());
    }

    #[test]
    fn a_file_that_lives_on_under_another_name_stays() {
        let root = tempfile::tempdir().unwrap();
        let (dir, alias) = (root.path().join("out"), root.path().join("alias"));
        fs::create_dir_all(&dir).unwrap();
        symlink(&dir, &alias).unwrap();
        fs::write(dir.join("a.csv"), "ours").unwrap();
        let live = ["./out/a.csv", "alias/a.csv"];
        for live in live.map(|live| format!("{}/{live}", root.path().display())) {
            let file =
                EmittedFile { live: vec![live], ..emitted(&dir.join("a.csv"), &dir, "ours") };
            assert_eq!(remove_one(&file).unwrap(), None);
            assert!(dir.join("a.csv").exists());
        }
    }
}

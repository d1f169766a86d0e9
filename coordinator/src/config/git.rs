//! The Git commit of a folder, read from its files: no git program is needed.

use std::fs;
use std::path::{Path, PathBuf};

/// The commit that is checked out where `dir` lies; `None` outside of a repository or before its first commit.
#[must_use]
pub fn commit_of(dir: &Path) -> Option<String> {
    let dir = fs::canonicalize(dir).ok()?;
    let git = dir.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    let git = if git.is_file() { linked(&git)? } else { git };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(name) = head.trim().strip_prefix("ref: ") else { return hash(&head) };
    // A linked working tree keeps its branches in the main one.
    let common = fs::read_to_string(git.join("commondir"))
        .map_or_else(|_| git.clone(), |path| git.join(path.trim()));
    [&git, &common]
        .into_iter()
        .find_map(|folder| hash(&fs::read_to_string(folder.join(name)).ok()?))
        .or_else(|| packed(&common, name))
}

/// `.git` as a file: `gitdir: PATH`.
fn linked(file: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    Some(file.parent()?.join(text.trim().strip_prefix("gitdir: ")?))
}

fn packed(git: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(git.join("packed-refs")).ok()?;
    let line =
        text.lines().find(|line| line.split_once(' ').is_some_and(|(_, found)| found == name))?;
    hash(line.split(' ').next()?)
}

fn hash(text: &str) -> Option<String> {
    let text = text.trim();
    let legal = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    legal.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_loose_packed_detached_and_linked() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/config");
        fs::create_dir_all(&inner).unwrap();
        let git = root.path().join("a/.git");
        let (one, two) = ("1".repeat(40), "2".repeat(40));
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(commit_of(&inner), None, "no commit yet");
        fs::write(git.join("packed-refs"), format!("# pack-refs\n{two} refs/heads/main\n"))
            .unwrap();
        assert_eq!(commit_of(&inner), Some(two.clone()));
        fs::write(git.join("refs/heads/main"), format!("{one}\n")).unwrap();
        assert_eq!(commit_of(&inner), Some(one.clone()));
        let tree = root.path().join("tree");
        fs::create_dir_all(&tree).unwrap();
        fs::create_dir_all(git.join("worktrees/tree")).unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", git.join("worktrees/tree").display()))
            .unwrap();
        fs::write(git.join("worktrees/tree/HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(git.join("worktrees/tree/commondir"), "../..\n").unwrap();
        assert_eq!(commit_of(&tree), Some(one));
        fs::write(git.join("HEAD"), format!("{two}\n")).unwrap();
        assert_eq!(commit_of(&inner), Some(two));
    }
}

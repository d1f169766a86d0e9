//! The program under test.
//!
//! Cargo tells only the tests of the program's own package where it built it. So it is looked for where cargo puts it,
//! two folders above the test program, and built when it is missing or older than a source: a stale one would be
//! tested in silence. `APPORTION_EXE` names another.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};

/// Folders whose files end up in the program.
const PARTS: [&str; 6] = ["proto", "gatherer", "allocator", "emitter", "coordinator", "deploy"];

/// The program, built at the first call where needed.
///
/// # Panics
/// When it cannot be built.
pub fn apportion() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| find().expect("the program under test"))
}

fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("APPORTION_EXE") {
        return Ok(path.into());
    }
    let own = std::env::current_exe().context("cannot tell the path of this test program")?;
    // <target>/<profile>/deps/<test program>
    let mut above = own.ancestors().skip(2);
    let (Some(profile), Some(target)) = (above.next(), above.next()) else {
        bail!("{} does not lie where cargo puts test programs", own.display());
    };
    let program = profile.join(format!("apportion{}", std::env::consts::EXE_SUFFIX));
    if is_fresh(&program)? {
        return Ok(program);
    }
    build(profile, target)?;
    ensure!(program.is_file(), "cargo built no {}", program.display());
    Ok(program)
}

fn root() -> Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests lie in the workspace")
}

fn is_fresh(program: &Path) -> Result<bool> {
    let Ok(built) = program.metadata().and_then(|found| found.modified()) else {
        return Ok(false);
    };
    let mut newest = root()?.join("Cargo.lock").metadata()?.modified()?;
    for part in PARTS {
        newest = newest.max(newest_in(&root()?.join(part))?);
    }
    Ok(newest <= built)
}

/// When the newest file in a folder was changed; tests are not part of the program.
fn newest_in(folder: &Path) -> Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        let is_tests = path.file_name().is_some_and(|name| name == "tests" || name == "golden");
        if kind.is_dir() && !is_tests {
            newest = newest.max(newest_in(&path)?);
        } else if kind.is_file() {
            newest = newest.max(path.metadata()?.modified()?);
        }
    }
    Ok(newest)
}

fn build(profile: &Path, target: &Path) -> Result<()> {
    let profile = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("{} has no name", profile.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--offline", "--package", "apportion", "--bin", "apportion"])
        .args(["--profile", profile])
        .arg("--target-dir")
        .arg(target)
        .current_dir(root()?)
        .stdin(Stdio::null())
        .output()
        .context("cargo does not start")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the program cannot be built:\n{said}");
    Ok(())
}

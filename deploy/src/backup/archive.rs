//! The file of a backup: a tar archive whose last entry, `backup.json`, has size and hash of all others. So a copy that
//! ends too early, or of which a bit was flipped, is noticed before anything of it is used.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// The form that this build writes.
pub const FORMAT: u32 = 1;
/// The database: what `pg_dump` wrote, compressed with zstd.
pub const DATABASE: &str = "database.dump.zst";
/// Where the files of the configuration lie.
pub const CONFIG: &str = "config/";
/// The last entry.
const CONTENTS: &str = "backup.json";
/// Bytes of `backup.json` at most.
const CONTENTS_MAX: u64 = 64 * 1024 * 1024;
/// Entries begin at multiples of it.
const BLOCK: u64 = 512;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The form of the file.
    pub format: u32,
    /// When it was begun, UTC.
    pub made_at: String,
    /// The version of Apportion that made it.
    pub apportion: String,
    /// The newest migration of its database.
    pub schema: i32,
    /// The major of the `pg_dump` that read it.
    pub postgres: u64,
    /// Size and hash of every other entry.
    #[serde(default)]
    pub files: BTreeMap<String, Entry>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its size.
    pub bytes: u64,
    /// Its hash, in hex.
    pub blake3: String,
}

/// Counts and hashes what passes by.
struct Counted<T> {
    inner: T,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl<T> Counted<T> {
    fn new(inner: T) -> Self {
        Self { inner, bytes: 0, hasher: blake3::Hasher::new() }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.update(bytes);
    }

    fn entry(self) -> Entry {
        Entry { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() }
    }
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.passed(&bytes[..written]);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.passed(&bytes[..read]);
        Ok(read)
    }
}

/// A backup under way, beside where it will lie. Dropped, it leaves nothing behind.
pub struct Writer {
    file: NamedTempFile,
    files: BTreeMap<String, Entry>,
}

impl Writer {
    /// Begins one in a folder; only its owner may read it.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::Builder::new().prefix(".apportion-backup-").tempfile_in(folder);
        let file = file.with_context(|| format!("cannot write into {}", folder.display()))?;
        Ok(Self { file, files: BTreeMap::new() })
    }

    /// Appends an entry of any size.
    ///
    /// # Errors
    /// When `fill` fails, or the file cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        fill: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let file = self.file.as_file_mut();
        let start = file.stream_position()?;
        // The size is known afterwards.
        file.write_all(&[0; BLOCK as usize])?;
        let mut counted = Counted::new(io::BufWriter::new(&mut *file));
        fill(&mut counted)?;
        counted.flush()?;
        let entry = counted.entry();
        let padding = entry.bytes.next_multiple_of(BLOCK) - entry.bytes;
        file.write_all(&vec![0; padding as usize])?;
        let mut header = tar::Header::new_gnu();
        header.set_path(name).with_context(|| format!("the name {name} is too long"))?;
        header.set_size(entry.bytes);
        header.set_mode(0o600);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        file.seek(SeekFrom::Start(start))?;
        file.write_all(header.as_bytes())?;
        file.seek(SeekFrom::End(0))?;
        self.files.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Ends it and puts it where it is to lie, where nothing may lie yet; gives its size.
    ///
    /// # Errors
    /// When it cannot be written, or something lies there.
    pub fn finish(mut self, target: &Path, contents: Contents) -> Result<u64> {
        let contents = Contents { files: std::mem::take(&mut self.files), ..contents };
        let text = serde_json::to_string_pretty(&contents)?;
        self.add(CONTENTS, |to| Ok(to.write_all(text.as_bytes())?))?;
        // Two empty blocks end an archive.
        self.file.as_file_mut().write_all(&[0; 2 * BLOCK as usize])?;
        self.file.as_file().sync_all()?;
        let bytes = self.file.as_file().metadata()?.len();
        self.file
            .persist_noclobber(target)
            .with_context(|| format!("cannot put the backup at {}", target.display()))?;
        if let Some(folder) = target.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(bytes)
    }
}

/// A backup that is whole.
#[derive(Debug)]
pub struct Backup {
    path: PathBuf,
    /// What it says of itself.
    pub contents: Contents,
    /// Where the content of each entry begins.
    places: BTreeMap<String, u64>,
}

impl Backup {
    /// Reads all of it and compares it with its hashes.
    ///
    /// # Errors
    /// When it is no backup, is damaged or ends too early.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).with_context(|| {
            format!("{} cannot be restored: copy it anew, or take another backup", path.display())
        })
    }

    fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).context("it cannot be opened")?;
        let mut archive = tar::Archive::new(io::BufReader::new(file));
        let (mut found, mut places) = (BTreeMap::new(), BTreeMap::new());
        let damaged = "it is damaged, ends too early, or is no backup";
        for entry in archive.entries().context(damaged)? {
            let mut entry = entry.context(damaged)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            if name == CONTENTS {
                let mut text = String::new();
                entry.by_ref().take(CONTENTS_MAX).read_to_string(&mut text).context(damaged)?;
                let contents: Contents = serde_json::from_str(&text).context(damaged)?;
                let format = contents.format;
                ensure!(format == FORMAT, "it has form {format}, and this build knows {FORMAT}");
                for (name, wanted) in &contents.files {
                    match found.get(name) {
                        Some(entry) if entry == wanted => {}
                        Some(_) => bail!("it is damaged: {name} is not what was written"),
                        None => bail!("it is damaged: {name} is missing"),
                    }
                }
                ensure!(found.len() == contents.files.len(), "{damaged}");
                return Ok(Self { path: path.to_owned(), contents, places });
            }
            places.insert(name.clone(), entry.raw_file_position());
            let mut counted = Counted::new(entry);
            io::copy(&mut counted, &mut io::sink()).context(damaged)?;
            found.insert(name, counted.entry());
        }
        bail!("it ends too early, or is no backup: {CONTENTS} is missing")
    }

    /// The content of an entry.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn entry(&self, name: &str) -> Result<impl Read + use<>> {
        let place = self.places.get(name).with_context(|| format!("there is no {name}"))?;
        let bytes = self.contents.files.get(name).map_or(0, |entry| entry.bytes);
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(*place))?;
        Ok(file.take(bytes))
    }

    /// The files of the configuration, by their paths in its folder.
    ///
    /// # Errors
    /// When one cannot be read, or leads out of the folder.
    pub fn config(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let mut files = BTreeMap::new();
        for name in self.contents.files.keys() {
            let Some(inside) = name.strip_prefix(CONFIG) else { continue };
            let path = PathBuf::from(inside);
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            ensure!(path.components().all(plain), "{name} leads out of the configuration folder");
            let mut bytes = Vec::new();
            self.entry(name)?.read_to_end(&mut bytes)?;
            files.insert(path, bytes);
        }
        Ok(files)
    }
}

/// Writes the files of a configuration into a folder; what lies there already must be the same.
///
/// # Errors
/// When another file lies there, or one cannot be written.
pub fn unpack(files: &BTreeMap<PathBuf, Vec<u8>>, folder: &Path) -> Result<()> {
    let mut lacking = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(found) => ensure!(
                found == *bytes,
                "{} is another than in the backup: name an empty folder with --config, or leave it out to keep what lies there",
                path.display()
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => lacking.push((path, bytes)),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        }
    }
    for (path, bytes) in lacking {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        Contents {
            format: FORMAT,
            made_at: "2026-05-01T00:00:00Z".to_owned(),
            apportion: "0".to_owned(),
            schema: 36,
            postgres: 18,
            files: BTreeMap::new(),
        }
    }

    fn write(folder: &Path) -> PathBuf {
        let mut writer = Writer::new(folder).unwrap();
        let text = "x".repeat(2_000);
        writer.add(DATABASE, |to| Ok(to.write_all(text.as_bytes())?)).unwrap();
        writer.add("config/tenants/acme.yaml", |to| Ok(to.write_all(b"a: b\n")?)).unwrap();
        writer.add("config/apportion.yaml", |_| Ok(())).unwrap();
        let target = folder.join("backup");
        assert!(writer.finish(&target, contents()).unwrap() > 2_000);
        target
    }

    #[test]
    fn what_was_written_is_read_and_any_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let backup = Backup::open(&path).unwrap();
        let mut database = String::new();
        backup.entry(DATABASE).unwrap().read_to_string(&mut database).unwrap();
        assert_eq!((database.len(), backup.contents.schema), (2_000, 36));
        let config = backup.config().unwrap();
        assert_eq!(config[Path::new("tenants/acme.yaml")], b"a: b\n");
        assert_eq!(config.len(), 2);
        // Any bit, but those of `backup.json` that say when and by whom, and the padding.
        let whole = fs::read(&path).unwrap();
        for at in [0, 130, 600, 2_000, 512 + 2_048 + 512 + 2] {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(&path, flipped).unwrap();
            let error = format!("{:#}", Backup::open(&path).unwrap_err());
            assert!(
                error.contains("cannot be restored") && error.contains("damaged"),
                "{at}: {error}"
            );
        }
        for length in [0, 100, 1_000, 3_000, whole.len() - 2_000] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = format!("{:#}", Backup::open(&path).unwrap_err());
            assert!(error.contains("too early"), "{length}: {error}");
        }
        fs::write(&path, whole).unwrap();
        assert!(Backup::open(&path).is_ok());
    }

    #[test]
    fn nothing_that_lies_there_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path());
        let again = Writer::new(folder.path()).unwrap();
        assert!(again.finish(&path, contents()).is_err());
        let config = Backup::open(&path).unwrap().config().unwrap();
        let target = folder.path().join("new");
        unpack(&config, &target).unwrap();
        unpack(&config, &target).unwrap();
        fs::write(target.join("tenants/acme.yaml"), "c: d\n").unwrap();
        let error = unpack(&config, &target).unwrap_err().to_string();
        assert!(error.contains("acme.yaml is another than in the backup"), "{error}");
        // Nothing but the backup and the configuration is left.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

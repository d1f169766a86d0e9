//! Opens a file of text: tells its format by content, decompresses it, and hashes its bytes on the way.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use proto::hash::Hash128;

use super::error::FocusError;
use super::files::{Listed, Stamp};

/// Bytes that are read at a time.
pub const BUFFER_BYTES: usize = 128 * 1024;

/// Counts a file's bytes into a hash as they are read.
pub struct Hashing {
    file: File,
    hasher: blake3::Hasher,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(out)?;
        self.hasher.update(&out[..read]);
        Ok(read)
    }
}

/// A file's text.
pub enum Opened {
    /// As it lies there.
    Plain(BufReader<Hashing>),
    /// Any number of gzip members.
    Gzip(Box<MultiGzDecoder<BufReader<Hashing>>>),
    /// Any number of zstd frames.
    Zstd(zstd::Decoder<'static, BufReader<Hashing>>),
}

impl Read for Opened {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.read(out),
            Self::Gzip(inner) => inner.read(out),
            Self::Zstd(inner) => inner.read(out),
        }
    }
}

/// What a file is that is not CSV, by its first bytes.
const OTHER: [(&[u8], &str); 6] = [
    (b"PARE", "encrypted Parquet"),
    (b"PK\x03\x04", "a zip archive or a spreadsheet"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"\xff\xfe", "text as UTF-16"),
    (b"\xfe\xff", "text as UTF-16"),
];

impl Opened {
    /// Opens a listed file.
    ///
    /// # Errors
    /// When it cannot be read, has changed since it was listed, is empty or of a format that is not read here.
    pub fn open(listed: &Listed) -> Result<Self, FocusError> {
        Self::of(listed, file(listed)?)
    }

    /// A listed file that was opened, from its start.
    ///
    /// # Errors
    /// When it cannot be read, is empty or of a format that is not read here.
    pub fn of(listed: &Listed, file: File) -> Result<Self, FocusError> {
        let io = |source| FocusError::Io { path: listed.name.clone(), source };
        let hashing = Hashing { file, hasher: blake3::Hasher::new() };
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, hashing);
        let first = reader.fill_buf().map_err(io)?;
        if first.is_empty() {
            return Err(FocusError::Empty(listed.name.clone()));
        }
        if let Some((_, what)) = OTHER.iter().find(|(magic, _)| first.starts_with(magic)) {
            return Err(FocusError::Format { path: listed.name.clone(), what });
        }
        match first {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip(Box::new(MultiGzDecoder::new(reader)))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                Ok(Self::Zstd(zstd::Decoder::with_buffer(reader).map_err(io)?))
            }
            _ => Ok(Self::Plain(reader)),
        }
    }

    /// The hash of the file's bytes, once everything was read.
    ///
    /// # Errors
    /// When the file is not what it was when it was listed.
    pub fn close(self, listed: &Listed) -> Result<Hash128, FocusError> {
        let io = |source| FocusError::Io { path: listed.name.clone(), source };
        let mut reader = match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        // Nothing may follow what was decompressed; if something does, it still belongs to the file's bytes.
        std::io::copy(&mut reader, &mut std::io::sink()).map_err(io)?;
        let Hashing { file, hasher } = reader.into_inner();
        unchanged(&file, listed)?;
        Ok(Hash128::finish(&hasher.finalize()))
    }
}

/// Opens a listed file.
///
/// # Errors
/// When it cannot be read, or has changed since it was listed.
pub fn file(listed: &Listed) -> Result<File, FocusError> {
    let io = |source| FocusError::Io { path: listed.name.clone(), source };
    let file = File::open(&listed.path).map_err(io)?;
    if Stamp::of(&file.metadata().map_err(io)?) != listed.stamp {
        return Err(FocusError::Changed(listed.name.clone()));
    }
    Ok(file)
}

/// Makes sure that an open file is still what it was when it was listed.
///
/// # Errors
/// When it is not.
pub fn unchanged(file: &File, listed: &Listed) -> Result<(), FocusError> {
    let io = |source| FocusError::Io { path: listed.name.clone(), source };
    let now = Stamp::of(&file.metadata().map_err(io)?);
    let there = listed.path.metadata().map(|m| Stamp::of(&m)).map_err(io)?;
    if now != listed.stamp || there != listed.stamp {
        return Err(FocusError::Changed(listed.name.clone()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changes_while_it_is_read_is_no_good() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("a.csv"), text).unwrap();
        let list =
            || super::super::files::list(folder.path(), &["a.csv".to_owned()]).unwrap().remove(0);
        let read = |listed: &Listed, meanwhile: &dyn Fn()| {
            let mut opened = Opened::open(listed)?;
            std::io::copy(&mut opened, &mut std::io::sink()).unwrap();
            meanwhile();
            opened.close(listed)
        };
        write("one");
        assert_eq!(read(&list(), &|| ()).unwrap(), Hash128::of(b"one"));
        // Longer; replaced by another file of the same length; gone.
        let grown = read(&list(), &|| write("three")).unwrap_err();
        assert!(grown.to_string().contains("a.csv changed while it was read"), "{grown}");
        assert_eq!(grown.class(), proto::report::FailureClass::Transient);
        let replaced = read(&list(), &|| {
            std::fs::write(folder.path().join("b.csv"), "seven").unwrap();
            std::fs::rename(folder.path().join("b.csv"), folder.path().join("a.csv")).unwrap();
        });
        assert!(matches!(replaced, Err(FocusError::Changed(_))));
        let gone = read(&list(), &|| std::fs::remove_file(folder.path().join("a.csv")).unwrap())
            .unwrap_err();
        assert_eq!(gone.class(), proto::report::FailureClass::Transient);
        // Changed between listing and opening.
        write("one");
        let listed = list();
        write("two more");
        assert!(matches!(Opened::open(&listed), Err(FocusError::Changed(_))));
    }
}

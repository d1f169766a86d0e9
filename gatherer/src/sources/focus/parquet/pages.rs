//! Pages of a file, handed on only while the memory that they say to need is within bounds: what a file says of itself
//! may be a lie, and its decoder would believe it.

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parquet::basic::{Encoding, Type as Physical};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, get_column_reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length, SerializedPageReader};

use super::thrift::{self, Unsound};

/// Bytes of the metadata of a file.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the header of a page.
const HEADER_BYTES_MAX: u64 = 1 << 20;
/// Bytes of the pages of all columns that are in memory together, once they are decompressed.
pub const PAGES_BYTES_MAX: u64 = 512 << 20;
/// Values in columns of lists and maps that come up for one batch of rows.
pub const VALUES_MAX: u64 = 32 << 20;
/// Bytes that a value of a dictionary takes in memory.
const VALUE_BYTES: u64 = 32;

/// A file that is read in pieces.
pub struct Source {
    file: File,
    length: u64,
}

/// What the pages at hand take, over all columns of a row group.
#[derive(Default)]
pub struct Bounds {
    bytes: AtomicU64,
    values: AtomicU64,
}

impl Bounds {
    /// Another batch of rows begins.
    pub fn batch(&self) {
        self.values.store(0, Relaxed);
    }
}

impl Source {
    /// A file.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn new(file: File) -> std::io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    fn bytes(&self, start: u64, most: u64) -> Result<Vec<u8>> {
        let length = self.length.saturating_sub(start).min(most);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    /// The file's metadata.
    ///
    /// # Errors
    /// When there are none, or none that a bill has.
    pub fn metadata(&self) -> Result<ParquetMetaData> {
        let end = self.length.saturating_sub(FOOTER_SIZE as u64);
        let footer = self.bytes(end, FOOTER_SIZE as u64)?;
        let (length, magic) = footer.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let length = u64::from(u32::from_le_bytes(*length));
        if magic != b"PAR1" || length > end {
            return Err(general("it does not end as Parquet does".to_owned()));
        }
        if length > FOOTER_BYTES_MAX {
            return Err(general(format!("its metadata take {length} bytes")));
        }
        let bytes = self.bytes(end - length, length)?;
        thrift::footer(&bytes).map_err(|unsound| unsound_in("its metadata", unsound))?;
        ParquetMetaDataReader::decode_metadata(&bytes)
    }

    /// A column of a row group.
    ///
    /// # Errors
    /// When there is none.
    pub fn column(
        self: &Arc<Self>,
        metadata: &ParquetMetaData,
        (group, column): (usize, usize),
        bounds: &Arc<Bounds>,
    ) -> Result<ColumnReader> {
        let (group, about) = (metadata.row_group(group), metadata.row_group(group).column(column));
        let description = metadata.file_metadata().schema_descr().column(column);
        let looked_at = Arc::new(LookedAt {
            source: Arc::clone(self),
            bounds: Arc::clone(bounds),
            bytes: AtomicU64::new(0),
            peeked: AtomicBool::new(false),
        });
        let rows = usize::try_from(group.num_rows()).unwrap_or_default();
        let pages = Pages {
            inner: SerializedPageReader::new(Arc::clone(&looked_at), about, rows, None)?,
            looked_at,
            least: match description.physical_type() {
                Physical::BOOLEAN => 1,
                Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
                Physical::INT64 | Physical::DOUBLE => 8,
                Physical::INT96 => 12,
                Physical::FIXED_LEN_BYTE_ARRAY => {
                    usize::try_from(description.type_length()).unwrap_or(1).max(1)
                }
            },
            levels: (description.max_rep_level() > 0, description.max_def_level() > 0),
        };
        Ok(get_column_reader(description, Box::new(pages)))
    }
}

/// The file, as the pages of one column are read from it.
struct LookedAt {
    source: Arc<Source>,
    bounds: Arc<Bounds>,
    /// Bytes of the page at hand.
    bytes: AtomicU64,
    /// The header of the next page was looked at already, and what is read next is the page.
    peeked: AtomicBool,
}

impl LookedAt {
    /// Looks at the header of the page that starts here.
    fn look(&self, start: u64) -> Result<()> {
        let page = thrift::page(&self.source.bytes(start, 4 << 10)?);
        let page = match page {
            Err(Unsound::Broken) => thrift::page(&self.source.bytes(start, HEADER_BYTES_MAX)?),
            page => page,
        };
        let page = page.map_err(|unsound| unsound_in("the header of a page", unsound))?;
        let before = if page.dictionary { 0 } else { self.bytes.swap(page.bytes, Relaxed) };
        self.bounds.bytes.fetch_sub(before, Relaxed);
        self.take(page.bytes)
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let bytes = self.bounds.bytes.fetch_add(bytes, Relaxed).saturating_add(bytes);
        if bytes <= PAGES_BYTES_MAX {
            return Ok(());
        }
        let mib = PAGES_BYTES_MAX >> 20;
        Err(general(format!(
            "its pages take {bytes} bytes together, more than {mib} MiB: write it with smaller pages or row groups"
        )))
    }
}

impl Length for LookedAt {
    fn len(&self) -> u64 {
        self.source.length
    }
}

impl ChunkReader for LookedAt {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        if !self.peeked.swap(false, Relaxed) {
            self.look(start)?;
        }
        self.source.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<bytes::Bytes> {
        if start.saturating_add(length as u64) > self.source.length {
            return Err(general("a page ends behind the file".to_owned()));
        }
        self.source.file.get_bytes(start, length)
    }
}

/// The pages of a column.
struct Pages {
    inner: SerializedPageReader<LookedAt>,
    looked_at: Arc<LookedAt>,
    /// The fewest bytes that a value takes in a dictionary.
    least: usize,
    /// Whether there are levels of repetition and of definition.
    levels: (bool, bool),
}

impl Pages {
    fn check(&self, page: &Page) -> Result<()> {
        let values = u64::from(page.num_values());
        if page.is_dictionary_page() {
            if values > (page.buffer().len() / self.least) as u64 {
                return Err(general(format!("a dictionary says that it has {values} values")));
            }
            return self.looked_at.take(values * VALUE_BYTES);
        }
        if self.levels.0 {
            let values = self.looked_at.bounds.values.fetch_add(values, Relaxed) + values;
            if values > VALUES_MAX {
                return Err(general(format!(
                    "its lists and maps have {values} values within few rows, more than {VALUES_MAX}"
                )));
            }
        }
        match page.encoding() {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => self.lengths(page, values).map(|_| ()),
            Encoding::DELTA_BYTE_ARRAY => {
                // Lengths of what values have in common, then those of the rest.
                let rest = self.lengths(page, values)?;
                deltas(rest, values).map(|_| ())
            }
            Encoding::PLAIN
            | Encoding::PLAIN_DICTIONARY
            | Encoding::RLE
            | Encoding::RLE_DICTIONARY
            | Encoding::DELTA_BINARY_PACKED
            | Encoding::BYTE_STREAM_SPLIT
            | Encoding::ALP => Ok(()),
            #[expect(deprecated, reason = "files may say so")]
            Encoding::BIT_PACKED => Ok(()),
        }
    }

    /// What follows the first block of lengths in a page of texts.
    fn lengths<'p>(&self, page: &'p Page, values: u64) -> Result<&'p [u8]> {
        let broken = || general("the values of a page are none".to_owned());
        let mut bytes: &[u8] = page.buffer();
        match page {
            Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
                let levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
                bytes = bytes
                    .get(usize::try_from(levels).unwrap_or(usize::MAX)..)
                    .ok_or_else(broken)?;
            }
            Page::DataPage { def_level_encoding, rep_level_encoding, .. } => {
                let kinds =
                    [(self.levels.0, rep_level_encoding), (self.levels.1, def_level_encoding)];
                for (_, encoding) in kinds.into_iter().filter(|(there, _)| *there) {
                    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
                    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                    if *encoding != Encoding::RLE {
                        return Err(broken());
                    }
                    bytes = rest.get(length..).ok_or_else(broken)?;
                }
            }
            Page::DictionaryPage { .. } => return Err(broken()),
        }
        deltas(bytes, values)
    }
}

fn deltas(bytes: &[u8], most: u64) -> Result<&[u8]> {
    let end =
        thrift::deltas(bytes, most).map_err(|unsound| unsound_in("a page of texts", unsound))?;
    Ok(&bytes[end..])
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.inner.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }
    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let found = self.inner.peek_next_page()?;
        self.looked_at.peeked.store(true, Relaxed);
        Ok(found)
    }
    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;
    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

fn general(what: String) -> ParquetError {
    ParquetError::General(what)
}

fn unsound_in(what: &str, unsound: Unsound) -> ParquetError {
    general(match unsound {
        Unsound::Broken => format!("{what} cannot be decoded"),
        Unsound::Deep => format!("{what} nest too deep"),
    })
}

//! Files that are damaged, or lie about themselves: an error that says so, and neither a process that ends nor memory
//! that a few bytes ask for.

use parquet::basic::Encoding;
use parquet::file::properties::WriterVersion;
use parquet::schema::types::ColumnPath;

use super::*;

/// Reads a file to its end: how many rows it had, or what is told.
fn read(path: &Path) -> Result<Vec<Vec<String>>, String> {
    let listed = listed(path);
    let chain = |error: FocusError| proto::fault::chain(&error);
    let mut input = Input::open(&listed).map_err(chain)?;
    let mut found = Vec::new();
    loop {
        match input.read() {
            Ok(Some(record)) => {
                let text = |at| String::from_utf8_lossy(record.field(at)).into_owned();
                found.push((0..record.fields()).map(text).collect());
            }
            Ok(None) => return Ok(found),
            Err(error) => return Err(chain(input.damaged(&listed, error))),
        }
    }
}

/// The most memory that this process ever had.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1_024
}

/// A file of 3,000 rows in two row groups: texts, numbers and tags, in pages of this version and encoding.
fn whole(path: &Path, version: WriterVersion, texts: Encoding, codec: Compression) {
    let schema = Arc::new(
        parse_message_type(&format!("message bill {{ {TWO} optional binary s (UTF8); }}")).unwrap(),
    );
    let properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(codec)
        .set_column_dictionary_enabled(ColumnPath::from("s"), texts == Encoding::PLAIN)
        .set_column_encoding(ColumnPath::from("s"), texts)
        .set_data_page_row_count_limit(400)
        .set_write_batch_size(100)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    for at in 0..2 {
        let mut group = writer.next_row_group().unwrap();
        two(at * 1_500, 1_500, &mut group);
        let texts: Vec<String> = (0..1_000).map(|n| format!("resource-{}", n * 7 % 90)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let levels: Vec<i16> = (0..1_500).map(|n| i16::from(n % 3 > 0)).collect();
        column::<ByteArrayType>(&mut group, &bytes(&texts), &levels, &[]);
        group.close().unwrap();
    }
    writer.close().unwrap();
}

/// Numbers that look like any, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }
}

#[test]
fn turned_bytes_end_no_process_and_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let before = peak();
    let (mut told, mut read_on) = (0, 0);
    let kinds = [
        (WriterVersion::PARQUET_1_0, Encoding::PLAIN, Compression::SNAPPY),
        (WriterVersion::PARQUET_2_0, Encoding::DELTA_BYTE_ARRAY, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_1_0, Encoding::DELTA_LENGTH_BYTE_ARRAY, Compression::LZ4_RAW),
        (WriterVersion::PARQUET_1_0, Encoding::DELTA_BYTE_ARRAY, Compression::UNCOMPRESSED),
        (WriterVersion::PARQUET_2_0, Encoding::PLAIN, Compression::ZSTD(ZstdLevel::default())),
    ];
    for (seed, (version, encoding, codec)) in (1..).zip(kinds) {
        whole(&path, version, encoding, codec);
        let sound = std::fs::read(&path).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.len(), 3_001, "{encoding:?}");
        assert_eq!(found[3_000], ["2999", found[3_000][1].as_str(), "resource-63"]);
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        for turn in 0..400 {
            let mut bytes = sound.clone();
            for _ in 0..=dice.below(3) {
                // Half of them in the metadata at the end, which are small.
                let from = if turn % 2 == 0 { 0 } else { bytes.len().saturating_sub(1_500) };
                let at = from + dice.below(bytes.len() - from);
                bytes[at] = match dice.below(3) {
                    0 => 0xff,
                    1 => bytes[at] ^ (1 << dice.below(8)),
                    _ => dice.below(256) as u8,
                };
            }
            if turn % 10 == 0 {
                bytes.truncate(dice.below(bytes.len()));
            }
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                Ok(_) => read_on += 1,
                Err(error) => {
                    assert!(error.contains("bill.parquet"), "{error}");
                    told += 1;
                }
            }
        }
    }
    assert!(told > 500 && read_on > 100, "{told} told, {read_on} read");
    assert!(peak() - before < 600 << 20, "{} bytes", peak() - before);
}

/// Puts other bytes into the first place of a file that holds these.
fn lie(path: &Path, truth: &[u8], lie: &[u8]) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(truth.len()).position(|it| it == truth).expect("the file holds them");
    bytes.splice(at..at + truth.len(), lie.iter().copied());
    std::fs::write(path, bytes).unwrap();
}

/// A whole number as metadata hold it, in `width` bytes.
fn varint(value: u64, width: usize) -> Vec<u8> {
    let zigzag = value << 1;
    let byte = |at: usize| (zigzag >> (7 * at)) as u8 & 0x7f;
    (0..width).map(|at| byte(at) | if at + 1 < width { 0x80 } else { 0 }).collect()
}

#[test]
fn sizes_of_billions_are_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    let before = peak();
    let write = |codec| {
        let fill = |_: usize, group: &mut SerializedRowGroupWriter<'_, File>| {
            column::<ByteArrayType>(group, &bytes(&["a", "b", "a"]), &[], &[]);
        };
        super::write(&path, "required binary s (UTF8);", codec, 1, &fill);
    };
    // The header of the dictionary: two texts of one byte, each behind the four of its length.
    let size = [&[0x15, 4, 0x15][..], &varint(10, 1)].concat();
    for codec in [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::LZ4_RAW] {
        write(codec);
        assert_eq!(read(&path).unwrap().len(), 4);
        lie(&path, &size, &[&[0x15, 4, 0x15][..], &varint(2_000_000_000, 5)].concat());
        let error = read(&path).unwrap_err();
        assert!(
            error.contains("its pages take 2000000000 bytes together, more than 512"),
            "{error}"
        );
        // Within bounds, and not there.
        write(codec);
        lie(&path, &size, &[&[0x15, 4, 0x15][..], &varint(100_000_000, 4)].concat());
        let error = read(&path).unwrap_err();
        assert!(error.contains("damaged"), "{error}");
        // How many values: field 7, a struct whose first field it is.
        write(codec);
        lie(&path, &[0x4c, 0x15, 4], &[0x4c, 0x15, 126]);
        let error = read(&path).unwrap_err();
        assert!(error.contains("a dictionary says that it has 63 values"), "{error}");
    }
    assert!(peak() - before < 600 << 20, "{} bytes", peak() - before);
}

#[test]
fn codecs_that_are_not_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bill.parquet");
    write(&path, TWO, Compression::SNAPPY, 1, &|_, group| two(0, 10, group));
    // Of a column chunk: field 4, the codec, between its path and its count of values.
    let mut bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(4).rposition(|it| it[0] == b'n' && it[1..] == [0x15, 2, 0x16]);
    let at = at.expect("the first column's codec is SNAPPY");
    for (number, name) in [(3, "LZO"), (4, "BROTLI")] {
        bytes[at + 2] = number << 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = read(&path).unwrap_err();
        let wanted = format!("codec {name} is not supported, rewrite the file with ZSTD or SNAPPY");
        assert!(error.contains(&wanted) && error.contains("column n"), "{error}");
        assert!(!error.contains("damaged"), "{error}");
    }
}

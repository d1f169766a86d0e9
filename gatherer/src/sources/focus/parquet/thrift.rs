//! What is looked at in the metadata of a file before its decoder sees it: sizes that it would take memory for. Pure.
//!
//! The compact protocol of Thrift, as far as passing over values goes.

/// How deep a schema may nest, and a value of metadata.
const DEPTH_MAX: usize = 64;
const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// A schema that cannot be a bill's, or bytes that are no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsound {
    /// It breaks off, or is nothing of this kind.
    Broken,
    /// It nests too deep.
    Deep,
}

/// What the header of a page says of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page {
    /// Whether it is a dictionary.
    pub dictionary: bool,
    /// Bytes of it once it is decompressed, as it says; the most where it says several.
    pub bytes: u64,
}

/// Reads the header of a page that `bytes` begin with.
///
/// # Errors
/// When they do not.
pub fn page(bytes: &[u8]) -> Result<Page, Unsound> {
    let mut page = Page::default();
    Reader { bytes }.fields(0, &mut |id, kind, it| {
        match (id, kind) {
            (1, I32) => page.dictionary = it.int()? == 2,
            (2, I32) => page.bytes = page.bytes.max(it.int()?.unsigned_abs()),
            _ => it.skip(kind, 1)?,
        }
        Ok(())
    })?;
    Ok(page)
}

/// Looks at the metadata of a file: whether its decoder may have it.
///
/// # Errors
/// When it may not.
pub fn footer(bytes: &[u8]) -> Result<(), Unsound> {
    Reader { bytes }.fields(0, &mut |id, kind, it| {
        if (id, kind) != (2, LIST) {
            return it.skip(kind, 1);
        }
        let (kind, count) = it.list()?;
        if kind != STRUCT {
            return Err(Unsound::Broken);
        }
        // Children that each group on the way down still waits for.
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..count {
            let mut children = 0;
            it.fields(1, &mut |id, kind, it| {
                if (id, kind) != (5, I32) {
                    return it.skip(kind, 2);
                }
                children = u64::try_from(it.int()?).map_err(|_| Unsound::Broken)?;
                Ok(())
            })?;
            if children > count {
                return Err(Unsound::Broken);
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > DEPTH_MAX {
                return Err(Unsound::Deep);
            }
        }
        Ok(())
    })
}

/// The end of a block of whole numbers, encoded by their differences (`DELTA_BINARY_PACKED`), that `bytes` begin with.
///
/// # Errors
/// When they do not, or when it says that there are more numbers than `most`.
pub fn deltas(bytes: &[u8], most: u64) -> Result<usize, Unsound> {
    let mut it = Reader { bytes };
    let (block, parts, count) = (it.varint()?, it.varint()?, it.varint()?);
    it.varint()?;
    if count > most || parts == 0 || parts > block || block > 1 << 20 {
        return Err(Unsound::Broken);
    }
    let of_part = block / parts;
    // The first number is in the header.
    let mut left = count.saturating_sub(1);
    while left > 0 {
        it.varint()?;
        let widths = it.take(parts)?;
        for width in widths {
            if left == 0 {
                break;
            }
            it.take((of_part * u64::from(*width)).div_ceil(8))?;
            left = left.saturating_sub(of_part);
        }
    }
    Ok(bytes.len() - it.bytes.len())
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], Unsound> {
        let count = usize::try_from(count).map_err(|_| Unsound::Broken)?;
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Unsound::Broken)?;
        self.bytes = rest;
        Ok(taken)
    }
    fn byte(&mut self) -> Result<u8, Unsound> {
        self.take(1)?.first().copied().ok_or(Unsound::Broken)
    }
    fn varint(&mut self) -> Result<u64, Unsound> {
        let mut value = 0;
        for at in 0..10 {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unsound::Broken)
    }
    fn int(&mut self) -> Result<i64, Unsound> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }
    /// The head of a list: kind and count of what it holds. Nothing takes less than a byte.
    fn list(&mut self) -> Result<(u8, u64), Unsound> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        if count > self.bytes.len() as u64 { Err(Unsound::Broken) } else { Ok((head & 15, count)) }
    }
    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), Unsound> {
        if depth > DEPTH_MAX {
            return Err(Unsound::Deep);
        }
        match kind {
            1 | 2 => {}
            3 => drop(self.take(1)?),
            4..=6 => drop(self.varint()?),
            7 => drop(self.take(8)?),
            8 => {
                let length = self.varint()?;
                self.take(length)?;
            }
            LIST | 10 => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.element(kind, depth + 1))?;
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                for _ in 0..count {
                    self.element(kinds >> 4, depth + 1)?;
                    self.element(kinds & 15, depth + 1)?;
                }
            }
            STRUCT => self.fields(depth, &mut |_, kind, it| it.skip(kind, depth + 1))?,
            _ => return Err(Unsound::Broken),
        }
        Ok(())
    }
    /// A value of a list: a truth value takes a byte there.
    fn element(&mut self, kind: u8, depth: usize) -> Result<(), Unsound> {
        self.skip(if matches!(kind, 1 | 2) { 3 } else { kind }, depth)
    }
    /// The fields of a struct, each of which `each` takes.
    fn fields(
        &mut self,
        depth: usize,
        each: &mut dyn FnMut(i64, u8, &mut Self) -> Result<(), Unsound>,
    ) -> Result<(), Unsound> {
        if depth > DEPTH_MAX {
            return Err(Unsound::Deep);
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            let kind = head & 15;
            if kind == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.int()?,
                step => id.saturating_add(i64::from(step)),
            };
            each(id, kind, self)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_say_how_large_they_are() {
        // Type 2, 300 bytes, 20 compressed, and a struct with a binary that is passed over; then what is not its own.
        let bytes = [0x15, 4, 0x15, 0xd8, 4, 0x15, 40, 0x4c, 0x18, 2, b'a', b'b', 0, 0, 99];
        assert_eq!(page(&bytes), Ok(Page { dictionary: true, bytes: 300 }));
        assert_eq!(page(&bytes[..12]), Err(Unsound::Broken), "it breaks off");
        // The same field once more, with its id written out: the larger one counts.
        let twice = [0x15, 0, 0x15, 2, 0x05, 4, 0xd8, 4, 0];
        assert_eq!(page(&twice), Ok(Page { dictionary: false, bytes: 300 }));
        assert_eq!(page(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0]), Err(Unsound::Broken));
        assert_eq!(page(&[0x1c; 100]), Err(Unsound::Deep));
    }

    #[test]
    fn schemas_nest_only_so_deep() {
        // The schema is field 2: a list of structs, whose field 5 counts children.
        let schema = |children: &[u8]| {
            let mut bytes = vec![0x29, 0xfc, children.len() as u8];
            children.iter().for_each(|count| bytes.extend([0x55, count << 1, 0]));
            bytes.push(0);
            bytes
        };
        let chain = |depth: usize| [vec![1; depth], vec![0]].concat();
        assert_eq!(footer(&schema(&chain(DEPTH_MAX))), Ok(()));
        assert_eq!(footer(&schema(&chain(DEPTH_MAX + 1))), Err(Unsound::Deep));
        assert_eq!(footer(&schema(&[2, 1, 0, 0])), Ok(()));
        assert_eq!(footer(&schema(&[60, 0])), Err(Unsound::Broken), "more children than there are");
        assert_eq!(footer(&[0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 7]), Err(Unsound::Broken));
    }

    #[test]
    fn deltas_end_where_they_say() {
        // Blocks of 128 in 4 parts; 34 numbers: the first, 33 differences in two parts of 1 bit each.
        let mut bytes = vec![0x80, 1, 4, 34, 0, 0, 1, 1, 0, 0];
        bytes.extend([0; 8]);
        bytes.push(77);
        assert_eq!(deltas(&bytes, 34), Ok(18));
        assert_eq!(deltas(&bytes, 33), Err(Unsound::Broken));
        assert_eq!(deltas(&bytes[..17], 34), Err(Unsound::Broken));
        assert_eq!(deltas(&[0x80, 1, 4, 1, 0], 9), Ok(5));
    }
}

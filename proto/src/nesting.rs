//! Walks over one MessagePack value without decoding it: where it ends, and that it nests no deeper than a thread's
//! stack bears. (`rmp_serde` counts the depth of arrays and maps, but not of enums, and a configuration nests those.)

/// A value that nests deeper is refused.
const DEPTH_MAX: usize = 128;

/// The first value of `bytes`, and what follows it.
///
/// # Errors
/// What is wrong, when it ends too early, nests too deep or starts with a byte that starts nothing.
pub fn split_value(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let mut rest = bytes;
    // Values still to come, per open array or map; the value itself first.
    let mut open = vec![1_u64];
    while let Some(left) = open.last_mut() {
        if *left == 0 {
            open.pop();
            continue;
        }
        *left -= 1;
        let children = step(&mut rest)?;
        if children > 0 {
            if open.len() > DEPTH_MAX {
                return Err("it nests too deep");
            }
            open.push(children);
        }
    }
    Ok(bytes.split_at(bytes.len() - rest.len()))
}

/// Steps over one marker with its payload; returns the number of values inside.
fn step(rest: &mut &[u8]) -> Result<u64, &'static str> {
    let marker = number(rest, 1)?;
    let sized = |rest: &mut &[u8], width, extra| {
        let size = number(rest, width)?.saturating_add(extra);
        skip(rest, size)
    };
    match marker {
        // Fixed numbers, nil, booleans.
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Ok(0),
        0x80..=0x8f => Ok(2 * (marker & 0x0f)),
        0x90..=0x9f => Ok(marker & 0x0f),
        0xa0..=0xbf => skip(rest, marker & 0x1f),
        // Bytes and texts; extensions, which have a type besides.
        0xc4 | 0xd9 => sized(rest, 1, 0),
        0xc5 | 0xda => sized(rest, 2, 0),
        0xc6 | 0xdb => sized(rest, 4, 0),
        0xc7 => sized(rest, 1, 1),
        0xc8 => sized(rest, 2, 1),
        0xc9 => sized(rest, 4, 1),
        // Numbers of 1, 2, 4 and 8 bytes; extensions of 1 to 16 bytes.
        0xcc | 0xd0 => skip(rest, 1),
        0xcd | 0xd1 => skip(rest, 2),
        0xca | 0xce | 0xd2 => skip(rest, 4),
        0xcb | 0xcf | 0xd3 => skip(rest, 8),
        0xd4..=0xd8 => skip(rest, (1 << (marker - 0xd4)) + 1),
        0xdc => number(rest, 2),
        0xdd => number(rest, 4),
        0xde => Ok(2 * number(rest, 2)?),
        0xdf => Ok(2 * number(rest, 4)?),
        _ => Err("it starts with a byte that starts nothing"),
    }
}

fn skip(rest: &mut &[u8], size: u64) -> Result<u64, &'static str> {
    let tail = usize::try_from(size).ok().and_then(|size| rest.get(size..));
    *rest = tail.ok_or("it ends too early")?;
    Ok(0)
}

/// A big-endian number of up to 8 bytes.
fn number(rest: &mut &[u8], width: usize) -> Result<u64, &'static str> {
    let (digits, tail) = rest.split_at_checked(width).ok_or("it ends too early")?;
    *rest = tail;
    Ok(digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_marker_is_stepped_over() {
        let whole: [&[u8]; 26] = [
            b"\x00",
            b"\x7f",
            b"\xff",
            b"\xe0",
            b"\xc0",
            b"\xc2",
            b"\xc3",
            b"\x80",
            b"\x81\xa1x\x01",
            b"\x92\x90\x01",
            b"\xa0",
            b"\xc4\x01x",
            b"\xc5\x00\x01x",
            b"\xc6\x00\x00\x00\x01x",
            b"\xc7\x01tx",
            b"\xc8\x00\x01tx",
            b"\xc9\x00\x00\x00\x01tx",
            b"\xcc\x01",
            b"\xd1\x01\x02",
            b"\xca1234",
            b"\xcb12345678",
            b"\xd4tx",
            b"\xd8t0123456789abcdef",
            b"\xdc\x00\x01\xc0",
            b"\xdd\x00\x00\x00\x01\xc0",
            b"\xde\x00\x01\xa1x\xc0",
        ];
        for value in whole {
            let followed = [value, b"\xc1"].concat();
            assert_eq!(split_value(&followed), Ok((value, &b"\xc1"[..])), "{value:x?}");
            assert_eq!(split_value(&value[..value.len() - 1]), Err("it ends too early"));
        }
        assert_eq!(split_value(b"\xc1"), Err("it starts with a byte that starts nothing"));
        let nested = |depth: usize| [&vec![0x91; depth][..], b"\xc0"].concat();
        assert!(split_value(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(split_value(&nested(DEPTH_MAX + 1)), Err("it nests too deep"));
    }
}

//! Values of Parquet as the text that CSV would have in their place. Pure.

use std::io::Write;

use num_bigint::BigInt;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use parquet::schema::types::Type;
use proto::time::UtcSeconds;

/// Decimals at most that a type may have.
const SCALE_MAX: u32 = 1_000;
/// Days from the start of the Julian calendar's count to 1970-01-01.
const JULIAN_DAYS: i64 = 2_440_588;

/// What a value means, beyond the form that it is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// What it is.
    Plain,
    /// A whole number without a sign.
    Unsigned,
    /// A number whose last so many digits are decimals.
    Decimal(u32),
    /// Days since 1970-01-01.
    Date,
    /// Parts of a second since 1970-01-01T00:00:00Z, so many of them in each.
    Timestamp(i64),
    /// Parts of a second since midnight, so many of them in each.
    Time(i64),
    /// Sixteen bytes of a UUID.
    Uuid,
    /// Bytes that are no text: written in hexadecimal digits.
    Bytes,
}

impl Meaning {
    /// What the values of a leaf of a schema mean.
    ///
    /// # Errors
    /// What is not read, and what to give instead.
    pub fn of(leaf: &Type) -> Result<Self, String> {
        let info = leaf.get_basic_info();
        let parts = |unit: &TimeUnit| match unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        };
        let fixed = leaf.get_physical_type() == Physical::FIXED_LEN_BYTE_ARRAY;
        let decimal = |scale: i32| {
            // More decimals than any bill has: each would become a digit of text.
            let scale =
                u32::try_from(scale).ok().filter(|scale| *scale <= SCALE_MAX).ok_or_else(|| {
                    format!("a decimal of scale {scale}; write it with 0 to {SCALE_MAX} decimals")
                })?;
            Ok(Self::Decimal(scale))
        };
        Ok(match info.logical_type_ref() {
            Some(LogicalType::Decimal(it)) => return decimal(it.scale),
            Some(LogicalType::Date) => Self::Date,
            Some(LogicalType::Time(it)) => Self::Time(parts(&it.unit)),
            Some(LogicalType::Timestamp(it)) => Self::Timestamp(parts(&it.unit)),
            Some(LogicalType::Integer(it)) if !it.is_signed => Self::Unsigned,
            Some(LogicalType::Uuid) => Self::Uuid,
            Some(LogicalType::Float16) => {
                return Err("a float of 16 bits: give it as a decimal or double".to_owned());
            }
            Some(_) | None => match info.converted_type() {
                ConvertedType::DECIMAL => return decimal(leaf.get_scale()),
                ConvertedType::DATE => Self::Date,
                ConvertedType::TIME_MILLIS => Self::Time(1_000),
                ConvertedType::TIME_MICROS => Self::Time(1_000_000),
                ConvertedType::TIMESTAMP_MILLIS => Self::Timestamp(1_000),
                ConvertedType::TIMESTAMP_MICROS => Self::Timestamp(1_000_000),
                ConvertedType::UINT_8
                | ConvertedType::UINT_16
                | ConvertedType::UINT_32
                | ConvertedType::UINT_64 => Self::Unsigned,
                ConvertedType::BSON | ConvertedType::INTERVAL => Self::Bytes,
                ConvertedType::UTF8
                | ConvertedType::ENUM
                | ConvertedType::JSON
                | ConvertedType::NONE
                | ConvertedType::MAP
                | ConvertedType::MAP_KEY_VALUE
                | ConvertedType::LIST
                | ConvertedType::INT_8
                | ConvertedType::INT_16
                | ConvertedType::INT_32
                | ConvertedType::INT_64 => {
                    if fixed {
                        Self::Bytes
                    } else {
                        Self::Plain
                    }
                }
            },
        })
    }
}

/// A value that can be written as text.
pub trait Text {
    /// Appends it.
    fn text(&self, meaning: Meaning, out: &mut Vec<u8>);
    /// Whether JSON wants quotes around it.
    fn quoted(&self, meaning: Meaning) -> bool;
}

macro_rules! put {
    ($out:expr, $($arg:tt)*) => {
        write!($out, $($arg)*).expect("a Vec takes all that is written")
    };
}

impl Text for bool {
    fn text(&self, _: Meaning, out: &mut Vec<u8>) {
        put!(out, "{self}");
    }
    fn quoted(&self, _: Meaning) -> bool {
        false
    }
}

impl Text for i32 {
    fn text(&self, meaning: Meaning, out: &mut Vec<u8>) {
        match meaning {
            Meaning::Unsigned => put!(out, "{}", self.cast_unsigned()),
            Meaning::Date => {
                let text = UtcSeconds(i64::from(*self) * 86_400).to_string();
                out.extend_from_slice(text.split('T').next().unwrap_or_default().as_bytes());
            }
            Meaning::Plain
            | Meaning::Decimal(_)
            | Meaning::Timestamp(_)
            | Meaning::Time(_)
            | Meaning::Uuid
            | Meaning::Bytes => i64::from(*self).text(meaning, out),
        }
    }
    fn quoted(&self, meaning: Meaning) -> bool {
        is_time(meaning)
    }
}

impl Text for i64 {
    fn text(&self, meaning: Meaning, out: &mut Vec<u8>) {
        match meaning {
            Meaning::Unsigned => put!(out, "{}", self.cast_unsigned()),
            Meaning::Decimal(scale) => decimal(&self.to_string(), scale, out),
            Meaning::Timestamp(parts) => {
                moment(self.div_euclid(parts), self.rem_euclid(parts), parts, out);
            }
            Meaning::Time(parts) => {
                let seconds = self.div_euclid(parts);
                let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                put!(out, "{hours:02}:{minutes:02}:{:02}", seconds % 60);
                fraction(self.rem_euclid(parts), parts, out);
            }
            Meaning::Plain | Meaning::Date | Meaning::Uuid | Meaning::Bytes => put!(out, "{self}"),
        }
    }
    fn quoted(&self, meaning: Meaning) -> bool {
        is_time(meaning)
    }
}

impl Text for Int96 {
    /// Nanoseconds of a day, and the day: how timestamps were written before there was a type for them.
    fn text(&self, _: Meaning, out: &mut Vec<u8>) {
        let data = self.data();
        let nanos = i64::from(data[0]) | (i64::from(data[1]) << 32);
        let days = i64::from(data[2].cast_signed()) - JULIAN_DAYS;
        let parts = 1_000_000_000;
        moment(days * 86_400 + nanos.div_euclid(parts), nanos.rem_euclid(parts), parts, out);
    }
    fn quoted(&self, _: Meaning) -> bool {
        true
    }
}

impl Text for f32 {
    /// The shortest decimal number that reads back as this value.
    fn text(&self, _: Meaning, out: &mut Vec<u8>) {
        put!(out, "{self}");
    }
    fn quoted(&self, _: Meaning) -> bool {
        !self.is_finite()
    }
}

impl Text for f64 {
    /// The shortest decimal number that reads back as this value.
    fn text(&self, _: Meaning, out: &mut Vec<u8>) {
        put!(out, "{self}");
    }
    fn quoted(&self, _: Meaning) -> bool {
        !self.is_finite()
    }
}

impl Text for ByteArray {
    fn text(&self, meaning: Meaning, out: &mut Vec<u8>) {
        bytes(self.data(), meaning, out);
    }
    fn quoted(&self, meaning: Meaning) -> bool {
        !matches!(meaning, Meaning::Decimal(_))
    }
}

impl Text for FixedLenByteArray {
    fn text(&self, meaning: Meaning, out: &mut Vec<u8>) {
        bytes(self.data(), meaning, out);
    }
    fn quoted(&self, meaning: Meaning) -> bool {
        !matches!(meaning, Meaning::Decimal(_))
    }
}

fn is_time(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Date | Meaning::Timestamp(_) | Meaning::Time(_))
}

fn bytes(bytes: &[u8], meaning: Meaning, out: &mut Vec<u8>) {
    match meaning {
        Meaning::Decimal(scale) => {
            let text = match small(bytes) {
                Some(units) => units.to_string(),
                None => BigInt::from_signed_bytes_be(bytes).to_string(),
            };
            decimal(&text, scale, out);
        }
        Meaning::Uuid | Meaning::Bytes => {
            for (at, byte) in bytes.iter().enumerate() {
                if meaning == Meaning::Uuid && matches!(at, 4 | 6 | 8 | 10) {
                    out.push(b'-');
                }
                put!(out, "{byte:02x}");
            }
        }
        Meaning::Plain
        | Meaning::Unsigned
        | Meaning::Date
        | Meaning::Timestamp(_)
        | Meaning::Time(_) => out.extend_from_slice(bytes),
    }
}

/// The number in big-endian bytes, if sixteen are enough for it.
fn small(bytes: &[u8]) -> Option<i128> {
    let (first, wide) = (*bytes.first()?, bytes.len() <= 16);
    let mut filled = [if first & 0x80 == 0 { 0 } else { 0xff }; 16];
    filled.get_mut(16_usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    wide.then(|| i128::from_be_bytes(filled))
}

/// Writes a whole number with its last `scale` digits as decimals, without zeros at their end.
fn decimal(units: &str, scale: u32, out: &mut Vec<u8>) {
    let (sign, digits) = units.strip_prefix('-').map_or(("", units), |digits| ("-", digits));
    let scale = scale as usize;
    let (whole, decimals) = digits.split_at(digits.len().saturating_sub(scale));
    let trimmed = decimals.trim_end_matches('0');
    out.extend_from_slice(sign.as_bytes());
    out.extend_from_slice(if whole.is_empty() { "0" } else { whole }.as_bytes());
    if !trimmed.is_empty() {
        out.push(b'.');
        out.resize(out.len() + scale - decimals.len(), b'0');
        out.extend_from_slice(trimmed.as_bytes());
    }
}

/// Writes a time as `YYYY-MM-DDTHH:MM:SSZ`, and parts of a second where it has any.
fn moment(seconds: i64, part: i64, parts: i64, out: &mut Vec<u8>) {
    put!(out, "{}", UtcSeconds(seconds));
    if part > 0 && out.last() == Some(&b'Z') {
        out.pop();
        fraction(part, parts, out);
        out.push(b'Z');
    }
}

fn fraction(part: i64, parts: i64, out: &mut Vec<u8>) {
    if part > 0 {
        let digits = parts.ilog10() as usize;
        let text = format!("{part:0digits$}");
        put!(out, ".{}", text.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &dyn Text, meaning: Meaning) -> String {
        let mut out = Vec::new();
        value.text(meaning, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_exact_and_short() {
        for (units, scale, want) in [
            (150, 2, "1.5"),
            (-5, 3, "-0.005"),
            (0, 4, "0"),
            (100, 0, "100"),
            (12_300, 2, "123"),
            (i64::MIN, 18, "-9.223372036854775808"),
        ] {
            assert_eq!(text(&units, Meaning::Decimal(scale)), want);
            let bytes = ByteArray::from(units.to_be_bytes().to_vec());
            assert_eq!(text(&bytes, Meaning::Decimal(scale)), want);
            let wide = ByteArray::from(BigInt::from(units).to_signed_bytes_be());
            assert_eq!(text(&wide, Meaning::Decimal(scale)), want);
            let long: Vec<u8> = std::iter::repeat_n(if units < 0 { 0xff } else { 0 }, 20)
                .chain(units.to_be_bytes())
                .collect();
            assert_eq!(text(&ByteArray::from(long), Meaning::Decimal(scale)), want);
        }
        assert_eq!(text(&-12_i32, Meaning::Decimal(1)), "-1.2");
        assert_eq!(text(&-1_i32, Meaning::Unsigned), "4294967295");
        assert_eq!(text(&-1_i64, Meaning::Unsigned), "18446744073709551615");
        for (value, want) in [
            (0.1, "0.1"),
            (-0.0, "-0"),
            (1e21, "1000000000000000000000"),
            (1.5e-9, "0.0000000015"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(text(&value, Meaning::Plain), want);
        }
        assert_eq!(text(&0.1_f32, Meaning::Plain), "0.1");
    }

    #[test]
    fn times_say_all_they_know() {
        let at = 1_726_696_800_i64;
        for (units, parts, want) in [
            (at * 1_000, 1_000, "2024-09-18T22:00:00Z"),
            (at * 1_000_000 + 1_200, 1_000_000, "2024-09-18T22:00:00.0012Z"),
            (at * 1_000_000_000 + 1, 1_000_000_000, "2024-09-18T22:00:00.000000001Z"),
            (-1, 1_000, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(text(&units, Meaning::Timestamp(parts)), want);
        }
        let mut old = Int96::new();
        let nanos = (22 * 3_600_u64) * 1_000_000_000;
        old.set_data(nanos as u32, (nanos >> 32) as u32, 2_440_588 + 19_984);
        assert_eq!(text(&old, Meaning::Plain), "2024-09-18T22:00:00Z");
        assert_eq!(text(&19_984_i32, Meaning::Date), "2024-09-18");
        assert_eq!(text(&3_661_500_i32, Meaning::Time(1_000)), "01:01:01.5");
        // Beyond every calendar: a number, which no column of times takes.
        assert_eq!(text(&i64::MAX, Meaning::Timestamp(1_000)), "9223372036854775");
    }

    #[test]
    fn bytes_are_text_or_digits() {
        let bytes = ByteArray::from((0..16).collect::<Vec<u8>>());
        assert_eq!(text(&bytes, Meaning::Uuid), "00010203-0405-0607-0809-0a0b0c0d0e0f");
        assert_eq!(text(&ByteArray::from(vec![0, 255]), Meaning::Bytes), "00ff");
        assert_eq!(text(&ByteArray::from("a,\"b"), Meaning::Plain), "a,\"b");
    }
}

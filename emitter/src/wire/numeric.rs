//! `numeric` in binary: groups of four decimal digits, their weight, a sign and the number of decimals.

use proto::money::{Amount, Share};

const NEGATIVE: u16 = 0x4000;
/// Decimal digits per group.
const GROUP: u32 = 4;
const GROUP_BASE: u64 = 10_000;
/// Four groups: the largest power of the base that divides in 64 bits.
const CHUNK: u128 = 10_u128.pow(16);
/// Groups of a 128-bit number (39 digits) with three zeros appended.
const GROUPS_MAX: usize = 12;

/// Appends an amount: a four-byte length, then the value.
pub fn put_amount(out: &mut Vec<u8>, amount: Amount) {
    let scale = amount.scale();
    let padding = (GROUP - scale % GROUP) % GROUP;
    // Below 2^96 × 10^3: fits.
    let units = amount.mantissa().unsigned_abs() * 10_u128.pow(padding);
    put_units(out, units, scale, (scale + padding) / GROUP, amount.is_negative());
}

/// Appends the numerator of a share, a whole number of up to 256 bits.
pub fn put_numerator(out: &mut Vec<u8>, share: &Share) {
    match share.narrow() {
        Some((num, _)) => put_units(out, num, 0, 0, false),
        None => put_digits(out, &share.num().to_string()),
    }
}

/// The same for its denominator.
pub fn put_denominator(out: &mut Vec<u8>, share: &Share) {
    match share.narrow() {
        Some((_, den)) => put_units(out, den, 0, 0, false),
        None => put_digits(out, &share.den().to_string()),
    }
}

/// `units` in groups, of which the last `decimals` stand behind the point.
fn put_units(out: &mut Vec<u8>, units: u128, scale: u32, decimals: u32, negative: bool) {
    let mut groups = [0_u16; GROUPS_MAX];
    let (mut count, mut rest) = (0, units);
    // Wide divisions are dear: one for four groups, and none for most numbers.
    while rest > u128::from(u64::MAX) {
        let mut chunk = (rest % CHUNK) as u64;
        rest /= CHUNK;
        for _ in 0..4 {
            groups[count] = (chunk % GROUP_BASE) as u16;
            chunk /= GROUP_BASE;
            count += 1;
        }
    }
    let mut rest = rest as u64;
    while rest > 0 {
        groups[count] = (rest % GROUP_BASE) as u16;
        rest /= GROUP_BASE;
        count += 1;
    }
    put_groups(out, &groups[..count], scale, decimals, negative);
}

/// The same for a whole number of any length, from its decimal digits.
fn put_digits(out: &mut Vec<u8>, digits: &str) {
    let group =
        |digits: &[u8]| digits.iter().fold(0_u16, |n, digit| n * 10 + u16::from(digit - b'0'));
    let groups: Vec<u16> = digits.as_bytes().rchunks(GROUP as usize).map(group).collect();
    put_groups(out, &groups, 0, 0, false);
}

/// `groups` from the least significant on; none for zero.
fn put_groups(out: &mut Vec<u8>, groups: &[u16], scale: u32, decimals: u32, negative: bool) {
    let zeros = groups.iter().take_while(|group| **group == 0).count();
    let kept = &groups[zeros..];
    let weight = if kept.is_empty() { 0 } else { groups.len() as i16 - decimals as i16 - 1 };
    out.extend_from_slice(&(8 + 2 * kept.len() as i32).to_be_bytes());
    out.extend_from_slice(&(kept.len() as i16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&(if negative { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    kept.iter().rev().for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
}

/// Reads an amount from the value without its length; `None` when it is no number that an amount holds.
pub fn take_amount(raw: &[u8]) -> Option<Amount> {
    let (head, digits) = raw.split_at_checked(8)?;
    let word = |i: usize| u16::from_be_bytes([head[2 * i], head[2 * i + 1]]);
    let (count, weight, sign) = (usize::from(word(0)), i32::from(word(1) as i16), word(2));
    if digits.len() != 2 * count || (sign != 0 && sign != NEGATIVE) {
        return None;
    }
    let mut units = 0_i128;
    for group in digits.chunks_exact(2) {
        let group = i128::from(u16::from_be_bytes([group[0], group[1]]));
        units = units.checked_mul(10_000)?.checked_add(group)?;
    }
    let groups_behind = i32::try_from(count).ok()? - 1 - weight;
    let scale = groups_behind.checked_mul(GROUP as i32)?;
    let units = if sign == NEGATIVE { -units } else { units };
    match u32::try_from(scale) {
        Ok(scale) => Amount::from_parts(units, scale),
        Err(_) => {
            Amount::from_parts(units.checked_mul(10_i128.checked_pow(scale.unsigned_abs())?)?, 0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_amount(&mut out, Amount::parse(text).unwrap());
        out
    }

    /// Bytes that `numeric_send` of PostgreSQL 15 gives, with the length in front.
    #[test]
    fn amounts_are_what_postgres_sends() {
        let words = |words: &[i16]| -> Vec<u8> {
            let length = (2 * words.len() as i32).to_be_bytes();
            length.into_iter().chain(words.iter().flat_map(|w| w.to_be_bytes())).collect()
        };
        assert_eq!(amount("0"), words(&[0, 0, 0, 0]));
        assert_eq!(amount("1"), words(&[1, 0, 0, 0, 1]));
        assert_eq!(amount("-1.5"), words(&[2, 0, 0x4000, 1, 1, 5000]));
        assert_eq!(amount("10000"), words(&[1, 1, 0, 0, 1]));
        assert_eq!(amount("0.00001234"), words(&[1, -2, 0, 8, 1234]));
        assert_eq!(amount("12345.678"), words(&[3, 1, 0, 3, 1, 2345, 6780]));
        assert_eq!(
            amount("79228162514264337593543950335"),
            words(&[8, 7, 0, 0, 7, 9228, 1625, 1426, 4337, 5935, 4395, 335])
        );
        assert_eq!(amount("-0.0000000000000000000000000001"), words(&[1, -7, 0x4000, 28, 1]));
    }

    #[test]
    fn amounts_come_back() {
        for text in [
            "0",
            "-1",
            "120000",
            "100000000000000000000000000",
            "7.9228162514264337593543950335",
            "-79228162514264.337593543950335",
            "0.0000000000000000000000000001",
            "9999.9999",
            "18446744073709551616.5",
        ] {
            assert_eq!(
                take_amount(&amount(text)[4..]),
                Some(Amount::parse(text).unwrap()),
                "{text}"
            );
        }
        for bad in [
            &[0; 7][..],
            &[0, 0, 0, 0, 0xC0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 99, 0, 0, 0, 0, 0, 1],
        ] {
            assert_eq!(take_amount(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn shares_are_whole_numbers_of_any_width() {
        let wide = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let mut out = Vec::new();
        let share = Share::from_texts("10000", wide).unwrap();
        put_numerator(&mut out, &share);
        put_denominator(&mut out, &share);
        assert_eq!(out[..14], [0, 0, 0, 10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1]);
        assert_eq!(out[14..22], [0, 0, 0, 8 + 2 * 20, 0, 20, 0, 19]);
        let text: String = out[26..]
            .chunks_exact(2)
            .map(|g| format!("{:04}", u16::from_be_bytes([g[0], g[1]])))
            .collect();
        assert_eq!(text.trim_start_matches('0'), wide);
    }
}

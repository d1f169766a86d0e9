//! Why a text is no amount, and how to mend it.

use thiserror::Error;

use super::amount::is_number;

/// Longest piece of a refused text that a message repeats, in characters.
const MAX_QUOTED: usize = 60;

/// A text that is no exact decimal number. `text` is what was found, cut when very long.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Nothing there.
    #[error("amount is empty: write a number such as 12.5, or 0")]
    Empty,
    /// One comma where a point belongs.
    #[error("decimal comma in `{text}`: write {mended}")]
    DecimalComma {
        /// What was found.
        text: String,
        /// How to write it.
        mended: String,
    },
    /// `1,234` could be either.
    #[error("comma in `{text}`: write {fraction} for a fraction, {whole} for thousands")]
    AmbiguousComma {
        /// What was found.
        text: String,
        /// How to write it when the comma was a decimal one.
        fraction: String,
        /// How to write it when the comma separated thousands.
        whole: String,
    },
    /// Digits in groups.
    #[error("digit groups in `{text}`: write {mended}")]
    Grouped {
        /// What was found.
        text: String,
        /// How to write it.
        mended: String,
    },
    /// A sign where none can be.
    #[error("misplaced sign in `{text}`: write at most one sign, in front")]
    Sign {
        /// What was found.
        text: String,
    },
    /// Not a number, or no finite one.
    #[error("`{text}` is not a finite number: write digits")]
    NotFinite {
        /// What was found.
        text: String,
    },
    /// Hexadecimal, octal or binary.
    #[error("`{text}` is not decimal: write decimal digits")]
    NotDecimal {
        /// What was found.
        text: String,
    },
    /// `1e`, `1e1.5`
    #[error("malformed exponent in `{text}`: write digits after the e, as in 1e-7")]
    Exponent {
        /// What was found.
        text: String,
    },
    /// `1.2.3`
    #[error(
        "more than one decimal point in `{text}`: write one at most, and no thousands separators"
    )]
    Points {
        /// What was found.
        text: String,
    },
    /// A character that belongs to no number.
    #[error(
        "unexpected {character:?} at character {position} of `{text}`: write only digits, a sign and a point{hint}"
    )]
    Character {
        /// What was found.
        text: String,
        /// The first character that does not belong there.
        character: char,
        /// Its place, counted from 1.
        position: usize,
        /// What else may help; empty or starting with `; `.
        hint: &'static str,
    },
    /// Sign, point or exponent without digits.
    #[error("no digits in `{text}`: write a number such as 12.5")]
    NoDigits {
        /// What was found.
        text: String,
    },
    /// A number, but it cannot be held exactly.
    #[error(
        "`{text}` has more digits than can be held exactly: write at most 28 decimals, and no more than 79228162514264337593543950335 without the point"
    )]
    TooManyDigits {
        /// What was found.
        text: String,
    },
}

/// `text` is a number that does not fit.
pub(super) fn too_many_digits(text: &str) -> AmountError {
    AmountError::TooManyDigits { text: quote(text) }
}

/// Finds what is wrong with `text`, which is trimmed and is no number. Slow path: only for people.
pub(super) fn explain(text: &str) -> AmountError {
    if text.is_empty() {
        return AmountError::Empty;
    }
    let quoted = quote(text);
    let unsigned = text.trim_start_matches(['+', '-']);
    let lower = unsigned.to_ascii_lowercase();
    if matches!(lower.as_str(), "nan" | "inf" | "infinity") {
        return AmountError::NotFinite { text: quoted };
    }
    if ["0x", "0o", "0b"].iter().any(|prefix| lower.starts_with(prefix)) {
        return AmountError::NotDecimal { text: quoted };
    }
    if let Some(error) = explain_separators(text, &quoted) {
        return error;
    }
    for (index, character) in text.chars().enumerate() {
        if !matches!(character, '0'..='9' | '.' | '+' | '-' | 'e' | 'E') {
            let hint = hint(character);
            return AmountError::Character { text: quoted, character, position: index + 1, hint };
        }
    }
    explain_order(text, quoted)
}

/// Commas, and groups of digits: told only where the rest is a plain number.
fn explain_separators(text: &str, quoted: &str) -> Option<AmountError> {
    let text = (quoted == text).then_some(text)?;
    let without = |dropped: &[char]| text.replace(dropped, "");
    let (commas, points) = (text.matches(',').count(), text.matches('.').count());
    if commas == 1 && points == 0 {
        let (fraction, whole) = (text.replace(',', "."), without(&[',']));
        if !is_number(&fraction) {
            return None;
        }
        let decimals = text.rsplit(',').next().map_or(0, str::len);
        return Some(if decimals == 3 {
            AmountError::AmbiguousComma { text: quoted.to_owned(), fraction, whole }
        } else {
            AmountError::DecimalComma { text: quoted.to_owned(), mended: fraction }
        });
    }
    // 1.234,56: the comma comes last, once, and the points are groups.
    let mended = if commas == 1 && text.find(',') > text.rfind('.') {
        without(&['.']).replace(',', ".")
    } else {
        without(&[',', '_', '\'', ' '])
    };
    (mended != text && is_number(&mended))
        .then(|| AmountError::Grouped { text: quoted.to_owned(), mended })
}

/// Only characters of numbers, in an order that makes none.
fn explain_order(text: &str, quoted: String) -> AmountError {
    let (significand, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    if significand.char_indices().any(|(at, character)| at > 0 && matches!(character, '+' | '-')) {
        return AmountError::Sign { text: quoted };
    }
    if significand.matches('.').count() > 1 {
        return AmountError::Points { text: quoted };
    }
    if !significand.contains(|character: char| character.is_ascii_digit()) {
        return AmountError::NoDigits { text: quoted };
    }
    debug_assert!(exponent.is_some(), "one sign, one point and digits make a number: {quoted}");
    AmountError::Exponent { text: quoted }
}

fn hint(character: char) -> &'static str {
    match character {
        '(' | ')' => "; for a negative amount write - in front",
        '%' => "; leave the percent sign out",
        '\u{2212}' | '\u{2010}'..='\u{2015}' => "; write the minus sign as -",
        '$' | '€' | '£' | '¥' => "; the currency has its own column",
        letter if letter.is_alphabetic() => "; a currency code has its own column",
        _ => "",
    }
}

/// `text`, cut at [`MAX_QUOTED`] characters.
fn quote(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

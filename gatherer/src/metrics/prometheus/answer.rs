//! Reads what Prometheus' HTTP API answers: one pass, values from their text, no float anywhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use proto::money::Amount;
use proto::time::UtcSeconds;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};

use crate::metrics::table::Sample;

/// Characters of a bad value that are told.
const TOLD_CHARS: usize = 60;

/// What the server answers.
#[derive(Debug, Deserialize)]
pub struct Answer {
    /// `success` or `error`.
    pub status: String,
    /// The series.
    #[serde(default)]
    pub data: Option<Data>,
    /// Why there are none.
    #[serde(default)]
    pub error: Option<String>,
    /// What is missing or odd.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub warnings: Vec<String>,
    /// What could be better about the query.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub infos: Vec<String>,
    /// What VictoriaMetrics says when some of its stores did not answer.
    #[serde(default, rename = "isPartial")]
    pub is_partial: bool,
}

/// The series of an answer.
#[derive(Debug, Deserialize)]
pub struct Data {
    /// One per combination of labels.
    pub result: Vec<RawSeries>,
}

/// A series as it comes.
#[derive(Debug, Deserialize)]
pub struct RawSeries {
    /// All its labels.
    pub metric: BTreeMap<String, String>,
    /// Values of a range.
    #[serde(default)]
    pub values: Samples,
    /// The value of a moment.
    #[serde(default)]
    pub value: Option<One>,
    /// Native histograms of a range.
    #[serde(default)]
    pub histograms: Option<IgnoredAny>,
    /// The native histogram of a moment.
    #[serde(default)]
    pub histogram: Option<IgnoredAny>,
}

/// The kind of an answer that could not be read otherwise.
#[derive(Debug, Deserialize)]
pub struct Kind {
    data: KindData,
}

#[derive(Debug, Deserialize)]
struct KindData {
    #[serde(rename = "resultType")]
    kind: String,
}

impl Kind {
    /// `scalar` or `string`, where it is one of these.
    #[must_use]
    pub fn single(body: &[u8]) -> Option<String> {
        let kind = serde_json::from_slice::<Self>(body).ok()?.data.kind;
        matches!(kind.as_str(), "scalar" | "string").then_some(kind)
    }
}

/// Samples of a series that are numbers, and what else there was.
#[derive(Debug, Default)]
pub struct Samples {
    /// Numbers, as they came.
    pub numbers: Vec<Sample>,
    /// How many were `NaN`.
    pub not_numbers: u64,
    /// The first one that is neither.
    pub odd: Option<Odd>,
}

/// A value that no amount can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Odd {
    /// When.
    pub at: UtcSeconds,
    /// The beginning of its text.
    pub text: String,
    /// How to mend it.
    pub mend: &'static str,
}

impl Samples {
    fn push(&mut self, at: i64, text: &str) {
        let at = UtcSeconds(at);
        match Amount::parse(text) {
            Ok(value) => self.numbers.push(Sample { at, value }),
            Err(_) if text == "NaN" => self.not_numbers += 1,
            Err(_) => {
                let mend = if text.trim_start_matches(['+', '-']) == "Inf" {
                    "the query divides by zero: add `> 0` to what it divides by"
                } else {
                    "it is too small or too large to be held exactly: multiply or divide it in the query, or `round(…)` it"
                };
                let text = text.chars().take(TOLD_CHARS).collect();
                self.odd.get_or_insert(Odd { at, text, mend });
            }
        }
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Samples;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [time, \"value\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Samples, A::Error> {
                let mut samples = Samples::default();
                while let Some((Seconds(at), Text(text))) = list.next_element()? {
                    samples.push(at, &text);
                }
                Ok(samples)
            }
        }
        deserializer.deserialize_seq(All)
    }
}

/// A single sample.
#[derive(Debug)]
pub struct One(pub Samples);

impl<'de> Deserialize<'de> for One {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Seconds(at), Text(text)) = Deserialize::deserialize(deserializer)?;
        let mut samples = Samples::default();
        samples.push(at, &text);
        Ok(Self(samples))
    }
}

/// Text that mostly needs no copy.
#[derive(Deserialize)]
struct Text<'t>(#[serde(borrow)] Cow<'t, str>);

/// A time in whole seconds: all that we ask about are.
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Seconds;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time in whole seconds")
            }
            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Seconds, E> {
                Ok(Seconds(seconds))
            }
            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Seconds, E> {
                i64::try_from(seconds).map(Seconds).map_err(E::custom)
            }
            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Seconds, E> {
                // `1790812800.0` or `1.7908128e9`; whole numbers of this size are exact.
                if seconds.fract() == 0.0 && seconds.abs() < 1e15 {
                    return Ok(Seconds(seconds as i64));
                }
                Err(E::custom(format!("{seconds} is no time in whole seconds")))
            }
        }
        deserializer.deserialize_i64(Whole)
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

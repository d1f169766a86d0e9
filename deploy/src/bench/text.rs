//! What was measured, for people and for programs.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use proto::money::ExactSum;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};

use super::Measured;
use crate::summary::table;

/// Phases in the order of their ends: name, when the first and the last of it was done, counted from the first task.
fn phases(measured: &Measured) -> [(&'static str, Duration, Duration); 3] {
    let timings = &measured.timings;
    [
        ("gather", Duration::ZERO, timings.gathered.1),
        ("allocate", timings.gathered.0, timings.allocated.1),
        ("store", timings.allocated.0, timings.visible),
    ]
}

/// So many in a second; of less than a microsecond nothing can be said.
fn rate(items: u64, taken: Duration) -> u64 {
    let micros = taken.as_micros().max(1);
    u64::try_from(u128::from(items) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

fn seconds(taken: Duration) -> Decimal {
    Decimal::from_i128_with_scale(taken.as_millis() as i128, 3)
}

/// From the first unit that was known until all were visible.
fn calculating(measured: &Measured) -> Duration {
    measured.timings.visible.saturating_sub(measured.timings.gathered.0)
}

/// How much of the wall the pipeline reaches.
fn ratio(measured: &Measured) -> Decimal {
    let of = |taken: Duration| Decimal::from(taken.as_micros() as u64);
    let ratio = of(measured.wall.taken).checked_div(of(measured.timings.visible));
    ratio.unwrap_or_default().round_dp(3)
}

/// The largest difference of all tenants and currencies: 0 when everything adds up.
fn difference(measured: &Measured) -> ExactSum {
    let gaps = measured.summary.gaps();
    gaps.into_iter().map(|(_, gap)| gap.difference).next().unwrap_or_default()
}

fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

fn number(value: Decimal) -> Result<Value> {
    Ok(json!(value.to_f64().context("a measurement is no number")?))
}

/// The one JSON document.
pub fn document(measured: &Measured) -> Result<String> {
    let (lines, rows) = (measured.planned.lines, measured.rows());
    let speed = |taken: Duration| -> Result<Value> {
        Ok(json!({
            "seconds": number(seconds(taken))?,
            "lines_per_s": rate(lines, taken),
            "rows_per_s": rate(rows, taken),
        }))
    };
    let mut all = Map::new();
    for (name, from, to) in phases(measured) {
        let mut phase = speed(to.saturating_sub(from))?;
        phase["from_s"] = number(seconds(from))?;
        phase["to_s"] = number(seconds(to))?;
        all.insert(name.to_owned(), phase);
    }
    let usages = measured.usages.iter();
    let rss: Map<String, Value> = usages
        .clone()
        .map(|(role, usage)| ((*role).to_owned(), megabytes(usage.peak_bytes).into()))
        .collect();
    let cpu: Result<Map<String, Value>> = usages
        .map(|(role, usage)| {
            Ok(((*role).to_owned(), number(Decimal::new(usage.cpu_centis as i64, 2))?))
        })
        .collect();
    let document = json!({
        "lines": lines,
        "rows": rows,
        "phases": all,
        "end_to_end": speed(measured.timings.visible)?,
        "units": measured.planned.units,
        "units_per_s": rate(measured.planned.units, calculating(measured)),
        "wall": {
            "seconds": number(seconds(measured.wall.taken))?,
            "rows_per_s": rate(rows, measured.wall.taken),
            "bytes_per_row": measured.wall.bytes / rows.max(1),
        },
        "ratio": number(ratio(measured))?,
        "bytes_per_row": {
            "rows": measured.sizes.rows / rows.max(1),
            "lines": measured.sizes.lines / rows.max(1),
            "archive": measured.sizes.archive / rows.max(1),
        },
        "cpu_s": cpu?,
        "rss_mb": rss,
        "difference": difference(measured),
    });
    Ok(serde_json::to_string(&document)? + "\n")
}

/// The same as tables.
pub fn report(measured: &Measured) -> Result<String> {
    let (lines, rows) = (measured.planned.lines, measured.rows());
    let mut text = format!("{lines} lines became {rows} rows\n\n");
    let row = |name: &str, from: Duration, to: Duration| {
        let taken = to.saturating_sub(from);
        let shown = [seconds(from), seconds(to), seconds(taken)].map(|s| s.to_string());
        let speeds = [rate(lines, taken), rate(rows, taken)].map(|s| s.to_string());
        [name.to_owned()].into_iter().chain(shown).chain(speeds).collect::<Vec<_>>()
    };
    let mut all: Vec<Vec<String>> =
        phases(measured).into_iter().map(|(name, from, to)| row(name, from, to)).collect();
    all.push(row("end to end", Duration::ZERO, measured.timings.visible));
    let header = ["phase", "from s", "to s", "seconds", "lines/s", "rows/s"];
    text += &table(&header, 1, &all);
    let (units, taken) = (measured.planned.units, calculating(measured));
    writeln!(text, "\n{units} units, {} a second from known to visible", rate(units, taken))?;
    text += "\n";
    let usages = measured.usages.iter().map(|(role, usage)| {
        let cpu = Decimal::new(usage.cpu_centis as i64, 2).to_string();
        vec![(*role).to_owned(), cpu, megabytes(usage.peak_bytes).to_string()]
    });
    let usages: Vec<_> = usages.collect();
    if usages.is_empty() {
        text += "processor time and memory of processes can be seen on Linux only\n";
    } else {
        text += &table(&["process", "CPU seconds", "peak MB resident"], 1, &usages);
    }
    let (sizes, wall) = (&measured.sizes, &measured.wall);
    let each = |bytes: u64| bytes / rows.max(1);
    writeln!(
        text,
        "\nbytes in Postgres per row: {} of rows, {} of their lines, {} of the archive",
        each(sizes.rows),
        each(sizes.lines),
        each(sizes.archive)
    )?;
    writeln!(
        text,
        "the wall: COPY of {rows} bare rows takes {} s, {} rows/s, {} bytes each",
        seconds(wall.taken),
        rate(rows, wall.taken),
        each(wall.bytes)
    )?;
    writeln!(text, "ratio {}, difference {}", ratio(measured), difference(measured))?;
    Ok(text)
}

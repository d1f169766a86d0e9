//! How time and memory grow: `apportion bench` over one thing that grows, as a table and as plots.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use plotters::prelude::*;
use serde_json::Value;

/// One thing that grows while the rest stays.
#[derive(Debug, Clone, Copy)]
pub struct Curve {
    /// File name of its plot, without ending.
    pub name: &'static str,
    /// What grows, as the axis calls it.
    pub grows: &'static str,
    /// The option of `bench` that sets it.
    pub option: &'static str,
    /// Its values, rising.
    pub values: &'static [u64],
    /// The other options.
    pub others: &'static [&'static str],
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The value of what grows.
    pub value: u64,
    /// Rows that became visible.
    pub rows: u64,
    /// First task to last visible date, in seconds.
    pub seconds: f64,
    /// Rows per second of it.
    pub rows_per_s: u64,
    /// Part of the speed of COPY alone.
    pub ratio: f64,
    /// Largest resident memory of a process of ours, in MB; 0 where it cannot be seen.
    pub peak_mb: u64,
}

impl Curve {
    /// Runs the program once for each value.
    ///
    /// # Errors
    /// When a run fails or does not add up.
    pub fn measure(&self, program: &Path) -> Result<Vec<Point>> {
        self.values.iter().map(|value| self.point(program, *value)).collect()
    }

    fn point(&self, program: &Path, value: u64) -> Result<Point> {
        let mut command = Command::new(program);
        command.args(["bench", "--json", self.option, &value.to_string()]).args(self.others);
        command.env_remove("DATABASE_URL").env_remove("NATS_URL");
        let output = command.output().context("the program does not start")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {value}: {said}", self.option);
        let document: Value = serde_json::from_slice(&output.stdout)?;
        ensure!(document["difference"] == "0", "{} {value} does not add up", self.option);
        let whole = |value: &Value| value.as_u64().context("a measurement is missing");
        let number = |value: &Value| value.as_f64().context("a measurement is missing");
        let ours = ["coordinator", "gatherer", "allocator", "emitter"];
        let peaks = ours.iter().filter_map(|role| document["rss_mb"][role].as_u64());
        Ok(Point {
            value,
            rows: whole(&document["rows"])?,
            seconds: number(&document["end_to_end"]["seconds"])?,
            rows_per_s: whole(&document["end_to_end"]["rows_per_s"])?,
            ratio: number(&document["ratio"])?,
            peak_mb: peaks.max().unwrap_or(0),
        })
    }

    /// The options of its runs, the value left open.
    #[must_use]
    pub fn command(&self) -> String {
        let others = self.others.iter().map(|option| format!(" {option}")).collect::<String>();
        format!("apportion bench {} N{others}", self.option)
    }
}

/// The points as a table in Markdown.
#[must_use]
pub fn table(curve: &Curve, points: &[Point]) -> String {
    let mut text = format!("## {}\n\n`{}`\n\n", curve.grows, curve.command());
    text += "| N | rows | seconds | rows/s | ratio to COPY alone | largest process, MB |\n";
    text += "|--:|--:|--:|--:|--:|--:|\n";
    for point in points {
        let Point { value, rows, seconds, rows_per_s, ratio, peak_mb } = point;
        writeln!(text, "| {value} | {rows} | {seconds} | {rows_per_s} | {ratio} | {peak_mb} |")
            .expect("a String takes everything");
    }
    text + &format!("\n![seconds by {}]({}.svg)\n", curve.grows, curve.name)
}

/// Seconds over what grows, both axes logarithmic, as an SVG.
///
/// # Errors
/// When there are no points, or the plot cannot be drawn.
pub fn plot(curve: &Curve, points: &[Point]) -> Result<String> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        anyhow::bail!("nothing was measured")
    };
    let seconds = || points.iter().map(|point| point.seconds.max(0.001));
    let (least, most) = (seconds().fold(f64::MAX, f64::min), seconds().fold(0.0, f64::max));
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (640, 400)).into_drawing_area();
        root.fill(&WHITE)?;
        let across = (first.value as f64..last.value as f64).log_scale();
        // Half a step of room above and below.
        let up = (10_f64.powf(least.log10().floor())..10_f64.powf(most.log10().ceil())).log_scale();
        let mut chart = ChartBuilder::on(&root)
            .caption(format!("seconds by {}", curve.grows), ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(56)
            .build_cartesian_2d(across, up)?;
        chart.configure_mesh().x_desc(curve.grows).y_desc("seconds").draw()?;
        let at = || points.iter().map(|point| (point.value as f64, point.seconds.max(0.001)));
        chart.draw_series(LineSeries::new(at(), &BLUE))?;
        chart.draw_series(at().map(|place| Circle::new(place, 4, BLUE.filled())))?;
        root.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_a_plot_show_every_point() {
        let curve = Curve {
            name: "rows",
            grows: "rows",
            option: "--rows",
            values: &[],
            others: &["--tenants", "1"],
        };
        let point = |value, seconds| Point {
            value,
            rows: value,
            seconds,
            rows_per_s: 5,
            ratio: 0.5,
            peak_mb: 30,
        };
        let points = [point(1_000, 0.5), point(10_000, 4.0), point(100_000, 42.0)];
        let text = table(&curve, &points);
        assert!(text.contains("`apportion bench --rows N --tenants 1`"), "{text}");
        assert!(text.contains("| 100000 | 100000 | 42 | 5 | 0.5 | 30 |"), "{text}");
        let svg = plot(&curve, &points).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert!(plot(&curve, &[]).is_err());
    }
}

//! What is calculated: so many seeded lines, as a configuration.

use std::fmt::Write;

use anyhow::{Result, ensure};
use clap::Args;

/// First date of every source.
pub const START: &str = "2026-01-01";

/// How much, and of what shape.
#[derive(Debug, Clone, Copy, Args)]
pub struct Shape {
    /// Rows to be stored, at least so many
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000_000))]
    pub rows: u64,
    /// Rows of each line
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub fanout: u32,
    /// Tenants
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub tenants: u32,
    /// Dates of each tenant
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub dates: u32,
    /// Lines of each resource and date, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub products: u32,
    /// Identities that share them [default: 1000, or FANOUT where that is more]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub identities: Option<u32>,
}

/// A shape in whole lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// Dates of all tenants.
    pub units: u64,
    /// Lines of all tenants and dates.
    pub lines: u64,
    /// Their rows.
    pub rows: u64,
    resources: u64,
    products: u64,
    identities: u32,
}

impl Shape {
    /// Rounded up to whole lines, resources and dates.
    ///
    /// # Errors
    /// When there are fewer rows than dates, or fewer identities than each line has.
    pub fn planned(&self) -> Result<Planned> {
        let units = u64::from(self.tenants) * u64::from(self.dates);
        let fanout = u64::from(self.fanout);
        let least = units * fanout;
        ensure!(
            self.rows >= least,
            "--rows {} are too few for {} tenants, {} dates and {} rows of each line: give --rows {least} or more, or \
             fewer --tenants, --dates or a lower --fanout",
            self.rows,
            self.tenants,
            self.dates,
            self.fanout
        );
        let identities = self.identities.unwrap_or(self.fanout.max(1_000));
        ensure!(
            identities >= self.fanout,
            "--identities {identities} are fewer than --fanout {}: each line is shared by so many different ones",
            self.fanout
        );
        let lines_of_unit = self.rows.div_ceil(units * fanout);
        let products = u64::from(self.products).min(lines_of_unit);
        let resources = lines_of_unit.div_ceil(products);
        let lines = resources * products * units;
        Ok(Planned { units, lines, rows: lines * fanout, resources, products, identities })
    }

    /// The tenants' files: name and text.
    pub fn files(&self, planned: &Planned) -> impl Iterator<Item = (String, String)> {
        let Self { fanout, dates, tenants, .. } = *self;
        let Planned { resources, products, identities, .. } = *planned;
        (1..=tenants).map(move |tenant| {
            let mut text =
                String::from("currency: USD\nsources:\n  seeded:\n    kind: synthetic\n");
            for (key, value) in [
                ("seed", u64::from(tenant)),
                ("dates", u64::from(dates)),
                ("resources", resources),
                ("products", products),
                ("fanout", u64::from(fanout)),
                ("identities", u64::from(identities)),
            ] {
                writeln!(text, "    {key}: {value}").expect("a String takes everything");
            }
            writeln!(text, "    start: {START}").expect("a String takes everything");
            (format!("bench-{tenant:05}"), text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape {
        rows: 1_000_000,
        fanout: 10,
        tenants: 1,
        dates: 30,
        products: 10,
        identities: None,
    };

    #[test]
    fn rows_are_rounded_up_to_whole_resources() {
        let planned = SHAPE.planned().unwrap();
        assert_eq!((planned.resources, planned.lines, planned.rows), (334, 100_200, 1_002_000));
        let one = Shape { rows: 30, fanout: 1, ..SHAPE }.planned().unwrap();
        assert_eq!((one.resources, one.products, one.rows), (1, 1, 30));
        let wide = Shape { fanout: 2_000, ..SHAPE }.planned().unwrap();
        assert_eq!(wide.identities, 2_000);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let few = Shape { rows: 299, ..SHAPE }.planned().unwrap_err().to_string();
        assert!(few.contains("--rows 300 or more"), "{few}");
        let narrow = Shape { identities: Some(9), ..SHAPE }.planned().unwrap_err().to_string();
        assert!(narrow.contains("--identities 9 are fewer than --fanout 10"), "{narrow}");
    }
}

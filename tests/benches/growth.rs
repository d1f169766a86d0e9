//! `cargo bench -p tests --bench growth [-- NAME…]`: how time and memory grow with rows, tenants, fan-out and workers;
//! the table and the plots go to `docs/performance/`. Takes some minutes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use tests::growth::{Curve, plot, table};

const CURVES: [Curve; 4] = [
    Curve {
        name: "rows",
        grows: "rows",
        option: "--rows",
        values: &[10_000, 100_000, 1_000_000, 10_000_000],
        others: &[],
    },
    Curve {
        name: "tenants",
        grows: "tenants",
        option: "--tenants",
        values: &[1, 10, 100, 1_000],
        others: &["--dates", "3"],
    },
    Curve {
        name: "fanout",
        grows: "rows of each line",
        option: "--fanout",
        values: &[1, 10, 100, 1_000],
        others: &[],
    },
    Curve {
        name: "workers",
        grows: "allocators",
        option: "--allocators",
        values: &[1, 2, 3, 4],
        others: &["--emitters", "2"],
    },
];

fn main() -> Result<()> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/performance");
    let program = tests::program::apportion();
    for curve in CURVES
        .iter()
        .filter(|curve| asked.is_empty() || asked.iter().any(|name| name == curve.name))
    {
        let points = curve.measure(program)?;
        let (text, svg) = (table(curve, &points), plot(curve, &points)?);
        println!("{text}");
        for (ending, text) in [("md", text), ("svg", svg)] {
            let path = folder.join(format!("{}.{ending}", curve.name));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

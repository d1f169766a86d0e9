//! Lines and rows for the ledger, published as a gatherer and an allocator would.

use proto::hash::{Hash128, SetHash};
use proto::ids::{Attempt, Generation};
use proto::line::{BillingLineItem, LineBatchBuilder, LineId, cell};
use proto::manifest::Manifest;
use proto::money::{Amount, Share};
use proto::resolution::{IdentityResolution, ResolutionBatch};
use proto::row::{CostType, Entry, RowDimension, RowMoney, batch_of};
use proto::subject::Stream;
use proto::time::UtcSeconds;
use runtime::data::BatchWriter;

use crate::desk::{Desk, day};

/// What is known of a resource on `date`.
pub fn resolution(date: &str, key: &str) -> IdentityResolution {
    let start = day(date).start();
    IdentityResolution {
        key: key.into(),
        window_start: start,
        window_end: UtcSeconds(start.0 + 86_400),
        resource_active: vec!["tag:checkout".into()],
        metrics_derived: Vec::new(),
        tenant_period: Vec::new(),
        usage: vec![("bytes".into(), "tag:checkout".into(), amount("3.5"))],
        failed_metrics: Vec::new(),
    }
}

/// Lines per batch: small, so that tests have several.
const BATCH: usize = 3;

pub fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

/// A line of `date` that costs `cost`; `n` tells lines apart and sets the hour.
pub fn line(date: &str, n: u32, cost: &str) -> BillingLineItem {
    let start = day(date).start().0 + i64::from(n % 24) * 3600;
    let cells = [
        (cell::BILLING_ACCOUNT, "0123".to_owned()),
        (cell::RESOURCE_ID, format!("r-{n}")),
        (cell::PRODUCT_CATEGORY, "Compute".to_owned()),
        (cell::SERVICE, "=vm".to_owned()),
        (cell::PRICING_UNIT, "Hours".to_owned()),
    ];
    let mut cells: Vec<_> =
        cells.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    cells.sort();
    BillingLineItem {
        id: LineId(Hash128::of_texts([date, &n.to_string()])),
        charge_start: UtcSeconds(start),
        charge_end: UtcSeconds(start + 3600),
        billing_period: "2026-05".parse().unwrap(),
        currency: "USD".parse().unwrap(),
        amount: amount(cost),
        measures: [None; 4],
        quantities: [Some(amount("1")), None],
        resolution_key: None,
        cells,
    }
}

pub fn dimension(identity: &str, tier: u16, method: &str) -> RowDimension {
    RowDimension {
        rule: "by-account".into(),
        tier,
        part: 0,
        identity: identity.into(),
        owner: identity.rsplit(':').next().unwrap_or_default().into(),
        cost_type: CostType::Usage,
        method: method.into(),
        detail: None,
        entry: Entry::Original,
        booking_period: None,
    }
}

/// The whole of each line to one identity.
pub fn direct(lines: &[BillingLineItem]) -> Vec<(RowDimension, RowMoney)> {
    let row = |line: &BillingLineItem| (dimension("tag:checkout", 0, "direct"), whole(line));
    lines.iter().map(row).collect()
}

/// All of a line.
pub fn whole(line: &BillingLineItem) -> RowMoney {
    RowMoney {
        line: line.id,
        share: Share::ONE,
        amount: line.amount,
        measures: line.measures,
        quantities: line.quantities,
    }
}

impl Desk {
    /// Publishes lines as a gather of `generation`.
    pub async fn put_lines(
        &self,
        date: &str,
        generation: i64,
        lines: &[BillingLineItem],
    ) -> Manifest {
        let (generation, attempt) = (Generation(generation), Attempt(rand::random()));
        let mut writer = BatchWriter::new(
            &self.bus,
            Stream::Line,
            &self.tenant,
            &self.source,
            day(date),
            generation,
            attempt,
        );
        for piece in lines.chunks(BATCH) {
            let mut builder = LineBatchBuilder::default();
            for line in piece {
                builder.push(line);
                writer.manifest.add_item(line.hash());
                writer.manifest.totals.add_line(line);
            }
            writer.write(&builder.take(), piece.len()).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    /// Publishes rows of `lines` as an allocation of `generation`.
    pub async fn put_rows(
        &self,
        date: &str,
        generation: i64,
        lines: &[BillingLineItem],
        rows: &[(RowDimension, RowMoney)],
    ) -> Manifest {
        let (generation, attempt) = (Generation(generation), Attempt(rand::random()));
        let mut writer = BatchWriter::new(
            &self.bus,
            Stream::Row,
            &self.tenant,
            &self.source,
            day(date),
            generation,
            attempt,
        );
        for piece in rows.chunks(BATCH) {
            let (batch, hashes) = batch_of(piece);
            for (hash, parts) in hashes {
                let mut set = SetHash::default();
                set.add(hash);
                writer.manifest.add_items(parts, set);
            }
            for (_, money) in piece {
                let line =
                    lines.iter().find(|line| line.id == money.line).expect("a row of these lines");
                writer.manifest.totals.add(
                    line.currency,
                    line.billing_period,
                    money.amount,
                    &money.measures,
                );
            }
            writer.write(&batch, piece.len()).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    /// Publishes resolutions, a batch each, as a resolving gatherer of `generation`.
    pub async fn put_resolutions(
        &self,
        date: &str,
        generation: i64,
        resolutions: &[IdentityResolution],
    ) -> Manifest {
        let (generation, attempt) = (Generation(generation), Attempt(rand::random()));
        let (stream, date) = (Stream::Resolution, day(date));
        let (bus, tenant, source) = (&self.bus, &self.tenant, &self.source);
        let mut writer = BatchWriter::new(bus, stream, tenant, source, date, generation, attempt);
        for resolution in resolutions {
            writer.manifest.add_item(resolution.hash());
            let batch = ResolutionBatch::new(std::slice::from_ref(resolution));
            writer.write(&batch, 1).await.unwrap();
        }
        writer.finish().await.unwrap()
    }

    /// Publishes lines and gives each to one identity, as `generation` of the rows.
    pub async fn put_direct(
        &self,
        date: &str,
        (lines_generation, generation): (i64, i64),
        lines: &[BillingLineItem],
    ) -> proto::task::CommitUnit {
        let manifest = self.put_lines(date, lines_generation, lines).await;
        let rows = self.put_rows(date, generation, lines, &direct(lines)).await;
        self.unit(date, generation, &manifest, rows)
    }
}

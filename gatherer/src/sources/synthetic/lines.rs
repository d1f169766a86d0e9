//! The lines of a synthetic source, made when they are asked for: no memory however many there are.

use std::collections::BTreeMap;

use proto::config::SyntheticSettings;
use proto::currency::Currency;
use proto::hash::Hash128;
use proto::ids::{SourceId, TenantId};
use proto::line::{BillingLineItem, LineId, cell};
use proto::money::Amount;
use proto::report::QuarantinedRecord;
use proto::time::{UnitDate, UtcSeconds};
use serde::{Deserialize, Serialize};

use super::{dates, next, resource_id, sequence};
use crate::error::GatherError;
use crate::identity::{Identity, Tag, line_id, tag};
use crate::ports::{GatherRequest, Harvest, Received, Summary, TakeLine, Watch};
use crate::sources::cursor::{self, DateHashes};
use crate::window::Window;

/// Cells of a line, sorted by name, and the places of those that change from line to line.
const CELLS: [(&str, &str); 8] = [
    (cell::BILLING_ACCOUNT, "synthetic"),
    (cell::CHARGE_CATEGORY, "Usage"),
    (cell::PRICING_UNIT, "Hours"),
    (cell::PROVIDER, "Synthetic"),
    (cell::RESOURCE_ID, ""),
    (cell::PRODUCT_CATEGORY, "Compute"),
    (cell::SERVICE, ""),
    (cell::PRODUCT_TYPE, ""),
];
const RESOURCE: usize = 4;
const SERVICE: usize = 6;
const PRODUCT: usize = 7;

#[derive(Serialize, Deserialize)]
struct SyntheticCursor {
    settings: Hash128,
    dates: DateHashes,
}

/// What a gather of a synthetic source found.
pub struct SyntheticHarvest {
    settings: SyntheticSettings,
    tenant: TenantId,
    source: SourceId,
    hash: Hash128,
    summary: Summary,
    watch: Watch,
}

impl SyntheticHarvest {
    /// Counts the lines of all dates that are not as they were. Blocks.
    pub fn collect(
        request: &GatherRequest,
        settings: SyntheticSettings,
    ) -> Result<Self, GatherError> {
        let config = &request.config;
        let hash = config
            .gather_hash(&request.source)
            .map_err(|error| GatherError::Config(error.to_string()))?;
        let task = &request.task;
        let bytes = task.cursor.as_ref().filter(|_| !task.rehash);
        let before = bytes.and_then(|bytes| cursor::decode::<SyntheticCursor>(bytes));
        let before = before
            .filter(|before| before.settings == hash)
            .map_or_else(Vec::new, |before| before.dates);
        let before: BTreeMap<UnitDate, Hash128> = before.into_iter().collect();
        let known: BTreeMap<UnitDate, Hash128> =
            task.known.iter().map(|k| (k.date, k.hash)).collect();
        let window = Window::of(task);
        let mut summary = Summary::default();
        for date in dates(&settings)?.into_iter().filter(|date| window.contains(*date)) {
            let same = before.get(&date).filter(|hash| known.get(&date) == Some(*hash));
            match same.filter(|_| !task.republish.contains(&date)) {
                Some(hash) => _ = summary.unchanged.insert(date, *hash),
                None => {
                    let received = received(&settings, date, request)?;
                    summary.records += received.lines;
                    summary.read.insert(date, received);
                }
            }
        }
        let harvest = Self::new(request.tenant.clone(), request.source.clone(), settings, summary);
        Ok(Self { hash, watch: request.watch.clone(), ..harvest })
    }

    /// The lines of a source, of which `summary` tells.
    pub fn new(
        tenant: TenantId,
        source: SourceId,
        settings: SyntheticSettings,
        summary: Summary,
    ) -> Self {
        Self { settings, tenant, source, hash: Hash128([0; 16]), summary, watch: Watch::default() }
    }
}

/// Counts the money of a date, without making its lines.
fn received(
    settings: &SyntheticSettings,
    date: UnitDate,
    request: &GatherRequest,
) -> Result<Received, GatherError> {
    let mut received = Received::default();
    for resource in 0..settings.resources {
        for product in 0..settings.products {
            let (amount, _) = numbers(settings.seed, date, resource, product);
            received.totals.add(currency(), date.period(), amount, &[None; 4]);
        }
        received.lines += u64::from(settings.products);
        if resource.is_multiple_of(256) {
            request.watch.tick()?;
        }
    }
    Ok(received)
}

fn currency() -> Currency {
    "USD".parse().expect("USD is a currency")
}

/// Amount and quantity of a line: 1 to 6 decimals, some hundred to some million units, now and then a refund.
fn numbers(seed: u64, date: UnitDate, resource: u32, product: u32) -> (Amount, Amount) {
    let mut state = sequence(seed, date, [resource, product]);
    let (units, form) = (next(&mut state), next(&mut state));
    let units = i128::from(units % 999_000_000 + 1_000_000);
    let sign = if form.is_multiple_of(64) { -1 } else { 1 };
    let amount = Amount::from_parts(sign * units, (form >> 8) as u32 % 6 + 1);
    let quantity = Amount::from_parts(i128::from(form >> 40), 3);
    let fits = "ten digits and six decimals fit an amount";
    (amount.expect(fits), quantity.expect(fits))
}

impl Harvest for SyntheticHarvest {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn lines(&mut self, date: UnitDate, take: TakeLine<'_>) -> Result<(), GatherError> {
        let mut identity = Identity::new(&self.tenant, &self.source);
        let tags: [Tag; CELLS.len()] = CELLS.map(|(name, _)| tag(name));
        let mut line = BillingLineItem {
            id: LineId::default(),
            charge_start: date.start(),
            charge_end: UtcSeconds(date.start().0 + 86_400),
            billing_period: date.period(),
            currency: currency(),
            amount: Amount::ZERO,
            measures: [None; 4],
            quantities: [None; 2],
            resolution_key: None,
            cells: CELLS.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
        };
        for resource in 0..self.settings.resources {
            let id = resource_id(resource);
            line.cells[RESOURCE].1.clone_from(&id);
            line.resolution_key = Some(id);
            for product in 0..self.settings.products {
                line.cells[PRODUCT].1 = SyntheticSettings::product_type(product);
                let service = line.cells[PRODUCT].1.clone();
                line.cells[SERVICE].1 = service;
                let (amount, quantity) = numbers(self.settings.seed, date, resource, product);
                (line.amount, line.quantities[0]) = (amount, Some(quantity));
                identity.begin();
                tags.iter()
                    .zip(&line.cells)
                    .for_each(|(tag, (_, text))| identity.cell(*tag, text.as_bytes()));
                let base = identity.base(
                    line.charge_start,
                    line.charge_end,
                    line.billing_period,
                    line.currency,
                );
                line.id = line_id(base, 0);
                take(&line)?;
            }
            if resource.is_multiple_of(256) {
                self.watch.tick()?;
            }
        }
        Ok(())
    }

    fn quarantined(
        &mut self,
        _: &mut dyn FnMut(QuarantinedRecord) -> Result<(), GatherError>,
    ) -> Result<(), GatherError> {
        Ok(())
    }

    fn cursor(&self, dates: &BTreeMap<UnitDate, Hash128>) -> Option<Vec<u8>> {
        let dates = dates.iter().map(|(date, hash)| (*date, *hash)).collect();
        cursor::encode(&SyntheticCursor { settings: self.hash, dates })
    }
}

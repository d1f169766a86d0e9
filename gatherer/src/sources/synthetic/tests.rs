//! A synthetic source is the same every time, and exactly of the shape asked for.

use std::collections::{BTreeMap, BTreeSet};

use proto::config::SyntheticSettings;
use proto::ids::{SourceId, TenantId};
use proto::line::BillingLineItem;

use super::lines::SyntheticHarvest;
use super::*;
use crate::ports::{ResolveRequest, Summary};

fn settings() -> SyntheticSettings {
    let start = "2026-01-30".parse().unwrap();
    SyntheticSettings {
        seed: 7,
        start,
        dates: 3,
        resources: 20,
        products: 4,
        fanout: 5,
        identities: 12,
    }
}

fn lines(settings: &SyntheticSettings) -> BTreeMap<UnitDate, Vec<BillingLineItem>> {
    let dates = dates(settings).unwrap();
    let (tenant, source) = (TenantId::parse("t").unwrap(), SourceId::parse("s").unwrap());
    let mut harvest = SyntheticHarvest::new(tenant, source, settings.clone(), Summary::default());
    let mut all: BTreeMap<UnitDate, Vec<BillingLineItem>> = BTreeMap::new();
    for date in dates {
        let mut take = |line: &BillingLineItem| {
            all.entry(date).or_default().push(line.clone());
            Ok(())
        };
        harvest.lines(date, &mut take).unwrap();
    }
    all
}

#[test]
fn one_line_per_date_resource_and_product() {
    let all = lines(&settings());
    assert_eq!(
        all.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["2026-01-30", "2026-01-31", "2026-02-01"]
    );
    for (date, lines) in &all {
        assert_eq!(lines.len(), 80);
        assert_eq!(lines.iter().map(|l| l.id).collect::<BTreeSet<_>>().len(), 80);
        assert!(
            lines
                .iter()
                .all(|l| l.charge_start.date() == Ok(*date)
                    && l.cells.is_sorted_by(|a, b| a.0 < b.0))
        );
        let even =
            lines.iter().filter(|l| l.cell("x_ProductType").unwrap().starts_with("even_")).count();
        assert_eq!(even, 40);
    }
    assert_eq!(all, lines(&settings()), "the same every time");
    assert_ne!(all, lines(&SyntheticSettings { seed: 8, ..settings() }));
}

#[test]
fn every_line_has_its_resolution_with_exactly_fanout_identities() {
    let (settings, source) = (settings(), Synthetic(settings()));
    for (date, lines) in lines(&settings) {
        let mut resolutions = BTreeMap::new();
        let mut take = |item: proto::resolution::IdentityResolution| {
            resolutions.insert(item.key.clone(), item);
            Ok(())
        };
        source.resolve(&ResolveRequest::of(date), &mut take).unwrap();
        assert_eq!(resolutions.len(), 20);
        for line in lines {
            let found = &resolutions[line.resolution_key.as_deref().unwrap()];
            assert_eq!(line.resolution_key.as_deref(), line.cell("ResourceId"));
            assert_eq!((found.resource_active.len(), found.usage.len()), (5, 5));
            assert!(
                found.resource_active.is_sorted_by(|a, b| a < b)
                    && found.usage.iter().all(|u| u.2.is_positive())
            );
            assert!(found.usage.iter().map(|u| &u.1).eq(&found.resource_active));
            assert!(found.window_start == line.charge_start && found.window_end == line.charge_end);
        }
    }
}

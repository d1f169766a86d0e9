//! pixelforge: a game studio on Google Cloud; London pays in pounds, Berlin in euros. Daily rebates, no commitments.

use super::super::bill::Bill;
use super::super::charge::{ONE, Provider, Resource, Service, Units};
use super::super::tags::{Dialect, Team};
use super::BillFile;

const LONDON: Provider = Provider {
    name: "Google Cloud",
    account: ("01A2B3-C4D5E6-F70819", "Pixelforge Ltd"),
    account_types: ("Billing Account", "Project"),
    currency: "GBP",
    invoice: "5100",
};
const BERLIN: Provider = Provider {
    name: "Google Cloud",
    account: ("0F9E8D-7C6B5A-493827", "Pixelforge GmbH"),
    account_types: ("Billing Account", "Project"),
    currency: "EUR",
    invoice: "5200",
};
type Account = (&'static str, &'static str);
const MATCH: Account = ("pf-matchmaking", "matchmaking");
const WORLD: Account = ("pf-world", "world-servers");
const ANALYTICS: Account = ("pf-analytics", "analytics");
const UK: Account = ("europe-west2", "London");
const DE: Account = ("europe-west10", "Berlin");

const LOBBY: Team = ("lobby", "loby");
const WORLDS: Team = ("worlds", "worls");
const INSIGHT: Team = ("insight", "insigth");
const DIALECT: Dialect = Dialect { key: "squad", other: "team", prefix: "squad-" };

const COMPUTE: Service = Service {
    name: "Compute Engine",
    category: "Compute",
    subcategory: "Virtual Machines",
    resource_type: "Instance",
    unit: "Hours",
    list_price: ONE / 1_000 * 167,
    sku: "N2-STANDARD-4",
};
const SPANNER: Service = Service {
    name: "Cloud Spanner",
    category: "Databases",
    subcategory: "Relational Databases",
    resource_type: "Instance",
    unit: "Hours",
    list_price: ONE / 1_000 * 931,
    sku: "SPANNER-NODE",
};
const BIGQUERY: Service = Service {
    name: "BigQuery",
    category: "Analytics",
    subcategory: "Data Warehouses",
    resource_type: "Dataset",
    unit: "TiB",
    list_price: ONE / 100 * 625,
    sku: "BQ-ON-DEMAND",
};
const EGRESS: Service = Service {
    name: "Networking",
    category: "Networking",
    subcategory: "Network Connectivity",
    resource_type: "Network",
    unit: "GiB",
    list_price: ONE / 1_000 * 85,
    sku: "PREMIUM-EGRESS",
};
const GATEWAY: Service = Service {
    name: "Cloud Service Mesh",
    category: "Networking",
    subcategory: "Application Networking",
    resource_type: "Mesh",
    unit: "Hours",
    list_price: ONE / 1_000 * 540,
    sku: "MESH-CLIENT",
};

fn resource(
    bill: &mut Bill,
    number: usize,
    service: &'static Service,
    account: Account,
    team: Team,
    daily: Units,
    region: Account,
) -> Resource {
    let rng = &mut bill.rng;
    // Names follow a pattern; a table reads the squad out of it where the tag is missing.
    let name = format!("{}-{}-{}", team.0, service.resource_type.to_lowercase(), rng.hex(5));
    Resource {
        id: format!("//cloud/projects/{}/{}/{name}", account.0, region.0),
        tags: DIALECT.tags(number, team, "live"),
        name,
        service,
        account,
        region,
        daily,
        hourly: false,
        covered: false,
    }
}

fn bill(seed: u64, name: &str, provider: &'static Provider, region: Account, size: Units) -> Bill {
    let mut bill = Bill::new(seed, name, provider, 100);
    let mut all = Vec::new();
    let hours = 24 * ONE;
    for (service, account, team, count, daily) in [
        (&COMPUTE, MATCH, LOBBY, 4, hours),
        (&COMPUTE, WORLD, WORLDS, 8, hours),
        (&SPANNER, WORLD, WORLDS, 1, 3 * hours),
        (&BIGQUERY, ANALYTICS, INSIGHT, 2, 4 * ONE),
        (&EGRESS, WORLD, WORLDS, 2, 95 * ONE),
        (&EGRESS, MATCH, LOBBY, 1, 25 * ONE),
    ] {
        for _ in 0..count {
            all.push(resource(
                &mut bill,
                all.len(),
                service,
                account,
                team,
                daily * size / 4,
                region,
            ));
        }
    }
    // A machine that somebody forgot: no tag, and its name says nothing.
    let forgotten = resource(&mut bill, 0, &COMPUTE, WORLD, WORLDS, hours, region);
    all.push(Resource { name: "load-test-2".to_owned(), tags: String::new(), ..forgotten });
    // The mesh between all services: nobody's, hour by hour.
    let mesh = resource(&mut bill, 0, &GATEWAY, MATCH, LOBBY, 2 * hours, region);
    all.push(Resource {
        name: format!("mesh-{}", region.0),
        tags: String::new(),
        hourly: true,
        ..mesh
    });
    bill.month(&all, None);
    bill.rebate("Sustained use discount", 20, |service| service.sku == COMPUTE.sku);
    bill.corrections(5, 40);
    bill
}

/// The bills.
pub fn bills(seed: u64) -> Vec<BillFile> {
    let mut london = bill(seed, "pixelforge london", &LONDON, UK, 4);
    london.tax("VAT", 20, MATCH);
    let mut berlin = bill(seed, "pixelforge berlin", &BERLIN, DE, 3);
    berlin.credit(3, "Start-up programme", 200 * ONE, None);
    berlin.tax("USt", 19, MATCH);
    vec![
        BillFile::new("pixelforge/gcp-gbp-2026-09.csv".to_owned(), london.charges),
        BillFile::new("pixelforge/gcp-eur-2026-09.csv.gz".to_owned(), berlin.charges),
    ]
}

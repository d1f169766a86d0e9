//! nordwind: a media house on Azure (euros) and, for one product, AWS (dollars). A reservation paid upfront.

use super::super::bill::{Bill, Commitment};
use super::super::charge::{ONE, Provider, Resource, Service, Units};
use super::super::tags::{Dialect, Team};
use super::BillFile;

const AZURE: Provider = Provider {
    name: "Microsoft",
    account: ("ea-8611537", "Nordwind AB"),
    account_types: ("Billing Account", "Subscription"),
    currency: "EUR",
    invoice: "E0900",
};
const AWS: Provider = Provider {
    name: "AWS",
    account: ("aws-600700800900", "Nordwind streaming"),
    account_types: ("Payer Account", "Linked Account"),
    currency: "USD",
    invoice: "EUINSE",
};
type Account = (&'static str, &'static str);
const NEWS: Account = ("0b7ad1c4-news", "news-prod");
const VIDEO: Account = ("4c19e6f2-video", "video-prod");
const SHARED: Account = ("9d02b7aa-shared", "shared-services");
const STREAMS: Account = ("aws-600700800901", "streaming-prod");
const SWEDEN: Account = ("swedencentral", "Sweden Central");
const STOCKHOLM: Account = ("eu-north-1", "Europe (Stockholm)");

const NEWSROOM: Team = ("cc-1100", "cc1100");
const SPORTS: Team = ("cc-1200", "cc1200");
const PLAYER: Team = ("cc-2100", "cc 2100");
const DIALECT: Dialect = Dialect { key: "CostCenter", other: "cost-center", prefix: "nw/" };

const VM: Service = Service {
    name: "Virtual Machines",
    category: "Compute",
    subcategory: "Virtual Machines",
    resource_type: "microsoft.compute/virtualmachines",
    unit: "Hours",
    list_price: ONE / 1_000 * 208,
    sku: "D4S-V5",
};
const SQL: Service = Service {
    name: "SQL Database",
    category: "Databases",
    subcategory: "Relational Databases",
    resource_type: "microsoft.sql/servers/databases",
    unit: "vCore-Hours",
    list_price: ONE / 1_000 * 271,
    sku: "SQL-GP-GEN5",
};
const CDN: Service = Service {
    name: "Azure Front Door Service",
    category: "Networking",
    subcategory: "Content Delivery",
    resource_type: "microsoft.cdn/profiles",
    unit: "GB",
    list_price: ONE / 1_000 * 73,
    sku: "AFD-EGRESS-Z1",
};
const KUBERNETES: Service = Service {
    name: "Azure Kubernetes Service",
    category: "Compute",
    subcategory: "Containers",
    resource_type: "microsoft.containerservice/managedclusters",
    unit: "Hours",
    list_price: ONE / 1_000 * 100,
    sku: "AKS-STANDARD",
};
const MONITOR: Service = Service {
    name: "Azure Monitor",
    category: "Management and Governance",
    subcategory: "Observability",
    resource_type: "microsoft.operationalinsights/workspaces",
    unit: "GB",
    list_price: ONE / 1_000 * 2_300,
    sku: "LOG-ANALYTICS",
};
const MEDIA: Service = Service {
    name: "AWS Elemental MediaLive",
    category: "Media",
    subcategory: "Streaming",
    resource_type: "MediaLive Channel",
    unit: "Hours",
    list_price: ONE / 1_000 * 1_404,
    sku: "MEDIALIVE-HD",
};
const RESERVATION: Commitment = Commitment {
    id: (
        "/providers/microsoft.capacity/reservations/77f0",
        "Reserved VM Instance D4s v5",
        "Reservation",
    ),
    service: &VM,
    account: SHARED,
    daily: 30 * ONE,
    percent: 58,
    upfront: true,
};

fn resource(
    bill: &mut Bill,
    number: usize,
    service: &'static Service,
    account: Account,
    team: Team,
    daily: Units,
) -> Resource {
    let rng = &mut bill.rng;
    let (group, hex) = (account.1, rng.hex(8));
    let kind = service.resource_type;
    Resource {
        id: format!("/subscriptions/{}/resourcegroups/{group}/providers/{kind}/{hex}", account.0),
        name: format!("{group}-{hex}"),
        service,
        account,
        region: if account.0 == STREAMS.0 { STOCKHOLM } else { SWEDEN },
        tags: DIALECT.tags(number, team, "prod"),
        daily,
        hourly: false,
        covered: service.sku == VM.sku,
    }
}

fn azure(seed: u64) -> Bill {
    let mut bill = Bill::new(seed, "nordwind azure", &AZURE, 95);
    let mut all = Vec::new();
    let hours = 24 * ONE;
    for (service, account, team, count, daily) in [
        (&VM, NEWS, NEWSROOM, 5, hours),
        (&VM, NEWS, SPORTS, 4, hours),
        (&VM, VIDEO, PLAYER, 4, hours),
        (&SQL, NEWS, NEWSROOM, 2, 4 * hours),
        (&SQL, VIDEO, PLAYER, 2, 2 * hours),
        (&CDN, VIDEO, PLAYER, 3, 520 * ONE),
        (&CDN, NEWS, SPORTS, 2, 180 * ONE),
    ] {
        for _ in 0..count {
            all.push(resource(&mut bill, all.len(), service, account, team, daily));
        }
    }
    // What everybody uses and nobody tags.
    for (service, daily, hourly) in [(&KUBERNETES, 3 * hours, true), (&MONITOR, 38 * ONE, false)] {
        let untagged = resource(&mut bill, 0, service, SHARED, NEWSROOM, daily);
        all.push(Resource { tags: String::new(), hourly, ..untagged });
    }
    bill.month(&all, Some(&RESERVATION));
    bill.corrections(6, 50);
    bill.credit(12, "Service credit for a late failover", 80 * ONE, Some((NEWS, &SQL)));
    bill.rounding(30, ONE / 100);
    bill.tax("VAT", 25, SHARED);
    bill
}

fn aws(seed: u64) -> Bill {
    let mut bill = Bill::new(seed, "nordwind aws", &AWS, 100);
    let teams = [PLAYER, PLAYER, SPORTS, SPORTS].into_iter().enumerate();
    let mut channels: Vec<Resource> = teams
        .map(|(number, team)| resource(&mut bill, number, &MEDIA, STREAMS, team, 18 * ONE))
        .collect();
    if let Some(live) = channels.first_mut() {
        live.hourly = true;
    }
    bill.month(&channels, None);
    bill.credit(20, "Migration credit", 150 * ONE, None);
    bill
}

/// The bills.
pub fn bills(seed: u64) -> Vec<BillFile> {
    let (azure, aws) = (azure(seed), aws(seed));
    vec![
        BillFile::new("nordwind/azure-2026-09-first.csv".to_owned(), azure.of_days(1..=15)),
        BillFile::new("nordwind/azure-2026-09-second.csv".to_owned(), azure.of_days(16..=30)),
        BillFile::new("nordwind/aws-2026-09.csv.gz".to_owned(), aws.charges),
    ]
}

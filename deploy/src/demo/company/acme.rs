//! acme: an online shop on AWS, in dollars. A savings plan, a shared cluster, strict owners.

use super::super::bill::{Bill, Commitment};
use super::super::charge::{ONE, Provider, Resource, Service, Units};
use super::super::tags::{Dialect, Team};
use super::BillFile;

const AWS: Provider = Provider {
    name: "AWS",
    account: ("aws-100200300400", "Acme payer"),
    account_types: ("Payer Account", "Linked Account"),
    currency: "USD",
    invoice: "AWS",
};
type Account = (&'static str, &'static str);
const PROD: Account = ("aws-111111111111", "acme-prod");
const DATA: Account = ("aws-222222222222", "acme-data");
const SANDBOX: Account = ("aws-333333333333", "acme-sandbox");
const FRANKFURT: Account = ("eu-central-1", "Europe (Frankfurt)");
const VIRGINIA: Account = ("us-east-1", "US East (N. Virginia)");

const CHECKOUT: Team = ("checkout", "chekout");
const SEARCH: Team = ("search", "serach");
const PLATFORM: Team = ("data-platform", "data-plattform");
/// A team that left; the owner directory does not know it.
const GROWTH: Team = ("growth", "growth");
const DIALECT: Dialect = Dialect { key: "team", other: "owner", prefix: "team-" };

const EC2: Service = Service {
    name: "Amazon Elastic Compute Cloud",
    category: "Compute",
    subcategory: "Virtual Machines",
    resource_type: "EC2 Instance",
    unit: "Hours",
    list_price: ONE / 1_000 * 192,
    sku: "EC2-M6I-XLARGE",
};
const RDS: Service = Service {
    name: "Amazon Relational Database Service",
    category: "Databases",
    subcategory: "Relational Databases",
    resource_type: "RDS Instance",
    unit: "Hours",
    list_price: ONE / 1_000 * 356,
    sku: "RDS-R6G-LARGE",
};
const S3: Service = Service {
    name: "Amazon Simple Storage Service",
    category: "Storage",
    subcategory: "Object Storage",
    resource_type: "S3 Bucket",
    unit: "GB-Months",
    list_price: ONE / 1_000 * 23,
    sku: "S3-STANDARD",
};
const TRANSFER: Service = Service {
    name: "AWS Data Transfer",
    category: "Networking",
    subcategory: "Network Connectivity",
    resource_type: "Data Transfer",
    unit: "GB",
    list_price: ONE / 1_000 * 90,
    sku: "DATA-TRANSFER-OUT",
};
const EKS: Service = Service {
    name: "Amazon Elastic Kubernetes Service",
    category: "Compute",
    subcategory: "Containers",
    resource_type: "EKS Node",
    unit: "Hours",
    list_price: ONE / 1_000 * 384,
    sku: "EKS-NODE-M6I-2XLARGE",
};
const SUPPORT: Service = Service {
    name: "AWS Support Business",
    category: "Management and Governance",
    subcategory: "Support",
    resource_type: "Support Plan",
    unit: "Months",
    list_price: ONE,
    sku: "SUPPORT-BUSINESS",
};
const PLANS: Service = Service {
    name: "AWS Savings Plans",
    category: "Compute",
    subcategory: "Virtual Machines",
    resource_type: "Savings Plan",
    unit: "Hours",
    list_price: ONE,
    sku: "COMPUTE-SP-1Y-NO-UPFRONT",
};
const MARKETPLACE: Service = Service {
    name: "Observability Suite",
    category: "Management and Governance",
    subcategory: "Observability",
    resource_type: "SaaS Contract",
    unit: "Months",
    list_price: ONE,
    sku: "MP-OBSERVABILITY",
};
const SAVINGS_PLAN: Commitment = Commitment {
    id: (
        "arn:aws:savingsplans::100200300400:savingsplan/5f1c",
        "Compute Savings Plan",
        "Savings Plan",
    ),
    service: &PLANS,
    account: PROD,
    daily: 40 * ONE,
    percent: 62,
    upfront: false,
};

/// The digits of an account, as its resources name it.
fn number((id, _): Account) -> &'static str {
    id.trim_start_matches("aws-")
}

fn resources(bill: &mut Bill) -> Vec<Resource> {
    let mut all = Vec::new();
    let mut add =
        |bill: &mut Bill, service: &'static Service, account: Account, team, count, daily| {
            for _ in 0..count {
                let rng = &mut bill.rng;
                let region = if rng.chance(75) { FRANKFURT } else { VIRGINIA };
                let environment = if account.0 == SANDBOX.0 { "test" } else { "prod" };
                let (code, hex) =
                    (service.sku.split('-').next().unwrap_or("x").to_lowercase(), rng.hex(12));
                all.push(Resource {
                    id: format!("arn:aws:{code}:{}:{}:{code}-{hex}", region.0, number(account)),
                    name: format!("{code}-{hex}"),
                    service,
                    account,
                    region,
                    tags: DIALECT.tags(all.len(), team, environment),
                    daily,
                    hourly: false,
                    covered: service.sku == EC2.sku,
                });
            }
        };
    let hours = 24 * ONE;
    add(bill, &EC2, PROD, CHECKOUT, 9, hours);
    add(bill, &EC2, PROD, SEARCH, 8, hours);
    add(bill, &EC2, DATA, PLATFORM, 6, hours);
    add(bill, &EC2, SANDBOX, GROWTH, 3, hours / 3);
    add(bill, &RDS, PROD, CHECKOUT, 3, hours);
    add(bill, &RDS, DATA, PLATFORM, 2, hours);
    add(bill, &TRANSFER, PROD, SEARCH, 3, 140 * ONE);
    add(bill, &TRANSFER, DATA, PLATFORM, 2, 60 * ONE);
    for number in 1..=3u8 {
        all.push(Resource {
            id: format!("arn:aws:eks:eu-central-1:111111111111:node/shared-eks-{number}"),
            name: format!("shared-eks-{number}"),
            service: &EKS,
            account: PROD,
            region: FRANKFURT,
            tags: String::new(),
            daily: hours,
            hourly: true,
            covered: false,
        });
    }
    // Gateways that nobody tags.
    for number in 1..=2u8 {
        all.push(Resource {
            id: format!("arn:aws:ec2:eu-central-1:111111111111:natgateway/nat-{number}"),
            name: format!("nat-{number}"),
            service: &TRANSFER,
            account: PROD,
            region: FRANKFURT,
            tags: String::new(),
            daily: 210 * ONE,
            hourly: false,
            covered: false,
        });
    }
    all
}

fn buckets(bill: &mut Bill) -> Vec<Resource> {
    let mut bucket = |team: Team, account: Account, gigabytes: Units| {
        let name = format!("acme-{}-{}", team.0, bill.rng.hex(6));
        Resource {
            id: format!("arn:aws:s3:::{name}"),
            tags: DIALECT.tags(0, team, "prod"),
            name,
            service: &S3,
            account,
            region: FRANKFURT,
            daily: gigabytes * ONE,
            hourly: false,
            covered: false,
        }
    };
    vec![
        bucket(CHECKOUT, PROD, 5_200),
        bucket(SEARCH, PROD, 18_700),
        bucket(PLATFORM, DATA, 64_300),
        bucket(GROWTH, SANDBOX, 900),
    ]
}

/// The bills.
pub fn bills(seed: u64) -> Vec<BillFile> {
    let mut bill = Bill::new(seed, "acme aws", &AWS, 92);
    let resources = resources(&mut bill);
    bill.month(&resources, Some(&SAVINGS_PLAN));
    for bucket in buckets(&mut bill) {
        bill.monthly(&bucket);
    }
    bill.corrections(8, 35);
    bill.credit(8, "Promotional credit", 120 * ONE, None);
    bill.credit(
        15,
        "Credit for an outage of virtual machines",
        45 * ONE + ONE / 2,
        Some((PROD, &EC2)),
    );
    bill.fee(&SUPPORT, PROD, 389 * ONE, "Usage");
    bill.rounding(30, -ONE / 100);
    bill.tax("VAT", 19, PROD);
    let mut marketplace = Bill::new(seed, "acme marketplace", &AWS, 100);
    marketplace.fee(&MARKETPLACE, PROD, 1_250 * ONE, "Usage");
    marketplace.tax("VAT", 19, PROD);
    let week = |name: u8, days| {
        BillFile::new(format!("acme/aws-2026-09-week{name}.csv.gz"), bill.of_days(days))
    };
    vec![
        week(1, 1..=7),
        week(2, 8..=14),
        week(3, 15..=21),
        week(4, 22..=28),
        week(5, 29..=30),
        BillFile::new("acme/marketplace-2026-09.csv".to_owned(), marketplace.charges),
    ]
}

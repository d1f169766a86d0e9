//! The API of Confluent Cloud as its documents describe it, and as it misbehaves.

mod faults;
mod inventory;
mod resolved;

use proto::config::{ConfluentSettings, HttpServer, SourceSettings, TenantConfig};
use proto::line::Measure;
use proto::task::{Gather, KnownDate};
use serde_json::{Value, json};

use super::Confluent;
use crate::error::GatherError;
use crate::fixture::{self, Found};
use crate::http::tests::hasty;
use crate::http::tests::server::{Act, Asked, Server};
use crate::ports::{CostInput, GatherRequest};

/// The day that every gather here takes for today.
const TODAY: &str = "2026-10-20";

/// A source of an organization, and what it is asked for.
struct Organization {
    settings: ConfluentSettings,
    task: Gather,
}

impl Organization {
    /// Asked for some days, both inclusive.
    fn new(url: &str, from: &str, until: &str) -> Self {
        let server = HttpServer { timeout_seconds: 1, attempts: 4, ..HttpServer::new(url) };
        let settings = ConfluentSettings { server, days_per_query: 15, flink: Vec::new() };
        let today = TODAY.parse().unwrap();
        let mut task = Gather::first(proto::hash::Hash128([0; 16]), "/".to_owned(), today);
        task.from = Some(from.parse().unwrap());
        task.until = Some(until.parse().unwrap());
        Self { settings, task }
    }

    fn request(&self) -> GatherRequest {
        let config: TenantConfig =
            fixture::tenant(SourceSettings::ConfluentCloud(self.settings.clone()));
        fixture::request(config, &self.task)
    }

    fn plugin(&self) -> Confluent {
        Confluent::with_patience(&self.settings, None, hasty()).unwrap()
    }

    async fn try_gather(&self) -> Result<Found, GatherError> {
        let request = self.request();
        let mut harvest = self.plugin().collect(request.clone()).await?;
        Found::of(harvest.as_mut(), &request)
    }

    async fn error(&self) -> String {
        proto::fault::chain(&self.try_gather().await.unwrap_err())
    }
}

/// A row of the bill.
fn row(id: &str, date: &str, line_type: &str, amount: &str) -> Value {
    let end: proto::time::UnitDate = date.parse().unwrap();
    let number: Value = serde_json::from_str(amount).unwrap();
    json!({
        "id": id,
        "start_date": date,
        "end_date": end.plus_days(1).unwrap().to_string(),
        "granularity": "DAILY",
        "network_access_type": "INTERNET",
        "product": "KAFKA",
        "line_type": line_type,
        "price": 0.25,
        "unit": "GB",
        "quantity": 2,
        "original_amount": number,
        "discount_amount": 0,
        "amount": number,
        "resource": {"id": "lkc-1", "display_name": "orders", "environment": {"id": "env-1"}},
    })
}

fn page(rows: &[Value], next: Option<String>) -> Act {
    let metadata = json!({"next": next, "total_size": null});
    let list = json!({"api_version": "billing/v1", "kind": "CostList", "metadata": metadata, "data": rows});
    Act::ok(list.to_string())
}

/// The address of another page of what was asked.
fn link(asked: &Asked, token: &str) -> String {
    let path = asked.target.split("&page_token").next().unwrap();
    format!("http://{}{path}&page_token={token}", asked.headers["host"])
}

#[tokio::test]
async fn every_row_of_every_page_is_a_line_with_its_price() {
    let server = Server::start(|_, asked| match asked.value("page_token").as_deref() {
        None => {
            let mut cheaper =
                row("c", "2026-10-01", "KAFKA_NETWORK_READ", "0.10000000000000000001");
            cheaper["price"] = json!(0.05);
            let rows = [
                row("a", "2026-10-01", "KAFKA_NUM_CKU", "36.1234567890123456"),
                row("b", "2026-10-01", "KAFKA_NETWORK_READ", "1.5"),
                cheaper,
            ];
            page(&rows, Some(link(asked, "2")))
        }
        Some("2") => page(&[], Some(link(asked, "3"))),
        Some(_) => {
            let mut support = row("d", "2026-10-02", "SUPPORT", "100");
            support["resource"] = Value::Null;
            let mut credit = row("e", "2026-10-02", "PROMO_CREDIT", "-7.25");
            credit["resource"] = Value::Null;
            let mut derived = row("f", "2026-10-02", "FUTURE_THING", "9");
            derived["amount"] = Value::Null;
            derived["discount_amount"] = json!("1.5");
            page(&[support, credit, derived], None)
        }
    })
    .await;
    let found =
        Organization::new(&server.url, "2026-10-01", "2026-10-02").try_gather().await.unwrap();
    assert_eq!(found.published(), ["2026-10-01", "2026-10-02"]);
    assert_eq!((found.records, found.quarantined.len()), (6, 0));
    // 36.1234567890123456 + 1.5 + 0.10000000000000000001 + 100 - 7.25 + (9 - 1.5): by hand.
    assert_eq!(found.sum(Measure::Effective), "137.97345678901234560001");
    let of = |kind: &str| {
        let lines = found.all().into_iter().filter(|l| l.cell("x_ProductType") == Some(kind));
        lines.collect::<Vec<_>>()
    };
    // Tiers stay apart with their prices.
    let reads = of("KAFKA_NETWORK_READ");
    let mut prices: Vec<_> = reads.iter().map(|l| l.cell("ListUnitPrice").unwrap()).collect();
    prices.sort_unstable();
    assert_eq!(prices, ["0.05", "0.25"]);
    assert_eq!(reads[0].resolution_key.as_deref(), Some("lkc-1"));
    assert_eq!(reads[0].cell("SubAccountId"), Some("env-1"));
    assert_eq!(of("SUPPORT")[0].resolution_key.as_deref(), Some("organization"));
    assert_eq!(of("PROMO_CREDIT")[0].cell("ChargeCategory"), Some("Credit"));
    assert_eq!(
        of("FUTURE_THING")[0].cell("x_AmountSource"),
        Some("original_amount - discount_amount")
    );
    assert_eq!(found.warning("no amount"), 1);
    let first = &server.asked()[0];
    assert_eq!(first.path(), "/billing/v1/costs");
    assert_eq!(first.value("start_date").unwrap(), "2026-10-01");
    assert_eq!(first.value("end_date").unwrap(), "2026-10-03");
}

#[tokio::test]
async fn no_question_asks_for_more_than_a_month_and_no_day_is_asked_for_twice() {
    let server = Server::start(|_, _| page(&[], None)).await;
    let mut organization = Organization::new(&server.url, "2025-01-01", "2026-10-31");
    organization.settings.days_per_query = 31;
    assert_eq!(organization.try_gather().await.unwrap().records, 0);
    let days = |text: String| text.parse::<proto::time::UnitDate>().unwrap().epoch_days();
    let asked: Vec<_> = server
        .asked()
        .iter()
        .map(|a| (days(a.value("start_date").unwrap()), days(a.value("end_date").unwrap())))
        .collect();
    let today = days(TODAY.to_owned());
    // A year back, and nothing of today, which is not over.
    assert_eq!((asked[0].0, asked.last().unwrap().1), (today - 364, today));
    assert!(asked.iter().all(|(from, until)| (1..=28).contains(&(until - from))), "{asked:?}");
    assert!(asked.windows(2).all(|two| two[0].1 == two[1].0), "{asked:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_quarantined_and_stops_no_other() {
    let server = Server::start(|_, _| {
        let mut bad = row("b", "2026-10-01", "KAFKA_BASE", "1");
        bad["amount"] = json!("1.2.3");
        let mut undated = row("c", "2026-10-01", "KAFKA_BASE", "1");
        undated["start_date"] = json!("yesterday");
        page(&[row("a", "2026-10-01", "KAFKA_BASE", "1"), bad, undated], None)
    })
    .await;
    let found =
        Organization::new(&server.url, "2026-10-01", "2026-10-01").try_gather().await.unwrap();
    assert_eq!((found.all().len(), found.records), (1, 3));
    let columns: Vec<_> = found.quarantined.iter().map(|q| q.column.as_deref().unwrap()).collect();
    assert_eq!(columns, ["amount", "start_date"]);
    assert!(found.quarantined[0].reason.contains("bad number"), "{:?}", found.quarantined[0]);
    assert_eq!(found.quarantined[0].line, 2);
}

#[tokio::test]
async fn defect_17_10_an_unchanged_bill_publishes_nothing_and_what_the_api_forgot_stays() {
    let server =
        Server::start(|_, _| page(&[row("a", "2026-10-01", "KAFKA_BASE", "1")], None)).await;
    let mut organization = Organization::new(&server.url, "2025-01-01", "2026-10-19");
    let found = organization.try_gather().await.unwrap();
    assert_eq!(found.published(), ["2026-10-01"]);
    let known = found.dates.iter().map(|d| KnownDate { date: d.date, hash: d.hash });
    organization.task.known = known.collect();
    let old =
        KnownDate { date: "2025-02-03".parse().unwrap(), hash: proto::hash::Hash128([7; 16]) };
    organization.task.known.push(old);
    let again = organization.try_gather().await.unwrap();
    assert_eq!((again.published().len(), again.unchanged()), (0, 2));
}

#[tokio::test]
async fn defect_17_6_a_row_that_the_provider_withdrew_is_gone_from_its_date() {
    let server = Server::start(|n, _| {
        let mut rows = vec![
            row("a", "2026-10-01", "KAFKA_BASE", "1"),
            row("b", "2026-10-01", "KAFKA_STORAGE", "2"),
            row("c", "2026-10-02", "KAFKA_BASE", "4"),
        ];
        if n > 0 {
            rows.remove(1);
        }
        page(&rows, None)
    })
    .await;
    let mut organization = Organization::new(&server.url, "2026-10-01", "2026-10-02");
    let found = organization.try_gather().await.unwrap();
    assert_eq!((found.sum(Measure::Effective).as_str(), found.all().len()), ("7", 3));
    let known = found.dates.iter().map(|d| KnownDate { date: d.date, hash: d.hash });
    organization.task.known = known.collect();
    // The date is published as it is now, and takes the place of what it was; the other one is left alone.
    let again = organization.try_gather().await.unwrap();
    assert_eq!((again.published(), again.unchanged()), (vec!["2026-10-01".to_owned()], 1));
    assert_eq!(again.sum(Measure::Effective), "1");
}

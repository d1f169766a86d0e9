//! A message that nobody can use: set aside with its reason, shown, put back; all other work goes on.

use apportion::folder::DataFolder;
use bytes::Bytes;
use nix::sys::signal::Signal;
use proto::ids::Generation;
use proto::line::Measure;
use proto::subject::{self, Lane, Step};
use runtime::bus::Bus;
use serde_json::Value;
use tests::stand::{PATIENCE, Stand};
use tests::world;

use crate::{assert_holds, day};

const COST: Measure = Measure::Effective;

#[test]
fn an_undecodable_task_is_refused_listed_shown_and_put_back_while_the_rest_flows_on() {
    let stand = Stand::with_servers("refused", None).unwrap();
    let lines = world::bill(9, "USD", day("2026-05-01"), 3, 20);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bills/*.csv", COST));
    stand.write("bills/all.csv", world::csv(&lines));
    let mut up = stand.start(&["up"]);
    let visible = |client: &mut postgres::Client| {
        let sql = "select count(*) from apportion.pipeline_state where state = 'visible'";
        Ok(client.query_one(sql, &[])?.get::<_, i64>(0))
    };
    up.until("all is visible", |_| (stand.database(visible).ok()? == 3).then_some(())).unwrap();
    let (code, nothing) = stand.ask(&["refused", "list"]);
    assert_eq!((code, nothing.as_str()), (0, "nothing was refused\n"));

    let (tenant, source) = ("acme".parse().unwrap(), "cloud".parse().unwrap());
    let found_at =
        subject::task(&Step::Gather, Lane::Live, &tenant, &source, None, Generation(999_999));
    let nats = DataFolder::running(&stand.data()).unwrap().unwrap().nats_url;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let bus = Bus::connect(&nats, "test").await.unwrap();
        bus.append(&found_at, Bytes::from_static(b"no message of ours")).await.unwrap();
    });
    let mut listed = |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        up.until(what, |_| {
            let (_, found) = stand.ask_json(&["refused", "list", "--json"]);
            let found = found["refused"].as_array()?;
            (found.len() == 1 && wanted(&found[0])).then(|| found[0].clone())
        })
        .unwrap()
    };
    let first = listed("it is refused", &|_| true);
    assert_eq!(first["subject"], found_at);
    assert_eq!(first["bytes"], 18);
    assert!(!first["reason"].as_str().unwrap().is_empty());
    let number = first["number"].to_string();
    let (code, shown) = stand.ask(&["refused", "show", &number]);
    assert_eq!(code, 0);
    assert!(shown.contains("header      cannot be read"), "{shown}");
    assert!(shown.contains("6e6f206d657373616765206f66206f757273"), "{shown}");

    // Nothing was mended: put back, it is refused again, as another one.
    let (code, said) = stand.ask(&["refused", "requeue", &number]);
    assert_eq!((code, said), (0, format!("message {number} is back at {found_at}\n")));
    let second = listed("it is refused again", &|found| found["number"] != first["number"]);
    assert_eq!(second["subject"], first["subject"]);
    let (code, gone) = stand.ask_json(&["refused", "show", &number, "--json"]);
    let words = gone["error"].as_str().unwrap();
    assert!(code != 0 && words.contains("`apportion refused list` shows those that are"), "{gone}");

    up.signal(Signal::SIGTERM).unwrap();
    assert_eq!(up.end(PATIENCE).unwrap().code(), Some(0), "{}", up.said());
    let run = stand.run_once(&[]);
    assert_eq!(run.code, 0, "{}\n{}", run.summary, run.said);
    assert_holds(&stand, &run, "acme", &lines, COST);
}

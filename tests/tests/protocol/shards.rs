//! The number of task shards changes while tasks wait: each is delivered by the queue that then serves it.

use std::time::Duration;

use apportion::servers::{EmbeddedNats, NatsOptions};
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer};
use bytes::Bytes;
use futures_util::StreamExt;
use proto::ids::{Generation, SourceId, TenantId};
use proto::subject::{self, Lane, Queue, Step, Stream};
use runtime::bus::Bus;
use runtime::settings::Settings;
use tempfile::TempDir;

use crate::desk::client;

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_made_anew_for_another_number_of_shards() {
    let folder = TempDir::new().unwrap();
    let nats_dir = folder.path().to_owned();
    let nats = tokio::task::spawn_blocking(move || {
        EmbeddedNats::start(&nats_dir, NatsOptions::default()).unwrap()
    });
    let nats = nats.await.unwrap();
    let bus = Bus::connect(&nats.url(), "test").await.unwrap();
    let jetstream = async_nats::jetstream::new(client(&nats.url()).await);
    let tenants = ["acme", "nordwind", "pixelforge", "sunbird", "globex", "initech"];
    let source = SourceId::parse("cloud").unwrap();
    let subjects = tenants.map(|tenant| {
        let tenant = TenantId::parse(tenant).unwrap();
        (
            subject::partition(&tenant),
            subject::task(&Step::Allocate, Lane::Live, &tenant, &source, None, Generation(1)),
        )
    });
    for (round, shards) in [1, 4, 2, 1].into_iter().enumerate() {
        let settings = Settings { nats_url: nats.url(), shards, ..Settings::load().unwrap() };
        if round == 0 {
            bus.ensure_streams(&settings, &[]).await.unwrap();
            for (_, subject) in &subjects {
                bus.send_task(subject, Bytes::from_static(b"a task")).await.unwrap();
            }
        }
        // As every leader does, and one that was cut short does again.
        bus.ensure_streams(&settings, &[]).await.unwrap();
        bus.ensure_streams(&settings, &[]).await.unwrap();
        let stream = jetstream.get_stream(Stream::Task.name()).await.unwrap();
        for shard in 0..shards {
            let name = subject::consumer(Queue::Allocate, Lane::Live, shard);
            let mut consumer: PullConsumer = stream.get_consumer(&name).await.unwrap();
            assert_eq!(consumer.info().await.unwrap().config.ack_policy, AckPolicy::Explicit);
            let own = 64 / shards * shard..64 / shards * (shard + 1);
            let mut wanted: Vec<&str> = subjects
                .iter()
                .filter(|(partition, _)| own.contains(partition))
                .map(|(_, subject)| subject.as_str())
                .collect();
            wanted.sort_unstable();
            let fetch = consumer.fetch().max_messages(tenants.len());
            let mut fetched = fetch.expires(Duration::from_secs(5)).messages().await.unwrap();
            let mut found = Vec::new();
            while let Some(message) = fetched.next().await {
                found.push(message.unwrap().subject.to_string());
            }
            found.sort_unstable();
            assert_eq!(found, wanted, "shard {shard} of {shards}");
        }
        let beyond = subject::consumer(Queue::Allocate, Lane::Live, shards);
        assert!(
            stream
                .get_consumer::<async_nats::jetstream::consumer::pull::Config>(&beyond)
                .await
                .is_err()
        );
    }
}

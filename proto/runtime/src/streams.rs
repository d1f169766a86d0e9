//! What the streams and consumers look like. Made by the coordinator; workers only use them.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{
    ErrorCode,
    context::{GetStreamError, GetStreamErrorKind},
};
use futures_util::StreamExt;
use proto::ids::{EmitterId, Generation};
use proto::subject::{self, Lane, Queue, Stream, consumer, consumer_filters};

use crate::bus::{Bus, BusError};
use crate::settings::Settings;

/// How a stream is set up.
fn stream_config(stream: Stream, settings: &Settings) -> Config {
    let base = Config {
        name: stream.name().to_owned(),
        subjects: vec![stream.wildcard()],
        discard: DiscardPolicy::New,
        allow_direct: true,
        num_replicas: 1,
        ..Config::default()
    };
    let write_once = |config: Config| Config {
        max_messages_per_subject: 1,
        discard_new_per_subject: true,
        ..config
    };
    // The server reserves what a stream may hold, so the small ones ask for little.
    let share = match stream {
        Stream::Line | Stream::Row => 1,
        Stream::Resolution => 2,
        Stream::Driver | Stream::Inventory | Stream::Config | Stream::Refused => 16,
        Stream::Task | Stream::Report => 64,
    };
    let kept = |days: u64, config: Config| Config {
        max_age: Duration::from_secs(days * 86_400),
        max_bytes: settings.stream_bytes_max / share,
        storage: StorageType::File,
        deny_delete: true,
        ..config
    };
    let queue = |config: Config| Config {
        retention: RetentionPolicy::WorkQueue,
        storage: StorageType::Memory,
        max_bytes: settings.stream_bytes_max / share,
        ..config
    };
    match stream {
        Stream::Line | Stream::Resolution | Stream::Driver | Stream::Inventory | Stream::Config => {
            write_once(kept(settings.replay_horizon_days, base))
        }
        Stream::Row => write_once(kept(1, base)),
        Stream::Task => write_once(queue(base)),
        Stream::Report => queue(base),
        // One that is put back is taken off.
        Stream::Refused => Config { deny_delete: false, ..kept(90, base) },
    }
}

/// How a task consumer is set up.
fn consumer_config(name: &str, filters: Vec<String>, patience: Duration) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: patience,
        max_deliver: -1,
        max_ack_pending: 10_000,
        filter_subjects: filters,
        ..pull::Config::default()
    }
}

/// The server's words, with how to mend what users run into.
fn hint(words: &str) -> String {
    match words.contains("insufficient storage") {
        true => format!(
            "{words}: lower nats.stream_bytes_max in apportion.yaml or raise max_file_store of nats-server"
        ),
        false => words.to_owned(),
    }
}

/// A stream that holds this much of what it may hold is filling up.
const FILLING_PERCENT: u64 = 80;

/// How the streams were found.
#[derive(Debug, Default, Clone)]
pub struct StreamsFound {
    /// Those that had to be made: what was in them is gone.
    pub made: Vec<Stream>,
    /// Those that are nearly full: what is published to them is soon refused.
    pub filling: Vec<Stream>,
}

/// What a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamUsage {
    /// Which.
    pub stream: Stream,
    /// Messages in it; each has a subject of its own.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that it may hold; `None`: as many as there is room for.
    pub bytes_max: Option<u64>,
}

fn is_no_stream(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// How long the server may take for one page of subjects: of 770,000 one took 2 to 6 s on two busy cores.
const PAGE_LIMIT: Duration = Duration::from_secs(60);

/// Name of the coordinator's consumer of reports.
pub const REPORTS: &str = "coordinator";

impl Bus {
    /// Makes every stream and consumer that is missing and updates what differs. Gives what was found.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn ensure_streams(
        &self,
        settings: &Settings,
        emitters: &[EmitterId],
    ) -> Result<StreamsFound, BusError> {
        let mut found = StreamsFound::default();
        for stream in Stream::ALL {
            let failed = |error: String| BusError::Manage {
                what: format!("set up stream {}", stream.name()),
                error,
            };
            let mut wanted = stream_config(stream, settings);
            match self.jetstream.get_stream(stream.name()).await {
                Ok(there) => {
                    // No server takes that back, so a stream of an older build stays as it is.
                    wanted.deny_delete |= there.cached_info().config.deny_delete;
                    let held = there.cached_info().state.bytes;
                    let limit = u64::try_from(wanted.max_bytes).unwrap_or(u64::MAX);
                    if held >= limit / 100 * FILLING_PERCENT {
                        found.filling.push(stream);
                    }
                }
                Err(_) => found.made.push(stream),
            }
            self.jetstream
                .create_or_update_stream(wanted)
                .await
                .map_err(|e| failed(hint(&e.to_string())))?;
        }
        self.forget_shards(settings.shards).await?;
        for queue in Queue::ALL {
            for lane in Lane::ALL {
                for shard in 0..settings.shards {
                    let filters = consumer_filters(queue, lane, shard, settings.shards, emitters);
                    if filters.is_empty() {
                        continue;
                    }
                    let name = consumer(queue, lane, shard);
                    let wanted = consumer_config(&name, filters, settings.task_patience());
                    self.ensure_consumer(Stream::Task, wanted).await?;
                }
            }
        }
        let filters = vec![Stream::Report.wildcard()];
        let wanted = consumer_config(REPORTS, filters, settings.task_patience());
        self.ensure_consumer(Stream::Report, wanted).await?;
        Ok(found)
    }

    /// Removes the task consumers of another number of shards: a queue takes no two consumers of one subject, not even
    /// while they change. What their workers hold is delivered again, which costs time alone.
    async fn forget_shards(&self, shards: u32) -> Result<(), BusError> {
        let failed =
            |error: String| BusError::Manage { what: "look at task consumers".to_owned(), error };
        let stream = self.jetstream.get_stream_no_info(Stream::Task.name()).await;
        let stream = stream.map_err(|e| failed(e.to_string()))?;
        let mut names = stream.consumer_names();
        let mut found = Vec::new();
        while let Some(name) = names.next().await {
            let name = name.map_err(|e| failed(e.to_string()))?;
            let shard = name.rsplit('-').next().and_then(|shard| shard.parse::<u32>().ok());
            found.extend(shard.map(|shard| (shard, name)));
        }
        let there = found.iter().map(|(shard, _)| shard + 1).max();
        if there.is_none_or(|there| there == shards) {
            return Ok(());
        }
        tracing::info!(
            shards,
            before = there,
            "makes the queues anew: the number of shards changed"
        );
        // The highest shard last: where this is cut short, the next time finds it and goes on.
        found.sort();
        for (_, name) in found {
            stream.delete_consumer(&name).await.map_err(|e| failed(e.to_string()))?;
        }
        Ok(())
    }

    async fn ensure_consumer(&self, stream: Stream, wanted: pull::Config) -> Result<(), BusError> {
        let name = wanted.durable_name.clone().unwrap_or_default();
        let failed =
            |error: String| BusError::Manage { what: format!("set up consumer {name}"), error };
        let made = self.jetstream.create_consumer_on_stream(wanted, stream.name()).await;
        made.map(|_| ()).map_err(|e| failed(e.to_string()))
    }

    /// The highest generation that any stream names, and that stream. It looks at every subject, page by page: up to
    /// half a minute on a busy machine where there are a million, for the server sorts all of them for every page.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn highest_generation(&self) -> Result<Option<(Stream, Generation)>, BusError> {
        let mut highest: Option<(Stream, Generation)> = None;
        let mut jetstream = self.jetstream.clone();
        jetstream.set_timeout(PAGE_LIMIT);
        for stream in Stream::ALL {
            let failed = |error: String| BusError::Manage {
                what: format!("list subjects of stream {}", stream.name()),
                error,
            };
            let handle = match jetstream.get_stream(stream.name()).await {
                Ok(handle) => handle,
                Err(error) if is_no_stream(&error) => continue,
                Err(error) => return Err(failed(error.to_string())),
            };
            let listed = handle.info_with_subjects(stream.wildcard()).await;
            let mut subjects = listed.map_err(|e| failed(e.to_string()))?;
            while let Some(subject) = subjects.next().await {
                let (subject, _) = subject.map_err(|e| failed(e.to_string()))?;
                let generation = subject::generation_of(&subject);
                if let Some(generation) = generation
                    && highest.is_none_or(|(_, known)| known < generation)
                {
                    highest = Some((stream, generation));
                }
            }
        }
        Ok(highest)
    }

    /// Tasks of each queue and lane that no worker has yet, and that one has: all shards together.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn queue_usage(&self, shards: u32) -> Result<Vec<(Queue, Lane, u64, u64)>, BusError> {
        let failed = |error: String| BusError::Manage { what: "ask for queues".to_owned(), error };
        let stream = self.jetstream.get_stream_no_info(Stream::Task.name()).await;
        let stream = stream.map_err(|e| failed(e.to_string()))?;
        let mut usage = Vec::new();
        for queue in Queue::ALL {
            for lane in Lane::ALL {
                let (mut pending, mut held) = (0, 0);
                for shard in 0..shards {
                    let info = stream.consumer_info(&consumer(queue, lane, shard)).await;
                    let info = info.map_err(|e| failed(e.to_string()))?;
                    pending += info.num_pending;
                    held += info.num_ack_pending as u64;
                }
                usage.push((queue, lane, pending, held));
            }
        }
        Ok(usage)
    }

    /// Messages and bytes of each stream, and the bytes that it may hold.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn stream_usage(&self) -> Result<Vec<StreamUsage>, BusError> {
        let mut usage = Vec::new();
        for stream in Stream::ALL {
            let failed = |error: String| BusError::Manage {
                what: format!("ask for stream {}", stream.name()),
                error,
            };
            let handle = self
                .jetstream
                .get_stream(stream.name())
                .await
                .map_err(|e| failed(e.to_string()))?;
            let info = handle.cached_info();
            usage.push(StreamUsage {
                stream,
                messages: info.state.messages,
                bytes: info.state.bytes,
                bytes_max: u64::try_from(info.config.max_bytes).ok(),
            });
        }
        Ok(usage)
    }
}

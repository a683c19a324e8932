//! The check of streams and consumers by a process that may not create them. One error names
//! everything that is missing or different.

use std::time::Duration;

use async_nats::jetstream::consumer::{self, IntoConsumerConfig, pull};
use async_nats::jetstream::{ErrorCode, object_store, stream};

use crate::declare::{compare, difference, is_missing, take_limit};
use crate::postponed;
use crate::topology::{PAYLOADS, REPORTS, TASKS, task_consumer};
use crate::{Connection, Creates, Error, LogReader, Topology, account};

/// How long a process waits for the queues, which the orchestrator creates when it starts.
const QUEUES_WAIT: Duration = Duration::from_secs(10);
/// The pause before it looks again.
const QUEUES_PAUSE: Duration = Duration::from_millis(250);

impl Topology {
    /// Checks that everything is there and as it should be.
    pub(crate) async fn check(&self, connection: &Connection) -> Result<(), Error> {
        account::check_messages(connection)?;
        let mut found = self.differences(connection).await?;
        if connection.creates() == Creates::Queues {
            self.create_queues(connection).await?;
        } else {
            found.extend(self.queues_after_wait(connection).await?);
        }
        said(&found)
    }

    /// What is missing or different, but for the queues.
    async fn differences(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for wanted in self.streams() {
            found.extend(of_stream(connection, wanted).await?);
        }
        found.extend(of_bucket(connection, &self.payloads()).await?);
        for shard in 0..self.shards {
            let log = Self::log_stream(shard);
            for reader in LogReader::ALL {
                let wanted = self.log_consumer(reader);
                found.extend(of_consumer(connection, &log, &wanted).await?);
            }
        }
        if self.webhooks {
            for (stream, wanted) in postponed::consumers(self.ack_wait) {
                found.extend(of_consumer(connection, stream, &wanted).await?);
            }
        }
        Ok(found)
    }

    async fn of_queues(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        for wanted in self.queues() {
            found.extend(of_stream(connection, wanted).await?);
        }
        for shard in 0..self.shards {
            let wanted = self.report_consumer(shard);
            found.extend(of_consumer(connection, REPORTS, &wanted).await?);
        }
        for task_type in &self.task_types {
            let wanted = task_consumer(task_type, self.task_lease);
            found.extend(of_consumer(connection, TASKS, &wanted).await?);
        }
        Ok(found)
    }

    /// What is missing or different of the queues. A server that was restarted has lost them, and
    /// the orchestrator creates them again.
    async fn queues_after_wait(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let begun = tokio::time::Instant::now();
        loop {
            let found = self.of_queues(connection).await?;
            let absent = found.iter().any(|text| text.ends_with(MISSING));
            if !absent || begun.elapsed() > QUEUES_WAIT {
                return Ok(found);
            }
            tokio::time::sleep(QUEUES_PAUSE).await;
        }
    }
}

/// The end of the text about something that is missing.
const MISSING: &str = "is missing";

/// One error for everything that was found.
fn said(found: &[String]) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::Unsuitable(format!(
        "with TOPOLOGY=check this process changes nothing, and the broker differs: {}. Run \
         `fanfold topology apply` with a user that may make streams and consumers",
        found.join("; ")
    )))
}

async fn of_stream(
    connection: &Connection,
    mut wanted: stream::Config,
) -> Result<Option<String>, Error> {
    let name = wanted.name.clone();
    let found = match connection.jetstream.get_stream(&name).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(Some(format!("stream {name} {MISSING}"))),
        Err(error) => return Err(connection.failed(format_args!("STREAM.INFO.{name}"), error)),
    };
    let found = &found.cached_info().config;
    if name != TASKS {
        take_limit(&mut wanted, found);
    }
    let difference = difference(&wanted, found);
    Ok(difference.map(|difference| format!("stream {name}: {difference}")))
}

async fn of_bucket(
    connection: &Connection,
    wanted: &object_store::Config,
) -> Result<Option<String>, Error> {
    let name = format!("OBJ_{PAYLOADS}");
    let found = match connection.jetstream.get_stream(&name).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(Some(format!("stream {name} {MISSING}"))),
        Err(error) => return Err(connection.failed(format_args!("STREAM.INFO.{name}"), error)),
    };
    let found = &found.cached_info().config;
    let forever = found.max_age.is_zero();
    let kept = forever || (!wanted.max_age.is_zero() && found.max_age >= wanted.max_age);
    let difference = if found.num_replicas != wanted.num_replicas {
        let (found, wanted) = (found.num_replicas, wanted.num_replicas);
        Some(format!("num_replicas is {found}, wanted {wanted}"))
    } else if kept {
        None
    } else {
        let (found, wanted) = (found.max_age, wanted.max_age);
        Some(format!("max_age is {found:?}, wanted {wanted:?} or more"))
    };
    Ok(difference.map(|difference| format!("stream {name}: {difference}")))
}

async fn of_consumer(
    connection: &Connection,
    stream: &str,
    wanted: &pull::Config,
) -> Result<Option<String>, Error> {
    let name = wanted.durable_name.clone().unwrap_or_default();
    let found = connection.consumer_info(stream, &name).await?;
    let Some(found) = found else {
        return Ok(Some(format!("consumer {name} of {stream} {MISSING}")));
    };
    let mut wanted = wanted.clone().into_consumer_config();
    wanted.max_ack_pending = connection.ack_pending(wanted.max_ack_pending);
    let difference = of_configs(&wanted, &found.config);
    Ok(difference.map(|difference| format!("consumer {name} of {stream}: {difference}")))
}

/// The first field in which a consumer differs from the wanted one.
fn of_configs(wanted: &consumer::Config, found: &consumer::Config) -> Option<String> {
    compare!(
        wanted, found:
        ack_policy,
        ack_wait,
        max_ack_pending,
        priority_policy,
        priority_groups,
        priority_timeout,
    );
    // The broker gives a single filter back in either field.
    let filters = |config: &consumer::Config| {
        let one = Some(config.filter_subject.clone()).filter(|one| !one.is_empty());
        let mut all: Vec<String> = config.filter_subjects.iter().cloned().chain(one).collect();
        all.sort();
        all
    };
    let (wanted, found) = (filters(wanted), filters(found));
    (wanted != found).then(|| format!("its filters are {found:?}, wanted {wanted:?}"))
}

/// Whether the broker says that there is no such consumer.
pub(crate) fn is_absent(code: ErrorCode) -> bool {
    code == ErrorCode::CONSUMER_NOT_FOUND || code == ErrorCode::STREAM_NOT_FOUND
}

//! Bringing the streams and consumers of a running deployment to changed facts.

use std::time::Duration;

use async_nats::jetstream::context::UpdateStreamErrorKind;
use async_nats::jetstream::stream;

use crate::declare::{declare_bucket, is_missing};
use crate::topology::{REPORTS, TASKS};
use crate::{Connection, Error, Topology};

/// How long a stream may take until it is on other servers.
const MOVES_WITHIN: Duration = Duration::from_secs(30);
/// How often the change is checked meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Topology {
    /// Updates what exists to this topology, and says what was updated: how long streams are kept,
    /// on how many servers, the memory of the tasks, and how long consumers wait. The next start
    /// makes what is missing. Payloads that older events refer to are kept for as long as before.
    pub async fn apply(&self, connection: &Connection) -> Result<Vec<String>, Error> {
        let mut updated = Vec::new();
        // The queues come first: where the broker refuses them, no log was made shorter.
        for wanted in self.queues().into_iter().chain(self.streams()) {
            if let Some(stream) = update(connection, wanted).await? {
                updated.push(stream);
            }
        }
        let payloads = self.payloads();
        let name = format!("OBJ_{}", payloads.bucket);
        if let Some(found) = config(connection, &name).await? {
            if found.num_replicas != self.replicas {
                let wanted = stream::Config {
                    num_replicas: self.replicas,
                    ..found
                };
                write(connection, wanted).await?;
                updated.push(format!("stream {name}"));
            }
            declare_bucket(connection, payloads).await?;
        }
        for shard in 0..self.shards {
            let log = Self::log_stream(shard);
            if config(connection, &log).await?.is_some() {
                self.declare_log_consumers(connection, shard).await?;
            }
        }
        if config(connection, REPORTS).await?.is_some()
            && config(connection, TASKS).await?.is_some()
        {
            self.declare_queue_consumers(connection).await?;
        }
        Ok(updated)
    }
}

/// Updates the fields of a stream that follow from facts.
async fn update(connection: &Connection, wanted: stream::Config) -> Result<Option<String>, Error> {
    let Some(found) = config(connection, &wanted.name).await? else {
        return Ok(None);
    };
    let mut update = found.clone();
    update.num_replicas = wanted.num_replicas;
    update.max_age = wanted.max_age;
    if !wanted.duplicate_window.is_zero() {
        update.duplicate_window = wanted.duplicate_window;
    } else if !update.max_age.is_zero() {
        // The broker's own window may not be longer than messages are kept.
        update.duplicate_window = update.duplicate_window.min(update.max_age);
    }
    if wanted.name == TASKS {
        update.max_bytes = wanted.max_bytes;
    }
    if is(&found, &update) {
        return Ok(None);
    }
    write(connection, update).await?;
    Ok(Some(format!("stream {}", wanted.name)))
}

async fn config(connection: &Connection, stream: &str) -> Result<Option<stream::Config>, Error> {
    match connection.jetstream.get_stream(stream).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(connection.failed(format_args!("STREAM.INFO.{stream}"), error)),
    }
}

async fn write(connection: &Connection, wanted: stream::Config) -> Result<(), Error> {
    let Err(error) = connection.jetstream.update_stream(&wanted).await else {
        return Ok(());
    };
    let name = &wanted.name;
    // A broker that moves a stream to other servers may answer too late, and move it all the same.
    let changed = async {
        while !matches!(config(connection, name).await, Ok(Some(found)) if is(&found, &wanted)) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let is_slow = error.kind() == UpdateStreamErrorKind::TimedOut;
    if is_slow && tokio::time::timeout(MOVES_WITHIN, changed).await.is_ok() {
        return Ok(());
    }
    Err(Error::Unsuitable(format!(
        "stream {name} cannot be changed: {error}"
    )))
}

/// Whether a stream has what is wanted of it.
fn is(found: &stream::Config, wanted: &stream::Config) -> bool {
    let fields = |c: &stream::Config| (c.num_replicas, c.max_age, c.duplicate_window, c.max_bytes);
    fields(found) == fields(wanted)
}

//! The sampler of a shard: where this instance holds the shard, it tells what is there, for the
//! metrics. It asks the broker now and then, so that a scrape asks nobody.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::request::Sequence;
use jiff::Timestamp;
use nats::{Connection, Shared};
use runtime::Shutdown;
use tokio::sync::watch;

use crate::context::Context;

/// How often the open requests are counted, and the broker is asked for its figures.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// How often the sampler looks whether this instance holds the shard.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shard whose holder tells what all shards share.
const OF_ALL: u8 = 0;
/// The name of the role in the metrics.
const ROLE: &str = "orchestrator";

/// What the broker last said of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it delivers to this instance, or to nobody in particular: it chooses an instance with
    /// the first message.
    pub holds: bool,
    /// The sequence up to which every commit was delivered at least once.
    pub delivered: Sequence,
}

/// The sampler of one shard.
pub struct Sampler {
    pub context: Arc<Context>,
    pub connection: Connection,
    pub shard: u8,
    /// Kept by the reconciler of the shard.
    pub standing: watch::Receiver<Standing>,
}

impl Sampler {
    pub async fn run(self, shutdown: Shutdown) {
        // Whether everything was told since this instance holds the shard.
        let (mut looks, mut held) = (0_u32, false);
        let each = u32::try_from(SAMPLE_EVERY.as_secs() / LOOK_EVERY.as_secs()).unwrap_or(1);
        while shutdown.pause(LOOK_EVERY).await {
            let standing = *self.standing.borrow();
            self.context
                .metrics
                .shards
                .holds(ROLE, self.shard, standing.holds);
            if !standing.holds {
                if held {
                    self.tell_nothing();
                }
                held = false;
            } else if !held || looks.is_multiple_of(each) {
                let sampled = self.sample(standing);
                let Some(known) = shutdown.unless_hard(Box::pin(sampled)).await else {
                    return;
                };
                held = known;
            }
            looks = looks.wrapping_add(1);
        }
        self.tell_nothing();
    }

    /// Tells what is there. Returns whether this instance knows all open requests already: after a
    /// takeover, the reconciler reads them first.
    async fn sample(&self, standing: Standing) -> bool {
        let told = &self.context.metrics.shards;
        let limits = (self.context.rules.group_timeout, standing.delivered);
        let all = &self.context.open;
        let known = all.gap(self.shard, standing.delivered).is_none();
        let open = || all.told(self.shard, Timestamp::now(), limits);
        told.open(self.shard, known.then(open));
        let shared = self.shared();
        match self.connection.sample(self.shard, shared).await {
            Ok(sampled) => {
                let streams = sampled.streams.iter().map(String::as_str);
                let streams: Vec<&str> = streams.collect();
                told.consumers(&streams, &sampled.consumers);
                told.stores(&streams, &sampled.stores);
                if shared == Shared::Yes {
                    told.sampled(Some(SystemTime::now()));
                }
            }
            Err(error) => {
                told.failed.inc();
                tracing::debug!(shard = self.shard, %error, "the broker told no figures");
            }
        }
        known
    }

    fn shared(&self) -> Shared {
        if self.shard == OF_ALL {
            Shared::Yes
        } else {
            Shared::No
        }
    }

    /// Tells nothing of the shard any more: another instance does.
    fn tell_nothing(&self) {
        let told = &self.context.metrics.shards;
        told.holds(ROLE, self.shard, false);
        told.open(self.shard, None);
        let streams = Connection::sampled_streams(self.shard, self.shared());
        let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
        told.consumers(&streams, &[]);
        told.stores(&streams, &[]);
        if self.shard == OF_ALL {
            told.sampled(None);
        }
    }
}

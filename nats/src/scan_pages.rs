//! The pages of a scan. A page has a limit in bytes: the broker sends a page at once, and treats a
//! connection on which more than its `max_pending` waits as one that does not read.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{ConsumerError, Stream};
use futures::StreamExt;

use crate::pinned::{BATCH_COMPLETED, MAX_BYTES};
use crate::read::PAGE_BYTES;

/// How many messages a page has at most.
const PAGE_MESSAGES: usize = 500;
/// How long a page waits at the broker for messages that are not there yet.
const PAGE_EXPIRY: Duration = Duration::from_secs(5);
/// How long the broker keeps a consumer that nobody pulls from.
const INACTIVE: Duration = Duration::from_mins(1);

/// The messages of a stream in order, from a consumer of its own.
pub struct Pages {
    consumer: PullConsumer,
    page: Option<pull::Batch>,
    /// Whether the next message is larger than a page, and comes alone.
    alone: bool,
}

impl Pages {
    pub async fn open(
        stream: &Stream,
        start: DeliverPolicy,
        headers_only: bool,
    ) -> Result<Self, ConsumerError> {
        let config = pull::Config {
            deliver_policy: start,
            ack_policy: AckPolicy::None,
            headers_only,
            memory_storage: true,
            num_replicas: 1,
            inactive_threshold: INACTIVE,
            ..pull::Config::default()
        };
        Ok(Self {
            consumer: stream.create_consumer(config).await?,
            page: None,
            alone: false,
        })
    }

    /// The name of the consumer.
    pub fn consumer(&self) -> &str {
        &self.consumer.cached_info().name
    }

    /// Waits for the next message. The future is safe to drop.
    pub async fn next(&mut self) -> Result<jetstream::Message, async_nats::Error> {
        loop {
            if self.page.is_none() {
                self.page = Some(self.request().await?);
            }
            let Some(page) = &mut self.page else { continue };
            match page.next().await {
                Some(Ok(message)) => {
                    self.alone = false;
                    return Ok(message);
                }
                Some(Err(error)) if error.to_string().contains(MAX_BYTES) => self.alone = true,
                Some(Err(error)) if !error.to_string().contains(BATCH_COMPLETED) => {
                    self.page = None;
                    return Err(error);
                }
                Some(Err(_)) | None => {}
            }
            self.page = None;
        }
    }

    async fn request(&self) -> Result<pull::Batch, pull::BatchError> {
        let page = self.consumer.batch().expires(PAGE_EXPIRY);
        let page = if self.alone {
            page.max_messages(1)
        } else {
            page.max_messages(PAGE_MESSAGES).max_bytes(PAGE_BYTES)
        };
        page.messages().await
    }
}

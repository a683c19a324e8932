//! Batches: many messages for a stream with one ack.
//!
//! The broker stores an atomic batch whole or not at all, with one sync, but passes the batch
//! through a store of its own. It stores a fast batch (ADR-50 of NATS calls it fast ingest) message
//! by message as they arrive. A fast batch saves only acks.

use async_nats::Subscriber;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::response::Response;
use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::group_commit::Outgoing;
use crate::{Connection, Error};

/// The most messages of a fast batch that the broker takes between two reports of its progress. No
/// caller waits for these reports: a batch is far smaller than a stream's buffer of unread
/// messages.
const FLOW: usize = 10_000;

/// How many messages of a fast batch are made before the connection writes them.
const WRITTEN_AT_ONCE: usize = 32;

// The operation of a message in a fast batch, as stated in its reply subject.
const START: u8 = 0;
const APPEND: u8 = 1;
const COMMIT: u8 = 2;

/// Publishes all messages or none, and returns the sequence of the last one. It fails where the
/// broker refused the batch or did not answer.
pub(crate) async fn atomic(
    connection: &Connection,
    messages: impl ExactSizeIterator<Item = Result<Outgoing, Error>>,
) -> Result<u64, Error> {
    let inbox = connection.client.new_inbox();
    // The broker takes ids of at most 64 characters, and the prefix of inboxes may have more.
    let id = inbox.rsplit('.').next().unwrap_or_default();
    let last = messages.len();
    for (number, message) in (1..).zip(messages) {
        let mut message = message?;
        message.headers.insert(NATS_BATCH_ID, id);
        message
            .headers
            .insert(NATS_BATCH_SEQUENCE, number.to_string());
        if number < last {
            let Outgoing {
                subject,
                headers,
                body,
            } = message;
            let client = &connection.client;
            let sent = client.publish_with_headers(subject, headers, body).await;
            sent.map_err(Error::unavailable)?;
            continue;
        }
        message.headers.insert(NATS_BATCH_COMMIT, "1");
        let ack = message.send(connection).await.map_err(Error::unavailable)?;
        return Ok(ack.await.map_err(Error::unavailable)?.sequence);
    }
    Err(Error::Unavailable("a batch of no messages".into()))
}

/// Publishes fast batches, one at a time.
#[derive(Default)]
pub(crate) struct Fast {
    /// The subscription for the broker's answers. It is locked while a batch is on its way.
    answers: Mutex<Option<Answers>>,
}

struct Answers {
    inbox: String,
    subscriber: Subscriber,
    batches: u64,
}

/// The broker's answer at the end of a batch.
#[derive(Deserialize)]
struct End {
    batch: String,
    count: usize,
}

/// The broker's answer before the end of a batch: its progress, or why the batch ends early.
#[derive(Deserialize)]
struct Progress {
    #[serde(rename = "type")]
    kind: String,
}

impl Fast {
    /// Publishes a batch to one stream, and returns how many of its messages are stored by the end,
    /// counted from the first. The count is short where the broker refused a message. Returns
    /// `None` while another batch is on its way, because that batch may be waiting for a lost
    /// broker. After an error, any part of the batch may be stored.
    pub async fn publish(
        &self,
        connection: &Connection,
        messages: impl ExactSizeIterator<Item = Result<Outgoing, Error>>,
    ) -> Option<Result<usize, Error>> {
        let mut answers = self.answers.try_lock().ok()?;
        let publishing = publish(&mut answers, connection, messages);
        let published = tokio::time::timeout(connection.request_timeout, publishing).await;
        let silent = |_| Err(Error::Unavailable("no answer to a batch".into()));
        Some(published.unwrap_or_else(silent))
    }
}

async fn publish(
    answers: &mut Option<Answers>,
    connection: &Connection,
    messages: impl ExactSizeIterator<Item = Result<Outgoing, Error>>,
) -> Result<usize, Error> {
    let answers = match answers {
        Some(answers) => answers,
        none => none.insert(Answers::open(connection).await?),
    };
    answers.batches += 1;
    // The broker knows a batch by this token alone, so the token is unique among all publishers.
    let unique = answers.inbox.rsplit('.').next().unwrap_or_default();
    let batch = format!("{unique}-{}", answers.batches);
    let last = messages.len();
    for (number, message) in (1..).zip(messages) {
        let message = message?;
        let operation = match number {
            _ if number == last => COMMIT,
            1 => START,
            _ => APPEND,
        };
        let inbox = &answers.inbox;
        let reply = format!("{inbox}.{batch}.{FLOW}.fail.{number}.{operation}.$FI");
        let Outgoing {
            subject,
            headers,
            body,
        } = message;
        let client = &connection.client;
        let sending = client.publish_with_reply_and_headers(subject, reply, headers, body);
        sending.await.map_err(Error::unavailable)?;
        write_some(number).await;
    }
    answers.end_of(&batch).await
}

/// Lets the connection write the messages made so far, while they are still in the processor's
/// cache. The messages of a large batch, with all their headers, thus never exist at the same time.
/// An atomic batch has few bytes, and does not yield like this.
async fn write_some(made: usize) {
    if made.is_multiple_of(WRITTEN_AT_ONCE) {
        tokio::task::yield_now().await;
    }
}

impl Answers {
    async fn open(connection: &Connection) -> Result<Self, Error> {
        let inbox = connection.client.new_inbox();
        let subscribing = connection.client.subscribe(format!("{inbox}.>"));
        Ok(Self {
            subscriber: subscribing.await.map_err(Error::unavailable)?,
            inbox,
            batches: 0,
        })
    }

    /// Waits for the number of messages of a batch that are stored. It skips late answers to an
    /// earlier batch.
    async fn end_of(&mut self, batch: &str) -> Result<usize, Error> {
        let subjects = format!("{}.{batch}.", self.inbox);
        while let Some(answer) = self.subscriber.next().await {
            if !answer.subject.starts_with(&subjects) {
                continue;
            }
            let body = &answer.payload;
            match serde_json::from_slice(body) {
                Ok(Response::Ok(End { batch: of, count })) if of == batch => return Ok(count),
                // The broker refused the batch before it stored anything. A later refusal has a
                // type, and the broker still reports the end of the messages that it stored before.
                Ok(Response::Err { error }) if !is_progress(body) => {
                    tracing::debug!(%error, "the broker refused a batch");
                    return Ok(0);
                }
                _ if is_progress(body) => {}
                _ => {
                    let body = String::from_utf8_lossy(body);
                    let reason = format!("the answer to a batch was '{body}'");
                    return Err(Error::Unavailable(reason));
                }
            }
        }
        Err(Error::Unavailable("the connection is closed".into()))
    }
}

fn is_progress(body: &[u8]) -> bool {
    let progress = serde_json::from_slice::<Progress>(body);
    progress.is_ok_and(|progress| matches!(progress.kind.as_str(), "ack" | "err" | "gap"))
}

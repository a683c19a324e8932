//! Batches: many messages for a stream with one ack.
//!
//! An atomic batch is stored whole or not at all, with one sync, but passes through a store of
//! its own. A fast one (ADR-50 of NATS calls it fast ingest) is stored message by message as it
//! comes in; what it saves is the acks.

use async_nats::Subscriber;
use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::response::Response;
use futures::StreamExt;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::group_commit::Outgoing;
use crate::{Connection, Error};

/// After how many messages of a fast batch the broker tells how far it is. Nobody waits for it:
/// a batch is smaller than what a stream takes in unread.
const FLOW: usize = 10_000;

// What a message of a fast batch says it is, in its reply subject.
const START: u8 = 0;
const APPEND: u8 = 1;
const COMMIT: u8 = 2;

/// Publishes all or none; gives the sequence of the last, and an error where the broker refused
/// or did not answer.
pub(crate) async fn atomic(
    connection: &Connection,
    messages: impl ExactSizeIterator<Item = Outgoing>,
) -> Result<u64, Error> {
    let id = connection.client.new_inbox();
    let last = messages.len();
    for (number, mut message) in (1..).zip(messages) {
        message.headers.insert(NATS_BATCH_ID, id.as_str());
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
        let publish = PublishMessage::build()
            .headers(message.headers)
            .payload(message.body);
        let sending = connection.jetstream.send_publish(message.subject, publish);
        let ack = sending.await.map_err(Error::unavailable)?;
        return Ok(ack.await.map_err(Error::unavailable)?.sequence);
    }
    Err(Error::Unavailable("a batch of no messages".into()))
}

/// Publishes fast batches.
#[derive(Default)]
pub(crate) struct Fast {
    /// The answers to whichever batch is on its way.
    answers: Mutex<Option<Answers>>,
}

struct Answers {
    inbox: String,
    subscriber: Subscriber,
    batches: u64,
}

/// What the broker says at the end of a batch. Anything else that is not progress is trouble.
#[derive(Deserialize)]
struct End {
    count: usize,
}

/// How far the broker is.
#[derive(Deserialize)]
struct Progress {
    #[serde(rename = "type")]
    kind: String,
}

impl Fast {
    /// Publishes a batch to one stream, and waits until all of it is stored. After an error any
    /// part of it may be.
    pub async fn publish(
        &self,
        connection: &Connection,
        messages: impl ExactSizeIterator<Item = Outgoing>,
    ) -> Result<(), Error> {
        // One that waits for a lost broker holds nobody up.
        let under_way = |_| Error::Unavailable("another batch is on its way".into());
        let mut answers = self.answers.try_lock().map_err(under_way)?;
        let answers = match &mut *answers {
            Some(answers) => answers,
            none => none.insert(Answers::open(connection).await?),
        };
        answers.batches += 1;
        let batch = format!("{}.{}", answers.inbox, answers.batches);
        let sent = messages.len();
        for (number, message) in (1..).zip(messages) {
            let operation = match number {
                _ if number == sent => COMMIT,
                1 => START,
                _ => APPEND,
            };
            let reply = format!("{batch}.{FLOW}.fail.{number}.{operation}.$FI");
            let Outgoing {
                subject,
                headers,
                body,
            } = message;
            let client = &connection.client;
            let sending = client.publish_with_reply_and_headers(subject, reply, headers, body);
            sending.await.map_err(Error::unavailable)?;
        }
        let ending = answers.end_of(&batch);
        let stored = tokio::time::timeout(connection.request_timeout, ending)
            .await
            .map_err(|_| Error::Unavailable("no answer to a batch".into()))??;
        if stored == sent {
            return Ok(());
        }
        let reason = format!("of a batch of {sent} messages {stored} were stored");
        Err(Error::Unavailable(reason))
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

    /// How many messages of a batch were stored. What comes late of one before is passed over.
    async fn end_of(&mut self, batch: &str) -> Result<usize, Error> {
        while let Some(answer) = self.subscriber.next().await {
            let of_batch = answer.subject.strip_prefix(batch);
            if !of_batch.is_some_and(|rest| rest.starts_with('.')) {
                continue;
            }
            let body = &answer.payload;
            if let Ok(Response::Ok(End { count })) = serde_json::from_slice(body) {
                return Ok(count);
            }
            let progress = serde_json::from_slice::<Progress>(body);
            if !progress.is_ok_and(|progress| progress.kind == "ack") {
                let body = String::from_utf8_lossy(body);
                return Err(Error::Unavailable(format!("a batch was refused: {body}")));
            }
        }
        Err(Error::Unavailable("the connection is closed".into()))
    }
}

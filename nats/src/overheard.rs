//! Everything that passes at a broker, for `fanfold worker-check`, which judges a worker by it.

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use domain::request::{Payload, TaskId};
use futures::StreamExt as _;
use tokio::time::Instant;

use crate::group_commit::Outgoing;
use crate::tasks::task_headers;
use crate::topology::REPORTS;
use crate::{Attempts, Connection, Error, Tasks, subject};

/// A message that passed at the broker.
#[derive(Clone, Debug)]
pub struct Overheard {
    /// Its subject.
    pub subject: String,
    /// Where its answer goes.
    pub reply: Option<String>,
    /// Its headers.
    headers: Option<HeaderMap>,
    /// Its body.
    pub body: Bytes,
    /// When it was heard.
    pub at: Instant,
}

impl Overheard {
    /// The value of one of its headers.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.headers.as_ref()?;
        headers.get(name).map(async_nats::HeaderValue::as_str)
    }
}

impl From<Message> for Overheard {
    fn from(message: Message) -> Self {
        Self {
            subject: message.subject.to_string(),
            reply: message.reply.map(|reply| reply.to_string()),
            headers: message.headers,
            body: message.payload,
            at: Instant::now(),
        }
    }
}

/// Listens to all messages of an account, in the order of the broker. One subscription keeps the
/// order; it also takes away the broker's answer that nobody listens on a subject.
pub struct Eavesdropper {
    messages: Subscriber,
}

impl Eavesdropper {
    /// Begins to listen.
    pub async fn open(connection: &Connection) -> Result<Self, Error> {
        let messages = connection.client.subscribe(">").await;
        let messages = messages.map_err(Error::unavailable)?;
        // The broker has the subscription before anything that is published from here on.
        let flushed = connection.client.flush().await;
        flushed.map_err(Error::unavailable)?;
        Ok(Self { messages })
    }

    /// Waits for the next message. `None` says that the connection is closed.
    pub async fn next(&mut self) -> Option<Overheard> {
        self.messages.next().await.map(Overheard::from)
    }
}

impl Connection {
    /// Removes the queue of reports, as a crash of the broker does. Declaring the topology creates
    /// it again.
    pub async fn remove_reports(&self) -> Result<(), Error> {
        let removed = self.jetstream.delete_stream(REPORTS).await;
        let call = format_args!("STREAM.DELETE.{REPORTS}");
        removed
            .map(|_| ())
            .map_err(|error| self.failed(call, error))
    }
}

impl Tasks {
    /// Sends a task with further headers, as a later version of Fanfold may do.
    pub async fn send_with(
        &self,
        task_type: &str,
        id: TaskId,
        attempts: Attempts,
        document: &Payload,
        further: &[(&str, &str)],
    ) -> Result<(), Error> {
        let (mut headers, body) = task_headers(attempts, document);
        for (name, value) in further {
            headers.insert(*name, *value);
        }
        let message = Outgoing {
            subject: subject::task(task_type, id),
            headers,
            body,
        };
        self.publish(message).await.map(|_| ())
    }
}

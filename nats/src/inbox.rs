//! A subscription to an inbox of its own, whose end loses nothing that is on its way.

use std::time::Duration;

use async_nats::{Message, Subject, Subscriber};
use futures::{FutureExt, StreamExt};

use crate::{Connection, Error};

/// How long the end of a subscription may take.
const END_TIMEOUT: Duration = Duration::from_secs(3);
/// How many heartbeats and ends of pulls may be on their way, beside the messages that were
/// requested.
const SPARE: usize = 16;

/// What the broker sends to one reader.
pub struct Inbox {
    connection: Connection,
    subject: Subject,
    messages: Subscriber,
    /// How many messages have come.
    received: usize,
    /// The client's count of connects at the subscription.
    subscribed: u64,
}

impl Inbox {
    pub async fn open(connection: &Connection) -> Result<Self, Error> {
        let subject: Subject = connection.client.new_inbox().into();
        let subscribed = connection.connects();
        let messages = connection.client.subscribe(subject.clone()).await;
        Ok(Self {
            connection: connection.clone(),
            messages: messages.map_err(Error::unavailable)?,
            subject,
            received: 0,
            subscribed,
        })
    }

    /// The subject to which the broker is to send.
    pub fn subject(&self) -> Subject {
        self.subject.clone()
    }

    /// Waits for the next message. `None` says that the connection is closed. The future is safe to
    /// drop.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.messages.next().await?;
        self.received += 1;
        Some(message)
    }

    /// The next message, if it has arrived.
    pub fn arrived(&mut self) -> Option<Message> {
        self.next().now_or_never().flatten()
    }

    /// Ends the subscription. Returns the messages that the broker had sent by then, of which it may
    /// have been asked for this many.
    ///
    /// The client forgets a subscription as soon as it asks the broker to end it, and with it the
    /// messages that are on their way. The subscription is therefore ended after a number of
    /// messages that is larger than what may be on its way, and this process sends the rest of that
    /// number to itself. Whatever the broker sent before is then received.
    pub async fn end(&mut self, asked: usize) -> Vec<Message> {
        let mut rest = Vec::new();
        let replaced = self.subscribed != self.connection.connects();
        if !replaced
            && self.connection.is_connected()
            && self.end_after(asked + SPARE).await.is_ok()
        {
            let draining = async {
                while let Some(message) = self.messages.next().await {
                    rest.push(message);
                }
            };
            let drained = tokio::time::timeout(END_TIMEOUT, draining).await;
            tracing::debug!(?drained, "the subscription has ended");
        }
        // What has arrived by now can still be handed back.
        let _ = self.messages.unsubscribe().await;
        while let Some(message) = self.messages.next().await {
            rest.push(message);
        }
        // The messages of this process itself want no answer.
        rest.retain(|message| message.status.is_some() || message.reply.is_some());
        rest
    }

    async fn end_after(&mut self, messages: usize) -> Result<(), Error> {
        let last = (self.received + messages) as u64;
        let ending = self.messages.unsubscribe_after(last).await;
        ending.map_err(Error::unavailable)?;
        let client = &self.connection.client;
        for _ in 0..messages {
            let sent = client.publish(self.subject.clone(), bytes::Bytes::new());
            sent.await.map_err(Error::unavailable)?;
        }
        Ok(())
    }
}

//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use domain::feed::CloudEvent;

use crate::{Connection, Error, Sent, subject};

/// Publishes the feed.
#[derive(Clone)]
pub struct Feed {
    connection: Connection,
}

impl Feed {
    /// On this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Sends an event on its way; await what it gives for the broker's answer. The id makes it
    /// known again when it comes twice.
    pub async fn send(&self, name: &str, event: &CloudEvent) -> Result<Sent, Error> {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", event.specversion);
        headers.insert("ce-type", event.kind.as_str());
        headers.insert("ce-source", event.source);
        headers.insert("ce-subject", event.subject.to_string());
        headers.insert("ce-time", event.time.to_string());
        headers.insert("ce-sequence", event.sequence.as_str());
        headers.insert("ce-dataschema", event.dataschema.as_str());
        headers.insert("content-type", event.datacontenttype);
        headers.insert(NATS_MESSAGE_ID, event.id.as_str());
        headers.insert("ce-id", event.id.as_str());
        let body = serde_json::to_vec(&event.data).map_err(|e| Error::corrupt("a new event", e))?;
        let message = PublishMessage::build()
            .headers(headers)
            .payload(body.into());
        let ack = self
            .connection
            .jetstream
            .send_publish(subject::lifecycle(name, event.subject), message)
            .await
            .map_err(Error::unavailable)?;
        Ok(Sent::new(ack))
    }
}

//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream::message::PublishMessage;
use domain::request::{Event, Recorded};

use crate::{Connection, Error, Sent, subject};

/// The `ce-source` of every event.
const SOURCE: &str = "/fanfold";

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

    /// Sends an event with its public data on its way; await what it gives for the broker's
    /// answer. The id makes it known again when it comes twice.
    pub async fn send(
        &self,
        recorded: &Recorded<Event>,
        data: &serde_json::Value,
    ) -> Result<Sent, Error> {
        let Recorded {
            request,
            sequence,
            index,
            at,
            event,
        } = recorded;
        let id = format!("{request}:{sequence}:{index}");
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "1.0");
        headers.insert("ce-type", format!("fanfold.request.{}.v1", event.name()));
        headers.insert("ce-source", SOURCE);
        headers.insert("ce-subject", request.to_string());
        headers.insert("ce-time", at.to_string());
        headers.insert("ce-sequence", sequence.to_string());
        headers.insert("content-type", "application/json");
        headers.insert(NATS_MESSAGE_ID, id.as_str());
        headers.insert("ce-id", id);
        let body = serde_json::to_vec(data).map_err(|e| Error::corrupt("a new event", e))?;
        let message = PublishMessage::build()
            .headers(headers)
            .payload(body.into());
        let ack = self
            .connection
            .jetstream
            .send_publish(subject::lifecycle(event, *request), message)
            .await
            .map_err(Error::unavailable)?;
        Ok(Sent::new(ack))
    }
}

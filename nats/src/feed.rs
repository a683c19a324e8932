//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use domain::request::{Event, Recorded};

use crate::group_commit::{GroupCommit, Outgoing};
use crate::{Connection, Error, Stored, subject};

/// The `ce-source` of every event.
const SOURCE: &str = "/fanfold";

/// Publishes the feed.
#[derive(Clone)]
pub struct Feed {
    publishing: GroupCommit,
}

impl Feed {
    /// On this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            publishing: GroupCommit::new(connection),
        }
    }

    /// Publishes an event with its public data, and waits until the broker has it. The id makes
    /// it known again when it comes twice.
    pub async fn publish(
        &self,
        recorded: &Recorded<Event>,
        data: &serde_json::Value,
    ) -> Result<Stored, Error> {
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
        let message = Outgoing {
            subject: subject::lifecycle(event, *request),
            headers,
            body: body.into(),
        };
        Stored::from_answer(self.publishing.publish(message).await)
    }
}

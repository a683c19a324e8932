//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use domain::feed::CloudEvent;

use crate::group_commit::{GroupCommit, Outgoing};
use crate::{Connection, Error, Stored, subject};

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

    /// Publishes an event, and waits until the broker has it. The id makes it known again when
    /// it comes twice.
    pub async fn publish(&self, name: &str, event: &CloudEvent) -> Result<Stored, Error> {
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
        let message = Outgoing {
            subject: subject::lifecycle(name, event.subject),
            headers,
            body: body.into(),
        };
        Stored::from_answer(self.publishing.publish(message).await)
    }
}

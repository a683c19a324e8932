//! The lifecycle feed: the public events, one `CloudEvent` each, in binary mode.

use async_nats::header::NATS_MESSAGE_ID;
use async_nats::{HeaderMap, HeaderName};
use domain::feed::CloudEvent;

use crate::group_commit::{GroupCommit, Outgoing};
use crate::{Connection, Error, Stored, subject};

// The attributes of binary mode, named in the CloudEvents binding for NATS.
const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CE_SEQUENCE: HeaderName = HeaderName::from_static("ce-sequence");
const CE_DATASCHEMA: HeaderName = HeaderName::from_static("ce-dataschema");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");

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
        headers.insert(CE_SPECVERSION, event.specversion);
        headers.insert(CE_TYPE, event.kind.as_str());
        headers.insert(CE_SOURCE, event.source);
        headers.insert(CE_SUBJECT, event.subject.to_string());
        headers.insert(CE_TIME, event.time.to_string());
        headers.insert(CE_SEQUENCE, event.sequence.as_str());
        headers.insert(CE_DATASCHEMA, event.dataschema.as_str());
        headers.insert(CONTENT_TYPE, event.datacontenttype);
        headers.insert(NATS_MESSAGE_ID, event.id.as_str());
        headers.insert(CE_ID, event.id.as_str());
        let body = serde_json::to_vec(&event.data).map_err(|e| Error::corrupt("a new event", e))?;
        let message = Outgoing {
            subject: subject::lifecycle(name, event.subject),
            headers,
            body: body.into(),
        };
        Stored::from_answer(self.publishing.publish(message).await)
    }
}

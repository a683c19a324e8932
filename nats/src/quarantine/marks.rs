//! The marks in their stored form: one message for each, removed when the work has ended.

use std::collections::HashMap;

use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use domain::request::RequestId;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::topology::QUARANTINE;
use crate::{Connection, Error, subject};

/// How many marks are read at once when a consumer starts.
const READ_AT_ONCE: usize = 64;

/// The record of a message that was begun under a mark and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// How often the message was begun under a mark.
    pub begun: u32,
    /// How many of these times it was begun alone.
    pub alone: u32,
    /// The request that the message is about, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The process that began it last.
    pub by: String,
    /// When that process began it.
    pub at: Timestamp,
}

impl Mark {
    /// Makes an empty mark of this process.
    pub(super) fn new(request: Option<RequestId>) -> Self {
        Self {
            begun: 0,
            alone: 0,
            request,
            by: instance(),
            at: Timestamp::now(),
        }
    }
}

/// The name by which an operator finds this process.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
    format!("{} pid {pid}, version {version}", host.trim())
}

/// The marks of one consumer.
pub struct Marks {
    connection: Connection,
    consumer: String,
}

impl Marks {
    pub fn new(connection: &Connection, consumer: &str) -> Self {
        Self {
            connection: connection.clone(),
            consumer: consumer.to_owned(),
        }
    }

    async fn stream(&self) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(QUARANTINE);
        stream.await.map_err(Error::unavailable)
    }

    pub async fn read_all(&self) -> Result<HashMap<String, Mark>, Error> {
        let all = subject::quarantined(&self.consumer, ">");
        let stream = self.stream().await?;
        let subjects = stream.info_with_subjects(all).await;
        let subjects = subjects.map_err(|error| {
            self.connection
                .failed(format_args!("STREAM.INFO.{QUARANTINE}"), error)
        })?;
        let prefix = subject::quarantined(&self.consumer, "").len();
        let marks = subjects
            .map_err(Error::unavailable)
            .map_ok(|(subject, _)| async move {
                let what = subject[prefix..].to_owned();
                let mark = self.read(&what).await?;
                Ok(mark.map(|mark| (what, mark)))
            })
            .try_buffer_unordered(READ_AT_ONCE)
            .try_filter_map(|mark| std::future::ready(Ok(mark)));
        marks.try_collect().await
    }

    /// Reads a mark from the stream's leader. A mark that this version cannot parse says only that
    /// the message was begun.
    pub async fn read(&self, what: &str) -> Result<Option<Mark>, Error> {
        let subject = subject::quarantined(&self.consumer, what);
        let stream = self.stream().await?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => Ok(Some(serde_json::from_slice(&message.payload).unwrap_or(
                Mark {
                    begun: 1,
                    alone: 0,
                    request: None,
                    by: String::new(),
                    at: Timestamp::UNIX_EPOCH,
                },
            ))),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => {
                let call = format_args!("STREAM.MSG.GET.{QUARANTINE}");
                Err(self.connection.failed(call, error))
            }
        }
    }

    pub async fn write(&self, what: &str, mark: &Mark) -> Result<(), Error> {
        let body = serde_json::to_vec(mark).map_err(|error| Error::corrupt("a mark", error))?;
        let subject = subject::quarantined(&self.consumer, what);
        let headers = async_nats::HeaderMap::new();
        let published = self.connection.publish(subject, headers, body.into()).await;
        published.map(|_| ()).map_err(Error::of_refusal)
    }

    pub async fn remove(&self, what: &str) -> Result<(), Error> {
        let subject = subject::quarantined(&self.consumer, what);
        let purged = self.stream().await?.purge().filter(subject).await;
        let call = format_args!("STREAM.PURGE.{QUARANTINE}");
        purged
            .map(|_| ())
            .map_err(|error| self.connection.failed(call, error))
    }
}

//! The histories of bulk operations. Each has one literal subject in the stream of what people did,
//! and each commit is one message with its expected last sequence, as in the log of requests.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use domain::bulk::{Event, OperationId};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::error::Refusal;
use crate::read::{self, From, Most};
use crate::topology::OPERATIONS;
use crate::{Connection, Error, packed, subject};

/// The most commits that one call to the broker fetches.
const FETCH: Most = Most {
    messages: 1_000,
    bytes: read::PAGE_BYTES,
};
/// How long a read waits for a server that lags behind the leader of the stream.
const LAG_MAX: Duration = Duration::from_secs(5);
/// The pause before such a read looks again.
const LAG_PAUSE: Duration = Duration::from_millis(50);

/// The events of one decision about a bulk operation: one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkCommit {
    /// The operation.
    pub operation: OperationId,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// When the broker stored it.
    pub at: Timestamp,
    /// The events, in order.
    pub events: Vec<Event>,
}

/// Some commits of all operations, in order.
#[derive(Clone, Debug, Default)]
pub struct BulkPage {
    /// The commits that can be read.
    pub commits: Vec<BulkCommit>,
    /// The last sequence that was looked at; `None` where there was nothing.
    pub last: Option<u64>,
    /// Whether there are more commits.
    pub more: bool,
}

/// The histories of bulk operations.
#[derive(Clone)]
pub struct BulkLog {
    connection: Connection,
}

impl BulkLog {
    /// The histories over this connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Stores the events of a decision that was made after the commit at `after`; 0 for the first.
    /// Where another commit came first, the error is [`Error::Conflict`]: the caller reads again.
    pub async fn append(
        &self,
        operation: OperationId,
        events: &[Event],
        after: u64,
    ) -> Result<u64, Error> {
        const WHAT: &str = "a new commit of an operation";
        let json = serde_json::to_vec(events).map_err(|error| Error::corrupt(WHAT, error))?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, after.to_string());
        let body = packed::pack(WHAT, json, &mut headers)?;
        let subject = subject::bulk_operation(operation);
        match self.connection.publish(subject, headers, body).await {
            Ok(stored) => Ok(stored.sequence),
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => Err(Error::Conflict),
            Err(refusal) => Err(Error::of_refusal(refusal)),
        }
    }

    /// The whole history of an operation, as the leader of the stream has it; nothing where there
    /// is none.
    pub async fn commits(&self, operation: OperationId) -> Result<Vec<BulkCommit>, Error> {
        let subject = subject::bulk_operation(operation);
        let Some(last) = self.last_sequence(&subject).await? else {
            return Ok(Vec::new());
        };
        let begun = Instant::now();
        let (mut commits, mut after) = (Vec::new(), 0);
        loop {
            let page = self.page(&subject, after).await?;
            for message in page {
                let commit = message?;
                after = commit.sequence;
                commits.push(commit);
            }
            if after >= last {
                return Ok(commits);
            }
            if begun.elapsed() >= LAG_MAX {
                return Err(Error::Unavailable(format!(
                    "the server that answers has operation {operation} up to {after}, and not yet {last}"
                )));
            }
            tokio::time::sleep(LAG_PAUSE).await;
        }
    }

    /// The commits of all operations after a sequence. A commit that this build cannot read is left
    /// out.
    pub async fn since(&self, after: u64) -> Result<BulkPage, Error> {
        let from = From::Sequence(after + 1);
        let subject = subject::BULK_OPERATIONS;
        let batch = read::messages(&self.connection, OPERATIONS, subject, from, FETCH).await?;
        let mut page = BulkPage {
            more: batch.more,
            ..BulkPage::default()
        };
        for message in &batch.messages {
            page.last = Some(read::place(message)?.1);
            match decode(message) {
                Ok(commit) => page.commits.push(commit),
                Err(error) => {
                    tracing::error!(%error, "a commit of an operation is left out");
                }
            }
        }
        Ok(page)
    }

    /// Whether the record of a change to a dead letter is of this operation.
    pub async fn has_discarded(&self, operation: OperationId, letter: &str) -> Result<bool, Error> {
        for done in [
            crate::dead_letters::DISCARDED,
            crate::dead_letters::PUT_BACK,
        ] {
            let subject = subject::operation(done, Some(letter));
            let stream = self
                .connection
                .jetstream
                .get_stream_no_info(OPERATIONS)
                .await;
            let stream = stream.map_err(Error::unavailable)?;
            match stream.get_last_raw_message_by_subject(&subject).await {
                Ok(message) => {
                    let record: crate::Operation = serde_json::from_slice(&message.payload)
                        .map_err(|error| Error::corrupt("the record of a dead letter", error))?;
                    if record.details[crate::dead_letters::OF_OPERATION] == operation.to_string() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(false)
    }

    async fn last_sequence(&self, subject: &str) -> Result<Option<u64>, Error> {
        let stream = self
            .connection
            .jetstream
            .get_stream_no_info(OPERATIONS)
            .await;
        let stream = stream.map_err(Error::unavailable)?;
        match stream.get_last_raw_message_by_subject(subject).await {
            Ok(message) => Ok(Some(message.sequence)),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: impl std::fmt::Display) -> Error {
        let call = format_args!("STREAM.MSG.GET.{OPERATIONS}");
        self.connection.failed(call, error)
    }

    async fn page(
        &self,
        subject: &str,
        after: u64,
    ) -> Result<Vec<Result<BulkCommit, Error>>, Error> {
        let from = From::Sequence(after + 1);
        let batch = read::messages(&self.connection, OPERATIONS, subject, from, FETCH).await?;
        Ok(batch.messages.iter().map(decode).collect())
    }
}

fn decode(message: &async_nats::Message) -> Result<BulkCommit, Error> {
    let (subject, sequence, at) = read::place(message)?;
    let what = || format!("commit {sequence} of an operation");
    let id = subject.rsplit('.').next().unwrap_or_default();
    let operation = id.parse().map_err(|error| Error::corrupt(what(), error))?;
    let empty = HeaderMap::new();
    let headers = message.headers.as_ref().unwrap_or(&empty);
    let events = packed::unpack(headers, &message.payload);
    let events = events.map_err(|error| Error::corrupt(what(), error))?;
    Ok(BulkCommit {
        operation,
        sequence,
        at,
        events,
    })
}

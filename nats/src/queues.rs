//! The queues are kept in memory: what they hold follows from the log, and is put there again
//! where they lost it, as with a broker that was restarted. Whether a queue has all that the log
//! wants in it says a mark in the queue itself, which is lost with all else.

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{ErrorCode, message::PublishMessage};
use async_nats::{HeaderMap, HeaderName};
use jiff::Timestamp;

use crate::error::{Refusal, refusal};
use crate::topology::{REPORTS, TASKS};
use crate::{Connection, Error, Topology, subject};

/// Whose last sequence is expected, where it is not that of the message's own subject.
const EXPECTED_SUBJECT: HeaderName =
    HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

/// The queues of tasks and of reports.
#[derive(Clone)]
pub struct Queues {
    connection: Connection,
    topology: Topology,
}

/// Queues that are being filled.
pub struct Filling {
    connection: Connection,
    begun: Vec<Begun>,
}

/// The mark that the filling of a queue has begun.
struct Begun {
    stream: &'static str,
    subject: String,
    sequence: u64,
}

impl Queues {
    /// Those that this topology declares.
    #[must_use]
    pub fn new(connection: Connection, topology: Topology) -> Self {
        Self {
            connection,
            topology,
        }
    }

    /// Begins to fill those that do not have all that the log wants in them; none where all do.
    ///
    /// What such a queue holds is dropped, and its sequences go on from the time in microseconds:
    /// the ack of a message that was lost is not to be taken for that of another.
    pub async fn begin_where_lost(&self) -> Result<Option<Filling>, Error> {
        let mut lost = Vec::new();
        for stream in [TASKS, REPORTS] {
            if !self.has(stream, &subject::filled(stream)).await? {
                lost.push(stream);
            }
        }
        if lost.is_empty() {
            return Ok(None);
        }
        self.topology.declare_queues(&self.connection).await?;
        let mut begun = Vec::new();
        for stream in lost {
            begun.push(self.begin(stream).await?);
        }
        Ok(Some(Filling {
            connection: self.connection.clone(),
            begun,
        }))
    }

    async fn begin(&self, stream: &'static str) -> Result<Begun, Error> {
        // Where another instance has begun, what is there is from after the loss.
        if !self.has(stream, &subject::filling(stream, "*")).await? {
            let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
            let emptied = self.stream(stream).await?.purge().sequence(now).await;
            emptied.map_err(Error::unavailable)?;
        }
        let subject = subject::filling(stream, &uuid::Uuid::now_v7().to_string());
        let marked = publish(&self.connection, subject.clone(), HeaderMap::new()).await;
        let sequence = marked.map_err(|refusal| Error::Unavailable(format!("{refusal:?}")))?;
        Ok(Begun {
            stream,
            subject,
            sequence,
        })
    }

    async fn stream(&self, name: &str) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(name);
        stream.await.map_err(Error::unavailable)
    }

    /// Whether a queue is there and has a message of this subject.
    async fn has(&self, stream: &str, subject: &str) -> Result<bool, Error> {
        let stream = self.stream(stream).await?;
        let Err(error) = stream.get_last_raw_message_by_subject(subject).await else {
            return Ok(true);
        };
        match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(false),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(false)
            }
            _ => Err(Error::unavailable(error)),
        }
    }
}

impl Filling {
    /// Says that all that the log wants is in the queues now. False where one of them was lost
    /// meanwhile: then it is to be begun anew.
    pub async fn done(self) -> Result<bool, Error> {
        for begun in &self.begun {
            let mut headers = HeaderMap::new();
            headers.insert(
                NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
                begun.sequence.to_string(),
            );
            headers.insert(EXPECTED_SUBJECT, begun.subject.as_str());
            match publish(&self.connection, subject::filled(begun.stream), headers).await {
                // Another instance was as quick.
                Ok(_) | Err(Refusal::SubjectTaken) => {}
                Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => return Ok(false),
                Err(Refusal::Other(reason)) => return Err(Error::Unavailable(reason)),
            }
            let stream = self.connection.jetstream.get_stream_no_info(begun.stream);
            let stream = stream.await.map_err(Error::unavailable)?;
            let marks = stream.purge().filter(subject::filling(begun.stream, "*"));
            marks.await.map_err(Error::unavailable)?;
        }
        Ok(true)
    }
}

async fn publish(
    connection: &Connection,
    subject: String,
    headers: HeaderMap,
) -> Result<u64, Refusal> {
    let mark = PublishMessage::build().headers(headers);
    let sent = connection.jetstream.send_publish(subject, mark).await;
    let sent = sent.map_err(|error| refusal(&error))?;
    sent.await
        .map(|ack| ack.sequence)
        .map_err(|error| refusal(&error))
}

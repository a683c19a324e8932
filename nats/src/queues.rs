//! The queues, which are in memory. Their content follows from the log, and queue recovery
//! publishes it again after a loss, for instance when the broker was restarted. A mark in the queue
//! itself says that the queue has all that the log wants in it. The mark is lost with everything
//! else.

use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::{HeaderMap, HeaderName};
use domain::request::Sequence;
use jiff::Timestamp;

use crate::error::Refusal;
use crate::topology::{REPORTS, TASKS};
use crate::{Connection, Error, LogReader, Topology, subject};

/// The subject whose last sequence is expected, where it is not the message's own.
const EXPECTED_SUBJECT: HeaderName =
    HeaderName::from_static("Nats-Expected-Last-Subject-Sequence-Subject");

/// The queues of tasks and of reports.
#[derive(Clone)]
pub struct Queues {
    connection: Connection,
    topology: Topology,
}

/// A queue recovery in progress.
pub struct Filling {
    queues: Queues,
    begun: Vec<Begun>,
    /// The last commit of each shard that an orchestrator had been given when recovery began. The
    /// effects of later commits were not lost.
    ends: Vec<Sequence>,
}

/// The mark that the recovery of a queue has begun.
struct Begun {
    stream: &'static str,
    subject: String,
    sequence: u64,
    /// The leader of the queue at that time.
    leader: String,
}

/// The state of a queue, by its own mark.
enum Found {
    /// It has all that the log wants in it.
    Filled,
    /// It has its content as far as this leader knows. A leader that follows another one after a
    /// loss of servers may lack the last messages.
    UnderAnotherLeader,
    /// It has lost its content.
    Lost,
}

impl Queues {
    /// The queues that this topology declares.
    #[must_use]
    pub fn new(connection: Connection, topology: Topology) -> Self {
        Self {
            connection,
            topology,
        }
    }

    /// Begins to recover the queues that may lack something that the log wants in them; `None`
    /// where no queue does.
    ///
    /// The remaining content of a lost queue is dropped. Its sequences continue from the time in
    /// microseconds, so that the ack of a lost message is never taken for that of another.
    pub async fn begin_where_lost(&self) -> Result<Option<Filling>, Error> {
        let mut lost = Vec::new();
        for stream in [TASKS, REPORTS] {
            if !matches!(self.look(stream).await?, Found::Filled) {
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
        let mut ends = Vec::new();
        for shard in 0..self.topology.shards {
            let position = self
                .connection
                .log_position(shard, LogReader::Orchestrator)
                .await?;
            ends.push(Sequence::new(position.delivered));
        }
        Ok(Some(Filling {
            queues: self.clone(),
            begun,
            ends,
        }))
    }

    async fn look(&self, stream: &str) -> Result<Found, Error> {
        let Some(leader) = self.mark(stream, &subject::filled(stream)).await? else {
            return Ok(Found::Lost);
        };
        if leader == self.leader(stream).await? {
            return Ok(Found::Filled);
        }
        Ok(Found::UnderAnotherLeader)
    }

    async fn begin(&self, stream: &'static str) -> Result<Begun, Error> {
        let leader = self.leader(stream).await?;
        // Where another instance has begun, the content is from after the loss.
        let begun = self.mark(stream, &subject::filling(stream, "*")).await?;
        if begun.is_none() && matches!(self.look(stream).await?, Found::Lost) {
            let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
            let emptied = self.stream(stream).await?.purge().sequence(now).await;
            emptied.map_err(Error::unavailable)?;
        }
        let subject = subject::filling(stream, &uuid::Uuid::now_v7().to_string());
        let marked = self.publish(subject.clone(), HeaderMap::new(), "").await;
        let sequence = marked.map_err(Error::of_refusal)?;
        Ok(Begun {
            stream,
            subject,
            sequence,
            leader,
        })
    }

    /// The server that leads a queue; empty where there is only one server.
    async fn leader(&self, stream: &str) -> Result<String, Error> {
        let stream = self.connection.jetstream.get_stream(stream).await;
        let stream = stream.map_err(Error::unavailable)?;
        let Some(cluster) = &stream.cached_info().cluster else {
            return Ok(String::new());
        };
        let leader = cluster.leader.clone();
        leader.ok_or_else(|| Error::Unavailable("a queue has no leader".into()))
    }

    async fn stream(&self, name: &str) -> Result<Stream<()>, Error> {
        let stream = self.connection.jetstream.get_stream_no_info(name);
        stream.await.map_err(Error::unavailable)
    }

    /// The text of the last mark with this subject, where the queue has one.
    async fn mark(&self, stream: &str, subject: &str) -> Result<Option<String>, Error> {
        let stream = self.stream(stream).await?;
        let error = match stream.get_last_raw_message_by_subject(subject).await {
            Ok(mark) => return Ok(Some(String::from_utf8_lossy(&mark.payload).into_owned())),
            Err(error) => error,
        };
        match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(Error::unavailable(error)),
        }
    }

    async fn remove(&self, stream: &str, mark: String) -> Result<(), Error> {
        let removed = self.stream(stream).await?.purge().filter(mark).await;
        removed.map(|_| ()).map_err(Error::unavailable)
    }

    async fn publish(
        &self,
        subject: String,
        headers: HeaderMap,
        says: &str,
    ) -> Result<u64, Refusal> {
        let body = says.to_owned().into();
        let published = self.connection.publish(subject, headers, body).await;
        published.map(|ack| ack.sequence)
    }
}

impl Filling {
    /// The commit of a shard's log up to which effects may have been lost.
    #[must_use]
    pub fn end(&self, shard: u8) -> Sequence {
        let end = self.ends.get(usize::from(shard));
        end.copied().unwrap_or(Sequence::NONE)
    }

    /// Whether no queue was lost since recovery began.
    pub async fn is_there(&self) -> Result<bool, Error> {
        for begun in &self.begun {
            let mark = self.queues.mark(begun.stream, &begun.subject).await?;
            if mark.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Marks the queues as having all that the log wants in them. Returns false where one of them
    /// was lost meanwhile; recovery must then begin again.
    pub async fn done(&self) -> Result<bool, Error> {
        for begun in &self.begun {
            if !self.mark(begun).await? {
                return Ok(false);
            }
            let own = begun.subject.clone();
            self.queues.remove(begun.stream, own).await?;
        }
        Ok(true)
    }

    async fn mark(&self, begun: &Begun) -> Result<bool, Error> {
        let filled = subject::filled(begun.stream);
        match self.queues.mark(begun.stream, &filled).await? {
            // Another instance was as quick.
            Some(leader) if leader == begun.leader => return Ok(true),
            Some(_) => self.queues.remove(begun.stream, filled.clone()).await?,
            None => {}
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
            begun.sequence.to_string(),
        );
        headers.insert(EXPECTED_SUBJECT, begun.subject.as_str());
        match self.queues.publish(filled, headers, &begun.leader).await {
            Ok(_) | Err(Refusal::SubjectTaken) => Ok(true),
            Err(Refusal::WrongSequence | Refusal::SequenceUnsure) => Ok(false),
            Err(refused) => Err(Error::of_refusal(refused)),
        }
    }
}

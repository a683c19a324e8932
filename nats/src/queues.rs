//! The queues, which are in memory. Their content follows from the log, and the orchestrators
//! publish it again after a loss, for instance when the broker was restarted. A mark in the queue
//! itself says that the content since the last loss is there. The mark is lost with everything
//! else.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use jiff::Timestamp;

use crate::error::Refusal;
use crate::topology::{REPORTS, TASKS};
use crate::{Connection, Error, Topology, subject};

/// The queues of tasks and of reports.
#[derive(Clone)]
pub struct Queues {
    pub(crate) connection: Connection,
    pub(crate) topology: Topology,
}

/// What tells a queue that has lost messages from one that has not: the sequence of its mark, and
/// the server that leads it. Where this changes, messages may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuesState([(u64, String); 2]);

impl Queues {
    /// The queues that this topology declares.
    #[must_use]
    pub fn new(connection: Connection, topology: Topology) -> Self {
        Self {
            connection,
            topology,
        }
    }

    /// What these queues are part of.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Looks at the queues, and begins those anew that have lost their content. The remaining
    /// content of a lost queue is dropped. Its sequences continue from the time in microseconds, so
    /// that the ack of a lost message is never taken for that of another.
    pub async fn look(&self) -> Result<QueuesState, Error> {
        let tasks = self.state(TASKS).await?;
        Ok(QueuesState([tasks, self.state(REPORTS).await?]))
    }

    async fn state(&self, stream: &str) -> Result<(u64, String), Error> {
        let mut mark = self.mark(stream).await?;
        if mark.is_none() {
            self.begin(stream).await?;
            mark = self.mark(stream).await?;
        }
        let lost = || Error::Unavailable(format!("{stream} was lost again meanwhile"));
        Ok((mark.ok_or_else(lost)?, self.leader(stream).await?))
    }

    async fn begin(&self, stream: &str) -> Result<(), Error> {
        self.topology.declare_queues(&self.connection).await?;
        let leader = self.leader(stream).await?;
        // Where another instance has begun, the content is from after the loss.
        if self.mark(stream).await?.is_some() {
            return Ok(());
        }
        tracing::warn!(stream, "a queue has lost its content and begins anew");
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
        let emptied = self.stream(stream).await?.purge().sequence(now).await;
        emptied.map_err(|error| {
            self.connection
                .failed(format_args!("STREAM.PURGE.{stream}"), error)
        })?;
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
        // Older builds expect the leader in the mark.
        let marking = self
            .connection
            .publish(subject::filled(stream), headers, leader.into());
        match marking.await {
            // Another instance was as quick.
            Ok(_) | Err(Refusal::SubjectTaken | Refusal::WrongSequence) => Ok(()),
            Err(refused) => Err(Error::of_refusal(refused)),
        }
    }

    /// Removes the marks that fillers of older builds have left.
    pub async fn remove_old_marks(&self) -> Result<(), Error> {
        for stream in [TASKS, REPORTS] {
            let marks = subject::filling(stream, "*");
            let removed = self.stream(stream).await?.purge().filter(marks).await;
            removed.map_err(|error| {
                self.connection
                    .failed(format_args!("STREAM.PURGE.{stream}"), error)
            })?;
        }
        Ok(())
    }

    /// The server that leads a queue; empty where there is only one server.
    async fn leader(&self, stream: &str) -> Result<String, Error> {
        let stream = self.connection.described(stream).await?;
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

    /// The sequence of the mark, where the queue has one.
    async fn mark(&self, stream: &str) -> Result<Option<u64>, Error> {
        let (name, subject) = (stream, subject::filled(stream));
        let stream = self.stream(name).await?;
        let error = match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(mark) => return Ok(Some(mark.sequence)),
            Err(error) => error,
        };
        match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(self
                .connection
                .failed(format_args!("STREAM.MSG.GET.{name}"), error)),
        }
    }
}

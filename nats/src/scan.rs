//! Reading a range of the log in order, without leaving a consumer behind.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::stream::{RawMessageErrorKind, Stream};
use domain::request::{RequestId, Sequence};
use futures::StreamExt;
use jiff::Timestamp;

use crate::scan_pages::Pages;
use crate::{Commit, Connection, Delivery, Error, LogReader, Outline, Topology, subject};

/// How long the broker may take to send the next commit of a range.
const NEXT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a range waits for a server that has its last commit. A server that lags, or that has
/// just lost the lead, gives an earlier end.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the consumer of a range is made again before the next commit comes.
const REOPENED_MAX: u32 = 2;
/// The pause before the end of the log is asked for again.
const END_PAUSE: Duration = Duration::from_millis(50);

/// The commits of a shard between two sequences, in order.
pub struct Scan {
    connection: Connection,
    stream: Stream,
    pages: Option<Pages>,
    headers_only: bool,
    /// How often the consumer was made again since the last commit.
    reopened: u32,
    /// The next sequence of the range, where it is known.
    next: Option<Sequence>,
    end: Sequence,
}

/// Where a scan begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this sequence.
    Sequence(Sequence),
    /// At the first commit of this time or later.
    Time(Timestamp),
}

impl Scan {
    /// Opens the range from sequence `from` to `to`, both included. Commits that were removed by
    /// age are left out.
    pub async fn open(
        connection: &Connection,
        shard: u8,
        from: Sequence,
        to: Sequence,
    ) -> Result<Self, Error> {
        Self::open_at(connection, shard, Start::Sequence(from), to).await
    }

    /// Opens the range from `start` to sequence `to`, which is included. `Sequence::MAX` stands for
    /// the present end. A range whose end is missing at the server that answers is an error that a
    /// retry may cure, so that a range that was read to its end is whole.
    pub async fn open_at(
        connection: &Connection,
        shard: u8,
        start: Start,
        to: Sequence,
    ) -> Result<Self, Error> {
        Self::open_as(connection, shard, start, to, false).await
    }

    /// Opens the range from sequence `from` to `to`, both included, without the bodies. Only
    /// [`Self::next_outlines`] reads it.
    pub async fn outlines(
        connection: &Connection,
        shard: u8,
        from: Sequence,
        to: Sequence,
    ) -> Result<Self, Error> {
        Self::open_as(connection, shard, Start::Sequence(from), to, true).await
    }

    async fn open_as(
        connection: &Connection,
        shard: u8,
        start: Start,
        to: Sequence,
        headers_only: bool,
    ) -> Result<Self, Error> {
        let stream = up_to(connection, shard, to).await?;
        let state = stream.cached_info().state.clone();
        let mut scan = Self {
            connection: connection.clone(),
            stream,
            pages: None,
            headers_only,
            reopened: 0,
            next: match start {
                Start::Sequence(from) => Some(from.max(Sequence::FIRST)),
                Start::Time(_) => None,
            },
            end: to.min(Sequence::new(state.last_sequence)),
        };
        let nothing = match start {
            Start::Sequence(from) => from > scan.end,
            Start::Time(time) => time.as_nanosecond() > state.last_timestamp.unix_timestamp_nanos(),
        };
        if state.messages == 0 || nothing || scan.end.get() < state.first_sequence {
            return Ok(scan);
        }
        scan.open_pages(policy(start)?).await?;
        Ok(scan)
    }

    /// The last sequence of the range.
    #[must_use]
    pub fn end(&self) -> Sequence {
        self.end
    }

    /// Reads the next commits, at most `limit`; `None` at the end of the range.
    pub async fn next(&mut self, limit: usize) -> Result<Option<Vec<Commit>>, Error> {
        let Some(commits) = self.next_each(limit).await? else {
            return Ok(None);
        };
        let commits = commits
            .into_iter()
            .map(|commit| commit.map_err(|e| e.error));
        commits.collect::<Result<Vec<Commit>, Error>>().map(Some)
    }

    /// Like `next`, but includes the commits that cannot be read.
    pub async fn next_each(
        &mut self,
        limit: usize,
    ) -> Result<Option<Vec<Result<Commit, UnreadableCommit>>>, Error> {
        loop {
            let deliveries = self.deliveries(limit).await?;
            if deliveries.is_empty() {
                return Ok(None);
            }
            let commits = deliveries
                .iter()
                .filter(|delivery| !delivery.is_no_commit());
            let commits = commits.map(UnreadableCommit::or_commit);
            let commits = commits.collect::<Result<Vec<_>, Error>>()?;
            if !commits.is_empty() {
                return Ok(Some(commits));
            }
        }
    }

    /// Reads what the headers of the next commits say, at most `limit` of them; `None` at the end
    /// of the range.
    pub async fn next_outlines(&mut self, limit: usize) -> Result<Option<Vec<Outline>>, Error> {
        let deliveries = self.deliveries(limit).await?;
        let outlines = deliveries.iter().filter_map(Delivery::outline).collect();
        Ok((!deliveries.is_empty()).then_some(outlines))
    }

    async fn open_pages(&mut self, start: DeliverPolicy) -> Result<(), Error> {
        let pages = Pages::open(&self.stream, start, self.headers_only).await;
        let log = &self.stream.cached_info().config.name;
        let failed = |error| {
            let call = format_args!("CONSUMER.CREATE.{log}");
            self.connection.failed(call, error)
        };
        self.pages = Some(pages.map_err(failed)?);
        Ok(())
    }

    async fn deliveries(&mut self, limit: usize) -> Result<Vec<Delivery>, Error> {
        let mut deliveries = Vec::new();
        while self.pages.is_some() && deliveries.len() < limit {
            let Some(delivery) = self.delivery().await? else {
                continue;
            };
            let sequence = Sequence::new(delivery.place()?.sequence);
            self.next = Some(sequence.next());
            self.reopened = 0;
            if sequence <= self.end {
                deliveries.push(delivery);
            }
            if sequence >= self.end {
                self.close().await;
            }
        }
        Ok(deliveries)
    }

    /// The next delivery. `None` where the consumer had to be made again first, because it was gone
    /// or a part of a page was lost together with a connection.
    async fn delivery(&mut self) -> Result<Option<Delivery>, Error> {
        let Some(pages) = &mut self.pages else {
            return Ok(None);
        };
        let failure = match tokio::time::timeout(NEXT_TIMEOUT, pages.next()).await {
            Ok(Ok(message)) => {
                let delivery = Delivery::new(message, &self.connection.denied);
                let sequence = Sequence::new(delivery.place()?.sequence);
                match self.next.filter(|next| sequence > *next) {
                    None => return Ok(Some(delivery)),
                    Some(next) => {
                        let gap = check_gap(&self.connection, &self.stream, next, sequence).await;
                        match gap {
                            Ok(()) => return Ok(Some(delivery)),
                            Err(failure) => failure,
                        }
                    }
                }
            }
            Ok(Err(error)) => self.not_read(error),
            Err(_) => self.not_read(format!("no commit came in {NEXT_TIMEOUT:?}")),
        };
        let again = self.next.filter(|_| self.reopened < REOPENED_MAX);
        let (Some(next), true) = (again, failure.is_transient()) else {
            return Err(failure);
        };
        tracing::debug!(error = %failure, %next, "reading the log goes on with a new consumer");
        self.reopened += 1;
        self.close().await;
        self.open_pages(policy(Start::Sequence(next))?).await?;
        Ok(None)
    }

    fn not_read(&self, error: impl std::fmt::Display) -> Error {
        let log = &self.stream.cached_info().config.name;
        let consumer = self.pages.as_ref().map_or("", Pages::consumer);
        let call = format_args!("CONSUMER.MSG.NEXT.{log}.{consumer}");
        self.connection.failed(call, error)
    }

    /// Follows the log from `start` without an end, and waits for commits that are not there yet.
    pub async fn following(
        connection: &Connection,
        shard: u8,
        start: Start,
    ) -> Result<impl futures::Stream<Item = Result<Commit, Error>> + Send + use<>, Error> {
        let consumer = connection
            .jetstream
            .create_consumer_on_stream(
                pull::OrderedConfig {
                    deliver_policy: policy(start)?,
                    ..pull::OrderedConfig::default()
                },
                Topology::log_stream(shard),
            )
            .await
            .map_err(|error| {
                let log = Topology::log_stream(shard);
                connection.failed(format_args!("CONSUMER.CREATE.{log}"), error)
            })?;
        let messages = consumer.messages().await.map_err(Error::unavailable)?;
        let denied = connection.denied.clone();
        Ok(messages.filter_map(move |message| {
            let commit = message.map_err(Error::unavailable).map(|message| {
                let delivery = Delivery::new(message, &denied);
                (!delivery.is_no_commit()).then(|| delivery.commit())
            });
            std::future::ready(commit.transpose().map(Result::flatten))
        }))
    }

    /// Deletes the consumer at once. The broker would delete it after a while.
    pub async fn close(&mut self) {
        if let Some(pages) = self.pages.take()
            && let Err(error) = self.stream.delete_consumer(pages.consumer()).await
        {
            tracing::debug!(%error, "could not delete the consumer of a scan; it expires by itself");
        }
    }
}

/// Checks that the leader of the log lacks the commits between two sequences too, which age removes.
async fn check_gap(
    connection: &Connection,
    stream: &Stream,
    next: Sequence,
    found: Sequence,
) -> Result<(), Error> {
    let name = &stream.cached_info().config.name;
    let info = stream.get_info().await;
    let info =
        info.map_err(|error| connection.failed(format_args!("STREAM.INFO.{name}"), error))?;
    if info.state.first_sequence >= found.get() {
        return Ok(());
    }
    // A commit that even the leader lacks was deleted by hand or damaged. Nobody can read it.
    let there = stream
        .get_first_raw_message_by_subject(">", next.get())
        .await;
    if there.is_ok_and(|message| message.sequence >= found.get()) {
        tracing::error!(
            from = next.get(),
            before = found.get(),
            "the log has lost commits"
        );
        return Ok(());
    }
    Err(Error::Unavailable(format!(
        "the server that reads the log lacks commits {next} to {}",
        found.before()
    )))
}

/// The stream of a shard, as a server that has commit `to` describes it.
async fn up_to(connection: &Connection, shard: u8, to: Sequence) -> Result<Stream, Error> {
    let begun = Instant::now();
    loop {
        let stream = connection.described(&Topology::log_stream(shard)).await?;
        let last = Sequence::new(stream.cached_info().state.last_sequence);
        if last >= to || to == Sequence::MAX {
            return Ok(stream);
        }
        if begun.elapsed() >= END_TIMEOUT {
            return Err(Error::Unavailable(format!(
                "the server that answers has the log up to {last}, and not yet {to}"
            )));
        }
        tokio::time::sleep(END_PAUSE).await;
    }
}

fn policy(start: Start) -> Result<DeliverPolicy, Error> {
    Ok(match start {
        Start::Sequence(from) => DeliverPolicy::ByStartSequence {
            start_sequence: from.get().max(1),
        },
        Start::Time(time) => DeliverPolicy::ByStartTime {
            start_time: async_nats::datetime::from_nanos(time.as_nanosecond())
                .map_err(|error| Error::corrupt(format!("the time {time}"), error))?,
        },
    })
}

/// A commit that cannot be read.
#[derive(Clone, Debug)]
pub struct UnreadableCommit {
    /// Its sequence.
    pub sequence: Sequence,
    /// The request it is about, where its subject names one.
    pub request: Option<RequestId>,
    /// Why the commit cannot be read.
    pub error: Error,
}

impl UnreadableCommit {
    /// Decodes a delivered commit, or returns why it cannot be read.
    pub fn or_commit(delivery: &Delivery) -> Result<Result<Commit, Self>, Error> {
        let sequence = Sequence::new(delivery.place()?.sequence);
        Ok(delivery.commit().map_err(|error| Self {
            sequence,
            request: subject::request(delivery.subject(), 2),
            error,
        }))
    }
}

impl Connection {
    /// Whether a shard has the commit at a sequence, as its leader says.
    pub async fn has_commit(&self, shard: u8, sequence: Sequence) -> Result<bool, Error> {
        let stream = self
            .jetstream
            .get_stream_no_info(Topology::log_stream(shard))
            .await
            .map_err(Error::unavailable)?;
        match stream.get_raw_message(sequence.get()).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => {
                let log = Topology::log_stream(shard);
                Err(self.failed(format_args!("STREAM.MSG.GET.{log}"), error))
            }
        }
    }

    /// The sequence up to which a reader of a shard's log has acked.
    pub async fn acked(&self, shard: u8, reader: LogReader) -> Result<Sequence, Error> {
        let consumer = self
            .consumer(&Topology::log_stream(shard), reader.name())
            .await?;
        let acked = consumer.cached_info().ack_floor.stream_sequence;
        Ok(Sequence::new(acked))
    }
}

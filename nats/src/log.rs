//! The log: the commits of all requests.

use std::sync::Arc;
use std::time::Duration;

use domain::access::Tenant;
use domain::request::{Event, RequestId, Sequence, TraceParent};

use crate::commit::Follows;
use crate::error::Refusal;
use crate::group_commit::{GroupCommit, Outgoing};
use crate::state_cache::{Loaded, StateCache};
use crate::{Commit, CommitPage, Connection, Error, Topology, commit, read, subject};

/// How often a commit is tried again when the broker is unsure of the sequence.
const UNSURE_RETRIES: u32 = 5;
/// The pause before such a retry.
const UNSURE_PAUSE: Duration = Duration::from_millis(5);

/// How often a commit that must be there is looked for again at a replica that lags.
const LAG_LOOKS: u32 = 25;
/// The pause before such a look.
const LAG_PAUSE: Duration = Duration::from_millis(20);

/// All commits of all requests.
#[derive(Clone)]
pub struct Log {
    connection: Connection,
    shards: u8,
    /// The publishes to each shard.
    appending: Arc<[GroupCommit]>,
    pub(crate) known: Arc<StateCache>,
}

impl Log {
    /// The log on this connection, spread over this many shards.
    #[must_use]
    pub fn new(connection: Connection, shards: u8) -> Self {
        Self {
            appending: (0..shards)
                .map(|_| GroupCommit::to_log(connection.clone()))
                .collect(),
            connection,
            shards,
            known: Arc::new(StateCache::nothing(shards)),
        }
    }

    /// The number of shards.
    #[must_use]
    pub fn shards(&self) -> u8 {
        self.shards
    }

    /// How many commits in a row have had no answer lately, over a connection that stands. A broker
    /// with a write error answers none until it is restarted.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.connection.unanswered.commits()
    }

    fn appending(&self, request: RequestId) -> &GroupCommit {
        &self.appending[usize::from(request.partition().shard(self.shards))]
    }

    fn stream(&self, request: RequestId) -> String {
        Topology::log_stream(request.partition().shard(self.shards))
    }

    /// Waits for the commits whose callers went away before the broker answered.
    pub async fn landed(&self) {
        for appending in &*self.appending {
            appending.landed().await;
        }
    }

    /// How long the shard of a request keeps commits; zero means forever.
    pub async fn max_age(&self, request: RequestId) -> Result<Duration, Error> {
        let stream = self.connection.described(&self.stream(request)).await?;
        Ok(stream.cached_info().config.max_age)
    }

    /// The commits of a request after sequence `after`, in order. The list is empty where there are
    /// none.
    pub async fn read(&self, request: RequestId, after: Sequence) -> Result<Vec<Commit>, Error> {
        read::commits(&self.connection, &self.stream(request), request, after).await
    }

    /// All commits of a request up to the one that its leader names as the last. A server that lags
    /// is an error that a retry may cure.
    pub async fn read_whole(&self, request: RequestId) -> Result<Vec<Commit>, Error> {
        let last = self.last_sequence(request).await?;
        let commits = self.read(request, Sequence::NONE).await?;
        let read = commits
            .last()
            .map_or(Sequence::NONE, |commit| commit.sequence);
        if read >= last {
            return Ok(commits);
        }
        Err(Error::Unavailable(format!(
            "the server that answers has request {request} up to {read}, and not yet {last}"
        )))
    }

    /// The first commits of a request after sequence `after`: at most `limit` of them, and fewer
    /// where they are large.
    pub async fn read_page(
        &self,
        request: RequestId,
        after: Sequence,
        limit: usize,
    ) -> Result<CommitPage, Error> {
        read::page(
            &self.connection,
            &self.stream(request),
            request,
            after,
            limit,
        )
        .await
    }

    /// The last commit of a request, where there is one.
    pub async fn last(&self, request: RequestId) -> Result<Option<Commit>, Error> {
        read::last(&self.connection, &self.stream(request), request).await
    }

    /// The sequence of a request's last commit, read from the stream's leader; `NONE`
    /// where there is none.
    pub async fn last_sequence(&self, request: RequestId) -> Result<Sequence, Error> {
        read::last_sequence(&self.connection, &self.stream(request), request).await
    }

    /// Appends one commit, decided on the state at sequence `expected` (`NONE` for no events yet), and
    /// returns its sequence. Without a connection it waits for one, as long as for an answer. If
    /// none comes, nothing stays in the client's buffer, so the commit is not sent after its caller
    /// was told that it failed.
    pub async fn append(
        &self,
        request: RequestId,
        expected: Sequence,
        events: &[Event],
    ) -> Result<Sequence, Error> {
        let tenant = first_tenant(events).unwrap_or_default();
        let origin = (&tenant, None);
        self.append_in(request, expected.into(), events, origin)
            .await
    }

    /// Like `append`, for a tenant and within a trace of the caller.
    async fn append_in(
        &self,
        request: RequestId,
        follows: Follows,
        events: &[Event],
        (tenant, trace): (&Tenant, Option<&TraceParent>),
    ) -> Result<Sequence, Error> {
        let encoded = commit::encode(events, follows, tenant, trace)?;
        let mut unsure = 0;
        loop {
            self.connection.connected().await?;
            let message = Outgoing {
                subject: subject::log(request),
                headers: encoded.headers.clone(),
                body: encoded.body.clone(),
            };
            let refused = match self.appending(request).publish(message).await {
                Ok(place) => {
                    self.connection.unanswered.end();
                    return Ok(Sequence::new(place.sequence));
                }
                Err(refused @ (Refusal::NotSent | Refusal::TooLarge { .. })) => {
                    return Err(Error::of_refusal(refused));
                }
                Err(refused) => refused,
            };
            // After a lost answer, the commit that is there may be this one.
            let found = Box::pin(self.find_own(request, follows.message, events, &refused)).await;
            let silent = matches!(refused, Refusal::Unanswered(_));
            if let Ok(Some(sequence)) = found {
                self.connection.unanswered.end();
                return Ok(sequence);
            }
            if silent && self.connection.is_connected() {
                self.connection.unanswered.note();
            }
            match found {
                Ok(Some(sequence)) => return Ok(sequence),
                Ok(None) => {}
                Err(_) if silent => return Err(Error::of_refusal(refused)),
                Err(error) => return Err(error),
            }
            match refused {
                Refusal::SequenceUnsure if unsure < UNSURE_RETRIES => {
                    unsure += 1;
                    tokio::time::sleep(UNSURE_PAUSE * unsure).await;
                }
                Refusal::WrongSequence | Refusal::SequenceUnsure | Refusal::SubjectTaken => {
                    return Err(Error::Conflict);
                }
                other => return Err(Error::of_refusal(other)),
            }
        }
    }

    /// Appends the events that were decided on this state, and returns their sequence.
    pub(crate) async fn append_decided(
        &self,
        events: Vec<Event>,
        mut decided: Loaded,
    ) -> Result<Sequence, Error> {
        let (request, follows) = (decided.request(), decided.follows());
        // The first commit is decided on no state, and names the tenant itself.
        let tenant = first_tenant(&events).unwrap_or_else(|| decided.state().tenant());
        let origin = (&tenant, decided.state().traceparent());
        let appended = self.append_in(request, follows, &events, origin).await;
        match appended {
            Ok(sequence) => {
                decided.weigh(&events);
                let comes = self.comes_soon(request, sequence);
                decided.stands_at(sequence, comes.then_some(events));
            }
            Err(_) => decided.never_was(),
        }
        appended
    }

    async fn find_own(
        &self,
        request: RequestId,
        expected: Sequence,
        events: &[Event],
        refused: &Refusal,
    ) -> Result<Option<Sequence>, Error> {
        let mut page = self.read_page(request, expected, 1).await?;
        // The broker said that a commit is there. A replica that lags has not got it yet.
        let mut looked = 0;
        while page.last <= expected && *refused == Refusal::WrongSequence && looked < LAG_LOOKS {
            looked += 1;
            tokio::time::sleep(LAG_PAUSE).await;
            page = self.read_page(request, expected, 1).await?;
        }
        let first = page.commits.into_iter().next();
        Ok(first
            .filter(|commit| commit.events == events)
            .map(|commit| commit.sequence))
    }
}

/// The tenant that the first event of a request names.
fn first_tenant(events: &[Event]) -> Option<Tenant> {
    match events.first() {
        Some(Event::Received(received)) => Some(received.tenant.clone()),
        _ => None,
    }
}

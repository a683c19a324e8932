//! The log: the event store of cqrs-es over JetStream.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};
use domain::request::{Event, Rejection, RequestId, State, evolve};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::Refusal;
use crate::group_commit::{GroupCommit, Outgoing};
use crate::{Commit, Connection, Error, Topology, commit, read, subject};

/// How many requests' states a process keeps.
const CACHED_STATES: usize = 20_000;
/// How many commits whoever follows the log may be behind for what is known of a request to be
/// left to it.
const HANDED_OVER_MAX: u64 = 2_000;
/// How often a commit is tried again when the broker is unsure of the sequence.
const UNSURE_RETRIES: u32 = 5;
/// The pause before such a retry.
const UNSURE_PAUSE: Duration = Duration::from_millis(5);

/// All commits of all requests.
#[derive(Clone)]
pub struct Log {
    connection: Connection,
    shards: u8,
    /// The publishes to each shard.
    appending: Arc<[GroupCommit]>,
    /// Up to which sequence of each shard this process follows the log.
    followed: Arc<[AtomicU64]>,
    cache: Arc<Cache<RequestId, Arc<Mutex<Slot>>>>,
}

/// What the process knows of a request: nothing, or the state at a sequence.
#[derive(Debug, Default)]
struct Slot {
    known: Option<u64>,
    state: State,
}

impl Log {
    /// The log on this connection, spread over so many shards.
    #[must_use]
    pub fn new(connection: Connection, shards: u8) -> Self {
        Self {
            appending: (0..shards)
                .map(|_| GroupCommit::to_log(connection.clone()))
                .collect(),
            connection,
            shards,
            followed: (0..shards).map(|_| AtomicU64::default()).collect(),
            cache: Arc::new(Cache::new(CACHED_STATES)),
        }
    }

    /// How many shards it has.
    #[must_use]
    pub fn shards(&self) -> u8 {
        self.shards
    }

    fn appending(&self, request: RequestId) -> &GroupCommit {
        &self.appending[usize::from(request.partition().shard(self.shards))]
    }

    fn stream(&self, request: RequestId) -> String {
        Topology::log_stream(request.partition().shard(self.shards))
    }

    /// The commits of a request after sequence `after`, in order; none where there are none.
    pub async fn read(&self, request: RequestId, after: u64) -> Result<Vec<Commit>, Error> {
        read::commits(&self.connection, &self.stream(request), request, after).await
    }

    /// The last commit of a request, where there is one.
    pub async fn last(&self, request: RequestId) -> Result<Option<Commit>, Error> {
        read::last(&self.connection, &self.stream(request), request).await
    }

    /// The sequence of a request's last commit, by the stream's leader; 0 where there is none.
    pub async fn last_sequence(&self, request: RequestId) -> Result<u64, Error> {
        read::last_sequence(&self.connection, &self.stream(request), request).await
    }

    /// Whether sequence `known` is the last of the request, by the stream's leader. Where it is
    /// not, what the process knows of the request is dropped.
    pub(crate) async fn is_current(&self, request: RequestId, known: u64) -> Result<bool, Error> {
        let last = self.last_sequence(request).await?;
        if last > known {
            self.forget(request);
        }
        Ok(last <= known)
    }

    /// Appends one commit, decided on the state at sequence `expected` (0 for no events yet),
    /// and gives its sequence.
    pub async fn append(
        &self,
        request: RequestId,
        expected: u64,
        events: &[Event],
    ) -> Result<u64, Error> {
        let encoded = commit::encode(events, expected)?;
        let mut unsure = 0;
        loop {
            let message = Outgoing {
                subject: subject::log(request),
                headers: encoded.headers.clone(),
                body: encoded.body.clone(),
            };
            let refused = match self.appending(request).publish(message).await {
                Ok(place) => return Ok(place.sequence),
                Err(refused) => refused,
            };
            // After a lost answer it may be our own commit that is there.
            if let Some(sequence) = self.find_own(request, expected, events).await? {
                return Ok(sequence);
            }
            match refused {
                Refusal::SequenceUnsure if unsure < UNSURE_RETRIES => {
                    unsure += 1;
                    tokio::time::sleep(UNSURE_PAUSE * unsure).await;
                }
                Refusal::WrongSequence | Refusal::SequenceUnsure | Refusal::SubjectTaken => {
                    return Err(Error::Conflict);
                }
                Refusal::Other(reason) => return Err(Error::Unavailable(reason)),
            }
        }
    }

    /// Appends what was decided on this state, and gives its sequence.
    pub(crate) async fn append_decided(
        &self,
        events: &[Event],
        mut decided: Loaded,
    ) -> Result<u64, Error> {
        let expected = decided.sequence();
        let appended = self.append(decided.request, expected, events).await;
        if let Ok(sequence) = appended {
            decided.slot.known = Some(sequence);
            decided.revision = decided.slot.state.revision();
        } else {
            *decided.slot = Slot::default();
            decided.revision = 0;
        }
        appended
    }

    async fn find_own(
        &self,
        request: RequestId,
        expected: u64,
        events: &[Event],
    ) -> Result<Option<u64>, Error> {
        let commits = self.read(request, expected).await?;
        let first = commits.into_iter().next();
        Ok(first
            .filter(|commit| commit.events == events)
            .map(|commit| commit.sequence))
    }

    /// Says that this id was just made here, so that its first commit needs no read before.
    pub fn assume_new(&self, request: RequestId) {
        let slot = Slot {
            known: Some(0),
            state: State::Absent,
        };
        self.cache.insert(request, Arc::new(Mutex::new(slot)));
    }

    /// Takes a commit that was delivered into what the process knows, so that what follows from
    /// it needs no read. Gives the state after it, held like [`Self::load`] does, where it is
    /// known.
    pub async fn observe(&self, commit: &Commit) -> Option<Loaded> {
        self.followed(commit.request)
            .fetch_max(commit.sequence, Ordering::Relaxed);
        let mut slot = self.slot(commit.request).lock_owned().await;
        let known = slot.known.or((commit.previous == 0).then_some(0));
        if known == Some(commit.previous) {
            let state = std::mem::take(&mut slot.state);
            slot.state = commit.events.iter().fold(state, evolve);
            slot.known = Some(commit.sequence);
        } else if known.is_some_and(|known| known < commit.sequence) {
            // Something between is not known here: read again when it is needed.
            *slot = Slot::default();
        }
        let loaded = Loaded::of(commit.request, slot);
        (loaded.sequence() >= commit.sequence).then_some(loaded)
    }

    fn followed(&self, request: RequestId) -> &AtomicU64 {
        &self.followed[usize::from(request.partition().shard(self.shards))]
    }

    /// Leaves what is known of a request after its commit `sequence` to whoever follows the log
    /// in this process, who drops it when the request has ended; drops it where nobody does.
    pub fn hand_over(&self, request: RequestId, sequence: u64) {
        let followed = self.followed(request).load(Ordering::Relaxed);
        if followed == 0 || followed.saturating_add(HANDED_OVER_MAX) < sequence {
            self.forget(request);
        }
    }

    fn slot(&self, request: RequestId) -> Arc<Mutex<Slot>> {
        let new = || Ok::<_, Infallible>(Arc::default());
        let Ok(slot) = self.cache.get_or_insert_with(&request, new);
        slot
    }

    /// Drops what the process knows of a request.
    pub fn forget(&self, request: RequestId) {
        self.cache.remove(&request);
    }

    /// The state of a request at sequence `least` or later, held until the guard is dropped. An
    /// answer of the log that is older is no answer.
    pub async fn load_since(&self, request: RequestId, least: u64) -> Result<Loaded, Error> {
        let loaded = self.load(request).await?;
        if loaded.sequence() >= least {
            return Ok(loaded);
        }
        let found = loaded.sequence();
        drop(loaded);
        self.forget(request);
        let loaded = self.load(request).await?;
        if loaded.sequence() >= least {
            return Ok(loaded);
        }
        Err(Error::Unavailable(format!(
            "request {request} was read up to sequence {found}, not yet {least}"
        )))
    }

    /// The state of a request as the stream's leader has it now, held likewise: for what is done
    /// or left undone without a commit that would be checked.
    pub async fn load_current(&self, request: RequestId) -> Result<Loaded, Error> {
        let last = self.last_sequence(request).await?;
        self.load_since(request, last).await
    }

    /// The state of a request as far as the process knows it, held until the guard is dropped;
    /// read from the log where it is not known. It may be behind: another process may have
    /// committed, or a replica that lags may have answered.
    pub async fn load(&self, request: RequestId) -> Result<Loaded, Error> {
        let mut slot = self.slot(request).lock_owned().await;
        if slot.known.is_none() {
            let mut sequence = 0;
            let mut state = State::Absent;
            for commit in self.read(request, 0).await? {
                state = commit.events.iter().fold(state, evolve);
                sequence = commit.sequence;
            }
            *slot = Slot {
                known: Some(sequence),
                state,
            };
        }
        Ok(Loaded::of(request, slot))
    }
}

/// A request's state, held.
pub struct Loaded {
    request: RequestId,
    revision: u64,
    slot: OwnedMutexGuard<Slot>,
}

impl Loaded {
    fn of(request: RequestId, slot: OwnedMutexGuard<Slot>) -> Self {
        Self {
            request,
            revision: slot.state.revision(),
            slot,
        }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.slot.state
    }

    /// The sequence of the last commit, 0 without one.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.slot.known.unwrap_or(0)
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // A decision was applied but not committed: what is held here never happened.
        if self.slot.state.revision() != self.revision {
            *self.slot = Slot::default();
        }
    }
}

impl AggregateContext<State> for Loaded {
    fn aggregate(&mut self) -> &mut State {
        &mut self.slot.state
    }
}

pub(crate) type Failure = AggregateError<Rejection>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict => AggregateError::AggregateConflict,
            Error::Corrupt { .. } => AggregateError::DeserializationError(Box::new(error)),
            Error::Unavailable(_) => AggregateError::DatabaseConnectionError(Box::new(error)),
            error => AggregateError::UnexpectedError(Box::new(error)),
        }
    }
}

fn parse_id(aggregate_id: &str) -> Result<RequestId, Failure> {
    aggregate_id
        .parse()
        .map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
}

fn envelope(id: &str, sequence: u64, event: Event) -> EventEnvelope<State> {
    EventEnvelope {
        aggregate_id: id.to_owned(),
        sequence: usize::try_from(sequence).unwrap_or(usize::MAX),
        payload: event,
        metadata: HashMap::new(),
    }
}

impl EventStore<State> for Log {
    type AC = Loaded;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<State>>, Failure> {
        let commits = self.read(parse_id(id)?, 0).await?;
        let envelopes = commits.into_iter().flat_map(|commit| {
            let sequence = commit.sequence;
            commit
                .events
                .into_iter()
                .map(move |event| envelope(id, sequence, event))
        });
        Ok(envelopes.collect())
    }

    async fn load_aggregate(&self, id: &str) -> Result<Loaded, Failure> {
        Ok(self.load(parse_id(id)?).await?)
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Loaded,
        _metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<State>>, Failure> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let id = context.request.to_string();
        let sequence = self.append_decided(&events, context).await?;
        Ok(events
            .into_iter()
            .map(|event| envelope(&id, sequence, event))
            .collect())
    }
}

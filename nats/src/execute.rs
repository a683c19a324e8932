//! The execution of commands. The domain decides them, and the log stores the commits. The
//! framework is cqrs-es, with the log as its event store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cqrs_es::{AggregateError, CqrsFramework, EventEnvelope, EventStore};
use domain::request::{
    Advance, Command, Decision, Event, GroupIndex, Rejection, RequestId, Sequence, State, Undecided,
};

use crate::Error;
use crate::log::Log;
use crate::state_cache::Loaded;

/// How often a command is decided again when another commit came first.
const CONFLICT_RETRIES: u32 = 8;
/// The longest pause before the first such retry. It doubles with each retry, and the actual pause
/// is random.
const CONFLICT_PAUSE: Duration = Duration::from_millis(4);

/// The proof that a command was obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The last sequence of the request. A reader that has seen this sequence has seen the command.
    pub sequence: Sequence,
    /// Whether something was committed. A command that was already obeyed commits nothing.
    pub committed: bool,
    /// Whether the command was decided only once, because no other commit came first.
    pub at_once: bool,
}

/// Why a command was not obeyed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ExecuteError {
    /// The domain refuses the command.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The log cannot take the commit now.
    #[error(transparent)]
    Log(#[from] Error),
}

/// The answer to an advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advanced {
    /// It was obeyed.
    Done(Receipt),
    /// It needs the steps from this group on.
    NeedsSteps(GroupIndex),
}

impl Log {
    /// Decides and commits a command. Where another commit comes first, it decides the command
    /// again. A command that may need steps goes to [`Self::advance`].
    pub async fn execute(
        &self,
        request: RequestId,
        command: Command,
    ) -> Result<Receipt, ExecuteError> {
        match self.commit(request, command).await? {
            Ok(receipt) => Ok(receipt),
            Err(Undecided::Rejected(rejection)) => Err(rejection.into()),
            Err(undecided) => Err(Error::Refused(undecided.to_string()).into()),
        }
    }

    /// Decides a command on the current state of the request, and commits nothing.
    pub async fn decide(
        &self,
        request: RequestId,
        command: Command,
    ) -> Result<Decision, ExecuteError> {
        let loaded = self.load_current(request).await?;
        Ok(domain::request::decide(loaded.state(), command)?)
    }

    /// Decides and commits an advance, as far as its steps allow.
    pub async fn advance(
        &self,
        request: RequestId,
        advance: Advance,
    ) -> Result<Advanced, ExecuteError> {
        match self.commit(request, Command::Advance(advance)).await? {
            Ok(receipt) => Ok(Advanced::Done(receipt)),
            Err(Undecided::Rejected(rejection)) => Err(rejection.into()),
            Err(Undecided::NeedsSteps(from)) => Ok(Advanced::NeedsSteps(from)),
        }
    }

    async fn commit(
        &self,
        request: RequestId,
        command: Command,
    ) -> Result<Result<Receipt, Undecided>, Error> {
        let told = Sequences::default();
        let store = Told {
            log: self,
            told: &told,
        };
        let framework = CqrsFramework::new(store, Vec::new(), ());
        let id = request.to_string();
        for retry in 0..CONFLICT_RETRIES {
            let decided = match framework.execute(&id, command.clone()).await {
                Ok(()) => Some(Ok(told.receipt(retry == 0))),
                Err(AggregateError::AggregateConflict) => None,
                Err(AggregateError::UserError(undecided)) => Some(Err(undecided)),
                Err(error) => return Err(log_error(error)),
            };
            match decided {
                Some(decided) if stands(&decided) => return Ok(decided),
                // Nothing was committed, so no sequence check has confirmed that the decision was
                // made on the current state of the request.
                Some(decided) if Box::pin(self.is_current(request, told.loaded())).await? => {
                    return Ok(decided);
                }
                _ => {
                    tracing::debug!(%request, retry, "another commit came first; deciding again");
                    tokio::time::sleep(pause(retry)).await;
                }
            }
        }
        Err(Error::Conflict)
    }
}

/// Whether a decision needs no check against the log. The broker has checked a commit, and a
/// question for steps leads to one.
fn stands(decided: &Result<Receipt, Undecided>) -> bool {
    match decided {
        Ok(receipt) => receipt.committed,
        Err(undecided) => matches!(undecided, Undecided::NeedsSteps(_)),
    }
}

/// Draws a random pause from the nanoseconds of the clock, so that two writers that collided do not
/// collide again.
fn pause(retry: u32) -> Duration {
    let longest = CONFLICT_PAUSE * (1 << retry.min(6));
    let nanos = jiff::Timestamp::now().subsec_nanosecond().unsigned_abs();
    longest.mul_f64(f64::from(nanos % 1_000) / 1_000.0)
}

fn log_error(error: AggregateError<Undecided>) -> Error {
    match error {
        AggregateError::DatabaseConnectionError(error)
        | AggregateError::DeserializationError(error)
        | AggregateError::UnexpectedError(error) => match error.downcast::<Error>() {
            Ok(error) => *error,
            Err(error) => Error::Unavailable(error.to_string()),
        },
        AggregateError::AggregateConflict => Error::Conflict,
        AggregateError::UserError(undecided) => Error::Refused(undecided.to_string()),
    }
}

type Failure = AggregateError<Undecided>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Conflict => AggregateError::AggregateConflict,
            Error::Corrupt { .. } => AggregateError::DeserializationError(Box::new(error)),
            Error::Unavailable(_) | Error::Unanswered(_) | Error::Full(_) => {
                AggregateError::DatabaseConnectionError(Box::new(error))
            }
            error => AggregateError::UnexpectedError(Box::new(error)),
        }
    }
}

fn parse_id(aggregate_id: &str) -> Result<RequestId, Failure> {
    aggregate_id
        .parse()
        .map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
}

/// The sequences that the store saw, because `execute` of cqrs-es returns none.
#[derive(Default)]
struct Sequences {
    loaded: AtomicU64,
    committed: AtomicU64,
}

impl Sequences {
    /// The sequence of the state on which the command was decided.
    fn loaded(&self) -> Sequence {
        Sequence::new(self.loaded.load(Ordering::Relaxed))
    }

    fn receipt(&self, at_once: bool) -> Receipt {
        let committed = Sequence::new(self.committed.load(Ordering::Relaxed));
        Receipt {
            sequence: committed.max(self.loaded()),
            committed: committed > Sequence::NONE,
            at_once,
        }
    }
}

/// The log as the event store of cqrs-es. It notes the sequences of one command.
struct Told<'a> {
    log: &'a Log,
    told: &'a Sequences,
}

impl EventStore<State> for Told<'_> {
    type AC = Loaded;

    async fn load_events(&self, id: &str) -> Result<Vec<EventEnvelope<State>>, Failure> {
        let commits = self.log.read(parse_id(id)?, Sequence::NONE).await?;
        let recorded = commits.into_iter().flat_map(|commit| {
            let sequence = usize::try_from(commit.sequence.get()).unwrap_or(usize::MAX);
            commit
                .events
                .into_iter()
                .map(move |event| (sequence, event))
        });
        let envelopes = recorded.map(|(sequence, payload)| EventEnvelope {
            aggregate_id: id.to_owned(),
            sequence,
            payload,
            metadata: HashMap::new(),
        });
        Ok(envelopes.collect())
    }

    async fn load_aggregate(&self, id: &str) -> Result<Loaded, Failure> {
        let loaded = self.log.load(parse_id(id)?).await?;
        let sequence = loaded.sequence().get();
        self.told.loaded.store(sequence, Ordering::Relaxed);
        Ok(loaded)
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Loaded,
        _metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<State>>, Failure> {
        if !events.is_empty() {
            let sequence = self.log.append_decided(events, context).await?;
            self.told.committed.store(sequence.get(), Ordering::Relaxed);
        }
        // The return value is for queries within the process, of which there are none.
        Ok(Vec::new())
    }
}

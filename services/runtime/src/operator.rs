//! Operations on requests that went wrong, both over HTTP and on the command line.

use std::collections::HashSet;
use std::time::Duration;

use domain::request::{Command, Rejection, RequestId, Rules, Status};
use jiff::Timestamp;
use nats::{Connection, DeadLetters, Error, ExecuteError, Filter, Kept, Letter, Log, Receipt};
use serde::Serialize;

use crate::Deployment;
use crate::settings::LOG_OUTLIVES;

/// The longest reason that a request's history may hold, in characters.
pub const REASON_MAX_CHARS: usize = 1_000;
/// How many dead letters one step goes through before it reports.
const LETTERS_PER_STEP: usize = 200;

/// The person who wants a change and the reason, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    by: String,
    reason: String,
}

/// The error for an unusable reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// The reason is empty.
    #[error("say why: `reason` must not be empty")]
    Empty,
    /// The reason or the name is too long.
    #[error("`reason` and `by` may have at most {REASON_MAX_CHARS} characters")]
    TooLong,
}

impl Why {
    /// Checks a reason that must not be empty.
    pub fn new(by: &str, reason: &str) -> Result<Self, WhyError> {
        if reason.trim().is_empty() {
            return Err(WhyError::Empty);
        }
        Self::of(by, reason)
    }

    /// The person.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Checks a reason that may be empty.
    pub fn of(by: &str, reason: &str) -> Result<Self, WhyError> {
        let (by, reason) = (by.trim(), reason.trim());
        if reason.chars().count() > REASON_MAX_CHARS || by.chars().count() > REASON_MAX_CHARS {
            return Err(WhyError::TooLong);
        }
        let by = if by.is_empty() { "anonymous" } else { by };
        Ok(Self {
            by: by.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

/// Cancels and redrives requests, and manages dead letters.
#[derive(Clone)]
pub struct Operator {
    log: Log,
    letters: DeadLetters,
    rules: Rules,
    /// How long the log must still keep a request that begins to run again.
    needed: Duration,
}

/// The operation on the dead letters of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Redrive the requests, and put back messages that could not be read.
    Redrive(Why),
    /// Discard the dead letters, and record that.
    Discard(Why),
    /// Only report what a redrive would do.
    WouldRedrive,
    /// Only report what would be discarded.
    WouldDiscard,
}

/// The outcome for a dead letter, or for its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The dead letter, or the first one of its request.
    pub dead_letter: String,
    /// The request, if it is known.
    pub request_id: Option<RequestId>,
    /// Whether the change was made, or would be.
    pub done: bool,
    /// Why the change was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The outcomes for the dead letters of a filter so far.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    seen: HashSet<RequestId>,
    /// How many dead letters were processed.
    pub letters: usize,
    /// The outcomes: one for each request, or for each discarded dead letter.
    pub answers: Vec<Answer>,
    /// The dead letter after which the next step continues; `None` at the end.
    pub next: Option<u64>,
}

impl Changed {
    /// No outcomes yet, to begin after this dead letter.
    #[must_use]
    pub fn after(letter: Option<u64>) -> Self {
        Self {
            next: letter,
            ..Self::default()
        }
    }

    /// How many changes were made, or would be.
    #[must_use]
    pub fn done(&self) -> usize {
        self.answers.iter().filter(|answer| answer.done).count()
    }

    /// How many changes were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.answers.len() - self.done()
    }
}

impl Operator {
    /// An operator on this connection and log.
    #[must_use]
    pub fn new(connection: Connection, log: Log, deployment: &Deployment) -> Self {
        Self {
            letters: DeadLetters::new(connection),
            log,
            rules: deployment.rules(),
            needed: deployment.request_timeout.saturating_add(LOG_OUTLIVES),
        }
    }

    /// The dead letters.
    #[must_use]
    pub fn letters(&self) -> &DeadLetters {
        &self.letters
    }

    /// Cancels a request.
    pub async fn cancel(&self, request: RequestId, why: Why) -> Result<Receipt, ExecuteError> {
        let Why { by, reason } = why;
        let cancel = Command::Cancel { by, reason };
        self.log.execute(request, cancel).await
    }

    /// Runs the failed tasks of a request again.
    pub async fn redrive(&self, request: RequestId, why: Why) -> Result<Receipt, ExecuteError> {
        if let Some(Rejection::TooOld) = self.refusal(request).await? {
            return Err(Rejection::TooOld.into());
        }
        let Why { by, reason } = why;
        let redrive = Command::Redrive {
            by,
            reason,
            now: Timestamp::now(),
            rules: self.rules,
        };
        self.log.execute(request, redrive).await
    }

    /// Whether the log may lose the request's first commit while the request runs again. The rest
    /// would no longer be a request and would never end.
    async fn is_too_old(&self, request: RequestId) -> Result<bool, Error> {
        let log_age = self.log.max_age(request).await?;
        if log_age.is_zero() {
            return Ok(false);
        }
        let commits = self.log.read(request, 0).await?;
        let lost_at = commits.first().map(|first| first.at.checked_add(log_age));
        let ends_by = Timestamp::now().checked_add(self.needed);
        Ok(matches!((lost_at, ends_by), (Some(Ok(lost_at)), Ok(ends_by)) if lost_at < ends_by))
    }

    /// Discards a dead letter. Returns whether it existed.
    pub async fn discard(&self, id: &str, why: &Why) -> Result<bool, Error> {
        self.letters.discard(id, &why.by, &why.reason).await
    }

    /// Processes some of the dead letters of a filter, so that the caller can report progress.
    pub async fn step(
        &self,
        filter: &Filter,
        change: &Change,
        so_far: &mut Changed,
    ) -> Result<(), Error> {
        let after = so_far.next.unwrap_or(0);
        let page = self.letters.look(filter, after, LETTERS_PER_STEP).await?;
        for kept in &page.letters {
            so_far.letters += 1;
            let discards = matches!(change, Change::Discard(_) | Change::WouldDiscard);
            let of_task = matches!(kept.letter, Letter::GivenUp(_));
            let known = match kept.request() {
                Some(request) if of_task && !discards => !so_far.seen.insert(request),
                _ => false,
            };
            if !known {
                so_far.answers.push(self.change(kept, change).await?);
            }
        }
        so_far.next = page.next;
        Ok(())
    }

    async fn change(&self, kept: &Kept, change: &Change) -> Result<Answer, Error> {
        let refused = match (change, &kept.letter, kept.request()) {
            (Change::WouldDiscard, ..) => None,
            (Change::Discard(why), ..) => {
                self.discard(&kept.id, why).await?;
                None
            }
            (Change::WouldRedrive, Letter::GivenUp(_), Some(request)) => {
                let refusal = self.refusal(request).await?;
                refusal.map(|rejection| rejection.to_string())
            }
            (Change::Redrive(why), Letter::GivenUp(_), Some(request)) => {
                match self.redrive(request, why.clone()).await {
                    Ok(_) => None,
                    Err(ExecuteError::Refused(rejection)) => Some(rejection.to_string()),
                    Err(ExecuteError::Log(error)) => return Err(error),
                }
            }
            (Change::Redrive(why), Letter::Unread(unread), _) => {
                let put_back = self
                    .letters
                    .put_back(&kept.id, unread, &why.by, &why.reason)
                    .await?;
                (!put_back).then(|| stays(&unread.subject))
            }
            (Change::WouldRedrive, Letter::Unread(unread), _) => {
                (!unread.can_be_put_back()).then(|| stays(&unread.subject))
            }
            (_, _, None) => Some("its request is not known".into()),
        };
        Ok(Answer {
            dead_letter: kept.id.clone(),
            request_id: kept.request(),
            done: refused.is_none(),
            refused,
        })
    }

    /// Why a redrive of a request would be refused.
    async fn refusal(&self, request: RequestId) -> Result<Option<Rejection>, Error> {
        let loaded = self.log.load_current(request).await?;
        Ok(
            match loaded
                .state()
                .request()
                .map(domain::request::Request::status)
            {
                None => Some(Rejection::Unknown),
                Some(Status::Failed) => {
                    let too_old = self.is_too_old(request).await?;
                    too_old.then_some(Rejection::TooOld)
                }
                Some(Status::Received | Status::Running) => Some(Rejection::StillRunning),
                Some(ended) => Some(Rejection::NotFailed(ended.as_str())),
            },
        )
    }
}

/// Why a message that was set aside is not put back.
fn stays(subject: &str) -> String {
    if subject.starts_with("lifecycle.") {
        "an event stays in the feed: tell its receiver yourself, and discard the letter".into()
    } else {
        "a commit stays in the log: start a version that can read it".into()
    }
}

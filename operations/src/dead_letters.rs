//! Changes to dead letters.

use std::collections::HashSet;

use domain::request::RequestId;
use nats::{Error, ExecuteError, Filter, Kept, Letter};
use serde::Serialize;

use crate::{Operations, Why};

/// How many dead letters one step goes through before it reports.
const LETTERS_PER_STEP: usize = 200;

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
    /// The last dead letter that is processed: the last one when the change began. A redriven
    /// request that fails again makes a new dead letter, and a change of these too would never end.
    pub until: Option<u64>,
    /// How many dead letters were processed.
    pub letters: usize,
    /// The outcomes: one for each request, or for each discarded dead letter.
    pub answers: Vec<Answer>,
    /// The dead letter after which the next step continues; `None` at the end.
    pub next: Option<u64>,
}

impl Changed {
    /// No outcomes yet, to begin after one dead letter and to end at another. Without an end, the
    /// first step ends the change at the dead letter that is then the last.
    #[must_use]
    pub fn between(letter: Option<u64>, until: Option<u64>) -> Self {
        Self {
            next: letter,
            until,
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

impl Operations {
    /// Discards a dead letter. Returns whether it existed.
    pub async fn discard(&self, id: &str, why: &Why) -> Result<bool, Error> {
        self.letters.discard(id, &why.record()).await
    }

    /// Processes some of the dead letters of a filter, so that the caller can report progress.
    pub async fn step(
        &self,
        filter: &Filter,
        change: &Change,
        so_far: &mut Changed,
    ) -> Result<(), Error> {
        let after = so_far.next.unwrap_or(0);
        let until = match so_far.until {
            Some(until) => until,
            None => self.letters.last_sequence().await?,
        };
        so_far.until = Some(until);
        let page = self.letters.look(filter, after, LETTERS_PER_STEP).await?;
        for kept in &page.letters {
            if kept.sequence > until {
                break;
            }
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
        so_far.next = page.next.filter(|next| *next < until);
        Ok(())
    }

    async fn change(&self, kept: &Kept, change: &Change) -> Result<Answer, Error> {
        let refused = match (change, &kept.letter, kept.request()) {
            (Change::WouldDiscard, ..) => None,
            (Change::Discard(why), ..) => {
                let was_there = self.discard(&kept.id, why).await?;
                (!was_there).then(|| "it was discarded meanwhile".into())
            }
            (Change::WouldRedrive, Letter::GivenUp(_), Some(request)) => {
                refused(self.would_redrive(request).await)?
            }
            (Change::Redrive(why), Letter::GivenUp(_), Some(request)) => {
                refused(self.redrive(request, why.clone()).await)?
            }
            (Change::Redrive(why), Letter::Unread(unread), _) => {
                let put_back = self
                    .letters
                    .put_back(&kept.id, unread, &why.record())
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
}

/// Why the domain refuses a command, if it does.
fn refused<T>(done: Result<T, ExecuteError>) -> Result<Option<String>, Error> {
    match done {
        Ok(_) => Ok(None),
        Err(ExecuteError::Refused(rejection)) => Ok(Some(rejection.to_string())),
        Err(ExecuteError::Log(error)) => Err(error),
    }
}

/// Why a message that was stored as a dead letter cannot be retried.
fn stays(subject: &str) -> String {
    if subject.starts_with("lifecycle.") || subject.starts_with("tenants.") {
        "an event stays in the feed: tell its receiver yourself, and discard the letter".into()
    } else {
        "a commit stays in the log: start a version that can read it".into()
    }
}

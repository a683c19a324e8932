//! The action on one item, and how it ended. Each step may be done twice: after a crash, or by two
//! processes that both believe that they execute the operation.

use domain::bulk::{Action, Became, Drafted, OperationId, Target};
use domain::request::{Event, Phase, Rejection, RequestId, Run, Sequence};
use nats::{ByWhom, Error, ExecuteError, Letter};

use super::would::{CANCELLED_ALREADY, GONE, stays};
use crate::{Operations, Why};

/// The reason of an item whose run is over.
const REDRIVEN_MEANWHILE: &str = "it was redriven meanwhile";
/// The reason of a dead letter that somebody else took away.
const DISCARDED_MEANWHILE: &str = "it was discarded meanwhile";
/// The reason of a redriven request that somebody cancelled.
const CANCELLED: &str = "it was cancelled";
/// The reason of a redriven request that somebody redrove once more.
const FAILED_AND_REDRIVEN: &str = "it failed again, and was redriven once more";

impl Operations {
    /// Takes the action on an item, unless this operation has taken it before.
    pub(super) async fn perform(
        &self,
        operation: OperationId,
        drafted: &Drafted,
        target: &Target,
    ) -> Result<Became, Error> {
        match (drafted.action, target) {
            (Action::Redrive, Target::Request { id, run }) => {
                self.redrive_item(drafted, *id, *run).await
            }
            (Action::Cancel, Target::Request { id, run }) => {
                self.cancel_item(drafted, *id, *run).await
            }
            (Action::Redrive | Action::Discard, Target::Letter(letter)) => {
                self.letter_item(operation, drafted, letter).await
            }
            (Action::Discard, Target::Request { .. }) | (Action::Cancel, Target::Letter(_)) => {
                Ok(Became::Refused("the action does not fit the item".into()))
            }
        }
    }

    async fn redrive_item(
        &self,
        drafted: &Drafted,
        id: RequestId,
        run: Run,
    ) -> Result<Became, Error> {
        if self.run_of(&drafted.tenant, id).await?.is_none() {
            return Ok(Became::Skipped(GONE.into()));
        }
        match self.redrive_run(id, why(drafted), Some(run)).await {
            Ok(_) => Ok(Became::Running(run.next())),
            Err(ExecuteError::Refused(Rejection::RedrivenMeanwhile)) => {
                let own = self.any(id, |event| {
                    matches!(event, Event::Redriven(e) if e.run == run.next()
                        && is_own(drafted, &e.by, e.on_behalf_of.as_deref(), &e.reason))
                });
                Ok(if own.await? {
                    Became::Running(run.next())
                } else {
                    Became::Skipped(REDRIVEN_MEANWHILE.into())
                })
            }
            Err(ExecuteError::Refused(Rejection::Unknown)) => Ok(Became::Skipped(GONE.into())),
            Err(ExecuteError::Refused(rejection)) => Ok(Became::Refused(rejection.to_string())),
            Err(ExecuteError::Log(error)) => Err(error),
        }
    }

    async fn cancel_item(
        &self,
        drafted: &Drafted,
        id: RequestId,
        run: Run,
    ) -> Result<Became, Error> {
        let found = self.run_of(&drafted.tenant, id).await?;
        match found {
            None => return Ok(Became::Skipped(GONE.into())),
            Some((now, _)) if now != run => {
                return Ok(Became::Skipped(REDRIVEN_MEANWHILE.into()));
            }
            Some(_) => {}
        }
        match self.cancel(id, why(drafted)).await {
            Ok(receipt) if receipt.committed => Ok(Became::Done),
            Ok(_) => {
                let own = self.any(id, |event| {
                    matches!(event, Event::Cancelled(e)
                        if is_own(drafted, &e.by, e.on_behalf_of.as_deref(), &e.reason))
                });
                Ok(if own.await? {
                    Became::Done
                } else {
                    Became::Skipped(CANCELLED_ALREADY.into())
                })
            }
            Err(ExecuteError::Refused(Rejection::Unknown)) => Ok(Became::Skipped(GONE.into())),
            Err(ExecuteError::Refused(rejection)) => Ok(Became::Refused(rejection.to_string())),
            Err(ExecuteError::Log(error)) => Err(error),
        }
    }

    async fn letter_item(
        &self,
        operation: OperationId,
        drafted: &Drafted,
        id: &str,
    ) -> Result<Became, Error> {
        let why = why(drafted);
        let whom = ByWhom {
            operation: Some(operation),
            ..why.record()
        };
        let kept = self.letters.get(id).await?;
        let taken = match kept.filter(|kept| kept.tenant() == drafted.tenant) {
            None => false,
            Some(kept) => match (drafted.action, &kept.letter) {
                (Action::Discard, _) => self.letters.discard(id, &whom).await?,
                (_, Letter::Unread(unread)) => {
                    if !self.letters.put_back(id, unread, &whom).await? {
                        return Ok(Became::Refused(stays(&unread.subject)));
                    }
                    true
                }
                (_, Letter::GivenUp(_)) => {
                    return Ok(Became::Refused("its request is not known".into()));
                }
            },
        };
        Ok(if taken || self.bulk.has_discarded(operation, id).await? {
            Became::Done
        } else {
            Became::Skipped(DISCARDED_MEANWHILE.into())
        })
    }

    /// How a request ended that runs again in this run; nothing while it runs.
    pub(super) async fn ended(&self, target: &Target, run: Run) -> Result<Option<Became>, Error> {
        let Target::Request { id, .. } = target else {
            return Ok(Some(Became::Done));
        };
        let loaded = self.log.load_current(*id).await?;
        let Some(request) = loaded.state().request() else {
            return Ok(Some(Became::Failed(GONE.into())));
        };
        if request.run != run {
            return Ok(Some(Became::Failed(FAILED_AND_REDRIVEN.into())));
        }
        Ok(match &request.phase {
            Phase::Planning | Phase::Running(_) => None,
            Phase::Succeeded => Some(Became::Done),
            Phase::Failed { failure, .. } => {
                let reason = format!("{}: {}", failure.code, failure.message);
                Some(Became::Failed(reason))
            }
            Phase::Cancelled { .. } => Some(Became::Failed(CANCELLED.into())),
        })
    }

    /// Whether the log of a request has such an event.
    async fn any(&self, id: RequestId, which: impl Fn(&Event) -> bool) -> Result<bool, Error> {
        let commits = self.log.read(id, Sequence::NONE).await?;
        let mut events = commits.iter().flat_map(|commit| &commit.events);
        Ok(events.any(which))
    }
}

/// The person and the reason, as the history of each item has them.
fn why(drafted: &Drafted) -> Why {
    Why {
        by: drafted.actor.by.clone(),
        on_behalf_of: drafted.actor.on_behalf_of.clone(),
        reason: drafted.reason.clone(),
    }
}

/// Whether an event is of this operation, so far as it names the same person and reason.
fn is_own(drafted: &Drafted, by: &str, on_behalf_of: Option<&str>, reason: &str) -> bool {
    let actor = &drafted.actor;
    (by, on_behalf_of, reason)
        == (
            actor.by.as_str(),
            actor.on_behalf_of.as_deref(),
            drafted.reason.as_str(),
        )
}

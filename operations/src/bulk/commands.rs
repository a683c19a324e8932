//! The commands of people to bulk operations.

use std::time::Duration;

use domain::access::{Scope, Tenant};
use domain::bulk::{
    Action, Actor, Command, Drafted, Event, Operation, OperationId, Outlook, Plan, Rejection,
    Selection, decide,
};
use nats::Error;
use uuid::Uuid;

use super::{Folded, Select, Selected};
use crate::{Operations, Why};

/// How often a command is decided again when another commit came first.
const CONFLICT_RETRIES: u32 = 8;
/// How long a selection may take.
const SELECT_TIMEOUT: Duration = Duration::from_mins(1);

/// What somebody wants done to many things.
#[derive(Clone, Debug)]
pub struct Order {
    /// The tenant of all of them.
    pub tenant: Tenant,
    /// What is done to each.
    pub action: Action,
    /// Which they are.
    pub select: Select,
    /// Who wants it, and why.
    pub why: Why,
}

/// Why a command to an operation was not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The domain refuses it.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// Only dead letters can be discarded.
    #[error("only dead letters can be discarded: select them with `deadLetters`")]
    OnlyLetters,
    /// The selection took too long.
    #[error("the selection took longer than {} s: narrow the filter", SELECT_TIMEOUT.as_secs())]
    TookTooLong,
    /// The broker cannot answer or store it.
    #[error(transparent)]
    Log(#[from] Error),
    /// The log cannot be searched.
    #[error(transparent)]
    Search(#[from] history::Error),
}

impl Operations {
    /// Makes a selection, and fixes it in a draft. The selection is stored before the draft.
    pub async fn draft(&self, order: Order) -> Result<(Folded, Selected), BulkError> {
        let selecting = self.select(&order.tenant, order.action, &order.select);
        let selected = Box::pin(within(SELECT_TIMEOUT, selecting)).await?;
        let folded = self.draft_of(order, &selected).await?;
        Ok((folded, selected))
    }

    /// Fixes a selection in a draft.
    pub async fn draft_of(&self, order: Order, selected: &Selected) -> Result<Folded, BulkError> {
        let count = u32::try_from(selected.items.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Err(Rejection::NothingSelected.into());
        }
        let selection = Selection {
            items: selected.items.clone(),
        };
        let json = serde_json::to_vec(&selection);
        let json = json.map_err(|error| unwritable("a selection", &error))?;
        let drafted = Drafted {
            tenant: order.tenant.clone(),
            action: order.action,
            selected: count,
            selection: self.payloads.place(json.into()).await?,
            filter: order.select.told().to_string(),
            outlook: selected.would.iter().cloned().collect::<Outlook>(),
            reason: order.why.reason.clone(),
            actor: order.why.actor(),
        };
        let id = OperationId::new(Uuid::now_v7());
        self.bulk_command(id, Command::Draft(Box::new(drafted)))
            .await
    }

    /// Starts an operation.
    pub async fn start(
        &self,
        id: OperationId,
        plan: Plan,
        actor: Actor,
    ) -> Result<Folded, BulkError> {
        self.bulk_command(id, Command::Start { plan, actor }).await
    }

    /// Gives a command to an operation. Where another commit comes first, it is decided again.
    pub async fn bulk_command(
        &self,
        id: OperationId,
        command: Command,
    ) -> Result<Folded, BulkError> {
        let begins = matches!(command, Command::Draft(_));
        let mut unanswered = None;
        for _ in 0..CONFLICT_RETRIES {
            let mut folded = match self.bulk_operation(id).await? {
                // An id is new, so only an earlier attempt can have drafted it.
                Some(folded) if begins && unanswered.is_some() => return Ok(folded),
                Some(folded) => folded,
                None => Folded::new(id),
            };
            let events: Vec<Event> = decide(&folded.state, command.clone())?;
            if events.is_empty() {
                return Ok(folded);
            }
            match self.bulk.append(id, &events, folded.sequence).await {
                Ok(sequence) => {
                    folded.take_in(sequence, jiff::Timestamp::now(), &events);
                    return Ok(folded);
                }
                Err(Error::Conflict) => {}
                Err(error @ Error::Unanswered(_)) => unanswered = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(unanswered.unwrap_or(Error::Conflict).into())
    }

    /// An operation as the broker has it now.
    pub async fn bulk_operation(&self, id: OperationId) -> Result<Option<Folded>, Error> {
        let commits = self.bulk.commits(id).await?;
        Ok(Folded::of(id, &commits))
    }

    /// As `bulk_operation`, for a caller to whom an operation of any other tenant does not exist.
    pub async fn bulk_operation_of(
        &self,
        scope: &Scope,
        id: OperationId,
    ) -> Result<Option<Folded>, Error> {
        let folded = self.bulk_operation(id).await?;
        Ok(folded.filter(|folded| folded.is_of(scope)))
    }

    /// All operations of these tenants, newest first, without the items of those that have ended.
    pub async fn bulk_operations(&self, scope: &Scope) -> Result<Vec<Folded>, Error> {
        let of = |folded: &Folded| folded.is_of(scope);
        let mut all = self.board.look(&self.bulk, of).await?;
        all.sort_by_key(|folded| std::cmp::Reverse((folded.drafted_at, folded.id)));
        Ok(all)
    }

    /// The items of an operation.
    pub async fn selection(&self, operation: &Operation) -> Result<Selection, Error> {
        let bytes = self.payloads.fetch(&operation.drafted.selection).await?;
        serde_json::from_slice(&bytes).map_err(|error| unwritable("a selection", &error))
    }
}

impl Why {
    /// The person, as an operation records it.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            by: self.by.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
        }
    }
}

fn unwritable(what: &str, error: &serde_json::Error) -> Error {
    Error::Corrupt {
        what: what.to_owned(),
        reason: error.to_string(),
    }
}

async fn within<T>(
    limit: Duration,
    selecting: impl Future<Output = Result<T, BulkError>>,
) -> Result<T, BulkError> {
    tokio::time::timeout(limit, selecting)
        .await
        .unwrap_or(Err(BulkError::TookTooLong))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_selection_that_takes_too_long_is_refused() {
        let endless = std::future::pending::<Result<(), BulkError>>();
        let ended = within(Duration::from_millis(1), endless).await;
        assert!(matches!(ended, Err(BulkError::TookTooLong)));
    }
}

//! Changes to dead letters: of one by itself, and of many as a bulk operation.

use domain::access::Tenant;
use domain::bulk::{Action, Item, PER_SECOND_MAX, Plan, Would};
use domain::request::RequestId;
use nats::{Error, Filter};
use serde::Serialize;

use crate::bulk::{ANSWERS_WITHIN, BulkError, Folded, Order, Select, Selected};
use crate::{Operations, Why};

/// Everything at once, as callers who know nothing of plans expect it.
const AT_ONCE: Plan = Plan {
    canary: 0,
    per_second: PER_SECOND_MAX,
    stop_after_failures: None,
};

/// A change to the dead letters of a filter, for callers who wait for the answers.
#[derive(Clone, Debug)]
pub struct Change {
    /// Redrive the requests and put back messages that could not be read, or discard the letters.
    pub action: Action,
    /// Which letters.
    pub filter: Filter,
    /// The letter after which the change begins.
    pub after: u64,
    /// The last letter; the last one that there is where none is named.
    pub until: Option<u64>,
    /// Who wants it and why; nobody for a dry run.
    pub why: Option<Why>,
}

/// The outcome for a dead letter, or for its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The dead letter, or the first one of its request.
    pub dead_letter: String,
    /// The request, if it is known.
    pub request_id: Option<RequestId>,
    /// Whether the change was made, or would be. A redriven request may still fail again: the
    /// operation tells how it ended.
    pub done: bool,
    /// Why the change was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The outcomes of a change.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// The bulk operation that makes the change; none for a dry run, or where nothing matches.
    pub operation: Option<String>,
    /// The last dead letter that belongs to the change.
    pub until: Option<u64>,
    /// How many dead letters were matched.
    pub letters: usize,
    /// The outcomes: one for each request, or for each discarded dead letter.
    pub answers: Vec<Answer>,
    /// How many outcomes were not known in time. The operation goes on.
    pub pending: usize,
    /// The dead letter after which the next part continues; `None` at the end.
    pub next: Option<u64>,
}

impl Changed {
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

    /// Changes dead letters by a bulk operation, and waits for its answers.
    pub async fn change_letters(
        &self,
        tenant: &Tenant,
        change: Change,
    ) -> Result<Changed, BulkError> {
        let select = Select::Letters {
            filter: change.filter,
            after: change.after,
            until: change.until,
            in_parts: true,
        };
        let selected = self.select(tenant, change.action, &select).await?;
        let mut changed = Changed {
            until: selected.until,
            letters: selected.matched,
            next: selected.next,
            ..Changed::default()
        };
        let Some(why) = change.why.filter(|_| !selected.items.is_empty()) else {
            let would = selected.would.iter().map(Some);
            changed.answer(&selected, would.map(|would| would.map(answer_of_would)));
            return Ok(changed);
        };
        let actor = why.actor();
        let order = Order {
            tenant: tenant.clone(),
            action: change.action,
            select,
            why,
        };
        let id = self.draft_of(order, &selected).await?.id;
        self.start(id, AT_ONCE, actor).await?;
        let folded = self.answered(id, ANSWERS_WITHIN).await?;
        changed.operation = Some(id.to_string());
        changed.answer(&selected, answers_of(&folded));
        Ok(changed)
    }
}

impl Changed {
    /// Takes in whether each item was refused, and why; nothing where that is not known.
    fn answer(
        &mut self,
        selected: &Selected,
        answers: impl Iterator<Item = Option<Option<String>>>,
    ) {
        for (letter, refused) in selected.letters.iter().zip(answers) {
            let Some(refused) = refused else {
                self.pending += 1;
                continue;
            };
            self.answers.push(Answer {
                dead_letter: letter.id.clone(),
                request_id: letter.request,
                done: refused.is_none(),
                refused,
            });
        }
    }
}

fn answer_of_would(would: &Would) -> Option<String> {
    match would {
        Would::Act => None,
        Would::Refuse(reason) | Would::Skip(reason) => Some(reason.clone()),
    }
}

fn answers_of(folded: &Folded) -> impl Iterator<Item = Option<Option<String>>> {
    let items = folded
        .operation()
        .into_iter()
        .flat_map(domain::bulk::Operation::items);
    items.map(|item| match item.item {
        Item::Waiting | Item::Asking => None,
        Item::Running(_) | Item::Done | Item::Failed => Some(None),
        Item::Refused | Item::Skipped => Some(item.reason.map(str::to_owned)),
    })
}

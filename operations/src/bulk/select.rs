//! The selection of an operation: what a filter matches at one moment, all of it.

use std::collections::HashSet;

use domain::access::Tenant;
use domain::bulk::{Action, Rejection, SELECTED_MAX, Target, Would};
use domain::request::{RequestId, Run, Status};
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use history::filter::Filter;
use history::live::Live;
use history::search;
use history::source::Source;
use jiff::Timestamp;
use nats::{Error, Kept, Letter};
use serde_json::{Value, json};

use super::BulkError;
use crate::Operations;

/// How many dead letters one step reads.
const LETTERS_PER_STEP: usize = 200;
/// How many items are looked at together.
const TOGETHER: usize = 16;

/// What an operation selects.
#[derive(Clone, Debug)]
pub enum Select {
    /// Dead letters, or their requests, after the letter at `after` and up to the one at `until`, or
    /// up to the last one.
    Letters {
        /// Which dead letters.
        filter: nats::Filter,
        /// The letter after which the selection begins.
        after: u64,
        /// The last letter.
        until: Option<u64>,
        /// Whether more letters than an operation may have are left for the next one. Otherwise
        /// they are an error, because a part must not be taken for all.
        in_parts: bool,
    },
    /// Requests whose log the filter accepts.
    Requests {
        /// Which requests.
        filter: Box<Filter>,
        /// Only commits that were stored since then.
        since: Option<Timestamp>,
    },
    /// These requests.
    Ids(Vec<RequestId>),
}

/// A selection with its dry run.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    /// The items.
    pub items: Vec<Target>,
    /// What would happen to each.
    pub would: Vec<Would>,
    /// The dead letter of each item, or the first one of its request; none in other selections.
    pub letters: Vec<SelectedLetter>,
    /// How many dead letters were matched.
    pub matched: usize,
    /// The last dead letter that belongs to the selection.
    pub until: Option<u64>,
    /// The dead letter after which the next part begins, where there is one.
    pub next: Option<u64>,
}

/// The dead letter that led to an item.
#[derive(Clone, Debug)]
pub struct SelectedLetter {
    /// Its id.
    pub id: String,
    /// Its request, if it is known.
    pub request: Option<RequestId>,
}

/// An item that is not yet fixed.
enum Found {
    Request(RequestId),
    Letter(Box<Kept>),
}

impl Select {
    /// The selection as it is told and stored.
    #[must_use]
    pub fn told(&self) -> Value {
        let told = match self {
            Self::Letters { filter, after, .. } => json!({ "deadLetters": {
                "type": filter.task_type,
                "code": filter.code,
                "request": filter.request,
                "since": filter.since,
                "cursor": (*after > 0).then_some(after),
            }}),
            Self::Requests { filter, since } => json!({ "requests": {
                "status": filter.status,
                "code": filter.code,
                "fingerprint": filter.fingerprint,
                "type": filter.task_type,
                "worker": filter.worker,
                "group": filter.group,
                "label": filter.label,
                "since": since,
            }}),
            Self::Ids(ids) => json!({ "ids": ids.len() }),
        };
        without_nothing(told)
    }
}

/// Drops what a filter does not say.
fn without_nothing(mut told: Value) -> Value {
    for (_, fields) in told.as_object_mut().into_iter().flatten() {
        if let Some(fields) = fields.as_object_mut() {
            fields.retain(|_, value| {
                !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty())
            });
        }
    }
    told
}

impl Operations {
    /// Selects what matches now, and tells what an operation would do to each item. Everything is of
    /// this tenant, whatever the filter says: what another tenant has does not exist.
    pub async fn select(
        &self,
        tenant: &Tenant,
        action: Action,
        select: &Select,
    ) -> Result<Selected, BulkError> {
        let mut selected = Selected::default();
        let found = match select {
            Select::Letters { .. } => {
                let letters = self.letters_of(tenant, action, select, &mut selected);
                letters.await?
            }
            Select::Requests { .. } | Select::Ids(_) if action == Action::Discard => {
                return Err(BulkError::OnlyLetters);
            }
            Select::Requests { filter, since } => self.requests_of(tenant, filter, *since).await?,
            Select::Ids(ids) => {
                let mut known = HashSet::new();
                let once = ids.iter().filter(|id| known.insert(**id));
                once.copied().map(Found::Request).collect()
            }
        };
        if found.len() > usize::try_from(SELECTED_MAX).unwrap_or(usize::MAX) {
            return Err(Rejection::TooManySelected.into());
        }
        let mut looks: Vec<BoxFuture<'_, Result<(Target, Would), BulkError>>> = Vec::new();
        for found in found {
            looks.push(Box::pin(self.fixed(tenant, action, found)));
        }
        let fixed: Vec<(Target, Would)> = futures::stream::iter(looks)
            .buffered(TOGETHER)
            .try_collect()
            .await?;
        (selected.items, selected.would) = fixed.into_iter().unzip();
        Ok(selected)
    }

    /// The requests of the dead letters, and the letters that have none or are to be discarded.
    async fn letters_of(
        &self,
        tenant: &Tenant,
        action: Action,
        select: &Select,
        selected: &mut Selected,
    ) -> Result<Vec<Found>, BulkError> {
        let Select::Letters {
            filter,
            after,
            until,
            in_parts,
        } = select
        else {
            return Ok(Vec::new());
        };
        let filter = nats::Filter {
            tenant: Some(tenant.clone()),
            ..filter.clone()
        };
        let most = usize::try_from(SELECTED_MAX).unwrap_or(usize::MAX);
        // Without an end, the selection goes on to whichever letter is the last when it gets there.
        // A letter that is completed meanwhile moves to the end, and must not be missed.
        selected.until = *until;
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        let mut known_letters = HashSet::new();
        let mut next = Some(*after);
        while let Some(after) = next.filter(|next| until.is_none_or(|until| *next < until)) {
            let page = self.letters.look(&filter, after, LETTERS_PER_STEP).await?;
            for kept in page.letters {
                if until.is_some_and(|until| kept.sequence > until) {
                    return Ok(found);
                }
                if until.is_none() {
                    selected.until = Some(kept.sequence);
                }
                if !known_letters.insert(kept.id.clone()) {
                    continue;
                }
                let of_task = matches!(kept.letter, Letter::GivenUp(_));
                let wants_request = action != Action::Discard && of_task;
                let (id, request) = (kept.id.clone(), kept.request());
                let of_request = request.filter(|_| wants_request);
                let is_new = of_request.is_none_or(|request| known.insert(request));
                if is_new && found.len() == most {
                    if !in_parts {
                        return Err(Rejection::TooManySelected.into());
                    }
                    selected.next = Some(kept.sequence - 1);
                    if until.is_none() {
                        selected.until = Some(self.letters.last_sequence().await?);
                    }
                    return Ok(found);
                }
                selected.matched += 1;
                if is_new {
                    selected.letters.push(SelectedLetter { id, request });
                    found.push(match of_request {
                        Some(request) => Found::Request(request),
                        None => Found::Letter(Box::new(kept)),
                    });
                }
            }
            next = page.next;
        }
        Ok(found)
    }

    async fn requests_of(
        &self,
        tenant: &Tenant,
        filter: &Filter,
        since: Option<Timestamp>,
    ) -> Result<Vec<Found>, BulkError> {
        let live = Live {
            connection: self.connection.clone(),
            log: self.log.clone(),
            payloads: self.payloads.clone(),
        };
        let source = Source::Live(Box::new(live));
        // One more than an operation may have shows that there are too many.
        let most = usize::try_from(SELECTED_MAX).unwrap_or(usize::MAX);
        let filter = Filter {
            tenant: vec![tenant.clone()],
            ..filter.clone()
        };
        let found = search::find(&source, &filter, since, most.saturating_add(1)).await?;
        let requests = found.into_iter().map(|found| found.request_id);
        Ok(requests.map(Found::Request).collect())
    }

    /// The run and the status of a request of a tenant. Whoever holds its state keeps all others
    /// waiting, so the state is let go of before anything else is done with the request.
    pub(super) async fn run_of(
        &self,
        tenant: &Tenant,
        id: RequestId,
    ) -> Result<Option<(Run, Status)>, Error> {
        let loaded = self.log.load_current(id).await?;
        let request = loaded.state().request();
        let request = request.filter(|request| request.tenant == *tenant);
        Ok(request.map(|request| (request.run, request.status())))
    }

    /// Fixes an item, with what would happen to it.
    async fn fixed(
        &self,
        tenant: &Tenant,
        action: Action,
        found: Found,
    ) -> Result<(Target, Would), BulkError> {
        match found {
            Found::Request(id) => {
                let found = self.run_of(tenant, id).await?;
                let run = found.map_or(Run::FIRST, |(run, _)| run);
                let status = found.map(|(_, status)| status);
                let would = self.would_to_request(action, id, status).await?;
                Ok((Target::Request { id, run }, would))
            }
            Found::Letter(kept) => {
                let would = Self::would_to_letter(action, &kept);
                Ok((Target::Letter(kept.id), would))
            }
        }
    }
}

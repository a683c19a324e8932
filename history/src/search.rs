//! Finds the requests that a filter selects, newest first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::access::Tenant;
use domain::request::{Event, RequestId, Sequence, Status};
use jiff::Timestamp;
use nats::Commit;
use serde::Serialize;

use crate::Error;
use crate::filter::Filter;
use crate::source::Source;
use crate::story::Cause;

/// A request in a search result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// The request.
    pub request_id: RequestId,
    /// The tenant, unless it is `default`.
    #[serde(skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// Who submitted it, where the search read that.
    #[serde(skip)]
    pub submitter: Option<String>,
    /// The status.
    pub status: Status,
    /// The sequence of the last commit that the search read.
    pub sequence: Sequence,
    /// The time of the first commit that the search read.
    pub received_at: Timestamp,
    /// The time of the last commit that the search read.
    pub updated_at: Timestamp,
    /// The number of recorded attempts.
    pub attempts: u64,
    /// The number of redrives.
    pub redrives: u32,
    /// The fingerprint of the failure.
    pub fingerprint: Option<String>,
    /// The cause of the end.
    #[serde(skip)]
    pub cause: Option<Cause>,
    /// The codes of faults and of the failure.
    pub codes: BTreeSet<String>,
    /// The workers.
    pub workers: BTreeSet<String>,
    /// The types of the tasks.
    pub task_types: BTreeSet<String>,
    /// The names of the groups.
    pub groups: BTreeSet<String>,
    /// The `x-*` headers of the submission.
    pub metadata: BTreeMap<String, String>,
    /// The names of the events.
    #[serde(skip)]
    pub events: BTreeSet<String>,
}

/// The requests that the filter accepts, newest first.
pub async fn find(
    source: &Source,
    filter: &Filter,
    since: Option<Timestamp>,
    limit: usize,
) -> Result<Vec<Found>, Error> {
    let now = Timestamp::now();
    let mut found: HashMap<RequestId, Found> = HashMap::new();
    source
        .each(since, |commit| {
            if filter.takes_time(commit.at, now) {
                found
                    .entry(commit.request)
                    .or_insert_with(|| Found::begun(&commit))
                    .take_in(commit);
            }
            true
        })
        .await?;
    add_types(source, filter, &mut found).await?;
    let mut found: Vec<Found> = found.into_values().collect();
    found.retain(|found| filter.takes_request(found));
    found.sort_by_key(|found| std::cmp::Reverse(found.sequence));
    found.truncate(limit);
    Ok(found)
}

/// Adds the wanted types of tasks that wait or were given up. No attempt of such a task may have
/// recorded its type, and earlier builds recorded none.
async fn add_types(
    source: &Source,
    filter: &Filter,
    found: &mut HashMap<RequestId, Found>,
) -> Result<(), Error> {
    for name in &filter.task_type {
        let requests = match source {
            Source::Live(live) => live.connection.requests_of_type(name).await?,
            Source::Bundle(bundle) => bundle.requests_of_type(name),
        };
        for request in requests {
            if let Some(found) = found.get_mut(&request) {
                found.task_types.insert(name.clone());
            }
        }
    }
    Ok(())
}

impl Found {
    fn begun(commit: &Commit) -> Self {
        Self {
            request_id: commit.request,
            tenant: commit.tenant.clone(),
            submitter: None,
            status: Status::Received,
            sequence: commit.sequence,
            received_at: commit.at,
            updated_at: commit.at,
            attempts: 0,
            redrives: 0,
            fingerprint: None,
            cause: None,
            codes: BTreeSet::new(),
            workers: BTreeSet::new(),
            task_types: BTreeSet::new(),
            groups: BTreeSet::new(),
            metadata: BTreeMap::new(),
            events: BTreeSet::new(),
        }
    }

    fn take_in(&mut self, commit: Commit) {
        self.sequence = commit.sequence;
        self.updated_at = commit.at;
        for event in commit.events {
            if !self.events.contains(event.name()) {
                self.events.insert(event.name().to_owned());
            }
            self.apply(event);
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Received(e) => {
                let told = e.told_metadata();
                self.metadata = told.map(|(n, v)| (n.clone(), v.clone())).collect();
                self.submitter = Some(e.submitter);
            }
            Event::GroupStarted(e) => {
                self.status = Status::Running;
                self.groups.extend(e.name);
            }
            Event::TaskSucceeded(e) => {
                self.attempts += 1;
                self.workers.insert(e.worker);
                self.task_types.extend(e.given.map(|given| given.task_type));
            }
            Event::TaskFailed(e) => {
                self.attempts += 1;
                self.workers.insert(e.attempt.worker);
                self.task_types.extend(e.given.map(|given| given.task_type));
                self.codes.insert(e.attempt.fault.code);
            }
            Event::Succeeded(_) => self.status = Status::Succeeded,
            Event::Cancelled(e) => {
                self.status = Status::Cancelled;
                self.cause = Some(Cause::Cancelled {
                    by: e.by,
                    on_behalf_of: e.on_behalf_of,
                    reason: e.reason,
                });
            }
            Event::Failed(e) => {
                self.status = Status::Failed;
                self.fingerprint = Some(e.failure.fingerprint());
                self.codes.insert(e.failure.code.clone());
                self.cause = Some(Cause::Failed((&e.failure).into()));
            }
            Event::Redriven(_) => {
                self.status = Status::Running;
                self.redrives += 1;
                self.fingerprint = None;
                self.cause = None;
            }
            Event::ResourcesCaptured(_)
            | Event::GroupTimedOut { .. }
            | Event::GroupCompleted { .. }
            | Event::Forked(_) => {}
        }
    }
}

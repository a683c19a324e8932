//! `search`: the requests that a filter lets through, the newest first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::request::{Event, RequestId, Status};
use jiff::Timestamp;
use nats::Commit;
use runtime::Settings;
use serde::Serialize;

use crate::command::SearchArgs;
use crate::filter::Filter;
use crate::output::{Paint, between, short, time};
use crate::source::Source;
use crate::story::failed;
use crate::{Error, Finding, page};

/// A request as a search tells it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    pub request_id: RequestId,
    pub status: Status,
    /// The last commit that was looked at.
    pub sequence: u64,
    pub received_at: Timestamp,
    pub updated_at: Timestamp,
    pub attempts: u64,
    pub redrives: u32,
    pub fingerprint: Option<String>,
    pub cause: Option<String>,
    pub codes: BTreeSet<String>,
    pub workers: BTreeSet<String>,
    pub task_types: BTreeSet<String>,
    pub groups: BTreeSet<String>,
    pub metadata: BTreeMap<String, String>,
    #[serde(skip)]
    pub events: BTreeSet<String>,
}

pub async fn run(args: &SearchArgs, settings: &Settings) -> Result<Finding, Error> {
    let source = Source::open(args.reading.from.as_deref(), settings).await?;
    let since = args.since.map(|since| since.time(Timestamp::now()));
    let found = find(&source, &args.filter, since, args.limit).await?;
    let paint = Paint::of_stdout();
    let mut text = String::new();
    for found in &found {
        if args.reading.json {
            page::line(&serde_json::to_value(found).unwrap_or_default())?;
        } else {
            text.push_str(&told(found, paint));
            text.push('\n');
        }
    }
    match (args.reading.json, found.is_empty()) {
        (_, true) => return Err(Error::NotFound("no request is so".into())),
        (false, _) => page::print(&text)?,
        (true, _) => {}
    }
    Ok(Finding::Fine)
}

/// The requests that the filter lets through, the newest first.
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

/// Adds the wanted types of which a request has tasks that wait or were given up: no attempt may
/// have told its type, and builds before this one told none.
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
            Event::Received(e) => self.metadata = e.metadata,
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
                self.cause = Some(format!("{} cancelled it: {}", e.by, e.reason));
            }
            Event::Failed(e) => {
                self.status = Status::Failed;
                self.fingerprint = Some(e.failure.fingerprint());
                self.cause = Some(failed(&e.failure));
                self.codes.insert(e.failure.code);
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

fn told(found: &Found, paint: Paint) -> String {
    let status = found.status.as_str();
    let pad = " ".repeat(10_usize.saturating_sub(status.len()));
    let cause = found.cause.as_deref().unwrap_or_default();
    format!(
        "{} {}{pad} {} {:>10}  {}",
        found.request_id,
        paint.status(status),
        time(found.updated_at),
        between(found.received_at, found.updated_at),
        short(cause, paint.width.saturating_sub(86).max(30))
    )
}

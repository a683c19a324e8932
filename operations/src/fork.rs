//! Forks: a new request that takes over the results of another one, up to a point.

use std::collections::BTreeMap;

use domain::derivation::outline;
use domain::document::{Document, Effort, Limits, TaskDocument};
use domain::request::{
    Command, Event, Fork, Forked, GroupIndex, GroupOutline, Payload, Received, Request, RequestId,
    Sequence, TakenGroup, TaskNumber, TaskSucceeded,
};
use history::derive::before_group;
use history::source::Source;
use history::story::Story;
use jiff::Timestamp;
use nats::{ExecuteError, Receipt, sha256_of};
use uuid::Uuid;

use crate::{Operations, Why};

/// How many bytes of results a fork takes over inline. All of them are in one message.
const MAX_TAKEN_BYTES: u64 = 700 * 1024;
/// The header that names the origin of a fork.
const ORIGIN: &str = "x-fanfold-forked-from";

/// A fork before it is submitted.
#[derive(Debug)]
pub struct ForkPlan {
    /// The id of the new request.
    pub id: RequestId,
    /// The request that is forked.
    pub from: RequestId,
    /// The sequence up to which results are taken over.
    pub sequence: Sequence,
    document: Document,
    bytes: Vec<u8>,
    original: Received,
    origin: Request,
    groups: Vec<TakenGroup>,
}

/// Why a fork cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ForkError {
    /// The original cannot be read.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The new document is refused.
    #[error("the document is refused: {0}")]
    Document(#[from] domain::document::Refusal),
    /// The results do not fit into one commit.
    #[error(
        "it would take over {0} bytes of results, more than the {MAX_TAKEN_BYTES} that fit into \
         one commit: fork at an earlier point"
    )]
    TooLarge(u64),
    /// The domain refuses the fork, or the log cannot take it.
    #[error(transparent)]
    Execute(#[from] ExecuteError),
}

impl From<nats::Error> for ForkError {
    fn from(error: nats::Error) -> Self {
        Self::History(error.into())
    }
}

impl ForkPlan {
    /// The plan of a fork of a story, with another document if there is one.
    pub async fn of(
        source: &Source,
        story: &Story,
        document: Option<Vec<u8>>,
    ) -> Result<Self, ForkError> {
        let absent = || history::Error::NotFound(format!("request {} did not exist yet", story.id));
        let origin = story.state.request().ok_or_else(absent)?;
        let bytes = match document {
            Some(bytes) => bytes,
            None => source.payload(&origin.document).await?,
        };
        let document = Document::accept(&bytes, &Limits::accepted())?;
        let groups = taken(source, story, origin, &bytes).await?;
        check_size(&groups)?;
        Ok(Self {
            id: RequestId::new(Uuid::now_v7()),
            from: story.id,
            sequence: story.sequence(),
            original: original(story)?,
            origin: origin.clone(),
            document,
            bytes,
            groups,
        })
    }

    /// What is known of each group of the new request.
    #[must_use]
    pub fn outline(&self) -> Vec<GroupOutline> {
        outline(&self.document)
    }

    /// The number of groups that are taken over, whole or in part.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The number of results that are taken over.
    #[must_use]
    pub fn results(&self) -> usize {
        self.groups.iter().map(|group| group.results.len()).sum()
    }
}

impl Operations {
    /// Submits a fork.
    pub async fn fork(&self, plan: ForkPlan, why: Why) -> Result<Receipt, ForkError> {
        let Why {
            by,
            on_behalf_of,
            reason,
        } = why;
        let document = self.payloads.place(plan.bytes.into()).await?;
        let (mut resources, mut groups) = (plan.origin.resources, plan.groups);
        for resource in &mut resources {
            self.refresh(&mut resource.content).await?;
        }
        for task in groups.iter_mut().flat_map(|group| &mut group.results) {
            self.refresh(&mut task.result).await?;
        }
        let mut metadata = plan.original.metadata;
        metadata.insert(ORIGIN.into(), format!("{}@{}", plan.from, plan.sequence));
        let received = Received {
            document,
            fingerprint: sha256_of(|take| plan.document.canonical_pieces(take)),
            groups: outline(&plan.document),
            metadata,
            submitter: by.clone(),
            // The trace and the key belong to the original.
            tenant: plan.original.tenant,
            traceparent: None,
            idempotency_key: None,
        };
        let command = Command::Fork(Box::new(Fork {
            received,
            forked: Forked {
                from: plan.from,
                sequence: plan.sequence,
                by,
                on_behalf_of,
                reason,
            },
            resources,
            groups,
            now: Timestamp::now(),
            rules: self.rules,
        }));
        let forked = self.log.execute(plan.id, command).await;
        Ok(self.done(plan.id, forked)?)
    }
}

impl Operations {
    /// Stores a payload of the original again if it is old. Retention would otherwise take it
    /// before the end of the fork, because it counts from the time when the payload was stored.
    async fn refresh(&self, payload: &mut Payload) -> Result<(), ForkError> {
        if matches!(payload, Payload::Stored { .. }) {
            let bytes = self.payloads.fetch(payload).await?;
            *payload = self.payloads.place_stored(bytes.into()).await?;
        }
        Ok(())
    }
}

fn original(story: &Story) -> Result<Received, ForkError> {
    let mut events = story.commits.iter().flat_map(|commit| &commit.events);
    if let Some(Event::Received(received)) = events.next() {
        return Ok((**received).clone());
    }
    let reason = "the log does not begin with `received`".into();
    Err(history::Error::Unreadable(reason).into())
}

/// The groups that the fork takes over. A result is taken over if the document of its task stays
/// the same under the new document. The first group that lacks a result is the last one.
async fn taken(
    source: &Source,
    story: &Story,
    origin: &Request,
    bytes: &[u8],
) -> Result<Vec<TakenGroup>, ForkError> {
    let forked = Request {
        document: Payload::Inline(String::from_utf8_lossy(bytes).into()),
        ..origin.clone()
    };
    let results = results(story);
    let mut groups = Vec::new();
    let started = origin.completed.len() + usize::from(origin.group().is_some());
    for group in GroupIndex::all().take(started) {
        let before = documents(source, origin, group).await?;
        let after = documents(source, &forked, group).await?;
        // If a document cannot be made, the new request fails by itself later, with its own
        // message.
        let (Some((_, before)), Some((name, after))) = (before, after) else {
            break;
        };
        let same = |task: &TaskSucceeded| {
            let known = document(&before, task.task);
            known.is_some() && known == document(&after, task.task)
        };
        let own = results.get(&group).into_iter().flat_map(BTreeMap::values);
        let taken: Vec<TaskSucceeded> = own.filter(|task| same(task)).cloned().collect();
        let complete = taken.len() == after.len();
        groups.push(TakenGroup {
            name,
            tasks: u32::try_from(after.len()).unwrap_or(u32::MAX),
            results: taken,
        });
        if !complete {
            break;
        }
    }
    Ok(groups)
}

/// The results of the tasks, by group and task.
fn results(story: &Story) -> BTreeMap<GroupIndex, BTreeMap<TaskNumber, TaskSucceeded>> {
    let mut results: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for event in story.commits.iter().flat_map(|commit| &commit.events) {
        if let Event::TaskSucceeded(e) = event {
            let of_group = results.entry(e.group).or_default();
            of_group.insert(e.task, e.clone());
        }
    }
    results
}

type Made = Option<(Option<String>, Vec<TaskDocument>)>;

async fn documents(
    source: &Source,
    request: &Request,
    group: GroupIndex,
) -> Result<Made, history::Error> {
    let derived = before_group(source, request, group.index()).await?;
    Ok(derived.ok().and_then(|mut derived| {
        let tasks = derived.all_tasks(group, Effort::Whole).ok()?;
        let document = derived.document();
        let name = document.group_name(group.index()).map(str::to_owned);
        (group.index() < document.groups()).then_some((name, tasks))
    }))
}

/// The document of one task of these.
fn document(made: &[TaskDocument], task: TaskNumber) -> Option<&[u8]> {
    let made = made.get(task.index()?)?;
    Some(&made.xml)
}

fn check_size(groups: &[TakenGroup]) -> Result<(), ForkError> {
    let results = groups.iter().flat_map(|group| &group.results);
    let bytes: u64 = results
        .map(|task| task.result.inline().map_or(100, |t| t.len() as u64))
        .sum();
    if bytes > MAX_TAKEN_BYTES {
        return Err(ForkError::TooLarge(bytes));
    }
    Ok(())
}

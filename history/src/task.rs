//! One task: its document made again, the traces of the document that was sent, and its attempts.

use domain::document::{Effort, TaskDocument};
use domain::request::{AttemptNumber, Event, Next, Sequence, TaskId};
use jiff::Timestamp;
use nats::{DeadLetter, payload_sha256, sha256};
use serde::Serialize;

use crate::derive::{Stop, before_group};
use crate::source::Source;
use crate::story::Story;
use crate::{Error, documents};

/// A task as the log records it and as this build makes it.
#[derive(Debug)]
pub struct Task {
    /// The task.
    pub id: TaskId,
    /// The document as this build makes it.
    pub document: TaskDocument,
    /// The document compared with the traces of the one that was sent.
    pub proof: Proof,
    /// The attempts, in the order of the log.
    pub attempts: Vec<Attempt>,
}

/// A recorded attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The number of the attempt.
    pub number: AttemptNumber,
    /// The sequence of its commit.
    pub sequence: Sequence,
    /// The worker.
    pub worker: String,
    /// The start.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The outcome.
    pub outcome: Outcome,
}

/// The outcome of an attempt.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The result document.
    Succeeded(Vec<u8>),
    /// The fault and its consequence.
    Failed(domain::request::Fault, Next),
}

impl Task {
    /// The task of a story.
    pub async fn of(source: &Source, story: &Story, id: TaskId) -> Result<Self, Error> {
        let document = derive(source, story, id).await?;
        let sent = Sent::of(source, story, id).await?;
        Ok(Self {
            id,
            proof: Proof::of(&document, sent),
            document,
            attempts: attempts(source, story, id).await?,
        })
    }
}

async fn derive(source: &Source, story: &Story, id: TaskId) -> Result<TaskDocument, Error> {
    let nothing = || Error::NotFound(format!("there is no task {id}"));
    let request = story.state.request().ok_or_else(nothing)?;
    if id.group.index() > request.completed.len() {
        return Err(Error::NotFound(format!(
            "group {} has not started: its tasks need the results of earlier groups",
            id.group
        )));
    }
    let cannot = |stop: Stop| {
        let reason = stop.reason();
        Error::Unreadable(format!("the document cannot be made: {reason}"))
    };
    let derived = before_group(source, request, id.group.index()).await?;
    let mut tasks = derived
        .and_then(|mut derived| {
            let made = derived.tasks(id.group, [id.task], usize::MAX, Effort::Whole);
            made.map_err(Stop::from)
        })
        .map_err(cannot)?;
    tasks.pop().ok_or_else(nothing)
}

async fn attempts(source: &Source, story: &Story, id: TaskId) -> Result<Vec<Attempt>, Error> {
    let mut attempts = Vec::new();
    for recorded in story.events() {
        let sequence = recorded.sequence;
        match recorded.event {
            Event::TaskSucceeded(e) if (e.group, e.task) == (id.group, id.task) => {
                attempts.push(Attempt {
                    number: e.attempt,
                    sequence,
                    worker: e.worker,
                    started_at: e.started_at,
                    duration_ms: e.duration_ms,
                    outcome: Outcome::Succeeded(source.payload(&e.result).await?),
                });
            }
            Event::TaskFailed(e) if (e.group, e.task) == (id.group, id.task) => {
                attempts.push(Attempt {
                    number: e.attempt.attempt,
                    sequence,
                    worker: e.attempt.worker,
                    started_at: e.attempt.started_at,
                    duration_ms: e.attempt.duration_ms,
                    outcome: Outcome::Failed(e.attempt.fault, e.next),
                });
            }
            _ => {}
        }
    }
    Ok(attempts)
}

/// A remaining trace of a document that was sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// The place of the trace.
    pub place: String,
    /// The type under which it was sent.
    pub task_type: String,
    /// The hash of the document.
    pub sha256: String,
}

impl Sent {
    /// Every trace: the hashes that attempts reported, the dead letters, and the message that still
    /// waits.
    pub async fn of(source: &Source, story: &Story, id: TaskId) -> Result<Vec<Self>, Error> {
        // No worker received the task documents of a masked bundle, so the traces prove nothing
        // there.
        let mut found = if source.is_redacted() {
            Vec::new()
        } else {
            Self::told(story, id)
        };
        match source {
            Source::Live(live) => {
                let letters = live.connection.dead_letters_of(id.request).await?;
                found.extend(Self::of_letters(&letters, id));
                let queued = live.connection.queued(id.request).await?;
                let queued = queued.into_iter().filter(|queued| queued.task == id);
                found.extend(queued.map(|queued| Self {
                    place: format!("message {} of TASKS", queued.sequence),
                    sha256: payload_sha256(&queued.document),
                    task_type: queued.task_type,
                }));
            }
            Source::Bundle(bundle) => found.extend(Self::of_letters(&bundle.dead_letters, id)),
        }
        Ok(found)
    }

    fn told(story: &Story, id: TaskId) -> Vec<Self> {
        let given = story.commits.iter().flat_map(documents::given);
        let own = given.filter(|(task, ..)| *task == id);
        let found = own.filter_map(|(_, attempt, given)| {
            Some(Self {
                place: format!("the record of attempt {attempt}"),
                task_type: given.task_type.clone(),
                sha256: given.sha256.clone()?,
            })
        });
        found.collect()
    }

    fn of_letters(letters: &[DeadLetter], id: TaskId) -> impl Iterator<Item = Self> {
        let own = letters.iter().filter(move |letter| letter.task == id);
        own.map(|letter| Self {
            place: format!("the dead letter of run {}", letter.run),
            task_type: letter.task_type.clone(),
            sha256: payload_sha256(&letter.document),
        })
    }
}

/// A document that was made again, with the traces of the one that was sent.
#[derive(Debug)]
pub struct Proof {
    /// The hash of the document that was made again.
    pub made: String,
    /// The traces of the document that was sent.
    pub sent: Vec<Sent>,
}

impl Proof {
    /// The proof of a document that was made again.
    #[must_use]
    pub fn of(document: &TaskDocument, sent: Vec<Sent>) -> Self {
        let made = sha256(&document.xml);
        Self { made, sent }
    }

    /// Whether the document equals the one that was sent; `None` without a trace.
    #[must_use]
    pub fn verified(&self) -> Option<bool> {
        let same = |sent: &Sent| sent.sha256 == self.made;
        (!self.sent.is_empty()).then(|| self.sent.iter().all(same))
    }

    /// The type under which the task was last sent, if it is known.
    #[must_use]
    pub fn task_type(&self) -> Option<&str> {
        self.sent.last().map(|sent| sent.task_type.as_str())
    }

    /// The places of the traces.
    #[must_use]
    pub fn places(&self) -> Vec<&str> {
        self.sent.iter().map(|sent| sent.place.as_str()).collect()
    }
}

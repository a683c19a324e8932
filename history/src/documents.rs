//! The task documents of a request as this build makes them, compared with the hashes that the
//! workers reported.

use std::collections::{BTreeMap, BTreeSet};

use domain::document::Effort;
use domain::request::{AttemptNumber, Event, Given, GroupIndex, Sequence, Status, TaskId};
use nats::{Commit, sha256};

use crate::Error;
use crate::derive::{before_group, feed};
use crate::source::Source;
use crate::story::fold;

/// The hash of each task document.
pub type Hashes = BTreeMap<TaskId, String>;

/// A task document that differs from the one that a worker received.
pub struct Other {
    /// The task.
    pub task: TaskId,
    /// The commit that records the attempt.
    pub sequence: Sequence,
    /// The hash of the document that the worker received.
    pub given: String,
    /// The hash of the document that this build makes; `None` if it makes no such document.
    pub made: Option<String>,
}

/// The hashes of the documents of every dispatched task of a request, as this build makes them.
pub async fn made(source: &Source, commits: &[Commit]) -> Result<Hashes, Error> {
    let state = fold(commits);
    let (Some(request), Some(first)) = (state.request(), commits.first()) else {
        return Ok(Hashes::new());
    };
    let running = usize::from(request.group().is_some());
    let groups = match request.status() {
        Status::Received => 0,
        _ => request.completed.len() + running,
    };
    let mut hashes = Hashes::new();
    let Ok(mut derived) = before_group(source, request, 0).await? else {
        return Ok(hashes);
    };
    for (group, index) in (0..groups).zip(GroupIndex::all()) {
        for document in derived
            .all_tasks(index, Effort::Whole)
            .into_iter()
            .flatten()
        {
            let task = TaskId {
                request: first.request,
                group: index,
                task: document.number,
            };
            hashes.insert(task, sha256(&document.xml));
        }
        let fed = feed(source, &mut derived, request, group + 1).await?;
        if fed.is_err() {
            break;
        }
    }
    Ok(hashes)
}

/// The document hashes that attempts reported, each with its task and attempt number.
pub fn given(commit: &Commit) -> impl Iterator<Item = (TaskId, AttemptNumber, &Given)> {
    commit.events.iter().filter_map(|event| {
        let (group, task, attempt, given) = match event {
            Event::TaskSucceeded(e) => (e.group, e.task, e.attempt, &e.given),
            Event::TaskFailed(e) => (e.group, e.task, e.attempt.attempt, &e.given),
            _ => return None,
        };
        let request = commit.request;
        let id = TaskId {
            request,
            group,
            task,
        };
        Some((id, attempt, given.as_ref()?))
    })
}

/// The document hashes that the attempts of these commits reported, each with the sequence of its
/// commit.
pub fn told(commits: &[Commit]) -> impl Iterator<Item = (TaskId, Sequence, &str)> {
    let each = commits.iter().flat_map(|commit| {
        let sequence = commit.sequence;
        given(commit).map(move |(task, _, given)| (task, sequence, given))
    });
    each.filter_map(|(task, sequence, given)| Some((task, sequence, given.sha256.as_deref()?)))
}

/// The documents that differ from those that the workers received, each task once.
#[must_use]
pub fn others(commits: &[Commit], made: &Hashes) -> Vec<Other> {
    let mut others = Vec::new();
    let mut seen = BTreeSet::new();
    for (task, sequence, given) in told(commits) {
        let now = made.get(&task);
        if now.is_some_and(|now| now == given) || !seen.insert(task) {
            continue;
        }
        others.push(Other {
            task,
            sequence,
            given: given.to_owned(),
            made: now.cloned(),
        });
    }
    others
}

impl Other {
    /// The difference in plain words.
    #[must_use]
    pub fn told(&self) -> String {
        let made = self.made.as_deref().unwrap_or("nothing");
        format!(
            "the document of task {} is not the one that was sent: sha256 {} was given to the \
             worker, and this build makes {made}",
            self.task, self.given
        )
    }
}

//! Makes the public form of an event. The form is bounded: it fits into one message, whatever a
//! document, a caller or a worker puts into the event.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::data::{
    Cancelled, Data, Failed, Forked, GroupCompleted, GroupStarted, GroupTimedOut, Next, Received,
    Redriven, ResourcesCaptured, Succeeded, TaskFailed, TaskSucceeded,
};
use crate::request::bounds::{NAME_MAX_BYTES, TEXT_MAX_BYTES, cut, json_bytes};
use crate::request::{self, Event, FAILED_TASKS_MAX, Recorded, RequestId, TaskNumber};

/// The maximum number of groups in the public form, which also has the total number.
pub const GROUPS_MAX: usize = 100;
/// The maximum number of fetched URIs in the public form, which also has the total number.
pub const URIS_MAX: usize = 100;
/// The maximum length of one such URI, in bytes.
pub const URI_MAX_BYTES: usize = 2 * 1024;
/// The maximum size of all these URIs, in bytes of JSON.
const URIS_MAX_BYTES: usize = 256 * 1024;
/// The maximum size of the metadata, in bytes of JSON.
const METADATA_MAX_BYTES: usize = 128 * 1024;

impl Data {
    /// The public form of an event.
    #[must_use]
    pub fn of<E: Borrow<Event>>(recorded: &Recorded<E>) -> Self {
        let request_id = recorded.request;
        match recorded.event.borrow() {
            Event::Received(event) => Self::Received(received(request_id, event)),
            Event::ResourcesCaptured(event) => Self::ResourcesCaptured(captured(request_id, event)),
            Event::GroupStarted(event) => Self::GroupStarted(started(request_id, event)),
            Event::TaskSucceeded(event) => Self::TaskSucceeded(task_succeeded(request_id, event)),
            Event::TaskFailed(event) => Self::TaskFailed(task_failed(request_id, event)),
            Event::GroupTimedOut { group } => Self::GroupTimedOut(GroupTimedOut {
                request_id,
                group: *group,
            }),
            Event::GroupCompleted { group } => Self::GroupCompleted(GroupCompleted {
                request_id,
                group: *group,
            }),
            Event::Succeeded(succeeded) => Self::Succeeded(Succeeded {
                request_id,
                response_bytes: succeeded.response.size(),
            }),
            Event::Failed(failed) => Self::Failed(Failed {
                request_id,
                failure: failed.failure.clone().bounded(),
            }),
            Event::Cancelled(cancelled) => Self::Cancelled(Cancelled {
                request_id,
                by: text(&cancelled.by),
                on_behalf_of: cancelled.on_behalf_of.as_deref().map(text),
                reason: text(&cancelled.reason),
            }),
            Event::Redriven(event) => Self::Redriven(redriven(request_id, event)),
            Event::Forked(forked) => Self::Forked(Forked {
                request_id,
                from: forked.from,
                sequence: forked.sequence,
                by: text(&forked.by),
                on_behalf_of: forked.on_behalf_of.as_deref().map(text),
                reason: text(&forked.reason),
            }),
        }
    }
}

/// The beginning of a text, up to `most` bytes.
fn begun(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn text(text: &str) -> String {
    begun(text, TEXT_MAX_BYTES).to_owned()
}

/// The total number; `None` if the public form has all of them.
fn count(all: usize, told: usize) -> Option<u32> {
    (told < all).then(|| u32::try_from(all).unwrap_or(u32::MAX))
}

fn received(request_id: RequestId, event: &request::Received) -> Received {
    let mut truncated = false;
    let mut groups: Vec<_> = event.groups.iter().take(GROUPS_MAX).cloned().collect();
    for name in groups.iter_mut().filter_map(|group| group.name.as_mut()) {
        truncated |= cut(name, NAME_MAX_BYTES);
    }
    let group_count = count(event.groups.len(), groups.len());
    let mut bytes = 0;
    let mut metadata = BTreeMap::new();
    for (name, value) in event.told_metadata() {
        let more = json_bytes(name) + json_bytes(value);
        if bytes + more > METADATA_MAX_BYTES {
            truncated = true;
            continue;
        }
        bytes += more;
        metadata.insert(name.clone(), value.clone());
    }
    let submitter = text(&event.submitter);
    truncated |= group_count.is_some() || submitter.len() < event.submitter.len();
    Received {
        request_id,
        groups,
        group_count,
        metadata,
        submitter,
        truncated,
    }
}

fn captured(request_id: RequestId, event: &request::ResourcesCaptured) -> ResourcesCaptured {
    let (mut bytes, mut truncated) = (0, false);
    let mut uris = Vec::new();
    for resource in event.resources.iter().take(URIS_MAX) {
        let uri = begun(&resource.uri, URI_MAX_BYTES);
        bytes += json_bytes(uri);
        if bytes > URIS_MAX_BYTES {
            break;
        }
        truncated |= uri.len() < resource.uri.len();
        uris.push(uri.to_owned());
    }
    let uri_count = count(event.resources.len(), uris.len());
    ResourcesCaptured {
        request_id,
        uris,
        uri_count,
        truncated: truncated || uri_count.is_some(),
    }
}

fn started(request_id: RequestId, event: &request::GroupStarted) -> GroupStarted {
    let mut name = event.name.clone();
    let truncated = name.as_mut().is_some_and(|name| cut(name, NAME_MAX_BYTES));
    GroupStarted {
        request_id,
        group: event.group,
        name,
        tasks: event.tasks,
        deadline: event.deadline,
        truncated,
    }
}

fn task_succeeded(request_id: RequestId, event: &request::TaskSucceeded) -> TaskSucceeded {
    TaskSucceeded {
        request_id,
        group: event.group,
        task: event.task,
        attempt: event.attempt,
        worker: begun(&event.worker, NAME_MAX_BYTES).to_owned(),
        started_at: event.started_at,
        duration_ms: event.duration_ms,
        result_bytes: event.result.size(),
    }
}

fn task_failed(request_id: RequestId, event: &request::TaskFailed) -> TaskFailed {
    let (mut attempt, mut next) = (event.attempt.clone(), event.next.clone());
    let truncated = attempt.bound() | next.bound();
    TaskFailed {
        request_id,
        group: event.group,
        task: event.task,
        attempt,
        next: match next {
            request::Next::RetryAt(at) | request::Next::DispatchAt(at) => Next::RetryAt(at),
            request::Next::DeadLetter(letter) => Next::DeadLetter(letter),
        },
        truncated,
    }
}

fn redriven(request_id: RequestId, event: &request::Redriven) -> Redriven {
    let told = event.tasks.iter().take(FAILED_TASKS_MAX);
    let tasks: Vec<TaskNumber> = told.copied().collect();
    // The log counts the tasks that its own list leaves out.
    let task_count = event.task_count.or(count(event.tasks.len(), tasks.len()));
    Redriven {
        request_id,
        by: text(&event.by),
        on_behalf_of: event.on_behalf_of.as_deref().map(text),
        reason: text(&event.reason),
        group: event.group,
        tasks,
        task_count,
        truncated: task_count.is_some(),
    }
}

use std::borrow::Borrow;
use std::collections::BTreeMap;

use domain::access::Subject;
use domain::request::{
    Event, Failed, GroupIndex, GroupStarted, Next, Received, Recorded, Redriven, RequestId,
    Sequence,
};
use jiff::Timestamp;

use crate::view::{FailureView, GroupStatus, GroupView, RequestStatus, View};

/// Folds whole commits into a view, in the order of the log. Events that the view has seen before,
/// or that come twice among these, change nothing. A redelivery of any length is thus harmless.
#[must_use]
pub fn fold<E: Borrow<Event>>(
    view: Option<View>,
    events: impl IntoIterator<Item = Recorded<E>>,
) -> Option<View> {
    // A commit is folded whole or not at all, so no event of the view's last commit is new.
    let mut seen = (
        view.as_ref().map_or(Sequence::NONE, |view| view.seq),
        u32::MAX,
    );
    events
        .into_iter()
        .filter(|recorded| {
            let place = (recorded.sequence, recorded.index);
            let new = place > seen;
            seen = seen.max(place);
            new
        })
        .fold(view, |view, recorded| project(view, &recorded))
}

/// Folds one more event that the view has not seen. An event of an earlier commit changes nothing,
/// and neither does one that finds no view to change. A view begins with `received`.
#[must_use]
pub fn project<E: Borrow<Event>>(view: Option<View>, recorded: &Recorded<E>) -> Option<View> {
    let Recorded {
        request,
        sequence,
        at,
        event,
        ..
    } = recorded;
    match (view, event.borrow()) {
        (None, Event::Received(received)) => Some(begun(*request, *sequence, *at, received)),
        (None, _) => None,
        (Some(view), _) if *sequence < view.seq => Some(view),
        (Some(mut view), event) => {
            view.seq = *sequence;
            apply(&mut view, *sequence, *at, event);
            Some(view)
        }
    }
}

fn begun(request: RequestId, seq: Sequence, at: Timestamp, received: &Received) -> View {
    let waiting = |group: &domain::request::GroupOutline| GroupView {
        name: group.name.clone(),
        expected: group.valuations,
        completed: 0,
        failed: 0,
        status: GroupStatus::Waiting,
        started_at: None,
        completed_at: None,
        seq,
    };
    View {
        group_count: u32::try_from(received.groups.len()).unwrap_or(u32::MAX),
        groups: received.groups.iter().map(waiting).collect(),
        metadata: told(received),
        tenant: received.tenant.clone(),
        submitter: told_apart(&received.submitter),
        idempotency_key: received.idempotency_key.clone(),
        ..View::new(request, seq, at)
    }
}

/// The metadata that readers are told.
fn told(received: &Received) -> BTreeMap<String, String> {
    let told = received.told_metadata();
    told.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The name of a submitter, unless it is that of everybody.
fn told_apart(submitter: &str) -> Option<String> {
    (submitter != Subject::ANONYMOUS).then(|| submitter.to_owned())
}

fn apply(view: &mut View, seq: Sequence, at: Timestamp, event: &Event) {
    match event {
        Event::Received(_)
        | Event::Forked(_)
        | Event::ResourcesCaptured(_)
        | Event::GroupTimedOut { .. } => {}
        Event::GroupStarted(started) => group_started(view, seq, at, started),
        Event::TaskSucceeded(task) => {
            view.attempts += 1;
            change(view, task.group, seq, |group| group.completed += 1);
        }
        Event::TaskFailed(task) => {
            view.attempts += 1;
            let given_up = matches!(task.next, Next::DeadLetter(_));
            view.failed_tasks += u64::from(given_up);
            change(view, task.group, seq, |group| {
                group.failed += u32::from(given_up);
            });
        }
        Event::GroupCompleted { group } => change(view, *group, seq, |group| {
            group.status = GroupStatus::Completed;
            group.completed_at = Some(at);
        }),
        Event::Succeeded(succeeded) => {
            let response = succeeded.response.clone();
            let status = RequestStatus::Succeeded { response };
            end(view, seq, at, status, GroupStatus::Completed);
        }
        Event::Failed(failed) => {
            let failure = failure(seq, at, failed);
            let status = RequestStatus::Failed { failure };
            end(view, seq, at, status, GroupStatus::Failed);
        }
        Event::Cancelled(_) => {
            end(
                view,
                seq,
                at,
                RequestStatus::Cancelled,
                GroupStatus::Cancelled,
            );
        }
        Event::Redriven(redriven) => redrive(view, seq, redriven),
    }
}

fn change(view: &mut View, group: GroupIndex, seq: Sequence, change: impl FnOnce(&mut GroupView)) {
    if let Some(group) = view.groups.get_mut(group.index()) {
        group.seq = seq;
        change(group);
    }
}

fn group_started(view: &mut View, seq: Sequence, at: Timestamp, started: &GroupStarted) {
    view.status = RequestStatus::Running;
    view.started_at.get_or_insert(at);
    view.current_group = Some(started.group);
    change(view, started.group, seq, |group| {
        group.expected = started.tasks;
        group.status = GroupStatus::Running;
        group.started_at = Some(at);
    });
}

fn end(view: &mut View, seq: Sequence, at: Timestamp, status: RequestStatus, running: GroupStatus) {
    view.status = status;
    view.completed_at = Some(at);
    if let Some(group) = view.current_group {
        change(view, group, seq, |group| {
            if group.status == GroupStatus::Running {
                group.status = running;
                group.completed_at = Some(at);
            }
        });
    }
}

fn failure(seq: Sequence, failed_at: Timestamp, failed: &Failed) -> FailureView {
    FailureView {
        seq,
        failed_at,
        fingerprint: failed.failure.fingerprint(),
        failure: failed.failure.clone(),
    }
}

fn redrive(view: &mut View, seq: Sequence, redriven: &Redriven) {
    view.status = if view.started_at.is_some() {
        RequestStatus::Running
    } else {
        RequestStatus::Received
    };
    view.redriven = true;
    view.completed_at = None;
    if let Some(group) = redriven.group {
        view.failed_tasks = 0;
        change(view, group, seq, |group| {
            group.status = GroupStatus::Running;
            group.completed_at = None;
            group.failed = 0;
        });
    }
}

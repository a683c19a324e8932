//! The content of a view at each turn of a request.

use domain::request::{
    Attempt, AttemptNumber, Cancelled, Event, Failed, FailedTask, Failure, Fault, GroupIndex,
    GroupStarted, Next, Recorded, Redriven, Run, Sequence, Status, Succeeded, TaskFailed,
    TaskNumber, TaskSucceeded,
};
use projections::{GroupStatus, View, fold};

use crate::words::{at, failure, id, received};

/// The view after these events. Each is a commit of its own, and the first has sequence 1.
fn told(events: impl IntoIterator<Item = Event>) -> View {
    let recorded = (1..).zip(events).map(|(sequence, event)| Recorded {
        request: id(),
        sequence: Sequence::new(sequence),
        index: 0,
        at: at(sequence),
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        event,
    });
    fold(None, recorded).expect("there is a view")
}

fn begun() -> Event {
    Event::Received(Box::new(received()))
}

fn started() -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::FIRST,
        name: None,
        tasks: 4,
        deadline: at(900),
    })
}

fn done(task: u32) -> Event {
    Event::TaskSucceeded(TaskSucceeded {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(task),
        attempt: AttemptNumber::FIRST,
        worker: "w1".into(),
        started_at: at(0),
        duration_ms: 20,
        given: None,
        result: "<result/>".into(),
    })
}

fn attempt() -> Attempt {
    Attempt {
        attempt: AttemptNumber::FIRST,
        worker: "w1".into(),
        started_at: at(0),
        duration_ms: 20,
        fault: Fault {
            code: "exit-75".into(),
            message: "no curve for EUR".into(),
            causes: Vec::new(),
        },
    }
}

fn given_up(task: u32) -> Event {
    Event::TaskFailed(TaskFailed {
        group: GroupIndex::FIRST,
        task: TaskNumber::new(task),
        attempt: attempt(),
        given: None,
        next: Next::DeadLetter("letter".into()),
    })
}

fn failed() -> Event {
    let task = FailedTask {
        task: TaskNumber::new(2),
        attempts: vec![attempt()],
        dead_letter: Some("letter".into()),
    };
    Event::Failed(Failed {
        failure: Failure {
            code: "tasks-failed".into(),
            tasks: vec![task],
            ..failure()
        },
    })
}

fn redriven(group: Option<u32>) -> Event {
    Event::Redriven(Redriven {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "again".into(),
        run: Run::new(1),
        group: group.map(GroupIndex::new),
        tasks: vec![TaskNumber::new(2)],
        task_count: None,
        deadline: at(960),
    })
}

#[test]
fn a_received_request_shows_its_groups_as_the_document_has_them() {
    let view = told([begun()]);
    assert_eq!(view.status.plain(), Status::Received);
    assert_eq!((view.group_count, view.current_group), (3, None));
    assert_eq!(view.groups[2].expected, 3);
    assert_eq!(view.groups[0].status, GroupStatus::Waiting);
    assert_eq!(view.metadata["x-desk"], "rates");
    assert_eq!(view.idempotency_key.as_deref(), Some("k1"));
    assert_eq!(view.submitter.as_deref(), Some("ada"));
}

#[test]
fn a_group_that_runs_counts_its_tasks_as_they_end() {
    let view = told([begun(), started(), done(1), given_up(2)]);
    assert_eq!(view.status.plain(), Status::Running);
    assert_eq!(view.started_at, Some(at(2)));
    let group = &view.groups[0];
    assert_eq!((group.expected, group.completed, group.failed), (4, 1, 1));
    assert_eq!(
        (view.attempts, view.failed_tasks, group.seq),
        (2, 1, Sequence::new(4))
    );
}

#[test]
fn a_failed_request_shows_its_cause_and_similar_failures_share_a_fingerprint() {
    let view = told([begun(), started(), given_up(2), failed()]);
    let failure = view.failure().expect("it failed");
    assert_eq!((failure.seq, failure.failed_at), (Sequence::new(4), at(4)));
    assert_eq!(failure.fingerprint, "tasks-failed+exit-75");
    assert_eq!(view.groups[0].status, GroupStatus::Failed);
    assert_eq!(view.completed_at, Some(at(4)));
}

#[test]
fn a_redriven_request_runs_with_the_results_it_has_and_no_failure() {
    let history = [begun(), started(), done(1), given_up(2), failed()];
    let view = told(history.into_iter().chain([redriven(Some(0))]));
    assert_eq!(view.status.plain(), Status::Running);
    assert_eq!((view.failure(), view.completed_at), (None, None));
    let group = &view.groups[0];
    assert_eq!((group.completed, group.failed), (1, 0));
    assert_eq!(
        (group.status, group.completed_at),
        (GroupStatus::Running, None)
    );
    assert_eq!((view.failed_tasks, view.attempts), (0, 2));
}

#[test]
fn a_request_redriven_before_its_first_group_is_received_again() {
    let view = told([begun(), failed(), redriven(None)]);
    assert_eq!(view.status.plain(), Status::Received);
    assert_eq!((view.failure(), view.completed_at), (None, None));
}

#[test]
fn a_late_outcome_counts_and_leaves_the_end_as_it_was() {
    let history = || vec![begun(), started(), given_up(2), failed()];
    let ended = told(history());
    let view = told(history().into_iter().chain([done(1), given_up(3)]));
    assert_eq!(
        (view.status.plain(), view.completed_at),
        (Status::Failed, ended.completed_at)
    );
    assert_eq!(view.failure(), ended.failure());
    assert_eq!((view.groups[0].completed, view.groups[0].failed), (1, 2));
}

#[test]
fn a_cancelled_request_has_no_failure_and_no_response() {
    let cancelled = Event::Cancelled(Cancelled {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "wrong date".into(),
    });
    let view = told([begun(), started(), cancelled]);
    assert_eq!(view.status.plain(), Status::Cancelled);
    assert_eq!((view.failure(), view.response()), (None, None));
    assert_eq!(view.groups[0].status, GroupStatus::Cancelled);
    assert_eq!(view.groups[1].status, GroupStatus::Waiting);
}

#[test]
fn a_finished_request_has_its_response() {
    let succeeded = Event::Succeeded(Succeeded {
        response: "<response/>".into(),
    });
    let view = told([
        begun(),
        started(),
        Event::GroupCompleted {
            group: GroupIndex::FIRST,
        },
        succeeded,
    ]);
    assert_eq!(view.status.plain(), Status::Succeeded);
    assert_eq!(view.response(), Some(&"<response/>".into()));
    assert_eq!(view.groups[0].completed_at, Some(at(3)));
}

#[test]
fn a_group_that_the_document_did_not_name_is_skipped() {
    let view = told([
        begun(),
        Event::GroupCompleted {
            group: GroupIndex::new(9),
        },
    ]);
    assert_eq!(view.groups.len(), 3);
}

//! The words the stories are told in.

use std::time::Duration;

use domain::request::{
    Advance, Attempt, Cancelled, Command, Event, Failed, FailedTask, Failure, Fault, GroupOutline,
    GroupStarted, Next, Outcome, Payload, Received, Redriven, Report, Resource, Rules, Step,
    Succeeded, TaskFailed, TaskSucceeded, Verdict,
};
use jiff::Timestamp;

pub const GROUP_TIMEOUT: Duration = Duration::from_secs(900);
pub const RULES: Rules = Rules {
    group_timeout: GROUP_TIMEOUT,
    fail_fast: false,
};

/// So many seconds after the stories begin; decisions are made at 0 where nothing else is said.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

/// When a group that started at 0 times out.
pub fn deadline() -> Timestamp {
    at(900)
}

pub fn document(fingerprint: &str) -> Received {
    Received {
        document: "<PROJECT/>".into(),
        fingerprint: fingerprint.into(),
        groups: vec![GroupOutline {
            name: Some("bonds".into()),
            valuations: 2,
        }],
        metadata: [("x-desk".to_owned(), "rates".to_owned())].into(),
        submitter: "ada".into(),
        idempotency_key: None,
    }
}

pub fn received() -> Event {
    Event::Received(Box::new(document("f1")))
}

pub fn resource(uri: &str) -> Resource {
    Resource {
        uri: uri.into(),
        content: "<market/>".into(),
    }
}

pub fn group(tasks: u32) -> Step {
    Step::Group { name: None, tasks }
}

pub fn response() -> Payload {
    "<response/>".into()
}

pub fn started(group: u32, tasks: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group,
        name: None,
        tasks,
        deadline: deadline(),
    })
}

pub fn completed(group: u32) -> Event {
    Event::GroupCompleted { group }
}

pub fn succeeded() -> Event {
    let response = response();
    Event::Succeeded(Succeeded { response })
}

pub fn failed(failure: Failure) -> Event {
    Event::Failed(Failed { failure })
}

/// Reports and no steps: the group is not expected to end.
pub fn reported(reports: impl IntoIterator<Item = Report>) -> Command {
    advance(reports, [])
}

pub fn advance(
    reports: impl IntoIterator<Item = Report>,
    steps: impl IntoIterator<Item = Step>,
) -> Command {
    Command::Advance(Advance {
        reports: reports.into_iter().collect(),
        steps: steps.into_iter().collect(),
        now: at(0),
        rules: RULES,
    })
}

pub fn result(group: u32, task: u32) -> Payload {
    Payload::Inline(format!("<result of='{group}.{task}'/>").into())
}

pub fn fault(code: &str) -> Fault {
    Fault {
        code: code.into(),
        message: "no curve for EUR".into(),
        causes: vec!["exit code 75".into()],
    }
}

/// The failed attempt as the history keeps it.
pub fn attempt(attempt: u32) -> Attempt {
    Attempt {
        attempt,
        worker: "w1".into(),
        started_at: at(1),
        duration_ms: 20,
        fault: fault("exit-75"),
    }
}

pub fn outcome(group: u32, task: u32, attempt: u32, verdict: Verdict) -> Report {
    Report::Outcome(Outcome {
        group,
        task,
        attempt,
        worker: "w1".into(),
        started_at: at(1),
        duration_ms: 20,
        verdict,
    })
}

/// The attempt succeeded.
pub fn ok(group: u32, task: u32, attempt: u32) -> Report {
    let result = result(group, task);
    outcome(group, task, attempt, Verdict::Succeeded(result))
}

fn fails(group: u32, task: u32, attempt: u32, next: Next) -> Report {
    let fault = fault("exit-75");
    outcome(group, task, attempt, Verdict::Failed { fault, next })
}

/// The attempt failed and another follows.
pub fn again(group: u32, task: u32, attempt: u32) -> Report {
    fails(group, task, attempt, Next::RetryAt(at(5)))
}

/// The attempt failed and was the last.
pub fn given_up(group: u32, task: u32, attempt: u32) -> Report {
    fails(group, task, attempt, Next::DeadLetter(letter(group, task)))
}

pub fn letter(group: u32, task: u32) -> String {
    format!("letter-{group}-{task}")
}

/// The event that takes an outcome down.
pub fn taken_down(report: Report) -> Event {
    let Report::Outcome(o) = report else {
        panic!("not an outcome: {report:?}");
    };
    match o.verdict {
        Verdict::Succeeded(result) => Event::TaskSucceeded(TaskSucceeded {
            group: o.group,
            task: o.task,
            attempt: o.attempt,
            worker: o.worker,
            started_at: o.started_at,
            duration_ms: o.duration_ms,
            result,
        }),
        Verdict::Failed { next, .. } => Event::TaskFailed(TaskFailed {
            group: o.group,
            task: o.task,
            attempt: attempt(o.attempt),
            next,
        }),
    }
}

/// A task without a result that was given up after these attempts.
pub fn dead(group: u32, task: u32, attempts: impl IntoIterator<Item = u32>) -> FailedTask {
    FailedTask {
        task,
        attempts: attempts.into_iter().map(attempt).collect(),
        dead_letter: Some(letter(group, task)),
    }
}

/// A task without a result that was not given up.
pub fn open(task: u32, attempts: impl IntoIterator<Item = u32>) -> FailedTask {
    FailedTask {
        task,
        attempts: attempts.into_iter().map(attempt).collect(),
        dead_letter: None,
    }
}

pub fn tasks_failed(group: u32, of: u32, tasks: Vec<FailedTask>) -> Event {
    failed(Failure {
        code: "tasks-failed".into(),
        message: format!("{} of {of} tasks of group {group} failed", tasks.len()),
        group: Some(group),
        tasks,
        redrive_may_help: true,
    })
}

pub fn request_timed_out(group: Option<u32>, tasks: Vec<FailedTask>) -> Event {
    failed(Failure {
        code: "request-timed-out".into(),
        message: "the request was not finished within its time limit".into(),
        group,
        tasks,
        redrive_may_help: true,
    })
}

/// The document cannot be taken further.
pub fn unreadable() -> Failure {
    Failure {
        code: "hydration-no-match".into(),
        message: "nothing matches //curve".into(),
        group: None,
        tasks: Vec::new(),
        redrive_may_help: false,
    }
}

pub fn cancel() -> Command {
    Command::Cancel {
        by: "ada".into(),
        reason: "wrong date".into(),
    }
}

pub fn cancelled() -> Event {
    Event::Cancelled(Cancelled {
        by: "ada".into(),
        reason: "wrong date".into(),
    })
}

/// A redrive at so many seconds.
pub fn redrive(seconds: i64) -> Command {
    Command::Redrive {
        by: "ada".into(),
        reason: "the curve is there now".into(),
        now: at(seconds),
        rules: RULES,
    }
}

pub fn redriven(run: u32, group: Option<u32>, tasks: &[u32], seconds: i64) -> Event {
    Event::Redriven(Redriven {
        by: "ada".into(),
        reason: "the curve is there now".into(),
        run,
        group,
        tasks: tasks.to_vec(),
        deadline: at(seconds + 900),
    })
}

//! The reports of workers, and the events that record them.

use domain::request::{
    Attempt, AttemptNumber, Event, Fault, GroupIndex, Next, Outcome, Payload, Report, TaskFailed,
    TaskNumber, TaskSucceeded, Verdict,
};

use super::at;

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

/// The failed attempt as the history stores it.
pub fn attempt(attempt: u32) -> Attempt {
    Attempt {
        attempt: AttemptNumber::new(attempt),
        worker: "w1".into(),
        started_at: at(1),
        duration_ms: 20,
        fault: fault("exit-75"),
    }
}

pub fn outcome(group: u32, task: u32, attempt: u32, verdict: Verdict) -> Report {
    Report::Outcome(Outcome {
        run: None,
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        attempt: AttemptNumber::new(attempt),
        worker: "w1".into(),
        started_at: at(1),
        duration_ms: 20,
        given: None,
        checked: false,
        exhausted: false,
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

/// The event that records an outcome.
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
            given: o.given,
            result,
        }),
        Verdict::Failed { next, .. } => Event::TaskFailed(TaskFailed {
            group: o.group,
            task: o.task,
            attempt: attempt(o.attempt.get()),
            given: o.given,
            next,
        }),
    }
}

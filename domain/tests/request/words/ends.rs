//! Ends of requests, and redrives.

use domain::request::{
    Cancelled, Command, Event, Failed, FailedTask, Failure, GroupIndex, Redriven, Run, Succeeded,
    TaskNumber,
};

use super::{RULES, at, attempt, letter, response};

pub fn succeeded() -> Event {
    let response = response();
    Event::Succeeded(Succeeded { response })
}

pub fn failed(failure: Failure) -> Event {
    Event::Failed(Failed { failure })
}

/// A task without a result that was given up after these attempts.
pub fn dead(group: u32, task: u32, attempts: impl IntoIterator<Item = u32>) -> FailedTask {
    FailedTask {
        task: TaskNumber::new(task),
        attempts: attempts.into_iter().map(attempt).collect(),
        dead_letter: Some(letter(group, task)),
    }
}

/// A task without a result that was not given up.
pub fn open(task: u32, attempts: impl IntoIterator<Item = u32>) -> FailedTask {
    FailedTask {
        task: TaskNumber::new(task),
        attempts: attempts.into_iter().map(attempt).collect(),
        dead_letter: None,
    }
}

pub fn tasks_failed(group: u32, of: u32, tasks: Vec<FailedTask>) -> Event {
    failed(Failure {
        code: "tasks-failed".into(),
        message: format!("{} of {of} tasks of group {group} failed", tasks.len()),
        group: Some(GroupIndex::new(group)),
        tasks,
        redrive_may_help: true,
        ..Failure::default()
    })
}

pub fn request_timed_out(group: Option<u32>, tasks: Vec<FailedTask>) -> Event {
    failed(Failure {
        code: "request-timed-out".into(),
        message: "the request was not finished within its time limit".into(),
        group: group.map(GroupIndex::new),
        tasks,
        redrive_may_help: true,
        ..Failure::default()
    })
}

/// The failure of a document that cannot be derived further.
pub fn unreadable() -> Failure {
    Failure {
        code: "hydration-no-match".into(),
        message: "nothing matches //curve".into(),
        redrive_may_help: false,
        ..Failure::default()
    }
}

pub fn cancel() -> Command {
    Command::Cancel {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "wrong date".into(),
    }
}

pub fn cancelled() -> Event {
    Event::Cancelled(Cancelled {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "wrong date".into(),
    })
}

/// A redrive this many seconds after the start.
pub fn redrive(seconds: i64) -> Command {
    Command::Redrive {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "the curve is there now".into(),
        now: at(seconds),
        rules: RULES,
        only: None,
    }
}

pub fn redriven(run: u32, group: Option<u32>, tasks: &[u32], seconds: i64) -> Event {
    Event::Redriven(Redriven {
        by: "ada".into(),
        on_behalf_of: None,
        reason: "the curve is there now".into(),
        run: Run::new(run),
        group: group.map(GroupIndex::new),
        tasks: tasks.iter().copied().map(TaskNumber::new).collect(),
        task_count: None,
        deadline: at(seconds + 900),
    })
}

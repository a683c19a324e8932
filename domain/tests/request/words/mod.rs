//! The vocabulary of the stories.

mod ends;
mod reports;

use std::num::NonZeroU32;
use std::time::Duration;

use domain::request::{
    Advance, Command, Event, Failure, FirstGroup, GroupIndex, GroupOutline, GroupStarted, Payload,
    Received, Report, Resource, Rules, Steps, Then,
};
use jiff::Timestamp;

pub use ends::*;
pub use reports::*;

pub const GROUP_TIMEOUT: Duration = Duration::from_mins(15);
pub const RULES: Rules = Rules {
    group_timeout: GROUP_TIMEOUT,
    fail_fast: false,
};

/// The time this many seconds after the start of a story. Decisions are made at 0 by default.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}

/// The deadline of a group that started at 0.
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
        tenant: domain::access::Tenant::default(),
        traceparent: None,
        tracestate: None,
        submitter: "ada".into(),
        idempotency_key: None,
    }
}

pub fn received() -> Event {
    Event::Received(Box::new(document("f1")))
}

pub fn resource(uri: &str) -> Resource {
    Resource {
        sha256: None,
        uri: uri.into(),
        content: "<market/>".into(),
    }
}

/// One step of a story.
#[derive(Clone, Debug)]
pub enum Step {
    Group(Option<String>, u32),
    Response(Payload),
    Failure(Failure),
}

pub fn group(tasks: u32) -> Step {
    Step::Group(None, tasks)
}

/// The steps from group `from` on. Every group but the last step has no tasks.
pub fn in_order(from: u32, steps: impl IntoIterator<Item = Step>) -> Option<Steps> {
    let mut empty = Vec::new();
    let mut steps = steps.into_iter();
    let then = loop {
        match steps.next()? {
            Step::Group(name, tasks) => match NonZeroU32::new(tasks) {
                None => empty.push(name),
                Some(tasks) => break Then::Group { name, tasks },
            },
            Step::Response(response) => break Then::Response(response),
            Step::Failure(failure) => break Then::Failure(failure),
        }
    };
    assert_eq!(steps.count(), 0, "no step follows one that lasts");
    Some(Steps {
        from: GroupIndex::new(from),
        empty,
        then,
    })
}

pub fn response() -> Payload {
    "<response/>".into()
}

pub fn started(group: u32, tasks: u32) -> Event {
    Event::GroupStarted(GroupStarted {
        group: GroupIndex::new(group),
        name: None,
        tasks,
        deadline: deadline(),
    })
}

pub fn completed(group: u32) -> Event {
    Event::GroupCompleted {
        group: GroupIndex::new(group),
    }
}

/// Reports and no steps: the group is not expected to end.
pub fn reported(reports: impl IntoIterator<Item = Report>) -> Command {
    advance(0, reports, [])
}

/// Reports, and the steps from group `from` on.
pub fn advance(
    from: u32,
    reports: impl IntoIterator<Item = Report>,
    steps: impl IntoIterator<Item = Step>,
) -> Command {
    Command::Advance(Advance {
        reports: reports.into_iter().collect(),
        steps: in_order(from, steps),
        now: at(0),
        rules: RULES,
    })
}

/// A submission that starts its first group, of two tasks.
pub fn begin(fingerprint: &str) -> Command {
    let first = FirstGroup {
        name: None,
        tasks: NonZeroU32::new(2).unwrap(),
        now: at(0),
        rules: RULES,
    };
    Command::Begin(Box::new(document(fingerprint)), first)
}

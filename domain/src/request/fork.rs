//! Creates a new request that takes over the results of another one up to a sequence.

use jiff::Timestamp;

use super::bounds::{TEXT_MAX_BYTES, cut};
use super::{
    Event, Forked, GroupIndex, GroupStarted, Received, Resource, ResourcesCaptured, Rules,
    TaskSucceeded,
};

/// The data with which a fork begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The document: the original one, or another one.
    pub received: Received,
    /// Which request is forked, by whom and why.
    pub forked: Forked,
    /// The resources fetched for the original request.
    pub resources: Vec<Resource>,
    /// The groups that are taken over, from the first one on.
    pub groups: Vec<TakenGroup>,
    /// The time of the decision.
    pub now: Timestamp,
    /// The rules for the new request.
    pub rules: Rules,
}

/// A group with the results that are taken over. A group that lacks some results is the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenGroup {
    /// The name of the group, if it has one.
    pub name: Option<String>,
    /// The number of its tasks.
    pub tasks: u32,
    /// The outcomes that are taken over, at most one for each task.
    pub results: Vec<TaskSucceeded>,
}

/// The events of the first commit. They describe the inherited results like those of any request,
/// so that no reader of the log needs to know about forks.
pub(super) fn begin(fork: Fork) -> Vec<Event> {
    let deadline = fork
        .now
        .checked_add(fork.rules.group_timeout)
        .unwrap_or(Timestamp::MAX);
    let mut forked = fork.forked;
    cut(&mut forked.by, TEXT_MAX_BYTES);
    if let Some(person) = &mut forked.on_behalf_of {
        cut(person, TEXT_MAX_BYTES);
    }
    cut(&mut forked.reason, TEXT_MAX_BYTES);
    let mut events = vec![
        Event::Received(Box::new(fork.received)),
        Event::Forked(forked),
    ];
    if !fork.resources.is_empty() {
        let resources = fork.resources;
        events.push(Event::ResourcesCaptured(ResourcesCaptured { resources }));
    }
    for (group, taken) in GroupIndex::all().zip(fork.groups) {
        let complete = u32::try_from(taken.results.len()) == Ok(taken.tasks);
        events.push(Event::GroupStarted(GroupStarted {
            group,
            name: taken.name,
            tasks: taken.tasks,
            deadline,
        }));
        events.extend(taken.results.into_iter().map(Event::TaskSucceeded));
        if !complete {
            break;
        }
        events.push(Event::GroupCompleted { group });
    }
    events
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::request::{
        AttemptNumber, Command, Decision, Phase, Sequence, State, TaskNumber, decide, evolve,
    };

    fn fork(results: &[u32]) -> Fork {
        let at = Timestamp::UNIX_EPOCH;
        let result = |task: &u32| TaskSucceeded {
            group: GroupIndex::FIRST,
            task: TaskNumber::new(*task),
            attempt: AttemptNumber::FIRST,
            worker: "w".into(),
            started_at: at,
            duration_ms: 1,
            given: None,
            result: "<r/>".into(),
        };
        Fork {
            received: Received {
                document: "<vnml/>".into(),
                fingerprint: "f".into(),
                groups: Vec::new(),
                metadata: std::collections::BTreeMap::default(),
                tenant: crate::access::Tenant::default(),
                traceparent: None,
                tracestate: None,
                submitter: "ann".into(),
                idempotency_key: None,
            },
            forked: Forked {
                from: crate::request::RequestId::of_key("a", "b"),
                sequence: Sequence::new(7),
                by: "ann".into(),
                on_behalf_of: None,
                reason: "a better market".into(),
            },
            resources: Vec::new(),
            groups: vec![TakenGroup {
                name: None,
                tasks: 2,
                results: results.iter().map(result).collect(),
            }],
            now: at,
            rules: Rules {
                group_timeout: Duration::from_secs(1),
                fail_fast: false,
            },
        }
    }

    fn forked(results: &[u32]) -> State {
        let command = Command::Fork(Box::new(fork(results)));
        let Ok(Decision::Events(events)) = decide(&State::Absent, command.clone()) else {
            panic!("a fork is a first command");
        };
        let state = events.iter().fold(State::Absent, evolve);
        let again = decide(&state, command);
        assert_eq!(again, Ok(Decision::Events(vec![])), "again, nothing");
        state
    }

    #[test]
    fn a_fork_continues_in_the_first_group_that_lacks_a_result() {
        let state = forked(&[2]);
        let group = state.request().unwrap().running().unwrap();
        assert_eq!(group.pending().collect::<Vec<_>>(), [TaskNumber::FIRST]);
        let state = forked(&[1, 2]);
        let request = state.request().unwrap();
        assert_eq!(request.completed.len(), 1);
        assert_eq!(request.phase, Phase::Planning);
    }
}

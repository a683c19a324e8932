use std::time::Duration;

use domain::request::{
    AttemptNumber, DISPATCHED_AFTER, DISPATCHED_AT_ONCE, Effect, Event, Group, GroupIndex, Next,
    Payload, Run, TaskFailed, TaskNumber, TaskState,
};
use proptest::prelude::*;

use crate::story::{Given, given};
use crate::words::*;

const NONE: [Effect; 0] = [];

fn group_begins(group: u32, seconds: i64) -> [Effect; 2] {
    let deadline = at(seconds + 900);
    [
        Effect::SetGroupTimer {
            group: GroupIndex::new(group),
            deadline,
        },
        Effect::Dispatch {
            group: GroupIndex::new(group),
        },
    ]
}

fn failed_and_redriven() -> Given {
    given([received(), started(0, 1), taken_down(given_up(0, 1, 1))])
        .and([tasks_failed(0, 1, vec![dead(0, 1, [1])])])
        .and([redriven(1, Some(0), &[1], 60)])
}

#[test]
fn a_received_request_gets_its_timer_and_is_advanced() {
    let begins = [Effect::SetRequestTimer { run: Run::FIRST }, Effect::Advance];
    assert_eq!(given([received()]).effects(&received()), begins);
}

#[test]
fn a_received_request_that_went_on_meanwhile_gets_its_timer_only() {
    let request = given([received(), started(0, 1)]);
    let timer = [Effect::SetRequestTimer { run: Run::FIRST }];
    assert_eq!(request.effects(&received()), timer);
}

#[test]
fn a_group_that_runs_gets_its_timer_and_its_tasks() {
    let request = given([received(), started(0, 2)]);
    assert_eq!(request.effects(&started(0, 2)), group_begins(0, 0));
}

#[test]
fn a_group_that_is_complete_gets_nothing() {
    let request = given([received(), started(0, 0), completed(0), started(1, 1)]);
    assert_eq!(request.effects(&started(0, 0)), NONE);
    assert_eq!(request.effects(&started(1, 1)), group_begins(1, 0));
}

#[test]
fn an_empty_group_has_no_timer_to_set_or_to_clear() {
    let request = given([received(), started(0, 0)]);
    let dispatch = [Effect::Dispatch {
        group: GroupIndex::FIRST,
    }];
    assert_eq!(request.effects(&started(0, 0)), dispatch);
    for end in [cancelled(), failed(unreadable())] {
        let ended = given([received(), started(0, 0), end.clone()]);
        assert_eq!(ended.effects(&end), [Effect::ClearRequestTimer]);
    }
    let request = given([received(), started(0, 0), completed(0), started(1, 1)]).and([
        taken_down(ok(1, 1, 1)),
        completed(1),
        succeeded(),
    ]);
    assert_eq!(request.effects(&completed(0)), NONE);
    let timer = [Effect::ClearGroupTimer {
        group: GroupIndex::new(1),
    }];
    assert_eq!(request.effects(&completed(1)), timer);
}

#[test]
fn events_before_a_redrive_do_not_reset_the_timers_of_the_new_run() {
    let request = failed_and_redriven();
    assert_eq!(request.effects(&received()), NONE);
    assert_eq!(request.effects(&started(0, 1)), NONE);
    let failed_before = tasks_failed(0, 1, vec![dead(0, 1, [1])]);
    assert_eq!(request.effects(&failed_before), NONE);
}

#[test]
fn a_redriven_group_gets_its_timers_and_its_tasks_and_is_advanced() {
    let request = failed_and_redriven();
    let mut expected = vec![Effect::SetRequestTimer { run: Run::new(1) }];
    expected.extend(group_begins(0, 60));
    expected.push(Effect::Advance);
    assert_eq!(request.effects(&redriven(1, Some(0), &[1], 60)), expected);
}

#[test]
fn a_redriven_group_that_is_complete_meanwhile_needs_the_request_timer_only() {
    let request = failed_and_redriven().and([taken_down(ok(0, 1, 2)), completed(0), started(1, 1)]);
    let timer = [Effect::SetRequestTimer { run: Run::new(1) }];
    assert_eq!(request.effects(&redriven(1, Some(0), &[1], 60)), timer);
}

#[test]
fn a_redrive_that_was_followed_by_another_does_nothing() {
    let request = failed_and_redriven()
        .and([taken_down(given_up(0, 1, 2)), failed(unreadable())])
        .and([redriven(2, Some(0), &[1], 120)]);
    assert_eq!(request.effects(&redriven(1, Some(0), &[1], 60)), NONE);
    let now = request.effects(&redriven(2, Some(0), &[1], 120));
    assert_eq!(now[0], Effect::SetRequestTimer { run: Run::new(2) });
    assert_eq!(now[1..3], group_begins(0, 120));
}

#[test]
fn a_redriven_request_without_a_group_is_advanced() {
    let request = given([received(), failed(unreadable()), redriven(1, None, &[], 60)]);
    let begins = [
        Effect::SetRequestTimer { run: Run::new(1) },
        Effect::Advance,
    ];
    assert_eq!(request.effects(&redriven(1, None, &[], 60)), begins);
}

fn fails_until(seconds: i64) -> Event {
    Event::TaskFailed(TaskFailed {
        group: GroupIndex::FIRST,
        task: TaskNumber::FIRST,
        attempt: attempt(1),
        given: None,
        next: Next::DispatchAt(at(seconds)),
    })
}

#[test]
fn only_a_delay_too_long_for_the_queue_becomes_a_timer() {
    let short = taken_down(again(0, 1, 1));
    let request = given([received(), started(0, 1), short.clone()]);
    assert_eq!(request.effects(&short), NONE);
    let long = fails_until(32);
    let request = given([received(), started(0, 1), long.clone()]);
    // The attempt ran from second 1 for 20 ms.
    let delay = Duration::from_millis(30_980);
    let (group, task) = (0, 1);
    let timer = [Effect::SetTaskTimer {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        delay,
    }];
    assert_eq!(request.effects(&long), timer);
}

#[test]
fn a_delay_is_not_waited_for_once_the_task_went_on() {
    let long = fails_until(100);
    let waits = || given([received(), started(0, 2), long.clone()]);
    for then in [ok(0, 1, 2), again(0, 1, 2), given_up(0, 1, 2)] {
        let request = waits().and([taken_down(then)]);
        assert_eq!(request.effects(&long), NONE);
    }
    for end in [cancelled(), failed(unreadable())] {
        assert_eq!(waits().and([end]).effects(&long), NONE);
    }
}

#[test]
fn a_task_that_is_done_asks_for_nothing() {
    let event = taken_down(ok(0, 1, 1));
    let request = given([received(), started(0, 2), event.clone()]);
    assert_eq!(request.effects(&event), NONE);
}

#[test]
fn a_large_group_is_dispatched_as_far_as_it_is_released_and_asks_for_more_as_tasks_end() {
    let (first, more) = (DISPATCHED_AT_ONCE, DISPATCHED_AFTER);
    let size = first + more + 1;
    let released = |request: &Given| {
        let request = request.0.request().unwrap();
        request.running().unwrap().released()
    };
    let mut request = given([received(), started(0, size)]);
    assert_eq!(released(&request), first);
    for task in 1..more {
        let event = taken_down(ok(0, task, 1));
        request = request.and([event.clone()]);
        assert_eq!(request.effects(&event), NONE, "task {task}");
    }
    let event = taken_down(ok(0, more, 1));
    request = request.and([event.clone()]);
    assert_eq!(
        request.effects(&event),
        [Effect::DispatchMore {
            group: GroupIndex::FIRST
        }]
    );
    assert_eq!(released(&request), first + more);
    // A given-up task also releases further tasks, up to the size of the group.
    let event = taken_down(given_up(0, more + 1, 1));
    request = request.and([event.clone()]);
    assert_eq!(
        request.effects(&event)[1..],
        [Effect::DispatchMore {
            group: GroupIndex::FIRST
        }]
    );
    for task in more + 2..size {
        request = request.and([taken_down(ok(0, task, 1))]);
    }
    assert_eq!(released(&request), size);
}

#[test]
fn the_dead_letter_of_a_task_given_up_gets_every_attempt_up_to_it() {
    let event = taken_down(given_up(0, 1, 2));
    let complete = |attempts: &[u32]| Effect::CompleteDeadLetter {
        letter: letter(0, 1),
        attempts: attempts.iter().copied().map(attempt).collect(),
    };
    let failed_twice =
        given([received(), started(0, 2)]).and([taken_down(again(0, 1, 1)), event.clone()]);
    assert_eq!(failed_twice.effects(&event), [complete(&[1, 2])]);
    let redriven_and_failed_again = given([received(), started(0, 1)])
        .and([taken_down(again(0, 1, 1)), event.clone()])
        .and([
            tasks_failed(0, 1, vec![dead(0, 1, [1, 2])]),
            redriven(1, Some(0), &[1], 60),
        ])
        .and([taken_down(again(0, 1, 3))]);
    assert_eq!(
        redriven_and_failed_again.effects(&event),
        [complete(&[1, 2])]
    );
    let done_meanwhile = given([received(), started(0, 1), event.clone()])
        .and([
            tasks_failed(0, 1, vec![dead(0, 1, [2])]),
            redriven(1, Some(0), &[1], 60),
        ])
        .and([taken_down(ok(0, 1, 3))]);
    assert_eq!(done_meanwhile.effects(&event), [complete(&[2])]);
}

#[test]
fn a_complete_group_and_a_finished_request_need_their_timers_no_more() {
    let request = given([received(), started(0, 1), taken_down(ok(0, 1, 1))])
        .and([completed(0), succeeded()]);
    let group = [Effect::ClearGroupTimer {
        group: GroupIndex::FIRST,
    }];
    assert_eq!(request.effects(&completed(0)), group);
    let finished = [Effect::ClearRequestTimer];
    assert_eq!(request.effects(&succeeded()), finished);
    assert_eq!(request.effects(&received()), NONE);
    assert_eq!(request.effects(&started(0, 1)), NONE);
}

#[test]
fn a_request_that_ended_in_a_group_stops_its_tasks() {
    let stops = [
        Effect::ClearRequestTimer,
        Effect::ClearGroupTimer {
            group: GroupIndex::FIRST,
        },
        Effect::StopTasks,
    ];
    for end in [cancelled(), failed(unreadable())] {
        let request = given([received(), started(0, 1), end.clone()]);
        assert_eq!(request.effects(&end), stops);
        assert_eq!(request.effects(&started(0, 1)), NONE);
    }
}

#[test]
fn a_request_that_ended_between_groups_has_no_tasks_to_stop() {
    for end in [cancelled(), failed(unreadable())] {
        let request = given([received(), end.clone()]);
        assert_eq!(request.effects(&end), [Effect::ClearRequestTimer]);
    }
}

#[test]
fn an_event_of_an_unknown_request_asks_for_nothing() {
    assert_eq!(given([]).effects(&received()), NONE);
}

proptest! {
    #[test]
    fn a_group_with_open_tasks_has_one_among_those_that_are_released(
        ended in prop::collection::vec(any::<bool>(), 1..4_000),
    ) {
        // Any tasks may have ended, because a redrive opens some of them again.
        let succeeded = ended.iter().filter(|ended| **ended).count();
        let tasks = ended.iter().map(|ended| match ended {
            true => TaskState::Succeeded(Payload::from("<r/>")),
            false => TaskState::Pending { attempts: Vec::new(), earlier: AttemptNumber::NONE },
        });
        let group = Group {
            index: GroupIndex::FIRST,
            tasks: tasks.collect(),
            succeeded: u32::try_from(succeeded).unwrap(),
            failed: 0,
            deadline: at(0),
        };
        let first = group.pending().next();
        prop_assert!(first.is_none_or(|first| first <= TaskNumber::new(group.released())));
        prop_assert!(group.released() <= group.size());
    }
}

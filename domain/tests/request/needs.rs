use domain::request::{DISPATCHED_AT_ONCE, Event, GroupIndex, Need, TaskNumber, needs};

use crate::story::given;
use crate::words::*;

fn needs_after(events: impl IntoIterator<Item = Event>) -> Vec<Need> {
    needs(given(events).request())
}

fn task(task: u32) -> Need {
    Need::Task(GroupIndex::FIRST, TaskNumber::new(task))
}

#[test]
fn a_request_without_a_group_needs_its_timer_and_its_next_step() {
    assert_eq!(
        needs_after([received()]),
        [Need::RequestTimer, Need::NextStep]
    );
}

#[test]
fn a_running_group_needs_its_timer_and_a_message_for_each_task_that_has_not_ended() {
    let events = [received(), started(0, 3), taken_down(ok(0, 2, 1))];
    let group = Need::GroupTimer(GroupIndex::FIRST);
    let needed = [Need::RequestTimer, group, task(1), task(3)];
    assert_eq!(needs_after(events), needed);
}

#[test]
fn a_large_group_needs_messages_for_its_released_tasks_only() {
    let needs = needs_after([received(), started(0, 3_000)]);
    let tasks = needs.iter().filter(|need| matches!(need, Need::Task(..)));
    assert_eq!(tasks.count(), DISPATCHED_AT_ONCE as usize);
    assert!(!needs.contains(&task(DISPATCHED_AT_ONCE + 1)));
}

#[test]
fn a_redriven_group_whose_results_all_came_late_needs_its_next_step() {
    let events = [
        received(),
        started(0, 1),
        failed(unreadable()),
        taken_down(ok(0, 1, 1)),
        redriven(1, Some(0), &[1], 3),
    ];
    assert!(needs_after(events).contains(&Need::NextStep));
}

#[test]
fn an_ended_request_needs_nothing() {
    let ended = needs_after([received(), started(0, 1), failed(unreadable())]);
    assert!(ended.is_empty(), "{ended:?}");
}

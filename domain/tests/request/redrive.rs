use domain::request::{
    AttemptNumber, Command, Event, GroupIndex, Rejection, Report, Run, Status, TaskNumber,
    TaskState,
};

use crate::story::{Given, given};
use crate::words::*;

/// A failed request of three tasks: one with a result, one given up, one with a result.
fn one_of_three_failed() -> Given {
    let outcomes = [ok(0, 1, 1), again(0, 2, 1), given_up(0, 2, 2), ok(0, 3, 1)];
    given([received(), started(0, 3)])
        .and(outcomes.map(taken_down))
        .and([tasks_failed(0, 3, vec![dead(0, 2, [1, 2])])])
}

#[test]
fn only_the_failed_tasks_run_again() {
    let request = one_of_three_failed()
        .when(redrive(60))
        .then([redriven(1, Some(0), &[2], 60)])
        .when(redrive(60))
        .then_refused(Rejection::StillRunning);
    let request = request.request();
    assert_eq!(request.status(), Status::Running);
    let group = request.running().unwrap();
    assert_eq!(group.pending().collect::<Vec<_>>(), [TaskNumber::new(2)]);
    assert_eq!((group.succeeded, group.failed), (2, 0));
    assert_eq!(group.deadline, at(960));
}

#[test]
fn the_attempts_of_a_redriven_task_keep_counting_but_its_limit_restarts() {
    let request = one_of_three_failed().and([redriven(1, Some(0), &[2], 60)]);
    let task = request
        .request()
        .running()
        .unwrap()
        .task(TaskNumber::new(2))
        .unwrap();
    let second = AttemptNumber::new(2);
    assert_eq!(
        (task.last_attempt(), task.earlier_attempts()),
        (second, second)
    );
}

#[test]
fn a_redriven_request_succeeds_with_the_results_of_both_runs() {
    let request = one_of_three_failed()
        .when(redrive(60))
        .then([redriven(1, Some(0), &[2], 60)])
        .when(advance(1, [ok(0, 2, 3)], [Step::Response(response())]))
        .then([taken_down(ok(0, 2, 3)), completed(0), succeeded()])
        .when(advance(1, [ok(0, 2, 3)], [Step::Response(response())]))
        .then_nothing();
    let results = &request.request().completed;
    assert_eq!(results, &[vec![result(0, 1), result(0, 2), result(0, 3)]]);
}

#[test]
fn a_second_failure_tells_the_attempts_of_both_runs_and_can_be_redriven() {
    one_of_three_failed()
        .and([redriven(1, Some(0), &[2], 60)])
        .when(reported([given_up(0, 2, 3)]))
        .then([
            taken_down(given_up(0, 2, 3)),
            tasks_failed(0, 3, vec![dead(0, 2, [1, 2, 3])]),
        ])
        .when(reported([given_up(0, 2, 3)]))
        .then_nothing()
        .when(redrive(120))
        .then([redriven(2, Some(0), &[2], 120)])
        .when(redrive(120))
        .then_refused(Rejection::StillRunning);
}

#[test]
fn outcomes_from_before_a_redrive_end_no_task_of_the_new_run() {
    let request = one_of_three_failed()
        .and([redriven(1, Some(0), &[2], 60)])
        .when(reported([given_up(0, 2, 2), again(0, 2, 1)]))
        .then_nothing();
    let pending = TaskState::Pending {
        attempts: vec![attempt(1), attempt(2)],
        earlier: AttemptNumber::new(2),
    };
    assert_eq!(
        request
            .request()
            .running()
            .unwrap()
            .task(TaskNumber::new(2)),
        Some(&pending)
    );
}

#[test]
fn a_dead_letter_from_before_a_redrive_ends_no_task_even_if_it_was_never_reported() {
    let failure = tasks_failed(0, 1, vec![dead(0, 1, [4])]);
    given([received(), started(0, 1), taken_down(given_up(0, 1, 4))])
        .and([failure, redriven(1, Some(0), &[1], 60)])
        .when(reported([given_up(0, 1, 3)]))
        .then_nothing()
        .when(reported([again(0, 1, 2)]))
        .then([taken_down(again(0, 1, 2))])
        .when(reported([again(0, 1, 2)]))
        .then_nothing();
}

#[test]
fn tasks_that_were_stopped_or_timed_out_run_again_too() {
    let outcomes = [again(0, 1, 1), given_up(0, 2, 1), ok(0, 3, 1)];
    let request = given([received(), started(0, 4)])
        .and(outcomes.map(taken_down))
        .and([
            Event::GroupTimedOut {
                group: GroupIndex::FIRST,
            },
            failed(unreadable()),
        ])
        .when(redrive(60))
        .then([redriven(1, Some(0), &[1, 2, 4], 60)])
        .when(redrive(60))
        .then_refused(Rejection::StillRunning);
    let group = request.request().running().unwrap();
    let last = [1, 2, 4].map(|task| group.task(TaskNumber::new(task)).unwrap().last_attempt());
    assert_eq!(last, [1, 1, 0].map(AttemptNumber::new));
}

#[test]
fn results_that_came_after_the_end_are_kept_by_a_redrive() {
    let failure = tasks_failed(0, 2, vec![dead(0, 1, [1])]);
    given([received(), started(0, 2), taken_down(given_up(0, 1, 1))])
        .and([failure, taken_down(ok(0, 2, 1))])
        .when(redrive(60))
        .then([redriven(1, Some(0), &[1], 60)]);
}

#[test]
fn a_group_whose_results_all_came_after_the_end_is_complete_once_redriven() {
    given([
        received(),
        started(0, 1),
        Event::GroupTimedOut {
            group: GroupIndex::FIRST,
        },
    ])
    .and([failed(unreadable()), taken_down(ok(0, 1, 1))])
    .when(redrive(60))
    .then([redriven(1, Some(0), &[], 60)])
    .when(advance(0, [], []))
    .then_needs_steps(1)
    .when(advance(1, [], [Step::Response(response())]))
    .then([completed(0), succeeded()])
    .when(advance(1, [], [Step::Response(response())]))
    .then_nothing();
}

#[test]
fn a_failure_between_groups_is_redriven_from_where_it_failed() {
    let request = given([received(), started(0, 1), taken_down(ok(0, 1, 1))])
        .and([completed(0), failed(unreadable())])
        .when(redrive(60))
        .then([redriven(1, None, &[], 60)])
        .when(redrive(60))
        .then_refused(Rejection::StillRunning);
    assert_eq!(request.request().status(), Status::Running);
    request
        .when(advance(0, [], []))
        .then_needs_steps(1)
        .when(advance(1, [], [group(1)]))
        .then([started(1, 1)])
        .when(advance(1, [], [group(1)]))
        .then_nothing();
}

#[test]
fn a_failure_before_the_first_group_is_redriven_as_if_just_received() {
    let request = given([received(), failed(unreadable())])
        .when(redrive(60))
        .then([redriven(1, None, &[], 60)])
        .when(redrive(60))
        .then_refused(Rejection::StillRunning);
    assert_eq!(request.request().status(), Status::Received);
    request.when(advance(0, [], [])).then_needs_steps(0);
}

#[test]
fn a_request_that_runs_is_not_redriven() {
    for history in [vec![received()], vec![received(), started(0, 1)]] {
        given(history)
            .when(redrive(0))
            .then_refused(Rejection::StillRunning)
            .when(redrive(0))
            .then_refused(Rejection::StillRunning);
    }
}

#[test]
fn a_request_that_ended_otherwise_is_not_redriven() {
    given([received(), succeeded()])
        .when(redrive(0))
        .then_refused(Rejection::NotFailed("succeeded"))
        .when(redrive(0))
        .then_refused(Rejection::NotFailed("succeeded"));
    given([received(), started(0, 1), cancelled()])
        .when(redrive(0))
        .then_refused(Rejection::NotFailed("cancelled"))
        .when(redrive(0))
        .then_refused(Rejection::NotFailed("cancelled"));
}

#[test]
fn an_attempt_of_an_earlier_run_ends_no_task_even_if_it_is_reported_first() {
    let Report::Outcome(mut old) = given_up(0, 1, 1) else {
        panic!("it is an outcome");
    };
    old.run = Some(Run::FIRST);
    let mut new = old.clone();
    new.run = Some(Run::new(1));
    let request = given([received(), started(0, 1)])
        .and([
            Event::GroupTimedOut {
                group: GroupIndex::FIRST,
            },
            failed(unreadable()),
        ])
        .and([redriven(1, Some(0), &[1], 60)]);
    request
        .when(reported([Report::Outcome(old)]))
        .then_nothing()
        .when(reported([Report::Outcome(new)]))
        .then([
            taken_down(given_up(0, 1, 1)),
            tasks_failed(0, 1, vec![dead(0, 1, [1])]),
        ]);
}

#[test]
fn a_redrive_of_one_run_begins_no_second_run() {
    let of_the_first = |seconds| match redrive(seconds) {
        Command::Redrive {
            by,
            on_behalf_of,
            reason,
            now,
            rules,
            ..
        } => Command::Redrive {
            by,
            on_behalf_of,
            reason,
            now,
            rules,
            only: Some(Run::FIRST),
        },
        other => other,
    };
    one_of_three_failed()
        .when(of_the_first(60))
        .then([redriven(1, Some(0), &[2], 60)])
        .when(of_the_first(60))
        .then_refused(Rejection::RedrivenMeanwhile)
        .and([tasks_failed(0, 3, vec![dead(0, 2, [3])])])
        .when(of_the_first(60))
        .then_refused(Rejection::RedrivenMeanwhile);
}

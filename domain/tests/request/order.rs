//! Messages that are duplicated, late or out of order lead a request to the same end.

use domain::request::{
    Advance, Command, Event, Failure, GroupIndex, Phase, Report, Run, Status, TaskNumber,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::simulation::{Chance, World, chance, orderly, script};
use crate::words::*;

/// The failure that ended the request, without the attempts. A late report is not among them.
fn failure(world: &World) -> Option<Failure> {
    let Phase::Failed { failure, .. } = &world.request().phase else {
        return None;
    };
    let mut failure = failure.clone();
    for task in &mut failure.tasks {
        task.attempts.clear();
    }
    Some(failure)
}

/// Any report about the existing groups and tasks, and about some that do not exist.
pub fn report() -> impl Strategy<Value = Report> {
    let outcome =
        (0..5_u32, 0..8_u32, 1..6_u32, 0..3).prop_map(|(group, task, attempt, kind)| match kind {
            0 => ok(group, task, attempt),
            1 => again(group, task, attempt),
            _ => given_up(group, task, attempt),
        });
    let group_fires = (0..5_u32, 0..2_000_i64).prop_map(|(group, seconds)| {
        let deadline = at(seconds);
        Report::GroupTimedOut {
            group: GroupIndex::new(group),
            deadline,
        }
    });
    let due = (0..5_u32, 0..8_u32).prop_map(|(group, task)| Report::TaskDue {
        group: GroupIndex::new(group),
        task: TaskNumber::new(task),
        run: None,
    });
    prop_oneof![
        8 => outcome,
        1 => group_fires,
        1 => (0..3_u32).prop_map(|run| Report::RequestTimedOut { run: Run::new(run) }),
        1 => due,
    ]
}

pub fn late(reports: Vec<Report>, fail_fast: bool) -> Command {
    let mut rules = RULES;
    rules.fail_fast = fail_fast;
    Command::Advance(Advance {
        reports,
        steps: in_order(1, [group(1)]),
        now: at(0),
        rules,
    })
}

proptest! {
    #[test]
    fn an_orderly_run_ends_as_its_tasks_do(script in script()) {
        let world = orderly(&script);
        let fails = script.iter().position(|tasks| tasks.iter().any(|t| !t.succeeds));
        let status = if fails.is_some() { Status::Failed } else { Status::Succeeded };
        prop_assert_eq!(world.ended(), (status, 1));
        let done = fails.map_or(script.len(), |group| group + 1);
        let accounted: Vec<Vec<bool>> =
            world.results().iter().map(|g| g.iter().map(Option::is_some).collect()).collect();
        let expected: Vec<Vec<bool>> =
            script[..done].iter().map(|g| g.iter().map(|t| t.succeeds).collect()).collect();
        prop_assert_eq!(accounted, expected);
    }

    #[test]
    fn a_disorderly_run_ends_as_the_orderly_one(script in script(), chance in chance()) {
        let orderly = orderly(&script);
        let world = World::new(script, chance).run();
        prop_assert_eq!(world.ended(), orderly.ended());
        prop_assert_eq!(world.results(), orderly.results());
        prop_assert_eq!(failure(&world), failure(&orderly));
        // Every attempt of the tasks without a result is in the history, the late ones too.
        prop_assert_eq!(world.request().group(), orderly.request().group());
    }

    #[test]
    fn with_fail_fast_a_disorderly_run_ends_once_in_the_group_of_the_orderly_one(
        script in script(),
        chance in chance(),
    ) {
        let orderly = orderly(&script);
        let world = World::new(script, chance).failing_fast().run();
        prop_assert_eq!(world.ended(), orderly.ended());
        let group = |world: &World| failure(world).and_then(|failure| failure.group);
        prop_assert_eq!(group(&world), group(&orderly));
        prop_assert_eq!(&world.request().completed, &orderly.request().completed);
    }

    #[test]
    fn reports_after_the_end_change_neither_the_status_nor_the_results(
        script in script(),
        cancels in any::<bool>(),
        reports in vec(report(), 0..30),
        fail_fast in any::<bool>(),
    ) {
        let mut world = World::new(script.clone(), Chance::default());
        if cancels {
            world.obey(advance(0, [], [group(6)]));
            world.obey(cancel());
        } else {
            world = world.run();
        }
        let ended = world.ended();
        let completed = world.request().completed.clone();
        let kept = world.results();
        let reason = failure(&world);
        let events = world.events().count();
        world.obey(late(reports, fail_fast));
        prop_assert_eq!(world.ended(), ended);
        prop_assert_eq!(&world.request().completed, &completed);
        prop_assert_eq!(failure(&world), reason);
        for (before, after) in kept.iter().flatten().zip(world.results().iter().flatten()) {
            prop_assert!(before.is_none() || before == after);
        }
        let said: Vec<&Event> = world.events().skip(events).collect();
        prop_assert!(said.iter().all(|e| matches!(e, Event::TaskSucceeded(_) | Event::TaskFailed(_))));
    }

    #[test]
    fn reports_in_any_order_end_a_request_once_and_record_no_outcome_twice(
        batches in vec(vec(report(), 0..20), 0..6),
        fail_fast in any::<bool>(),
    ) {
        let mut world = World::new(vec![vec![]], Chance::default());
        world.obey(advance(0, [], [group(6)]));
        for batch in batches {
            world.obey(late(batch.clone(), fail_fast));
            let revision = world.state.revision();
            if world.request().group().is_none_or(|g| g.index == GroupIndex::FIRST) {
                world.obey(late(batch, fail_fast));
                prop_assert_eq!(world.state.revision(), revision);
            }
        }
        prop_assert!(world.ended().1 <= 1);
    }
}

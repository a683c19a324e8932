//! A request that is redriven often enough gets every result, whatever failed before.

use domain::request::Status;
use proptest::prelude::*;

use crate::simulation::{Chance, World, chance, script, succeeding};

/// Redrives until the request succeeds. Each redrive finishes at least one more task.
fn redriven_until_it_succeeds(mut world: World, chance: &Chance) -> World {
    for _ in 0..30 {
        if world.request().status() == Status::Failed {
            world = world.redrive(chance.clone());
        }
    }
    world
}

proptest! {
    #[test]
    fn a_failed_request_that_is_redriven_ends_with_every_result(
        script in script(),
        fail_fast in any::<bool>(),
        (first, second) in (chance(), chance()),
    ) {
        let world = World::new(script.clone(), first);
        let world = if fail_fast { world.failing_fast() } else { world }.run();
        let world = redriven_until_it_succeeds(world, &second);
        let redrives = world.request().run.redrives() as usize;
        prop_assert_eq!(world.ended(), (Status::Succeeded, redrives + 1));
        prop_assert_eq!(world.results(), succeeding(&script).results());
    }

    #[test]
    fn a_request_with_timeouts_at_any_moment_ends_once_in_each_run_and_loses_no_result(
        script in script(),
        (first, second) in (chance(), chance()),
    ) {
        let world = World::new(script.clone(), first).impatient().run();
        prop_assert_eq!(world.ended().1, 1);
        let had = world.results();
        let world = redriven_until_it_succeeds(world, &second);
        let redrives = world.request().run.redrives() as usize;
        prop_assert_eq!(world.ended(), (Status::Succeeded, redrives + 1));
        prop_assert_eq!(world.results(), succeeding(&script).results());
        for (before, after) in had.iter().flatten().zip(world.results().iter().flatten()) {
            prop_assert!(before.is_none() || before == after);
        }
    }
}

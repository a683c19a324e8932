use proptest::collection::vec;
use proptest::prelude::*;

use super::{Chance, World};

/// What a task does: so many attempts fail, then it ends.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub failures: u32,
    /// Whether the attempt after those has the result, or is the one that is given up.
    pub succeeds: bool,
}

/// What the groups of a document do.
pub type Script = Vec<Vec<Task>>;

fn task() -> impl Strategy<Value = Task> {
    (0..3_u32, prop::bool::weighted(0.9))
        .prop_map(|(failures, succeeds)| Task { failures, succeeds })
}

pub fn script() -> impl Strategy<Value = Script> {
    vec(vec(task(), 0..=6), 1..=4)
}

pub fn orderly(script: &Script) -> World {
    World::new(script.clone(), Chance::default()).run()
}

/// The orderly run of the same tasks, had they all succeeded.
pub fn succeeding(script: &Script) -> World {
    let well = |task: &Task| Task {
        succeeds: true,
        ..*task
    };
    let script = script.iter().map(|group| group.iter().map(well).collect());
    orderly(&script.collect())
}

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Chance, World};

/// The script of a task: how many attempts fail before it ends.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub failures: u32,
    /// Whether the last attempt has the result, or is given up.
    pub succeeds: bool,
}

/// The script of the groups of a document.
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

/// An orderly run of the same tasks, all of which succeed.
pub fn succeeding(script: &Script) -> World {
    let well = |task: &Task| Task {
        succeeds: true,
        ..*task
    };
    let script = script.iter().map(|group| group.iter().map(well).collect());
    orderly(&script.collect())
}

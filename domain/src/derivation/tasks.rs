use super::{Derivation, Halt};
use crate::document::{Effort, TaskDocument};

impl Derivation {
    /// The task documents of a group with these numbers, in that order. It gives all of them, or
    /// the first ones with about `bytes` together, but at least one. Numbers that the group does
    /// not have are skipped.
    pub fn tasks(
        &mut self,
        group: u32,
        numbers: impl IntoIterator<Item = u32>,
        bytes: usize,
        effort: Effort,
    ) -> Result<Vec<TaskDocument>, Halt> {
        let group = group as usize;
        let made = self
            .document
            .tasks(&self.resources, group, numbers, bytes, effort);
        self.or_halt(made)
    }

    /// All task documents of a group.
    pub fn all_tasks(&mut self, group: u32, effort: Effort) -> Result<Vec<TaskDocument>, Halt> {
        let count = self.count(group as usize, effort)?;
        self.tasks(group, 1..=count, usize::MAX, effort)
    }
}

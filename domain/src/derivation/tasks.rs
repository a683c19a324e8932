use super::{Derivation, Halt};
use crate::document::{Effort, TaskDocument};
use crate::request::{GroupIndex, TaskNumber};

impl Derivation {
    /// The task documents of a group with these numbers, in that order. It gives all of them, or
    /// the first ones with about `bytes` together, but at least one. Numbers that the group does
    /// not have are skipped.
    pub fn tasks(
        &mut self,
        group: GroupIndex,
        numbers: impl IntoIterator<Item = TaskNumber>,
        bytes: usize,
        effort: Effort,
    ) -> Result<Vec<TaskDocument>, Halt> {
        let made = self
            .document
            .tasks(&self.resources, group.index(), numbers, bytes, effort);
        self.or_halt(made)
    }

    /// All task documents of a group.
    pub fn all_tasks(
        &mut self,
        group: GroupIndex,
        effort: Effort,
    ) -> Result<Vec<TaskDocument>, Halt> {
        let count = self.count(group, effort)?;
        self.tasks(group, TaskNumber::up_to(count), usize::MAX, effort)
    }
}

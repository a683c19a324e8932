use serde::Serialize;

use super::Item;

/// How many items are in which state. An item leaves one count and enters another in one step, so
/// the counts always add up to the selection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Nothing was done for them yet.
    pub waiting: u32,
    /// The action is being taken.
    pub asking: u32,
    /// The requests run again and have not ended.
    pub running: u32,
    /// They ended as the action wants it.
    pub done: u32,
    /// The action was taken, and they ended otherwise.
    pub failed: u32,
    /// The action was refused.
    pub refused: u32,
    /// The action was not taken.
    pub skipped: u32,
}

impl Counts {
    /// The counts of a new selection.
    #[must_use]
    pub fn of(selected: u32) -> Self {
        Self {
            waiting: selected,
            ..Self::default()
        }
    }

    /// All items.
    #[must_use]
    pub const fn selected(&self) -> u32 {
        self.pending() + self.done + self.failed + self.refused + self.skipped
    }

    /// The items of which it is not known how they end.
    #[must_use]
    pub const fn pending(&self) -> u32 {
        self.waiting + self.asking + self.running
    }

    /// The items for which the action is being taken or was taken.
    #[must_use]
    pub const fn tried(&self) -> u32 {
        self.asking + self.running + self.done + self.failed
    }

    pub(super) fn moves(&mut self, from: Item, to: Item) {
        let before = self.count(from);
        *before = before.saturating_sub(1);
        *self.count(to) += 1;
    }

    fn count(&mut self, item: Item) -> &mut u32 {
        match item {
            Item::Waiting => &mut self.waiting,
            Item::Asking => &mut self.asking,
            Item::Running(_) => &mut self.running,
            Item::Done => &mut self.done,
            Item::Failed => &mut self.failed,
            Item::Refused => &mut self.refused,
            Item::Skipped => &mut self.skipped,
        }
    }
}

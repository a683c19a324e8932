//! The messages that this process has worked on and survived. Every message is noted, so a note
//! must cost no more than one store into a table of fixed size. A later message may take the slot
//! of an earlier one.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of slots, a power of two. A message that lost its slot costs a mark when it comes
/// again.
const SLOTS: usize = 1 << 17;
/// The bits of a slot that count how often the message was lost before.
const LOST_BITS: u32 = 16;
const LOST_MAX: u64 = (1 << LOST_BITS) - 1;

pub(super) struct Survivors {
    /// Each slot has the upper bits of a message's hash, and below them how often the message was
    /// lost. 0 is empty.
    slots: Box<[AtomicU64]>,
}

impl Default for Survivors {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Survivors {
    /// Notes a message with how often it was lost before.
    pub(super) fn note(&self, what: impl Hash, lost: u32) {
        let hash = hash(what);
        let value = (hash & !LOST_MAX) | u64::from(lost).min(LOST_MAX);
        self.slot(hash).store(value, Ordering::Relaxed);
    }

    /// How often a message was lost before; `None` where this process is not known to have survived
    /// it.
    pub(super) fn lost(&self, what: impl Hash) -> Option<u32> {
        let hash = hash(what);
        let value = self.slot(hash).load(Ordering::Relaxed);
        let is_there = value != 0 && value & !LOST_MAX == hash & !LOST_MAX;
        is_there.then(|| u32::try_from(value & LOST_MAX).unwrap_or(u32::MAX))
    }

    fn slot(&self, hash: u64) -> &AtomicU64 {
        // The lower bits choose the slot, because the slot does not store them.
        let index = usize::try_from(hash & (SLOTS as u64 - 1)).unwrap_or(0);
        &self.slots[index]
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_survivor_and_its_losses_are_remembered_until_another_takes_its_slot() {
        let survivors = Survivors::default();
        assert_eq!(survivors.lost("a"), None);
        survivors.note("a", 3);
        survivors.note("b", u32::MAX);
        assert_eq!(survivors.lost("a"), Some(3));
        assert_eq!(survivors.lost("b"), Some(65_535));
        survivors.note("a", 0);
        assert_eq!(survivors.lost("a"), Some(0));
        let other = (0..u64::MAX).find(|other| {
            let same_slot = std::ptr::eq(survivors.slot(hash(other)), survivors.slot(hash("a")));
            same_slot && hash(other) != hash("a")
        });
        survivors.note(other.unwrap(), 1);
        assert_eq!(survivors.lost("a"), None);
        assert_eq!(survivors.lost(other.unwrap()), Some(1));
    }
}

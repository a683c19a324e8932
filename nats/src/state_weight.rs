//! The bytes of the cached states of a process. A state has the results of its tasks, so a number of
//! states says little about their memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::request::{Event, Payload};

/// The most bytes that the cached states of a process may have together. Beyond it, a large state
/// is read again when it is needed, and beyond the double every state is.
const KEPT_MAX_BYTES: usize = 96 * 1024 * 1024;
/// A state larger than this, in bytes, is large.
const LARGE_BYTES: usize = 16 * 1024;
/// Approximate bytes that an event adds to a state besides its payloads.
const EVENT_BYTES: usize = 256;
/// Approximate bytes of a task in a state.
const TASK_BYTES: usize = 64;

/// The bytes of all cached states of this process.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The bytes of one cached state, which count until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct StateWeight(usize);

impl StateWeight {
    /// Adds what these events added to the state.
    pub fn add<'a>(&mut self, events: impl IntoIterator<Item = &'a Event>) {
        let bytes = events.into_iter().map(bytes).sum();
        self.0 += bytes;
        KEPT.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether the state has to make room for others.
    pub fn is_too_much(&self) -> bool {
        exceeds(self.0, KEPT.load(Ordering::Relaxed))
    }
}

impl Drop for StateWeight {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.0, Ordering::Relaxed);
    }
}

fn exceeds(own: usize, all: usize) -> bool {
    all > KEPT_MAX_BYTES && (own > LARGE_BYTES || all > 2 * KEPT_MAX_BYTES)
}

fn bytes(event: &Event) -> usize {
    let own = match event {
        Event::Received(received) => inline(&received.document),
        Event::ResourcesCaptured(captured) => {
            let contents = captured.resources.iter().map(|r| &r.content);
            contents.map(inline).sum()
        }
        Event::GroupStarted(group) => TASK_BYTES * group.tasks as usize,
        Event::TaskSucceeded(succeeded) => inline(&succeeded.result),
        Event::Succeeded(succeeded) => inline(&succeeded.response),
        _ => 0,
    };
    EVENT_BYTES + own
}

fn inline(payload: &Payload) -> usize {
    payload.inline().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use domain::request::{GroupIndex, GroupStarted};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_state_counts_with_its_tasks_until_it_is_dropped() {
        let event = Event::GroupStarted(GroupStarted {
            group: GroupIndex::FIRST,
            name: None,
            tasks: 1_000,
            deadline: Timestamp::UNIX_EPOCH,
        });
        let mut weight = StateWeight::default();
        weight.add([&event, &event]);
        let all = KEPT.load(Ordering::Relaxed);
        assert_eq!(weight.0, 2 * (EVENT_BYTES + 1_000 * TASK_BYTES));
        assert!(all >= weight.0);
        drop(weight);
        assert!(KEPT.load(Ordering::Relaxed) < all);
    }

    #[test]
    fn large_states_make_room_first_and_small_ones_only_if_that_does_not_suffice() {
        assert!(!exceeds(KEPT_MAX_BYTES, KEPT_MAX_BYTES));
        assert!(exceeds(LARGE_BYTES + 1, KEPT_MAX_BYTES + 1));
        assert!(!exceeds(LARGE_BYTES, 2 * KEPT_MAX_BYTES));
        assert!(exceeds(1, 2 * KEPT_MAX_BYTES + 1));
    }
}

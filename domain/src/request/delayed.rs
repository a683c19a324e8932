use std::collections::HashMap;

use jiff::Timestamp;

use super::{Event, GroupIndex, Next, TaskNumber};

/// The tasks whose next attempt is due after `now`, with the due time, by group and number. Queue
/// recovery uses it to restore the delays of a lost queue.
pub fn delayed<'a>(
    events: impl IntoIterator<Item = &'a Event>,
    now: Timestamp,
) -> HashMap<(GroupIndex, TaskNumber), Timestamp> {
    let mut delayed = HashMap::new();
    for event in events {
        match event {
            Event::TaskFailed(failed) => {
                let task = (failed.group, failed.task);
                match failed.next {
                    Next::RetryAt(due) | Next::DispatchAt(due) => delayed.insert(task, due),
                    Next::DeadLetter(_) => delayed.remove(&task),
                };
            }
            Event::TaskSucceeded(done) => {
                delayed.remove(&(done.group, done.task));
            }
            // Redriven tasks run at once.
            Event::Redriven(_) => delayed.clear(),
            _ => {}
        }
    }
    delayed.retain(|_, due| *due > now);
    delayed
}

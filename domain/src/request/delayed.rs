use std::collections::HashMap;

use jiff::Timestamp;

use super::{Event, GroupIndex, Next, TaskNumber};

/// The tasks that were last heard of when they failed and had to wait, each with the end of its
/// delay, by group and number. The events come with the times at which the log stored them. Queue
/// recovery uses this to restore the delays of lost messages.
pub fn delayed<'a>(
    events: impl IntoIterator<Item = (Timestamp, &'a Event)>,
) -> HashMap<(GroupIndex, TaskNumber), Timestamp> {
    let mut delayed = HashMap::new();
    for (at, event) in events {
        match event {
            Event::TaskFailed(failed) => {
                let task = (failed.group, failed.task);
                match failed.next {
                    Next::RetryAt(_) | Next::DispatchAt(_) => {
                        let due = at.checked_add(failed.delay()).unwrap_or(Timestamp::MAX);
                        delayed.insert(task, due)
                    }
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
    delayed
}

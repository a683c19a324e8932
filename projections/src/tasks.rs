use std::collections::BTreeMap;
use std::ops::Bound;

use domain::request::{
    AttemptNumber, Event, Fault, GroupIndex, Next, Recorded, Sequence, TaskNumber,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The approximate bytes of a task on its own, including its entry in the map and its dead letter's
/// id.
const TASK_BYTES: usize = size_of::<TaskView>() + 128;
const STRING_BYTES: usize = size_of::<String>();

/// A task, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskView {
    /// The group.
    pub group: GroupIndex,
    /// The task.
    pub task: TaskNumber,
    /// The status of the task.
    pub status: TaskStatus,
    /// The attempts that ended, in the order of the log.
    pub attempts: Vec<AttemptView>,
    /// Its result.
    pub result: Option<ResultPlace>,
    /// Its dead letter, while the task is given up.
    pub dead_letter: Option<String>,
}

/// The position of a task's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultPlace {
    /// Its size, in bytes.
    pub bytes: u64,
    /// The sequence of the commit that has it.
    pub sequence: Sequence,
}

/// An attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptView {
    /// Its number.
    pub attempt: AttemptNumber,
    /// The worker that ran it.
    pub worker: String,
    /// When it started.
    pub started_at: Timestamp,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// The fault, where the attempt failed.
    pub fault: Option<Fault>,
}

/// The status of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskStatus {
    /// It waits or runs.
    Pending,
    /// It has its result.
    Succeeded,
    /// It is given up.
    Failed,
    /// Its request ended without it.
    Stopped,
}

/// The tasks of a request's started groups, by group and number. It is a fold of commits that can
/// be continued. It holds no documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    by_place: BTreeMap<(GroupIndex, TaskNumber), TaskView>,
    /// The sequence of the last commit that was folded.
    sequence: Sequence,
    bytes: usize,
}

impl Tasks {
    /// The sequence of the last commit that was folded.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The approximate bytes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The task of this group and number.
    #[must_use]
    pub fn get(&self, group: GroupIndex, task: TaskNumber) -> Option<&TaskView> {
        self.by_place.get(&(group, task))
    }

    /// The tasks after a position, in order, and of one group where a group is named.
    pub fn after(
        &self,
        place: Option<(GroupIndex, TaskNumber)>,
        group: Option<GroupIndex>,
    ) -> impl Iterator<Item = &TaskView> {
        let from = place.max(group.map(|group| (group, TaskNumber::new(0))));
        let from = from.map_or(Bound::Unbounded, Bound::Excluded);
        let last = TaskNumber::new(u32::MAX);
        let to = group.map_or(Bound::Unbounded, |group| Bound::Included((group, last)));
        // `range` panics on a range that ends before it begins.
        let empty =
            matches!((from, to), (Bound::Excluded(from), Bound::Included(to)) if from >= to);
        let tasks = (!empty).then(|| self.by_place.range((from, to)));
        tasks.into_iter().flatten().map(|(_, task)| task)
    }

    /// Folds an event.
    pub fn take_in(&mut self, recorded: &Recorded<&Event>) {
        self.sequence = recorded.sequence;
        match recorded.event {
            Event::GroupStarted(started) => {
                for task in TaskNumber::up_to(started.tasks) {
                    let waiting = waiting(started.group, task);
                    self.by_place.insert((started.group, task), waiting);
                    self.bytes += TASK_BYTES;
                }
            }
            Event::TaskSucceeded(done) => {
                let attempt = AttemptView {
                    attempt: done.attempt,
                    worker: done.worker.clone(),
                    started_at: done.started_at,
                    duration_ms: done.duration_ms,
                    fault: None,
                };
                self.change_one(done.group, done.task, attempt, |task| {
                    task.status = TaskStatus::Succeeded;
                    task.result = Some(ResultPlace {
                        bytes: done.result.size(),
                        sequence: recorded.sequence,
                    });
                });
            }
            Event::TaskFailed(failed) => {
                let attempt = AttemptView {
                    attempt: failed.attempt.attempt,
                    worker: failed.attempt.worker.clone(),
                    started_at: failed.attempt.started_at,
                    duration_ms: failed.attempt.duration_ms,
                    fault: Some(failed.attempt.fault.clone()),
                };
                self.change_one(failed.group, failed.task, attempt, |task| {
                    if let Next::DeadLetter(letter) = &failed.next {
                        task.status = TaskStatus::Failed;
                        task.dead_letter = Some(letter.clone());
                    }
                });
            }
            Event::Failed(_) | Event::Cancelled(_) => self.change(TaskStatus::Pending, |task| {
                task.status = TaskStatus::Stopped;
            }),
            Event::Redriven(_) => {
                for ended in [TaskStatus::Stopped, TaskStatus::Failed] {
                    self.change(ended, |task| {
                        task.status = TaskStatus::Pending;
                        task.dead_letter = None;
                    });
                }
            }
            _ => {}
        }
    }

    fn change_one(
        &mut self,
        group: GroupIndex,
        task: TaskNumber,
        attempt: AttemptView,
        change: impl FnOnce(&mut TaskView),
    ) {
        if let Some(task) = self.by_place.get_mut(&(group, task)) {
            change(task);
            self.bytes += attempt.bytes();
            task.attempts.push(attempt);
        }
    }

    fn change(&mut self, from: TaskStatus, change: impl Fn(&mut TaskView)) {
        self.by_place
            .values_mut()
            .filter(|task| task.status == from)
            .for_each(change);
    }
}

impl AttemptView {
    /// The approximate bytes in memory.
    fn bytes(&self) -> usize {
        let fault = self.fault.as_ref().map_or(0, |fault| {
            let causes = fault.causes.iter().map(|cause| STRING_BYTES + cause.len());
            fault.code.len() + fault.message.len() + causes.sum::<usize>()
        });
        size_of::<Self>() + self.worker.len() + fault
    }
}

fn waiting(group: GroupIndex, task: TaskNumber) -> TaskView {
    TaskView {
        group,
        task,
        status: TaskStatus::Pending,
        attempts: Vec::new(),
        result: None,
        dead_letter: None,
    }
}

#[cfg(test)]
mod tests {
    use domain::request::{GroupStarted, RequestId, TaskSucceeded};

    use super::*;

    fn take_in(tasks: &mut Tasks, sequence: u64, event: &Event) {
        tasks.take_in(&Recorded {
            request: RequestId::new(uuid::Uuid::nil()),
            sequence: Sequence::new(sequence),
            index: 0,
            at: Timestamp::UNIX_EPOCH,
            tenant: domain::access::Tenant::default(),
            traceparent: None,
            event,
        });
    }

    fn started(group: u32, tasks: u32) -> Event {
        Event::GroupStarted(GroupStarted {
            group: GroupIndex::new(group),
            name: None,
            tasks,
            deadline: Timestamp::UNIX_EPOCH,
        })
    }

    #[test]
    fn a_page_continues_after_a_position_and_stays_within_its_group() {
        let mut tasks = Tasks::default();
        for group in 0..3 {
            take_in(&mut tasks, 1, &started(group, 2));
        }
        let places = |after: Option<(u32, u32)>, group: Option<u32>| -> Vec<(u32, u32)> {
            let after = after.map(|(group, task)| (GroupIndex::new(group), TaskNumber::new(task)));
            let tasks = tasks.after(after, group.map(GroupIndex::new));
            tasks
                .map(|task| (task.group.get(), task.task.get()))
                .collect()
        };
        assert_eq!(places(None, None).len(), 6);
        assert_eq!(places(Some((1, 1)), None), [(1, 2), (2, 1), (2, 2)]);
        assert_eq!(places(None, Some(1)), [(1, 1), (1, 2)]);
        assert_eq!(places(Some((0, 1)), Some(1)), [(1, 1), (1, 2)]);
        assert_eq!(places(Some((1, 1)), Some(1)), [(1, 2)]);
        for place in [(1, u32::MAX), (2, 0), (u32::MAX, u32::MAX)] {
            assert_eq!(places(Some(place), Some(1)), []);
        }
    }

    #[test]
    fn only_the_size_and_location_of_a_result_are_stored() {
        let mut tasks = Tasks::default();
        take_in(&mut tasks, 1, &started(0, 1));
        let before = tasks.bytes();
        let done = |text: &str| {
            Event::TaskSucceeded(TaskSucceeded {
                group: GroupIndex::FIRST,
                task: TaskNumber::FIRST,
                attempt: AttemptNumber::FIRST,
                worker: "w".into(),
                started_at: Timestamp::UNIX_EPOCH,
                duration_ms: 1,
                given: None,
                result: text.into(),
            })
        };
        take_in(&mut tasks, 7, &done(&"x".repeat(60_000)));
        let task = tasks.get(GroupIndex::FIRST, TaskNumber::FIRST).unwrap();
        let place = ResultPlace {
            bytes: 60_000,
            sequence: Sequence::new(7),
        };
        assert_eq!(
            (task.status, task.result),
            (TaskStatus::Succeeded, Some(place))
        );
        assert!(tasks.bytes() - before < 1_000, "{}", tasks.bytes());
        assert_eq!(tasks.sequence(), Sequence::new(7));
    }
}

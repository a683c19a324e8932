//! The attempts of a group as a matrix of time and tasks, so that a picture of a hundred thousand
//! tasks costs no more than one of ten.

use std::collections::BTreeMap;

use domain::request::{AttemptNumber, Event, GroupIndex, TaskNumber};
use jiff::Timestamp;

use crate::story::Story;

/// The rows of a matrix, at most.
pub const ROWS: usize = 120;
/// The columns of a matrix.
pub const COLUMNS: usize = 600;
/// How many of the slowest attempts are named.
const SLOWEST: usize = 10;
/// How many workers are counted one by one.
const WORKERS_MAX: usize = 1_000;

/// The meaning of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Tasks by their number.
    #[default]
    Task,
    /// Workers by their name.
    Worker,
}

/// A part of the time of a group, in milliseconds since its first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first millisecond.
    pub from: u64,
    /// The first millisecond after it.
    pub to: u64,
}

/// An attempt of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The task.
    pub task: TaskNumber,
    /// The number of the attempt.
    pub attempt: AttemptNumber,
    /// The index of the worker in [`Heat::workers`].
    pub worker: usize,
    /// When it began, in milliseconds since the first start of the group.
    pub from: u64,
    /// When it ended.
    pub to: u64,
    /// Whether it failed.
    pub failed: bool,
}

/// The attempts of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// The attempts that ended.
    pub attempts: u64,
    /// Those that failed.
    pub failed: u64,
    /// The time that they took together, in milliseconds.
    pub busy_ms: u64,
}

/// The matrix of a group, with what stands out.
#[derive(Clone, Debug)]
pub struct Heat {
    /// The group.
    pub group: GroupIndex,
    /// When the group first started.
    pub started_at: Timestamp,
    /// The part of its time that the matrix shows.
    pub span: Span,
    /// The whole time of the group.
    pub whole: Span,
    /// The number of tasks.
    pub tasks: u32,
    /// The number of rows.
    pub rows: usize,
    /// How many attempts ran in each cell, row by row; at most 255.
    pub busy: Vec<u8>,
    /// How many failed attempts ended in each cell; at most 255.
    pub failed: Vec<u8>,
    /// The attempts that ended in the span.
    pub attempts: u64,
    /// Those that failed.
    pub failed_attempts: u64,
    /// How long attempts ran, in milliseconds: the least, the median, the 95th and 99th percentile,
    /// the most.
    pub ran_ms: Option<[u64; 5]>,
    /// The slowest attempts.
    pub slowest: Vec<Ran>,
    /// The workers, by name.
    pub workers: Vec<Worker>,
}

impl Heat {
    /// The matrix of a group; `None` where the group has not started. Without a span, it shows the
    /// whole time.
    #[must_use]
    pub fn of(story: &Story, group: GroupIndex, order: Order, span: Option<Span>) -> Option<Self> {
        let attempts = Attempts::of(story, group)?;
        let end = attempts.ran.iter().map(|ran| ran.to).max().unwrap_or(0);
        let whole = Span {
            from: 0,
            to: end.max(1),
        };
        let span = span.map_or(whole, |span| {
            let from = span.from.min(whole.to - 1);
            let to = span.to.clamp(from + 1, whole.to);
            Span { from, to }
        });
        let rows = match order {
            Order::Task => attempts.tasks as usize,
            Order::Worker => attempts.workers.len(),
        };
        let mut heat = Self {
            group,
            started_at: attempts.started_at,
            span,
            whole,
            tasks: attempts.tasks,
            rows: rows.clamp(1, ROWS),
            busy: Vec::new(),
            failed: Vec::new(),
            attempts: 0,
            failed_attempts: 0,
            ran_ms: None,
            slowest: Vec::new(),
            workers: attempts.workers,
        };
        heat.busy = vec![0; heat.rows * COLUMNS];
        heat.failed = vec![0; heat.rows * COLUMNS];
        let mut durations = Vec::new();
        for ran in &attempts.ran {
            let of = match order {
                Order::Task => (ran.task.index().unwrap_or(0), attempts.tasks as usize),
                Order::Worker => (ran.worker, rows),
            };
            heat.mark(ran, of);
            if (span.from..=span.to).contains(&ran.to) {
                durations.push(ran.to - ran.from);
                heat.attempts += 1;
                heat.failed_attempts += u64::from(ran.failed);
            }
        }
        durations.sort_unstable();
        heat.ran_ms = quantiles(&durations);
        heat.slowest = slowest(attempts.ran, span);
        Some(heat)
    }

    /// Marks the cells of an attempt. `place` is its place among so many.
    fn mark(&mut self, ran: &Ran, (place, of): (usize, usize)) {
        if ran.to < self.span.from || ran.from > self.span.to {
            return;
        }
        let row = (place * self.rows / of.max(1)).min(self.rows - 1);
        let (first, last) = (self.column(ran.from), self.column(ran.to));
        for cell in &mut self.busy[row * COLUMNS + first..=row * COLUMNS + last] {
            *cell = cell.saturating_add(1);
        }
        if ran.failed && ran.to <= self.span.to {
            let cell = &mut self.failed[row * COLUMNS + last];
            *cell = cell.saturating_add(1);
        }
    }

    /// The column of a time.
    fn column(&self, at: u64) -> usize {
        let Span { from, to } = self.span;
        let passed = u128::from(at.clamp(from, to) - from);
        let column = passed * COLUMNS as u128 / u128::from(to - from);
        usize::try_from(column).unwrap_or(0).min(COLUMNS - 1)
    }
}

/// The attempts of a group.
struct Attempts {
    started_at: Timestamp,
    tasks: u32,
    workers: Vec<Worker>,
    ran: Vec<Ran>,
}

impl Attempts {
    fn of(story: &Story, group: GroupIndex) -> Option<Self> {
        let mut found: Option<Self> = None;
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        for recorded in story.borrowed() {
            let ended = match recorded.event {
                Event::GroupStarted(e) if e.group == group => {
                    found.get_or_insert(Self {
                        started_at: recorded.at,
                        tasks: e.tasks,
                        workers: Vec::new(),
                        ran: Vec::new(),
                    });
                    continue;
                }
                Event::TaskSucceeded(e) if e.group == group => Ended {
                    task: e.task,
                    attempt: e.attempt,
                    worker: &e.worker,
                    started_at: e.started_at,
                    duration_ms: e.duration_ms,
                    failed: false,
                },
                Event::TaskFailed(e) if e.group == group => Ended {
                    task: e.task,
                    attempt: e.attempt.attempt,
                    worker: &e.attempt.worker,
                    started_at: e.attempt.started_at,
                    duration_ms: e.attempt.duration_ms,
                    failed: true,
                },
                _ => continue,
            };
            if let Some(found) = &mut found {
                found.take_in(&ended, recorded.at, &mut names);
            }
        }
        found.map(Self::sorted)
    }

    fn take_in(&mut self, ended: &Ended<'_>, at: Timestamp, names: &mut BTreeMap<String, usize>) {
        let worker = match names.get(ended.worker) {
            Some(worker) => *worker,
            None if self.workers.len() < WORKERS_MAX => {
                names.insert(ended.worker.to_owned(), self.workers.len());
                self.workers.push(Worker {
                    name: ended.worker.to_owned(),
                    ..Worker::default()
                });
                self.workers.len() - 1
            }
            None => WORKERS_MAX - 1,
        };
        let since = |at: Timestamp| {
            let passed = at.duration_since(self.started_at).as_millis();
            u64::try_from(passed).unwrap_or(0)
        };
        // The clock of a worker may be wrong: an attempt ended before the broker stored its commit,
        // and began after the group did.
        let to = since(ended.started_at)
            .saturating_add(ended.duration_ms)
            .min(since(at));
        let from = since(ended.started_at).min(to);
        let counted = &mut self.workers[worker];
        counted.attempts += 1;
        counted.failed += u64::from(ended.failed);
        counted.busy_ms = counted.busy_ms.saturating_add(ended.duration_ms);
        self.ran.push(Ran {
            task: ended.task,
            attempt: ended.attempt,
            worker,
            from,
            to,
            failed: ended.failed,
        });
    }

    /// The same with the workers in the order of their names.
    fn sorted(mut self) -> Self {
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        order.sort_by(|a, b| self.workers[*a].name.cmp(&self.workers[*b].name));
        let mut place = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new;
        }
        for ran in &mut self.ran {
            ran.worker = place[ran.worker];
        }
        self.workers.sort_by(|a, b| a.name.cmp(&b.name));
        self
    }
}

/// An attempt that ended, as its event has it.
struct Ended<'a> {
    task: TaskNumber,
    attempt: AttemptNumber,
    worker: &'a str,
    started_at: Timestamp,
    duration_ms: u64,
    failed: bool,
}

fn slowest(mut ran: Vec<Ran>, span: Span) -> Vec<Ran> {
    ran.retain(|ran| (span.from..=span.to).contains(&ran.to));
    ran.sort_by_key(|ran| std::cmp::Reverse(ran.to - ran.from));
    ran.truncate(SLOWEST);
    ran
}

fn quantiles(sorted: &[u64]) -> Option<[u64; 5]> {
    let last = sorted.len().checked_sub(1)?;
    Some([0, 50, 95, 99, 100].map(|percent| sorted[last * percent / 100]))
}

#[cfg(test)]
mod tests;

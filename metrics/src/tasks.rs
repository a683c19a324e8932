//! What workers do.

use std::time::Duration;

use crate::catalogue::Part;
use crate::counted::{Counter, Gauge, Level as _};
use crate::family::Family;
use crate::histogram::{DELAYS, Histogram, Traced, WORK};
use crate::registry::Registry;

/// The instruments of tasks.
#[derive(Clone, Debug)]
pub struct Tasks {
    attempts: Family<Counter>,
    durations: Family<Traced>,
    queued: Family<Histogram>,
    faults: Family<Counter>,
    busy: Family<Gauge>,
    slots: Family<Gauge>,
    leases_lost: Family<Counter>,
    dead_letters: Family<Counter>,
}

/// The instruments of the tasks of one type.
#[derive(Clone, Debug)]
pub struct TaskType {
    name: String,
    faults: Family<Counter>,
    /// Attempts that succeeded.
    pub succeeded: Counter,
    /// Attempts that failed, and after which the task comes again.
    pub again: Counter,
    /// Attempts after which the task was given up.
    pub given_up: Counter,
    /// Attempts that were stopped because the request has ended.
    pub stopped: Counter,
    /// Attempts that ended after their lease.
    pub late: Counter,
    /// Attempts that were broken off because the worker stops.
    pub given_back: Counter,
    /// Outcomes that could not be reported.
    pub unreported: Counter,
    /// How long attempts took.
    pub took: Traced,
    /// How long tasks waited for a worker.
    pub queued: Histogram,
    /// Tasks that run.
    pub busy: Gauge,
    /// Messages that were not answered because the lease was lost or the broker was away.
    pub leases_lost: Counter,
    /// Dead letters that were stored.
    pub dead_letters: Counter,
}

impl TaskType {
    /// Counts the code of a failed attempt.
    pub fn fault(&self, code: &str) {
        self.faults.with_open(&[&self.name], code).inc();
    }

    /// Notes how long the tasks waited for a worker.
    pub fn waited(&self, time: Duration) {
        self.queued.took(time);
    }
}

const TYPE: &[&str] = &["task_type"];

impl Tasks {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Worker);
        Self {
            attempts: registry.counters(
                "fanfold_task_attempts_total",
                &["task_type", "outcome"],
                "Attempts: `succeeded`, `again` (failed, and the task comes again), `given-up`, `stopped` (the request has ended), `late` (its lease had ended), `given-back` (the worker stops) and `unreported` (the broker did not take the outcome)",
            ),
            durations: registry.traced(
                (
                    "fanfold_task_attempt_duration_seconds",
                    "How long attempts took, from the fetch of the document to the result; OpenMetrics has the trace of a caller as exemplar",
                ),
                TYPE,
                WORK,
            ),
            queued: registry.histograms(
                (
                    "fanfold_task_queue_seconds",
                    "How long tasks waited in the queue before their first attempt, by the clocks of the broker and of this machine",
                ),
                TYPE,
                DELAYS,
            ),
            faults: registry.counters(
                "fanfold_task_faults_total",
                &["task_type", "code"],
                "Failed attempts by the code of the fault; the codes of a type beyond the first 50 are `other`",
            ),
            busy: registry.gauges(
                "fanfold_worker_slots_busy",
                TYPE,
                "Tasks that this worker runs now",
            ),
            slots: registry.gauges(
                "fanfold_worker_slots_max",
                TYPE,
                "Tasks that this worker may run at once",
            ),
            leases_lost: registry.counters(
                "fanfold_worker_leases_lost_total",
                TYPE,
                "Tasks whose message this worker did not answer, because its lease was lost or the broker was away",
            ),
            dead_letters: registry.counters(
                "fanfold_dead_letters_total",
                TYPE,
                "Dead letters that this worker stored",
            ),
        }
    }

    /// The instruments of a task type, of which this worker runs `slots` tasks at once.
    #[must_use]
    pub fn of_type(&self, name: &str, slots: usize) -> TaskType {
        let attempts = |outcome| self.attempts.with(&[name, outcome]);
        self.slots.with(&[name]).count(slots as u64);
        TaskType {
            name: name.to_owned(),
            faults: self.faults.clone(),
            succeeded: attempts("succeeded"),
            again: attempts("again"),
            given_up: attempts("given-up"),
            stopped: attempts("stopped"),
            late: attempts("late"),
            given_back: attempts("given-back"),
            unreported: attempts("unreported"),
            took: self.durations.with(&[name]),
            queued: self.queued.with(&[name]),
            busy: self.busy.with(&[name]),
            leases_lost: self.leases_lost.with(&[name]),
            dead_letters: self.dead_letters.with(&[name]),
        }
    }
}

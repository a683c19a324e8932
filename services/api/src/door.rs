//! The door: what waits in the broker is looked at now and then, and where it is too much nothing
//! more is taken in. What was taken in is finished sooner for it. Nor is more taken in at once
//! than can be answered soon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use nats::{Connection, Error};
use runtime::{Settings, Shutdown};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::failure::Problem;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After so many looks that failed one after another the door is open.
const BLIND_LOOKS: u32 = 20;
/// What a caller that is sent away is asked to wait, in seconds.
const RETRY_AFTER: u64 = 2;

/// Whether submissions are taken in.
pub struct Door {
    shut: AtomicBool,
    /// One for each submission that may be on its way into the log.
    places: Semaphore,
    backlog_max: u64,
    tasks_max: u64,
    shards: u8,
    task_types: Vec<String>,
}

impl Door {
    pub fn new(settings: &Settings) -> Self {
        Self {
            shut: AtomicBool::new(false),
            places: Semaphore::new(settings.submissions_max),
            backlog_max: settings.backlog_max,
            tasks_max: settings.tasks_waiting_max,
            shards: settings.shards,
            task_types: settings.task_types.names(),
        }
    }

    /// Refuses a submission while too much waits, or too many are on their way into the log; the
    /// permit is for as long as this one is.
    pub fn pass(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if let (false, Ok(place)) = (self.shut.load(Ordering::Relaxed), self.places.try_acquire()) {
            return Ok(place);
        }
        let message = "more is waiting than can be done soon; submit it again later";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message);
        Err(problem.retry_after(RETRY_AFTER))
    }

    /// Looks at what waits for as long as the process runs. A look that fails leaves the door as
    /// it is, but not for ever: whether a submission can be taken in, the log says itself.
    pub async fn watch(&self, connection: &Connection, shutdown: &Shutdown) {
        let mut blind = 0;
        while shutdown.pause(LOOK_EVERY).await {
            match self.look(connection).await {
                Ok(shut) => {
                    blind = 0;
                    self.turn(shut);
                }
                Err(error) => {
                    tracing::debug!(%error, "what waits cannot be looked at");
                    blind += 1;
                    if blind >= BLIND_LOOKS {
                        self.turn(false);
                    }
                }
            }
        }
    }

    fn turn(&self, shut: bool) {
        if self.shut.swap(shut, Ordering::Relaxed) != shut {
            let now = if shut { "shut" } else { "open" };
            tracing::warn!("the door is {now}: submissions get 503 while it is shut");
        }
    }

    /// Whether too much waits. Once shut, the door opens at half of what shut it.
    async fn look(&self, connection: &Connection) -> Result<bool, Error> {
        let part = if self.shut.load(Ordering::Relaxed) {
            2
        } else {
            1
        };
        let mut backlog = 0;
        for shard in 0..self.shards {
            let commits = connection.log_position(shard, "orchestrator").await?;
            let reports = connection.report_position(shard).await?;
            backlog += commits.pending + reports.pending;
        }
        let mut tasks = 0;
        for task_type in &self.task_types {
            tasks += connection.task_position(task_type).await?.pending;
        }
        tracing::trace!(backlog, tasks, "what waits");
        Ok(backlog > self.backlog_max / part || tasks > self.tasks_max / part)
    }
}

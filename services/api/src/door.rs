//! The door: what waits in the broker is looked at now and then. From half of what may wait on
//! only a part of the submissions is taken in, and nothing where all of it waits, so that what is
//! taken in settles at what can be done. Nor is more taken in at once than can be answered soon.

use std::sync::atomic::{AtomicU64, Ordering};
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
/// After so many looks in which all could be taken in it is said that the door is open.
const OPEN_LOOKS: u32 = 20;
/// Into how many parts the share that is taken in is divided.
const PARTS: u64 = 1_024;
/// What a caller that is sent away is asked to wait, in seconds.
const RETRY_AFTER: u64 = 2;

/// Whether submissions are taken in.
pub struct Door {
    /// How many of `PARTS` submissions are taken in.
    share: AtomicU64,
    /// How many have come, those that were sent away among them.
    came: AtomicU64,
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
            share: AtomicU64::new(PARTS),
            came: AtomicU64::new(0),
            places: Semaphore::new(settings.submissions_max.min(Semaphore::MAX_PERMITS)),
            backlog_max: settings.backlog_max,
            tasks_max: settings.tasks_waiting_max,
            shards: settings.shards,
            task_types: settings.task_types.names(),
        }
    }

    /// Refuses a submission that is not of the share taken in, or while too many are on their
    /// way into the log; the permit is for as long as this one is.
    pub fn pass(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if self.is_its_turn()
            && let Ok(place) = self.places.try_acquire()
        {
            return Ok(place);
        }
        let message = "more is waiting than can be done soon; submit it again later";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message);
        Err(problem.retry_after(RETRY_AFTER))
    }

    /// Of those that come one after another, the share is spread evenly.
    fn is_its_turn(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        let before = self.came.fetch_add(1, Ordering::Relaxed) % PARTS;
        (before + 1) * share / PARTS > before * share / PARTS
    }

    /// Looks at what waits for as long as the process runs. A look that fails leaves the door as
    /// it is, but not for ever: whether a submission can be taken in, the log says itself.
    pub async fn watch(&self, connection: &Connection, shutdown: &Shutdown) {
        let (mut blind, mut open) = (0, OPEN_LOOKS);
        while shutdown.pause(LOOK_EVERY).await {
            let share = match self.look(connection).await {
                Ok(share) => {
                    blind = 0;
                    share
                }
                Err(error) => {
                    tracing::debug!(%error, "what waits cannot be looked at");
                    blind += 1;
                    if blind < BLIND_LOOKS {
                        continue;
                    }
                    PARTS
                }
            };
            self.share.store(share, Ordering::Relaxed);
            open = told(open, share);
        }
    }

    /// How many of `PARTS` submissions can be taken in by what waits.
    async fn look(&self, connection: &Connection) -> Result<u64, Error> {
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
        Ok(share(backlog, self.backlog_max).min(share(tasks, self.tasks_max)))
    }
}

/// All while no more than half of what may wait does, from there on less and less, and nothing
/// where more does.
fn share(waiting: u64, most: u64) -> u64 {
    let half = most / 2;
    if waiting <= half {
        return PARTS;
    }
    let narrow = u128::from(most - half) + 1;
    let left = (u128::from(most) + 1).saturating_sub(u128::from(waiting));
    // It is less than `PARTS`, since less than `narrow` is left.
    u64::try_from(left * u128::from(PARTS) / narrow).unwrap_or(PARTS)
}

/// Says so where the door is no longer open, or is again; for how many looks it is now.
fn told(open: u32, share: u64) -> u32 {
    if share < PARTS {
        if open >= OPEN_LOOKS {
            tracing::warn!("more waits than can be done soon: some submissions get 503");
        }
        return 0;
    }
    let open = open.saturating_add(1);
    if open == OPEN_LOOKS {
        tracing::warn!("all submissions are taken in again");
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_grows_less_from_half_of_what_may_wait_to_nothing_above_it() {
        assert_eq!(share(2_500, 5_000), PARTS);
        assert_eq!(share(3_750, 5_000), PARTS / 2);
        assert_eq!(share(4_997, 5_000), 1);
        assert_eq!(share(5_001, 5_000), 0);
        assert_eq!(share(u64::MAX, 5_000), 0);
        assert_eq!((share(0, 0), share(1, 0)), (PARTS, 0));
        assert_eq!(share(1_000_000, u64::MAX), PARTS, "no limit to speak of");
        assert_eq!(share(u64::MAX, u64::MAX - 1), 0);
    }

    #[test]
    fn a_share_is_spread_evenly_over_those_that_come() {
        let settings = Settings::load(None, |_| None, |_| None).unwrap();
        let door = Door::new(&settings);
        let taken = |share: u64| {
            door.share.store(share, Ordering::Relaxed);
            (0..PARTS).filter(|_| door.is_its_turn()).count() as u64
        };
        assert_eq!(taken(PARTS), PARTS);
        assert_eq!(taken(0), 0);
        assert_eq!(taken(300), 300);
        door.share.store(PARTS / 2, Ordering::Relaxed);
        assert_ne!(door.is_its_turn(), door.is_its_turn());
    }
}

//! Admission control. The API samples the backlog of the broker every 250 ms. Below half of the
//! limit it accepts every submission, above it a shrinking share, and above all of it none, so that
//! the load settles at what the workers can do. It also bounds the submissions that are on their
//! way into the log at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use metrics::{Level as _, Pulse, Submissions};
use nats::{Connection, Error, LogReader};
use runtime::Shutdown;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Config;
use crate::http::problem::Problem;
use crate::tenancy::{Load, Shares};

/// How often the API samples the backlog.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After this many failed samples in a row, every submission is accepted.
const BLIND_LOOKS: u32 = 20;
/// After this many samples below the limit, the log says that every submission is accepted again.
const OPEN_LOOKS: u32 = 20;
/// The share of accepted submissions is a multiple of one part in this many.
const PARTS: u64 = 1_024;
/// How long the API asks a rejected caller to wait, in seconds.
const RETRY_AFTER: u64 = 2;

/// Decides which submissions are accepted.
pub struct Admission {
    /// How many of each `PARTS` submissions the API accepts.
    share: AtomicU64,
    /// How many submissions arrived, including rejected ones.
    came: AtomicU64,
    /// One permit for each submission that may be on its way into the log.
    places: Semaphore,
    backlog_max: u64,
    tasks_max: u64,
    shards: u8,
    task_types: Vec<String>,
    /// How many submissions may be on their way into the log at once.
    places_max: usize,
    counted: Submissions,
}

impl Admission {
    pub fn new(config: Config<'_>, counted: Submissions) -> Self {
        let places_max = config.api.submissions_max.min(Semaphore::MAX_PERMITS);
        Self {
            share: AtomicU64::new(PARTS),
            came: AtomicU64::new(0),
            places: Semaphore::new(places_max),
            places_max,
            counted,
            backlog_max: config.api.backlog_max,
            tasks_max: config.api.tasks_waiting_max,
            shards: config.deployment.shards,
            task_types: config.task_types.names(),
        }
    }

    /// Rejects a submission outside the accepted share, or while too many submissions are on their
    /// way into the log. The caller keeps the permit until its submission is in the log.
    pub fn pass(&self) -> Result<SemaphorePermit<'_>, Problem> {
        if self.is_its_turn() {
            return self.pass_by_share();
        }
        Err(overloaded())
    }

    /// As `pass`, for a tenant that has used less than its share: only the submissions that are on
    /// their way are counted.
    pub fn pass_by_share(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.places.try_acquire().map_err(|_| overloaded())
    }

    /// Spreads the accepted share evenly over the submissions.
    fn is_its_turn(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        let before = self.came.fetch_add(1, Ordering::Relaxed) % PARTS;
        (before + 1) * share / PARTS > before * share / PARTS
    }

    /// Samples the backlog until the process ends. A failed sample keeps the share as it is, but
    /// not forever: the log itself rejects the commits that it cannot store.
    pub async fn watch(
        &self,
        connection: &Connection,
        shares: &Shares,
        pulse: Pulse,
        shutdown: &Shutdown,
    ) {
        let (mut blind, mut open) = (0, OPEN_LOOKS);
        self.tell();
        while shutdown.pause(LOOK_EVERY).await {
            pulse.turns();
            self.tell();
            let share = match self.look(connection).await {
                Ok((share, load)) => {
                    blind = 0;
                    shares.look(load, Instant::now());
                    share
                }
                Err(error) => {
                    tracing::debug!(%error, "could not sample the backlog");
                    self.counted.blind_looks.inc();
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

    #[allow(clippy::cast_precision_loss)] // Both are at most `PARTS`.
    fn tell(&self) {
        let share = self.share.load(Ordering::Relaxed);
        self.counted.share.set(share as f64 / PARTS as f64);
        let under_way = self.places_max - self.places.available_permits();
        self.counted.on_their_way.count(under_way as u64);
        self.counted.on_their_way_max.count(self.places_max as u64);
    }

    /// The share of submissions that the current backlog allows, in `PARTS`, and what waits.
    async fn look(&self, connection: &Connection) -> Result<(u64, Load), Error> {
        let (mut backlog, mut unprocessed) = (0, 0);
        for shard in 0..self.shards {
            let commits = connection
                .log_position(shard, LogReader::Orchestrator)
                .await?;
            let reports = connection.report_position(shard).await?;
            backlog += commits.pending + reports.pending;
            unprocessed += reports.unacked;
        }
        let (mut tasks, mut worked_on) = (0, 0);
        for task_type in &self.task_types {
            let position = connection.task_position(task_type).await?;
            tasks += position.pending;
            worked_on += position.unacked;
        }
        tracing::trace!(backlog, tasks, "backlog");
        let load = Load {
            waiting: tasks,
            worked_on,
            backlog: backlog + unprocessed,
        };
        let share = share(backlog, self.backlog_max).min(share(tasks, self.tasks_max));
        Ok((share, load))
    }
}

/// The error for a submission that is not admitted now.
pub fn overloaded() -> Problem {
    let message = "too much work is waiting; submit it again later";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message);
    problem.retry_after(RETRY_AFTER)
}

/// The share of accepted submissions for a backlog. It is everything up to half of the limit, then
/// a shrinking part, and nothing above the limit.
fn share(waiting: u64, most: u64) -> u64 {
    let half = most / 2;
    if waiting <= half {
        return PARTS;
    }
    let narrow = u128::from(most - half) + 1;
    let left = (u128::from(most) + 1).saturating_sub(u128::from(waiting));
    // The quotient is less than `PARTS`, since `left` is less than `narrow`.
    u64::try_from(left * u128::from(PARTS) / narrow).unwrap_or(PARTS)
}

/// Logs when admission closes and when it opens again. Returns the number of samples for which
/// admission has been open.
fn told(open: u32, share: u64) -> u32 {
    if share < PARTS {
        if open >= OPEN_LOOKS {
            tracing::warn!("the backlog is above half of its limit: some submissions get 503");
        }
        return 0;
    }
    let open = open.saturating_add(1);
    if open == OPEN_LOOKS {
        tracing::warn!("every submission is accepted again");
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accepted_share_falls_from_all_at_half_of_the_backlog_limit_to_none_at_the_limit() {
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
    fn the_accepted_share_is_spread_evenly_over_submissions() {
        let settings = runtime::Settings::load(None, |_| None, |_| None).unwrap();
        let counted = metrics::Metrics::default().submissions;
        let admission = Admission::new(Config::of(&settings), counted);
        let taken = |share: u64| {
            admission.share.store(share, Ordering::Relaxed);
            (0..PARTS).filter(|_| admission.is_its_turn()).count() as u64
        };
        assert_eq!(taken(PARTS), PARTS);
        assert_eq!(taken(0), 0);
        assert_eq!(taken(300), 300);
        admission.share.store(PARTS / 2, Ordering::Relaxed);
        assert_ne!(admission.is_its_turn(), admission.is_its_turn());
    }
}

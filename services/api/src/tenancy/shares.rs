//! Fair shares at the door. While several tenants submit, the requests that are open at once are
//! limited to what keeps the workers busy, so that no queue grows in front of a tenant that asks
//! for little. Each tenant has a share of that limit by its weight, and what others leave may be
//! used by all.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::access::Tenant;
use runtime::Tenants;

/// How long after its last submission a tenant counts as one that submits.
const SUBMITS_FOR: Duration = Duration::from_secs(60);
/// How many open requests a tenant may have at least, however small the limit is.
const LEAST_SHARE: usize = 4;
/// The least limit, for each tenant that submits.
const LEAST_OF_ONE: usize = 2;
/// The limit before the first look at the queues.
const FIRST: usize = 16;
/// The largest limit.
const MOST: usize = 100_000;
/// How many tenants are told apart at once. The weights of further ones are not counted.
const TENANTS_MAX: usize = 1_000;
/// How many commits and reports may wait for the orchestrator.
const BACKLOG_SLACK: u64 = 64;
/// After this many looks without a task that runs, the workers are away. Requests then wait for
/// them, as they do where there is one tenant.
const AWAY_LOOKS: u32 = 8;

/// Whether a submission may enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It may, because its tenant has used less than its share.
    Own,
    /// It may, if the queues have room for it.
    Shared,
    /// Its tenant has used its share, and nothing is left by others.
    No,
}

/// The tenants that submit, and the limit that they share.
pub struct Shares {
    tenants: Tenants,
    state: Mutex<State>,
}

struct State {
    last: HashMap<Tenant, Instant>,
    limit: usize,
    /// Whether the limit has kept a submission out since the last look.
    is_binding: bool,
    /// How many looks in a row have seen tasks that wait and none that runs.
    away: u32,
}

/// What waits in the queues, and what is worked on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// The tasks that wait for workers.
    pub waiting: u64,
    /// The tasks that workers have.
    pub worked_on: u64,
    /// The commits and reports that the orchestrator has not processed.
    pub backlog: u64,
}

impl Load {
    /// Whether more waits than keeps everybody busy.
    fn is_long(self) -> bool {
        self.waiting > self.worked_on || self.backlog > BACKLOG_SLACK
    }

    /// Whether so little waits that somebody may soon have nothing to do.
    fn is_short(self) -> bool {
        2 * self.waiting <= self.worked_on && self.backlog <= BACKLOG_SLACK / 2
    }

    /// Whether nothing waits at all.
    fn is_none(self) -> bool {
        self.waiting == 0 && self.backlog <= BACKLOG_SLACK / 8
    }
}

impl Shares {
    pub fn new(tenants: &Tenants) -> Self {
        Self {
            tenants: tenants.clone(),
            state: Mutex::new(State {
                last: HashMap::new(),
                limit: FIRST,
                is_binding: false,
                away: 0,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides about a submission of a tenant that has `own` open requests, of `all`.
    pub fn turn(&self, tenant: &Tenant, own: usize, all: usize, now: Instant) -> Turn {
        let mut state = self.state();
        if state.last.len() < TENANTS_MAX || state.last.contains_key(tenant) {
            state.last.insert(tenant.clone(), now);
        }
        if state.last.len() < 2 {
            return Turn::Shared;
        }
        let weight = |tenant: &Tenant| u64::from(self.tenants.weight(tenant).get());
        let weights: u64 = state.last.keys().map(weight).sum();
        let share = share(state.limit, self.tenants.weight(tenant), weights);
        if own < share {
            Turn::Own
        } else if all < state.limit {
            Turn::Shared
        } else {
            state.is_binding = true;
            Turn::No
        }
    }

    /// Adapts the limit to a look at the queues.
    pub fn look(&self, load: Load, now: Instant) {
        let mut state = self.state();
        let submits = |last: &mut Instant| now.duration_since(*last) < SUBMITS_FOR;
        state.last.retain(|_, last| submits(last));
        let least = LEAST_OF_ONE * state.last.len().max(1);
        let was_binding = std::mem::take(&mut state.is_binding);
        let stands_still = load.waiting > 0 && load.worked_on == 0;
        state.away = if stands_still { state.away + 1 } else { 0 };
        let next = if state.away >= AWAY_LOOKS {
            MOST
        } else {
            next(state.limit, load, was_binding)
        };
        state.limit = next.clamp(least, MOST.max(least));
    }
}

/// The part of the limit that a tenant may always use.
fn share(limit: usize, weight: NonZeroU32, weights: u64) -> usize {
    let part = limit as u64 * u64::from(weight.get()) / weights.max(1);
    usize::try_from(part).unwrap_or(MOST).max(LEAST_SHARE)
}

/// The limit after a look: less if more waits than is worked on, and more if the limit keeps
/// submissions out although little waits.
fn next(limit: usize, load: Load, was_binding: bool) -> usize {
    if load.is_long() {
        limit - limit / 4
    } else if was_binding && load.is_none() {
        limit + (limit / 2).max(1)
    } else if was_binding && load.is_short() {
        limit + (limit / 10).max(1)
    } else {
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Load = Load {
        waiting: 100,
        worked_on: 4,
        backlog: 0,
    };
    const IDLE: Load = Load {
        waiting: 0,
        worked_on: 4,
        backlog: 0,
    };

    fn tenants() -> (Shares, Tenant, Tenant) {
        let (red, blue) = ("red".parse().unwrap(), "blue".parse().unwrap());
        (Shares::new(&Tenants::default()), red, blue)
    }

    #[test]
    fn one_tenant_alone_meets_no_limit() {
        let (shares, red, _) = tenants();
        let now = Instant::now();
        for open in [0, 10, 1_000_000] {
            assert_eq!(shares.turn(&red, open, open, now), Turn::Shared);
        }
    }

    #[test]
    fn a_tenant_that_asks_for_little_always_enters_however_much_another_asks_for() {
        let (shares, red, blue) = tenants();
        let now = Instant::now();
        shares.turn(&blue, 0, 0, now);
        // What the other leaves may be used.
        assert_eq!(shares.turn(&red, FIRST / 2, FIRST / 2, now), Turn::Shared);
        assert_eq!(shares.turn(&red, FIRST, FIRST, now), Turn::No);
        for _ in 0..100 {
            shares.look(BUSY, now);
        }
        assert_eq!(shares.turn(&red, 500, 500, now), Turn::No);
        assert_eq!(shares.turn(&red, LEAST_SHARE, LEAST_SHARE, now), Turn::No);
        assert_eq!(shares.turn(&blue, LEAST_SHARE - 1, 600, now), Turn::Own);
    }

    #[test]
    fn the_limit_falls_while_more_waits_than_is_worked_on_and_grows_while_it_keeps_work_out() {
        let (shares, red, blue) = tenants();
        let now = Instant::now();
        shares.turn(&blue, 0, 0, now);
        shares.look(BUSY, now);
        assert_eq!(shares.state().limit, 12);
        shares.look(IDLE, now);
        assert_eq!(shares.state().limit, 12, "nothing was kept out");
        assert_eq!(shares.turn(&red, 12, 12, now), Turn::No);
        shares.look(IDLE, now);
        assert_eq!(shares.state().limit, 18);
        assert_eq!(shares.turn(&red, 18, 18, now), Turn::No);
        shares.look(Load { waiting: 2, ..IDLE }, now);
        assert_eq!(shares.state().limit, 19, "little waits");
        shares.look(
            Load {
                backlog: 65,
                ..IDLE
            },
            now,
        );
        assert_eq!(shares.state().limit, 15, "the orchestrator lags");
        // A tenant that has not submitted for a minute has no share.
        shares.look(IDLE, now + SUBMITS_FOR);
        assert_eq!(shares.turn(&red, 1_000, 1_000, now), Turn::Shared);
    }

    #[test]
    fn without_workers_requests_are_accepted_and_wait() {
        let (shares, red, blue) = tenants();
        let now = Instant::now();
        shares.turn(&blue, 0, 0, now);
        let away = Load {
            worked_on: 0,
            ..BUSY
        };
        for _ in 1..AWAY_LOOKS {
            shares.look(away, now);
        }
        assert_eq!(shares.turn(&red, 100, 100, now), Turn::No);
        shares.look(away, now);
        assert_eq!(shares.turn(&red, 100, 100, now), Turn::Own);
    }

    #[test]
    fn shares_follow_the_weights() {
        let two = NonZeroU32::new(2).unwrap();
        assert_eq!(share(90, two, 3), 60);
        assert_eq!(share(90, NonZeroU32::MIN, 3), 30);
        assert_eq!(share(3, NonZeroU32::MIN, 3), LEAST_SHARE);
    }
}

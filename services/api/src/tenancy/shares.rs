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
const SUBMITS_FOR: Duration = Duration::from_mins(1);
/// How many open requests a tenant that asks for little may have, however small the limit is.
const LEAST_SHARE: usize = 4;
/// A tenant that is kept out this many times in a row asks for much. It then has its share of the
/// limit and no more, for [`ASKS_FOR_MUCH_FOR`].
const ASKS_FOR_MUCH_FROM: u32 = 4;
/// For how long a tenant counts as one that asks for much.
const ASKS_FOR_MUCH_FOR: Duration = Duration::from_secs(10);
/// The limit grows after this many looks in a row that allow it. One look alone may come in a moment
/// in which nothing happens to wait.
const GROWS_AFTER_LOOKS: u32 = 2;
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
    seen: HashMap<Tenant, Seen>,
    limit: usize,
    /// Whether the limit has kept a submission out since the last look.
    is_binding: bool,
    /// How many looks in a row have found that the limit keeps submissions out although little
    /// waits, and although nothing does.
    short: u32,
    idle: u32,
    /// How many looks in a row have seen tasks that wait and none that runs.
    away: u32,
}

/// What is known of a tenant that submits.
#[derive(Clone, Copy, Debug)]
struct Seen {
    submitted: Instant,
    /// How many submissions in a row were kept out.
    kept_out: u32,
    /// When it last asked for much.
    asked_for_much: Option<Instant>,
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
    /// Whether more waits than keeps everybody busy. A new task waits about half as long as a task
    /// runs where half as many wait as run.
    fn is_long(self) -> bool {
        2 * self.waiting > self.worked_on || self.backlog > BACKLOG_SLACK
    }

    /// Whether so little waits that somebody may soon have nothing to do.
    fn is_short(self) -> bool {
        4 * self.waiting <= self.worked_on && self.backlog <= BACKLOG_SLACK / 2
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
                seen: HashMap::new(),
                limit: FIRST,
                is_binding: false,
                short: 0,
                idle: 0,
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
        let known = state.seen.get(tenant);
        let mut seen = Seen {
            submitted: now,
            kept_out: known.map_or(0, |seen| seen.kept_out),
            asked_for_much: known.and_then(|seen| seen.asked_for_much),
        };
        let turn = self.decide(&state, tenant, &seen, (own, all));
        if turn == Turn::No {
            state.is_binding = true;
            seen.kept_out += 1;
            if seen.kept_out >= ASKS_FOR_MUCH_FROM {
                seen.asked_for_much = Some(now);
            }
        } else {
            seen.kept_out = 0;
        }
        if known_or_room(&state, tenant) {
            state.seen.insert(tenant.clone(), seen);
        }
        turn
    }

    fn decide(
        &self,
        state: &State,
        tenant: &Tenant,
        seen: &Seen,
        (own, all): (usize, usize),
    ) -> Turn {
        let is_only = state.seen.keys().all(|other| other == tenant);
        if is_only {
            return Turn::Shared;
        }
        let weight = |tenant: &Tenant| u64::from(self.tenants.weight(tenant).get());
        let others = state.seen.keys().filter(|other| *other != tenant);
        let weights = others.map(weight).sum::<u64>() + weight(tenant);
        let share = share(state.limit, self.tenants.weight(tenant), weights);
        let asks_for_much = seen
            .asked_for_much
            .is_some_and(|at| seen.submitted.duration_since(at) < ASKS_FOR_MUCH_FOR);
        let share = share.max(if asks_for_much { 1 } else { LEAST_SHARE });
        if own < share {
            Turn::Own
        } else if all < state.limit {
            Turn::Shared
        } else {
            Turn::No
        }
    }

    /// Adapts the limit to a look at the queues.
    pub fn look(&self, load: Load, now: Instant) {
        let mut state = self.state();
        let submits = |seen: &mut Seen| now.duration_since(seen.submitted) < SUBMITS_FOR;
        state.seen.retain(|_, seen| submits(seen));
        let least = LEAST_OF_ONE * state.seen.len().max(1);
        let was_binding = std::mem::take(&mut state.is_binding);
        let in_a_row = |before: u32, is_so: bool| if is_so { before + 1 } else { 0 };
        state.short = in_a_row(state.short, was_binding && load.is_short());
        state.idle = in_a_row(state.idle, was_binding && load.is_none());
        state.away = in_a_row(state.away, load.waiting > 0 && load.worked_on == 0);
        let next = if state.away >= AWAY_LOOKS {
            MOST
        } else {
            state.next(load)
        };
        state.limit = next.clamp(least, MOST.max(least));
    }
}

impl State {
    /// The limit after a look: less if too much waits, and more if the limit keeps submissions out
    /// although little waits.
    fn next(&mut self, load: Load) -> usize {
        if load.is_long() {
            return self.limit - self.limit / 4;
        }
        let more = if self.idle >= GROWS_AFTER_LOOKS {
            self.limit / 4
        } else if self.short >= GROWS_AFTER_LOOKS {
            self.limit / 10
        } else {
            return self.limit;
        };
        (self.short, self.idle) = (0, 0);
        self.limit + more.max(1)
    }
}

/// Whether a tenant is told apart from others.
fn known_or_room(state: &State, tenant: &Tenant) -> bool {
    state.seen.len() < TENANTS_MAX || state.seen.contains_key(tenant)
}

/// The part of the limit that a tenant may always use.
fn share(limit: usize, weight: NonZeroU32, weights: u64) -> usize {
    let part = limit as u64 * u64::from(weight.get()) / weights.max(1);
    usize::try_from(part).unwrap_or(MOST)
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
    fn a_tenant_that_was_kept_out_has_its_share_of_the_limit_and_no_more_for_a_while() {
        let (shares, red, blue) = tenants();
        let now = Instant::now();
        for tenant in [&red, &blue] {
            shares.turn(tenant, 0, 0, now);
        }
        for _ in 0..100 {
            shares.look(BUSY, now);
        }
        // The limit is 4 now, so each share is 2.
        for _ in 0..ASKS_FOR_MUCH_FROM {
            assert_eq!(shares.turn(&red, 3, 4, now), Turn::Own);
            assert_eq!(shares.turn(&red, LEAST_SHARE, 4, now), Turn::No);
        }
        for _ in 1..ASKS_FOR_MUCH_FROM {
            assert_eq!(shares.turn(&red, LEAST_SHARE, 4, now), Turn::No);
        }
        assert_eq!(shares.turn(&red, 2, 4, now), Turn::No);
        assert_eq!(shares.turn(&red, 1, 4, now), Turn::Own);
        assert_eq!(shares.turn(&blue, 3, 4, now), Turn::Own);
        let later = now + ASKS_FOR_MUCH_FOR;
        assert_eq!(shares.turn(&red, 3, 4, later), Turn::Own);
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
        for limit in [12, 15] {
            assert_eq!(shares.turn(&red, 15, 15, now), Turn::No);
            shares.look(IDLE, now);
            assert_eq!(shares.state().limit, limit, "after two looks");
        }
        for limit in [15, 16] {
            assert_eq!(shares.turn(&red, 20, 20, now), Turn::No);
            shares.look(Load { waiting: 1, ..IDLE }, now);
            assert_eq!(shares.state().limit, limit, "little waits");
        }
        shares.look(
            Load {
                backlog: 65,
                ..IDLE
            },
            now,
        );
        assert_eq!(shares.state().limit, 12, "the orchestrator lags");
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
    }
}

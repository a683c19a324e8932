//! The stamps of the loops that must turn, for liveness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::catalogue::Part;
use crate::counted::{Gauge, Level as _};
use crate::family::Family;
use crate::registry::Registry;

/// The loops of a process.
#[derive(Clone, Debug)]
pub struct Pulses {
    all: Arc<Mutex<Vec<Turning>>>,
    /// How long a loop may not turn, in milliseconds.
    limit: Arc<AtomicU64>,
}

#[derive(Clone, Debug)]
struct Turning {
    role: String,
    name: String,
    turned: Arc<AtomicU64>,
}

/// A loop that has not turned for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its role.
    pub role: String,
    /// Its name within the role.
    pub name: String,
    /// How long it has not turned.
    pub time: Duration,
}

/// The stamp of a loop. Dropping it says that the loop has ended and need not turn any more.
#[derive(Debug)]
pub struct Pulse {
    pulses: Pulses,
    turned: Arc<AtomicU64>,
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}

impl Pulses {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let registry = registry.part(Part::Process);
        let pulses = Self {
            all: Arc::default(),
            limit: Arc::new(AtomicU64::new(u64::MAX)),
        };
        let told: Family<Gauge> = registry.gauges(
            "fanfold_role_last_turn_timestamp_seconds",
            &["role", "loop"],
            "When a loop of a role last turned. `/healthz` answers 503 where one has not for LOOP_SILENT_MAX_MS",
        );
        let known = pulses.clone();
        registry.before_each(move || {
            let all = known.all();
            let known =
                |role: &str, name: &str| all.iter().any(|t| t.role == role && t.name == name);
            told.retain(|key| matches!(key, [role, name] if known(role, name)));
            for turning in &all {
                let millis = turning.turned.load(Ordering::Relaxed);
                let at = told.with(&[&turning.role, &turning.name]);
                at.lasting(Duration::from_millis(millis));
            }
        });
        pulses
    }

    fn all(&self) -> Vec<Turning> {
        self.all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A loop that begins to turn.
    #[must_use]
    pub fn begin(&self, role: &str, name: impl Into<String>) -> Pulse {
        let turned = Arc::new(AtomicU64::new(now()));
        let turning = Turning {
            role: role.to_owned(),
            name: name.into(),
            turned: turned.clone(),
        };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(turning);
        Pulse {
            pulses: self.clone(),
            turned,
        }
    }

    /// Sets how long a loop may not turn before its process counts as hung.
    pub fn set_limit(&self, limit: Duration) {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        self.limit.store(millis, Ordering::Relaxed);
    }

    /// The loops that have not turned for longer than the limit.
    #[must_use]
    pub fn silent(&self) -> Vec<Silent> {
        let limit = Duration::from_millis(self.limit.load(Ordering::Relaxed));
        let now = now();
        let silent = |turning: Turning| {
            let millis = now.saturating_sub(turning.turned.load(Ordering::Relaxed));
            let time = Duration::from_millis(millis);
            (time > limit).then_some(Silent {
                role: turning.role,
                name: turning.name,
                time,
            })
        };
        self.all().into_iter().filter_map(silent).collect()
    }
}

impl Pulse {
    /// The loop turns.
    pub fn turns(&self) {
        self.turned.store(now(), Ordering::Relaxed);
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        let mut all = self
            .pulses
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        all.retain(|turning| !Arc::ptr_eq(&turning.turned, &self.turned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_silent_once_it_has_not_turned_for_the_limit_and_no_longer_once_it_has_ended() {
        let pulses = Pulses::new(&mut Registry::default());
        pulses.set_limit(Duration::from_secs(5));
        let pulse = pulses.begin("orchestrator", "outbox-0");
        assert_eq!(pulses.silent(), []);
        pulse.turned.store(now() - 7_000, Ordering::Relaxed);
        let silent = pulses.silent();
        assert_eq!(
            (silent[0].role.as_str(), silent[0].name.as_str()),
            ("orchestrator", "outbox-0")
        );
        pulse.turns();
        assert_eq!(pulses.silent(), []);
        pulse.turned.store(0, Ordering::Relaxed);
        drop(pulse);
        assert_eq!(pulses.silent(), []);
    }
}

//! The shares of the receivers: deliveries to one host, however many and however slow, leave places
//! for those to others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::access::Tenant;

/// How many deliveries run at once.
const DELIVERIES_MAX: usize = 256;
/// How many deliveries to one host run at once.
const HOST_MAX: usize = 8;
/// How many deliveries run at once to a host that failed the last one.
const FAILING_HOST_MAX: usize = 1;
/// The pause of an event whose receiver has no place for it. The pause grows with the number of
/// events that were turned away before it.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// The longest such pause.
const BUSY_LONGEST: Duration = Duration::from_mins(1);
/// How many hosts without a running delivery are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// The deliveries that run, by the host of their receiver.
#[derive(Clone, Default)]
pub struct Receivers(Arc<Mutex<Running>>);

#[derive(Default)]
struct Running {
    deliveries: usize,
    /// The deliveries of each tenant that has any.
    of_tenants: HashMap<Tenant, usize>,
    hosts: HashMap<String, Host>,
}

#[derive(Default)]
struct Host {
    deliveries: usize,
    is_failing: bool,
    turned_away: u32,
}

/// A place for one delivery. It becomes free on drop.
pub struct Place {
    receivers: Receivers,
    host: String,
    tenant: Tenant,
}

impl Receivers {
    /// Takes a place for a delivery to this host, or returns after which pause to ask again. A
    /// tenant may have at most so many deliveries under way, where that is limited.
    pub fn enter(
        &self,
        name: &str,
        (tenant, most_of_tenant): (&Tenant, Option<usize>),
    ) -> Result<Place, Duration> {
        let mut running = self.lock();
        let of_tenant = running.of_tenants.get(tenant).copied().unwrap_or(0);
        let has_quota = most_of_tenant.is_none_or(|most| of_tenant < most);
        let has_room = running.deliveries < DELIVERIES_MAX && has_quota;
        if running.hosts.len() > REMEMBERED_MAX {
            running.hosts.retain(|_, host| host.deliveries > 0);
        }
        let host = running.hosts.entry(name.to_owned()).or_default();
        let most = if host.is_failing {
            FAILING_HOST_MAX
        } else {
            HOST_MAX
        };
        if !has_room || host.deliveries >= most {
            let before = host.turned_away / u32::try_from(most).unwrap_or(1);
            host.turned_away += 1;
            return Err(BUSY_PAUSE.saturating_mul(1 + before).min(BUSY_LONGEST));
        }
        host.deliveries += 1;
        host.turned_away = host.turned_away.saturating_sub(1);
        running.deliveries += 1;
        *running.of_tenants.entry(tenant.clone()).or_default() += 1;
        Ok(Place {
            receivers: self.clone(),
            host: name.to_owned(),
            tenant: tenant.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes whether the host took the delivery.
    pub fn taken(&self, is_taken: bool) {
        if let Some(host) = self.receivers.lock().hosts.get_mut(&self.host) {
            host.is_failing = !is_taken;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.receivers.lock();
        running.deliveries -= 1;
        if let Some(count) = running.of_tenants.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                running.of_tenants.remove(&self.tenant);
            }
        }
        let Some(host) = running.hosts.get_mut(&self.host) else {
            return;
        };
        host.deliveries -= 1;
        if host.deliveries == 0 && !host.is_failing {
            running.hosts.remove(&self.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(receivers: &Receivers, name: &str) -> Result<Place, Duration> {
        receivers.enter(name, (&Tenant::default(), None))
    }

    #[test]
    fn one_host_leaves_places_for_others_and_its_events_wait_ever_longer() {
        let receivers = Receivers::default();
        let places: Vec<Place> = (0..HOST_MAX)
            .map(|_| enter(&receivers, "slow").ok().unwrap())
            .collect();
        let pauses = (0..1_000).map(|_| enter(&receivers, "slow").err().unwrap());
        let pauses: Vec<Duration> = pauses.collect();
        assert_eq!(pauses.first(), Some(&BUSY_PAUSE));
        assert_eq!(pauses.last(), Some(&BUSY_LONGEST));
        assert!(enter(&receivers, "other").is_ok());
        drop(places);
        assert!(enter(&receivers, "slow").is_ok());
    }

    #[test]
    fn a_host_that_fails_gets_one_delivery_at_a_time_until_one_is_taken() {
        let receivers = Receivers::default();
        enter(&receivers, "down").ok().unwrap().taken(false);
        let place = enter(&receivers, "down").ok().unwrap();
        assert!(enter(&receivers, "down").is_err());
        place.taken(true);
        assert!(enter(&receivers, "down").is_ok());
    }

    #[test]
    fn all_deliveries_together_are_bounded() {
        let receivers = Receivers::default();
        let enter = |n: usize| enter(&receivers, &n.to_string());
        let places: Vec<Place> = (0..DELIVERIES_MAX).filter_map(|n| enter(n).ok()).collect();
        assert_eq!(places.len(), DELIVERIES_MAX);
        assert!(enter(DELIVERIES_MAX).is_err());
    }

    #[test]
    fn a_tenant_has_no_more_deliveries_under_way_than_its_quota() {
        let receivers = Receivers::default();
        let red: Tenant = "red".parse().unwrap();
        let enter = |n: usize| receivers.enter(&n.to_string(), (&red, Some(2)));
        let places: Vec<Place> = (0..3).filter_map(|n| enter(n).ok()).collect();
        assert_eq!(places.len(), 2);
        assert!(
            receivers
                .enter("other", (&Tenant::default(), Some(2)))
                .is_ok()
        );
        drop(places);
        assert!(enter(0).is_ok());
        assert!(
            receivers.lock().of_tenants.is_empty(),
            "nobody is remembered"
        );
    }
}

//! The quotas that are in force. Where none is set, nothing is counted.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use domain::access::Tenant;
use domain::request::GroupOutline;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use runtime::{Quotas, Tenants};

use super::exceeded::{Exceeded, Standing, Unit};
use super::gauge::{Gauge, Held};

/// How many tenants are counted at once. Those of which nothing is in use are forgotten beyond it.
const TENANTS_MAX: usize = 10_000;

type Rate = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// The quotas of all tenants.
pub struct InForce {
    tenants: Tenants,
    is_on: bool,
    by: Mutex<HashMap<Tenant, Arc<OfTenant>>>,
}

/// The quotas of a tenant, and what it uses of them.
pub struct OfTenant {
    quotas: Quotas,
    rate: Option<(u64, Rate)>,
    bytes: Option<Gauge>,
    waiters: Option<Gauge>,
    streams: Option<Gauge>,
}

impl InForce {
    /// The quotas of these tenants, of which nothing is used.
    #[must_use]
    pub fn new(tenants: &Tenants) -> Self {
        Self {
            is_on: tenants.any_quota(|quotas| !quotas.are_off()),
            tenants: tenants.clone(),
            by: Mutex::default(),
        }
    }

    /// Takes a run of a request with these groups from the quotas of a tenant, for callers beside
    /// the API. The error says in words which quota it is beyond.
    pub fn take(&self, tenant: &Tenant, groups: &[GroupOutline]) -> Result<(), String> {
        let Some(quotas) = self.of(tenant) else {
            return Ok(());
        };
        let taken = quotas.check(groups).and_then(|()| quotas.submit());
        taken.map(|_| ()).map_err(|exceeded| exceeded.to_string())
    }

    /// The quotas of a tenant; `None` where nothing is limited.
    pub(crate) fn of(&self, tenant: &Tenant) -> Option<Arc<OfTenant>> {
        if !self.is_on {
            return None;
        }
        let quotas = self.tenants.quotas(tenant);
        if quotas.are_off() {
            return None;
        }
        let mut by = self.by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by.get(tenant) {
            return Some(known.clone());
        }
        if by.len() >= TENANTS_MAX {
            by.retain(|_, of| Arc::strong_count(of) > 1);
        }
        let of = Arc::new(OfTenant::new(quotas));
        by.insert(tenant.clone(), of.clone());
        Some(of)
    }
}

impl OfTenant {
    fn new(quotas: Quotas) -> Self {
        let rate = quotas.submissions_per_second.map(|rate| {
            let burst: NonZeroU32 = quotas.submissions_burst.unwrap_or(rate);
            let quota = Quota::per_second(rate).allow_burst(burst);
            let limiter = RateLimiter::direct(quota);
            (u64::from(rate.get()), limiter.with_middleware())
        });
        Self {
            quotas,
            rate,
            bytes: quotas.bytes_under_way.map(Gauge::new),
            waiters: quotas.waiters.map(Gauge::new),
            streams: quotas.streams.map(Gauge::new),
        }
    }

    /// Counts a submission. Returns how many more there may be at once, where that is limited.
    pub fn submit(&self) -> Result<Option<Standing>, Exceeded> {
        let Some((most, rate)) = &self.rate else {
            return Ok(None);
        };
        let standing = Standing {
            quota: "submissions",
            unit: Unit::Requests,
            most: *most,
            left: 0,
            more_in: 1,
        };
        match rate.check() {
            Ok(state) => Ok(Some(Standing {
                left: u64::from(state.remaining_burst_capacity()),
                ..standing
            })),
            Err(until) => {
                let wait = until.wait_time_from(rate.clock().now());
                // A part of a second is a second in `Retry-After`.
                let more_in = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Exceeded::ForNow(Standing {
                    more_in,
                    ..standing
                }))
            }
        }
    }

    /// Whether a document has more than its tenant's documents may have.
    pub fn check(&self, groups: &[GroupOutline]) -> Result<(), Exceeded> {
        let valuations = groups.iter().map(|group| u64::from(group.valuations));
        let limits = [
            ("groups", self.quotas.groups, groups.len() as u64),
            ("tasks", self.quotas.tasks, valuations.sum()),
        ];
        for (quota, most, has) in limits {
            let Some(most) = most.map(|most| most as u64) else {
                continue;
            };
            if has > most {
                return Err(Exceeded::Ever { quota, most, has });
            }
        }
        Ok(())
    }

    /// Whether one more request may be open besides these.
    pub fn check_open(&self, open: usize) -> Result<(), Exceeded> {
        match self.quotas.open_requests {
            Some(most) if open >= most => Err(beyond("open-requests", most, Unit::Concurrent)),
            _ => Ok(()),
        }
    }

    /// Room for the bytes of a body, where they are limited.
    pub fn bytes(&self) -> Option<Held> {
        self.bytes.as_ref().map(Gauge::nothing)
    }

    /// A place for a caller that waits for an answer.
    pub fn wait(&self) -> Result<Option<Held>, Exceeded> {
        place("waiters", self.waiters.as_ref())
    }

    /// A place for an event stream.
    pub fn stream(&self) -> Result<Option<Held>, Exceeded> {
        place("streams", self.streams.as_ref())
    }
}

/// The error for a body beyond the tenant's bytes.
pub fn no_bytes(of: &Held) -> Exceeded {
    let gauge = of.of();
    let standing = standing("bytes-under-way", gauge.most(), Unit::ContentBytes);
    let left = gauge.left() as u64;
    Exceeded::ForNow(Standing { left, ..standing })
}

fn place(quota: &'static str, gauge: Option<&Gauge>) -> Result<Option<Held>, Exceeded> {
    let Some(gauge) = gauge else { return Ok(None) };
    let held = gauge.take(1);
    let held = held.ok_or_else(|| beyond(quota, gauge.most(), Unit::Concurrent))?;
    Ok(Some(held))
}

fn beyond(quota: &'static str, most: usize, unit: Unit) -> Exceeded {
    Exceeded::ForNow(standing(quota, most, unit))
}

fn standing(quota: &'static str, most: usize, unit: Unit) -> Standing {
    Standing {
        quota,
        unit,
        most: most as u64,
        left: 0,
        more_in: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(text: &str) -> OfTenant {
        OfTenant::new(toml_quotas(text))
    }

    fn toml_quotas(text: &str) -> Quotas {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("fanfold.toml");
        std::fs::write(&file, format!("[quotas]\n{text}")).unwrap();
        let settings = runtime::Settings::load(Some(&file), |_| None, |_| None).unwrap();
        settings.tenants.quotas(&Tenant::default())
    }

    #[test]
    fn a_burst_is_admitted_and_the_next_submission_is_told_when_to_come_again() {
        let of = quotas("submissions-per-second = 1\nsubmissions-burst = 3");
        for left in [2, 1, 0] {
            assert_eq!(of.submit().unwrap().unwrap().left, left);
        }
        let Err(Exceeded::ForNow(standing)) = of.submit() else {
            panic!("a fourth submission was admitted")
        };
        assert_eq!((standing.most, standing.left, standing.more_in), (1, 0, 1));
    }

    #[test]
    fn what_is_not_set_is_not_limited() {
        let of = quotas("waiters = 1");
        assert_eq!(of.submit(), Ok(None));
        assert!(of.stream().unwrap().is_none());
        assert!(of.bytes().is_none());
        assert_eq!(of.check_open(usize::MAX), Ok(()));
        let waiting = of.wait().unwrap();
        assert!(of.wait().is_err());
        drop(waiting);
        assert!(of.wait().is_ok());
        let nobody = InForce::new(&Tenants::default());
        assert!(nobody.of(&Tenant::default()).is_none());
    }

    #[test]
    fn a_document_with_too_many_groups_or_valuations_never_passes() {
        let group = |valuations| GroupOutline {
            name: None,
            valuations,
        };
        let of = quotas("groups = 2\ntasks = 10");
        assert_eq!(of.check(&[group(5), group(5)]), Ok(()));
        let many = of.check(&[group(1), group(1), group(1)]).unwrap_err();
        assert!(matches!(
            many,
            Exceeded::Ever {
                quota: "groups",
                has: 3,
                ..
            }
        ));
        let many = of.check(&[group(6), group(5)]).unwrap_err();
        assert!(matches!(
            many,
            Exceeded::Ever {
                quota: "tasks",
                has: 11,
                ..
            }
        ));
    }
}

//! The open requests of each tenant, as far as this instance has seen them begin. It hears of
//! every commit, also of those that other instances make.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::access::Tenant;
use domain::request::RequestId;
use nats::Notice;

/// Counts the open requests. Nothing is counted while every request belongs to one tenant and none
/// is limited.
#[derive(Default)]
pub struct Open {
    is_on: AtomicBool,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    requests: HashMap<RequestId, (Tenant, Instant)>,
    counts: HashMap<Tenant, usize>,
}

impl Open {
    /// Nothing is open. `is_limited` says whether a quota needs the counts.
    pub fn new(is_limited: bool) -> Self {
        Self {
            is_on: AtomicBool::new(is_limited),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether requests are counted. They are from the first one of a named tenant on.
    pub fn counts_for(&self, tenant: &Tenant) -> bool {
        if !tenant.is_default() && !self.is_on.load(Ordering::Relaxed) {
            self.is_on.store(true, Ordering::Relaxed);
        }
        self.is_on.load(Ordering::Relaxed)
    }

    /// How many requests of a tenant are open, and how many of all.
    pub fn count(&self, tenant: &Tenant) -> (usize, usize) {
        let known = self.known();
        let own = known.counts.get(tenant).copied().unwrap_or(0);
        (own, known.requests.len())
    }

    /// Counts a request. Returns whether it was not counted before.
    pub fn begin(&self, tenant: &Tenant, request: RequestId) -> bool {
        if !self.counts_for(tenant) {
            return false;
        }
        let mut known = self.known();
        let entry = (tenant.clone(), Instant::now());
        let is_new = known.requests.insert(request, entry).is_none();
        if is_new {
            *known.counts.entry(tenant.clone()).or_default() += 1;
        }
        is_new
    }

    /// Counts a request no longer.
    pub fn end(&self, request: RequestId) {
        if !self.is_on.load(Ordering::Relaxed) {
            return;
        }
        let mut known = self.known();
        let Some((tenant, _)) = known.requests.remove(&request) else {
            return;
        };
        if let Some(count) = known.counts.get_mut(&tenant) {
            *count -= 1;
            if *count == 0 {
                known.counts.remove(&tenant);
            }
        }
    }

    /// Takes note of a commit.
    pub fn hear(&self, notice: &Notice) {
        if notice.terminal {
            self.end(notice.request);
            return;
        }
        let tenant = notice.tenant();
        if self.counts_for(&tenant) && notice.begins() {
            self.begin(&tenant, notice.request);
        }
    }

    /// The requests that have been counted for this long, the oldest first and at most `most`. Their
    /// ends may have been missed.
    pub fn counted_for(&self, long: Duration, most: usize) -> Vec<RequestId> {
        if !self.is_on.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let known = self.known();
        let old = known.requests.iter();
        let old = old.filter(|(_, (_, since))| since.elapsed() >= long);
        let mut old: Vec<(Instant, RequestId)> = old
            .map(|(request, (_, since))| (*since, *request))
            .collect();
        old.sort_unstable();
        old.into_iter()
            .map(|(_, request)| request)
            .take(most)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_counts_once_for_its_tenant_until_it_ends() {
        let open = Open::new(false);
        let red: Tenant = "red".parse().unwrap();
        let request = |n: &str| RequestId::of_key("test", n);
        open.begin(&Tenant::default(), request("before"));
        assert_eq!(
            open.count(&Tenant::default()),
            (0, 0),
            "nobody uses tenants"
        );
        open.begin(&red, request("1"));
        open.begin(&red, request("1"));
        open.begin(&Tenant::default(), request("2"));
        assert_eq!(open.count(&red), (1, 2));
        open.end(request("1"));
        open.end(request("1"));
        assert_eq!(open.count(&red), (0, 1));
        assert_eq!(open.counted_for(Duration::ZERO, 10), [request("2")]);
        open.end(request("2"));
        assert_eq!(open.count(&Tenant::default()), (0, 0));
    }
}

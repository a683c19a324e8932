//! The instruments with one value. Each is an atomic number: counting takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter;
use prometheus_client::metrics::gauge;

/// A number that only grows.
pub type Counter = counter::Counter<u64, AtomicU64>;

/// A counter that something else keeps, such as the kernel. It is copied before each scrape.
pub type Mirror = counter::Counter<f64, AtomicU64>;

/// A number that grows and falls.
pub type Gauge = gauge::Gauge<f64, AtomicU64>;

/// What can be set into a [`Gauge`] besides a number.
pub trait Level {
    /// Sets a count.
    fn count(&self, count: u64);
    /// Sets a time, in seconds since 1970.
    fn at(&self, at: SystemTime);
    /// Sets a length of time, in seconds.
    fn lasting(&self, time: Duration);
    /// Sets 1 or 0.
    fn is(&self, is: bool);
}

impl Level for Gauge {
    #[allow(clippy::cast_precision_loss)] // A float is exact up to 2^53.
    fn count(&self, count: u64) {
        self.set(count as f64);
    }

    fn at(&self, at: SystemTime) {
        self.lasting(at.duration_since(UNIX_EPOCH).unwrap_or_default());
    }

    fn lasting(&self, time: Duration) {
        self.set(time.as_secs_f64());
    }

    fn is(&self, is: bool) {
        self.set(if is { 1.0 } else { 0.0 });
    }
}

/// The time that is this many milliseconds after 1970 began.
#[must_use]
pub fn since_1970(millis: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Copies a counter that something else keeps.
pub(crate) fn mirror(counter: &Mirror, value: f64) {
    counter.inner().store(value.to_bits(), Ordering::Relaxed);
}

//! A count of what is in use, with a limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a tenant uses of something now, and may use at most.
#[derive(Clone, Debug)]
pub struct Gauge {
    used: Arc<AtomicUsize>,
    most: usize,
}

/// An amount that is in use. Dropping it gives the amount back.
#[derive(Debug)]
pub struct Held {
    of: Gauge,
    amount: usize,
}

impl Gauge {
    pub fn new(most: usize) -> Self {
        Self {
            used: Arc::default(),
            most,
        }
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn left(&self) -> usize {
        self.most.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Nothing, which may grow.
    pub fn nothing(&self) -> Held {
        Held {
            of: self.clone(),
            amount: 0,
        }
    }

    /// An amount; `None` where that would be more than the limit.
    pub fn take(&self, amount: usize) -> Option<Held> {
        let mut held = self.nothing();
        held.grow(amount).then_some(held)
    }
}

impl Held {
    /// Takes more. Returns false, and takes nothing, where that would be more than the limit.
    pub fn grow(&mut self, by: usize) -> bool {
        let most = self.of.most;
        let more = |used: usize| used.checked_add(by).filter(|used| *used <= most);
        let grown = self
            .of
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok();
        if grown {
            self.amount += by;
        }
        grown
    }

    pub fn of(&self) -> &Gauge {
        &self.of
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.used.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_in_use_than_the_limit_and_what_is_dropped_can_be_used_again() {
        let gauge = Gauge::new(10);
        let mut held = gauge.take(6).unwrap();
        assert!(gauge.take(5).is_none());
        assert!(!held.grow(5));
        assert!(held.grow(4));
        assert_eq!(gauge.left(), 0);
        drop(held);
        assert_eq!(gauge.left(), 10);
    }
}

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AttemptNumber, TaskId};

/// Whether a fault allows another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Trying again cannot help.
    Never,
    /// The policy of the task type decides.
    ByPolicy,
    /// A retry is allowed after this delay, which the called service asked for.
    After(Duration),
}

/// When a failed attempt is tried again: exponential backoff with jitter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first one.
    pub attempts: u32,
    /// The delay before the second attempt, in milliseconds.
    pub initial_ms: u64,
    /// The factor by which each further delay grows.
    pub factor: f64,
    /// The longest delay, in milliseconds.
    pub maximum_ms: u64,
    /// The random share of the delay, from 0 to 1.
    pub jitter: f64,
    /// Codes that are tried again even if the fault says never.
    pub retryable: Vec<String>,
    /// Codes that are never tried again.
    pub non_retryable: Vec<String>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 3,
            initial_ms: 500,
            factor: 2.0,
            maximum_ms: 60_000,
            jitter: 0.2,
            retryable: Vec::new(),
            non_retryable: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// The delay before the next attempt, after the run has `made` so many; `None` if that was the
    /// last one. `chance`, from 0 to 1, places the delay within its jitter.
    #[must_use]
    pub fn delay(&self, made: u32, code: &str, retry: Retry, chance: f64) -> Option<Duration> {
        if made >= self.attempts || !self.may_retry(code, retry) {
            return None;
        }
        match retry {
            Retry::After(delay) => Some(delay),
            Retry::Never | Retry::ByPolicy => Some(self.backoff(made, chance)),
        }
    }

    /// Whether this policy retries a fault with this code. The number of attempts is checked
    /// elsewhere.
    #[must_use]
    pub fn may_retry(&self, code: &str, retry: Retry) -> bool {
        let named = |codes: &[String]| codes.iter().any(|c| c == code);
        !named(&self.non_retryable) && (retry != Retry::Never || named(&self.retryable))
    }

    #[allow(clippy::cast_precision_loss)] // Milliseconds of delays are far below 2^52.
    fn backoff(&self, made: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(made.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = self.initial_ms as f64 * self.factor.powi(exponent);
        let capped = full.min(self.maximum_ms as f64).max(0.0);
        let spread = capped * self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64((capped - spread) / 1000.0).unwrap_or(Duration::ZERO)
    }
}

/// A number from 0 to 1 that differs by task and by attempt. It prevents tasks that failed together
/// from being tried again together.
#[must_use]
pub fn chance(task: TaskId, attempt: AttemptNumber) -> f64 {
    let seed = task.request.uuid().as_u128().to_be_bytes();
    let hash = seed
        .into_iter()
        .chain(task.task.get().to_be_bytes())
        .chain(attempt.get().to_be_bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(delay: Option<Duration>) -> Option<u128> {
        delay.map(|d| d.as_millis())
    }

    #[test]
    fn delays_grow_by_the_factor_up_to_the_maximum_and_end_with_the_attempts() {
        let policy = RetryPolicy {
            attempts: 5,
            initial_ms: 100,
            factor: 10.0,
            maximum_ms: 2_000,
            ..RetryPolicy::default()
        };
        let delays: Vec<_> = (1..=5)
            .map(|n| millis(policy.delay(n, "x", Retry::ByPolicy, 0.0)))
            .collect();
        assert_eq!(
            delays,
            [Some(100), Some(1000), Some(2000), Some(2000), None]
        );
    }

    #[test]
    fn jitter_only_shortens_a_delay_and_by_its_share_at_the_most() {
        let policy = RetryPolicy::default();
        assert_eq!(
            millis(policy.delay(1, "x", Retry::ByPolicy, 1.0)),
            Some(400)
        );
        assert_eq!(
            millis(policy.delay(1, "x", Retry::ByPolicy, 0.5)),
            Some(450)
        );
    }

    #[test]
    fn the_codes_of_the_policy_overrule_the_retry_hint_of_the_fault() {
        let policy = RetryPolicy {
            retryable: vec!["exit-65".into()],
            non_retryable: vec!["http-503".into()],
            ..RetryPolicy::default()
        };
        assert!(policy.delay(1, "exit-65", Retry::Never, 0.0).is_some());
        assert!(policy.delay(1, "exit-64", Retry::Never, 0.0).is_none());
        let after = Retry::After(Duration::from_secs(7));
        assert!(policy.delay(1, "http-503", after, 0.0).is_none());
        assert_eq!(millis(policy.delay(1, "http-429", after, 0.0)), Some(7000));
    }
}

//! The retry policy: the settings of an operator, and the hints of a fault.

use std::time::Duration;

use domain::request::{Retry, RetryPolicy};
use proptest::prelude::*;

#[test]
fn the_last_attempt_is_never_retried_whatever_the_fault_asks_for() {
    let policy = RetryPolicy {
        retryable: vec!["busy".into()],
        ..RetryPolicy::default()
    };
    for retry in [
        Retry::Never,
        Retry::ByPolicy,
        Retry::After(Duration::from_secs(1)),
    ] {
        assert_eq!(policy.delay(3, "busy", retry, 0.0), None);
        assert_eq!(policy.delay(9, "busy", retry, 0.0), None);
    }
}

#[test]
fn a_called_service_may_ask_for_a_delay_above_the_maximum() {
    let hour = Duration::from_hours(1);
    let policy = RetryPolicy::default();
    assert_eq!(policy.delay(1, "busy", Retry::After(hour), 1.0), Some(hour));
}

#[test]
fn a_code_on_both_lists_is_not_tried_again() {
    let policy = RetryPolicy {
        retryable: vec!["busy".into()],
        non_retryable: vec!["busy".into()],
        ..RetryPolicy::default()
    };
    assert_eq!(policy.delay(1, "busy", Retry::ByPolicy, 0.0), None);
}

#[test]
fn a_policy_takes_defaults_for_missing_fields_and_refuses_unknown_ones() {
    let policy: RetryPolicy = serde_json::from_str(r#"{"attempts": 7}"#).unwrap();
    assert_eq!(policy.attempts, 7);
    assert_eq!(policy.initial_ms, RetryPolicy::default().initial_ms);
    assert!(serde_json::from_str::<RetryPolicy>(r#"{"tries": 7}"#).is_err());
}

proptest! {
    #[test]
    fn no_delay_exceeds_the_maximum_or_overflows(
        attempts in any::<u32>(),
        initial_ms in any::<u64>(),
        factor in any::<f64>(),
        maximum_ms in 0..=86_400_000_u64,
        jitter in any::<f64>(),
        attempt in any::<u32>(),
        chance in any::<f64>(),
    ) {
        let policy = RetryPolicy {
            attempts,
            initial_ms,
            factor,
            maximum_ms,
            jitter,
            ..RetryPolicy::default()
        };
        let delay = policy.delay(attempt, "x", Retry::ByPolicy, chance);
        prop_assert_eq!(delay.is_some(), attempt < attempts);
        prop_assert!(delay.unwrap_or_default() <= Duration::from_millis(maximum_ms));
    }
}

//! The clock of this machine. Only builds with the feature `testing` can set it off, and only tests
//! enable that feature.

use jiff::Timestamp;

/// The time by the clock of this machine. `FANFOLD_TEST_CLOCK_OFFSET_MS` holds by how much a test
/// sets it off.
#[cfg(feature = "testing")]
pub(crate) fn now() -> Timestamp {
    use jiff::SignedDuration;

    let offset = std::env::var("FANFOLD_TEST_CLOCK_OFFSET_MS").ok();
    let offset = offset.and_then(|millis| millis.parse().ok());
    Timestamp::now() + SignedDuration::from_millis(offset.unwrap_or_default())
}

/// The time by the clock of this machine.
#[cfg(not(feature = "testing"))]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

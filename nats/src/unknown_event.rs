//! An older build for the tests of rolling upgrades: one that does not know an event. Only builds
//! with the feature `testing` can be made one, and only tests enable that feature.

use domain::request::EventKind;

/// The kind of an event that this build knows by this name.
pub(crate) fn known(name: &str) -> Option<EventKind> {
    EventKind::of_name(name).filter(|_| !is_hidden(name))
}

/// Whether a test hides an event from this process. `FANFOLD_UNKNOWN_EVENT` holds its name.
#[cfg(feature = "testing")]
pub(crate) fn is_hidden(name: &str) -> bool {
    std::env::var("FANFOLD_UNKNOWN_EVENT").is_ok_and(|hidden| hidden == name)
}

/// Hides nothing in a build that is not for tests.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub(crate) fn is_hidden(_name: &str) -> bool {
    false
}

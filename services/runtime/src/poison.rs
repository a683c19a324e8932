//! Poison for the tests of containment: bytes that end the process that works on them. Only builds
//! with the feature `testing` contain it, and only tests enable that feature.

/// Ends or blocks a role that works on bytes that contain the needle. `FANFOLD_POISON` holds
/// `role:kind:needle`, with commas between several. The kinds are `abort`, `panic` and `hang`.
#[cfg(feature = "testing")]
#[allow(clippy::panic)] // It is what it is for.
#[allow(clippy::missing_panics_doc)]
pub fn strike(role: &str, bytes: &[u8]) {
    let armed = std::env::var("FANFOLD_POISON").unwrap_or_default();
    for one in armed.split(',') {
        let mut parts = one.splitn(3, ':');
        let (of, kind, needle) = (parts.next(), parts.next(), parts.next());
        let Some(needle) = needle.filter(|needle| of == Some(role) && !needle.is_empty()) else {
            continue;
        };
        let mut places = bytes.windows(needle.len());
        if !places.any(|place| place == needle.as_bytes()) {
            continue;
        }
        tracing::error!(role, kind, "the poison of a test strikes");
        match kind {
            Some("abort") => std::process::abort(),
            Some("hang") => loop {
                std::thread::park();
            },
            _ => panic!("the poison of a test"),
        }
    }
}

/// Does nothing in a build without poison.
#[cfg(not(feature = "testing"))]
#[inline(always)]
pub fn strike(_role: &str, _bytes: &[u8]) {}

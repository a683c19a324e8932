//! Entry points for the fuzz targets: the reader of bundles, because a bundle comes from elsewhere.

use crate::bundle::{Bundle, StoredPayload};

/// Reads the plain lines of a bundle and everything that a bundle is asked for. Returns whether the
/// bundle is complete.
#[must_use]
pub fn bundle(text: &[u8]) -> Option<bool> {
    let bundle = Bundle::parse(text).ok()?;
    for request in bundle.requests() {
        let _ = bundle.commits_of(request);
    }
    for hash in bundle.payloads.keys() {
        let _ = bundle.payload(hash);
    }
    Some(bundle.damage.is_none())
}

/// The bytes of a stored payload that has only hex.
#[must_use]
pub fn hex(text: String) -> Option<Vec<u8>> {
    let payload = StoredPayload {
        sha256: String::new(),
        text: None,
        hex: Some(text),
    };
    payload.bytes().ok()
}

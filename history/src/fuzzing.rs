//! What the fuzz targets reach: the reader of bundles, which come from elsewhere.

use crate::bundle::{Bundle, StoredPayload};

/// Reads the plain lines of a bundle and all that is asked of one; whether it is a whole one.
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

/// The bytes of a stored payload of which only the hex is known.
#[must_use]
pub fn hex(text: String) -> Option<Vec<u8>> {
    let payload = StoredPayload {
        sha256: String::new(),
        text: None,
        hex: Some(text),
    };
    payload.bytes().ok()
}

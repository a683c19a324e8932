//! An answer that keeps its place until it is written, or its connection is closed. A caller that
//! reads slowly keeps one place, and takes no memory beyond it.

use axum::body::Bytes;

use crate::http::sharing::Part;

/// The bytes of an answer, and the place that goes with them.
struct Held {
    bytes: Vec<u8>,
    _place: Part,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes that keep a place until the last of them is written. The place belongs to the bytes and
/// not to the body: hyper drops a body as soon as it has taken its bytes.
pub fn held(bytes: Vec<u8>, place: Part) -> Bytes {
    Bytes::from_owner(Held {
        bytes,
        _place: place,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::sharing::{Caller, Shared};

    #[test]
    fn a_place_is_free_again_when_the_last_bytes_are_dropped() {
        let places = Shared::bytes(1, 1);
        let mut answer = held(b"text".to_vec(), places.take(Caller::NOBODY, 1).unwrap());
        assert_eq!(answer.split_to(2), "te");
        assert!(places.take(Caller::NOBODY, 1).is_err());
        drop(answer);
        assert!(places.take(Caller::NOBODY, 1).is_ok());
    }
}

//! The stored form of bodies: plain where they are small, compressed otherwise.

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;

use crate::Error;
use crate::size::{self, BODY_MAX_BYTES};

/// The encoding of a body that is not plain.
const ENCODING: HeaderName = HeaderName::from_static("Fanfold-Encoding");
/// A body of this size or more is compressed.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;
/// The most bytes of a body once decompressed.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Packs a body for storage, and notes the encoding in the headers. It refuses a body that would
/// not fit into a message with these headers, or that no reader could read again.
pub(crate) fn pack(what: &str, body: Vec<u8>, headers: &mut HeaderMap) -> Result<Bytes, Error> {
    if body.len() < COMPRESS_FROM_BYTES {
        return Ok(body.into());
    }
    let too_large = |bytes, limit| Error::TooLarge {
        what: what.to_owned(),
        bytes,
        limit,
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large(body.len(), MAX_BODY_BYTES));
    }
    let packed = zstd::bulk::compress(&body, 1).map_err(|error| Error::corrupt(what, error))?;
    headers.insert(ENCODING, "zstd");
    match size::beyond(headers, &packed) {
        Some(bytes) => Err(too_large(bytes, BODY_MAX_BYTES)),
        None => Ok(packed.into()),
    }
}

/// Unpacks and parses a stored body.
pub(crate) fn unpack<T: serde::de::DeserializeOwned>(
    headers: &HeaderMap,
    body: &[u8],
) -> Result<T, String> {
    let unpacked;
    let json = match headers.get(ENCODING).map(async_nats::HeaderValue::as_str) {
        None => body,
        Some("zstd") => {
            unpacked =
                zstd::bulk::decompress(body, MAX_BODY_BYTES).map_err(|error| error.to_string())?;
            unpacked.as_slice()
        }
        Some(other) => return Err(format!("its encoding '{other}' is not known")),
    };
    from_json(json).map_err(|error| error.to_string())
}

/// Parses JSON. It checks once that all of it is UTF-8, which takes less time than to check each
/// string.
pub(crate) fn from_json<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> serde_json::Result<T> {
    let text = std::str::from_utf8(json).map_err(serde::de::Error::custom)?;
    serde_json::from_str(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a text of this many bytes that hardly compresses.
    fn dense(bytes: usize) -> Vec<u8> {
        let mut last = 7_u64;
        let next = || {
            last = last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (last >> 33).to_le_bytes()[0]
        };
        std::iter::repeat_with(next).take(bytes).collect()
    }

    fn packed(bytes: Vec<u8>) -> Result<Bytes, Error> {
        pack("x", bytes, &mut HeaderMap::new())
    }

    #[test]
    fn a_commit_larger_than_the_reader_accepts_is_refused() {
        assert!(packed(vec![b' '; MAX_BODY_BYTES]).is_ok());
        let refused = packed(vec![b' '; MAX_BODY_BYTES + 1]).unwrap_err();
        let expected = Error::TooLarge {
            what: "x".into(),
            bytes: MAX_BODY_BYTES + 1,
            limit: MAX_BODY_BYTES,
        };
        assert_eq!(refused.to_string(), expected.to_string());
    }

    #[test]
    fn a_commit_larger_than_a_message_after_compression_is_refused() {
        assert!(packed(dense(BODY_MAX_BYTES - 1_024)).is_ok());
        let refused = packed(dense(BODY_MAX_BYTES + 1)).unwrap_err();
        assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
    }
}

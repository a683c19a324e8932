//! Bodies as they are stored: plain where they are small, else compressed.

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;

/// How a body is encoded, where it is not plain.
const ENCODING: HeaderName = HeaderName::from_static("Fanfold-Encoding");
/// A body of this size or more is compressed.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;
/// No body is larger than this once decompressed.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// The body to be stored; what is done to it is noted in the headers.
pub(crate) fn pack(body: Vec<u8>, headers: &mut HeaderMap) -> Result<Bytes, String> {
    if body.len() < COMPRESS_FROM_BYTES {
        return Ok(body.into());
    }
    let packed = zstd::bulk::compress(&body, 1).map_err(|error| error.to_string())?;
    headers.insert(ENCODING, "zstd");
    Ok(packed.into())
}

/// What a stored body says.
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
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

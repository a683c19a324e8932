//! Reading response bodies up to a limit.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH};

use super::FetchError;

/// Reads the body of a successful response.
pub async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, FetchError> {
    let status = response.status();
    if !status.is_success() {
        let reason = format!("the answer was {status}");
        let again = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
        return Err(if again {
            FetchError::Transient(reason)
        } else if status.is_redirection() {
            FetchError::Final(format!("{reason}: redirects are not followed"))
        } else {
            FetchError::Final(reason)
        });
    }
    let header = |name| {
        let value = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let encoding = header(CONTENT_ENCODING).unwrap_or_default();
    let announced = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| FetchError::of_exchange(&error))?
    {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    match encoding.trim() {
        "" | "identity" => Ok(bytes),
        "gzip" | "x-gzip" => inflate(&bytes, limit),
        other => Err(FetchError::Final(format!(
            "it comes in the encoding {other}"
        ))),
    }
}

/// Decompresses a body. The request did not ask for compression, but objects may be stored
/// compressed. Decompression stops at the limit, however large a bomb would grow.
fn inflate(packed: &[u8], limit: usize) -> Result<Vec<u8>, FetchError> {
    let mut bytes = Vec::new();
    let room = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(packed)
        .take(room)
        .read_to_end(&mut bytes)
        .map_err(|error| FetchError::Final(format!("it cannot be decompressed: {error}")))?;
    if bytes.len() > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

pub fn too_large(limit: usize) -> FetchError {
    FetchError::Final(format!("it is larger than HREF_MAX_BYTES, {limit} bytes"))
}

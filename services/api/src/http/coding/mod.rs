//! The content codings of request bodies, decoded a slice at a time.

mod gzip;
mod zstandard;

use axum::http::{HeaderMap, StatusCode, header};

use crate::http::problem::Problem;

/// About how many bytes one slice produces, and the most bytes that it consumes. A slice takes well
/// under a millisecond.
pub const SLICE_BYTES: usize = 64 * 1024;
/// The maximum number of gzip members or zstd frames in a body. Each one has a fixed cost, even
/// when it is almost empty.
pub const STREAMS_MAX: usize = 10_000;

/// Why a body does not match its Content-Encoding, or cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The body is not in that coding, or other bytes follow it.
    Corrupt,
    /// The body ends early, or its checksum is wrong.
    Truncated,
    /// The body has too many members or frames.
    TooManyStreams,
    /// A zstd frame needs more memory than RFC 9659 allows.
    WindowTooLarge(u64),
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Corrupt => f.write_str("it is not in its Content-Encoding"),
            Self::Truncated => f.write_str("it ended early, or its checksum is wrong"),
            Self::TooManyStreams => write!(f, "it has more than {STREAMS_MAX} members or frames"),
            Self::WindowTooLarge(bytes) => write!(
                f,
                "its zstd window is {bytes} bytes, and at most {} are allowed (RFC 9659)",
                zstandard::WINDOW_MAX_BYTES
            ),
        }
    }
}

/// The result of decoding one slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// The number of bytes consumed.
    pub taken: usize,
    /// An upper bound on the memory that the decoder holds now, in bytes.
    pub holds: usize,
    /// Whether the decoder has more output without more input.
    pub more: bool,
}

/// Decodes a body from its content coding.
pub enum Decoder {
    Gzip(Box<gzip::Members>),
    Zstd(Box<zstandard::Frames>),
}

impl Decoder {
    /// The decoder for the content coding in the headers; `None` when the body has no coding.
    /// Coding names are case-insensitive. Of several codings at most one may differ from
    /// `identity`.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut decoder = None;
        for value in headers.get_all(header::CONTENT_ENCODING) {
            let names = value.to_str().map_err(|_| unknown())?.split(',');
            for name in names.map(str::trim).filter(|name| !name.is_empty()) {
                if name.eq_ignore_ascii_case("identity") {
                    continue;
                }
                let known = Self::named(name).ok_or_else(unknown)?;
                if decoder.replace(known).is_some() {
                    return Err(unknown());
                }
            }
        }
        Ok(decoder)
    }

    fn named(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("gzip") || is("x-gzip") {
            return Some(Self::Gzip(Box::default()));
        }
        is("zstd")
            .then(|| zstandard::Frames::new().ok())?
            .map(|frames| Self::Zstd(Box::new(frames)))
    }

    /// Decodes a slice of the bytes that have arrived, and appends the output to `out`.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Slice, Broken> {
        match self {
            Self::Gzip(members) => members.decode(bytes, out),
            Self::Zstd(frames) => frames.decode(bytes, out),
        }
    }

    /// Appends the remaining output to `out`. Fails when the body may not end here.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        match self {
            Self::Gzip(members) => members.finish(out),
            Self::Zstd(frames) => frames.finish(),
        }
    }
}

fn unknown() -> Problem {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let message = "the Content-Encoding is not known: send gzip, zstd, or none";
    Problem::new(status, "unsupported-content-encoding", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
        }
        match Decoder::of(&headers).ok()? {
            None => Some("none"),
            Some(Decoder::Gzip(_)) => Some("gzip"),
            Some(Decoder::Zstd(_)) => Some("zstd"),
        }
    }

    #[test]
    fn coding_names_ignore_case_and_identity_means_no_coding() {
        for (values, coding) in [
            (&[][..], Some("none")),
            (&["identity"], Some("none")),
            (&[""], Some("none")),
            (&["GZip"], Some("gzip")),
            (&["x-gzip"], Some("gzip")),
            (&["X-GZIP, Identity"], Some("gzip")),
            (&["ZSTD"], Some("zstd")),
            (&["identity", "zstd"], Some("zstd")),
            (&["br"], None),
            (&["gzip, gzip"], None),
            (&["gzip", "zstd"], None),
            (&["gzip;q=1"], None),
        ] {
            assert_eq!(chosen(values), coding, "{values:?}");
        }
    }
}

/// Helpers that the tests of all codings share.
#[cfg(test)]
mod whole {
    use super::{Broken, Decoder, SLICE_BYTES};

    /// Decodes a whole body that arrives in pieces of this size. Also returns the most memory that
    /// the decoder held.
    pub fn decoded(coding: &str, body: &[u8], piece: usize) -> Result<(Vec<u8>, usize), Broken> {
        let mut decoder = Decoder::named(coding).unwrap();
        let (mut whole, mut held) = (Vec::new(), 0);
        for mut bytes in body.chunks(piece) {
            let mut more = false;
            while more || !bytes.is_empty() {
                let mut out = Vec::new();
                let slice = decoder.decode(bytes, &mut out)?;
                more = slice.more;
                assert!(slice.taken <= SLICE_BYTES && out.len() <= 2 * SLICE_BYTES);
                held = held.max(slice.holds);
                whole.extend(out);
                bytes = &bytes[slice.taken..];
            }
        }
        decoder.finish(&mut whole)?;
        Ok((whole, held))
    }
}

//! The content codings of request bodies, decoded a slice at a time.

mod gzip;
mod zstandard;

use axum::http::{HeaderMap, StatusCode, header};

use crate::failure::Problem;

/// So much comes out of one slice, about, and no more is taken in: a slice takes well under a
/// millisecond.
pub const SLICE_BYTES: usize = 64 * 1024;
/// So many gzip members, or zstd frames, a body may have: each costs its own beginning, however
/// little is in it.
pub const STREAMS_MAX: usize = 10_000;

/// Why a body is not what its Content-Encoding says, or is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It is not in that coding, or other bytes follow.
    Corrupt,
    /// It ends early, or its checksum is wrong.
    Truncated,
    /// It has too many members or frames.
    TooManyStreams,
    /// A zstd frame wants more memory than RFC 9659 lets it.
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
                "its zstd window is {bytes} bytes, and {} are the most (RFC 9659)",
                zstandard::WINDOW_MAX_BYTES
            ),
        }
    }
}

/// What became of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// So many bytes were taken in.
    pub taken: usize,
    /// So much memory the decoder holds by now, at the most.
    pub holds: usize,
    /// Whether more comes out, though nothing more goes in.
    pub more: bool,
}

/// What takes a body out of its coding.
pub enum Decoder {
    Gzip(Box<gzip::Members>),
    Zstd(Box<zstandard::Frames>),
}

impl Decoder {
    /// The decoder for what the headers say; none where the body is as it is. Names are without
    /// case; of several codings only one may be more than `identity`.
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

    /// Decodes a slice of what has come, onto the end of `out`.
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Slice, Broken> {
        match self {
            Self::Gzip(members) => members.decode(bytes, out),
            Self::Zstd(frames) => frames.decode(bytes, out),
        }
    }

    /// What is still to come out of it, where the body may end here.
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
    fn names_are_without_case_and_identity_is_none() {
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

/// What the codings' own tests share.
#[cfg(test)]
mod whole {
    use super::{Broken, Decoder, SLICE_BYTES};

    /// Decodes all of it as it comes in pieces of this size; with the most memory it held.
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

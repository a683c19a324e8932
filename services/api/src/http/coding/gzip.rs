//! gzip (RFC 1952): one member after another.

use std::io::Write;

use flate2::write::GzDecoder;

use super::{Broken, SLICE_BYTES, STREAMS_MAX, Slice};

/// The memory of one member's decoder: its window, its tables and its pending output.
const HOLDS: usize = 128 * 1024;

/// The members of a body.
pub struct Members {
    member: GzDecoder<Vec<u8>>,
    /// The number of members that have begun.
    begun: usize,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            member: GzDecoder::new(Vec::new()),
            begun: 1,
        }
    }
}

impl Members {
    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Slice, Broken> {
        let mut left = &bytes[..bytes.len().min(SLICE_BYTES)];
        let (most, begun) = (out.len() + SLICE_BYTES, self.begun);
        // A member's beginning costs as much as a large part of its data.
        while !left.is_empty() && out.len() < most && self.begun - begun < 16 {
            // One write produces at most 32 KiB.
            match self.member.write(left) {
                Ok(0) => self.next(out)?,
                Ok(taken) => left = &left[taken..],
                Err(_) => return Err(Broken::Corrupt),
            }
            out.append(self.member.get_mut());
        }
        Ok(Slice {
            taken: bytes.len().min(SLICE_BYTES) - left.len(),
            holds: HOLDS,
            more: false,
        })
    }

    /// Starts the next member: only another member may follow a member.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.member.try_finish().map_err(|_| Broken::Corrupt)?;
        out.append(self.member.get_mut());
        if self.begun == STREAMS_MAX {
            return Err(Broken::TooManyStreams);
        }
        self.begun += 1;
        self.member = GzDecoder::new(Vec::new());
        Ok(())
    }

    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.member.try_finish().is_err() {
            // Too few bytes for a member header: something other than a member follows the last
            // one.
            let is_member = self.begun == 1 || self.member.header().is_some();
            // For a truncated member the decoder can tell only that the checksum is missing.
            return Err(if is_member {
                Broken::Truncated
            } else {
                Broken::Corrupt
            });
        }
        out.append(self.member.get_mut());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::http::coding::whole::decoded;

    fn member(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_members_are_read_however_they_come() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let body = [member(&text), member(b""), member(b"end")].concat();
        for piece in [1, 7, 64 * 1024, usize::MAX] {
            let (whole, _) = decoded("gzip", &body, piece).unwrap();
            assert!(whole == [&text[..], b"end"].concat(), "{piece}");
        }
    }

    #[test]
    fn a_body_that_is_cut_off_or_has_trailing_bytes_is_refused() {
        let body = member(b"some text that is there");
        for cut in 1..body.len() {
            assert!(decoded("gzip", &body[..cut], 5).is_err(), "{cut}");
        }
        for behind in [&b"x"[..], b"\0", b"xxxxxxxxxxxxxxxxxxxxxxx"] {
            assert!(decoded("gzip", &[&body, behind].concat(), 64).is_err());
        }
        let mut wrong = body.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert!(decoded("gzip", &wrong, 64).is_err(), "its size is wrong");
    }

    #[test]
    fn a_body_with_one_member_beyond_the_limit_is_refused() {
        let most = member(b"").repeat(STREAMS_MAX);
        assert_eq!(decoded("gzip", &most, 64 * 1024).unwrap().0, b"");
        let more = [most, member(b"")].concat();
        let refused = decoded("gzip", &more, 64 * 1024).unwrap_err();
        assert_eq!(refused, Broken::TooManyStreams);
    }

    #[test]
    fn a_highly_compressed_body_is_decoded_in_slices() {
        let body = member(&vec![0; 50_000_000]);
        // `decoded` checks each slice.
        let (whole, _) = decoded("gzip", &body, usize::MAX).unwrap();
        assert_eq!(whole.len(), 50_000_000);
    }
}

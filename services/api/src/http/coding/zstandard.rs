//! Zstandard (RFC 8878): one frame after another, each with a window of at most 8 MiB.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Broken, SLICE_BYTES, STREAMS_MAX, Slice};

/// The largest window (RFC 9659): the amount of recent output that a decoder keeps.
pub const WINDOW_MAX_BYTES: u64 = 1 << WINDOW_MAX_LOG;
const WINDOW_MAX_LOG: u32 = 23;
/// The largest block.
const BLOCK_MAX_BYTES: u64 = 128 * 1024;
/// The memory of a decoder in addition to its window and some blocks.
const TABLES_BYTES: usize = 160 * 1024;

/// The frames of a body.
pub struct Frames {
    decoder: Decoder<'static>,
    /// The bytes of a frame header that is not complete yet. The decoder receives a header only
    /// when it is complete.
    head: Vec<u8>,
    within: bool,
    begun: usize,
    /// The largest window so far.
    window: u64,
}

impl Frames {
    pub fn new() -> std::io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(WINDOW_MAX_LOG))?;
        Ok(Self {
            decoder,
            head: Vec::new(),
            within: false,
            begun: 0,
            window: 0,
        })
    }

    pub fn decode(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Slice, Broken> {
        if !self.within {
            return self.begin(bytes);
        }
        let from = out.len();
        out.resize(from + SLICE_BYTES, 0);
        let run = self.run(&bytes[..bytes.len().min(SLICE_BYTES)], &mut out[from..]);
        let (taken, made) = run?;
        out.truncate(from + made);
        let more = made == SLICE_BYTES;
        Ok(Slice {
            more,
            ..self.slice(taken)
        })
    }

    /// Collects the header of a frame, a byte at a time. The header states how much memory the
    /// frame needs.
    fn begin(&mut self, bytes: &[u8]) -> Result<Slice, Broken> {
        for (before, byte) in bytes.iter().enumerate() {
            self.head.push(*byte);
            let Some(window) = window(&self.head)? else {
                continue;
            };
            if window > WINDOW_MAX_BYTES {
                return Err(Broken::WindowTooLarge(window));
            }
            if self.begun == STREAMS_MAX {
                return Err(Broken::TooManyStreams);
            }
            self.begun += 1;
            self.window = self.window.max(window);
            self.within = true;
            let head = std::mem::take(&mut self.head);
            let (taken, _) = self.run(&head, &mut [])?;
            // The decoder must consume the whole header, because no byte of it is data.
            return if taken == head.len() {
                Ok(self.slice(before + 1))
            } else {
                Err(Broken::Corrupt)
            };
        }
        Ok(self.slice(bytes.len()))
    }

    fn run(&mut self, bytes: &[u8], room: &mut [u8]) -> Result<(usize, usize), Broken> {
        let mut input = InBuffer::around(bytes);
        let mut output = OutBuffer::around(room);
        let hint = self.decoder.run(&mut input, &mut output);
        let hint = hint.map_err(|_| Broken::Corrupt)?;
        let (taken, made) = (input.pos(), output.pos());
        if hint == 0 {
            self.within = false;
            self.decoder.reinit().map_err(|_| Broken::Corrupt)?;
        }
        Ok((taken, made))
    }

    fn slice(&self, taken: usize) -> Slice {
        let blocks = 3 * self.window.min(BLOCK_MAX_BYTES);
        let holds = usize::try_from(self.window + blocks).unwrap_or(usize::MAX);
        Slice {
            taken,
            holds: TABLES_BYTES + holds,
            more: false,
        }
    }

    pub fn finish(&self) -> Result<(), Broken> {
        if self.within || !self.head.is_empty() || self.begun == 0 {
            return Err(Broken::Truncated);
        }
        Ok(())
    }
}

/// The size of the window that a frame header asks for (RFC 8878, 3.1.1.1); `None` while the header
/// is incomplete. A skippable frame has no window.
fn window(head: &[u8]) -> Result<Option<u64>, Broken> {
    const MAGIC: u32 = 0xFD2F_B528;
    let Some(magic) = head.first_chunk().copied().map(u32::from_le_bytes) else {
        return Ok(None);
    };
    if magic & 0xFFFF_FFF0 == 0x184D_2A50 {
        return Ok((head.len() == 8).then_some(0));
    }
    if magic != MAGIC {
        return Err(Broken::Corrupt);
    }
    let Some(descriptor) = head.get(4) else {
        return Ok(None);
    };
    let single = descriptor & 0x20 != 0;
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = match descriptor >> 6 {
        0 => usize::from(single),
        flag => 1 << flag,
    };
    let size_at = 5 + usize::from(!single) + dictionary;
    if head.len() < size_at + size {
        return Ok(None);
    }
    if !single {
        let (exponent, mantissa) = (head[5] >> 3, u64::from(head[5] & 7));
        let base = 1_u64 << (10 + exponent);
        return Ok(Some(base + base / 8 * mantissa));
    }
    let mut bytes = [0; 8];
    bytes[..size].copy_from_slice(&head[size_at..size_at + size]);
    let content = u64::from_le_bytes(bytes);
    Ok(Some(if size == 2 { content + 256 } else { content }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zstd::stream::raw::CParameter;

    use super::*;
    use crate::http::coding::whole::decoded;

    fn frame(bytes: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder
            .set_parameter(CParameter::WindowLog(window_log))
            .unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_frames_are_read_however_they_come() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let passed_over = [
            &0x184D_2A53_u32.to_le_bytes()[..],
            &3_u32.to_le_bytes(),
            b"abc",
        ]
        .concat();
        let single = zstd::bulk::compress(b"in one piece", 3).unwrap();
        let body = [frame(&text, 17), passed_over, frame(b"", 10), single].concat();
        for piece in [1, 7, 64 * 1024, usize::MAX] {
            let (whole, _) = decoded("zstd", &body, piece).unwrap();
            assert!(whole == [&text[..], b"in one piece"].concat(), "{piece}");
        }
    }

    #[test]
    fn a_window_of_8_mib_is_taken_and_one_beyond_is_refused() {
        let (whole, held) = decoded("zstd", &frame(b"text", 23), 5).unwrap();
        assert_eq!(whole, b"text");
        assert!(held as u64 >= WINDOW_MAX_BYTES && held < 9 << 20, "{held}");
        let refused = decoded("zstd", &frame(b"text", 24), 5).unwrap_err();
        assert_eq!(refused, Broken::WindowTooLarge(1 << 24));
        assert!(refused.to_string().contains("8388608"), "{refused}");
        // The next larger size that a window can have.
        let beyond = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 13 << 3 | 1]].concat();
        let refused = decoded("zstd", &beyond, 64).unwrap_err();
        assert_eq!(refused, Broken::WindowTooLarge((1 << 23) + (1 << 20)));
    }

    #[test]
    fn a_frame_that_declares_its_size_has_a_window_of_that_size() {
        let small = zstd::bulk::compress(&vec![7; 20_000], 3).unwrap();
        let (_, held) = decoded("zstd", &small, 64).unwrap();
        assert!(held < 300 * 1024, "{held}");
        let single = |size: u32| {
            let magic = 0xFD2F_B528_u32.to_le_bytes();
            [&magic[..], &[0b1010_0000], &size.to_le_bytes()].concat()
        };
        assert_eq!(window(&single(1 << 23)).unwrap(), Some(1 << 23));
        let refused = decoded("zstd", &single((1 << 23) + 1), 64).unwrap_err();
        assert_eq!(refused, Broken::WindowTooLarge((1 << 23) + 1));
    }

    #[test]
    fn a_body_that_is_cut_off_or_has_trailing_bytes_is_refused() {
        let body = frame(b"some text that is there", 17);
        for cut in 1..body.len() {
            assert!(decoded("zstd", &body[..cut], 5).is_err(), "{cut}");
        }
        for behind in [&b"x"[..], b"\0\0\0\0", b"xxxxxxxxxxxxxxxxxxxxxxx"] {
            assert!(decoded("zstd", &[&body, behind].concat(), 64).is_err());
        }
    }

    #[test]
    fn a_body_with_one_frame_beyond_the_limit_is_refused() {
        let most = frame(b"", 10).repeat(STREAMS_MAX);
        assert_eq!(decoded("zstd", &most, 64 * 1024).unwrap().0, b"");
        let more = [most, frame(b"", 10)].concat();
        let refused = decoded("zstd", &more, 64 * 1024).unwrap_err();
        assert_eq!(refused, Broken::TooManyStreams);
    }

    #[test]
    fn a_highly_compressed_body_is_decoded_in_slices() {
        let body = frame(&vec![0; 50_000_000], 23);
        // `decoded` checks each slice.
        let (whole, _) = decoded("zstd", &body, usize::MAX).unwrap();
        assert_eq!(whole.len(), 50_000_000);
    }
}

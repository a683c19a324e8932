//! A bundle as a file: JSON lines under zstd, or plain.

use std::io::Write as _;
use std::path::Path;

use nats::sha256;

use super::Line;
use crate::Error;

/// The magic number that zstd begins with.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The largest accepted bundle after decompression, in bytes.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// The zstd compression level.
const LEVEL: i32 = 9;

/// Packs lines into a bundle file. The function adds the last line, with their hash.
pub fn pack(lines: &[Line], compressed: bool) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    for line in lines {
        put(&mut text, line)?;
    }
    let end = Line::End {
        lines: lines.len(),
        sha256: sha256(&text),
    };
    put(&mut text, &end)?;
    if compressed {
        return Ok(zstd::bulk::compress(&text, LEVEL)?);
    }
    Ok(text)
}

fn put(text: &mut Vec<u8>, line: &Line) -> Result<(), Error> {
    serde_json::to_writer(&mut *text, line).map_err(std::io::Error::from)?;
    Ok(text.write_all(b"\n")?)
}

/// The plain lines of a bundle file.
pub fn unpack(path: &Path) -> Result<Vec<u8>, Error> {
    use std::io::Read as _;
    let named = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NotFound(format!("there is no {}", path.display())),
        _ => Error::Unreadable(format!("{}: {error}", path.display())),
    };
    let bytes = std::fs::read(path).map_err(named)?;
    if !bytes.starts_with(&ZSTD) {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    zstd::Decoder::new(bytes.as_slice())
        .and_then(|decoder| decoder.take(MAX_BYTES).read_to_end(&mut text))
        .map_err(named)?;
    Ok(text)
}

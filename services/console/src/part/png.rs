//! Pictures of a matrix: a PNG with a palette, so that a hundred thousand tasks are one small file.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};
use history::heat::{COLUMNS, Heat};

/// The shades of cells in which attempts ran.
const SHADES: usize = 6;
/// The indexes of the palette: nothing, then the shades, then the shades of failures.
const BUSY: usize = 1;
const FAILED: usize = BUSY + SHADES;
/// The colors. They can be read on white and on black.
const BUSY_COLOR: [u8; 3] = [0x1c, 0x8f, 0xa6];
const FAILED_COLOR: [u8; 3] = [0xe0, 0x54, 0x1f];

/// The picture of a matrix.
pub fn of(heat: &Heat) -> Result<Vec<u8>, std::io::Error> {
    let most = heat.busy.iter().copied().max().unwrap_or(1).max(1);
    let cells = heat.busy.iter().zip(&heat.failed);
    let indexes: Vec<u8> = cells
        .map(|(busy, failed)| index(*busy, *failed, most))
        .collect();
    written(COLUMNS, heat.rows, &indexes)
}

/// The index of a cell in the palette.
fn index(busy: u8, failed: u8, most: u8) -> u8 {
    let shade = |count: u8, most: u8| {
        // The first shade is for one, and the last for the most.
        usize::from(count) * (SHADES - 1) / usize::from(most)
    };
    let index = match (busy, failed) {
        (_, 1..) => FAILED + shade(failed.min(most), most),
        (0, 0) => 0,
        (busy, 0) => BUSY + shade(busy, most),
    };
    u8::try_from(index).unwrap_or(0)
}

/// The palette: the colors, and how opaque each is.
fn palette() -> (Vec<u8>, Vec<u8>) {
    let (mut colors, mut opacity) = (vec![0; 3], vec![0]);
    for (color, weakest) in [(BUSY_COLOR, 70_usize), (FAILED_COLOR, 170)] {
        for shade in 0..SHADES {
            colors.extend(color);
            let alpha = weakest + (255 - weakest) * shade / (SHADES - 1);
            opacity.push(u8::try_from(alpha).unwrap_or(u8::MAX));
        }
    }
    (colors, opacity)
}

/// A PNG of eight bits a pixel with the palette.
fn written(width: usize, height: usize, indexes: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    let size = |number: usize| u32::try_from(number).unwrap_or(0).to_be_bytes();
    let mut head = Vec::new();
    head.extend(size(width));
    head.extend(size(height));
    // Eight bits, a palette, deflate, the usual filters, no interlacing.
    head.extend([8, 3, 0, 0, 0]);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in indexes.chunks(width) {
        packed.write_all(&[0])?;
        packed.write_all(row)?;
    }
    let (colors, opacity) = palette();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", head),
        (b"PLTE", colors),
        (b"tRNS", opacity),
        (b"IDAT", packed.finish()?),
        (b"IEND", Vec::new()),
    ] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&data);
        png.extend(size(data.len()));
        png.extend(kind);
        png.extend(&data);
        png.extend(crc.sum().to_be_bytes());
    }
    Ok(png)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_seen_among_any_number_of_attempts() {
        let most = 200;
        assert_eq!(index(0, 0, most), 0);
        assert_eq!(usize::from(index(1, 0, most)), BUSY);
        assert_eq!(usize::from(index(200, 0, most)), BUSY + SHADES - 1);
        assert!(usize::from(index(200, 1, most)) >= FAILED);
        assert!(usize::from(index(200, 255, most)) < FAILED + SHADES);
    }

    #[test]
    fn a_picture_has_a_head_a_palette_and_its_rows() {
        let png = written(3, 2, &[0, 1, 2, 3, 4, 5]).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x03\0\0\0\x02\x08\x03"));
        let (colors, opacity) = palette();
        assert_eq!(colors.len(), opacity.len() * 3);
        assert_eq!(opacity[0], 0);
    }
}

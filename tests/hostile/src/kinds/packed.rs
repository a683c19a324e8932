//! Submissions that grow by decompression.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::{Kind, grouped, project};

const GZIP: &[(&str, &str)] = &[("content-encoding", "gzip")];
const ZSTD: &[(&str, &str)] = &[("content-encoding", "zstd")];

/// The window of an ordinary caller's decoder, as a power of two.
const WINDOW_LOG: u32 = 27;

pub const KINDS: &[Kind] = &[
    Kind::new("gzip-bomb", "64 MiB of blanks under gzip.", || {
        gzip(&vec![b' '; 64 * 1024 * 1024])
    })
    .with(GZIP),
    Kind::new("zstd-bomb", "1 GiB of blanks under zstd.", || {
        zstd_of(&vec![b' '; 16 * 1024 * 1024], 64, None)
    })
    .with(ZSTD),
    Kind::new(
        "zstd-window",
        "A document under zstd with a window of 128 MiB (V13).",
        || {
            zstd_of(
                &grouped(&" ".repeat(10_000_000), "<valuation/>"),
                1,
                Some(WINDOW_LOG),
            )
        },
    )
    .with(ZSTD),
    Kind::new(
        "gzip-of-nodes",
        "1.9 million nodes out of 20 KB under gzip.",
        || {
            gzip(&project(
                &"<a/>".repeat(1_900_000),
                "<group><valuation/></group>",
            ))
        },
    )
    .with(GZIP),
    Kind::new(
        "gzip-of-groups",
        "1.2 million groups out of 10 KB under gzip (V12).",
        || gzip(&project("", &"<group/>".repeat(1_200_000))),
    )
    .with(GZIP),
    Kind::new(
        "gzip-of-members",
        "10,000 empty members of gzip before a document.",
        || {
            let mut all = gzip(b"").repeat(10_000);
            all.extend(gzip(&grouped("", "<valuation/>")));
            all
        },
    )
    .with(GZIP),
    Kind::new(
        "gzip-cut-off",
        "A document under gzip whose end is missing.",
        || {
            let mut all = gzip(&grouped(&"<a/>".repeat(1_000_000), "<valuation/>"));
            all.truncate(all.len() / 2);
            all
        },
    )
    .with(GZIP),
];

// Neither call can fail: both write into memory.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Repeats these bytes, under zstd.
fn zstd_of(bytes: &[u8], times: usize, window_log: Option<u32>) -> Vec<u8> {
    let packed = || -> std::io::Result<Vec<u8>> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1)?;
        if let Some(log) = window_log {
            encoder.window_log(log)?;
        }
        for _ in 0..times {
            encoder.write_all(bytes)?;
        }
        encoder.finish()
    };
    packed().unwrap_or_default()
}

use std::convert::Infallible;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::http::sharing::Shared;

const MOST: usize = 1_000;

/// Reads a body that arrives in chunks of 100 bytes. Also returns how many bytes were read.
async fn read(bodies: &Shared, coding: &str, body: &[u8]) -> (Result<Posted, Refused>, usize) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, coding.parse().unwrap());
    let decoder = Decoder::of(&headers).unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let chunks: Vec<Bytes> = body.chunks(100).map(Bytes::copy_from_slice).collect();
    let chunks = futures::stream::iter(chunks).map(move |chunk| {
        counted.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(chunk)
    });
    let room = Room {
        part: bodies.nothing(Caller::NOBODY),
        quota: None,
    };
    let reader = Coming::new(room, decoder, MOST);
    let posted = reader.read(Body::from_stream(chunks)).await;
    (posted, read.load(Ordering::Relaxed))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn codings(bytes: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    [
        ("identity", bytes.to_vec()),
        ("gzip", gzip(bytes)),
        ("zstd", zstd(bytes)),
    ]
}

#[tokio::test]
async fn a_body_one_byte_beyond_the_limit_is_refused_in_any_coding() {
    let bodies = Shared::bytes(1 << 24, 1 << 24);
    for (coding, body) in codings(&[b'x'; MOST]) {
        let posted = read(&bodies, coding, &body).await.0.unwrap();
        assert_eq!(posted.bytes, vec![b'x'; MOST], "{coding}");
        assert!(
            bodies.take(Caller::NOBODY, (1 << 24) - MOST).is_ok(),
            "{coding}"
        );
        assert!(
            bodies.take(Caller::NOBODY, (1 << 24) - MOST + 1).is_err(),
            "{coding}"
        );
    }
    for (coding, body) in codings(&[b'x'; MOST + 1]) {
        let refused = read(&bodies, coding, &body).await.0.err();
        assert_eq!(refused, Some(Refused::TooLarge), "{coding}");
    }
    assert!(
        bodies.take(Caller::NOBODY, 1 << 24).is_ok(),
        "all of it is given back"
    );
}

#[tokio::test]
async fn a_refused_body_is_read_no_further() {
    let bodies = Shared::bytes(1 << 24, 1 << 24);
    let (refused, read_of) = read(&bodies, "identity", &[b'x'; 3 * MOST]).await;
    assert_eq!(
        (refused.err(), read_of),
        (Some(Refused::TooLarge), MOST + 100)
    );
    // A body that decodes to nothing has the same limit on its encoded size.
    let nothing = gzip(b"").repeat(100);
    let refused = read(&bodies, "gzip", &vec![nothing; 4].concat()).await.0;
    assert_eq!(refused.err(), Some(Refused::TooLarge));
}

#[tokio::test]
async fn beyond_the_room_of_all_bodies_nothing_is_kept() {
    let bodies = Shared::bytes(2_000, 1_500);
    let first = read(&bodies, "identity", &[b'x'; MOST]).await.0.unwrap();
    let refused = read(&bodies, "identity", &[b'x'; 600]).await.0;
    assert_eq!(refused.err(), Some(Refused::NoRoom(Beyond::Share)));
    drop(first);
    let whole = read(&bodies, "identity", &[b'x'; 600]).await.0;
    assert_eq!(whole.unwrap().bytes.len(), 600);
}

#[tokio::test]
async fn a_decoder_has_its_window_charged_while_it_decodes() {
    let mut wide = ::zstd::Encoder::new(Vec::new(), 1).unwrap();
    let window = ::zstd::stream::raw::CParameter::WindowLog(23);
    wide.set_parameter(window).unwrap();
    wide.write_all(b"text").unwrap();
    let body = wide.finish().unwrap();
    let room = |mib: usize| Shared::bytes(mib << 20, mib << 20);
    let refused = read(&room(8), "zstd", &body).await.0;
    assert_eq!(refused.err(), Some(Refused::NoRoom(Beyond::All)));
    let nine = room(9);
    let posted = read(&nine, "zstd", &body).await.0.unwrap();
    assert!(
        nine.take(Caller::NOBODY, (9 << 20) - 4).is_ok(),
        "its window is given back"
    );
    assert_eq!(posted.bytes, b"text"[..]);
}

#[tokio::test]
async fn an_empty_body_is_empty_and_one_cut_off_is_an_error_in_any_coding() {
    let bodies = Shared::bytes(1 << 24, 1 << 24);
    for coding in ["identity", "gzip", "zstd"] {
        let posted = read(&bodies, coding, b"").await.0.unwrap();
        assert!(posted.bytes.is_empty(), "{coding}");
    }
    for (coding, body) in &codings(b"some text")[1..] {
        let cut = &body[..body.len() - 1];
        let refused = read(&bodies, coding, cut).await.0.err();
        assert_eq!(
            refused,
            Some(Refused::Broken(Broken::Truncated)),
            "{coding}"
        );
        let behind = [&body[..], b"behind it there is more"].concat();
        let refused = read(&bodies, coding, &behind).await.0.err();
        assert_eq!(refused, Some(Refused::Broken(Broken::Corrupt)), "{coding}");
    }
}

#[test]
fn a_body_with_two_media_types_is_refused() {
    let mut headers = HeaderMap::new();
    assert!(one_media_type(&headers).unwrap().is_none());
    headers.append(header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert!(one_media_type(&headers).unwrap().is_some_and(is_json));
    headers.append(header::CONTENT_TYPE, "application/json".parse().unwrap());
    assert!(one_media_type(&headers).is_err());
    assert!(charset(&headers).is_err());
}

//! A message that is stored as a dead letter. The letter always fits into a message.

use domain::request::Sequence;
use std::collections::BTreeMap;

use async_nats::HeaderMap;
use bytes::Bytes;

use super::letter::{HEADERS, REASON, SUBJECT, TRUNCATED};
use crate::size::{self, BODY_MAX_BYTES};

/// The most bytes of the reason.
const REASON_MAX_BYTES: usize = 4 * 1024;
/// The most bytes of the message's own headers, as JSON.
const HEADERS_MAX_BYTES: usize = 16 * 1024;

/// A message that the broker refuses.
pub(crate) struct Unsent {
    /// The log subject of the commit that the message tells of, and the commit's sequence.
    pub of: String,
    pub sequence: Sequence,
    /// The message as it would have been sent.
    pub subject: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Builds the headers and the body of a letter. The message's own headers become JSON, because the
/// broker would take them for instructions. A part that does not fit is cut off, and a header notes
/// the size of the whole body.
pub(super) fn letter(
    subject: &str,
    own: Option<&HeaderMap>,
    reason: &str,
    body: &Bytes,
) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert(SUBJECT, subject);
    headers.insert(REASON, one_line(reason));
    let (json, left_out) = as_json(own);
    headers.insert(HEADERS, json);
    let room = BODY_MAX_BYTES - size::of_headers(&headers).min(BODY_MAX_BYTES);
    if !left_out && body.len() <= room {
        return (headers, body.clone());
    }
    headers.insert(TRUNCATED, body.len().to_string());
    let room = BODY_MAX_BYTES - size::of_headers(&headers).min(BODY_MAX_BYTES);
    (headers, body.slice(..body.len().min(room)))
}

/// Encodes headers as JSON, and returns whether some were left out.
fn as_json(own: Option<&HeaderMap>) -> (String, bool) {
    let mut kept = BTreeMap::new();
    let (mut bytes, mut left_out) = (2, false);
    for (name, values) in own.into_iter().flat_map(HeaderMap::iter) {
        let Some(value) = values.first() else {
            continue;
        };
        let (name, value) = (name.to_string(), value.to_string());
        let more = domain::request::json_bytes(&name) + domain::request::json_bytes(&value) + 2;
        if bytes + more > HEADERS_MAX_BYTES {
            left_out = true;
            continue;
        }
        bytes += more;
        kept.insert(name, value);
    }
    let json = serde_json::to_string(&kept).unwrap_or_default();
    (json, left_out)
}

/// Puts a text on one line, because a header's value ends at a line break.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(REASON_MAX_BYTES);
    text[..end].replace(['\r', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead_letters::Letter;
    use crate::dead_letters::letter::{Place, read};

    fn unread(own: &HeaderMap, reason: &str, body: &Bytes) -> (usize, crate::Unread) {
        let subject = format!("reports.1.{}.0.1", "x".repeat(200));
        let (headers, kept) = letter(&subject, Some(own), reason, body);
        let place = Place {
            subject: "dead-letters.unreadable.none.reports.1",
            sequence: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let read = read(&place, &headers, &kept).unwrap();
        let Letter::Unread(unread) = read.letter else {
            panic!("{read:?}")
        };
        (size::of_headers(&headers) + kept.len(), *unread)
    }

    #[test]
    fn a_message_that_fits_is_kept_as_it_is() {
        let mut own = HeaderMap::new();
        own.insert("Fanfold-Encoding", "zstd");
        let body = Bytes::from(vec![7; 512 * 1024]);
        let (_, unread) = unread(&own, "no\nJSON", &body);
        assert_eq!((unread.body, unread.truncated), (body.to_vec(), None));
        assert_eq!(unread.headers["Fanfold-Encoding"], "zstd");
        assert_eq!(unread.reason, "no JSON");
    }

    #[test]
    fn the_largest_message_is_cut_until_its_letter_fits_and_cannot_be_retried() {
        let mut own = HeaderMap::new();
        own.insert("a", "\u{1}".repeat(100_000));
        own.insert("b", "kept");
        for bytes in [size::MESSAGE_MAX_BYTES, BODY_MAX_BYTES, 10] {
            let body = Bytes::from(vec![7; bytes]);
            let (size, unread) = unread(&own, &"ü".repeat(100_000), &body);
            assert!(size <= BODY_MAX_BYTES, "{size}");
            assert_eq!(unread.truncated, Some(bytes as u64));
            assert_eq!(unread.headers.keys().collect::<Vec<_>>(), ["b"]);
            assert!(unread.body.len() >= bytes.min(BODY_MAX_BYTES - 32 * 1024));
            assert!(!unread.can_be_put_back());
        }
    }
}

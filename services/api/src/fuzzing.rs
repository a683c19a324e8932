//! Entry points for the fuzz targets: the parsers of headers and queries from untrusted callers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::http::idempotency;
use crate::http::media;
use crate::valuation::events::Place;
use crate::valuation::tasks;
use crate::valuations;

/// The key in an `Idempotency-Key` header; `None` when the header is invalid.
#[must_use]
pub fn idempotency_key(value: &[u8]) -> Option<String> {
    let headers = one(HeaderName::from_static("idempotency-key"), value)?;
    idempotency::key(&headers).ok().flatten()
}

/// The most wanted offer for an `Accept` header, and its weight in thousandths.
#[must_use]
pub fn choose<'o>(accept: &[u8], offers: &[&'o str]) -> Option<(&'o str, u16)> {
    let headers = one(header::ACCEPT, accept)?;
    // This call must not panic either; its result does not matter here.
    let _ = media::prefers_xml(&headers);
    media::choose(&headers, offers).map(|offer| (offer, media::quality(&headers, offer)))
}

/// Parses a text as each kind of cursor and writes it again; `None` where it is not such a cursor.
#[must_use]
pub fn cursors(text: &str) -> [Option<String>; 3] {
    [
        valuations::place(text).ok().map(valuations::cursor),
        text.parse::<Place>().ok().map(|place| place.to_string()),
        tasks::place(text)
            .ok()
            .map(|(group, task)| format!("{group}:{task}")),
    ]
}

fn one(name: HeaderName, value: &[u8]) -> Option<HeaderMap> {
    let value = HeaderValue::from_bytes(value).ok()?;
    Some(HeaderMap::from_iter([(name, value)]))
}

//! What the fuzz targets reach: the parsers of what strangers put into heads and queries.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::events::Place;
use crate::{idempotency, list, media, tasks};

/// The key that an `Idempotency-Key` header names, where it is one.
#[must_use]
pub fn idempotency_key(value: &[u8]) -> Option<String> {
    let headers = one(HeaderName::from_static("idempotency-key"), value)?;
    idempotency::key(&headers).ok().flatten()
}

/// The most wanted offer, and its weight in thousandths, by an `Accept` header.
#[must_use]
pub fn choose<'o>(accept: &[u8], offers: &[&'o str]) -> Option<(&'o str, u16)> {
    let headers = one(header::ACCEPT, accept)?;
    // It must not fail either; what it says is a matter of taste.
    let _ = media::prefers_xml(&headers);
    media::choose(&headers, offers).map(|offer| (offer, media::quality(&headers, offer)))
}

/// What each kind of cursor is when it is written again, where the text is one.
#[must_use]
pub fn cursors(text: &str) -> [Option<String>; 3] {
    [
        list::place(text).ok().map(list::cursor),
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

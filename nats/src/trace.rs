//! The header that gives the position of a message in a trace of the caller. The log, the queue of
//! tasks and the feed use the same header, by the name that tracing libraries know.

use async_nats::{HeaderMap, HeaderName};
use domain::request::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(crate) fn insert(headers: &mut HeaderMap, traceparent: Option<&TraceParent>) {
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent.as_str());
    }
}

/// Reads the header; `None` where there is none, or an invalid one.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Option<TraceParent> {
    headers?.get(TRACEPARENT)?.as_str().parse().ok()
}

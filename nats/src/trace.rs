//! The header that says where in a trace of the caller's a message belongs: the same in the log,
//! the queue of tasks and the feed, by the name that tracing libraries know.

use async_nats::{HeaderMap, HeaderName};
use domain::request::TraceParent;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

pub(crate) fn insert(headers: &mut HeaderMap, traceparent: Option<&TraceParent>) {
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent.as_str());
    }
}

/// None where there is none, or none that can be used.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Option<TraceParent> {
    headers?.get(TRACEPARENT)?.as_str().parse().ok()
}

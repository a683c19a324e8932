//! The headers that give the position of a message in a trace. The log, the queue of tasks and the
//! feed use the same headers, by the names that tracing libraries know.

use async_nats::{HeaderMap, HeaderName};
use domain::request::{TraceParent, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

pub(crate) fn insert(headers: &mut HeaderMap, traceparent: Option<&TraceParent>) {
    if let Some(traceparent) = traceparent {
        headers.insert(TRACEPARENT, traceparent.as_str());
    }
}

/// What goes with a task into the traces of its executor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    /// The position in the trace.
    pub parent: Option<TraceParent>,
    /// The tracestate of the submitter.
    pub state: Option<TraceState>,
}

impl TraceContext {
    pub(crate) fn insert_into(&self, headers: &mut HeaderMap) {
        insert(headers, self.parent.as_ref());
        if let Some(state) = &self.state {
            headers.insert(TRACESTATE, state.as_str());
        }
    }

    pub(crate) fn of(headers: Option<&HeaderMap>) -> Self {
        let state = headers.and_then(|headers| headers.get(TRACESTATE));
        Self {
            parent: of(headers),
            state: state.and_then(|state| state.as_str().parse().ok()),
        }
    }
}

/// Reads the header; `None` where there is none, or an invalid one.
pub(crate) fn of(headers: Option<&HeaderMap>) -> Option<TraceParent> {
    headers?.get(TRACEPARENT)?.as_str().parse().ok()
}

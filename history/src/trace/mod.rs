//! The trace of a request: spans that are folded from its commits once a run has ended.
//!
//! Nothing here has a clock or a random number, so that a trace that is made twice is the same trace.
//! The spans have codes, names and counts. They have no texts of faults, no metadata and no caller.

mod attempt;
mod choice;
mod fold;
mod group;
mod spans;
#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::request::{SpanId, TraceId, TraceRatio, TraceState};
use jiff::Timestamp;

pub use choice::{ATTEMPTS_MAX, GROUPS_MAX};
pub use fold::Fold;

/// Which traces are kept. The decision is made when a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The share of the ordinary traces that is kept.
    pub ratio: TraceRatio,
    /// A run that took longer is kept in any case.
    pub slow: Duration,
}

/// The trace of a run of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The id of the trace: that of the caller, or that of the request.
    pub id: TraceId,
    /// The tracestate of the caller, in whose trace the spans are.
    pub state: Option<TraceState>,
    /// The spans; the first one is that of the run.
    pub spans: Vec<Span>,
}

/// A span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its id.
    pub id: SpanId,
    /// The span that it is part of.
    pub parent: Option<SpanId>,
    /// Its name. Similar spans have the same name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// When it began.
    pub from: Timestamp,
    /// When it ended.
    pub to: Timestamp,
    /// The code of its failure, if it failed.
    pub error: Option<String>,
    /// What else is known of it.
    pub attributes: Attributes,
    /// What happened in it.
    pub events: Vec<Happened>,
    /// Spans that it belongs to without being part of them.
    pub links: Vec<(TraceId, SpanId)>,
}

/// The kind of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A run or a group, which Fanfold itself conducts.
    Internal,
    /// An attempt of a task, which a worker took from the queue.
    Consumer,
}

/// Names with values.
pub type Attributes = Vec<(&'static str, Value)>;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

/// An event within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// The name of the event.
    pub name: &'static str,
    /// When it was stored.
    pub at: Timestamp,
    /// What else is known of it.
    pub attributes: Attributes,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// The milliseconds between two times; 0 where the second one is the earlier one.
fn millis(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

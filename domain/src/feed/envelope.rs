use std::borrow::Borrow;

use jiff::Timestamp;
use serde::Serialize;

use super::Data;
use crate::access::Tenant;
use crate::request::{Event, Recorded, RequestId, TraceParent};

/// The `source` of every event.
pub const SOURCE: &str = "/fanfold";

/// An event as a `CloudEvent` 1.0, in its JSON form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CloudEvent {
    /// The version of the standard.
    pub specversion: &'static str,
    /// `request:sequence:index`: the same event has the same id wherever it is read.
    pub id: String,
    /// See [`SOURCE`].
    pub source: &'static str,
    /// The type of the event, such as `fanfold.request.group-started.v1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The request.
    pub subject: RequestId,
    /// When the log stored the event.
    pub time: Timestamp,
    /// The media type of the data.
    pub datacontenttype: &'static str,
    /// Where the schema of the data is served.
    pub dataschema: String,
    /// The sequence of the event's commit in the log. It grows within a request.
    pub sequence: String,
    /// The tenant of the request, unless it is `default`.
    #[serde(skip_serializing_if = "Tenant::is_default")]
    pub tenant: Tenant,
    /// The traceparent of the caller, if the submission had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<TraceParent>,
    /// The data of the event.
    pub data: Data,
}

/// The `type` of an event with this name.
#[must_use]
pub fn event_type(name: &str) -> String {
    format!("fanfold.request.{name}.v1")
}

impl CloudEvent {
    /// The public form of an event in the log.
    #[must_use]
    pub fn of<E: Borrow<Event>>(recorded: &Recorded<E>) -> Self {
        let Recorded {
            request,
            sequence,
            index,
            at,
            tenant,
            traceparent,
            event,
        } = recorded;
        let name = event.borrow().name();
        Self {
            specversion: "1.0",
            id: format!("{request}:{sequence}:{index}"),
            source: SOURCE,
            kind: event_type(name),
            subject: *request,
            time: *at,
            datacontenttype: "application/json",
            dataschema: format!("/schemas/{name}.v1.json"),
            sequence: sequence.to_string(),
            tenant: tenant.clone(),
            traceparent: traceparent.clone(),
            data: Data::of(recorded),
        }
    }
}

//! Traces in the form of OTLP.

use bytes::Bytes;
use history::trace::{Attributes, Happened, Kind, Span, Trace, Value};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as otlp, ResourceSpans, ScopeSpans, Status};
use prost::Message as _;

/// The flag of W3C Trace Context that a trace is recorded.
const SAMPLED: u32 = 0x01;
/// The flag that says that the next one is meant.
const HAS_IS_REMOTE: u32 = 0x100;
/// The flag that says that the parent is a span of another process.
const IS_REMOTE: u32 = 0x200;

/// A trace that is ready to be posted: a post of this trace alone.
pub struct Encoded(Vec<u8>);

/// The service that the traces are about.
pub struct Service(Resource);

impl Service {
    /// The service with these attributes.
    pub fn new(attributes: Vec<(String, String)>) -> Self {
        let attributes = attributes.into_iter();
        Self(Resource {
            attributes: attributes
                .map(|(name, value)| pair(name, Any::StringValue(value)))
                .collect(),
            ..Resource::default()
        })
    }

    /// A trace of this service.
    pub fn encode(&self, trace: &Trace) -> Encoded {
        let spans = trace.spans.iter().enumerate();
        // The first span is that of the run. Its parent, if it has one, is a span of the caller.
        let spans = spans.map(|(place, one)| span(trace, one, place == 0));
        let spans = ResourceSpans {
            resource: Some(self.0.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "fanfold".into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    ..InstrumentationScope::default()
                }),
                spans: spans.collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        };
        let post = ExportTraceServiceRequest {
            resource_spans: vec![spans],
        };
        Encoded(post.encode_to_vec())
    }
}

impl Encoded {
    /// The size of the trace, in bytes.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

/// The body of a post of some traces. Messages of protobuf that follow one another are one message
/// with the lists of all.
pub fn body<'a>(traces: impl Iterator<Item = &'a Encoded>) -> Bytes {
    let posts: Vec<&[u8]> = traces.map(|trace| &*trace.0).collect();
    posts.concat().into()
}

fn span(trace: &Trace, span: &Span, is_first: bool) -> otlp::Span {
    let remote = if is_first && span.parent.is_some() {
        IS_REMOTE
    } else {
        0
    };
    let state = trace.state.as_ref();
    let kind = match span.kind {
        Kind::Internal => SpanKind::Internal,
        Kind::Consumer => SpanKind::Consumer,
    };
    let parent = span.parent.map(|parent| parent.bytes().to_vec());
    let links = span.links.iter().map(|(trace, span)| Link {
        trace_id: trace.bytes().to_vec(),
        span_id: span.bytes().to_vec(),
        ..Link::default()
    });
    let status = span.error.as_ref().map(|code| Status {
        message: code.clone(),
        code: StatusCode::Error.into(),
    });
    otlp::Span {
        trace_id: trace.id.bytes().to_vec(),
        span_id: span.id.bytes().to_vec(),
        trace_state: state.map(ToString::to_string).unwrap_or_default(),
        parent_span_id: parent.unwrap_or_default(),
        flags: SAMPLED | HAS_IS_REMOTE | remote,
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.from),
        end_time_unix_nano: nanos(span.to),
        attributes: pairs(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: links.collect(),
        status,
        ..otlp::Span::default()
    }
}

fn event(happened: &Happened) -> Event {
    Event {
        time_unix_nano: nanos(happened.at),
        name: happened.name.to_owned(),
        attributes: pairs(&happened.attributes),
        dropped_attributes_count: 0,
    }
}

fn pairs(attributes: &Attributes) -> Vec<KeyValue> {
    let attributes = attributes.iter();
    let value = |value: &Value| match value {
        Value::Text(text) => Any::StringValue(text.clone()),
        Value::Number(number) => Any::IntValue(*number),
    };
    attributes
        .map(|(name, of)| pair((*name).to_owned(), value(of)))
        .collect()
}

fn pair(key: String, value: Any) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or(0)
}

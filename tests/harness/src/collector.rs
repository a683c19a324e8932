//! A collector of traces, which reads OTLP over HTTP by the published definitions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A span as the collector has it. Ids are in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedSpan {
    pub trace: String,
    pub id: String,
    /// Empty where it has none.
    pub parent: String,
    pub state: String,
    pub name: String,
    /// Its beginning and its end, in nanoseconds.
    pub time: (u64, u64),
    pub attributes: BTreeMap<String, String>,
    pub error: Option<String>,
    pub events: Vec<String>,
    /// The spans that it links to.
    pub links: Vec<String>,
    /// The attributes of the service.
    pub service: BTreeMap<String, String>,
}

/// A post that the collector took or refused.
#[derive(Clone, Debug)]
pub struct TracePost {
    pub headers: BTreeMap<String, String>,
    pub bytes: usize,
    pub spans: Vec<CollectedSpan>,
}

type Answer = Arc<dyn Fn(&TracePost) -> u16 + Send + Sync>;
type Taken = Arc<Mutex<Vec<TracePost>>>;

/// A collector. It ends on drop, with its port.
pub struct Collector {
    port: u16,
    taken: Taken,
    _serving: JoinSet<()>,
}

impl Collector {
    /// Starts a collector that takes everything.
    pub async fn start() -> Self {
        Self::answering(0, |_| 200).await
    }

    /// Starts a collector on this port, or on a free one if it is 0. It answers each post with a
    /// status, and has taken what it answers with 200.
    pub async fn answering(
        port: u16,
        answer: impl Fn(&TracePost) -> u16 + Send + Sync + 'static,
    ) -> Self {
        let taken = Taken::default();
        let answer: Answer = Arc::new(answer);
        let router = Router::new()
            .route("/v1/traces", post(take))
            .layer(DefaultBodyLimit::disable())
            .with_state((answer, taken.clone()));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            port,
            taken,
            _serving: serving,
        }
    }

    /// The value of `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The posts that it has taken.
    pub fn posts(&self) -> Vec<TracePost> {
        self.taken.lock().unwrap().clone()
    }

    /// The spans that it has taken, in order of arrival.
    pub fn spans(&self) -> Vec<CollectedSpan> {
        let posts = self.posts().into_iter();
        posts.flat_map(|post| post.spans).collect()
    }

    /// The spans about this request, as far as they have its id: those of its runs.
    pub fn runs(&self, request: &str) -> Vec<CollectedSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.of("fanfold.request.id") == request);
        spans
    }
}

impl CollectedSpan {
    /// The value of an attribute, as text.
    pub fn of(&self, attribute: &str) -> &str {
        self.attributes.get(attribute).map_or("", String::as_str)
    }
}

async fn take(
    State((answer, taken)): State<(Answer, Taken)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(&'static str, &'static str); 2], Vec<u8>) {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = headers.iter();
    let post = TracePost {
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        bytes: body.len(),
        spans: request.resource_spans.iter().flat_map(collected).collect(),
    };
    let status = answer(&post);
    if status == 200 {
        taken.lock().unwrap().push(post);
    }
    let headers = [
        ("content-type", "application/x-protobuf"),
        // A collector that ends takes its connections with it.
        ("connection", "close"),
    ];
    (StatusCode::from_u16(status).unwrap(), headers, Vec::new())
}

fn collected(of: &ResourceSpans) -> Vec<CollectedSpan> {
    let service = of
        .resource
        .as_ref()
        .map(|resource| texts(&resource.attributes));
    let service = service.unwrap_or_default();
    let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
    spans.map(|span| one(span, service.clone())).collect()
}

fn one(span: &Span, service: BTreeMap<String, String>) -> CollectedSpan {
    CollectedSpan {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        state: span.trace_state.clone(),
        name: span.name.clone(),
        time: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: texts(&span.attributes),
        error: span.status.as_ref().map(|status| status.message.clone()),
        events: span.events.iter().map(|event| event.name.clone()).collect(),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        service,
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    };
    let attributes = attributes.iter();
    let named = attributes.map(|one| (one.key.clone(), text(one).unwrap_or_default()));
    named.collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

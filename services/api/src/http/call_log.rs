//! A line of the log for each call, where the filter of the logs asks for them.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use tracing::Level;

use crate::http::problem::Problem;

/// The target of these lines: `RUST_LOG=info,calls=debug` turns them on.
const CALLS: &str = "calls";
/// How much is told of what a caller says of itself.
const AGENT_MAX_CHARS: usize = 100;

/// A call whose end will be a line of the log.
pub struct Call {
    path: String,
    bytes: Option<u64>,
    agent: Option<String>,
    trace: Option<String>,
}

impl Call {
    /// The call, if the log has lines of calls now.
    pub fn of(request: &Request) -> Option<Self> {
        tracing::enabled!(target: CALLS, Level::DEBUG).then(|| {
            let headers = request.headers();
            let agent = text(headers, &header::USER_AGENT);
            let traceparent = text(headers, &HeaderName::from_static("traceparent"));
            let trace = traceparent.and_then(|parent| parent.split('-').nth(1));
            Self {
                path: request.uri().path().to_owned(),
                bytes: length(headers),
                agent: agent.map(|agent| agent.chars().take(AGENT_MAX_CHARS).collect()),
                // What a caller calls a trace may be anything.
                trace: trace.filter(|id| is_trace_id(id)).map(str::to_owned),
            }
        })
    }

    /// Writes the line. `time` is that to the head of the answer.
    pub fn log(&self, (method, route): (&str, &str), response: &Response, time: Duration) {
        let location = text(response.headers(), &header::LOCATION);
        let named = request_of(&self.path).or_else(|| request_of(location?));
        let problem = response.extensions().get::<Problem>();
        tracing::debug!(
            target: CALLS,
            method,
            route,
            status = response.status().as_u16(),
            code = problem.map(Problem::code),
            ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            received_bytes = self.bytes,
            sent_bytes = length(response.headers()),
            request = named,
            trace = self.trace.as_deref(),
            agent = self.agent.as_deref(),
            "a call was answered"
        );
    }
}

/// The request that the path of a call names.
fn request_of(path: &str) -> Option<&str> {
    let mut parts = path.split('/').skip_while(|part| *part != "valuation");
    let id = parts.nth(1)?;
    id.parse::<domain::request::RequestId>().ok().map(|_| id)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

fn is_trace_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

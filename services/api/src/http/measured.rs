//! What is counted of every call: how long it took, and what became of a submission.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{Gauge, Metrics};

use crate::http::call_log::Call;
use crate::http::idempotency;
use crate::http::problem::Problem;

/// The route of submissions.
const SUBMISSION: &str = "/valuation";
/// The kind of a call that waits for the end of a request.
const WAIT: &str = "wait";

tokio::task_local! {
    /// Whether the call is held open because its caller asked for that.
    static HELD: Cell<bool>;
}

/// Notes that this call is held open from here on, because its caller asked for that. How long it
/// takes then says nothing about this service.
pub fn hold() {
    // Tests call the routes without the layer.
    let _ = HELD.try_with(|held| held.set(true));
}

/// The place of a call among the active ones, however it ends.
struct Active<'a>(&'a Gauge);

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Measures a call to the head of its answer.
pub async fn measured(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let http = &metrics.http;
    http.active.inc();
    let active = Active(&http.active);
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let call = Call::of(&request);
    let (response, held) = HELD
        .scope(Cell::new(false), async {
            let response = next.run(request).await;
            (response, HELD.with(Cell::get))
        })
        .await;
    drop(active);
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    if held {
        http.held(WAIT, begun.elapsed());
    } else {
        let status = response.status();
        http.answered((method, route, status.as_str()), begun.elapsed());
    }
    if let Some(call) = call {
        call.log((method, route), &response, begun.elapsed());
    }
    if route == SUBMISSION && method == "POST" {
        count(&metrics, &response, held);
    }
    response
}

/// Counts what became of a submission. One that was held is in the log, whatever its answer says of
/// the request.
fn count(metrics: &Metrics, response: &Response, held: bool) {
    let counted = &metrics.submissions;
    let problem = response.extensions().get::<Problem>();
    match problem.filter(|_| !held) {
        Some(problem) => counted.refused(problem.code()),
        None if held || response.status() < StatusCode::BAD_REQUEST => {
            if idempotency::is_replayed(response) {
                counted.replayed.inc();
            } else {
                counted.accepted.inc();
            }
        }
        None => counted.refused(metrics::OTHER),
    }
}

/// The method, as far as it is one of HTTP: callers choose the others.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        _ => "_OTHER",
    }
}

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::failure::Problem;
use crate::state::Api;
use crate::{cancel, check, dead_letters, health, redrive, results, status, submit};

/// Every route.
pub fn router(api: Arc<Api>) -> Router {
    // One byte more is let in, so that what is too large is answered in the API's own words.
    let limit = DefaultBodyLimit::max(api.payload_max_bytes.saturating_add(1));
    Router::new()
        .route("/valuation", post(submit::submit).layer(limit))
        .route("/valuation/check", post(check::check).layer(limit))
        .route("/valuation/{id}/status", get(status::status))
        .route("/valuation/{id}/results", get(results::results))
        .route("/valuation/{id}/cancel", post(cancel::cancel))
        .route("/valuation/{id}/redrive", post(redrive::redrive))
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/redrive", post(dead_letters::redrive))
        .route("/dead-letters/discard", post(dead_letters::discard))
        .route(
            "/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::discard_one),
        )
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(from_fn(no_store))
        .with_state(api)
}

/// What changes is not to be kept; a route that knows better has said so itself.
async fn no_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn unknown_route(request: Request) -> Problem {
    let message = format!("there is no route {}", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "unknown-route", message)
}

async fn wrong_method(request: Request) -> Problem {
    let message = format!("{} is not for {}", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", message)
}

fn panicked() -> Response {
    let message = "something went wrong in the server; it goes on, and the log has the cause";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
}

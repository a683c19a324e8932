use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use domain::access::Action;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Auth, Routes, named, schemes};
use crate::http::headers::{of_docs, safe};
use crate::http::problem::{Problem, in_one_form};
use crate::state::Api;
use crate::{dead_letters, docs, health, schemas, valuation, valuations};

#[derive(OpenApi)]
#[openapi(info(
    title = "Fanfold",
    description = "Valuation requests: submitted, watched, and their results read.",
    license(name = "Apache-2.0", identifier = "Apache-2.0"),
))]
struct Document;

/// Every route, with its action and its entry in the `OpenAPI` document: the router is built from the document, so
/// that no route is missing in it.
fn routes() -> OpenApiRouter<Arc<Api>> {
    let mut document = Document::openapi();
    schemes(&mut document);
    Routes::new(document)
        .gated(Action::Submit, routes!(valuation::submit::submit))
        .gated(Action::Check, routes!(valuation::check::check))
        .gated(Action::Read, routes!(valuations::list))
        .gated(Action::Read, routes!(valuation::status::status))
        .gated(Action::Read, routes!(valuation::results::results))
        .gated(Action::Read, routes!(valuation::events::events))
        .gated(Action::Read, routes!(valuation::tasks::tasks))
        .gated(Action::Read, routes!(valuation::task::task))
        .gated(Action::Operate, routes!(valuation::cancel::cancel))
        .gated(Action::Operate, routes!(valuation::redrive::redrive))
        .gated(Action::Inspect, routes!(dead_letters::list))
        .gated(Action::Operate, routes!(dead_letters::redrive))
        .gated(Action::Operate, routes!(dead_letters::discard))
        .gated(Action::Inspect, routes!(dead_letters::show))
        .gated(Action::Operate, routes!(dead_letters::discard_one))
        .open(routes!(schemas::schema))
        .open(routes!(schemas::asyncapi))
        .open(routes!(health::alive))
        .open(routes!(health::ready))
        .into_inner()
}

/// The `OpenAPI` document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().into_openapi()
}

/// The whole service.
pub fn router(api: Arc<Api>, auth: Arc<Auth>) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = crate::http::openapi::document(&document);
    let page = docs::routes().layer(map_response(async |page: Response| of_docs(page)));
    let router = router
        .with_state(api)
        .route("/openapi.json", get(async move || Json(document)))
        .merge(page)
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method);
    in_layers(router, auth)
}

/// Adds the layers around every route, outermost first. The router has one combined layer, because
/// separate layers would be boxed and copied for every call.
fn in_layers(router: Router, auth: Arc<Auth>) -> Router {
    let layers = ServiceBuilder::new()
        .map_response(finish)
        .layer(CompressionLayer::new())
        .layer(from_fn(in_one_form))
        .layer(from_fn_with_state(auth, named))
        .layer(CatchPanicLayer::custom(|_| panicked()));
    router.layer(layers)
}

/// Adds the headers of every answer. A route may set another policy of caching or content itself.
fn finish<B>(mut response: Response<B>) -> Response<B> {
    crate::http::conditional::name_the_encoding(response.headers_mut());
    safe(response)
}

async fn unknown_route(request: Request) -> Problem {
    let message = format!("there is no route {}", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, "unknown-route", message)
}

async fn wrong_method(request: Request) -> Problem {
    let message = format!(
        "{} is not allowed on {}",
        request.method(),
        request.uri().path()
    );
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", message)
}

fn panicked() -> Response {
    let message = "internal error; the server's log has the cause";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::header;
    use tower::ServiceExt;

    fn open() -> Arc<Auth> {
        let settings = runtime::Settings::load(None, |_| None, |_| None).unwrap();
        Arc::new(Auth::new(&settings.callers, Vec::new()).unwrap())
    }

    async fn call(router: &Router, path: &str, accept: &str) -> (StatusCode, String, String) {
        let request = Request::get(path)
            .header("accept", accept)
            .body(Body::empty());
        let response = router.clone().oneshot(request.unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 100_000).await.unwrap();
        let kind = parts.headers[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .to_owned();
        (
            parts.status,
            kind,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_panic_is_a_500_without_its_internals_and_the_service_continues() {
        async fn broken() -> String {
            panic!("secret")
        }
        let router = Router::new()
            .route("/broken", get(broken))
            .route("/sound", get(async || "sound"));
        let router = in_layers(router, open());
        for _ in 0..2 {
            let (status, kind, body) = call(&router, "/broken", "*/*").await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(kind, "application/problem+json");
            assert!(
                body.contains("\"code\":\"internal\"") && !body.contains("secret"),
                "{body}"
            );
            assert_eq!(call(&router, "/sound", "*/*").await.0, StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn errors_made_elsewhere_have_the_same_form_in_either_language() {
        let router = Router::new().route("/", get(async || StatusCode::IM_A_TEAPOT));
        let router = in_layers(router, open());
        let (status, kind, body) = call(&router, "/", "application/json").await;
        assert_eq!(
            (status, kind.as_str()),
            (StatusCode::IM_A_TEAPOT, "application/problem+json")
        );
        assert!(body.contains("\"status\":418"), "{body}");
        let (_, kind, body) = call(&router, "/", "text/xml").await;
        assert_eq!(kind, "application/problem+xml");
        assert!(
            body.contains("<problem xmlns=\"urn:ietf:rfc:7807\">"),
            "{body}"
        );
    }
}

//! The gate in front of an operation.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use domain::access::Action;

use super::admitted::ungated;
use super::{Auth, Entry};

/// Puts the operations of a route behind the gate: only callers who may take this action get
/// through. The route must be in a router that is [`guarded`](super::guarded).
pub fn gated<S: Clone + Send + Sync + 'static>(
    action: Action,
    route: MethodRouter<S>,
) -> MethodRouter<S> {
    route.route_layer(from_fn(move |request, next| pass(action, request, next)))
}

async fn pass(action: Action, mut request: Request, next: Next) -> Response {
    let Some(auth) = request.extensions().get::<Arc<Auth>>().cloned() else {
        return ungated().into_response();
    };
    let (headers, extensions) = (request.headers(), request.extensions());
    match auth.admit(action, headers, extensions).await {
        Ok(admitted) => {
            request.extensions_mut().insert(admitted);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

/// As [`gated`], for pages: a browser may follow a link of another site to a page, and a refusal is
/// a page too, which `refused` makes. A browser names no tenant, so the gate lets through whoever
/// may take the action in any tenant. The page finds the caller as an `Arc<Principal>`, and asks for
/// the tenant of what it shows.
pub fn gated_page<S: Clone + Send + Sync + 'static>(
    action: Action,
    route: MethodRouter<S>,
    refused: impl Fn(&Parts, StatusCode, &str) -> Response + Clone + Send + Sync + 'static,
) -> MethodRouter<S> {
    route.route_layer(from_fn(move |request, next| {
        pass_page(action, refused.clone(), request, next)
    }))
}

async fn pass_page(
    action: Action,
    refused: impl Fn(&Parts, StatusCode, &str) -> Response,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let Some(auth) = parts.extensions.get::<Arc<Auth>>().cloned() else {
        return ungated().into_response();
    };
    // A page that is only looked at changes nothing, and the site of the link cannot read it.
    let is_link = matches!(parts.method, Method::GET | Method::HEAD)
        && parts
            .headers
            .get("sec-fetch-mode")
            .is_some_and(|mode| mode == "navigate")
        && parts
            .headers
            .get("sec-fetch-dest")
            .is_some_and(|dest| dest == "document");
    let entry = if is_link { Entry::Link } else { Entry::Call };
    match auth
        .admit_page(entry, action, &parts.headers, &parts.extensions)
        .await
    {
        Ok(who) => {
            parts.extensions.insert(who);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => {
            let (status, reason) = refusal.told();
            refused(&parts, status, &reason)
        }
    }
}

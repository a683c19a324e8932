//! The gate in front of an operation.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use domain::access::Action;

use super::Auth;
use super::admitted::ungated;

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

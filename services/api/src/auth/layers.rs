//! The layer around every route of a listener.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower::ServiceBuilder;

use super::Auth;
use crate::http::headers::safe;
use crate::http::problem::in_one_form_or_its_own;

/// Guards the routes of a listener other than the API's: calls that name another server are
/// refused, and the gates of its routes know how callers are told apart.
pub fn guarded(router: Router, auth: Arc<Auth>) -> Router {
    let layers = ServiceBuilder::new()
        .map_response(safe)
        .layer(from_fn(in_one_form_or_its_own))
        .layer(from_fn_with_state(auth, named));
    router.layer(layers)
}

/// Refuses a call that names another server.
pub(crate) async fn named(
    State(auth): State<Arc<Auth>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = auth.sites.check_host(request.uri(), request.headers()) {
        return refusal.into_response();
    }
    request.extensions_mut().insert(auth);
    next.run(request).await
}

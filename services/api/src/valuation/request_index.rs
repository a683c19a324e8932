//! The list of requests as this instance answers it.

use axum::http::StatusCode;
use domain::access::Scope;
use domain::request::{RequestId, Sequence};
use history::listing::RequestIndex;
use projections::View;

use crate::http::problem::Problem;
use crate::state::Api;

/// Reads the part of the log that the index in Redis does not cover.
pub async fn read<'a>(api: &'a Api, scope: &Scope) -> Result<RequestIndex<'a>, Problem> {
    let (connection, shards) = (&api.connection, api.log.shards());
    Ok(RequestIndex::read(connection, shards, &api.store, scope, &api.scanning).await?)
}

/// The view of a request; `None` when the request has expired.
pub async fn view(
    api: &Api,
    request: RequestId,
    reached: Sequence,
) -> Result<Option<View>, Problem> {
    let view = match api.view(request, reached, |_| true).await {
        Err(problem) if problem.is_unreadable() => return Ok(None),
        view => view?,
    };
    Ok(view.filter(|view| api.seconds_left(view) != Some(0)))
}

impl From<history::Error> for Problem {
    fn from(error: history::Error) -> Self {
        tracing::warn!(%error, "the list of requests cannot be made");
        let message = "the list cannot be made now; try again";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, "list-unavailable", message).retry_after(1)
    }
}

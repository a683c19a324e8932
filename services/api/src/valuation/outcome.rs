//! The answers to a submission.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::{Event, Payload, RequestId, Sequence, Status};
use projections::{FailureView, RequestStatus, View};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::problem::Problem;
use crate::state::Api;
use crate::valuation::read::with_sequence;
use crate::valuation::results::{failed, response};
use crate::valuation::waiters::Waiter;
use operations::Submitted;

/// The answer to an accepted document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    /// `accepted`; `pending` to a caller that waited in vain.
    status: &'static str,
}

/// The answer that a document was accepted.
pub fn accepted(id: RequestId, status: &'static str) -> Response {
    let request_id = id;
    let body = Json(Accepted { request_id, status });
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::LOCATION, format!("/valuation/{id}/status")),
        (header::RETRY_AFTER, "1".to_owned()),
        (
            header::HeaderName::from_static("x-request-id"),
            id.to_string(),
        ),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

/// How a request ended.
enum End {
    Response(Payload),
    Failed(Box<FailureView>),
    Cancelled,
}

/// Waits for the end of a request. The answer is its response, its failure, or 202 when the wait
/// takes too long or this process shuts down. Caches must not store the response to a POST.
pub async fn outcome(
    api: &Api,
    id: RequestId,
    taken: &Submitted,
    waiter: Waiter,
    limit: Duration,
    kind: &'static str,
) -> Result<Response, Problem> {
    let ended = end(api, id, taken, waiter);
    let (end, sequence) = tokio::select! {
        ended = tokio::time::timeout(limit, ended) => match ended {
            Ok(Ok(ended)) => ended,
            // The submission is stored. A 503 would have its caller submit it again.
            Ok(Err(problem)) if problem.is_unavailable() => return Ok(pending(id, taken)),
            Ok(Err(problem)) => return Err(problem.of(id)),
            Err(_) => return Ok(pending(id, taken)),
        },
        () = api.shutdown.softly() => return Ok(pending(id, taken)),
    };
    api.operations.seen().note(id, sequence);
    let answer = match end {
        End::Response(payload) => match response(api, id, &payload, kind).await {
            Err(problem) if problem.is_unavailable() => return Ok(pending(id, taken)),
            answered => answered.map_err(|problem| problem.of(id))?,
        },
        End::Failed(failure) => {
            failed(StatusCode::INTERNAL_SERVER_ERROR, id, &failure).into_response()
        }
        End::Cancelled => {
            let message = "the request was cancelled";
            let problem = Problem::new(StatusCode::CONFLICT, "cancelled", message);
            problem.of(id).stands(Status::Cancelled).into_response()
        }
    };
    Ok(with_sequence(answer, sequence))
}

/// Waits for the end of a request, and returns it with its sequence.
async fn end(
    api: &Api,
    id: RequestId,
    taken: &Submitted,
    mut waiter: Waiter,
) -> Result<(End, Sequence), Problem> {
    let mut look = taken.replayed;
    loop {
        if look {
            if let Some(mut commit) = waiter.end()
                && let Some(Event::Succeeded(succeeded)) = commit.events.pop()
            {
                return Ok((End::Response(succeeded.response), commit.sequence));
            }
            // The fold tells whether the request has ended: a late outcome may be its last commit.
            let view = Box::pin(api.folded(id)).await?;
            let end = match view.status {
                RequestStatus::Received | RequestStatus::Running => None,
                RequestStatus::Succeeded { response } => Some(End::Response(response)),
                RequestStatus::Failed { failure } => Some(End::Failed(Box::new(failure))),
                RequestStatus::Cancelled => Some(End::Cancelled),
            };
            if let Some(end) = end {
                return Ok((end, view.seq));
            }
        }
        waiter.ended().await;
        look = true;
    }
}

impl Api {
    /// The state of a request as of its latest commit, for the caller who submitted it.
    async fn folded(&self, id: RequestId) -> Result<View, Problem> {
        let last = self.log.last_sequence(id).await?;
        let view = self.view(id, last, |_| true).await?;
        match view {
            Some(view) => Ok(view),
            None => Err(self.not_found(id).await),
        }
    }
}

fn pending(id: RequestId, taken: &Submitted) -> Response {
    with_sequence(accepted(id, "pending"), taken.sequence)
}

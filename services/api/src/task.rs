//! One task with its documents.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::request::RequestId;
use runtime::Cost;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{Problem, ProblemBody};
use crate::intake::at_cost;
use crate::partial::unreadable;
use crate::query;
use crate::read::{parse_id, seen, with_sequence};
use crate::state::Api;
use crate::tasks::{TaskBody, all};

/// A task with its documents.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TaskInFull)]
struct TaskInFull {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    #[serde(flatten)]
    task: TaskBody,
    /// The name of its valuation.
    name: Option<String>,
    /// The document that its worker is given.
    document: String,
    /// The document that its worker gave back.
    result: Option<String>,
}

/// One task, with the document its worker is given, its attempts and its result.
#[utoipa::path(
    get, path = "/valuation/{id}/tasks/{group}/{task}", tag = "valuations",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
        ("group" = u32, Path, description = "The group, from 0"),
        ("task" = u32, Path, description = "The task, from 1"),
        ("Fanfold-Sequence" = Option<u64>, Header, description = "The answer is not to be older than this"),
    ),
    responses(
        (status = 200, description = "The task", body = TaskInFull),
        (status = 400, description = "Not an id, a group or a task", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request, or no such task in a group that has started", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request has not reached Fanfold-Sequence", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Its document cannot be made", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn task(
    State(api): State<Arc<Api>>,
    Path((id, group, task)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let number = |text: &str| {
        let number = text.parse::<u32>();
        number.map_err(|_| query::refused("a group and a task are named by their numbers"))
    };
    let (group, task) = (number(&group)?, number(&task)?);
    let view = api.known(id, seen(&headers)?).await?;
    let tasks = all(&api, id).await?;
    let found = tasks
        .iter()
        .find(|known| (known.group, known.task) == (group, task));
    let unknown = || {
        let message = format!("there is no task {task} in a group {group} that has started");
        Problem::new(StatusCode::NOT_FOUND, "unknown-task", message).of(id)
    };
    let found = found.ok_or_else(unknown)?;
    let request = api.state(id).await?;
    let index = usize::try_from(group).unwrap_or(usize::MAX);
    let pieces = api.pieces(id, &request, index).await?;
    let making = move || pieces.task(index, task);
    let made = at_cost(&api.pool, Cost::Costly, making).await?;
    let made = made.map_err(|reason| unreadable(id, &reason))?;
    let made = made.ok_or_else(unknown)?;
    let result = match &found.result {
        Some(result) => Some(text(api.document(id, result).await?)),
        None => None,
    };
    let body = TaskInFull {
        request_id: id,
        task: found.into(),
        name: made.name,
        document: text(made.xml),
        result,
    };
    Ok(with_sequence(Json(body).into_response(), view.seq))
}

fn text(document: Vec<u8>) -> String {
    String::from_utf8(document)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

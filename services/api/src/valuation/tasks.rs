//! The tasks of a request, with their attempts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use domain::request::{AttemptNumber, Fault, GroupIndex, RequestId, TaskNumber};
use jiff::Timestamp;
use projections::{TaskStatus, TaskView};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answers::FaultBody;
use crate::auth::Admitted;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::{self, Parameters};
use crate::state::Api;
use crate::valuation::read::{parse_id, seen, with_sequence};

/// The maximum and the default number of tasks in one answer.
const PAGE_MAX: usize = 1_000;
const PAGE: usize = 100;
/// After this many tasks, let other work run.
const LOOKED_AT_TOGETHER: usize = 5_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TasksQuery {
    /// Only tasks of this group, from 0.
    #[param(value_type = Option<u32>)]
    group: Option<GroupIndex>,
    /// Only tasks with this status: `pending`, `succeeded`, `failed` or `stopped`.
    #[param(value_type = Option<String>, pattern = "^(pending|succeeded|failed|stopped)$")]
    status: Option<TaskStatus>,
    /// Where the page begins, as `next` names it.
    #[param(pattern = "^[0-9]{1,9}:[0-9]{1,9}$")]
    after: Option<String>,
    /// The maximum number on a page.
    #[param(minimum = 1, maximum = 1_000)]
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Tasks)]
struct TasksBody {
    #[schema(value_type = String, format = "uuid")]
    request_id: RequestId,
    tasks: Vec<TaskBody>,
    /// Where the next page begins; none where this is the last.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Task)]
pub struct TaskBody {
    /// The group, from 0.
    #[schema(value_type = u32)]
    group: GroupIndex,
    /// The task, from 1.
    #[schema(value_type = u32)]
    task: TaskNumber,
    /// `pending`, `succeeded`, `failed` or `stopped`.
    #[schema(value_type = String)]
    status: TaskStatus,
    attempts: Vec<AttemptBody>,
    /// The size of its result, in bytes.
    result_bytes: Option<u64>,
    /// The dead letter that keeps its history, where it was given up.
    dead_letter: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
struct AttemptBody {
    /// Its number, from 1.
    #[schema(value_type = u32)]
    attempt: AttemptNumber,
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    duration_ms: u64,
    /// The fault; null for an attempt without one.
    #[schema(value_type = Option<FaultBody>)]
    fault: Option<Fault>,
}

impl From<&TaskView> for TaskBody {
    fn from(view: &TaskView) -> Self {
        Self {
            group: view.group,
            task: view.task,
            status: view.status,
            attempts: view
                .attempts
                .iter()
                .map(|attempt| AttemptBody {
                    attempt: attempt.attempt,
                    worker: attempt.worker.clone(),
                    started_at: attempt.started_at,
                    duration_ms: attempt.duration_ms,
                    fault: attempt.fault.clone(),
                })
                .collect(),
            result_bytes: view.result.map(|result| result.bytes),
            dead_letter: view.dead_letter.clone(),
        }
    }
}

/// The tasks of the groups that have started.
#[utoipa::path(
    get, path = "/valuation/{id}/tasks", tag = "valuations", operation_id = "list_tasks",
    params(
        ("id" = String, Path, description = "The request", format = "uuid"),
        TasksQuery,
        ("Fanfold-Sequence" = Option<u64>, Header, description = "The answer is not to be older than this"),
    ),
    responses(
        (status = 200, description = "The tasks, by group and number", body = TasksBody),
        (status = 400, description = "Not an id, or a parameter that cannot be used", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such request", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Expired", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "The request has not reached Fanfold-Sequence", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn tasks(
    State(api): State<Arc<Api>>,
    reader: Admitted,
    Path(id): Path<String>,
    Parameters(query): Parameters<TasksQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let limit = match query.limit {
        None => PAGE,
        Some(limit @ 1..=PAGE_MAX) => limit,
        Some(_) => return Err(query::refused("limit is from 1 to 1000")),
    };
    let after = query.after.as_deref().map(place).transpose()?;
    let view = api.known(&reader, id, seen(&headers)?).await?;
    let index = api.indexes.of(id);
    let tasks = index.up_to_date(&api, id).await?;
    let (mut page, mut more, mut looked_at) = (Vec::new(), false, 0_usize);
    for task in tasks.after(after, query.group) {
        looked_at += 1;
        if looked_at.is_multiple_of(LOOKED_AT_TOGETHER) {
            tokio::task::yield_now().await;
        }
        if query.status.is_some_and(|status| task.status != status) {
            continue;
        }
        if page.len() == limit {
            more = true;
            break;
        }
        page.push(TaskBody::from(task));
    }
    drop(tasks);
    let next = page.last().filter(|_| more);
    let body = TasksBody {
        request_id: id,
        next: next.map(|last| format!("{}:{}", last.group, last.task)),
        tasks: page,
    };
    Ok(with_sequence(Json(body).into_response(), view.seq))
}

pub(crate) fn place(text: &str) -> Result<(GroupIndex, TaskNumber), Problem> {
    let place = text.split_once(':');
    let place = place.and_then(|(group, task)| Some((group.parse().ok()?, task.parse().ok()?)));
    place.ok_or_else(|| query::refused("after is group:task, as an answer's next"))
}

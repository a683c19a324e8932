//! One task with its documents.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::request::{
    Event, GroupIndex, Payload, Request, RequestId, Sequence, State as Stands, TaskNumber, evolve,
};
use projections::{ResultPlace, TaskView};
use runtime::Cost;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Admitted;
use crate::http::held_answer::held;
use crate::http::problem::{Problem, ProblemBody, overloaded};
use crate::http::query;
use crate::http::sharing::Caller;
use crate::state::Api;
use crate::valuation::intake::at_cost;
use crate::valuation::partial::unreadable;
use crate::valuation::read::{parse_id, seen, with_sequence};
use crate::valuation::tasks::TaskBody;

/// How many commits one read returns.
const PAGE: usize = 1_000;

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
    caller: Caller,
    reader: Admitted,
    Path((id, group, task)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    let unnumbered = |_| query::refused("a group and a task are named by their numbers");
    let group: GroupIndex = group.parse().map_err(unnumbered)?;
    let task: TaskNumber = task.parse().map_err(unnumbered)?;
    let view = api.known(&reader, id, seen(&headers)?).await?;
    let found = {
        let index = api.indexes.of(id);
        let tasks = index.up_to_date(&api, id).await?;
        tasks.get(group, task).cloned()
    };
    let unknown = || {
        let message = format!("there is no task {task} in a group {group} that has started");
        Problem::new(StatusCode::NOT_FOUND, "unknown-task", message).of(id)
    };
    let found = found.ok_or_else(unknown)?;
    let place = api.task_documents.take(caller, 1);
    let place =
        place.map_err(|_| overloaded("too many task documents are being read; try again"))?;
    let request = before(&api, id, group).await?;
    let pieces = api.pieces(id, &request, group.index()).await?;
    let making = move || pieces.task(group, task);
    let made = at_cost(&api.pool, Cost::Costly, making).await?;
    let made = made.map_err(|reason| unreadable(id, &reason))?;
    let made = made.ok_or_else(unknown)?;
    let result = match found.result {
        Some(place) => {
            let result = result(&api, id, &found, place).await?;
            Some(text(api.document(id, &result).await?))
        }
        None => None,
    };
    let body = TaskInFull {
        request_id: id,
        task: (&found).into(),
        name: made.name,
        document: text(made.xml),
        result,
    };
    let text = serde_json::to_vec(&body).map_err(|error| {
        tracing::error!(request = %id, %error, "a task could not be written as JSON");
        let message = "the task could not be written as JSON";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).of(id)
    })?;
    // The JSON holds documents of callers.
    let kind = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CONTENT_DISPOSITION, "attachment"),
    ];
    let answer = (kind, held(text, place)).into_response();
    Ok(with_sequence(answer, view.seq))
}

/// The request at the start of a group: with the results of the earlier groups, and no others.
async fn before(api: &Api, id: RequestId, group: GroupIndex) -> Result<Request, Problem> {
    let mut state = Stands::Absent;
    let mut next = Some(Sequence::NONE);
    while let Some(after) = next {
        let page = api.log.read_page(id, after, PAGE).await?;
        for event in page.commits.iter().flat_map(|commit| &commit.events) {
            state = evolve(state, event);
            if matches!(event, Event::GroupStarted(started) if started.group == group) {
                next = None;
                break;
            }
        }
        next = next.and(page.next);
    }
    match state.request() {
        Some(request) => Ok(request.clone()),
        None => Err(api.not_found(id).await),
    }
}

/// The result of a task, from the commit that recorded it.
async fn result(
    api: &Api,
    id: RequestId,
    task: &TaskView,
    place: ResultPlace,
) -> Result<Payload, Problem> {
    let page = api.log.read_page(id, place.sequence.before(), 1).await?;
    let events = page.commits.into_iter().flat_map(|commit| commit.events);
    let mut results = events.filter_map(|event| match event {
        Event::TaskSucceeded(done) if (done.group, done.task) == (task.group, task.task) => {
            Some(done.result)
        }
        _ => None,
    });
    match results.next() {
        Some(result) => Ok(result),
        None => Err(api.not_found(id).await),
    }
}

fn text(document: Vec<u8>) -> String {
    String::from_utf8(document)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

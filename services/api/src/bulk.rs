//! Bulk operations over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use domain::bulk::{Action, Command, OperationId, PER_SECOND_DEFAULT, Plan};
use operations::{BulkError, Folded, Page};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use self::order::OrderBody;
use self::problem::{problem, unknown};
use crate::answers::{OperationBody, OperationItemsBody, OperationsBody};
use crate::auth::Admitted;
use crate::dead_letters::turn;
use crate::http::body::PostedJson;
use crate::http::input;
use crate::http::problem::{Problem, ProblemBody};
use crate::state::Api;

mod order;
pub mod problem;

/// How many operations a list has.
const LIST_MAX: usize = 200;
/// The default number of items on a page.
const ITEMS_DEFAULT: usize = 100;
/// The maximum number of items on a page.
const ITEMS_MAX: usize = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = StartOperation)]
pub struct StartBody {
    /// How many items are tried first. The others wait until these have ended, and one that fails
    /// pauses the operation.
    #[serde(default)]
    canary: u32,
    /// How many items are asked for in a second at most: 1 to 1,000.
    #[serde(default = "per_second")]
    per_second: u32,
    /// After how many failed items the operation stops.
    stop_after_failures: Option<u32>,
    /// The person for whom the caller acts.
    by: Option<String>,
}

const fn per_second() -> u32 {
    PER_SECOND_DEFAULT
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = OperationCommand)]
pub struct CommandBody {
    /// Why.
    #[serde(default)]
    reason: String,
    /// The person for whom the caller acts.
    by: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ItemsQuery {
    /// Only items in this state: waiting, asking, running, done, failed, refused, skipped, or
    /// pending for the first three.
    status: Option<String>,
    /// The `next` of the page before.
    cursor: Option<u32>,
    limit: Option<usize>,
}

/// Fix a selection, and say what would happen to it. Nothing happens before it is started.
#[utoipa::path(
    post, path = "/operations", tag = "operations", operation_id = "draft_operation",
    request_body = OrderBody,
    responses(
        (status = 201, description = "The draft", body = OperationBody, headers(("Location" = String))),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Nothing or too much is selected", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn draft(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    PostedJson(posted): PostedJson,
) -> Result<Response, Problem> {
    let body: OrderBody = input::json(&posted.bytes)?;
    let order = body.order(&caller)?;
    let _turn = turn(&api)?;
    let (folded, _) = api.operations.draft(order).await.map_err(problem)?;
    tracing::info!(operation = %folded.id, "an operation was drafted");
    let location = [(header::LOCATION, format!("/operations/{}", folded.id))];
    Ok((StatusCode::CREATED, location, told(&folded)).into_response())
}

/// The bulk operations, newest first.
#[utoipa::path(
    get, path = "/operations", tag = "operations", operation_id = "operations",
    responses(
        (status = 200, description = "The newest 200", body = OperationsBody),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(State(api): State<Arc<Api>>, caller: Admitted) -> Result<Json<Value>, Problem> {
    let mut all = api.operations.bulk_operations(caller.scope()).await?;
    all.truncate(LIST_MAX);
    let all: Vec<_> = all.iter().filter_map(Folded::told).collect();
    Ok(Json(json!({ "operations": all })))
}

/// One bulk operation.
#[utoipa::path(
    get, path = "/operations/{id}", tag = "operations", operation_id = "operation",
    params(("id" = String, Path, description = "The operation", format = "uuid")),
    responses(
        (status = 200, description = "The operation", body = OperationBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(told(&read(&api, &caller, &id).await?))
}

/// The items of a bulk operation, a page of them.
#[utoipa::path(
    get, path = "/operations/{id}/items", tag = "operations", operation_id = "operation_items",
    params(("id" = String, Path, description = "The operation", format = "uuid"), ItemsQuery),
    responses(
        (status = 200, description = "A page", body = OperationItemsBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn items(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    query: Result<Query<ItemsQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-filter",
            rejection.body_text(),
        )
    })?;
    let folded = read(&api, &caller, &id).await?;
    let operation = folded.operation().ok_or_else(|| unknown(&id))?;
    let selection = api.operations.selection(operation).await?;
    let page = folded.items(
        &selection,
        Page {
            status: query.status.as_deref(),
            from: query.cursor.unwrap_or(0),
            limit: query.limit.unwrap_or(ITEMS_DEFAULT).clamp(1, ITEMS_MAX),
        },
    );
    Ok(Json(json!(page)))
}

/// Begin to take the action.
#[utoipa::path(
    post, path = "/operations/{id}/start", tag = "operations", operation_id = "start_operation",
    params(("id" = String, Path, description = "The operation", format = "uuid")),
    request_body = StartBody,
    responses(
        (status = 200, description = "The operation", body = OperationBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn start(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: StartBody = input::json(&posted.bytes)?;
    let actor = input::why_if_said(&caller, body.by.as_deref(), "")?.actor();
    let plan = Plan {
        canary: body.canary,
        per_second: body.per_second,
        stop_after_failures: body.stop_after_failures,
    };
    give(&api, &caller, &id, Command::Start { plan, actor }).await
}

/// Ask for nothing more until it is resumed.
#[utoipa::path(
    post, path = "/operations/{id}/pause", tag = "operations", operation_id = "pause_operation",
    params(("id" = String, Path, description = "The operation", format = "uuid")),
    request_body = CommandBody,
    responses(
        (status = 200, description = "The operation", body = OperationBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn pause(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: CommandBody = input::json(&posted.bytes)?;
    let why = input::why_if_said(&caller, body.by.as_deref(), &body.reason)?;
    let actor = why.actor();
    give(&api, &caller, &id, Command::Pause { actor }).await
}

/// Go on with a paused operation.
#[utoipa::path(
    post, path = "/operations/{id}/resume", tag = "operations", operation_id = "resume_operation",
    params(("id" = String, Path, description = "The operation", format = "uuid")),
    request_body = CommandBody,
    responses(
        (status = 200, description = "The operation", body = OperationBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn resume(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: CommandBody = input::json(&posted.bytes)?;
    let why = input::why_if_said(&caller, body.by.as_deref(), &body.reason)?;
    let actor = why.actor();
    give(&api, &caller, &id, Command::Resume { actor }).await
}

/// Ask for nothing more, ever. What was asked for is followed to its end.
#[utoipa::path(
    post, path = "/operations/{id}/cancel", tag = "operations", operation_id = "cancel_operation",
    params(("id" = String, Path, description = "The operation", format = "uuid")),
    request_body = CommandBody,
    responses(
        (status = 200, description = "The operation", body = OperationBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such operation", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not as it stands", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn cancel(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: CommandBody = input::json(&posted.bytes)?;
    let why = input::why_if_said(&caller, body.by.as_deref(), &body.reason)?;
    let (actor, reason) = (why.actor(), why.reason().to_owned());
    give(&api, &caller, &id, Command::Cancel { actor, reason }).await
}

async fn give(
    api: &Api,
    caller: &Admitted,
    id: &str,
    command: Command,
) -> Result<Json<Value>, Problem> {
    let read = read(api, caller, id).await?;
    take_quota(api, &read, &command)?;
    let id = read.id;
    let folded = api.operations.bulk_command(id, command).await;
    let folded = folded.map_err(|error| match error {
        BulkError::Refused(domain::bulk::Rejection::Unknown) => unknown(&id.to_string()),
        error => problem(error),
    })?;
    Ok(told(&folded))
}

/// Takes the start of a redrive from the quotas of its tenant. It is one, however many items the
/// operation has: these have a rate of their own.
fn take_quota(api: &Api, folded: &Folded, command: &Command) -> Result<(), Problem> {
    let drafted = folded.operation().map(|operation| &operation.drafted);
    let (Some(drafted), Command::Start { .. }) = (drafted, command) else {
        return Ok(());
    };
    let quotas = api.quotas.of(&drafted.tenant);
    if let Some(quotas) = quotas.filter(|_| drafted.action == Action::Redrive) {
        quotas.submit()?;
    }
    Ok(())
}

/// An operation. For a caller of another tenant it does not exist.
async fn read(api: &Api, caller: &Admitted, id: &str) -> Result<Folded, Problem> {
    let folded = api
        .operations
        .bulk_operation_of(caller.scope(), parsed(id)?)
        .await?;
    folded.ok_or_else(|| unknown(id))
}

fn parsed(id: &str) -> Result<OperationId, Problem> {
    let parsed: Result<OperationId, _> = id.parse();
    parsed.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "invalid-id", error.to_string()))
}

fn told(folded: &Folded) -> Json<Value> {
    Json(json!(folded.told()))
}

//! The dead letters over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use domain::bulk::Action;
use jiff::Timestamp;
use nats::{Error, Filter, Kept};
use operations::{Change, Why};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use crate::answers::{ChangedBody, DeadLetterBody, DeadLettersBody};
use crate::auth::Admitted;
use crate::bulk;
use crate::http::body::PostedJson;
use crate::http::input;
use crate::http::problem::{Problem, ProblemBody, overloaded};
use crate::http::query;
use crate::state::Api;
use crate::valuation::read::parse_id;

/// The default number of letters on a page.
const PAGE_DEFAULT: usize = 100;
/// The maximum number of letters on a page.
const PAGE_MAX: usize = 1_000;
/// How many letters one answer examines. When few of them match, a page may be short and still have
/// a next page.
const LOOKED_AT_MAX: usize = 5_000;
/// How long one answer searches for letters.
const LOOK_TIME: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ListQuery {
    #[serde(rename = "type")]
    task_type: Option<String>,
    code: Option<String>,
    request: Option<String>,
    since: Option<String>,
    cursor: Option<u64>,
    limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = Change)]
pub struct ChangeBody {
    #[serde(rename = "type")]
    task_type: Option<String>,
    code: Option<String>,
    request: Option<String>,
    since: Option<String>,
    cursor: Option<u64>,
    /// The `until` of the first answer, which ends the change there.
    until: Option<u64>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    reason: String,
    by: Option<String>,
}

pub fn filter(
    caller: &Admitted,
    task_type: Option<String>,
    code: Option<String>,
    request: Option<&str>,
    since: Option<&str>,
) -> Result<Filter, Problem> {
    let since = since
        .map(|text| query::since(text, Timestamp::now()))
        .transpose();
    let since = since.map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid-since", error.to_string())
    })?;
    Ok(Filter {
        tenant: caller.scope().only().cloned(),
        task_type,
        code,
        request: request.map(parse_id).transpose()?,
        since,
    })
}

/// A cursor is an int64, as documented.
fn cursor(given: Option<u64>) -> Result<Option<u64>, Problem> {
    if given.is_some_and(|cursor| i64::try_from(cursor).is_err()) {
        let message = "cursor is not one that an answer gave";
        let status = StatusCode::BAD_REQUEST;
        return Err(Problem::new(status, "invalid-filter", message));
    }
    Ok(given)
}

fn problem(error: Error) -> Problem {
    match error {
        Error::Refused(reason) => Problem::new(StatusCode::BAD_REQUEST, "invalid-filter", reason),
        error => error.into(),
    }
}

/// The dead letters, a page of them.
#[utoipa::path(
    get, path = "/dead-letters", tag = "operations", operation_id = "dead_letters",
    params(ListQuery),
    responses(
        (status = 200, description = "A page", body = DeadLettersBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|rejection| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid-filter",
            rejection.body_text(),
        )
    })?;
    let limit = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
    let after = cursor(query.cursor)?.unwrap_or(0);
    let (request, since) = (query.request.as_deref(), query.since.as_deref());
    let filter = filter(&caller, query.task_type, query.code, request, since)?;
    let _turn = turn(&api)?;
    let begun = Instant::now();
    let (mut letters, mut looked_at, mut next) = (Vec::new(), 0, Some(after));
    while let Some(after) = next
        && letters.len() < limit
        && looked_at < LOOKED_AT_MAX
        && begun.elapsed() < LOOK_TIME
    {
        let left = limit - letters.len();
        let page = api.operations.letters().look(&filter, after, left).await;
        let page = page.map_err(problem)?;
        // Letters are large, and a page has many: keep only their summaries.
        letters.extend(page.letters.iter().map(Kept::summary));
        looked_at += page.looked_at;
        next = page.next;
    }
    Ok(Json(json!({ "deadLetters": letters, "next": next })))
}

/// Takes one of the few permits to search through many letters.
pub fn turn(api: &Api) -> Result<SemaphorePermit<'_>, Problem> {
    api.looking
        .try_acquire()
        .map_err(|_| overloaded("too many callers search the dead letters; try again"))
}

fn unknown(id: &str) -> Problem {
    let id: String = id.chars().take(200).collect();
    let message = format!("there is no dead letter {id}");
    Problem::new(StatusCode::NOT_FOUND, "unknown-dead-letter", message)
}

/// One dead letter, whole.
#[utoipa::path(
    get, path = "/dead-letters/{id}", tag = "operations", operation_id = "dead_letter",
    params(("id" = String, Path, description = "The dead letter")),
    responses(
        (status = 200, description = "The letter", body = DeadLetterBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such dead letter", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn show(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let kept = letter(&api, &caller, &id).await?;
    Ok(Json(kept.detail()))
}

/// The letter with this id. For a caller of another tenant it does not exist.
async fn letter(api: &Api, caller: &Admitted, id: &str) -> Result<Kept, Problem> {
    let kept = api.operations.letters().get(id).await?;
    kept.filter(|kept| caller.scope().includes(&kept.tenant()))
        .ok_or_else(|| unknown(id))
}

/// Take one dead letter away.
#[utoipa::path(
    delete, path = "/dead-letters/{id}", tag = "operations", operation_id = "discard_dead_letter",
    params(("id" = String, Path, description = "The dead letter")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such dead letter", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn discard_one(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let why = input::why_if_said(&caller, None, "")?;
    if caller.scope().only().is_some() {
        letter(&api, &caller, &id).await?;
    }
    let discarded = api.operations.discard(&id, &why).await?;
    discarded
        .then_some(StatusCode::NO_CONTENT)
        .ok_or_else(|| unknown(&id))
}

/// The requests of the letters run again.
#[utoipa::path(
    post, path = "/dead-letters/redrive", tag = "operations", operation_id = "redrive_dead_letters",
    request_body = ChangeBody,
    responses(
        (status = 200, description = "What became of them", body = ChangedBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn redrive(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: ChangeBody = input::json(&posted.bytes)?;
    let why = if body.dry_run {
        None
    } else {
        let why = input::why(&caller, body.by.as_deref(), &body.reason)?;
        if let Some(quotas) = api.quotas.of(&caller.tenant()) {
            quotas.submit()?;
        }
        Some(why)
    };
    change_all(&api, &caller, body, Action::Redrive, why).await
}

/// Take dead letters away.
#[utoipa::path(
    post, path = "/dead-letters/discard", tag = "operations", operation_id = "discard_dead_letters",
    request_body = ChangeBody,
    responses(
        (status = 200, description = "What became of them", body = ChangedBody),
        (status = 400, description = "Invalid input", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Too large", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON, or in an unknown Content-Encoding", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Not now", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn discard(
    State(api): State<Arc<Api>>,
    caller: Admitted,
    PostedJson(posted): PostedJson,
) -> Result<Json<Value>, Problem> {
    let body: ChangeBody = input::json(&posted.bytes)?;
    let why = if body.dry_run {
        None
    } else {
        let why = input::why_if_said(&caller, body.by.as_deref(), &body.reason);
        Some(why?)
    };
    change_all(&api, &caller, body, Action::Discard, why).await
}

async fn change_all(
    api: &Api,
    caller: &Admitted,
    body: ChangeBody,
    action: Action,
    why: Option<Why>,
) -> Result<Json<Value>, Problem> {
    let (request, since) = (body.request.as_deref(), body.since.as_deref());
    let change = Change {
        action,
        filter: filter(caller, body.task_type, body.code, request, since)?,
        after: cursor(body.cursor)?.unwrap_or(0),
        until: cursor(body.until)?,
        why,
    };
    let _turn = turn(api)?;
    let changed = api
        .operations
        .change_letters(&caller.tenant(), change)
        .await;
    let changed = changed.map_err(bulk::problem::problem)?;
    tracing::info!(
        letters = changed.letters,
        done = changed.done(),
        refused = changed.refused(),
        pending = changed.pending,
        dry_run = body.dry_run,
        operation = changed.operation,
        "dead letters changed"
    );
    Ok(Json(json!({
        "dryRun": body.dry_run,
        "operation": changed.operation,
        "letters": changed.letters,
        "done": changed.done(),
        "refused": changed.refused(),
        "pending": changed.pending,
        "answers": changed.answers,
        "next": changed.next,
        "until": changed.until,
    })))
}

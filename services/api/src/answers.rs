//! The schemas of answers whose data is made elsewhere. A test reads real answers by them.
#![allow(dead_code, missing_docs)] // The structs exist for their schemas.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// What went wrong in an attempt.
#[derive(ToSchema)]
#[schema(as = Fault)]
pub struct FaultBody {
    /// Stable, in kebab-case.
    code: String,
    message: String,
    /// The nearest first; left out where there are none.
    causes: Option<Vec<String>>,
}

/// Why a request failed.
#[derive(ToSchema)]
#[schema(as = Failure, rename_all = "camelCase")]
pub struct FailureBody {
    /// The commit in which it failed.
    seq: u64,
    #[schema(value_type = String, format = DateTime)]
    failed_at: String,
    /// Similar failures have the same one.
    fingerprint: String,
    /// Stable, in kebab-case.
    code: String,
    message: String,
    /// The group in which it happened, from 0.
    group: Option<u32>,
    /// The tasks without a result: all of them, or the first 1,000.
    tasks: Option<Vec<FailedTaskBody>>,
    /// How many tasks have no result, where not all are told.
    task_count: Option<u32>,
    /// Whether something was left out; the dead letters have it.
    truncated: Option<bool>,
    /// Whether a redrive may help without a change of the document.
    redrive_may_help: bool,
}

/// A task without a result.
#[derive(ToSchema)]
#[schema(as = FailedTask, rename_all = "camelCase")]
pub struct FailedTaskBody {
    /// The task, from 1.
    task: u32,
    attempts: Vec<FailedAttemptBody>,
    /// The dead letter that keeps its history.
    dead_letter: Option<String>,
}

/// An attempt that failed.
#[derive(ToSchema)]
#[schema(as = FailedAttempt, rename_all = "camelCase")]
pub struct FailedAttemptBody {
    /// Its number, from 1.
    attempt: u32,
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: String,
    duration_ms: u64,
    /// Stable, in kebab-case.
    code: String,
    message: String,
    /// The nearest first; left out where there are none.
    causes: Option<Vec<String>>,
}

/// A document: the text itself, or where the store has it.
#[derive(ToSchema)]
#[schema(as = Payload)]
pub struct PayloadBody {
    inline: Option<String>,
    stored: Option<StoredBody>,
}

/// A document in the store.
#[derive(ToSchema)]
#[schema(as = StoredPayload)]
pub struct StoredBody {
    sha256: String,
    /// The bytes before compression.
    size: u64,
}

/// A page of dead letters.
#[derive(ToSchema)]
#[schema(as = DeadLetters, rename_all = "camelCase")]
pub struct DeadLettersBody {
    dead_letters: Vec<DeadLetterSummaryBody>,
    /// The `cursor` of the next page; none where this is the last.
    next: Option<u64>,
}

/// A dead letter in a list.
#[derive(ToSchema)]
#[schema(as = DeadLetterSummary, rename_all = "camelCase")]
pub struct DeadLetterSummaryBody {
    id: String,
    /// The task type, or `unreadable`.
    #[schema(rename = "type")]
    kind: String,
    /// The request, where it is known.
    #[schema(format = "uuid")]
    request_id: Option<String>,
    group: Option<u32>,
    task: Option<u32>,
    run: Option<u32>,
    /// The code of the last attempt.
    code: String,
    message: String,
    /// How many attempts failed; of a letter in full, the attempts.
    attempts: u64,
    #[schema(value_type = String, format = DateTime)]
    kept_at: String,
    /// The commit that gave the task up.
    sequence: Option<u64>,
}

/// A dead letter in full: of a task, or of a message that cannot be read.
#[derive(ToSchema)]
#[schema(as = DeadLetter, rename_all = "camelCase")]
pub struct DeadLetterBody {
    id: String,
    /// The task type, or `unreadable`.
    #[schema(rename = "type")]
    kind: String,
    /// The request, where it is known.
    #[schema(format = "uuid")]
    request_id: Option<String>,
    group: Option<u32>,
    task: Option<u32>,
    run: Option<u32>,
    /// The code of the last attempt.
    code: String,
    message: String,
    /// Of a task, its failed attempts; of a message, 0.
    #[schema(schema_with = attempts_or_none)]
    attempts: Vec<FailedAttemptBody>,
    /// The task document.
    document: Option<PayloadBody>,
    unreadable: Option<UnreadableBody>,
    #[schema(value_type = String, format = DateTime)]
    kept_at: String,
    /// The commit that gave the task up.
    sequence: Option<u64>,
}

fn attempts_or_none() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
    use utoipa::openapi::{Ref, RefOr};
    let attempt = Ref::from_schema_name("FailedAttempt");
    let either = OneOfBuilder::new()
        .item(ArrayBuilder::new().items(attempt))
        .item(ObjectBuilder::new().schema_type(Type::Integer))
        .description(Some("Of a task, its failed attempts; of a message, 0."));
    RefOr::T(Schema::OneOf(either.build()))
}

/// A message that cannot be read.
#[derive(ToSchema)]
#[schema(as = UnreadableMessage, rename_all = "camelCase")]
pub struct UnreadableBody {
    subject: String,
    reason: String,
    headers: BTreeMap<String, String>,
    body: String,
    /// The bytes of the body, where the letter does not hold all of it.
    truncated: Option<u64>,
}

/// What became of dead letters.
#[derive(ToSchema)]
#[schema(as = Changed, rename_all = "camelCase")]
pub struct ChangedBody {
    dry_run: bool,
    /// How many dead letters were looked at.
    letters: u64,
    /// How many changes were made, or would be.
    done: u64,
    refused: u64,
    /// How many answers were not known in time. The operation goes on.
    pending: u64,
    /// The bulk operation that makes the change; none for a dry run, or where nothing matches.
    operation: Option<String>,
    /// One for each request, or for each discarded letter.
    answers: Vec<ChangedLetterBody>,
    /// The `cursor` of the next call; none at the end.
    next: Option<u64>,
    /// The `until` of the next call.
    until: Option<u64>,
}

/// What became of a dead letter.
#[derive(ToSchema)]
#[schema(as = ChangedLetter, rename_all = "camelCase")]
pub struct ChangedLetterBody {
    /// The letter, or the first one of its request.
    dead_letter: String,
    /// The request, where it is known.
    #[schema(format = "uuid")]
    request_id: Option<String>,
    /// Whether the change was made, or would be.
    done: bool,
    /// Why it was not.
    refused: Option<String>,
}

/// A request that runs again.
#[derive(ToSchema)]
#[schema(as = Redriven, rename_all = "camelCase")]
pub struct RedrivenBody {
    #[schema(format = "uuid")]
    request_id: String,
    /// `redriven`.
    status: String,
    run: Option<u32>,
    /// The group that it begins with, from 0.
    group: Option<u32>,
    /// The tasks of this group that run again, from 1.
    tasks: Option<Vec<u32>>,
}

/// A request that was stopped.
#[derive(ToSchema)]
#[schema(as = Cancelled, rename_all = "camelCase")]
pub struct CancelledBody {
    #[schema(format = "uuid")]
    request_id: String,
    /// `cancelled`.
    status: String,
}

/// What a document would give.
#[derive(ToSchema)]
#[schema(as = Preview)]
pub struct PreviewBody {
    groups: Vec<GroupPreviewBody>,
    /// Every URI that the document refers to.
    references: Vec<String>,
    /// What is valid and probably a mistake.
    warnings: Option<Vec<String>>,
}

/// What a group would give.
#[derive(ToSchema)]
#[schema(as = GroupPreview)]
pub struct GroupPreviewBody {
    name: Option<String>,
    /// The number of its valuations as they are written.
    valuations: u64,
    /// `ready`, `needs-resources`, `needs-results` or `fails`.
    outlook: String,
    /// The number of its tasks, where it is ready.
    tasks: Option<u64>,
    /// Why it would fail.
    code: Option<String>,
    message: Option<String>,
}

/// An event, as `CloudEvents` 1.0 in their JSON form.
#[derive(ToSchema)]
#[schema(as = Event)]
pub struct EventBody {
    specversion: String,
    /// `request:sequence:index`: the same event has the same id wherever it is read.
    id: String,
    source: String,
    #[schema(rename = "type", example = "fanfold.request.succeeded.v1")]
    kind: String,
    /// The request.
    subject: String,
    #[schema(value_type = String, format = DateTime)]
    time: String,
    datacontenttype: String,
    /// Where the schema of `data` is served.
    dataschema: String,
    sequence: String,
    traceparent: Option<String>,
    /// By `dataschema`.
    #[schema(value_type = Object)]
    data: Value,
}

/// A view that is stopped.
#[derive(ToSchema)]
#[schema(as = StoppedView, rename_all = "camelCase")]
pub struct StoppedViewBody {
    #[schema(format = "uuid")]
    request_id: String,
    sequence: u64,
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    stopped_at: String,
}

/// What NATS and Redis do not allow.
#[derive(ToSchema)]
#[schema(as = Denied)]
pub struct DeniedBody {
    /// What this process lacks at NATS.
    nats: Vec<String>,
    /// What it lacks at Redis.
    redis: Vec<String>,
    /// What NATS has denied lately.
    lately: Vec<String>,
}

/// The HTTP status; where a request's own state is the error, the word for that state.
pub fn status_or_state() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    use utoipa::openapi::RefOr;
    use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
    let of = |kind: Type| ObjectBuilder::new().schema_type(kind);
    let either = OneOfBuilder::new()
        .item(of(Type::Integer))
        .item(of(Type::String))
        .description(Some(
            "The HTTP status; where a request's own state is the error, the word for that state.",
        ));
    RefOr::T(Schema::OneOf(either.build()))
}

/// A bulk operation.
#[derive(ToSchema)]
#[schema(as = Operation, rename_all = "camelCase")]
pub struct OperationBody {
    #[schema(format = "uuid")]
    id: String,
    /// The tenant of every item; left out for `default`.
    tenant: Option<String>,
    /// `redrive`, `cancel` or `discard`.
    action: String,
    /// `draft`, `running`, `paused`, `completed`, `cancelled` or `stopped`.
    status: String,
    /// The number of items: the sum of `done`, `failed`, `refused`, `skipped` and `pending`.
    selected: u64,
    done: u64,
    failed: u64,
    refused: u64,
    skipped: u64,
    pending: u64,
    /// The part of `pending` that runs again.
    running: u64,
    /// What would have happened to the items when they were selected.
    #[schema(value_type = Object)]
    outlook: Value,
    /// The filter that made the selection.
    #[schema(value_type = Object)]
    filter: Value,
    plan: Option<OperationPlanBody>,
    /// Who paused or ended it, or why it paused or stopped itself.
    note: Option<String>,
    by: String,
    on_behalf_of: Option<String>,
    reason: String,
    #[schema(format = "date-time")]
    drafted_at: String,
    #[schema(format = "date-time")]
    started_at: Option<String>,
    #[schema(format = "date-time")]
    ended_at: Option<String>,
}

/// How an operation goes through its items.
#[derive(ToSchema)]
#[schema(as = OperationPlan, rename_all = "camelCase")]
pub struct OperationPlanBody {
    canary: u64,
    per_second: u64,
    stop_after_failures: Option<u64>,
}

/// The newest bulk operations.
#[derive(ToSchema)]
#[schema(as = Operations)]
pub struct OperationsBody {
    operations: Vec<OperationBody>,
}

/// Some items of a bulk operation.
#[derive(ToSchema)]
#[schema(as = OperationItems)]
pub struct OperationItemsBody {
    items: Vec<OperationItemBody>,
    /// The `cursor` of the next page; none at the end.
    next: Option<u64>,
}

/// An item of a bulk operation.
#[derive(ToSchema)]
#[schema(as = OperationItem, rename_all = "camelCase")]
pub struct OperationItemBody {
    /// Its position in the selection.
    item: u64,
    #[schema(format = "uuid")]
    request_id: Option<String>,
    dead_letter: Option<String>,
    status: String,
    /// Why it is in this state.
    reason: Option<String>,
}

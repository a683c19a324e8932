"""The types of the API. generate.py made this file from /openapi.json: do not edit it."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from typing import NotRequired, TypeAlias


class Accepted(TypedDict):
    """The answer to an accepted document."""
    requestId: str
    # `accepted`; `pending` to a caller that waited in vain.
    status: str


class Attempt(TypedDict):
    """Attempt"""
    # Its number, from 1.
    attempt: int
    durationMs: int
    fault: NotRequired[Fault | None]
    startedAt: str
    worker: str


class Cancelled(TypedDict):
    """A request that was stopped."""
    requestId: str
    # `cancelled`.
    status: str


class Change(TypedDict):
    """Change"""
    by: NotRequired[str | None]
    code: NotRequired[str | None]
    cursor: NotRequired[int | None]
    dryRun: NotRequired[bool]
    reason: NotRequired[str]
    request: NotRequired[str | None]
    since: NotRequired[str | None]
    type: NotRequired[str | None]
    # The `until` of the first answer, which ends the change there.
    until: NotRequired[int | None]


class Changed(TypedDict):
    """What became of dead letters."""
    # One for each request, or for each discarded letter.
    answers: list[ChangedLetter]
    # How many changes were made, or would be.
    done: int
    dryRun: bool
    # How many dead letters were looked at.
    letters: int
    # The `cursor` of the next call; none at the end.
    next: NotRequired[int | None]
    # The bulk operation that makes the change; none for a dry run, or where nothing matches.
    operation: NotRequired[str | None]
    # How many answers were not known in time. The operation goes on.
    pending: int
    refused: int
    # The `until` of the next call.
    until: NotRequired[int | None]


class ChangedLetter(TypedDict):
    """What became of a dead letter."""
    # The letter, or the first one of its request.
    deadLetter: str
    # Whether the change was made, or would be.
    done: bool
    # Why it was not.
    refused: NotRequired[str | None]
    # The request, where it is known.
    requestId: NotRequired[str | None]


class DeadLetter(TypedDict):
    """A dead letter in full: of a task, or of a message that cannot be read."""
    # Of a task, its failed attempts; of a message, 0.
    attempts: list[FailedAttempt] | int
    # The code of the last attempt.
    code: str
    document: NotRequired[Payload | None]
    group: NotRequired[int | None]
    id: str
    keptAt: str
    message: str
    # The request, where it is known.
    requestId: NotRequired[str | None]
    run: NotRequired[int | None]
    # The commit that gave the task up.
    sequence: NotRequired[int | None]
    task: NotRequired[int | None]
    # The task type, or `unreadable`.
    type: str
    unreadable: NotRequired[UnreadableMessage | None]


class DeadLetterSummary(TypedDict):
    """A dead letter in a list."""
    # How many attempts failed; of a letter in full, the attempts.
    attempts: int
    # The code of the last attempt.
    code: str
    group: NotRequired[int | None]
    id: str
    keptAt: str
    message: str
    # The request, where it is known.
    requestId: NotRequired[str | None]
    run: NotRequired[int | None]
    # The commit that gave the task up.
    sequence: NotRequired[int | None]
    task: NotRequired[int | None]
    # The task type, or `unreadable`.
    type: str


class DeadLetters(TypedDict):
    """A page of dead letters."""
    deadLetters: list[DeadLetterSummary]
    # The `cursor` of the next page; none where this is the last.
    next: NotRequired[int | None]


class Denied(TypedDict):
    """What NATS and Redis do not allow."""
    # What NATS has denied lately.
    lately: list[str]
    # What this process lacks at NATS.
    nats: list[str]
    # What it lacks at Redis.
    redis: list[str]


class DraftOperation(TypedDict):
    """What is done, to what, and why. Exactly one of `deadLetters`, `requests` and `ids` selects."""
    # `redrive`, `cancel` or `discard`.
    action: str
    # The person for whom the caller acts.
    by: NotRequired[str | None]
    deadLetters: NotRequired[SelectDeadLetters | None]
    # These requests.
    ids: NotRequired[list[str] | None]
    # Why. The history of each request has it.
    reason: NotRequired[str]
    requests: NotRequired[SelectRequests | None]


class Event(TypedDict):
    """An event, as `CloudEvents` 1.0 in their JSON form."""
    # By `dataschema`.
    data: dict[str, Any]
    datacontenttype: str
    # Where the schema of `data` is served.
    dataschema: str
    # `request:sequence:index`: the same event has the same id wherever it is read.
    id: str
    sequence: str
    source: str
    specversion: str
    # The request.
    subject: str
    time: str
    traceparent: NotRequired[str | None]
    type: str


class Events(TypedDict):
    """The history of a request, or a page of it."""
    # `CloudEvents` 1.0 in their JSON form.
    events: list[Event]
    # Where the next page begins; none where this is the last.
    next: NotRequired[str | None]
    requestId: str


class FailedAttempt(TypedDict):
    """An attempt that failed."""
    # Its number, from 1.
    attempt: int
    # The nearest first; left out where there are none.
    causes: NotRequired[list[str] | None]
    # Stable, in kebab-case.
    code: str
    durationMs: int
    message: str
    startedAt: str
    worker: str


class FailedTask(TypedDict):
    """A task without a result."""
    attempts: list[FailedAttempt]
    # The dead letter that keeps its history.
    deadLetter: NotRequired[str | None]
    # The task, from 1.
    task: int


class Failure(TypedDict):
    """Why a request failed."""
    # Stable, in kebab-case.
    code: str
    failedAt: str
    # Similar failures have the same one.
    fingerprint: str
    # The group in which it happened, from 0.
    group: NotRequired[int | None]
    message: str
    # Whether a redrive may help without a change of the document.
    redriveMayHelp: bool
    # The commit in which it failed.
    seq: int
    # How many tasks have no result, where not all are told.
    taskCount: NotRequired[int | None]
    # The tasks without a result: all of them, or the first 1,000.
    tasks: NotRequired[list[FailedTask] | None]
    # Whether something was left out; the dead letters have it.
    truncated: NotRequired[bool | None]


class Fault(TypedDict):
    """What went wrong in an attempt."""
    # The nearest first; left out where there are none.
    causes: NotRequired[list[str] | None]
    # Stable, in kebab-case.
    code: str
    message: str


class Group(TypedDict):
    """Group"""
    completed: int
    completedAt: NotRequired[str | None]
    # The number of its tasks; before it has started, of its valuations.
    expected: int
    failed: int
    name: NotRequired[str | None]
    startedAt: NotRequired[str | None]
    # `waiting`, `running`, `completed`, `failed` or `cancelled`.
    status: str


class GroupPreview(TypedDict):
    """What a group would give."""
    # Why it would fail.
    code: NotRequired[str | None]
    message: NotRequired[str | None]
    name: NotRequired[str | None]
    # `ready`, `needs-resources`, `needs-results` or `fails`.
    outlook: str
    # The number of its tasks, where it is ready.
    tasks: NotRequired[int | None]
    # The number of its valuations as they are written.
    valuations: int


class Health(TypedDict):
    """The health of a process."""
    # What is wrong without keeping this process from its work: `redis`, `redis-permissions`,
    # `stopped-views`, `clock` or `storage`.
    degraded: NotRequired[list[str] | None]
    denied: NotRequired[Denied | None]
    # The dependencies, each with `ok` or its fault.
    dependencies: NotRequired[dict[str, str] | None]
    # For how many seconds the oldest commit has waited that is not in the views and the feed
    # yet; 0 where none waits.
    oldestUnprojectedSeconds: NotRequired[int | None]
    # How many messages in the log this process has passed over, because they are no commits.
    passedOver: NotRequired[int | None]
    # `alive`; or `ready`, `degraded`, `stopping`, `denied` or `unavailable`.
    status: str
    # The views that are stopped, and why.
    stoppedViews: NotRequired[list[StoppedView] | None]
    # What the settings allow though it is unsafe.
    unsafeSettings: NotRequired[list[str] | None]


# A document of another standard.
JsonDocument: TypeAlias = "dict[str, Any]"


class Listed(TypedDict):
    """Listed"""
    completedAt: NotRequired[str | None]
    currentGroup: NotRequired[int | None]
    failedTasks: int
    # The code of its failure.
    failure: NotRequired[str | None]
    groupCount: int
    metadata: dict[str, str]
    receivedAt: str
    requestId: str
    # `received`, `running`, `succeeded`, `failed` or `cancelled`.
    status: str
    # Who submitted it, where callers are told apart.
    submitter: NotRequired[str | None]
    # Its tenant, unless that is `default`.
    tenant: NotRequired[str | None]


class Listing(TypedDict):
    """Listing"""
    # Where the next page begins; none where this is the last. A page may be short though there
    # are more.
    next: NotRequired[str | None]
    valuations: list[Listed]


class Operation(TypedDict):
    """A bulk operation."""
    # `redrive`, `cancel` or `discard`.
    action: str
    by: str
    done: int
    draftedAt: str
    endedAt: NotRequired[str | None]
    failed: int
    # The filter that made the selection.
    filter: dict[str, Any]
    id: str
    # Who paused or ended it, or why it paused or stopped itself.
    note: NotRequired[str | None]
    onBehalfOf: NotRequired[str | None]
    # What would have happened to the items when they were selected.
    outlook: dict[str, Any]
    pending: int
    plan: NotRequired[OperationPlan | None]
    reason: str
    refused: int
    # The part of `pending` that runs again.
    running: int
    # The number of items: the sum of `done`, `failed`, `refused`, `skipped` and `pending`.
    selected: int
    skipped: int
    startedAt: NotRequired[str | None]
    # `draft`, `running`, `paused`, `completed`, `cancelled` or `stopped`.
    status: str
    # The tenant of every item; left out for `default`.
    tenant: NotRequired[str | None]


class OperationCommand(TypedDict):
    """OperationCommand"""
    # The person for whom the caller acts.
    by: NotRequired[str | None]
    # Why.
    reason: NotRequired[str]


class OperationItem(TypedDict):
    """An item of a bulk operation."""
    deadLetter: NotRequired[str | None]
    # Its position in the selection.
    item: int
    # Why it is in this state.
    reason: NotRequired[str | None]
    requestId: NotRequired[str | None]
    status: str


class OperationItems(TypedDict):
    """Some items of a bulk operation."""
    items: list[OperationItem]
    # The `cursor` of the next page; none at the end.
    next: NotRequired[int | None]


class OperationPlan(TypedDict):
    """How an operation goes through its items."""
    canary: int
    perSecond: int
    stopAfterFailures: NotRequired[int | None]


class Operations(TypedDict):
    """The newest bulk operations."""
    operations: list[Operation]


class Payload(TypedDict):
    """A document: the text itself, or where the store has it."""
    inline: NotRequired[str | None]
    stored: NotRequired[StoredPayload | None]


class Preview(TypedDict):
    """What a document would give."""
    groups: list[GroupPreview]
    # Every URI that the document refers to.
    references: list[str]
    # What is valid and probably a mistake.
    warnings: NotRequired[list[str] | None]


class Problem(TypedDict):
    """An error (RFC 9457). More members may follow, as the error has them."""
    # Stable, in kebab-case.
    code: str
    # Where in the line, from 1.
    column: NotRequired[int | None]
    # The problem in plain words.
    detail: str
    failure: NotRequired[Failure | None]
    # Where in the document, from 1.
    line: NotRequired[int | None]
    # The same as `detail`, for clients of the old API.
    message: str
    requestId: NotRequired[str | None]
    # The HTTP status; where a request's own state is the error, the word for that state.
    status: int | str
    # The HTTP status in words.
    title: str
    # A URN that ends with the code.
    type: str


class Redriven(TypedDict):
    """A request that runs again."""
    # The group that it begins with, from 0.
    group: NotRequired[int | None]
    requestId: str
    run: NotRequired[int | None]
    # `redriven`.
    status: str
    # The tasks of this group that run again, from 1.
    tasks: NotRequired[list[int] | None]


class SelectDeadLetters(TypedDict):
    """SelectDeadLetters"""
    code: NotRequired[str | None]
    request: NotRequired[str | None]
    since: NotRequired[str | None]
    type: NotRequired[str | None]


class SelectRequests(TypedDict):
    """SelectRequests"""
    # Only requests with a failure of this code, of a task or of the request.
    code: NotRequired[str | None]
    # Only requests that failed with this fingerprint.
    fingerprint: NotRequired[str | None]
    # Only requests with this label: `x-desk`, or `x-desk=rates`.
    label: NotRequired[str | None]
    # Only what the log has since then.
    since: NotRequired[str | None]
    # Only requests with this status.
    status: NotRequired[str | None]
    # Only requests with tasks of this type.
    type: NotRequired[str | None]


class StartOperation(TypedDict):
    """StartOperation"""
    # The person for whom the caller acts.
    by: NotRequired[str | None]
    # How many items are tried first. The others wait until these have ended, and one that fails
    # pauses the operation.
    canary: NotRequired[int]
    # How many items are asked for in a second at most: 1 to 1,000.
    perSecond: NotRequired[int]
    # After how many failed items the operation stops.
    stopAfterFailures: NotRequired[int | None]


class Status(TypedDict):
    """Where a request stands."""
    # The attempts that ended, of all tasks.
    attempts: int
    completedAt: NotRequired[str | None]
    # The group that started last, from 0.
    currentGroup: NotRequired[int | None]
    # The tasks that are given up now.
    failedTasks: int
    failure: NotRequired[Failure | None]
    groupCount: int
    groups: list[Group]
    # The `x-*` headers of the submission.
    metadata: NotRequired[dict[str, str]]
    receivedAt: str
    requestId: str
    # The last commit that changed it.
    sequence: int
    startedAt: NotRequired[str | None]
    # `received`, `running`, `succeeded`, `failed` or `cancelled`.
    status: str
    # Who submitted it, where callers are told apart.
    submitter: NotRequired[str | None]
    # Its tenant, unless that is `default`.
    tenant: NotRequired[str | None]


class StoppedView(TypedDict):
    """A view that is stopped."""
    reason: str
    requestId: str
    sequence: int
    stoppedAt: str


class StoredPayload(TypedDict):
    """A document in the store."""
    sha256: str
    # The bytes before compression.
    size: int


class Task(TypedDict):
    """Task"""
    attempts: list[Attempt]
    # The dead letter that keeps its history, where it was given up.
    deadLetter: NotRequired[str | None]
    # The group, from 0.
    group: int
    # The size of its result, in bytes.
    resultBytes: NotRequired[int | None]
    # `pending`, `succeeded`, `failed` or `stopped`.
    status: str
    # The task, from 1.
    task: int


class TaskInFull(Task):
    """A task with its documents."""
    # The document that its worker is given.
    document: str
    # The name of its valuation.
    name: NotRequired[str | None]
    requestId: str
    # The document that its worker gave back.
    result: NotRequired[str | None]


class Tasks(TypedDict):
    """Tasks"""
    # Where the next page begins; none where this is the last.
    next: NotRequired[str | None]
    requestId: str
    tasks: list[Task]


class UnreadableMessage(TypedDict):
    """A message that cannot be read."""
    body: str
    headers: dict[str, str]
    reason: str
    subject: str
    # The bytes of the body, where the letter does not hold all of it.
    truncated: NotRequired[int | None]


class Why(TypedDict):
    """`{"reason": "…", "by": "…"}`"""
    # The person for whom the caller acts: the history has it as `onBehalfOf`, and the caller
    # itself as `by`.
    by: NotRequired[str | None]
    reason: NotRequired[str]

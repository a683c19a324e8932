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
    # The fault; null for an attempt without one.
    fault: NotRequired[Any]
    startedAt: str
    worker: str


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


class Events(TypedDict):
    """The history of a request, or a page of it."""
    # `CloudEvents` 1.0 in their JSON form.
    events: list[Any]
    # Where the next page begins; none where this is the last.
    next: NotRequired[str | None]
    requestId: str


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


class Health(TypedDict):
    """The health of a process."""
    # The permissions that NATS and Redis do not grant to this process although its role needs
    # them, and what NATS has denied lately.
    denied: NotRequired[Any]
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
    stoppedViews: NotRequired[Any]
    # What the settings allow though it is unsafe.
    unsafeSettings: NotRequired[list[str] | None]


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


class Problem(TypedDict):
    """An error (RFC 9457). More members may follow, as the error has them."""
    # Stable, in kebab-case.
    code: str
    # Where in the line, from 1.
    column: NotRequired[int | None]
    # The problem in plain words.
    detail: str
    # Where in the document, from 1.
    line: NotRequired[int | None]
    # The same as `detail`, for clients of the old API.
    message: str
    requestId: NotRequired[str | None]
    # The HTTP status; where a request's own state is the error, the word for that state.
    status: Any
    # The HTTP status in words.
    title: str
    # A URN that ends with the code.
    type: str


class Status(TypedDict):
    """Where a request stands."""
    # The attempts that ended, of all tasks.
    attempts: int
    completedAt: NotRequired[str | None]
    # The group that started last, from 0.
    currentGroup: NotRequired[int | None]
    # The tasks that are given up now.
    failedTasks: int
    # Why it failed.
    failure: NotRequired[Any]
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


class Why(TypedDict):
    """`{"reason": "…", "by": "…"}`"""
    # The person for whom the caller acts: the history has it as `onBehalfOf`, and the caller
    # itself as `by`.
    by: NotRequired[str | None]
    reason: NotRequired[str]

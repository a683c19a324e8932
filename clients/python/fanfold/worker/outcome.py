"""What a worker is given, and how its work may end."""
from __future__ import annotations

import random
from dataclasses import dataclass


class Again(Exception):
    """The attempt failed, and another one may help: after so many seconds, or by the policy."""

    never = False

    def __init__(self, message: str, *, code: str = "again", after: float | None = None, causes: list[str] = []):
        self.fault, self.after = {"code": code, "message": message, "causes": causes}, after
        super().__init__(message)


class Never(Again):
    """The attempt failed, and another one would fail in the same way."""

    never = True

    def __init__(self, message: str, *, code: str = "never", causes: list[str] = []):
        super().__init__(message, code=code, causes=causes)


class Stopped(Exception):
    """The request of a task has ended, so nobody wants its result."""


class Lost(Exception):
    """The broker may have given the task to another worker, so its message is not ours to answer."""


@dataclass(frozen=True)
class Task:
    """A task. The result is its document with the results of its valuation filled in."""

    document: str
    type: str
    request: str
    group: int  # from 0
    task: int  # from 1
    run: int  # of the request, from 0; each redrive begins another one
    attempt: int  # from 1; there may be holes
    traceparent: str | None  # of this attempt, or of the submission; pass it on to what the task calls
    tracestate: str | None = None  # the submission's; pass it on too


@dataclass(frozen=True)
class Retry:
    """How often, and when, a failed task is tried again. Keep it as the server has it for the type."""

    attempts: int = 3
    initial: float = 0.5
    factor: float = 2.0
    maximum: float = 60.0

    def delay(self, made: int) -> float:
        return min(self.maximum, self.initial * self.factor ** (made - 1)) * random.uniform(0.8, 1)

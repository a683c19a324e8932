"""A client of Fanfold's HTTP API. It needs the standard library alone.

    request = Fanfold("http://127.0.0.1:8080").submit(document, key="desk-7/2026-11-29")
    for event in request.events():  # resumes by itself
        print(event["type"])
    print(request.result())         # or raises Failed, with .why
"""
from __future__ import annotations

import json
import math
import random
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from . import types

WAIT_SECONDS = 30.0  #: How long one call waits at the server. A longer wait is several calls.
#: The first pause before a repeat where the answer names none; each further one doubles.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


class FanfoldError(Exception):
    """An error that the API answered. `code` is stable, and `why` says in words what happened."""

    def __init__(self, code: str, detail: str, status: int = 0, problem: Mapping[str, Any] = {}):
        self.code, self.detail, self.status, self.problem = code, detail, status, problem
        self.request_id: str | None = problem.get("requestId")
        #: Of a request that failed: every failed task, with its attempts.
        self.failure: dict[str, Any] = problem.get("failure") or {}
        told = [detail]
        for task in self.failure.get("tasks", [])[:3]:
            for last in task.get("attempts", [])[-1:]:
                told.append(": ".join([f"task {task['task']}", last["code"], last["message"], *last.get("causes", [])]))
        self.why = "; ".join(told)
        super().__init__(f"{code}: {self.why}")


class Unreachable(FanfoldError):
    """There was no connection, or it was lost. What was not a submission may have been done."""


class NotFinished(FanfoldError):
    """The request had not ended in the time that the caller gave it."""


class Cancelled(FanfoldError):
    """The request was cancelled."""


class Failed(FanfoldError):
    """The request failed. `why` names the first tasks that did, and their causes."""


class Fanfold:
    """The API at `url`. One object serves any number of threads. `key` is sent as a bearer credential;
    `patience` limits, in seconds, how long a call is repeated."""

    def __init__(self, url: str = "http://127.0.0.1:8080", *, key: str | None = None, patience: float = 60.0,
                 timeout: float = 30.0, headers: Mapping[str, str] = {}, tls: ssl.SSLContext | None = None):
        self._at = urlsplit(url)
        if self._at.scheme not in ("http", "https") or not self._at.hostname:
            raise ValueError(f"'{url}' is no http(s) URL")
        self._patience, self._timeout, self._tls = patience, timeout, tls
        self._headers = {"Connection": "close", **headers, **({"Authorization": f"Bearer {key}"} if key else {})}

    def submit(self, document: str | bytes, *, key: str | None = None, headers: Mapping[str, str] = {}) -> Request:
        """Submits a document. The same key names the same request. Without one, the client makes a
        key, so that its own repeats are safe. `headers` are metadata, such as `x-desk`."""
        answer = self._submit(document, key, headers)
        return Request(self, answer.json()["requestId"], answer.sequence, answer.header("Idempotency-Replayed") == "true")

    def value(self, document: str | bytes, *, key: str | None = None, headers: Mapping[str, str] = {},
              timeout: float = math.inf) -> str:
        """Submits a document and waits for its response. Raises `Failed` where it fails."""
        until = time.monotonic() + timeout
        answer = self._submit(document, key, headers, min(timeout, WAIT_SECONDS))
        if answer.status == 200:
            return answer.text()
        return Request(self, answer.json()["requestId"], answer.sequence).result(until - time.monotonic())

    def _submit(self, document: str | bytes, key: str | None, headers: Mapping[str, str],
                wait: float | None = None) -> Answer:
        charset = "; charset=utf-8" if isinstance(document, str) else ""
        body = document.encode() if isinstance(document, str) else document
        own = {"Content-Type": f"application/xml{charset}", "Idempotency-Key": key or str(uuid.uuid4())}
        return self._call("POST", "/valuation", body, {**headers, **own}, wait=wait, repeat=True)

    def request(self, id: str, sequence: int | None = None) -> Request:
        """A request by its id, such as one that another process submitted."""
        return Request(self, id, sequence)

    def check(self, document: str | bytes) -> dict[str, Any]:
        """What would become of a document: its groups and tasks. Nothing is stored."""
        body = document.encode() if isinstance(document, str) else document
        return self._call("POST", "/valuation/check", body, {"Content-Type": "application/xml"}, repeat=True).json()

    def list(self, **filters: str | int) -> Iterator[types.Listed]:
        """All requests, the newest first, by `status`, `since`, `until`, `label` or `failure`."""
        return self._pages("/valuations", "valuations", "cursor", filters, {})

    def dead_letters(self, **filters: str | int) -> Iterator[dict[str, Any]]:
        """The tasks that were given up, the oldest first, by `type`, `code`, `request` or `since`."""
        return self._pages("/dead-letters", "deadLetters", "cursor", filters, {})

    def discard(self, id: str) -> None:
        self._call("DELETE", f"/dead-letters/{quote(id, '')}")

    def redrive_dead_letters(self, reason: str, **filters: Any) -> dict[str, Any]:
        return self._post("/dead-letters/redrive", {"reason": reason, **filters}).json()

    def _post(self, path: str, body: Mapping[str, Any], repeat: bool = False) -> Answer:
        return self._call("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}, repeat=repeat)

    def _pages(self, path: str, items: str, name: str, query: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[Any]:
        query = dict(query)
        while True:
            page = self._call("GET", f"{path}?{urlencode(query)}", headers=headers, repeat=True).json()
            yield from page[items]
            if page.get("next") is None:
                return
            query[name] = page["next"]

    def _call(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}, *,
              wait: float | None = None, repeat: bool = False) -> Answer:
        """Calls, and calls again what may be called again: what never left this machine always; with
        `repeat` also what has no answer, and an answer that asks for it (503, 429, 412)."""
        until, pause = time.monotonic() + self._patience, FIRST_PAUSE
        headers = {**headers, **({} if wait is None else {"Prefer": f"wait={math.ceil(wait)}"})}
        while True:
            again = None
            try:
                answer = Answer(self._open(method, path, body, headers, self._timeout + (wait or 0)))
                if answer.status < 300:
                    return answer
                error = answer.error()
                if not (repeat and answer.status in (412, 429, 503)):
                    raise error
                again = answer.retry_after()
            except _Unsent as unsent:
                error = Unreachable("unreachable", f"no connection to {self._at.netloc}: {unsent.__cause__}")
            except (OSError, HTTPException) as lost:
                error = Unreachable("connection-lost", f"{self._at.netloc} gave no answer: {lost!r}")
                if not repeat:
                    raise error from lost
            again = pause * random.uniform(0.5, 1) if again is None else again
            if time.monotonic() + again > until:
                raise error
            time.sleep(again)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _open(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: float) -> HTTPResponse:
        host, port = cast(str, self._at.hostname), self._at.port
        connection = (HTTPSConnection(host, port, timeout=timeout, context=self._tls) if self._at.scheme == "https"
                      else HTTPConnection(host, port, timeout=timeout))
        try:
            connection.connect()
        except OSError as error:
            raise _Unsent from error
        # The API reads the values of headers as UTF-8; the library would send Latin-1.
        sent: Any = {name: value.encode() for name, value in {**self._headers, **headers}.items()}
        try:
            connection.request(method, self._at.path.rstrip("/") + path, body, sent)
        except BrokenPipeError:
            pass  # The API may refuse a body before it has all of it, and has answered then.
        return connection.getresponse()


class Request:
    """One submitted document. What is read is never older than what this object has seen."""

    def __init__(self, fanfold: Fanfold, id: str, sequence: int | None = None, replayed: bool = False):
        self.id, self.sequence, self.replayed = id, sequence, replayed
        self._fanfold, self._path = fanfold, f"/valuation/{quote(id, '')}"

    def status(self) -> types.Status:
        return self._get("/status").json()

    def result(self, timeout: float = math.inf, *, partial: bool = False) -> str:
        """Waits for the end and gives the response document. Raises `Failed`, `Cancelled`, or after
        the timeout `NotFinished`. With `partial`, gives at once what the finished groups have."""
        if partial:
            return self._get("/results?partial=true").text()
        until = time.monotonic() + timeout
        while True:
            began = time.monotonic()
            wait = min(WAIT_SECONDS, max(0.0, until - began))
            try:
                return self._get("/results", wait).text()
            except NotFinished:
                if time.monotonic() >= until:
                    raise
            if time.monotonic() < began + wait / 2:
                time.sleep(min(1, wait))  # An API that is about to stop lets nobody wait.

    def events(self, after: str | None = None) -> Iterator[dict[str, Any]]:
        """Every event of the request up to its end, each once. A stream that breaks off is resumed
        behind the last event. `after` is an event's `sequence:index`, the end of its `id`."""
        last, pause = after, FIRST_PAUSE
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else self._seen())}
            stream = self._fanfold._call("GET", f"{self._path}/events", headers=headers, repeat=True)
            if stream.status == 204:
                return
            try:
                for id, data in stream.events():
                    last, pause = id, FIRST_PAUSE
                    self.sequence = max(self.sequence or 0, int(id.partition(":")[0]))
                    yield json.loads(data)
            except (OSError, HTTPException):
                pass  # The next call resumes behind `last`, or says after a while why it cannot.
            time.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, LONGEST_PAUSE)

    def tasks(self, **filters: str | int) -> Iterator[types.Task]:
        """The tasks of the groups that have started, by `group` or `status`."""
        return self._fanfold._pages(f"{self._path}/tasks", "tasks", "after", filters, self._seen())

    def task(self, group: int, task: int) -> types.TaskInFull:
        return self._get(f"/tasks/{group}/{task}").json()

    def cancel(self, reason: str, by: str | None = None) -> None:
        self._post("/cancel", reason, by, repeat=True)

    def redrive(self, reason: str, by: str | None = None) -> None:
        """Runs the failed tasks again, under the same id. A second call may begin a second run."""
        self._post("/redrive", reason, by)

    def _seen(self) -> dict[str, str]:
        return {} if self.sequence is None else {"Fanfold-Sequence": str(self.sequence)}

    def _get(self, path: str, wait: float | None = None) -> Answer:
        return self._saw(self._fanfold._call("GET", self._path + path, headers=self._seen(), wait=wait, repeat=True))

    def _post(self, path: str, reason: str, by: str | None, repeat: bool = False) -> None:
        self._saw(self._fanfold._post(self._path + path, {"reason": reason, **({"by": by} if by else {})}, repeat))

    def _saw(self, answer: Answer) -> Answer:
        self.sequence = max(self.sequence or 0, answer.sequence) or None
        return answer


class _Unsent(Exception):
    """No connection was made, so the server has nothing of this call."""


class Answer:
    """An answer. The body of an event stream is read while it comes; any other one at once."""

    def __init__(self, response: HTTPResponse):
        self.status, self.header, self._response = response.status, response.getheader, response
        self._body = b"" if (self.header("Content-Type") or "").startswith("text/event-stream") else response.read()
        self.sequence = int(self.header("Fanfold-Sequence") or 0)

    def text(self) -> str:
        return self._body.decode()

    def json(self) -> Any:
        return json.loads(self._body)

    def retry_after(self) -> float | None:
        value = self.header("Retry-After") or ""
        if value.isdigit():
            return float(value)
        try:
            at = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or timezone.utc) - datetime.now(timezone.utc)).total_seconds())

    def error(self) -> FanfoldError:
        try:
            problem = dict(self.json())
        except ValueError:
            problem = {"detail": self._body[:1000].decode(errors="replace")}
        code = problem.get("code", f"http-{self.status}")
        kinds = {"not-ready": NotFinished, "cancelled": Cancelled}
        kind = Failed if "failure" in problem else kinds.get(code, FanfoldError)
        return kind(code, problem.get("detail", ""), self.status, problem)

    def events(self) -> Iterator[tuple[str, str]]:
        """Pairs of id and data. An event counts once the empty line behind it is there."""
        id, data = "", list[str]()
        for line in self._response:
            field, _, value = line.decode().rstrip("\r\n").partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                id = value
            elif field == "data":
                data.append(value)
            elif line.strip() == b"" and data:
                yield id, "\n".join(data)
                data = []

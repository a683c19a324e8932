"""One attempt: work, report, answer the message. In this order a crash between two steps only repeats work."""
from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import logging
import time
import traceback
import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import nats

from .broker import patiently
from .lease import Lease
from .outcome import Again, Lost, Stopped, Task

if TYPE_CHECKING:
    from .pool import Worker

log = logging.getLogger("fanfold.worker")
#: Seconds; a longer delay is the orchestrator's to keep, not the queue's.
LONG_DELAY = 30.0
UNREPORTED = b'-NAK {"delay": 1000000000}'


class Attempt:
    def __init__(self, worker: Worker, message: Any, since: float):
        self.worker, self.message, self.lease = worker, message, Lease(worker.nc, message, worker.lease, since)
        _, self.type, self.partition, self.request, self.group, self.task = message.subject.split(".")
        headers = message.headers or {}
        self.run_number = int(headers.get("Fanfold-Run", 0))
        before = int(headers.get("Fanfold-Attempts-Before", 0))
        self.number = before + message.metadata.num_delivered
        #: An upper bound of the attempts that the policy counts.
        self.made = self.number - int(headers.get("Fanfold-Earlier-Attempts", 0))
        self.again, self.stored, self.tracestate = (headers.get(h) for h in ("Fanfold-Again", "Fanfold-Stored", "tracestate"))
        self.traceparent = self.position(headers.get("traceparent"), before + 1)
        self.bytes: bytes = message.data
        self.sha256 = self.stored.split(":")[0] if self.stored else hashlib.sha256(self.bytes).hexdigest()
        self.working: asyncio.Future[Any] | None = None
        self.stopped, self.began, self.started = False, time.monotonic(), _now()
        self.task_path = f"{self.request}.{self.group}.{self.task}"
        self.log_subject = f"requests.{self.partition}.{self.request}"
        self.letter_subject = f"dead-letters.{self.type}.{self.task_path}.{self.run_number}"

    def position(self, traceparent: str | None, first: int) -> str | None:
        """The message has the position of its first delivery. Each further one is a span of its own."""
        def span(attempt: int) -> str:
            return uuid.uuid5(uuid.UUID(self.request), f"g{self.group}/t{self.task}/a{attempt}").bytes[8:].hex()
        return traceparent and traceparent.replace(f"-{span(first)}-", f"-{span(self.number)}-")

    def stop(self) -> None:
        """The request has ended."""
        self.stopped = True
        if self.working:
            self.working.cancel()

    async def run(self) -> None:
        if not self.lease.held():
            return  # It came too late, and comes again.
        signs_of_life = asyncio.ensure_future(self.lease.keep())
        try:
            answer = await self.settle()
        except asyncio.CancelledError:
            answer = b"-NAK"  # The worker stops: this was no attempt, and another worker has the task at once.
        except Stopped:
            answer = b"+TERM"
        except Lost:
            return
        except (nats.errors.Error, asyncio.TimeoutError) as error:
            log.warning("%s was not reported, and comes again: %r", self.message.subject, error)
            answer = UNREPORTED
        except Exception:
            log.exception("%s broke the worker, and comes again", self.message.subject)
            answer = UNREPORTED
        finally:
            signs_of_life.cancel()
        # The broker cannot tell this answer from that of another worker, which may have the task.
        if self.lease.held() and self.worker.nc.is_connected:
            try:
                await self.message.respond(answer)
                await self.worker.nc.flush()
            except (nats.errors.Error, asyncio.TimeoutError, OSError) as error:
                log.info("%s was not answered, and comes again: %r", self.message.subject, error)

    async def settle(self) -> bytes:
        letters, payloads = self.worker.letters, self.worker.payloads
        try:
            if self.made > 1:
                letter = await self.patiently(lambda: letters.find(self.letter_subject, self.log_subject))
                if letter:  # A worker gave the task up, and died before its report.
                    return await self.given_up(letter)
            result = await self.work(await self.document())
            body = result.encode() if isinstance(result, str) else result
            await self.report({"succeeded": await self.patiently(lambda: payloads.place(body))})
            return b"+ACK"
        except Again as fault:
            return await self.fail(fault)

    async def document(self) -> bytes:
        if self.stored:
            self.bytes = await self.patiently(lambda: self.worker.payloads.fetch(self.stored))
        return self.bytes

    async def work(self, document: bytes) -> str | bytes:
        if self.stopped:
            raise Stopped
        of, self.began, self.started = self.worker, time.monotonic(), _now()
        task = Task(document.decode(), self.type, self.request, int(self.group), int(self.task), self.run_number,
                    self.number, self.traceparent, self.tracestate)
        if inspect.iscoroutinefunction(of.work):
            self.working = asyncio.ensure_future(of.work(task))
        else:
            self.working = asyncio.get_running_loop().run_in_executor(of.executor, of.work, task)
        try:
            return await asyncio.wait_for(self.working, of.time_limit)
        except Again:
            raise
        except asyncio.TimeoutError:
            raise Again(f"the attempt did not end within {of.time_limit:g} s", code="task-timed-out")
        except asyncio.CancelledError:
            if self.stopped:
                raise Stopped
            raise
        except Exception as error:
            raise Again(f"{type(error).__name__}: {error}", code="worker-failed", causes=[traceback.format_exc()[-4096:]])

    async def fail(self, fault: Again) -> bytes:
        retry = self.worker.retry
        gives_up = fault.never or self.made >= retry.attempts
        if not self.lease.held() or gives_up and not await self.lease.confirm():
            # Another worker may have the task, and its attempt counts: this one is only recorded.
            await self.report({"failed": {"fault": fault.fault, "next": {"retry-at": _time(_now())}}})
            raise Lost
        if gives_up:
            return await self.give_up(fault)
        delay = retry.delay(self.made) if fault.after is None else fault.after
        next = "dispatch-at" if delay > LONG_DELAY else "retry-at"
        at = _time(_now() + timedelta(seconds=delay))
        await self.report({"failed": {"fault": fault.fault, "next": {next: at}}})
        return b"+ACK" if delay > LONG_DELAY else b'-NAK {"delay": %d}' % int(delay * 1e9)

    async def give_up(self, fault: Again) -> bytes:
        attempt = {"attempt": self.number, "worker": self.worker.name, "startedAt": _time(self.started),
                   "durationMs": self.took(), **fault.fault}
        stored = self.stored.split(":") if self.stored else None
        document: dict[str, Any] = {"inline": self.bytes.decode()}
        if stored:
            document = {"stored": {"sha256": stored[0], "size": int(stored[1])}}
        letter = {"task": {"request": self.request, "group": int(self.group), "task": int(self.task)},
                  "run": self.run_number, "taskType": self.type, "document": document, "attempts": [attempt],
                  "sequence": None, "exhausted": not fault.never}
        letters = self.worker.letters
        return await self.given_up(await self.patiently(
            lambda: letters.keep(self.letter_subject, self.log_subject, letter, self.bytes)))

    async def given_up(self, letter: dict[str, Any]) -> bytes:
        """Reports what a letter says, whichever worker wrote it."""
        last = letter["attempts"][-1]
        fault = {"code": last["code"], "message": last["message"], "causes": last.get("causes", [])}
        verdict = {"failed": {"fault": fault, "next": {"dead-letter": f"{self.task_path}.{self.run_number}"}}}
        of = {name: last[name] for name in ("attempt", "worker", "startedAt", "durationMs")}
        await self.report(verdict, **of, exhausted=letter.get("exhausted", False))
        return b"+TERM"

    async def report(self, verdict: dict[str, Any], **further: Any) -> None:
        outcome = {"group": int(self.group), "task": int(self.task), "run": self.run_number, "attempt": self.number,
                   "worker": self.worker.name, "startedAt": _time(self.started), "durationMs": self.took(),
                   "given": {"taskType": self.type, "sha256": self.sha256}, "verdict": verdict, **further}
        body = json.dumps({"outcome": outcome}).encode()
        headers = {"Fanfold-Again": self.again} if self.again else None
        subject = f"reports.{self.partition}.{self.task_path}"
        await self.patiently(lambda: self.worker.js.publish(subject, body, headers=headers))

    async def patiently(self, step: Any) -> Any:
        async def connected() -> Any:
            # The client would send it later, when another worker may have the task.
            if not self.worker.nc.is_connected:
                raise nats.errors.ConnectionReconnectingError
            return await step()

        return await patiently(connected, self.lease.held)

    def took(self) -> int:
        return int((time.monotonic() - self.began) * 1000)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")

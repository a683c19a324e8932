"""The tasks that a worker runs at once, and how it begins and ends."""
from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
from concurrent.futures import Executor
from typing import Any, Callable

import nats

from .attempt import Attempt
from .broker import DeadLetters, Payloads, patiently
from .outcome import Retry, Task

log = logging.getLogger("fanfold.worker")
#: How long one pull waits at the broker, and how often the broker says that it still does.
PULL_EXPIRY, HEARTBEAT = 20.0, 1.0
#: After this long without a word of the broker every pull has ended.
SILENCE = PULL_EXPIRY + 2.5
STOPS_REMEMBERED = 1000


def worker(type: str = "default", **options: Any) -> Callable[[Callable[[Task], Any]], Worker]:
    """Makes a worker of a function. The options are those of `Worker`."""
    return lambda work: Worker(work, type, **options)


class Worker:
    """Runs the tasks of a type with a function, `slots` of them at once. `url` may be several, separated
    by commas. `time_limit` and `grace` are seconds; `connect` has further arguments for `nats.connect`.
    `lease` is TASK_LEASE_MS in seconds; a worker that may not ask the broker for it must be told."""

    def __init__(self, work: Callable[[Task], Any], type: str = "default", *, url: str = "nats://127.0.0.1:14222",
                 slots: int = 8, retry: Retry = Retry(), time_limit: float = 60.0, grace: float = 10.0,
                 name: str | None = None, executor: Executor | None = None, lease: float | None = None,
                 connect: dict[str, Any] = {}):
        self.work, self.type, self.url, self.slots, self.retry = work, type, url, slots, retry
        self.time_limit, self.grace, self.executor, self.connect = time_limit, grace, executor, connect
        self.name = name or f"python-{socket.gethostname()}-{os.getpid()}"
        self.lease = lease or 0.0
        self.running: dict[asyncio.Task[None], Attempt] = {}
        self.stops: list[tuple[str, int]] = []
        self.asked, self.heard, self.absent_until, self.reconnects = 0, time.monotonic(), 0.0, 0

    def main(self) -> None:
        """Runs until SIGTERM or SIGINT. Then it takes no more tasks, gives back what it has not begun,
        and finishes what runs. What is not finished within `grace` it gives back too. None of this
        costs a task an attempt."""
        asyncio.run(self.run())

    async def run(self) -> None:
        self.ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.ending.set)
        options = {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.5, "name": self.name, "error_cb": _tell}
        self.nc = await nats.connect(self.url.split(","), **{**options, **self.connect})
        if not self.lease:
            looking = lambda: self.nc.jetstream().consumer_info("TASKS", f"worker-{self.type}")  # noqa: E731
            consumer = await patiently(looking, lambda: not self.ending.is_set())
            self.lease = float(consumer.config.ack_wait or 30)
        # What has no answer is repeated while the lease is held.
        self.js = self.nc.jetstream(timeout=min(5.0, self.lease / 3))
        self.payloads, self.letters = Payloads(self.js), DeadLetters(self.js)
        await self.nc.subscribe("stop.*", cb=self._stop_notice)
        inbox = self.nc.new_inbox()
        tasks = await self.nc.subscribe(inbox, cb=self._take)
        log.info("%s takes tasks of the type %s", self.name, self.type)
        ending = asyncio.ensure_future(self.ending.wait())
        while not ending.done():
            await self._ask(inbox)
            await asyncio.wait([ending, *self.running], timeout=0.1, return_when=asyncio.FIRST_COMPLETED)
        await self._end(tasks)

    async def _ask(self, inbox: str) -> None:
        """Asks for as many tasks as there is room for, because a lease runs from the delivery."""
        now, reconnects = time.monotonic(), self.nc.stats["reconnects"]
        if reconnects != self.reconnects or now - self.heard > SILENCE:
            # A broker that was restarted does not know what was asked before.
            self.reconnects, self.asked, self.heard = reconnects, 0, now
        room = self.slots - len(self.running) - self.asked
        if not self.nc.is_connected or now < self.absent_until or room <= 0 or self.asked and room < self.slots / 4:
            return
        self.heard = now if self.asked == 0 else self.heard
        self.asked += room
        pull = {"batch": room, "expires": int(PULL_EXPIRY * 1e9), "idle_heartbeat": int(HEARTBEAT * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.TASKS.worker-{self.type}"
        await self.nc.publish(subject, json.dumps(pull).encode(), reply=inbox)

    async def _take(self, message: Any) -> None:
        self.heard, headers = time.monotonic(), message.headers or {}
        status = headers.get("Status")
        if status == "100":
            return
        if status:  # A pull has ended, and says how many tasks it did not bring.
            self.asked = max(0, self.asked - int(headers.get("Nats-Pending-Messages", self.asked)))
            if status == "503":  # The queue is made anew.
                self.absent_until = self.heard + 0.1
            return
        self.asked = max(0, self.asked - 1)
        if self.ending.is_set():
            return await message.nak()
        attempt = Attempt(self, message)
        running = asyncio.ensure_future(attempt.run())
        self.running[running] = attempt
        running.add_done_callback(self.running.pop)
        if any(request == attempt.request and attempt.run_number <= run for request, run in self.stops):
            attempt.stop()

    async def _stop_notice(self, notice: Any) -> None:
        request, run = notice.subject.split(".")[1], int(notice.data or b"0")
        self.stops = [*self.stops[-STOPS_REMEMBERED:], (request, run)]
        for attempt in self.running.values():
            if attempt.request == request and attempt.run_number <= run:
                attempt.stop()

    async def _end(self, tasks: Any) -> None:
        try:
            # The broker may have sent tasks before it hears of the end: `_take` gives them back.
            await asyncio.wait_for(tasks.drain(), 2)
        except (nats.errors.Error, asyncio.TimeoutError):
            log.info("the broker is away: what it has sent comes again when its lease ends")
        if self.running:
            await asyncio.wait(self.running, timeout=self.grace)
        for unfinished in self.running:
            unfinished.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        await self.nc.close()


async def _tell(error: Exception) -> None:
    log.info("the connection to the broker: %r", error)

"""A small Fanfold worker: python worker.py NATS_URL [TASK_TYPE]. Needs nats-py.

It prices every task at its own number. The protocol is docs/worker-protocol.md.
"""
import asyncio, hashlib, json, os, re, sys, time
from datetime import datetime, timezone

import nats
from nats.errors import TimeoutError

MAX_ATTEMPTS = 3
LEASE_SECONDS = 30  # TASK_LEASE_MS


def value(document: str, task: int) -> str:
    """The valuation itself: a result is the task document with its amount filled in."""
    return re.sub(r"<amount\s*/>", f"<amount>{task}.00</amount>", document)


async def work(nc, js, message):
    _, kind, partition, request, group, task = message.subject.split(".")
    headers = message.headers or {}
    attempt = int(headers.get("Fanfold-Attempts-Before", 0)) + message.metadata.num_delivered
    started = datetime.now(timezone.utc)
    if "Fanfold-Stored" in headers or attempt - int(headers.get("Fanfold-Earlier-Attempts", 0)) > MAX_ATTEMPTS:
        return await message.nak(delay=5)  # Not for a worker this small: leave it to a full one.
    heard = [time.monotonic()]
    lease = asyncio.create_task(extend(nc, message, heard))
    try:
        result = value(message.data.decode(), int(task))
        await asyncio.sleep(float(os.environ.get("WORK_SECONDS", "0")))
        await report(js, message, attempt, started, result)
    finally:
        lease.cancel()
    if time.monotonic() - heard[0] < LEASE_SECONDS:  # Otherwise another worker may have the task.
        await message.ack_sync()
    print("done", message.subject, "attempt", attempt, flush=True)


async def report(js, message, attempt, started, result):
    _, kind, partition, request, group, task = message.subject.split(".")
    took = (datetime.now(timezone.utc) - started).total_seconds() * 1000
    outcome = {"group": int(group), "task": int(task), "attempt": attempt, "worker": f"python-{os.getpid()}",
               "startedAt": started.isoformat().replace("+00:00", "Z"), "durationMs": int(took),
               "given": {"taskType": kind, "sha256": hashlib.sha256(message.data).hexdigest()},
               "verdict": {"succeeded": {"inline": result}}}
    # First the report, and its ack; then the task's ack: lost between the two, it only comes again.
    # A report that the broker cannot take is published again. The task is not run again for it.
    subject, body = f"reports.{partition}.{request}.{group}.{task}", json.dumps({"outcome": outcome}).encode()
    for pause in [1] * 20 + [None]:
        try:
            await js.publish(subject, body)
            break
        except nats.errors.Error:
            if pause is None:
                raise
            await asyncio.sleep(pause)


async def extend(nc, message, heard):
    """Signs of life. One that is not answered was not heard, and a lost lease stays lost."""
    while True:
        await asyncio.sleep(5)
        sent = time.monotonic()
        try:
            await nc.request(message.reply, b"+WPI", timeout=5)
        except nats.errors.Error:
            continue
        if time.monotonic() - heard[0] < LEASE_SECONDS:
            heard[0] = sent


async def main(url: str, kind: str = "default"):
    nc = await nats.connect(url)
    js = nc.jetstream()
    tasks = await js.pull_subscribe_bind(f"worker-{kind}", "TASKS")
    print("ready", flush=True)
    while True:
        try:
            await asyncio.gather(*(work(nc, js, message) for message in await tasks.fetch(4, timeout=5)))
        except TimeoutError:
            pass
        except nats.errors.Error as error:  # the broker is away, or makes its queues anew
            print("waits:", error, flush=True)
            await asyncio.sleep(1)


asyncio.run(main(*sys.argv[1:]))

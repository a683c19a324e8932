"""A small Fanfold worker: python worker.py NATS_URL [TASK_TYPE]. Needs nats-py.

It prices every task at its own number. The protocol is docs/worker-protocol.md.
"""
import asyncio, hashlib, json, os, re, sys
from datetime import datetime, timezone

import nats
from nats.errors import TimeoutError

MAX_ATTEMPTS = 3


def value(document: str, task: int) -> str:
    """The valuation itself: a result is the task document with its amount filled in."""
    return re.sub(r"<amount\s*/>", f"<amount>{task}.00</amount>", document)


async def work(js, message):
    _, kind, partition, request, group, task = message.subject.split(".")
    headers = message.headers or {}
    attempt = int(headers.get("Fanfold-Attempts-Before", 0)) + message.metadata.num_delivered
    started = datetime.now(timezone.utc)
    if "Fanfold-Stored" in headers or attempt - int(headers.get("Fanfold-Earlier-Attempts", 0)) > MAX_ATTEMPTS:
        return await message.nak(delay=5)  # Not for a worker this small: leave it to a full one.
    lease = asyncio.create_task(extend(message))
    try:
        result = value(message.data.decode(), int(task))
        await asyncio.sleep(float(os.environ.get("WORK_SECONDS", "0")))
    finally:
        lease.cancel()
    took = (datetime.now(timezone.utc) - started).total_seconds() * 1000
    outcome = {"group": int(group), "task": int(task), "attempt": attempt, "worker": f"python-{os.getpid()}",
               "startedAt": started.isoformat().replace("+00:00", "Z"), "durationMs": int(took),
               "given": {"taskType": kind, "sha256": hashlib.sha256(message.data).hexdigest()},
               "verdict": {"succeeded": {"inline": result}}}
    # First the report, and its ack; then the task's ack: lost between the two, it only comes again.
    await js.publish(f"reports.{partition}.{request}.{group}.{task}", json.dumps({"outcome": outcome}).encode())
    await message.ack_sync()
    print("done", message.subject, "attempt", attempt, flush=True)


async def extend(message):
    while True:
        await asyncio.sleep(5)
        await message.in_progress()


async def main(url: str, kind: str = "default"):
    js = (await nats.connect(url)).jetstream()
    tasks = await js.pull_subscribe_bind(f"worker-{kind}", "TASKS")
    print("ready", flush=True)
    while True:
        try:
            await asyncio.gather(*(work(js, message) for message in await tasks.fetch(4, timeout=5)))
        except TimeoutError:
            pass
        except nats.errors.Error as error:  # the broker is away, or makes its queues anew
            print("waits:", error, flush=True)
            await asyncio.sleep(1)


asyncio.run(main(*sys.argv[1:]))

"""A worker that gets one rule of the protocol wrong: python wrong_worker.py FAULT. `fanfold worker-check` must find it."""
import asyncio
import json
import os
import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "python"))
from fanfold.worker import Again, Worker, attempt, broker, lease, pool  # noqa: E402

FAULT = sys.argv[1]
Attempt, Payloads, Letters, Lease = attempt.Attempt, broker.Payloads, broker.DeadLetters, lease.Lease
report, settle, give_up = Attempt.report, Attempt.settle, Attempt.give_up


async def price(task):
    asks, _, number = re.search('valuation name="([^"]*)"', task.document)[1].partition("-")
    if asks == "sleep":
        await asyncio.sleep(float(number))
    elif asks == "fails":
        raise Again("the curve is not there", code="no-curve", after=0.1)
    if FAULT == "no-result":
        return "Traceback (most recent call last)"
    amount = task.traceparent if asks == "trace" and FAULT != "no-trace" else "1.00"
    return task.document.replace("<amount/>", f"<amount>{amount}</amount>")


def changed(**outcome):
    """Reports that say something else."""
    async def wrong(self, verdict, **further):
        await report(self, verdict, **further, **outcome)
    Attempt.report = wrong


async def nothing(*_, **__):
    pass


async def acks_first(self, verdict, **further):
    await self.message.respond(b"+ACK")
    await report(self, verdict, **further)


async def without_reply(self, verdict, **further):
    publish = self.worker.js.publish

    async def forgets(subject, body, headers=None):
        await self.worker.nc.publish(subject, body, headers=headers)
    self.worker.js.publish = forgets
    await report(self, verdict, **further)
    self.worker.js.publish = publish


async def gives_up_at_once(step, goes_on):
    return await step()


async def inline(self, data):
    return {"inline": data.decode()}


async def elsewhere(self, data):
    return {"stored": {"sha256": "0" * 64, "size": len(data)}}


async def ignores_store(self):
    return self.bytes


async def signs_without_reply(self):
    while True:
        await asyncio.sleep(self.length / 3)
        self.since = asyncio.get_running_loop().time()
        await self.message.respond(b"+WPI")


async def reports_the_letter_first(self, fault):
    letter = {"attempts": [{"attempt": self.number, "worker": "w", "startedAt": attempt._time(self.started), "durationMs": 1, **fault.fault}]}
    answer = await self.given_up(letter)
    await give_up(self, fault)
    return answer


async def without_fence(self, subject, log_subject, letter, document):
    await self.js.publish(subject, json.dumps(letter).encode())
    return letter


async def settle_that_fails(self):
    try:
        return await settle(self)
    except asyncio.CancelledError:
        return await self.fail(Again("the worker stops", code="stopped", after=1))


options = {}
if FAULT == "no-pull":
    Worker._ask = nothing
elif FAULT == "ack-first":
    Attempt.report = acks_first
elif FAULT == "no-report":
    Attempt.report = nothing
elif FAULT == "no-answer":
    async def settles_only(self):
        await self.settle()
    Attempt.run = settles_only
elif FAULT == "no-reply":
    Attempt.report = without_reply
elif FAULT == "naks":
    async def naks(self):
        await settle(self)
        return b"-NAK"
    Attempt.settle = naks
elif FAULT == "attempt":
    changed(attempt=1)
elif FAULT == "run":
    changed(run=0)
elif FAULT == "given":
    changed(given={"taskType": "default", "sha256": "0" * 64})
elif FAULT == "form":
    changed(startedAt="yesterday")
elif FAULT == "no-again":
    async def without_again(self, verdict, **further):
        self.again = None
        await report(self, verdict, **further)
    Attempt.report = without_again
elif FAULT == "inline":
    Payloads.place = inline
elif FAULT == "elsewhere":
    Payloads.place = elsewhere
elif FAULT == "no-store":
    Attempt.document = ignores_store
elif FAULT == "impatient":
    attempt.patiently = gives_up_at_once
elif FAULT == "one-connection":
    options["connect"] = {"allow_reconnect": False}
elif FAULT == "no-delay":
    async def fails(self, fault):
        await Attempt_fail(self, fault)
        return b"+ACK"
    Attempt_fail, Attempt.fail = Attempt.fail, fails
elif FAULT == "no-letter":
    options["retry"] = pool.Retry(attempts=99)
elif FAULT == "letter-late":
    Attempt.give_up = reports_the_letter_first
elif FAULT == "no-fence":
    Letters.keep = without_fence
elif FAULT == "counts-all":
    init = Attempt.__init__

    def counts_all(self, worker, message, since):
        init(self, worker, message, since)
        self.made = self.number
    Attempt.__init__ = counts_all
elif FAULT == "no-look":
    Letters.find = nothing
elif FAULT == "no-signs":
    Lease.keep = nothing
    Lease.held = lambda self: True
elif FAULT == "signs-alone":
    Lease.keep = signs_without_reply
elif FAULT == "late-answer":
    Lease.held = lambda self: True
elif FAULT == "late-task":
    begin = Lease.__init__
    Lease.__init__ = lambda self, nc, message, length, since: begin(self, nc, message, length, time.monotonic())
elif FAULT == "no-stop":
    Worker._stop_notice = nothing
elif FAULT == "dies":
    options["grace"] = 0.0
    Worker._end = lambda self, tasks: os._exit(0)
elif FAULT == "exit-code":
    end = Worker._end

    async def exits(self, tasks):
        await end(self, tasks)
        os._exit(3)
    Worker._end = exits
elif FAULT == "stays":
    async def stays(self, tasks):
        await asyncio.sleep(1000)
    Worker._end = stays
elif FAULT == "fails-at-end":
    options["grace"] = 0.1
    Attempt.settle = settle_that_fails
elif FAULT == "ends":
    print("there is no licence", flush=True)
    sys.exit(4)
elif FAULT not in ("no-result", "no-trace"):
    sys.exit(f"no such fault: {FAULT}")

Worker(price, "default", slots=4, **{"grace": 1.0, **options}).main()

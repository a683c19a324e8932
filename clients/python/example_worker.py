"""A worker: python example_worker.py NATS_URL [SLOTS]. What a task asks for is in its valuation's name."""
import asyncio
import re
import sys

from fanfold.worker import Again, Never, worker


@worker("default", url=sys.argv[1], slots=int(sys.argv[2]), grace=2)
async def price(task):
    print("runs", task.task, task.attempt, task.request, flush=True)
    asks, _, number = re.search('valuation name="([^"]*)"', task.document)[1].partition("-")
    amount = task.traceparent if asks == "trace" else f"{task.task}.00"
    if asks == "sleep":
        await asyncio.sleep(float(number))
    elif asks in ("again", "trace") and task.attempt <= int(number or 0):
        raise Again("the curve is not there", code="no-curve", after=0.1)
    elif asks == "never":
        raise Never("there is no such curve", code="wrong-curve", causes=["EUR-6M"])
    elif asks == "bug":
        amount = 1 / 0
    return task.document.replace("<amount/>", f"<amount>{amount}</amount>" + "<!-- large -->" * (10_000 * (asks == "big")))


price.main()

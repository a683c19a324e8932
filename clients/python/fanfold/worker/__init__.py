"""Workers for Fanfold (docs/worker-protocol.md). Needs nats-py and zstandard.

    from fanfold.worker import Again, worker

    @worker("bond", slots=8)
    async def price(task):
        if not market.ready():
            raise Again("the curve is not there", after=30)
        return task.document.replace("<amount/>", f"<amount>{value}</amount>")

    price.main()  # until SIGTERM

A plain function (`def`) runs in a thread, or in `executor`, such as a ProcessPoolExecutor. It cannot be
stopped: after its time limit, or where its request has ended, it goes on and nobody hears of it.
"""
from .outcome import Again, Never, Retry, Task
from .pool import Worker, worker

__all__ = ["Again", "Never", "Retry", "Task", "Worker", "worker"]

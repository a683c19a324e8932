"""Follow what fails: python failed.py NATS_URL [SINCE]. Needs nats-py.

A durable consumer of lifecycle.failed.*, at least once: it goes on where it was, and tells an
event it has seen by its ce-id. SINCE (such as 2026-11-24T10:00:00Z) is where it begins the first
time; without it, at the oldest event there is. Another tenant than default has its events at
tenants.<tenant>.lifecycle.failed.*; the request is in the header ce-subject.
"""
import asyncio, json, sys

import nats
from nats.errors import TimeoutError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

DURABLE = "failed-watch"


async def main(url: str, since: str | None = None):
    js = (await nats.connect(url)).jetstream()
    config = ConsumerConfig(
        durable_name=DURABLE,
        filter_subject="lifecycle.failed.*",
        ack_policy=AckPolicy.EXPLICIT,
        deliver_policy=DeliverPolicy.BY_START_TIME if since else DeliverPolicy.ALL,
        opt_start_time=since,
    )
    try:
        await js.consumer_info("LIFECYCLE", DURABLE)
    except nats.js.errors.NotFoundError:
        await js.add_consumer("LIFECYCLE", config)
    events = await js.pull_subscribe_bind(DURABLE, "LIFECYCLE")
    seen = set()  # In earnest: a table, written in one transaction with what the event causes.
    while True:
        try:
            messages = await events.fetch(10, timeout=5)
        except TimeoutError:
            continue
        for message in messages:
            event_id = message.headers["ce-id"]
            if event_id not in seen:
                seen.add(event_id)
                data = json.loads(message.data)
                print(event_id, data["requestId"], data["failure"]["code"], flush=True)
            await message.ack()


asyncio.run(main(*sys.argv[1:]))

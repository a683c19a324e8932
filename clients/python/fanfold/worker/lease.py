"""The lease of a task. What the broker has answered holds it, not what was sent."""
from __future__ import annotations

import asyncio
import time
from typing import Any

import nats


class Lease:
    def __init__(self, nc: Any, message: Any, length: float, since: float):
        self.nc, self.message, self.length = nc, message, length
        self.since, self.lost = since, False

    def held(self) -> bool:
        """Whether no other worker can have the task yet. A lease that was lost stays lost."""
        self.lost = self.lost or time.monotonic() - self.since >= self.length
        return not self.lost

    async def extend(self) -> bool:
        sent = time.monotonic()
        try:
            await self.nc.request(self.message.reply, b"+WPI", timeout=self.length / 3)
        except (nats.errors.Error, asyncio.TimeoutError):
            return False
        if self.held():
            self.since = sent
        return not self.lost

    async def keep(self) -> None:
        """Shows signs of life until it is cancelled."""
        while True:
            await asyncio.sleep(self.length / 3)
            await self.extend()

    async def confirm(self) -> bool:
        """Whether the broker says now that the task is still ours."""
        while self.held():
            if await self.extend():
                return True
            await asyncio.sleep(0.25)
        return False

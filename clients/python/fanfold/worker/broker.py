"""What a worker needs of the broker: payloads, dead letters, and patience."""
from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from datetime import timedelta
from typing import Any, Awaitable, Callable

import nats
import zstandard
from nats.js.errors import APIError, NotFoundError, ObjectNotFoundError

from .outcome import Never

log = logging.getLogger("fanfold.worker")

INLINE_MAX_BYTES = 64 * 1024
LETTER_MAX_BYTES = 900 * 1024
STORED_MAX_BYTES = 256 * 1024 * 1024
PATIENCE = 300.0  # seconds
NO_MESSAGE, WRONG_SEQUENCE = 10037, 10071
#: How far the clocks of two servers may differ.
CLOCKS_APART = timedelta(seconds=5)


def _is_final(error: Exception) -> bool:
    """Whether the broker has understood and refused. A stream that is not there may come back."""
    return isinstance(error, APIError) and not isinstance(error, NotFoundError) and 400 <= (error.code or 500) < 500


async def patiently(step: Callable[[], Awaitable[Any]], goes_on: Callable[[], bool]) -> Any:
    """Does a step that the broker may not be able to do now, again and again, while `goes_on`."""
    until, pause = time.monotonic() + PATIENCE, 0.1
    while True:
        try:
            return await step()
        except (nats.errors.Error, asyncio.TimeoutError, OSError) as error:
            if _is_final(error) or time.monotonic() > until or not goes_on():
                raise
            log.info("the broker cannot do a step now: %r", error)
        await asyncio.sleep(pause)
        pause = min(1.0, 2 * pause)


class Payloads:
    """Documents and results over 64 KiB: the object store PAYLOADS, by SHA-256, packed with zstd."""

    def __init__(self, js: Any):
        self.js = js

    async def fetch(self, stored: str) -> bytes:
        sha256, size = stored.split(":")
        store = await self.js.object_store("PAYLOADS")
        try:
            packed = (await store.get(sha256)).data
        except ObjectNotFoundError:
            raise Never(f"payload {sha256} is not in the store", code="payload-missing")
        try:
            data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=min(int(size), STORED_MAX_BYTES))
        except zstandard.ZstdError as error:
            raise Never(f"payload {sha256}: {error}", code="payload-unreadable")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Never(f"payload {sha256}: its bytes have another hash", code="payload-unreadable")
        return data

    async def place(self, data: bytes) -> dict[str, Any]:
        if len(data) <= INLINE_MAX_BYTES:
            return {"inline": data.decode()}
        sha256, store = hashlib.sha256(data).hexdigest(), await self.js.object_store("PAYLOADS")
        await store.put(sha256, zstandard.compress(data))
        return {"stored": {"sha256": sha256, "size": len(data)}}


class DeadLetters:
    """A task that is given up has one letter for each run of its request."""

    def __init__(self, js: Any):
        self.js = js

    async def keep(self, subject: str, log_subject: str, letter: dict[str, Any], document: bytes) -> dict[str, Any]:
        """Stores a letter. One that is there stands and is given instead, unless it is of an earlier
        request with the same id."""
        headers, body = _packed(letter)
        if document:  # The object store forgets a document earlier than the letter.
            inlined = _packed({**letter, "document": {"inline": document.decode()}})
            headers, body = inlined if len(inlined[1]) <= LETTER_MAX_BYTES else (headers, body)
        over = 0
        while True:
            try:
                expected = {"Nats-Expected-Last-Subject-Sequence": str(over)}
                await self.js.publish(subject, body, headers={**headers, **expected})
                return letter
            except APIError as error:
                if error.err_code != WRONG_SEQUENCE:
                    raise
            found = await self._last(subject)
            if found and not await self._is_of_earlier_life(found, log_subject):
                return _unpacked(found)
            over = found.seq if found else 0

    async def find(self, subject: str, log_subject: str) -> dict[str, Any] | None:
        found = await self._last(subject)
        return _unpacked(found) if found and not await self._is_of_earlier_life(found, log_subject) else None

    async def _last(self, subject: str) -> Any:
        try:
            return await self.js.get_last_msg("DEAD_LETTERS", subject)
        except NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return None
            raise

    async def _is_of_earlier_life(self, found: Any, log_subject: str) -> bool:
        stream = await self.js.find_stream_name_by_subject(log_subject)
        try:
            first = await self.js.get_msg(stream, seq=1, subject=log_subject, next=True)
        except NotFoundError as error:
            if error.err_code == NO_MESSAGE:
                return False
            raise
        return bool(found.time + CLOCKS_APART < first.time)


def _packed(letter: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    return {"Fanfold-Encoding": "zstd"}, zstandard.compress(json.dumps(letter).encode())


def _unpacked(found: Any) -> dict[str, Any]:
    if (found.headers or {}).get("Fanfold-Encoding") == "zstd":
        return json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(found.data))
    return json.loads(found.data)

"""What a worker needs of the broker: payloads, dead letters, and patience."""
from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Awaitable, Callable

import nats
import zstandard
from nats.errors import NoRespondersError
from nats.js.errors import APIError, NotFoundError

from .outcome import Never

log = logging.getLogger("fanfold.worker")

INLINE_MAX_BYTES = 64 * 1024
LETTER_MAX_BYTES = 900 * 1024
STORED_MAX_BYTES = 256 * 1024 * 1024
STORE, CHUNK_BYTES = "OBJ_PAYLOADS", 128 * 1024
#: How often a payload is read again that is stored anew meanwhile.
READS = 5
#: From this age on a payload is stored anew, so that it outlives the new reference.
REFRESH_AFTER = timedelta(hours=24)
PATIENCE = 300.0  # seconds
LETTERS, NO_MESSAGE, WRONG_SEQUENCE, NO_JETSTREAM = "DEAD_LETTERS", 10037, 10071, 10039
#: How far the clocks of two servers may differ.
CLOCKS_APART = timedelta(seconds=5)


def _is_final(error: Exception) -> bool:
    """Whether the broker has understood and refused. A stream that is not there may come back."""
    return isinstance(error, APIError) and not isinstance(error, NotFoundError) and 400 <= (error.code or 500) < 500


def _may_not(error: Exception) -> bool:
    """Whether this worker is in an account of its own, to which this is not exported."""
    return isinstance(error, NoRespondersError) or getattr(error, "err_code", None) == NO_JETSTREAM


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


async def message(js: Any, stream: str, **ask: Any) -> Any:
    """A message of a stream, or none. It needs no consumer, of which a stream takes a limited number."""
    try:
        return await js.get_msg(stream, **ask)
    except NotFoundError as error:
        if error.err_code == NO_MESSAGE:
            return None
        raise


@dataclass
class _Stored:
    seq: int
    time: datetime
    data: bytes


async def stored(js: Any, **ask: Any) -> Any:
    """A message of the object store: from any server that has it, or else from the leader."""
    answer = await js._nc.request(f"$JS.API.DIRECT.GET.{STORE}", json.dumps(ask).encode(), timeout=js._timeout)
    headers = answer.headers or {}
    if "Nats-Sequence" in headers:
        at = datetime.fromisoformat(headers["Nats-Time-Stamp"][:19] + "+00:00")
        return _Stored(int(headers["Nats-Sequence"]), at, answer.data)
    subject = ask.get("last_by_subj") or ask["next_by_subj"]
    try:
        return await message(js, STORE, subject=subject, **({"seq": ask["seq"], "next": True} if "seq" in ask else {}))
    except (NoRespondersError, APIError) as error:
        if not _may_not(error):
            raise
        return None


class Payloads:
    """Documents and results over 64 KiB: the object store PAYLOADS, by SHA-256, packed with zstd."""

    def __init__(self, js: Any):
        self.js = js

    async def fetch(self, stored: str) -> bytes:
        sha256, size = stored.split(":")
        packed = None
        for _ in range(READS):
            found = await self._found(sha256)
            packed = await self._chunks(json.loads(found.data)) if found else None
            if packed is not None:
                break
            await asyncio.sleep(0.2)
        if packed is None:
            raise Never(f"payload {sha256} is not in the store", code="payload-missing")
        try:
            data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=min(int(size), STORED_MAX_BYTES))
        except zstandard.ZstdError as error:
            raise Never(f"payload {sha256}: {error}", code="payload-unreadable")
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Never(f"payload {sha256}: its bytes have another hash", code="payload-unreadable")
        return data

    async def _found(self, sha256: str) -> Any:
        found = await stored(self.js, last_by_subj=f"$O.PAYLOADS.M.{_base64(sha256.encode())}")
        return found if found and not json.loads(found.data).get("deleted") else None

    async def _chunks(self, info: dict[str, Any]) -> bytes | None:
        """The packed bytes; none where they are gone, because another process has stored them anew."""
        data, next = bytearray(), 1
        while len(data) < info["size"]:
            chunk = await stored(self.js, seq=next, next_by_subj=f"$O.PAYLOADS.C.{info['nuid']}")
            if not chunk:
                return None
            data += chunk.data
            next = chunk.seq + 1
        return bytes(data)

    async def place(self, data: bytes) -> dict[str, Any]:
        if len(data) <= INLINE_MAX_BYTES:
            return {"inline": data.decode()}
        sha256, now = hashlib.sha256(data).hexdigest(), datetime.now(timezone.utc)
        payload = {"stored": {"sha256": sha256, "size": len(data)}}
        found = await self._found(sha256)
        if found and now - found.time < REFRESH_AFTER:
            return payload
        packed, nuid = zstandard.compress(data), secrets.token_hex(11)
        chunks = [packed[at:at + CHUNK_BYTES] for at in range(0, len(packed), CHUNK_BYTES)]
        for chunk in chunks:
            await self.js.publish(f"$O.PAYLOADS.C.{nuid}", chunk)
        info = {"name": sha256, "bucket": "PAYLOADS", "nuid": nuid, "size": len(packed), "chunks": len(chunks),
                "mtime": now.isoformat().replace("+00:00", "Z"), "options": {"max_chunk_size": CHUNK_BYTES},
                "digest": f"SHA-256={_base64(hashlib.sha256(packed).digest())}"}
        subject = f"$O.PAYLOADS.M.{_base64(sha256.encode())}"
        await self.js.publish(subject, json.dumps(info).encode(), headers={"Nats-Rollup": "sub"})
        return payload


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


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
            try:
                found = await message(self.js, LETTERS, subject=subject)
                if found and not await self._is_of_earlier_life(found, log_subject):
                    return _unpacked(found)
                over = found.seq if found else 0
            except (NoRespondersError, APIError) as error:
                if not _may_not(error):
                    raise
                return letter  # This worker may not read letters. The one that is there has the same name.

    async def find(self, subject: str, log_subject: str) -> dict[str, Any] | None:
        try:
            found = await message(self.js, LETTERS, subject=subject)
            return _unpacked(found) if found and not await self._is_of_earlier_life(found, log_subject) else None
        except (NoRespondersError, APIError) as error:
            if not _may_not(error):
                raise
            return None  # This worker may not read letters.

    async def _is_of_earlier_life(self, found: Any, log_subject: str) -> bool:
        stream = await self.js.find_stream_name_by_subject(log_subject)
        first = await message(self.js, stream, seq=1, subject=log_subject, next=True)
        return bool(first and found.time + CLOCKS_APART < first.time)


def _packed(letter: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    return {"Fanfold-Encoding": "zstd"}, zstandard.compress(json.dumps(letter).encode())


def _unpacked(found: Any) -> dict[str, Any]:
    if (found.headers or {}).get("Fanfold-Encoding") == "zstd":
        return json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(found.data))
    return json.loads(found.data)

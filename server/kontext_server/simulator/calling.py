"""Calls at a client's hook: made when a job has ended, signed as its vendor signs, and as a script has it.

What this is: when a call goes out, how often, and what became of it. What it is not: what it says and how it is signed
(the wires). Only a loopback address is called. A call that is not taken (5xx, 429, no answer) is made twice more.

Faults, scripted on `call`: `no_call`; `call_twice`; `call_early`, before the create is answered; `call_late`, so many
`seconds` after the end; `call_wrong_signature`; `call_stale`, signed ten minutes ago.

Above: the wires. Below: `state`, `wire`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import http.client
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import anyio.to_thread

from kontext_server.simulator.faults import Fault
from kontext_server.simulator.state import Job
from kontext_server.simulator.wire import Call, JsonObject

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TRIES = 3
AGAIN_S = 0.5
LOOK_S = 0.2
"""A job's end may be moved: it is looked for so often."""
STALE_S = 600
TIMEOUT_S = 10.0
REFUSED = 0
"""In the place of an HTTP status, where an address is not called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is signed: the bytes, and the moment, in seconds since 1970."""

    job: Job
    body: bytes = field(repr=False)
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A call that was made.

    Attributes:
        job: the job's id.
        url: the hook.
        status: of the answer; 0 where none came.
    """

    job: str
    url: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A call that a create asked for.

    Attributes:
        url: where.
        tells: gives its body, when the job has ended.
        signs: gives its headers beside the content's type.
    """

    url: str
    tells: Callable[[], Awaitable[JsonObject]]
    signs: Callable[[Letter], Mapping[str, str]] = lambda _: {}


async def promise(call: Call, job: Job, promised: Promise) -> None:
    """Let a job's end be told; awaited by a create before it answers."""
    fault = call.state.faults.take(job.wire, "call", job.id, call.body)
    if fault.fault == "no_call":
        return
    if fault.fault == "call_early":
        await _deliver(call, job, promised, fault)
        return
    task = asyncio.get_running_loop().create_task(_at_the_end(call, job, promised, fault))
    call.state.calling.add(task)
    task.add_done_callback(call.state.calling.discard)


async def _at_the_end(call: Call, job: Job, promised: Promise, fault: Fault) -> None:
    while not job.phase(call.now).over:
        await asyncio.sleep(max(0.0, min(job.ends_at - call.now, LOOK_S)))
        if job.id not in call.state.jobs:
            return
    if fault.fault == "call_late":
        await asyncio.sleep(fault.seconds or 0.0)
    for _ in range(2 if fault.fault == "call_twice" else 1):
        await _deliver(call, job, promised, fault)


async def _deliver(call: Call, job: Job, promised: Promise, fault: Fault) -> None:
    letter = Letter(
        job=job,
        body=json.dumps(await promised.tells()).encode(),
        at=int(call.now) - (STALE_S if fault.fault == "call_stale" else 0),
    )
    signed = letter
    if fault.fault == "call_wrong_signature":
        signed = Letter(job=job, body=letter.body + b" ", at=letter.at)
    headers = {"content-type": "application/json", **promised.signs(signed)}
    if fault.fault == "call_wrong_signature" and "X-Webhook-Secret" in headers:
        headers["X-Webhook-Secret"] += "x"  # a secret that travels as it is signs no body
    for again in range(TRIES):
        if again:
            await asyncio.sleep(AGAIN_S)
        status = await anyio.to_thread.run_sync(_post, promised.url, letter.body, headers)
        call.state.called.append(Called(job=job.id, url=promised.url, status=status))
        if status not in {0, 429} and status < 500:
            return


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK:
        return REFUSED
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def standard(letter: Letter, secret: str) -> dict[str, str]:
    """Sign as Standard Webhooks says, with a `whsec_` secret."""
    event = f"msg_{letter.job.id}"
    signed = b".".join((event.encode(), str(letter.at).encode(), letter.body))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {"webhook-id": event, "webhook-timestamp": str(letter.at), "webhook-signature": f"v1,{signature}"}


def hexadecimal(letter: Letter, secret: str) -> str:
    """Sign the body alone: its HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(secret.encode(), letter.body, hashlib.sha256).hexdigest()

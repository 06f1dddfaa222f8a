"""One host that speaks as all seven providers, in replies that a test poisons.

What this is: the least that each adapter understands: a create that is taken, a look that finds the job done. What it
is not: the simulator, which checks what comes; this one takes anything, and says what no vendor would.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

from kontext_server.simulator.app import settings
from support.canary import Answer, Hit, Told
from support.hostile import plain

HOSTS = ("core.today", "kkiai", "runflow", "eachlabs", "replicate", "bfl", "fal")
ADDRESS = "https://pictures.invalid/cat.png"
"""A source that a host may fetch and we can't."""
PICTURE = "data:image/png;base64," + base64.b64encode(plain()).decode()

_WAITING = {"core.today": "pending", "runflow": "queued", "eachlabs": "success", "fal": "IN_QUEUE", "bfl": "Pending"}
_DONE = {"core.today": "completed", "eachlabs": "success", "fal": "COMPLETED", "bfl": "Ready"}
_CASE = re.compile(rb"case (\w+)")


def host_of(hit: Hit) -> str:
    """Give the provider that a request was meant for."""
    return hit.path.split("/")[1]


def case_of(hit: Hit) -> str:
    """Give the word after `case` in a create's prompt; empty for other requests."""
    found = _CASE.search(hit.body)
    return found[1].decode() if found and hit.method == "POST" else ""


def settings_of(base_url: str, *hosts: str) -> dict[str, str]:
    """Point a server at this host in place of the providers named, or of all."""
    return settings(base_url, *hosts)


def reply(host: str, remote_id: str, output: str, *, done: bool, bait: str = "") -> dict[str, Any]:
    """Give one reply that every adapter reads its own part of; every address in it but the output is bait."""
    words = _DONE if done else _WAITING
    word = words.get(host, "succeeded" if done else "processing")
    named = ("polling_url", "status_url", "response_url", "cancel_url", "public_url", "webhook")
    baits: dict[str, Any] = {}
    if bait:
        baits = dict.fromkeys(named, bait) | {"urls": dict.fromkeys(("get", "cancel", "stream", "web"), bait)}
    result = {"sample": output} if host == "bfl" else output
    made: dict[str, Any] = {"output": output, "images": [{"url": output}], "result": result}
    return {
        **baits,
        **dict.fromkeys(("id", "job_id", "request_id", "predictionID"), remote_id),
        "status": "processing" if host == "eachlabs" and not done else word,
        "status_code": word,
        **(made if done else {}),
    }


def speaking(id_of: Callable[[str], str], *, output_of: Callable[[str], str], bait: str = "") -> Answer:
    """Give a host that takes every create under the id of its case, and finds it done at the first look.

    A job whose output is empty never ends, unless it is cancelled.
    """
    cancelled: set[str] = set()

    def answer(hit: Hit) -> Told:
        host, case = host_of(hit), case_of(hit)
        if "/model?" in hit.path:
            return Told(json={})
        if case:
            body = reply(host, id_of(case), "", done=False, bait=bait)
            return Told(json=body | ({"status": "success"} if host == "eachlabs" else {}))
        output, job = output_of(hit.path), hit.path.removesuffix("/cancel")
        if hit.method != "GET":
            cancelled.add(job)
        if job in cancelled:
            return Told(json=reply(host, "same", "", done=False, bait=bait) | {"status": "cancelled"})
        return Told(json=reply(host, "same", output, done=bool(output), bait=bait))

    return answer

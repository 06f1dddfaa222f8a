"""fal's calls: what they say, and how they are signed.

What this is: one Ed25519 key for as long as the process lives, its publication, and its use. What it is not: when a
call is made (`calling`). Above: `fal`. Below: `calling`, `giving`, `state`, `wire`.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from kontext_server.simulator import giving
from kontext_server.simulator.calling import Letter
from kontext_server.simulator.state import Job, Phase
from kontext_server.simulator.wire import Call, JsonObject

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

USER = "simulator"


@functools.cache
def _key() -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


async def key_set(_: Call) -> Response:
    """GET /.well-known/jwks.json."""
    public = base64.urlsafe_b64encode(_key().public_key().public_bytes_raw()).decode().rstrip("=")
    return JSONResponse({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "simulator", "x": public}]})


async def told(call: Call, job: Job) -> JsonObject:
    """What a call says of an end."""
    is_done = job.phase(call.now) is Phase.DONE
    payload = {"images": [{"url": url} for url in await giving.outputs(call, job)]} if is_done else None
    ending: JsonObject = {"status": "OK"} if is_done else {"status": "ERROR", "error": job.error or ""}
    return {"request_id": job.id, "gateway_request_id": job.id, "payload": payload} | ending


def signed(letter: Letter) -> dict[str, str]:
    """The four headers."""
    lines = [letter.job.id, USER, str(letter.at), hashlib.sha256(letter.body).hexdigest()]
    return {
        "X-Fal-Webhook-Request-Id": letter.job.id,
        "X-Fal-Webhook-User-Id": USER,
        "X-Fal-Webhook-Timestamp": str(letter.at),
        "X-Fal-Webhook-Signature": _key().sign("\n".join(lines).encode()).hex(),
    }

"""fal: a queue before the model; a job's end is told in one place, its result in another.

What this is: the adapter of the queue and of the storage beside it. What it is not: the calls (`wire`) or when to look
again (the engine). Above: the engine through `base.Provider`. Below: wire, meanings, replies.

Facts: the vendor's documentation and its clients' code (fal_client 1.0.3, fal-js 1.10.1), read 2026-11-20 (WIRE.md
B3). From memory and unconfirmed there: the prices, the answers of a cancel, and what `has_nsfw_concepts` marks. The
addresses that a reply names are never followed: our own base has the same paths, and the key goes there alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlencode

from kontext_tools import data_uris
from kontext_tools.budget import Price, Unit
from kontext_tools.edits import MATCH_INPUT
from kontext_tools.errors import Billed, Failure
from kontext_tools.http import Http, Reply
from kontext_tools.images import MAX_DATA_URI_BYTES
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Intent,
    Lost,
    Offer,
    Order,
    Phase,
    RemoteOutput,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.providers.fal_keys import KEYS_URL, FalKeys
from kontext_tools.providers.hooks import SMALL_BYTES, Heard, Knock, heard
from kontext_tools.providers.meanings import Meaning
from kontext_tools.providers.replies import fields_of, outputs_of, text_of, words_of
from kontext_tools.providers.status_words import read_word
from kontext_tools.providers.wire import Wire, segment

BASE_URL = "https://queue.fal.run"
STORAGE_URL = "https://rest.fal.ai"
MODELS: Mapping[str, str] = {"kontext-pro": "fal-ai/flux-pro/kontext", "kontext-max": "fal-ai/flux-pro/kontext/max"}
PRICES: Mapping[str, Price] = {
    "kontext-pro": Price(amount=Decimal("0.04"), unit=Unit.USD),
    "kontext-max": Price(amount=Decimal("0.08"), unit=Unit.USD),
}
ADDED_FIELDS: Mapping[str, str] = {
    "num_images": "how many are made is money, so it is never left to a default",
    "output_format": "its default is jpeg, ours is png",
    "enhance_prompt": "whether the prompt is rewritten is never left to a default",
}
"""What goes out beyond WIRE.md's transcript, and why."""

MAX_SEED_TOLD = 2**63
"""No store keeps a larger whole number."""

_APPLICATION = "fal-ai/flux-pro"
"""Follow-ups drop the sub-path of the endpoint."""
_RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
_PHASES = {
    "in_queue": Phase.WAITING,
    "in_progress": Phase.WORKING,
    "completed": Phase.DONE,
}
# The model's own HTTP error stands for its result. Not these: they are about our call, and another look may pass.
_RESULT_ERRORS = frozenset(range(400, 600)) - {401, 403, 404, 408, 409, 425, 429}
_CANCELLED = re.compile(r"cancell?ed", re.IGNORECASE)
_TOO_EARLY = "still in progress"


class Fal:
    """The adapter. See `base.Provider` for the verbs."""

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        base_url: str = BASE_URL,
        price: Price | None = None,
        model: str = "kontext-pro",
    ) -> None:
        headers = {"Authorization": f"Key {key}"}
        self._wire = Wire(
            http, name="fal", base_url=base_url, headers=headers, key_variable="FAL_KEY", own=_own_reading
        )
        # With a base of the operator's own, none of the vendor's other hosts is contacted (CONTRACT.md section 4).
        self._storage: Wire | None = None
        if self._wire.base_url == BASE_URL:
            self._storage = Wire(http, name="fal", base_url=STORAGE_URL, headers=headers, key_variable="FAL_KEY")
        keys_url = KEYS_URL if self._wire.base_url == BASE_URL else self._wire.base_url
        self._keys = FalKeys(Wire(http, name="fal", base_url=keys_url, headers={}, key_variable="FAL_KEY"))
        self._endpoint = MODELS[model]
        self.offer = Offer(
            name="fal",
            model=self._endpoint,
            price=price or PRICES[model],
            aspect_ratios=(MATCH_INPUT, *_RATIOS),
            safety=(1, 6),
            max_safety_with_image=6,
            guidance_scale=(1, 20),
            images_per_send=4,
            call_bytes=SMALL_BYTES,
            evidence="fal documentation, fal_client 1.0.3 and fal-js 1.10.1, read 2026-11-20; prices from memory",
        )

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people."""
        return _body(order, order.shown_picture)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Put a request into the queue; without a picture it goes to the endpoint beside."""
        picture = None if order.image is None else await self._address_of(order.image)
        path = f"/{self._endpoint}" if picture is not None else f"/{self._endpoint}/text-to-image"
        asked = "" if order.hook is None else f"?{urlencode({'fal_webhook': order.hook.url})}"
        reply = await self._wire.create(f"{path}{asked}", intent, json=_body(order, picture))
        return self._wire.taken(reply, id_field="request_id")

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a request; when it is completed, at its result too.

        `COMPLETED` may be a failure: said beside the word, or by the result's own HTTP status. An image that the host
        marks as not safe is blacked out and is not handed over: of several the rest is, of one or all none, and the job
        failed as moderated.
        """
        told = fields_of(await self._wire.ask("GET", f"{_path(remote_id)}/status"))
        word = told.get("status")
        if not isinstance(word, str):
            raise FetchFailed(self._wire.says.unreachable())
        phase, odd_word = read_word(word, _PHASES, self._wire.says.redact)
        if phase is not Phase.DONE:
            return Snapshot(phase=phase, remote_id=remote_id, raw_status=word, odd_word=odd_word)
        reason = _reason(told)
        if reason:
            return self._ended_badly(remote_id, word, reason)
        reply = await self._wire.ask("GET", _path(remote_id), also=_RESULT_ERRORS)
        if 200 <= reply.status < 300:
            return self._result(reply, remote_id, word)
        said = words_of(reply) or f"HTTP {reply.status}"
        transient = reply.status >= 500 and reply.headers.get("x-fal-retryable", "").lower() != "false"
        if transient or _TOO_EARLY in said:
            raise FetchFailed(self._wire.says.refusal(reply).failure)
        return self._ended_badly(remote_id, word, said)

    async def hear(self, knock: Knock, secret: str) -> Heard | None:  # noqa: ARG002  # it signs with its own
        """Take a call that one of the vendor's keys signed."""
        event = knock.header("x-fal-webhook-request-id")
        return heard(knock, "request_id", event=event) if await self._keys.signed(knock) else None

    async def made(self, lost: Lost, remote_id: str) -> bool:  # noqa: ARG002  # its call was signed by the vendor
        """Whether a request of this id is there."""
        try:
            await self._wire.ask("GET", f"{_path(remote_id)}/status")
        except FetchFailed as failed:
            if failed.gone:
                return False
            raise
        return True

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Ask for a request to be cancelled; one that runs may finish all the same."""
        reply = await self._wire.ask("PUT", f"{_path(remote_id)}/cancel")
        if reply.status == 400:
            return CancelOutcome.ENDED
        return CancelOutcome.ACCEPTED if reply.status < 300 else CancelOutcome.CANNOT

    async def _address_of(self, image: Attachment) -> str:
        """Give the picture's address; bytes of ours as a data URI, above 10 MB by the host's storage."""
        if image.read is None:
            assert image.url is not None
            return image.url
        data = await image.read()
        if self._storage is None or len(data) <= MAX_DATA_URI_BYTES:
            return data_uris.encoded(data, image.media_type)
        asked = {"file_name": image.filename, "content_type": image.media_type}
        granted: Any = (
            await self._storage.prepare("POST", "/storage/upload/initiate?storage_type=gcs", json=asked)
        ).json()
        match granted:
            case {"upload_url": str(upload_url), "file_url": str(file_url)} if file_url:
                await self._storage.hand_over(upload_url, method="PUT", data=data, media_type=image.media_type)
                return file_url
            case _:
                raise SubmitFailed(Verdict.NOT_TAKEN, self._wire.says.unreachable())

    def _result(self, reply: Reply, remote_id: str, word: str) -> Snapshot:
        """Read the payload of a request that was completed."""
        if not isinstance(reply.json(), dict):
            raise FetchFailed(self._wire.says.unreachable())
        payload = fields_of(reply)
        images, marks = payload.get("images"), payload.get("has_nsfw_concepts")
        items = cast("list[Any]", images) if isinstance(images, list) else []
        flags = cast("list[Any]", marks) if isinstance(marks, list) else []
        seed = _seed_of(payload.get("seed"))
        safe = [item for at, item in enumerate(items) if at >= len(flags) or flags[at] is not True]
        outputs: tuple[RemoteOutput, ...] = outputs_of(safe, seed=seed)
        if outputs:
            return Snapshot(phase=Phase.DONE, remote_id=remote_id, outputs=outputs, raw_status=word)
        said = "it marked every image as nsfw" if len(safe) < len(items) else "it ended without an output"
        return self._failed(remote_id, word, self._wire.says.failed(said, billed=Billed.YES))

    def _ended_badly(self, remote_id: str, word: str, reason: str) -> Snapshot:
        if _CANCELLED.search(reason):
            return Snapshot(phase=Phase.CANCELLED, remote_id=remote_id, raw_status=word)
        return self._failed(remote_id, word, self._wire.says.failed(reason, billed=Billed.UNKNOWN))

    def _failed(self, remote_id: str, word: str, failure: Failure) -> Snapshot:
        return Snapshot(phase=Phase.FAILED, remote_id=remote_id, failure=failure, raw_status=word)


def _body(order: Order, picture: str | None) -> dict[str, Any]:
    edit = order.edit
    fields: dict[str, Any] = {
        "prompt": order.prompt,
        "image_url": picture,
        # Without one the output has the input's shape: there is no word for that here.
        "aspect_ratio": None if edit.aspect_ratio == MATCH_INPUT else edit.aspect_ratio,
        "num_images": order.count,
        # Left out when unset: 3.5 by every page of the vendor's.
        "guidance_scale": edit.guidance_scale,
        "output_format": "jpeg" if edit.output_format == "jpg" else edit.output_format,
        # A string, from "1"; 0 would have to become "1", which is laxer, so the offer refuses it.
        "safety_tolerance": str(edit.safety_tolerance),
        "enhance_prompt": edit.prompt_upsampling,
        "seed": order.seed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _own_reading(status: int, said: str) -> Meaning | None:
    """An account without credit is locked: a 403 that says so (from memory, unconfirmed)."""
    return Meaning.CREDIT if status == 403 and "balance" in said else None


def _path(remote_id: str) -> str:
    return f"/{_APPLICATION}/requests/{segment(remote_id)}"


def _reason(told: Mapping[str, Any]) -> str:
    """Give why a completed request failed, from its status; empty where it did not."""
    words = [told.get("error_type"), told.get("error")]
    return ": ".join(text_of(word) for word in words if word)


def _seed_of(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SEED_TOLD else None

"""Runflow: one model behind two surfaces, the asynchronous `runs` and the synchronous `run`.

What this is: the adapter of both, and the switch between them. What it is not: the calls (`wire`) or when to look again
(the engine). Above: the engine through `base.Provider`. Below: wire, meanings, replies.

Facts: the vendor's page of the model (seed 003, its date 2026-04-06) for `run`; the vendor's documentation and client
code, read 2026-11-20 (WIRE.md A3, D5.1-6), for `runs`, the uploads and the words of a run. The two pages contradict
each other: under `auto` the newer surface is tried first, and a 404 or 405 at a create (nothing accepted, nothing
billed) means that the process uses the other one from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

import anyio.lowlevel

from kontext_tools.budget import Price, Unit
from kontext_tools.edits import MATCH_INPUT
from kontext_tools.errors import Failure, ProviderError
from kontext_tools.http import READ_S, Http, Reply
from kontext_tools.pacing import SHORTEST_RETRY_AFTER_S
from kontext_tools.providers.base import (
    Attachment,
    Cancelling,
    CancelOutcome,
    FetchFailed,
    Intent,
    Lost,
    Offer,
    Order,
    Phase,
    Snapshot,
    SubmitFailed,
    Unsupported,
    Verdict,
)
from kontext_tools.providers.hooks import SMALL_BYTES, Heard, Knock, heard, is_hex_signed
from kontext_tools.providers.meanings import Meaning
from kontext_tools.providers.replies import fields_of, outputs_of, remote_id_of, usd_of
from kontext_tools.providers.wire import Wire, segment, unsupported

BASE_URL = "https://api.runflow.io/v1"
MODELS: Mapping[str, str] = {"kontext-pro": "black-forest-labs/flux-pro/kontext"}
PRICES: Mapping[str, Price] = {"kontext-pro": Price(amount=Decimal("0.04"), unit=Unit.USD)}
"""Per image, seed 003."""
ADDED_FIELDS: Mapping[str, str] = {
    "guidance_scale": "the seed's prose says 3.5 and its schema 3: results must not depend on which is true (D5.1)",
    "num_images": "how many are made is money, so it is never left to a default",
    "safety_tolerance": "moderation is never left to a default",
    "enhance_prompt": "whether the prompt is rewritten is never left to a default",
}
"""What goes out beyond the vendor's own example request, and why."""

UNSET_GUIDANCE = 3.5
RUN_READ_S = 180.0
MAX_UPLOAD_BYTES = 50_000_000
"""The vendor takes 52,428,800; ours is the limit of an input."""
MAX_SIDE_PX = 4096
"""`INPUT_VALIDATION_FAILED`: "image dimensions exceed 4096x4096"."""

_MODEL = MODELS["kontext-pro"]
_NUMERIC = {ratio: ratio for ratio in ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")}
_NAMED = {
    # portrait_4_3 is 3:4, not 4:3 (WIRE.md H). `square` is 512 x 512: a loss, so never sent.
    "1:1": "square_hd",
    "3:4": "portrait_4_3",
    "9:16": "portrait_16_9",
    "4:3": "landscape_4_3",
    "16:9": "landscape_16_9",
}
_NOT_THERE = frozenset({404, 405})
_PHASES = {
    "queued": Phase.WAITING,
    "dispatching": Phase.WAITING,
    "running": Phase.WORKING,
    "succeeded": Phase.DONE,
    "partial_succeeded": Phase.DONE,
    "failed": Phase.FAILED,
    # One l in the current pages and the client, two in an older page.
    "canceled": Phase.CANCELLED,
    "cancelled": Phase.CANCELLED,
}
_OUTPUTS = ("outputs", "images", "image_urls", "image", "url", "output_url")
"""Where a run's output, or the whole synchronous reply, has been seen to keep its pictures."""


class Surface(StrEnum):
    """Which of the two is spoken; `AUTO` finds out."""

    AUTO = "auto"
    RUNS = "runs"
    RUN = "run"


class Runflow:
    """The adapter. See `base.Provider` for the verbs."""

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        base_url: str = BASE_URL,
        price: Price | None = None,
        surface: str = Surface.AUTO,
        callback_secret: str | None = None,
    ) -> None:
        """Take of the operator's own the key, the base address, the price, the surface, and what calls are signed with.

        Without that secret the hook's address is a call's only proof.
        """
        self._callback_secret = callback_secret
        self._wire = Wire(
            http,
            name="Runflow",
            base_url=base_url,
            headers={"Authorization": f"Bearer {key}"},
            key_variable="RUNFLOW_API_KEY",
            own=_own_reading,
        )
        self._surface = Surface.RUN if surface == Surface.RUN else Surface.RUNS
        self._finds_out = Surface(surface) is Surface.AUTO
        runs = Offer(
            name="runflow",
            model=_MODEL,
            price=price or PRICES["kontext-pro"],
            generates=False,
            aspect_ratios=(MATCH_INPUT, *_NUMERIC),
            safety=(1, 6),
            max_safety_with_image=6,
            guidance_scale=(1, 20),
            images_per_send=4,
            max_input_bytes=MAX_UPLOAD_BYTES,
            max_input_px=MAX_SIDE_PX,
            cancelling=Cancelling.NO,
            call_bytes=SMALL_BYTES,
            evidence="Runflow model page of 2026-04-06 (seed 003) and documentation, read 2026-11-20",
        )
        self._offers = {Surface.RUNS: runs, Surface.RUN: replace(runs, aspect_ratios=(MATCH_INPUT, *_NAMED))}

    @property
    def offer(self) -> Offer:
        """What the surface in force can do: the aspect ratios differ."""
        return self._offers[self._surface]

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people."""
        return _body(order, order.shown_picture, self._surface)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a run, on the surface in force; a picture of ours is uploaded first.

        Where `runs` turns out not to exist, nothing was taken: the send is given back to be made anew on `run`.
        """
        surface = self._surface
        no = self._offers[surface].refuses(order.edit)
        if order.image is None or no is not None:
            raise unsupported("Runflow", no or Unsupported(field="image", accepted="an image to edit"))
        body = _body(order, await self._address_of(order.image), surface)
        path, read_s = f"/models/{_MODEL}/runs", READ_S
        if surface is Surface.RUN:
            path, read_s = f"/run/{_MODEL}", RUN_READ_S
        borne = _NOT_THERE if self._finds_out and surface is Surface.RUNS else ()
        reply = await self._wire.create(path, intent, json=body, read_s=read_s, also=borne)
        if reply.status in borne:
            # Not a second create under the same intent: a cancel may have come meanwhile, and the engine sees to that.
            self._surface = Surface.RUN
            raise SubmitFailed(Verdict.NOT_TAKEN, _switched())
        snapshot = self._taken(reply, surface)
        if snapshot is None:
            raise self._wire.says.senseless(reply)
        return snapshot

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a run. It exists on the surface `runs` only, whichever is in force by now."""
        return await self._wire.look(f"/runs/{segment(remote_id)}", self._record)

    async def hear(self, knock: Knock, secret: str) -> Heard | None:  # noqa: ARG002  # it signs with its own
        """Take a call, signed where the operator told the secret that calls are signed with."""
        signature = knock.header("runflow-signature")
        if self._callback_secret is not None and not is_hex_signed(knock, self._callback_secret, signature):
            return None
        return heard(knock, "run_id")

    async def made(self, lost: Lost, remote_id: str) -> bool:
        """Whether the run of this id bears our own name of the send."""
        try:
            shown = fields_of(await self._wire.ask("GET", f"/runs/{segment(remote_id)}"))
        except FetchFailed as failed:
            if failed.gone:
                return False
            raise
        return shown.get("client_ref") == lost.order.key

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Say that it cannot be done: Runflow has no public cancel, on purpose; the run goes on and is charged."""
        del remote_id
        await anyio.lowlevel.checkpoint()
        return CancelOutcome.CANNOT

    async def _address_of(self, image: Attachment) -> str:
        """Give the picture's address; bytes of ours become an asset first: promised, put, confirmed."""
        if image.read is None:
            assert image.url is not None
            return image.url
        data = await image.read()
        asked = {"filename": image.filename, "mime_type": image.media_type, "size_bytes": len(data)}
        granted: Any = (await self._wire.prepare("POST", "/asset-uploads", json=asked)).json()
        match granted:
            case {"asset_id": asset_id, "upload_url": str(upload_url)} if remote_id_of(asset_id) is not None:
                await self._wire.hand_over(upload_url, method="PUT", data=data, media_type=image.media_type)
            case _:
                raise SubmitFailed(Verdict.NOT_TAKEN, self._wire.says.unreachable())
        path = f"/asset-uploads/{segment(asset_id)}/confirmations"
        asset: Any = (await self._wire.prepare("POST", path, json={"folder_id": None})).json()
        match asset:
            case {"url": str(url)} if url:
                return url
            case _:
                raise SubmitFailed(Verdict.NOT_TAKEN, self._wire.says.unreachable())

    def _taken(self, reply: Reply, surface: Surface) -> Snapshot | None:
        """Read a create's reply; `None` where it names neither a run that can be asked for nor an end."""
        snapshot = self._record(reply)
        if snapshot is None and surface is Surface.RUN:
            outputs = outputs_of(fields_of(reply), within=_OUTPUTS)
            snapshot = Snapshot(phase=Phase.DONE, outputs=outputs) if outputs else None
        if snapshot is None or (snapshot.remote_id is None and surface is Surface.RUNS):
            return None
        running = snapshot.phase in (Phase.WAITING, Phase.WORKING)
        return None if running and snapshot.remote_id is None else snapshot

    def _record(self, reply: Reply) -> Snapshot | None:
        """Read a run's record; an unknown status word is still running, never a success."""
        fields = fields_of(reply)
        return self._wire.says.snapshot(
            fields.get("status_code"),
            _PHASES,
            remote_id=remote_id_of(fields.get("id")),
            outputs=outputs_of(fields.get("output"), within=_OUTPUTS),
            reason=_reason(fields),
            cost=usd_of(fields.get("cost")),
        )


def _body(order: Order, picture: str | None, surface: Surface) -> dict[str, Any]:
    """Give the body; `sync_mode` is never in it: what it asks for is kept in no history (D5.5)."""
    edit = order.edit
    ratios: Mapping[str, str] = _NAMED if surface is Surface.RUN else _NUMERIC
    fields: dict[str, Any] = {
        "prompt": order.prompt,
        "image_url": picture,
        # Without one the output has the input's shape: there is no word for that here (D5.3).
        "aspect_ratio": ratios.get(edit.aspect_ratio),
        "num_images": order.count,
        "guidance_scale": UNSET_GUIDANCE if edit.guidance_scale is None else edit.guidance_scale,
        "output_format": "jpeg" if edit.output_format == "jpg" else edit.output_format,
        # A string, from "1" (D5.4); 0 would have to become "1", which is laxer, so the offer refuses it.
        "safety_tolerance": str(edit.safety_tolerance),
        "enhance_prompt": edit.prompt_upsampling,
        "seed": order.seed,
    }
    flat = {name: value for name, value in fields.items() if value is not None}
    if surface is Surface.RUN:
        return flat
    called = {} if order.hook is None else {"callback_url": order.hook.url}
    return {"input": flat, "client_ref": order.key, **called}


def _own_reading(status: int, said: str) -> Meaning | None:
    """A 503 in these very words is the vendor's documented refusal: proven not taken (DESIGN.md section 3)."""
    return Meaning.UNAVAILABLE if status == 503 and "model_unavailable" in said else None


def _switched() -> Failure:
    return ProviderError(
        "Runflow does not know its newer address; nothing was taken or charged. The older one is used from now on.",
        fix="Call again with the same arguments.",
        retry_after_s=SHORTEST_RETRY_AFTER_S,
    ).failure


def _reason(fields: Mapping[str, Any]) -> str:
    told = [fields.get("failure_code"), fields.get("failure_message")]
    return ": ".join(word for word in told if isinstance(word, str) and word) or "it gave no reason"

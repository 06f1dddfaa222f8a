"""Eachlabs: predictions made with a version of the model, polled by id, cancelled by POST.

What this is: the adapter, and what the host tells of the model (its version, the fields that it takes), asked once per
process. What it is not: the calls (`wire`) or when to look again (the engine). Above: the engine through
`base.Provider`. Below: wire, meanings, replies.

Facts: the vendor's model page (seed 004) for what it makes, its limits and its price; its OpenAPI file, its skills
repository and its page on cancelling (2026-05), all read 2026-11-20, for the wire (WIRE.md A4, D5.9-11). The page names
no endpoint at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, cast

import anyio

from kontext_tools.budget import Cost, Price, Unit
from kontext_tools.edits import MAX_SEED
from kontext_tools.http import Http, Reply
from kontext_tools.providers.base import (
    CancelOutcome,
    Intent,
    Offer,
    Order,
    Phase,
    Snapshot,
    SubmitFailed,
    Unsupported,
    Verdict,
)
from kontext_tools.providers.meanings import Meaning
from kontext_tools.providers.replies import fields_of, outputs_of, remote_id_of, text_of, usd_of, words_of
from kontext_tools.providers.wire import Wire, segment, unsupported
from kontext_tools.redaction import without_query

BASE_URL = "https://api.eachlabs.ai"
MODELS: Mapping[str, str] = {"kontext-pro": "flux-kontext-pro"}
PRICES: Mapping[str, Price] = {"kontext-pro": Price(amount=Decimal("0.04"), unit=Unit.USD)}
"""Per run, seed 004: "$0.040 per execution"."""
ADDED_FIELDS: Mapping[str, str] = {
    "version": "the vendor's API demands it; its page does not name it",
    "safety_tolerance": "its schema's default is 6, everybody else's 2: ours is always sent (D5.10)",
}
"""What goes out beyond what the vendor's page tells (it has no example request), and why."""

FALLBACK_VERSION = "0.0.1"
"""The version in the vendor's skills repository and in all public code; its OpenAPI examples say 1.0.0."""
MAX_VERSION_CHARS = 64
LOOK_READ_S = 65.0
"""The page speaks of long-polling, the API of an ordinary GET: this bears both (D5.11)."""

_MODEL = MODELS["kontext-pro"]
_PHASES = {
    "starting": Phase.WAITING,
    "processing": Phase.WORKING,
    "success": Phase.DONE,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
    "canceled": Phase.CANCELLED,
}
_OUTPUTS = ("url", "image_url", "images", "image", "output")
"""Where an output that is an object may keep its pictures; the vendor says only that it may be one."""
_REASONS = ("error", "message", "logs", "output")
_LOGS_CHARS = 400
_NEEDS_IMAGE = Unsupported(field="image", accepted="an image to edit")
_NO_CREDIT = re.compile(r"balance|credit|insufficient(?! (?:permission|scope|privilege))")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """What the host tells of the model.

    Attributes:
        version: a create must name it.
        fields: that its schema lists; none where it tells no schema, and then nothing is held against it.
        needs_image: whether a picture is demanded; `True` where nothing is known (D5.9).
    """

    version: str = FALLBACK_VERSION
    fields: frozenset[str] = frozenset()
    needs_image: bool = True


_UNTOLD = _Model()


class Eachlabs:
    """The adapter. See `base.Provider` for the verbs."""

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        base_url: str = BASE_URL,
        price: Price | None = None,
        text_to_image: bool = False,
    ) -> None:
        self._wire = Wire(
            http,
            name="Eachlabs",
            base_url=base_url,
            headers={"X-API-Key": key},
            key_variable="EACHLABS_API_KEY",
            own=_own_reading,
        )
        self._text_to_image = text_to_image
        self._model: _Model | None = None
        self._asking = anyio.Lock()
        self._asked = 0
        self._unanswered: SubmitFailed | None = None
        self._offer = Offer(
            name="eachlabs",
            model=_MODEL,
            price=price or PRICES["kontext-pro"],
            typical_s=15,
            generates=text_to_image,
            output_formats=("png",),
            seed=(1, MAX_SEED),
            prompt_upsampling=False,
            takes_bytes=False,
            max_input_bytes=50_000_000,
            evidence="Eachlabs model page (seed 004), OpenAPI file and skills repository, read 2026-11-20",
        )

    @property
    def offer(self) -> Offer:
        """What it can do; whether it works without a picture is certain once the model's schema is known."""
        known = self._model
        return replace(self._offer, generates=False) if known is not None and known.needs_image else self._offer

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people; the fallback's version until the host was asked."""
        picture = None if order.image is None or order.image.url is None else without_query(order.image.url)
        model = self._model or _UNTOLD
        return _body(_sendable(_input(order, picture), order, model), model)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a prediction. The reply's status "success" means accepted, whatever the word."""
        if order.image is None and not self._text_to_image:
            raise unsupported("Eachlabs", _NEEDS_IMAGE)
        if order.image is not None and order.image.url is None:
            raise unsupported("Eachlabs", Unsupported(field="image", accepted="an https address"))
        model = await self._described(order)
        fields = _sendable(_input(order, None if order.image is None else order.image.url), order, model)
        _check(fields, model)
        reply = await self._wire.create("/v1/prediction", intent, json=_body(fields, model))
        return self._wire.taken(reply, id_field="predictionID")

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a prediction."""
        return await self._wire.look(f"/v1/prediction/{segment(remote_id)}", self._read, read_s=LOOK_READ_S)

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Ask for a prediction to be cancelled; which refusal means that it has ended is not published."""
        reply = await self._wire.ask("POST", f"/v1/prediction/{segment(remote_id)}/cancel")
        if reply.status < 300:
            return CancelOutcome.ACCEPTED
        ended = reply.status == 409 or "already" in words_of(reply).lower()
        return CancelOutcome.ENDED if ended else CancelOutcome.CANNOT

    async def _described(self, order: Order) -> _Model:
        """Give what the host tells of the model, asked once; creates that wait for the answer share it.

        A host that answers without sense, or refuses, is not asked again. One that was not reached is, at the next
        create; until then the fallback serves, but for a generation: whether it can be made is not known.
        """
        asked = self._asked
        async with self._asking:
            if self._model is None and self._asked == asked:
                try:
                    reply = await self._wire.prepare("GET", f"/v1/model?slug={_MODEL}")
                    self._model = _model_of(reply.json())
                except SubmitFailed as failed:
                    self._unanswered = failed
                    self._model = _UNTOLD if failed.verdict is Verdict.REFUSED else None
                self._asked += 1
        if order.image is None and self._model is None and self._unanswered is not None:
            raise SubmitFailed(Verdict.NOT_TAKEN, self._unanswered.failure)
        model = self._model or _UNTOLD
        if order.image is None and model.needs_image:
            raise unsupported("Eachlabs", _NEEDS_IMAGE)
        return model

    def _read(self, reply: Reply) -> Snapshot | None:
        """Read a prediction; an unknown status word is still running, never a success."""
        fields = fields_of(reply)
        return self._wire.says.snapshot(
            fields.get("status"),
            _PHASES,
            remote_id=remote_id_of(fields.get("id")),
            outputs=outputs_of(fields.get("output"), within=_OUTPUTS),
            reason=self._wire.says.end_of(_reason(fields), _LOGS_CHARS),
            cost=_cost_of(fields.get("metrics")),
        )


def _input(order: Order, picture: str | None) -> dict[str, Any]:
    """Give the input's fields; there is none for the format: it always makes PNG (D5.6)."""
    fields: dict[str, Any] = {
        "prompt": order.prompt,
        "input_image": picture,
        "aspect_ratio": order.edit.aspect_ratio,
        "seed": order.seed,
        "safety_tolerance": order.edit.safety_tolerance,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _sendable(fields: Mapping[str, Any], order: Order, model: _Model) -> dict[str, Any]:
    """Leave out a default that the model's schema has no field for; what was set stays."""
    defaults = {"aspect_ratio", "safety_tolerance"} - order.edit.given if model.fields else set[str]()
    return {name: value for name, value in fields.items() if name in model.fields or name not in defaults}


def _check(fields: Mapping[str, Any], model: _Model) -> None:
    """Refuse what the model's schema has no field for: it would be ignored in silence."""
    for name in fields:
        if model.fields and name not in model.fields:
            field = "image" if name == "input_image" else name
            raise unsupported("Eachlabs", Unsupported(field=field, accepted=f"no {field}"))


def _body(fields: Mapping[str, Any], model: _Model) -> dict[str, Any]:
    return {"model": _MODEL, "version": model.version, "input": dict(fields)}


def _model_of(told: Any) -> _Model:
    """Read what the host tells of the model."""
    match told:
        case {"version": str(version)} if 0 < len(version) <= MAX_VERSION_CHARS:
            pass
        case _:
            version = FALLBACK_VERSION
    match told:
        case {"request_schema": {"properties": dict()} as schema}:
            read = cast("dict[str, Any]", schema)
            fields, required = frozenset(cast("dict[str, Any]", read["properties"])), read.get("required", [])
        case _:
            return _Model(version=version)
    optional = "input_image" in fields and isinstance(required, list) and "input_image" not in required
    return _Model(version=version, fields=fields, needs_image=not optional)


def _own_reading(status: int, said: str) -> Meaning | None:
    """There is no 402: an account without credit says so in a 400 or 403 (a guess, WIRE.md A4)."""
    return Meaning.CREDIT if status in (400, 403) and _NO_CREDIT.search(said) else None


def _cost_of(metrics: Any) -> Cost | None:
    return usd_of(cast("dict[str, Any]", metrics).get("cost")) if isinstance(metrics, dict) else None


def _reason(fields: Mapping[str, Any]) -> str:
    """Give why a prediction failed: no field for it is published, so the end of the logs has to do."""
    return text_of(next((value for name in _REASONS if (value := fields.get(name))), "it gave no reason"))

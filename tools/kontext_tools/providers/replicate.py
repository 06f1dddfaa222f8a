"""Replicate's predictions, at Replicate itself and at kkiai, which passes the same dialect on.

What this is: one adapter over a row of facts (`ReplicateHost`). What it is not: a follower of the addresses in a
reply: `urls` point at Replicate's own host, which must never see kkiai's key, so every address is built from the base.
`Prefer: wait` is never sent: a create's answer would then carry the whole picture (WIRE.md 0.4).

Facts: kkiai's page (seed 002, read 2026-11-20); for Replicate's shapes, words and limits, and for what kkiai leaves
out, WIRE.md A2, B1, D3 and G. Above: the engine through `base.Provider`. Below: wire, replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kontext_tools import data_uris
from kontext_tools.budget import FREE, Price, Unit
from kontext_tools.errors import Billed, Failure, ResultExpired
from kontext_tools.http import Http, Part, Reply
from kontext_tools.providers import replicate_list
from kontext_tools.providers.base import (
    Attachment,
    Cancelling,
    CancelOutcome,
    Intent,
    Lost,
    Offer,
    Order,
    Phase,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.providers.hooks import Heard, Knock, heard
from kontext_tools.providers.meanings import Meaning
from kontext_tools.providers.replicate_calls import MOST_CALL_BYTES, Signing, asked_to_call
from kontext_tools.providers.replies import fields_of, outputs_of, remote_id_of, text_of
from kontext_tools.providers.status_words import read_word
from kontext_tools.providers.wire import Wire, segment, too_large

BASE_URL = "https://api.replicate.com/v1"
KKIAI_BASE_URL = "https://www.kkiai.com/replicate/v1"
MODELS = ("kontext-pro", "kontext-max", "kontext-dev")
DEV = "kontext-dev"
_UNKNOWN = Price(amount=None, unit=Unit.USD)

ADDED_FIELDS: Mapping[str, str] = {
    "input.seed": "where the caller set one, at Replicate always (a lost create is found by it): seed 002 lists none",
}
"""What a create may hold beside the fields of seed 002's example, each with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateHost:
    """A host that speaks the dialect, as facts.

    Attributes:
        name: as in the settings.
        base_url: unless the operator names another.
        key_variable: the setting that holds its key.
        max_data_uri_bytes: of a picture that goes inside the create; a larger one goes up by the files API.
        has_files: whether there is a files API; without one a larger picture is refused.
        cancelling: whether a cancel is known to exist.
        lists: whether it can list predictions.
        calls: whether it calls back, signed with a secret that it tells.
        prices: of one image, by model.
        max_input_bytes: of a picture, encoded; `None` where nothing is stated.
        quota_is_credit: whether a 403 that speaks of quota means an empty account.
        undocumented: parameters that are sent although its own page does not list them.
        evidence: where these facts stand, with date.
    """

    name: str
    base_url: str
    key_variable: str
    max_data_uri_bytes: int
    has_files: bool
    cancelling: Cancelling
    lists: bool
    calls: bool
    prices: Mapping[str, Price]
    max_input_bytes: int | None = None
    quota_is_credit: bool = False
    undocumented: tuple[str, ...] = ()
    evidence: str


REPLICATE = ReplicateHost(
    name="replicate",
    base_url=BASE_URL,  # WIRE.md B1, vendor's clients
    key_variable="REPLICATE_API_TOKEN",
    max_data_uri_bytes=256_000,  # the vendor advises a data URI up to 256 KB, WIRE.md B1
    has_files=True,  # recorded traffic, WIRE.md B1
    cancelling=Cancelling.YES,  # recorded traffic, WIRE.md B1
    lists=True,  # recorded traffic, WIRE.md B1
    calls=True,  # the vendor's documentation and clients, WIRE.md B1
    prices={
        "kontext-pro": Price(amount=Decimal("0.04"), unit=Unit.USD),  # from memory, WIRE.md B1
        "kontext-max": Price(amount=Decimal("0.08"), unit=Unit.USD),  # from memory, WIRE.md B1
        DEV: _UNKNOWN,  # billed by time; nothing recorded
    },
    evidence="Replicate's clients and recorded traffic, WIRE.md B1, read 2026-11-20",
)
KKIAI = ReplicateHost(
    name="kkiai",
    base_url=KKIAI_BASE_URL,  # seed 002
    key_variable="KKIAI_API_KEY",
    max_data_uri_bytes=10_000_000,  # the ceiling of Replicate's own client, WIRE.md D3
    has_files=False,  # documented by neither it nor its sisters, WIRE.md A2
    cancelling=Cancelling.PERHAPS,  # likewise: tried, and a 404 or 405 means no
    lists=False,  # likewise
    calls=False,  # likewise
    prices=dict.fromkeys(MODELS, _UNKNOWN),  # not published, WIRE.md A2
    max_input_bytes=10_000_000,
    quota_is_credit=True,  # one-api, which it seems to run on, says 403 insufficient_user_quota; a guess, WIRE.md A2
    undocumented=("seed",),  # in Replicate's schema, not on kkiai's page (seed 002): sent, and told (WIRE.md A2)
    evidence="kkiai's model page (seed 002) and its sister proxies, WIRE.md A2, read 2026-11-20",
)

_PHASES = {
    "starting": Phase.WAITING,
    "processing": Phase.WORKING,
    "succeeded": Phase.DONE,
    "failed": Phase.FAILED,
    "canceled": Phase.CANCELLED,
    "cancelled": Phase.CANCELLED,
    "aborted": Phase.CANCELLED,
}


class Replicate:
    """The adapter. See `base.Provider` for the verbs."""

    def __init__(
        self,
        http: Http,
        *,
        host: ReplicateHost,
        key: str,
        base_url: str | None = None,
        price: Price | None = None,
        model: str = "kontext-pro",
    ) -> None:
        """Take a host's row, and of the operator's own the key, the base address, the price, one of `MODELS`."""
        self._host = host
        self._dev = model == DEV
        self._wire = Wire(
            http,
            name=host.name,
            base_url=base_url or host.base_url,
            headers={"Authorization": f"Bearer {key}"},
            key_variable=host.key_variable,
            own=_quota if host.quota_is_credit else lambda _, __: None,
        )
        self._signing = Signing(self._wire)
        self.offer = _offer(host, model, price or host.prices[model])

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people."""
        return self._body(order, order.shown_picture)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a prediction of an official model; a picture of ours goes inside it or by the files API."""
        body = self._body(order, await self._picture(order.image)) | asked_to_call(order.hook)
        reply = await self._wire.create(f"/models/{self.offer.model}/predictions", intent, json=body)
        snapshot = self._read(reply)
        if snapshot is None or not snapshot.remote_id:
            raise self._wire.says.senseless(reply)
        return snapshot

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a prediction."""
        return await self._wire.look(f"/predictions/{segment(remote_id)}", self._read)

    async def find(self, lost: Lost) -> Sequence[str]:
        """Look for a lost create in the list of predictions."""
        asked = self._body(lost.order, None)["input"]
        return await replicate_list.ids_of(self._wire, lost, model=self.offer.model, asked=asked)

    async def hear(self, knock: Knock, secret: str) -> Heard | None:  # noqa: ARG002  # it signs with its own
        """Take a call that is signed with the account's secret."""
        return heard(knock, "id", event=knock.header("webhook-id")) if await self._signing.proves(knock) else None

    async def made(self, lost: Lost, remote_id: str) -> bool:
        """Whether a prediction of this id shows what went out."""
        model, asked = self.offer.model, self._body(lost.order, None)["input"]
        return await replicate_list.is_it(self._wire, lost, remote_id, model=model, asked=asked)

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Cancel a prediction. Where no cancel is documented, only an answer with a prediction in it is believed."""
        reply = await self._wire.ask("POST", f"/predictions/{segment(remote_id)}/cancel")
        if reply.status == 409:
            return CancelOutcome.ENDED
        if reply.status >= 300:
            return CancelOutcome.CANNOT
        seen = self._read(reply)
        if seen is None:
            return CancelOutcome.ACCEPTED if self._host.cancelling is Cancelling.YES else CancelOutcome.CANNOT
        return CancelOutcome.ENDED if seen.phase in (Phase.DONE, Phase.FAILED) else CancelOutcome.ACCEPTED

    def _body(self, order: Order, picture: str | None) -> dict[str, Any]:
        edit = order.edit
        fields: dict[str, Any] = {
            "prompt": order.prompt,
            "input_image": picture,
            "aspect_ratio": edit.aspect_ratio,
            "output_format": edit.output_format,  # always: -dev would make webp, WIRE.md A2
        }
        if self._dev:
            fields |= {"guidance": edit.guidance_scale}
        else:
            fields |= {"safety_tolerance": edit.safety_tolerance, "prompt_upsampling": edit.prompt_upsampling}
        fields["seed"] = order.seed
        return {"input": {name: value for name, value in fields.items() if value is not None}}

    async def _picture(self, image: Attachment | None) -> str | None:
        """Give what stands in `input_image`."""
        if image is None or image.read is None:
            return None if image is None else image.url
        data = await image.read()
        if len(data) <= self._host.max_data_uri_bytes:
            return data_uris.encoded(data, image.media_type)
        if not self._host.has_files:
            raise too_large(self._host.name, data, self._host.max_data_uri_bytes)
        file = Part(name="content", data=data, filename=image.filename, media_type=image.media_type)
        reply = await self._wire.prepare("POST", "/files", parts=[file])
        match reply.json():
            case {"urls": {"get": str(address)}} if address:
                # Only Replicate itself fetches it.
                return address
            case _:
                raise SubmitFailed(Verdict.NOT_TAKEN, self._wire.says.unreachable())

    def _read(self, reply: Reply) -> Snapshot | None:
        """Read a prediction; an unknown or missing status word is still running, never a success."""
        fields = fields_of(reply)
        remote_id, word = remote_id_of(fields.get("id")), fields.get("status")
        if not isinstance(word, str):
            # An id that reached us is never lost for want of a word.
            return None if remote_id is None else Snapshot(phase=Phase.WORKING, remote_id=remote_id)
        phase, odd_word = read_word(word, _PHASES, self._wire.says.redact)
        outputs, failure = outputs_of(fields.get("output")), None
        if outputs and word.lower() in ("starting", "processing"):
            # The output comes with a word that is not yet the last one (12 recorded replies, WIRE.md 0.4).
            phase = Phase.DONE
        if phase is Phase.FAILED or (phase is Phase.DONE and not outputs):
            failure = self._failure(phase, fields)
            phase = Phase.FAILED
        return Snapshot(
            phase=phase,
            remote_id=remote_id,
            outputs=outputs if phase is Phase.DONE else (),
            cost=FREE if word.lower() == "aborted" else None,  # never begun, not charged: WIRE.md B1
            failure=failure,
            raw_status=word,
            odd_word=odd_word,
        )

    def _failure(self, phase: Phase, fields: Mapping[str, Any]) -> Failure:
        """Give why a prediction has no output."""
        if phase is Phase.FAILED:
            reason = "no reason was given" if (error := fields.get("error")) is None else text_of(error)
            return self._wire.says.failed(reason, billed=Billed.UNKNOWN)
        if fields.get("data_removed") is True:
            return ResultExpired(
                f"{self._host.name} finished the job and has already removed its result, as it does after an hour.",
                fix="A new call makes it anew and is charged again.",
            ).failure
        return self._wire.says.failed("it ended without an output", billed=Billed.YES)


def _offer(host: ReplicateHost, model: str, price: Price) -> Offer:
    """Give the facts of a model at a host; ranges as in seed 002 and WIRE.md D3, -dev's own in A2."""
    of_model: dict[str, Any] = {}
    if model == DEV:
        of_model = {
            "generates": False,
            "prompt_upsampling": False,
            "guidance_scale": (1.0, 10.0),  # 0 to 10 there, and ours begins at 1
            # It has no such parameter: nothing is sent, so only everybody's default passes.
            "safety": None,
        }
    return Offer(
        name=host.name,
        model=f"black-forest-labs/flux-{model}",
        price=price,
        max_input_bytes=host.max_input_bytes,
        cancelling=host.cancelling,
        finds=host.lists,
        call_bytes=MOST_CALL_BYTES if host.calls else 0,
        undocumented=host.undocumented,
        evidence=host.evidence,
        **of_model,
    )


def _quota(status: int, said: str) -> Meaning | None:
    return Meaning.CREDIT if status == 403 and "quota" in said else None

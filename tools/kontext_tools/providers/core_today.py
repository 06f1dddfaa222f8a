"""core.today: predictions by JSON or multipart, polled by id, cancelled by DELETE.

Facts: the vendor's llms.txt and model page (seeds 000 and 001, read 2026-11-20), and WIRE.md A1 for what its other
pages add (a second reply shape, presigned uploads). Above: the engine through `base.Provider`. Below: wire, replies.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Price, Unit
from kontext_tools.http import Http, Part, Reply
from kontext_tools.providers.base import (
    Attachment,
    CancelOutcome,
    FetchFailed,
    Intent,
    Lost,
    Offer,
    Order,
    Phase,
    Snapshot,
    SubmitFailed,
    Verdict,
)
from kontext_tools.providers.hooks import SMALL_BYTES, Heard, Knock, heard
from kontext_tools.providers.likeness import may_be
from kontext_tools.providers.replies import fields_of, outputs_of, remote_id_of, text_of
from kontext_tools.providers.wire import Wire, segment

BASE_URL = "https://api.core.today/v1"
MODELS = ("kontext-pro",)
"""Of the settings' names; the vendor documents this one alone."""
MODEL = "black-forest-labs/flux-kontext-pro"
PRICE = Price(amount=Decimal(120), unit=Unit.CREDIT)
MAX_MULTIPART_BYTES = 10_000_000
"""Above this a picture goes up by a presigned address; the vendor states no limit, so this is ours."""

_PHASES = {
    "pending": Phase.WAITING,
    "queued": Phase.WAITING,
    "processing": Phase.WORKING,
    "completed": Phase.DONE,
    "succeeded": Phase.DONE,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
    "canceled": Phase.CANCELLED,
}


class CoreToday:
    """The adapter. See `base.Provider` for the verbs."""

    def __init__(
        self,
        http: Http,
        *,
        key: str,
        base_url: str = BASE_URL,
        price: Price = PRICE,
        output_folder: str = "",
        is_public: bool = False,
    ) -> None:
        self._wire = Wire(
            http,
            name="core.today",
            base_url=base_url,
            headers={"X-API-Key": key},
            key_variable="CORE_TODAY_API_KEY",
        )
        self._common: dict[str, Any] = {}
        if output_folder:
            self._common["output_folder"] = output_folder
        if is_public:
            self._common["is_public"] = True
        self.offer = Offer(
            name="core.today",
            model=MODEL,
            price=price,
            call_bytes=SMALL_BYTES,
            evidence="core.today model page and llms.txt, read 2026-11-20",
        )

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people."""
        return self._body(order, order.shown_picture)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a prediction: JSON for an address or no picture, multipart up to 10 MB, presigned above."""
        image = order.image
        if image is None or image.read is None:
            body = self._body(order, None if image is None else image.url)
            reply = await self._wire.create("/predictions", intent, json=body)
        else:
            data = await image.read()
            if len(data) <= MAX_MULTIPART_BYTES:
                reply = await self._wire.create("/predictions/upload", intent, parts=self._parts(order, image, data))
            else:
                body = self._body(order, await self._upload(image, data))
                reply = await self._wire.create("/predictions", intent, json=body)
        snapshot = self._read(reply)
        if snapshot is None or not snapshot.remote_id:
            raise self._wire.says.senseless(reply)
        return snapshot

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a prediction."""
        return await self._wire.look(_path(remote_id), self._read)

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Delete a prediction. The reply is undocumented: any 2xx means accepted, a look tells the state."""
        reply = await self._wire.ask("DELETE", _path(remote_id))
        if reply.status == 409:
            return CancelOutcome.ENDED
        return CancelOutcome.ACCEPTED if reply.status < 300 else CancelOutcome.CANNOT

    async def hear(self, knock: Knock, secret: str) -> Heard | None:  # noqa: ARG002  # nothing is signed with it
        """Take what comes to the hook: no signature is documented, so that the address is the only proof."""
        return heard(knock, "job_id", "id")

    async def made(self, lost: Lost, remote_id: str) -> bool:
        """Whether a prediction of this id is there, made when the create was sent, with what went out if that shows."""
        try:
            shown = fields_of(await self._wire.ask("GET", _path(remote_id)))
        except FetchFailed as failed:
            if failed.gone:
                return False
            raise
        is_named = remote_id_of(shown.get("job_id") or shown.get("id")) == remote_id
        return is_named and may_be(lost, shown, self._input(lost.order, None))

    def _input(self, order: Order, picture: str | None) -> dict[str, Any]:
        edit = order.edit
        fields: dict[str, Any] = {
            "prompt": order.prompt,
            "input_image": picture,
            "aspect_ratio": edit.aspect_ratio,
            "output_format": edit.output_format,
            "safety_tolerance": edit.safety_tolerance,
            "prompt_upsampling": edit.prompt_upsampling,
            "seed": order.seed,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _body(self, order: Order, picture: str | None) -> dict[str, Any]:
        return {"model": MODEL, "input": self._input(order, picture), **self._common, **_asked_to_call(order)}

    def _parts(self, order: Order, image: Attachment, data: bytes) -> list[Part]:
        common = [
            Part(name=name, data=str(value).lower() if value is True else str(value))
            for name, value in (self._common | _asked_to_call(order)).items()
        ]
        return [
            Part(name="model", data=MODEL),
            Part(name="input", data=json.dumps(self._input(order, None), ensure_ascii=False)),
            *common,
            Part(name="file:input_image", data=data, filename=image.filename, media_type=image.media_type),
        ]

    async def _upload(self, image: Attachment, data: bytes) -> str:
        granted = await self._wire.prepare("POST", "/files/upload-url", json={"filename": image.filename})
        grant: Any = granted.json()
        match grant:
            case {"upload_url": str(upload_url), "upload_fields": dict(), "file_url": str(file_url)}:
                policy: dict[str, Any] = grant["upload_fields"]
            case _:
                raise SubmitFailed(Verdict.NOT_TAKEN, self._wire.says.unreachable())
        fields = [Part(name=name, data=str(value)) for name, value in policy.items()]
        # An S3 POST policy ignores every field after the file.
        file = Part(name="file", data=data, filename=image.filename, media_type=image.media_type)
        await self._wire.hand_over(upload_url, parts=[*fields, file])
        return file_url

    def _read(self, reply: Reply) -> Snapshot | None:
        """Read either published reply shape; an unknown status word is still running, never a success."""
        fields = fields_of(reply)
        return self._wire.says.snapshot(
            fields.get("status"),
            _PHASES,
            remote_id=remote_id_of(fields.get("job_id") or fields.get("id")),
            outputs=outputs_of(fields.get("result") or fields.get("output")),
            reason=text_of(fields.get("error")),
        )


def _asked_to_call(order: Order) -> dict[str, Any]:
    return {} if order.hook is None else {"webhook_url": order.hook.url}


def _path(remote_id: str) -> str:
    return f"/predictions/{segment(remote_id)}"

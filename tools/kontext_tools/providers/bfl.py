"""Black Forest Labs' own API: one endpoint for each model, polled at the host that the create named.

What this is: a create, and looks at `/v1/get_result`. What it is not: cancellable, and no follower of addresses: of a
reply's `polling_url` only the host is kept, where it is BFL's own, and it travels in the remote id
(`uuid@api.us1.bfl.ai`), so that any process can look there and each look judges it anew. With the base address
overridden no other host is asked.

Facts: BFL's OpenAPI and guide (2026-05) and clients of it, WIRE.md B2, D3 and G, read 2026-11-20. Above: the engine
through `base.Provider`. Below: wire, replies.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, cast
from urllib.parse import urlsplit

from kontext_tools.budget import FREE, Basis, Cost, Price, Unit
from kontext_tools.edits import MATCH_INPUT, MAX_SEED
from kontext_tools.errors import Billed
from kontext_tools.http import Http
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
)
from kontext_tools.providers.hooks import SMALL_BYTES, Heard, Knock, heard, is_hex_signed, is_same
from kontext_tools.providers.replies import fields_of, outputs_of, remote_id_of, text_of
from kontext_tools.providers.status_words import read_word
from kontext_tools.providers.wire import Wire, is_at, segment, too_large

BASE_URL = "https://api.bfl.ai"
MODELS = ("kontext-pro", "kontext-max")
PRICES: Mapping[str, Price] = {  # 4 and 8 credits, WIRE.md B2
    "kontext-pro": Price(amount=Decimal("0.04"), unit=Unit.USD),
    "kontext-max": Price(amount=Decimal("0.08"), unit=Unit.USD),
}
USD_OF_CREDIT = Decimal("0.01")
HOSTS = ("bfl.ai", ".bfl.ai")
"""Where a look may go with our key: the vendor's own hosts, over https (WIRE.md B2)."""
MAX_INPUT_BYTES = 20_000_000
CONCURRENCY: Mapping[str, int] = {"kontext-pro": 24, "kontext-max": 6}
"""Active tasks that an account may have, WIRE.md B2."""

ADDED_FIELDS: Mapping[str, str] = {
    "aspect_ratio": "only where it is not match_input_image, which is what leaving it out means (WIRE.md D3)",
    "prompt_upsampling": "always, so that the vendor's default need not be known",
    "seed": "only where the caller set one",
}
"""What a create may hold beside the fields of WIRE.md G's example, each with its reason."""

_FORMATS = {"jpg": "jpeg"}
_NOT_FOUND = "task not found"
_MOST_CREDITS = 10**6
_PHASES = {
    "pending": Phase.WAITING,
    "queued": Phase.WAITING,
    "processing": Phase.WORKING,
    "ready": Phase.DONE,
    "request moderated": Phase.FAILED,
    "content moderated": Phase.FAILED,
    "error": Phase.FAILED,
    "failed": Phase.FAILED,
}


class Bfl:
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
        """Take of the operator's own the key, the base address, the price, and one of `MODELS`."""
        self._wire = Wire(http, name="bfl", base_url=base_url, headers={"x-key": key}, key_variable="BFL_API_KEY")
        self._hosts = HOSTS if self._wire.base_url == BASE_URL else ()
        self.offer = Offer(
            name="bfl",
            model=f"flux-{model}",
            price=price or PRICES[model],
            max_safety_with_image=6,
            max_input_bytes=MAX_INPUT_BYTES,
            cancelling=Cancelling.NO,
            concurrency=CONCURRENCY[model],
            # A create that asks for a call is answered without a `polling_url`. Behind the vendor's common address a
            # task can be looked at nowhere else, and a job that nobody can look at may be lost with its money.
            call_bytes=0 if self._hosts else SMALL_BYTES,
            evidence="BFL's OpenAPI (2026-05) and clients of it, WIRE.md B2, read 2026-11-20",
        )

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people."""
        return _body(order, order.shown_picture)

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a task; a picture of ours goes inside it."""
        body = _body(order, await _picture(order.image))
        if order.hook is not None:
            body |= {"webhook_url": order.hook.url, "webhook_secret": order.hook.secret}
        reply = await self._wire.create(f"/v1/{self.offer.model}", intent, json=body)
        fields = fields_of(reply)
        remote_id = self._remote_id(fields)
        if remote_id is None:
            raise self._wire.says.senseless(reply)
        return Snapshot(phase=Phase.WAITING, remote_id=remote_id, cost=_cost(fields.get("cost")))

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a task, at the host that its id carries; an id that it does not know may only be too young."""
        task, at = self._place(remote_id)
        reply = await self._wire.ask("GET", f"/v1/get_result?id={segment(task)}", at=at)
        fields = fields_of(reply)
        word = _word(fields)
        if word is None:
            if reply.status == 202:
                return Snapshot(phase=Phase.WAITING, remote_id=remote_id, raw_status="HTTP 202")
            raise FetchFailed(self._wire.says.unreachable())
        if word.lower() == _NOT_FOUND:
            raise FetchFailed(self._wire.says.failed(word, billed=Billed.UNKNOWN), gone=True)
        return self._read(remote_id, word, fields)

    async def cancel(self, remote_id: str) -> CancelOutcome:  # noqa: ARG002  # there is nothing to ask
        """Say that it cannot be done: BFL has no cancel."""
        return CancelOutcome.CANNOT

    async def hear(self, knock: Knock, secret: str) -> Heard | None:
        """Take a call that bears the hook's secret, or is signed with it: the vendor's pages differ (WIRE.md B2)."""
        _, _, signature = knock.header("x-bfl-signature").partition("sha256=")
        proven = is_same(knock.header("x-webhook-secret"), secret) or is_hex_signed(knock, secret, signature)
        return heard(knock, "id", "task_id") if proven else None

    async def made(self, lost: Lost, remote_id: str) -> bool:  # noqa: ARG002  # its call was signed for that send alone
        """Whether a task of this id is there."""
        try:
            return (await self.fetch(remote_id)).remote_id == remote_id
        except FetchFailed as failed:
            if failed.gone:
                return False
            raise

    def _remote_id(self, fields: Mapping[str, Any]) -> str | None:
        """Give the task's id, with the sibling host that it is to be asked for at, where there is one."""
        task, named = remote_id_of(fields.get("id")), fields.get("polling_url")
        if task is None or "@" in task:
            return None
        if not isinstance(named, str) or not is_at(named, self._hosts):
            return task
        host = (urlsplit(named).hostname or "").lower()
        return task if f"https://{host}" == BASE_URL else remote_id_of(f"{task}@{host}") or task

    def _place(self, remote_id: str) -> tuple[str, str | None]:
        """Split a remote id into the task's id and the base address of its host; `None` is our own."""
        task, _, host = remote_id.partition("@")
        at = f"https://{host}"
        return task, at if is_at(at, self._hosts) and host == urlsplit(at).netloc else None

    def _read(self, remote_id: str, word: str, fields: Mapping[str, Any]) -> Snapshot:
        """Read a task; an unknown status word is still running, never a success."""
        phase, odd_word = read_word(word, _PHASES, self._wire.says.redact)
        progress = _progress(fields.get("progress"))
        result: Any = fields.get("result")
        made: dict[str, Any] = cast("dict[str, Any]", result) if isinstance(result, dict) else {}
        outputs = outputs_of(made.get("sample"), seed=_seed(made.get("seed"))) if phase is Phase.DONE else ()
        cost, failure = None, None
        if phase is Phase.WAITING and progress:
            phase = Phase.WORKING
        elif phase is Phase.FAILED:
            moderated = word.lower().endswith("moderated")
            # A moderated task is not charged, whatever its create had said: WIRE.md B2.
            cost = FREE if moderated else None
            billed = Billed.NO if moderated else Billed.UNKNOWN
            failure = self._wire.says.failed(_reason(word, fields.get("details")), billed=billed)
        elif phase is Phase.DONE and not outputs:
            phase = Phase.FAILED
            failure = self._wire.says.failed("it ended without an output", billed=Billed.YES)
        return Snapshot(
            phase=phase,
            remote_id=remote_id,
            outputs=outputs,
            progress=progress,
            cost=cost,
            failure=failure,
            raw_status=word,
            odd_word=odd_word,
        )


async def _picture(image: Attachment | None) -> str | None:
    """Give what stands in `input_image`: an address, or base64 without a prefix."""
    if image is None or image.read is None:
        return None if image is None else image.url
    data = await image.read()
    if len(data) > MAX_INPUT_BYTES:
        raise too_large("bfl", data, MAX_INPUT_BYTES)
    return base64.b64encode(data).decode()


def _body(order: Order, picture: str | None) -> dict[str, Any]:
    edit = order.edit
    fields: dict[str, Any] = {
        "prompt": order.prompt,
        "input_image": picture,
        "aspect_ratio": None if edit.aspect_ratio == MATCH_INPUT else edit.aspect_ratio,
        # Always: the default is png in the vendor's OpenAPI and jpeg in its guide.
        "output_format": _FORMATS.get(edit.output_format, edit.output_format),
        "safety_tolerance": edit.safety_tolerance,
        "prompt_upsampling": edit.prompt_upsampling,
        "seed": order.seed,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _word(fields: Mapping[str, Any]) -> str | None:
    """Give the status word; some of the vendor's hosts call it `state`."""
    return next((word for name in ("status", "state") if isinstance(word := fields.get(name), str) and word), None)


def _reason(word: str, details: Any) -> str:
    return f"{word}: {text_of(details)}" if details else word


def _progress(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 else None


def _seed(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SEED else None


def _cost(told: Any) -> Cost | None:
    """Tell a create's credits in dollars; what is no sane amount is no report."""
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= _MOST_CREDITS:
        return None
    amount = (Decimal(str(told)) * USD_OF_CREDIT).quantize(Decimal("1e-9"))
    return Cost(amount=amount, unit=Unit.USD, basis=Basis.REPORTED)

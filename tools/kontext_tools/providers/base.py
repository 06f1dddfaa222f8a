"""A provider: a hosted API that edits pictures, seen through three verbs and one sheet of facts.

What this is: the seam (`Provider`), the facts as data (`Offer`), what goes out (`Order`) and what comes back
(`Snapshot`, or one of the two failures). What it is not: HTTP (`wire`), pacing or retrying (`engine`): an adapter
tries each call once. Above: engine, studio. Below: edits, images, budget, errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from kontext_tools.budget import Cost, Price
from kontext_tools.edits import ASPECT_RATIOS, MAX_IMAGES, MAX_SEED, OUTPUT_FORMATS, Edit
from kontext_tools.errors import Failure
from kontext_tools.images import INPUT_MEDIA_TYPES, ImageFacts

Intent = Callable[[], Awaitable[None]]
"""Commits the send's intent. An adapter awaits it once, right before the first byte of the create goes out."""


class Cancelling(StrEnum):
    """Whether a host lets a job be cancelled."""

    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A set argument that an offer does not honour: its name and, as words, the values that it accepts."""

    field: str
    accepted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one provider can do and costs: facts as data, each adapter's with source and date beside it.

    Attributes:
        name: as in the settings, `core.today`.
        model: the host's own name of the model that serves.
        price: list price of one image.
        typical_s: seconds that a job usually takes.
        edits: whether it takes a picture.
        generates: whether it works without one.
        aspect_ratios: those it honours, in our words.
        output_formats: likewise.
        safety: lowest and highest `safety_tolerance` without a picture.
        max_safety_with_image: highest with one.
        seed: lowest and highest, or `None` where it takes none.
        prompt_upsampling: whether it can rewrite the prompt.
        guidance_scale: lowest and highest, or `None`.
        images_per_send: images that one create can make.
        takes_url: whether it fetches a picture from an https address.
        takes_bytes: whether a picture of ours can be sent to it.
        max_input_bytes: of a picture, encoded; a larger one is scaled down. `None` where nothing is stated.
        max_input_px: longest side of a picture; a larger one is scaled down.
        input_media_types: the encodings that it reads.
        cancelling: whether a job can be cancelled.
        concurrency: creates in flight at once.
        note: told with every answer, where the provider has something to confess.
        evidence: where these facts stand, with date.
    """

    name: str
    model: str
    price: Price
    typical_s: float = 12.0
    edits: bool = True
    generates: bool = True
    aspect_ratios: tuple[str, ...] = ASPECT_RATIOS
    output_formats: tuple[str, ...] = OUTPUT_FORMATS
    safety: tuple[int, int] = (0, 6)
    max_safety_with_image: int = 2
    seed: tuple[int, int] | None = (0, MAX_SEED)
    prompt_upsampling: bool = True
    guidance_scale: tuple[float, float] | None = None
    images_per_send: int = 1
    takes_url: bool = True
    takes_bytes: bool = True
    max_input_bytes: int | None = None
    max_input_px: int | None = None
    input_media_types: tuple[str, ...] = INPUT_MEDIA_TYPES
    cancelling: Cancelling = Cancelling.YES
    concurrency: int = 4
    note: str = ""
    evidence: str

    def refuses(self, edit: Edit) -> Unsupported | None:
        """Give the first set argument that this provider would not honour; `None` when it honours them all."""
        return next(iter(self.refusals(edit)), None)

    def refusals(self, edit: Edit) -> tuple[Unsupported, ...]:
        """Give every set argument that this provider would not honour. A default is never set."""
        checks: tuple[Callable[[Edit], Unsupported | None], ...] = (
            self._image,
            self._ratio,
            self._format,
            self._safety,
            self._seed,
            self._upsampling,
            self._guidance,
        )
        return tuple(no for check in checks if (no := check(edit)) is not None)

    def _image(self, edit: Edit) -> Unsupported | None:
        if edit.image is None and not self.generates:
            return Unsupported(field="image", accepted="an image to edit")
        if edit.image is not None and not self.edits:
            return Unsupported(field="image", accepted="no image")
        return None

    def _ratio(self, edit: Edit) -> Unsupported | None:
        fits = edit.aspect_ratio in self.aspect_ratios or "aspect_ratio" not in edit.given
        return None if fits else Unsupported(field="aspect_ratio", accepted=", ".join(self.aspect_ratios))

    def _format(self, edit: Edit) -> Unsupported | None:
        fits = edit.output_format in self.output_formats or "output_format" not in edit.given
        return None if fits else Unsupported(field="output_format", accepted=", ".join(self.output_formats))

    def _safety(self, edit: Edit) -> Unsupported | None:
        low, high = self.safety
        if edit.image is not None:
            high = min(high, self.max_safety_with_image)
        fits = low <= edit.safety_tolerance <= high or "safety_tolerance" not in edit.given
        return None if fits else Unsupported(field="safety_tolerance", accepted=f"{low} to {high}")

    def _seed(self, edit: Edit) -> Unsupported | None:
        if edit.seed is None:
            return None
        if self.seed is None:
            return Unsupported(field="seed", accepted="no seed")
        low, high = self.seed
        last = edit.seed + (0 if self.images_per_send >= edit.num_images else edit.num_images - 1)
        fits = low <= edit.seed and last <= high
        return None if fits else Unsupported(field="seed", accepted=f"{low} to {high - (last - edit.seed)}")

    def _upsampling(self, edit: Edit) -> Unsupported | None:
        fits = self.prompt_upsampling or not edit.prompt_upsampling
        return None if fits else Unsupported(field="prompt_upsampling", accepted="false")

    def _guidance(self, edit: Edit) -> Unsupported | None:
        if edit.guidance_scale is None:
            return None
        if self.guidance_scale is None:
            return Unsupported(field="guidance_scale", accepted="no guidance_scale")
        low, high = self.guidance_scale
        fits = low <= edit.guidance_scale <= high
        return None if fits else Unsupported(field="guidance_scale", accepted=f"{low:g} to {high:g}")

    def seeds(self, edit: Edit) -> list[tuple[int | None, int]]:
        """Split an edit into sends: `(seed, images)` each, with seeds s, s+1 ... where one create makes one image."""
        if self.images_per_send >= edit.num_images:
            return [(edit.seed, edit.num_images)]
        assert self.images_per_send == 1 and edit.num_images <= MAX_IMAGES
        return [(None if edit.seed is None else edit.seed + i, 1) for i in range(edit.num_images)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """The picture that goes out: by its address, or as bytes that are read when they are needed."""

    url: str | None = None
    facts: ImageFacts | None = None
    read: Callable[[], Awaitable[bytes]] | None = None

    @property
    def filename(self) -> str:
        """A neutral file name with the right ending; the person's own name of the file goes nowhere."""
        return f"source.{self.facts.extension}" if self.facts is not None else "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One create, before it goes out.

    Attributes:
        key: our own name for it, `red-car-4k7q:1`, for hosts that can echo one.
        edit: the parameters.
        prompt: as it is sent, `keep` composed in.
        seed: of this send.
        count: images asked of this send.
        image: the picture, or `None` for a generation.
    """

    key: str
    edit: Edit
    prompt: str
    seed: int | None
    count: int = 1
    image: Attachment | None = None


class Phase(StrEnum):
    """Where a provider says a job stands."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOutput:
    """One finished image at the provider: an address, or its bytes where the reply carried them."""

    url: str | None = None
    data: bytes | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a provider says of a job at one moment.

    Attributes:
        phase: a status word that we do not know is `WORKING`, never a success.
        remote_id: the provider's name for it; `None` where a synchronous host has none.
        outputs: with `DONE`; none there is a failure of the provider's.
        progress: 0 to 1.
        cost: where the provider reports it.
        failure: with `FAILED`.
        raw_status: the provider's own word, for people.
    """

    phase: Phase
    remote_id: str | None = None
    outputs: tuple[RemoteOutput, ...] = ()
    progress: float | None = None
    cost: Cost | None = None
    failure: Failure | None = None
    raw_status: str = ""


class Verdict(StrEnum):
    """What a failed create means for the money."""

    NOT_TAKEN = "not_taken"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class SubmitFailed(Exception):
    """A create that gave no job: proven not taken, refused for good, or nobody knows."""

    def __init__(self, verdict: Verdict, failure: Failure) -> None:
        super().__init__(failure.message)
        self.verdict = verdict
        self.failure = failure


class FetchFailed(Exception):
    """A look that told nothing. `gone`: the provider does not know the id (it may only be too early)."""

    def __init__(self, failure: Failure, *, gone: bool = False) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.gone = gone


class CancelOutcome(StrEnum):
    """The provider's answer to a cancel."""

    ACCEPTED = "accepted"
    CANNOT = "cannot"
    ENDED = "ended"


class Provider(Protocol):
    """One hosted API. Three verbs, each one call at the host (a create may upload the picture first)."""

    @property
    def offer(self) -> Offer:
        """What it can do and costs."""
        ...

    def request(self, order: Order) -> dict[str, Any]:
        """Give the create's body for people to read: no key, no signed address, no picture."""
        ...

    async def submit(self, order: Order, intent: Intent) -> Snapshot:
        """Create a job. Raises `SubmitFailed`; what else escapes counts as unknown once the intent is committed."""
        ...

    async def fetch(self, remote_id: str) -> Snapshot:
        """Look at a job. Raises `FetchFailed`."""
        ...

    async def cancel(self, remote_id: str) -> CancelOutcome:
        """Ask for a job to be cancelled. Raises `FetchFailed` where no answer came."""
        ...

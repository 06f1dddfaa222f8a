"""A provider: a hosted API that edits pictures, seen through three verbs and one sheet of facts.

What this is: the seam (`Provider`), what goes out (`Order`) and what comes back (`Snapshot`, or one of the two
failures). The sheet of facts is `offers.Offer`. What it is not: HTTP (`wire`), pacing or retrying (`engine`): an
adapter tries each call once. Above: engine, studio. Below: offers, edits, images, budget, redaction, errors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from kontext_tools.budget import Cost
from kontext_tools.edits import Edit
from kontext_tools.errors import Failure
from kontext_tools.images import ImageFacts
from kontext_tools.providers.offers import Cancelling as Cancelling
from kontext_tools.providers.offers import Offer as Offer
from kontext_tools.providers.offers import Unsupported as Unsupported
from kontext_tools.redaction import without_query

Intent = Callable[[], Awaitable[None]]
"""Commits the send's intent. An adapter awaits it once, right before the first byte of the create goes out."""


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

    @property
    def media_type(self) -> str:
        """What kind of picture it is, such as `image/png`; where no one has looked, just bytes."""
        return "application/octet-stream" if self.facts is None else self.facts.media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where a host may call when a send's job changes, and a secret to prove itself by: both of that send alone."""

    url: str = field(repr=False)
    secret: str = field(repr=False)


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
        hook: where the host is asked to call; `None` where it is not.
    """

    key: str
    edit: Edit
    prompt: str
    seed: int | None
    count: int = 1
    image: Attachment | None = None
    hook: Hook | None = None

    @property
    def shown_picture(self) -> str | None:
        """The picture as people may see it named: its address without the query, else the neutral file name."""
        if self.image is None:
            return None
        return self.image.filename if self.image.url is None else without_query(self.image.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A create that got no readable answer, to be looked for at its host.

    Attributes:
        order: as it went out.
        sent_at: when its intent was committed, by our clock.
        signed: whether its seed was drawn for it alone, so that a job that shows it can be no other.
    """

    order: Order
    sent_at: datetime
    signed: bool


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
        raw_status: the provider's own word, as it came.
        odd_word: that word for people, redacted and quoted, where the adapter does not know it.
    """

    phase: Phase
    remote_id: str | None = None
    outputs: tuple[RemoteOutput, ...] = ()
    progress: float | None = None
    cost: Cost | None = None
    failure: Failure | None = None
    raw_status: str = ""
    odd_word: str = ""


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


@runtime_checkable
class Finder(Protocol):
    """The verb of a host that lists its jobs: an adapter has it beside the others where `Offer.finds` may be true."""

    async def find(self, lost: Lost) -> Sequence[str]:
        """Give the ids of all jobs at the host that this create may have made, and of none that differs from it.

        Raises:
            FetchFailed: the host did not tell.
        """
        ...


def finder_of(provider: Provider | None) -> Finder | None:
    """Give the way to find a provider's lost jobs; `None` where the host has none."""
    return provider if provider is not None and provider.offer.finds and isinstance(provider, Finder) else None

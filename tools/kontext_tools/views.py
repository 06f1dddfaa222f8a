"""What a call gives and what it wants: a job as one answer tells it, a dry run's quote, how to be served.

Above: studio, surface, cli. Below: jobs, budget.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from kontext_tools.budget import Cost, Price, Unit, total
from kontext_tools.jobs import Job
from kontext_tools.questions import Yes


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A job as one answer tells it.

    Attributes:
        job: as it stands.
        joined: whether this call joined an earlier one.
        eta_s: seconds that it may still take, while it runs.
        at: the moment this was seen, UTC.
    """

    job: Job
    joined: bool = False
    eta_s: int | None = None
    at: datetime

    @property
    def seconds(self) -> float:
        """Seconds from the call to the end, or to now."""
        return max(0.0, ((self.job.ended_at or self.at) - self.job.created_at).total_seconds())

    @property
    def cost(self) -> Cost:
        """What the job cost, or will: what was released is not counted."""
        counted = [
            send.cost or Cost.listed(send.price)
            for send in self.job.sends
            if not (send.state.ended and send.failure is not None and send.failure.billed == "no")
        ]
        return total(counted) or Cost.listed(Price(amount=Decimal(0), unit=self.job.sends[0].price.unit))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is told beside the job: what was noted, and a provider's word for it that we do not know."""
        odd = [
            f"{send.provider} calls it {send.odd_word}, a status that is not known here; it counts as still running."
            for send in self.job.sends
            if send.odd_word and not send.state.ended
        ]
        return (*self.job.warnings, *dict.fromkeys(odd))


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a dry run tells: everything was checked and nothing sent."""

    provider: str
    request: dict[str, Any]
    cost: Cost
    warnings: tuple[str, ...]
    budget_left: Mapping[Unit, Decimal]


OnNews = Callable[[View], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """How one call wants to be served.

    Attributes:
        owner: who calls.
        wait_s: seconds to wait for the end, 0 to answer at once.
        dry_run: whether to check everything and send nothing.
        request_key: the caller's own key, or empty.
        on_news: told while waiting, at least once a second.
        yes: what a person said yes to, from whoever has asked them; never from an argument.
    """

    owner: str
    wait_s: float = 0.0
    dry_run: bool = False
    request_key: str = ""
    on_news: OnNews | None = None
    yes: Yes | None = None

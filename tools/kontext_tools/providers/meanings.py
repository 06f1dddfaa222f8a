"""What a host's answer means: for the money, and in our errors.

What this is: the one border where status codes and transport failures become the contract's codes, the host's own words
quoted, cut and redacted. What it is not: the calls (`wire`), the reading of a reply (`replies`), or a host's paths and
fields (the adapters). Above: wire, adapters. Below: replies, base, errors, quoting, pacing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kontext_tools.budget import Cost
from kontext_tools.errors import (
    AuthFailed,
    Billed,
    Failure,
    KontextError,
    Moderated,
    OutcomeUnknown,
    OutOfCredit,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
)
from kontext_tools.http import Reply
from kontext_tools.pacing import retry_after_s
from kontext_tools.providers.base import Phase, RemoteOutput, Snapshot, SubmitFailed, Verdict
from kontext_tools.providers.replies import words_of
from kontext_tools.providers.status_words import read_word
from kontext_tools.quoting import quoted
from kontext_tools.redaction import Redactor

REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422})
"""A create that these answer was not taken: the money is released (DESIGN.md section 3). So are redirects."""

MODERATION_WORDS = ("(e005)", "flagged as sensitive", "nsfw", "content policy", "content_policy", "moderat", "safety")


class Meaning(StrEnum):
    """What a refusal is about; `UNAVAILABLE` is proven not taken, `LOST` is not."""

    AUTH = "auth"
    CREDIT = "credit"
    RATE = "rate"
    MODERATED = "moderated"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"
    LOST = "lost"


OwnReading = Callable[[int, str], Meaning | None]
"""A host's own rule: status and words (lower-case) to a meaning, `None` for the common reading."""

_COMMON = {401: Meaning.AUTH, 402: Meaning.CREDIT, 403: Meaning.AUTH, 429: Meaning.RATE}
_VERDICTS = {Meaning.RATE: Verdict.NOT_TAKEN, Meaning.UNAVAILABLE: Verdict.NOT_TAKEN, Meaning.LOST: Verdict.UNKNOWN}


class Meanings:
    """Reads one host's answers.

    Args:
        name: as messages name it.
        key_variable: the setting that a refused key stands in.
        redact: takes keys and signed queries out.
        own: the host's own rule, tried first.
    """

    def __init__(self, *, name: str, key_variable: str, redact: Redactor, own: OwnReading = lambda _, __: None) -> None:
        self._name = name
        self._key_variable = key_variable
        self.redact = redact
        self._own = own

    def unreachable(self) -> Failure:
        """Nothing was taken: the host was not reached."""
        return ProviderUnavailable(
            f"{self._name} was not reached; nothing was sent and nothing charged.",
            fix="Call again in a minute, or set provider to another one.",
        ).failure

    def lost(self) -> Failure:
        """Sent, and no answer came."""
        return OutcomeUnknown(
            f"The request was sent to {self._name} and no answer came: it may have been charged.",
            fix=f"Let a person look at the list of jobs at {self._name}; to try again on purpose, call again with a "
            "new request_key.",
        ).failure

    def senseless(self, reply: Reply) -> SubmitFailed:
        """Give the failure of a create whose 2xx answer names no job."""
        told = f"{self._name} took the request and answered what makes no sense ({self.words(reply)}): "
        return SubmitFailed(Verdict.UNKNOWN, replace(self.lost(), message=told + "it may have been charged."))

    def refusal(self, reply: Reply) -> SubmitFailed:
        """Give what an answer that is no 2xx means for a create."""
        meaning = self._meaning(reply)
        return SubmitFailed(_VERDICTS.get(meaning, Verdict.REFUSED), self._failure(meaning, reply))

    def failed(self, said: str, *, billed: Billed) -> Failure:
        """Give the failure of a job that the host ended, its words quoted."""
        text = quoted(self.redact(said))
        if is_moderation(text):
            error: KontextError = Moderated(
                f"{self._name} refused the content ({text}).",
                fix="Ask for something else, or raise safety_tolerance only if the person wants that.",
                billed=billed,
            )
        else:
            error = ProviderError(
                f"{self._name} failed at the work ({text}).",
                fix="Call again with another prompt or seed, or set provider to another one.",
                billed=billed,
            )
        return error.failure

    def snapshot(
        self,
        word: Any,
        phases: Mapping[str, Phase],
        *,
        remote_id: str | None,
        outputs: tuple[RemoteOutput, ...],
        reason: str = "",
        cost: Cost | None = None,
    ) -> Snapshot | None:
        """Give what a host says of a job: outputs and cost count at its end alone, one without outputs is a failure.

        Args:
            word: what stood in the place of the host's status word; where it is none, nothing was said of a job.
            phases: what its words mean, lower-case.
            remote_id: the host's name for the job.
            outputs: whatever stood in the reply.
            reason: the host's words for a failure.
            cost: as the host reports it.
        """
        if not isinstance(word, str):
            return None
        phase, odd_word = read_word(word, phases, self.redact)
        failure = None
        cost = None if phase in (Phase.WAITING, Phase.WORKING) else cost
        if phase is Phase.FAILED:
            failure = self.failed(reason, billed=billed_by(cost))
        elif phase is Phase.DONE and not outputs:
            phase = Phase.FAILED
            failure = self.failed("it ended without an output", billed=billed_by(cost, untold=Billed.YES))
        return Snapshot(
            phase=phase,
            remote_id=remote_id,
            outputs=outputs if phase is Phase.DONE else (),
            cost=cost,
            failure=failure,
            raw_status=word,
            odd_word=odd_word,
        )

    def end_of(self, said: str, most_chars: int) -> str:
        """Give the last of a host's words; redacted first, for half a key is no key to the redactor."""
        return self.redact(said)[-most_chars:]

    def words(self, reply: Reply) -> str:
        """Give the host's own words, redacted and quoted."""
        return quoted(self.redact(words_of(reply)))

    def _meaning(self, reply: Reply) -> Meaning:
        said, status = words_of(reply).lower(), reply.status
        own = self._own(status, said)
        if own is not None:
            return own
        if status in REFUSALS and status not in (401, 402) and is_moderation(said):
            return Meaning.MODERATED
        if status in _COMMON:
            return _COMMON[status]
        return Meaning.REFUSED if status in REFUSALS or 300 <= status < 400 else Meaning.LOST

    def _failure(self, meaning: Meaning, reply: Reply) -> Failure:
        told = f"(HTTP {reply.status}, {self.words(reply)})"
        error: KontextError
        match meaning:
            case Meaning.AUTH:
                error = AuthFailed(
                    f"{self._name} refused the key {told}; nothing was charged.",
                    fix=f"A person must set a valid key in {self._key_variable} and restart the server.",
                )
            case Meaning.CREDIT:
                error = OutOfCredit(
                    f"The account at {self._name} has no credit {told}; nothing was charged.",
                    fix=f"A person must add credit at {self._name}; or set provider to another one.",
                )
            case Meaning.RATE:
                error = RateLimited(
                    f"{self._name} asks to wait {told}; nothing was charged.",
                    fix="Call again with the same arguments after the wait, or set provider to another one.",
                    retry_after_s=wait_of(reply),
                )
            case Meaning.MODERATED:
                error = Moderated(
                    f"{self._name} refused the content {told}; nothing was charged.", fix="Ask for something else."
                )
            case Meaning.UNAVAILABLE:
                error = ProviderUnavailable(
                    f"{self._name} does not serve at the moment {told}; nothing was charged.",
                    fix="Call again in a minute, or set provider to another one.",
                )
            case Meaning.REFUSED:
                error = ProviderError(
                    f"{self._name} refused the request {told}; nothing was charged.",
                    fix="Change what it names, or set provider to another one.",
                )
            case Meaning.LOST:
                said = f"{self._name} failed after taking the request {told}: it may have been charged."
                return replace(self.lost(), message=said)
        return error.failure


def is_moderation(text: str) -> bool:
    """Whether words speak of refused content."""
    lowered = text.lower().replace("safety_tolerance", "")
    return any(word in lowered for word in MODERATION_WORDS)


def wait_of(reply: Reply) -> float | None:
    """Give the seconds that a 429 asks to wait: Retry-After, else `ratelimit-reset`, else a number in its words."""
    for header in ("retry-after", "ratelimit-reset"):
        wait_s = retry_after_s(reply.headers.get(header), datetime.now(UTC))
        if wait_s is not None:
            return wait_s
    said = re.search(r"\b(\d{1,5})\s*s(?:ec|\b)", words_of(reply))
    return None if said is None else retry_after_s(said[1], datetime.now(UTC))


def billed_by(cost: Cost | None, *, untold: Billed = Billed.UNKNOWN) -> Billed:
    """Whether a job that failed was charged, as far as its reported cost tells."""
    if cost is None or cost.amount is None:
        return untold
    return Billed.YES if cost.amount else Billed.NO

"""What every wire shares: one HTTP call, and what its failure means for the money.

What this is: the one border where transport failures and status codes become our errors. What it is not: any
provider's words or paths (the adapters). Above: the adapters. Below: http, base, pacing, errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from kontext_tools import data_uris
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
from kontext_tools.http import READ_S, Blocked, Http, Lost, NotSent, Part, Reply
from kontext_tools.images import MAX_OUTPUT_BYTES
from kontext_tools.pacing import retry_after_s
from kontext_tools.providers.base import FetchFailed, Intent, RemoteOutput, SubmitFailed, Verdict
from kontext_tools.quoting import quoted

REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 410, 413, 415, 422})
"""A create that these answer was not taken: the money is released."""

MAX_REMOTE_ID_CHARS = 256
MODERATION_WORDS = (
    "(e005)",
    "flagged as sensitive",
    "nsfw",
    "content policy",
    "content_policy",
    "moderat",
    "safety",
)


class Wire:
    """One host: base address, credentials, and the name that messages use."""

    def __init__(self, http: Http, *, name: str, base_url: str, headers: Mapping[str, str], key_variable: str) -> None:
        self._http = http
        self._headers = dict(headers)
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.key_variable = key_variable

    async def create(
        self,
        path: str,
        intent: Intent,
        *,
        json: Any = None,
        parts: Sequence[Part] = (),
        read_s: float = READ_S,
    ) -> Reply:
        """Send the one request that costs money, on a fresh connection, its intent committed right before.

        Raises:
            SubmitFailed: with the verdict that the failure stands for.
        """
        await intent()
        try:
            reply = await self._http.call(
                "POST",
                self._url(path),
                headers=self._headers,
                json=json,
                parts=parts,
                fresh=True,
                read_s=read_s,
            )
        except NotSent:
            raise SubmitFailed(Verdict.NOT_TAKEN, self.unreachable()) from None
        except Lost:
            raise SubmitFailed(Verdict.UNKNOWN, self.lost()) from None
        if 200 <= reply.status < 300:
            return reply
        raise SubmitFailed(self._verdict(reply.status), self.refused(reply))

    async def prepare(self, method: str, path: str, *, json: Any = None, parts: Sequence[Part] = ()) -> Reply:
        """Make a call that costs nothing, before the create: an upload. Never unknown.

        Raises:
            SubmitFailed: not taken, or refused.
        """
        try:
            reply = await self._http.call(method, self._url(path), headers=self._headers, json=json, parts=parts)
        except (NotSent, Lost):
            raise SubmitFailed(Verdict.NOT_TAKEN, self.unreachable()) from None
        if 200 <= reply.status < 300:
            return reply
        verdict = Verdict.REFUSED if reply.status in REFUSALS else Verdict.NOT_TAKEN
        failure = self.refused(reply)
        if verdict is Verdict.NOT_TAKEN and failure.code == "outcome_unknown":
            failure = self.unreachable()
        raise SubmitFailed(verdict, failure)

    async def hand_over(self, url: str, parts: Sequence[Part]) -> None:
        """Post a file to an upload address that the host just gave: no key goes there.

        Raises:
            SubmitFailed: not taken.
        """
        try:
            target = await self._http.guard.check(url)
            reply = await self._http.call("POST", target, parts=parts, fresh=True, read_s=2 * READ_S)
        except (NotSent, Lost, Blocked):
            raise SubmitFailed(Verdict.NOT_TAKEN, self.unreachable()) from None
        if not 200 <= reply.status < 300:
            raise SubmitFailed(Verdict.NOT_TAKEN, self.unreachable())

    async def ask(self, method: str, path: str, *, read_s: float = READ_S) -> Reply:
        """Make a call about a job that exists; of what is not a GET, the host's "no" comes back too.

        Raises:
            FetchFailed: no sense came back; `gone` where the host does not know the job.
        """
        try:
            reply = await self._http.call(method, self._url(path), headers=self._headers, read_s=read_s)
        except (NotSent, Lost):
            raise FetchFailed(self.unreachable()) from None
        said_no = method != "GET" and 400 <= reply.status < 500 and reply.status not in (401, 403, 429)
        if 200 <= reply.status < 300 or said_no:
            return reply
        raise FetchFailed(self.refused(reply), gone=reply.status == 404)

    def unreachable(self) -> Failure:
        """Nothing was taken: the host was not reached."""
        return ProviderUnavailable(
            f"{self.name} was not reached; nothing was sent and nothing charged.",
            fix="Call again in a minute, or set provider to another one.",
        ).failure

    def lost(self) -> Failure:
        """Sent, and no answer came."""
        return OutcomeUnknown(
            f"The request was sent to {self.name} and no answer came: it may have been charged.",
            fix=f"Let a person look at the list of jobs at {self.name}; to try again on purpose, call again with a new "
            "request_key.",
        ).failure

    def senseless(self, reply: Reply) -> SubmitFailed:
        """Give the failure of a create whose 2xx answer names no job."""
        failure = self.lost()
        said = self._words(reply)
        told = f"{self.name} took the request and answered what makes no sense ({said}): it may have been charged."
        return SubmitFailed(Verdict.UNKNOWN, replace(failure, message=told))

    def refused(self, reply: Reply) -> Failure:
        """Give what a status means, the host's own words quoted."""
        said, status = self._words(reply), reply.status
        error: KontextError
        if status == 401 or (status == 403 and not self._moderated(said)):
            error = AuthFailed(
                f"{self.name} refused the key (HTTP {status}, {said}); nothing was charged.",
                fix=f"A person must set a valid key in {self.key_variable} and restart the server.",
            )
        elif status == 402:
            error = OutOfCredit(
                f"The account at {self.name} has no credit (HTTP 402, {said}); nothing was charged.",
                fix=f"A person must add credit at {self.name}; or set provider to another one.",
            )
        elif status == 429:
            wait_s = retry_after_s(reply.headers.get("retry-after"), datetime.now(UTC))
            error = RateLimited(
                f"{self.name} asks to wait (HTTP 429, {said}); nothing was charged.",
                fix="Call again with the same arguments after the wait, or set provider to another one.",
                retry_after_s=wait_s,
            )
        elif status in REFUSALS or 300 <= status < 400:
            error = self._no(said, f"HTTP {status}, {said}")
        else:
            return replace(
                self.lost(),
                message=f"{self.name} failed after taking the request (HTTP {status}, {said}): "
                "it may have been charged.",
            )
        return error.failure

    def failed(self, said: str, *, billed: Billed) -> Failure:
        """Give the failure of a job that the host ended, its words quoted."""
        text = quoted(self._http.redact(said))
        if self._moderated(text):
            error: KontextError = Moderated(
                f"{self.name} refused the content ({text}).",
                fix="Ask for something else, or lower safety_tolerance only if the person wants that.",
                billed=billed,
            )
        else:
            error = ProviderError(
                f"{self.name} failed at the work ({text}).",
                fix="Call again with another prompt or seed, or set provider to another one.",
                billed=billed,
            )
        return error.failure

    def _no(self, said: str, told: str) -> KontextError:
        if self._moderated(said):
            return Moderated(
                f"{self.name} refused the content ({told}); nothing was charged.",
                fix="Ask for something else.",
            )
        return ProviderError(
            f"{self.name} refused the request ({told}); nothing was charged.",
            fix="Change what it names, or set provider to another one.",
        )

    def _verdict(self, status: int) -> Verdict:
        if status == 429:
            return Verdict.NOT_TAKEN
        return Verdict.REFUSED if status in REFUSALS or 300 <= status < 400 else Verdict.UNKNOWN

    def _moderated(self, text: str) -> bool:
        lowered = text.lower()
        return any(word in lowered for word in MODERATION_WORDS)

    def _words(self, reply: Reply) -> str:
        return quoted(self._http.redact(words_of(reply)))

    def _url(self, path: str) -> str:
        return f"{self.base_url}{path}"


def remote_id_of(value: Any) -> str | None:
    """Give a provider's id where it can stand in a path as one segment; anything else is no id."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_REMOTE_ID_CHARS:
        return None
    return value if value.isprintable() and value.strip(".") else None


def output_of(value: str) -> RemoteOutput:
    """Read an output that is an address, or a data URI with the picture in it; a broken one has no bytes."""
    if value[:5].lower() != "data:":
        return RemoteOutput(url=value)
    try:
        return RemoteOutput(data=data_uris.decoded(value, max_bytes=MAX_OUTPUT_BYTES) or b"")
    except OverflowError:
        return RemoteOutput(data=b"")


def words_of(reply: Reply) -> str:
    """Give the host's own words from the places where errors stand: detail, error, message, title; text else."""
    data = reply.json()
    if isinstance(data, dict):
        for name in ("detail", "error", "message", "title"):
            value: Any = data.get(name)  # pyright: ignore[reportUnknownMemberType,reportUnknownVariableType]  # JSON
            if value:
                return value if isinstance(value, str) else json.dumps(value)
    if data is None and b"<" not in reply.body[:200]:
        return reply.body[:2000].decode("utf-8", "replace")
    return "" if data is None else json.dumps(data)[:2000]

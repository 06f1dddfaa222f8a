"""The calls that every wire is made of, each with what its failure means.

What this is: one host's base address and credentials, and four kinds of call: a create (costs money), a preparation
(costs nothing, before a create), a hand-over (a file to an address that the host gave: no key goes there), a question
about a job. What it is not: the meaning of an answer (`meanings`), or paths and fields (the adapters). Above: the
adapters. Below: http, meanings, replies, base.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import anyio

from kontext_tools.errors import SourceTooLarge, UnsupportedByProvider
from kontext_tools.guard import Blocked
from kontext_tools.http import READ_S, Http, Lost, NotSent, Part, Reply
from kontext_tools.providers.base import FetchFailed, Intent, Phase, Snapshot, SubmitFailed, Unsupported, Verdict
from kontext_tools.providers.meanings import Meanings, OwnReading
from kontext_tools.providers.replies import fields_of, remote_id_of

_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


class Wire:
    """One host."""

    def __init__(
        self,
        http: Http,
        *,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        key_variable: str,
        own: OwnReading = lambda _, __: None,
    ) -> None:
        """Take the host's base address, its credentials as headers, and its own reading of refusals."""
        self._http = http
        self._headers = dict(headers)
        self._name = name
        self.base_url = base_url.rstrip("/")
        self.says = Meanings(name=name, key_variable=key_variable, redact=http.redact, own=own)

    async def create(
        self,
        path: str,
        intent: Intent,
        *,
        json: Any = None,
        parts: Sequence[Part] = (),
        headers: Mapping[str, str] | None = None,
        read_s: float = READ_S,
        also: Collection[int] = (),
    ) -> Reply:
        """Send the one request that costs money, on a fresh connection, its intent committed right before.

        Of `also`, statuses beside the 2xx, the answer comes back for the adapter to read.

        Raises:
            SubmitFailed: with the verdict that the failure stands for.
        """
        await intent()
        named = {**self._headers, **(headers or {})}
        with self._counted("create"):
            try:
                reply = await self._http.call(
                    "POST", self._url(path), headers=named, json=json, parts=parts, fresh=True, read_s=read_s
                )
            except NotSent:
                raise SubmitFailed(Verdict.NOT_TAKEN, self.says.unreachable()) from None
            except Lost:
                raise SubmitFailed(Verdict.UNKNOWN, self.says.lost()) from None
            if 200 <= reply.status < 300 or reply.status in also:
                return reply
            raise self.says.refusal(reply)

    async def prepare(self, method: str, path: str, *, json: Any = None, parts: Sequence[Part] = ()) -> Reply:
        """Make a call that costs nothing, before the create: an upload, a question about the model. Never unknown.

        Raises:
            SubmitFailed: not taken, or refused.
        """
        with self._counted("prepare"):
            try:
                reply = await self._http.call(method, self._url(path), headers=self._headers, json=json, parts=parts)
            except (NotSent, Lost):
                raise SubmitFailed(Verdict.NOT_TAKEN, self.says.unreachable()) from None
            if 200 <= reply.status < 300:
                return reply
            refusal = self.says.refusal(reply)
            if refusal.verdict is Verdict.UNKNOWN:
                raise SubmitFailed(Verdict.NOT_TAKEN, self.says.unreachable())
            raise refusal

    async def hand_over(
        self,
        url: str,
        *,
        method: str = "POST",
        parts: Sequence[Part] = (),
        data: bytes | None = None,
        media_type: str = "application/octet-stream",
    ) -> None:
        """Give a file to an upload address that the host just named; our key does not go there.

        Raises:
            SubmitFailed: not taken.
        """
        headers = {} if data is None else {"content-type": media_type}
        with self._counted("hand_over"):
            try:
                target = await self._http.guard.check(url)
                reply = await self._http.call(
                    method, target, headers=headers, parts=parts, content=data, fresh=True, read_s=2 * READ_S
                )
            except (NotSent, Lost, Blocked):
                raise SubmitFailed(Verdict.NOT_TAKEN, self.says.unreachable()) from None
            if not 200 <= reply.status < 300:
                raise SubmitFailed(Verdict.NOT_TAKEN, self.says.unreachable())

    async def ask(
        self, method: str, path: str, *, at: str | None = None, read_s: float = READ_S, also: Collection[int] = ()
    ) -> Reply:
        """Make a call about a job that exists; of what is not a GET, the host's "no" comes back too.

        Args:
            method: GET, POST, PUT or DELETE.
            path: below the base address.
            at: another base address, which the adapter has held against the host's own list.
            read_s: seconds of silence that are borne.
            also: statuses beside the 2xx whose answer comes back.

        Raises:
            FetchFailed: no sense came back; `gone` where the host does not know the job.
        """
        with self._counted("look" if method == "GET" else "cancel"):
            try:
                reply = await self._http.call(method, self._url(path, at), headers=self._headers, read_s=read_s)
            except (NotSent, Lost):
                raise FetchFailed(self.says.unreachable()) from None
            said_no = method != "GET" and 400 <= reply.status < 500 and reply.status not in (401, 403, 429)
            if 200 <= reply.status < 300 or said_no or reply.status in also:
                return reply
            raise FetchFailed(self.says.refusal(reply).failure, gone=reply.status == 404)

    def taken(self, reply: Reply, *, id_field: str) -> Snapshot:
        """Read a create's answer that names the job and says no more of it than a word: it waits, whatever the word.

        Raises:
            SubmitFailed: unknown; the answer names no job.
        """
        fields = fields_of(reply)
        remote_id, word = remote_id_of(fields.get(id_field)), fields.get("status")
        if remote_id is None:
            raise self.says.senseless(reply)
        return Snapshot(phase=Phase.WAITING, remote_id=remote_id, raw_status=word if isinstance(word, str) else "")

    async def look(self, path: str, read: Callable[[Reply], Snapshot | None], *, read_s: float = READ_S) -> Snapshot:
        """Look at a job by one GET.

        Args:
            path: below the base address.
            read: gives what the answer says of the job; `None` where it makes no sense.
            read_s: seconds of silence that are borne.

        Raises:
            FetchFailed: no sense came back; `gone` where the host does not know the job.
        """
        snapshot = read(await self.ask("GET", path, read_s=read_s))
        if snapshot is None:
            raise FetchFailed(self.says.unreachable())
        return snapshot

    @contextmanager
    def _counted(self, kind: str) -> Generator[None]:
        """Tell the meter of a call: how it went, by a word of a closed set, and what it took."""
        began, outcome = anyio.current_time(), "broke"
        try:
            yield
            outcome = "ok"
        except SubmitFailed as failed:
            outcome = failed.verdict.value
            raise
        except FetchFailed as failed:
            outcome = "gone" if failed.gone else "failed"
            raise
        finally:
            self._http.meter.asked(self._name, kind, outcome, anyio.current_time() - began)

    def _url(self, path: str, at: str | None = None) -> str:
        return f"{self.base_url if at is None else at.rstrip('/')}{path}"


def segment(remote_id: str) -> str:
    """Give an id as one segment of a path: it never leads our key to another endpoint (RELIABILITY.md N13)."""
    return quote(remote_id, safe="")


def too_large(name: str, data: bytes, most_bytes: int) -> SubmitFailed:
    """Give the refusal of a picture that a host would not take; nothing was sent."""
    error = SourceTooLarge(
        f"The picture is {len(data) / 1e6:.1f} MB, over the {most_bytes / 1e6:g} MB that {name} takes; "
        "nothing was sent and nothing charged.",
        fix="Pass an https address of it, export it smaller, such as 2000 pixels on its longest side, or set provider "
        "to another one.",
        field="image",
    )
    return SubmitFailed(Verdict.REFUSED, error.failure)


def unsupported(name: str, no: Unsupported) -> SubmitFailed:
    """Give the refusal of a set argument that turned out not to be honoured; nothing was sent."""
    error = UnsupportedByProvider(
        f"{name} does not take this {no.field} (accepted: {no.accepted}); nothing was sent and nothing charged.",
        fix=f"Call again with another {no.field} (accepted: {no.accepted}), or set provider to another one.",
        field=no.field,
    )
    return SubmitFailed(Verdict.REFUSED, error.failure)


def is_at(url: str, hosts: Sequence[str]) -> bool:
    """Whether an https address lies at one of the hosts, or below one that begins with a dot."""
    try:
        parts = urlsplit(url)
        usual = parts.scheme == "https" and parts.username is None and parts.port in (None, 443)
    except ValueError:
        return False
    host = (parts.hostname or "").lower()
    named = any(host == name or (name.startswith(".") and host.endswith(name)) for name in hosts)
    return usual and named and _HOST.fullmatch(host) is not None

"""What a script may ask for: one fault for one request of one wire, queued, and used up by the first that
fits.

What this is: the fault as data, checked where it comes in, and the queue. What it is not: how a fault looks
on the wire (`answers`), or what it does to a job (`state.Job.suffer`). Above: `state`, `answers`, `wire`.
Below: nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

On = Literal["create", "get", "cancel", "upload", "file", "model", "list", "account", "call"]
"""The operation that a request is: a create is whatever may be charged; a file is the fetch of an output; model
tells what can be asked of one; list and account tell of jobs, of money and of keys; a call is our own, at a hook."""

FATES = frozenset(
    {
        "status",
        "fail",
        "moderated",
        "cancelled_elsewhere",
        "aborted",
        "never_ends",
        "data_uri",
        "early_output",
        "partial_succeeded",
        "nsfw",
        "data_removed",
    }
)
"""What happens to the job; the request itself is answered as always. A wire without a word for one lets it pass."""

REPLACING = frozenset(
    {
        "accept_then_reset",
        "reset_before_accept",
        "hang",
        "garbage",
        "empty",
        "no_content",
        "error_echoes_key",
        "redirect",
        "expired",
        "wrong_type",
    }
)
"""What is answered in place of the answer."""

ALTERING = frozenset({"slow_body", "truncated", "oversize"})
"""What becomes of the answer's body on its way."""

PECULIAR = frozenset({"surface_gone", "cancel_ignored", "cancel_works"})
"""What the wires of some vendors alone know: there it says how; any other lets the request pass."""

CALLS = frozenset({"no_call", "call_twice", "call_early", "call_late", "call_wrong_signature", "call_stale"})
"""What becomes of a call at a hook (see `calling`)."""

_CHARGED = frozenset({"accept_then_reset", "hang", "no_content"})


class BadScriptError(ValueError):
    """A script that asks for something that does not exist; its text says what."""


class Fault(BaseModel):
    """One scripted fault; `none` lets a request pass, and may still carry `shape` or `seconds`.

    Attributes:
        wire: the wire's name, `core.today`.
        on: the operation that it waits for.
        fault: a name from FATES, REPLACING or ALTERING, an HTTP status from 400 to 599, or `none`.
        times: how many requests it strikes; `always` until reset.
        match: text that must occur in the request's path or body (a job's id, a prompt).
        charged: whether the request is carried out (a create: charged) before its answer is replaced; unless
            said, only where that is the point of the fault.
        body: of an HTTP status: `json` in the vendor's dialect, `html` or `empty`; 502 is `html` unless said.
        text: of an HTTP status, the vendor's words.
        retry_after: the header's value, as given.
        retry_after_date: the header as an HTTP date, that many seconds from now.
        status: of `status`, the word reported; on `create` until the end of days, on `get` once. Of
            `moderated`, which of the vendor's words for it.
        error: of `fail` and `moderated`, the job's error text.
        url: of `redirect`, where to.
        code: the HTTP status of `redirect` (302 unless said), of `surface_gone` (404 unless said), or
            of what BFL says about a job (200 unless said).
        interval: of `slow_body`, seconds between two bytes.
        content_length: of `truncated`: `right` declares all the bytes and breaks off, `wrong` declares
            only those that are sent.
        seconds: on `create`, how long this job takes; of `call_late`, how late the call comes.
        shape: on `create`, which of the published reply shapes the job speaks.
        polling_host: on `create`, the host, or the root of an address, where this job is asked to be polled.
        error_code: of `fail` and `moderated`, the vendor's code or type beside the text.
        version: on `model` or `create`, the version of the model from now on, where a create must name it.
        requires_image: on `model` or `create`, whether it needs a picture from now on, where a schema says so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    wire: str
    on: On
    fault: str = "none"
    times: int | Literal["always"] = Field(default=1, union_mode="left_to_right")
    match: str = ""
    charged: bool | None = None
    body: Literal["", "json", "html", "empty"] = ""
    text: str = ""
    retry_after: str | None = None
    retry_after_date: float | None = None
    status: str = ""
    error: str = ""
    url: str = ""
    code: int | None = Field(default=None, ge=200, le=499)
    interval: float = Field(default=1.0, ge=0)
    content_length: Literal["right", "wrong"] = "right"
    seconds: float | None = Field(default=None, ge=0)
    shape: Literal["first", "second"] = "first"
    polling_host: str = ""
    error_code: str = ""
    version: str = ""
    requires_image: bool | None = None

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "none" or name in FATES | REPLACING | ALTERING | PECULIAR | CALLS or _is_status(name):
            return name
        known = ", ".join(sorted(FATES | REPLACING | ALTERING | PECULIAR | CALLS))
        raise ValueError(f"{name!r} is no fault; there are: none, an HTTP status from 400 to 599, {known}")

    @field_validator("times")
    @classmethod
    def _some(cls, times: int | str) -> int | str:
        if isinstance(times, int) and times < 1:
            raise ValueError("a fault strikes at least once")
        return times

    @model_validator(mode="after")
    def _fits(self) -> Fault:
        if self.fault in FATES and self.on not in {"create", "get"}:
            raise ValueError(f"{self.fault} happens to a job, on create or get")
        if (self.seconds is not None or self.shape != "first") and self.on != "create":
            raise ValueError("seconds and shape are for a job that is made, on create")
        if (self.version or self.requires_image is not None) and self.on not in {"model", "create"}:
            raise ValueError("version and requires_image are a model's, on model or create")
        for name, value in (("status", self.status), ("redirect", self.url)):
            if self.fault == name and not value:
                raise ValueError(f"{name} needs its {'url' if name == 'redirect' else 'status'}")
        return self

    @property
    def http_status(self) -> int | None:
        """The status to answer, where the fault is one."""
        return int(self.fault) if _is_status(self.fault) else None

    @property
    def replaces(self) -> bool:
        """Whether something else is answered in place of the answer."""
        return self.fault in REPLACING or self.http_status is not None

    @property
    def carried_out(self) -> bool:
        """Whether the request still does what it asks for, and so is charged."""
        if not self.replaces:
            return True
        return self.fault in _CHARGED if self.charged is None else self.charged


class Faults:
    """The queue. May be filled from any thread."""

    def __init__(self, wires: Iterable[str]) -> None:
        """Take faults for the wires of these names only: a misspelt one would wait for ever."""
        self._wires = frozenset(wires)
        self._queue: list[Fault] = []
        self._left: list[int | None] = []
        self._lock = threading.Lock()

    def push(self, script: Iterable[Fault | Mapping[str, Any]]) -> int:
        """Queue all of a script, or nothing of it (BadScriptError); how many faults wait then."""
        faults = [self._read(one) for one in script]
        with self._lock:
            self._queue += faults
            self._left += [None if fault.times == "always" else fault.times for fault in faults]
            return len(self._queue)

    def take(self, wire: str, on: On, path: str, body: bytes) -> Fault:
        """The first fault that fits a request, used up by one; a harmless one where none fits."""
        with self._lock:
            for place, fault in enumerate(self._queue):
                if (fault.wire, fault.on) != (wire, on) or not _matches(fault.match, path, body):
                    continue
                left = self._left[place]
                if left == 1:
                    del self._queue[place], self._left[place]
                elif left is not None:
                    self._left[place] = left - 1
                return fault
        return Fault(wire=wire, on=on)

    def waiting(self) -> list[Fault]:
        """Those not used up, in order."""
        with self._lock:
            return list(self._queue)

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._queue.clear()
            self._left.clear()

    def _read(self, one: Fault | Mapping[str, Any]) -> Fault:
        try:
            fault = one if isinstance(one, Fault) else Fault.model_validate(dict(one))
        except ValidationError as error:
            wrong = [f"{'.'.join(map(str, one['loc'])) or 'fault'}: {one['msg']}" for one in error.errors()]
            raise BadScriptError("; ".join(wrong)) from error
        if fault.wire not in self._wires:
            raise BadScriptError(f"{fault.wire!r} is no wire; there are: {', '.join(sorted(self._wires))}")
        return fault


def _matches(text: str, path: str, body: bytes) -> bool:
    return text in path or text.encode() in body


def _is_status(name: str) -> bool:
    return len(name) == 3 and name.isascii() and name.isdigit() and "400" <= name <= "599"

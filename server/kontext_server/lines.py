"""A client's lines: split, bounded, read, and of one that cannot be read its outline.

What this is: what comes of the bytes on stdin. A line that cannot be read is still somebody's question, and a client
waits for its answer without end; so where its id and method can be made out, it becomes a request of those alone, or
an error under that id. What it is not: the descriptors (`stdio`), or what a refusal says (`surface.unread`). Above:
stdio. Below: surface.unread.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import mcp_types as types
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from kontext_server.surface.unread import MAX_MESSAGE_BYTES, TOO_LONG, UNREADABLE, Unread

MAX_LINE_BYTES = MAX_MESSAGE_BYTES
MAX_DEPTH = 5
"""Deep enough for what a request says of itself (`params._meta` and the client's name in it)."""
MAX_TEXT_BYTES = 1024
MAX_OUTLINE_BYTES = 1 << 16
MAX_TOKENS = 100_000
"""A line of more texts and brackets than this outside of its arguments' texts is no call, and is only read over."""

_PLAIN = re.compile(rb'[^"\[\]{}]*')
_TEXT = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_LONG_NUMBER = re.compile(rb"[0-9]{20,}")
_NO_TEXT = re.compile(rb"\\u[dD][89a-fA-F]|[\x80-\xff]")
_CLOSED_BY = {b"[": b"]", b"{": b"}"}

log = logging.getLogger(__name__)


class Outline:
    """A line without its weight: what lies deep or in `arguments` is left out, long texts and numbers are emptied.

    It is made chunk by chunk and holds at most `MAX_OUTLINE_BYTES`, however long the line is. An id is kept as it is
    or the outline given up, for an answer under another id would be somebody else's.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._text: bytearray | None = None
        self._rest = b""
        self._depth = 0
        self._shown = MAX_DEPTH
        self._name = b""
        self._tokens = 0
        self._lost = False

    def feed(self, data: bytes) -> None:
        """Take the line's next bytes."""
        data, self._rest = self._rest + data, b""
        at = 0
        while at < len(data) and not self._lost:
            at = self._bare(data, at) if self._text is None else self._in_text(data, at)
            self._lost |= self._tokens > MAX_TOKENS or len(self._kept) > MAX_OUTLINE_BYTES

    def fields(self) -> dict[str, Any]:
        """Give the message's fields; none where it is no JSON object, or was given up."""
        if self._lost or self._depth or self._text is not None:
            return {}
        try:
            read: Any = json.loads(bytes(self._kept))
        except (ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", read) if isinstance(read, dict) else {}

    def _bare(self, data: bytes, at: int) -> int:
        """Take what stands outside of texts, up to and with the next quotation mark or bracket."""
        run = cast("re.Match[bytes]", _PLAIN.match(data, at))
        if self._depth <= self._shown and run[0]:
            self._keep(run[0], _LONG_NUMBER.sub(b"0", run[0]))
        sign = data[run.end() : run.end() + 1]
        self._tokens += 1
        if sign == b'"':
            self._text = bytearray()
        elif sign in _CLOSED_BY:
            self._open(sign)
        elif sign:
            self._close(sign)
        return run.end() + 1

    def _open(self, sign: bytes) -> None:
        if self._depth <= self._shown:
            self._kept += sign
        self._depth += 1
        if self._depth == 3 and self._name == b"arguments":
            self._shown = 2

    def _close(self, sign: bytes) -> None:
        self._depth -= 1
        if self._depth <= self._shown:
            self._kept += sign
        if self._depth == 2:
            self._shown = MAX_DEPTH

    def _in_text(self, data: bytes, at: int) -> int:
        """Take the rest of a text, or as much of it as there is."""
        text = cast("bytearray", self._text)
        part = cast("re.Match[bytes]", _TEXT.match(data, at))
        if len(text) <= MAX_TEXT_BYTES:
            text += part[0][: MAX_TEXT_BYTES + 1]
        end = part.end()
        if end == len(data):
            return end
        if data[end : end + 1] == b"\\":  # an escape whose second half is still to come
            self._rest = data[end:]
            return len(data)
        self._text = None
        if self._depth <= self._shown:
            whole = bytes(text)
            told = b"" if len(whole) > MAX_TEXT_BYTES or _NO_TEXT.search(whole) else whole
            self._keep(whole, told, b'"')
            self._name = told
        return end + 1

    def _keep(self, whole: bytes, told: bytes, mark: bytes = b"") -> None:
        if told != whole and self._depth == 1 and self._name == b"id":
            self._lost = True
        self._kept += mark + told + mark


class Lines:
    """Splits what comes into lines. One over the limit is not collected: its outline is made instead."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._outline: Outline | None = None

    def feed(self, chunk: bytes) -> Iterator[bytes | Outline]:
        """Take the next bytes and give the lines that end in them."""
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            self._take(part)
            yield self._outline or b"".join(self._parts)
            self._parts, self._size, self._outline = [], 0, None
        self._take(rest)

    def _take(self, part: bytes) -> None:
        self._size += len(part)
        if self._outline is not None:
            self._outline.feed(part)
        elif self._size <= MAX_LINE_BYTES:
            self._parts.append(part)
        else:
            self._outline = Outline()
            for earlier in (*self._parts, part):
                self._outline.feed(earlier)
            self._parts.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A line of which not even a request can be made: what is answered at once."""

    answer: SessionMessage


def message_of(line: bytes | Outline) -> SessionMessage | Refused | None:
    """Give the message that a line holds; where it cannot be read, a request of its outline, marked as `Unread`.

    `None`: it is empty, or no request whose id can be made out. Nobody waits for an answer to that.
    """
    if isinstance(line, Outline):
        return _unread(line, TOO_LONG)
    if not line.strip():
        return None
    try:
        return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValidationError:
        outline = Outline()
        outline.feed(line)
        return _unread(outline, UNREADABLE)


def _unread(outline: Outline, why: Unread) -> SessionMessage | Refused | None:
    fields = outline.fields()
    asked, method = fields.get("id"), fields.get("method")
    if not isinstance(method, str) or not isinstance(asked, str | int) or isinstance(asked, bool):
        log.warning("dropped a line of the client that holds no request with an id (%s)", why.refusal.code)
        return None
    try:
        request = types.JSONRPCRequest.model_validate(fields, by_name=False)
    except ValidationError:
        error = types.ErrorData(code=types.INVALID_REQUEST, message="That is no JSON-RPC 2.0 request.")
        return Refused(answer=SessionMessage(types.JSONRPCError(jsonrpc="2.0", id=asked, error=error)))
    return SessionMessage(request, ServerMessageMetadata(request_context=why))


def line_of(message: SessionMessage) -> bytes:
    """Give a message as a line. Half a character in it, of a file's name, becomes a question mark."""
    try:
        text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
    except PydanticSerializationError:
        text = json.dumps(message.message.model_dump(by_alias=True, exclude_unset=True), ensure_ascii=False)
    return text.encode("utf-8", "replace") + b"\n"

"""Logging to stderr and nowhere else: JSON lines, or plain lines on a terminal.

Above: cli, stdio. Below: nothing. One record is one line, whatever its text holds.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime


class _Lines(logging.Formatter):
    def __init__(self, redact: Callable[[str], str], *, as_json: bool) -> None:
        super().__init__()
        self._redact = redact
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """Give one line without secrets; a traceback is part of it, escaped."""
        message = record.getMessage()
        if record.exc_info:
            message = f"{message}\n{self.formatException(record.exc_info)}"
        fields = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": self._redact(message),
        }
        if self._as_json:
            return json.dumps(fields)
        plain = (char if char.isprintable() else ascii(char)[1:-1] for char in fields["message"])
        return f"{fields['level']}: {''.join(plain)}"


def configure(level: str, redact: Callable[[str], str]) -> None:
    """Send our records, and warnings of libraries, to stderr at a level: `debug`, `info`, `warning`, `error`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(redact, as_json=not sys.stderr.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell addresses, headers and whole answers at debug level.
    for name in ("httpx2", "httpcore2", "mcp", "sse_starlette", "python_multipart", "PIL", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)


def warn(text: str | None) -> None:
    """Write one warning of the start itself, if there is one."""
    if text is not None:
        logging.getLogger(__name__).warning("%s", text)

"""Files on the simulator's shelf: sent pictures and painted outputs, each at an address that can't be
guessed.

What this is: a stored file, the promise of one (an upload ticket), and the shelf that drops the oldest when
it is full. What it is not: the route that serves them (`app`). Above: `state`, the wires, `app`. Below:
`pictures`.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass

from kontext_server.simulator.pictures import Recipe, paint

MOST_FILES = 40_000
MOST_BYTES = 512_000_000
_EXTENSIONS = {"image/jpeg": ".jpg", "image/webp": ".webp", "image/gif": ".gif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file that is served under `/_files/`: sent bytes, or a recipe that is painted when it is asked for.

    Attributes:
        wire: whose it is; scripted faults on `file` go by it.
        name: 128 random bits and an extension.
        content: the bytes or the recipe.
        media_type: as an HTTP header says it.
        expires_at: seconds of the simulator's clock from which on it is refused; infinite for never.
        signature: must stand in the query of its address; empty for a public file.
        title: the name that its sender gave it.
    """

    wire: str
    name: str
    content: bytes | Recipe
    media_type: str
    expires_at: float
    signature: str
    title: str = ""

    def read(self) -> bytes:
        """The bytes; painting takes time, so call it from a worker thread."""
        return self.content if isinstance(self.content, bytes) else paint(self.content)

    def url(self, root: str) -> str:
        """Its address below a root such as `http://127.0.0.1:9876`."""
        address = f"{root}/_files/{self.name}"
        if not self.signature:
            return address
        return f"{address}?Expires={math.ceil(self.expires_at)}&Signature={self.signature}"

    @property
    def size(self) -> int:
        """Bytes that it keeps in memory."""
        return len(self.content if isinstance(self.content, bytes) else self.content.source)


@dataclass(slots=True, kw_only=True)
class Ticket:
    """A promised upload: the fields that must come with it and the file that it becomes.

    Attributes:
        file: with empty content until the upload has come.
        fields: names and values of the form, all demanded.
        expires_at: seconds of the simulator's clock from which on it is refused.
    """

    file: StoredFile
    fields: dict[str, str]
    expires_at: float


class Shelf:
    """The files that are served, oldest first."""

    def __init__(self, *, most_files: int = MOST_FILES, most_bytes: int = MOST_BYTES) -> None:
        """Hold so many files, of so many bytes together."""
        self._most_files = most_files
        self._most_bytes = most_bytes
        self._files: dict[str, StoredFile] = {}
        self._bytes = 0

    def add(self, file: StoredFile) -> StoredFile:
        """Serve a file from now on, in place of one of its name; the oldest ones make room. Gives it back."""
        self._drop(file.name)
        self._files[file.name] = file
        self._bytes += file.size
        while len(self._files) > self._most_files or (self._bytes > self._most_bytes and len(self._files) > 1):
            self._drop(next(iter(self._files)))
        return file

    def get(self, name: str) -> StoredFile | None:
        """The file of that name, expired or not."""
        return self._files.get(name)

    def remove(self, name: str) -> None:
        """Serve it no longer."""
        self._drop(name)

    def clear(self) -> None:
        """Forget all."""
        self._files.clear()
        self._bytes = 0

    def _drop(self, name: str) -> None:
        file = self._files.pop(name, None)
        self._bytes -= 0 if file is None else file.size


def new_file(wire: str, content: bytes | Recipe, media_type: str, expires_at: float = math.inf) -> StoredFile:
    """A file with a name of its own, not yet on the shelf; signed where it expires."""
    return StoredFile(
        wire=wire,
        name=secrets.token_hex(16) + _EXTENSIONS.get(media_type, ".png"),
        content=content,
        media_type=media_type,
        expires_at=expires_at,
        signature="" if math.isinf(expires_at) else secrets.token_hex(16),
    )

"""The secret key: 32 bytes that what we sign is proven by.

What this is: read from base64, or made once and kept in the data folder for every process on it. What it is not: used
here; each use derives a key of its own (`web.addresses`). Above: settings, web. Below: nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from pathlib import Path

SIZE_BYTES = 32
FILE = "secret.key"


def decoded(text: str) -> bytes | None:
    """Give the 32 bytes that base64 text stands for, with its common or its address alphabet; `None` for other text."""
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == SIZE_BYTES else None


def kept_in(folder: Path) -> bytes | None:
    """Give the key that lies in a folder, made (0600) where there is none; `None` where that file holds no key.

    Of processes that start at once, one makes it and the others read it: a name is linked whole or not at all. OSError
    where it cannot be made or read.
    """
    path = folder / FILE
    if not path.exists():
        temporary = folder / f"{FILE}.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, base64.b64encode(secrets.token_bytes(SIZE_BYTES)) + b"\n")
            os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
        finally:
            os.close(descriptor)
            temporary.unlink()
    return decoded(path.read_text("ascii", "replace"))

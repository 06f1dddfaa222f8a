"""Static bearer tokens from a file of their hashes, for small teams.

What this is: one of two verifiers; KONTEXT_TOKENS_FILE holds `<sha-256 of the token, hex> <subject> <scope,scope>`, a
line each. What it is not: where a token is taken from a request (`bearer`), or the other verifier (`jwts`). Above:
sign_in. Below: surface.scopes, the SDK's `AccessToken`.

The file is read anew whenever it was changed, so that a line that is taken out ends its token at once.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from mcp.server.auth.provider import AccessToken

from kontext_server.setting_sources import SettingError
from kontext_server.surface.scopes import SCOPES

ISSUER = "tokens"
"""Who vouches for these subjects."""
MAX_TOKEN_CHARS = 8192
"""Longer than any token of ours or of an issuer's; what is longer is not even hashed."""

_HASH = re.compile(r"[0-9a-fA-F]{64}")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One token's hash, whose it is, and what it allows."""

    digest: bytes
    subject: str
    scopes: tuple[str, ...]


def read(text: str) -> list[Line]:
    """Read a file's lines; blank ones and those that begin with `#` say nothing.

    Raises:
        SettingError: a line is wrong; its number is told, not what it holds.
    """
    found: list[Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = line.split()
        scopes = parts[2].split(",") if len(parts) == 3 else []
        if not scopes or not _HASH.fullmatch(parts[0]) or not set(scopes) <= set(SCOPES):
            raise SettingError(
                f"KONTEXT_TOKENS_FILE is wrong in line {number}: it takes `<sha-256 of the token, hex> <subject> "
                f"<scope,scope>`, with scopes out of {', '.join(SCOPES)}"
            )
        found.append(Line(digest=bytes.fromhex(parts[0]), subject=parts[1], scopes=tuple(scopes)))
    return found


class TokensFile:
    """Verifies tokens by a file of hashes. See the SDK's `TokenVerifier`.

    Args:
        path: of the file, read at once.

    Raises:
        SettingError: it cannot be read, or a line is wrong.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._seen: tuple[int, int, int] | None = None
        try:
            self._seen = self._look()
            self._lines = read(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            raise SettingError("KONTEXT_TOKENS_FILE names a file that cannot be read") from None
        if sys.platform != "win32" and stat.S_IMODE(self._path.stat().st_mode) & 0o077:
            log.warning("KONTEXT_TOKENS_FILE can be read or changed by others on this machine: chmod 600")

    async def verify_token(self, token: str) -> AccessToken | None:
        """Give whose token it is; `None` where it is nobody's. The token itself is not kept."""
        self._refresh()
        if len(token) > MAX_TOKEN_CHARS:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        # Every line is compared, so that the time says nothing of where it stands.
        found = [line for line in self._lines if hmac.compare_digest(line.digest, digest)]
        if not found:
            return None
        line = found[0]
        return AccessToken(
            token="", client_id=ISSUER, scopes=list(line.scopes), subject=line.subject, claims={"iss": ISSUER}
        )

    def _refresh(self) -> None:
        """Read the file where it was changed; while it cannot be read, no token is known."""
        try:
            seen = self._look()
            if seen != self._seen:
                self._lines, self._seen = read(self._path.read_text("utf-8")), seen
        except (OSError, ValueError, SettingError) as error:
            told = str(error) if isinstance(error, SettingError) else "KONTEXT_TOKENS_FILE cannot be read"
            if self._seen is not None:
                log.warning("%s; until it is mended its tokens are refused", told)
            self._lines, self._seen = [], None

    def _look(self) -> tuple[int, int, int]:
        told = self._path.stat()
        return told.st_mtime_ns, told.st_size, told.st_ino

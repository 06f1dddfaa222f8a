"""The seal that users' own keys are kept under: AES-256-GCM, its key derived from the secret key.

What this is: text to sealed text and back, bound to whose it is and what for. What it is not: the secret key
(`kontext_server.secret_key`), or where sealed text is kept (`stores.keys`). Above: keyring. Below: cryptography, which
comes with the SDK's `pyjwt[crypto]` and is imported when first used.

The nonce is random, 96 bits (NIST SP 800-38D, section 8.2.2: good for 2^32 seals under one key); owner, provider and
the row's id are the associated data, so that a row moved to another owner or another provider opens for nobody.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Callable

KEY_BYTES = 32
NONCE_BYTES = 12
PURPOSE = b"kontext: users' own provider keys, 1"


class Broken(Exception):
    """Sealed text does not open: it was changed, is another's, or was sealed under another secret key."""


class Seal:
    """Seals and opens.

    Args:
        secret: gives the secret key; asked for when something is sealed or opened, and not before.
    """

    def __init__(self, secret: Callable[[], bytes]) -> None:
        self._secret = secret
        self._key = b""

    def sealed(self, text: str, *about: str) -> str:
        """Give text under the seal, as base64, bound to what it is about."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        closed = self._cipher().encrypt(nonce, text.encode(), _bound(about))
        return base64.b64encode(nonce + closed).decode("ascii")

    def opened(self, sealed: str, *about: str) -> str:
        """Give the text. Raises `Broken`."""
        from cryptography.exceptions import InvalidTag

        try:
            data = base64.b64decode(sealed, validate=True)
            return self._cipher().decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _bound(about)).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise Broken from None

    def _cipher(self):  # noqa: ANN202  # its class is imported here alone
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        if not self._key:
            self._key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE).derive(self._secret())
        return AESGCM(self._key)


def _bound(about: tuple[str, ...]) -> bytes:
    return json.dumps(about).encode("ascii")

"""Settings become sign-in: an OAuth 2.1 resource server, and no more than that.

What this is: which verifiers there are, what they are told, and where a client learns who issues tokens (RFC 9728).
What it is not: an authorization server: nobody registers or logs in here. Above: http. Below: bearer, jwts, tokens,
settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server.auth.provider import AccessToken, TokenVerifier
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kontext_server.setting_sources import SettingError
from kontext_server.settings import Settings
from kontext_server.surface.limits import BEGIN, Limits
from kontext_server.surface.scopes import BUDGET, READ, SCOPES
from kontext_server.web import metrics, visits, webhooks
from kontext_server.web.jwts import Jwts
from kontext_server.web.key_set import KeySet
from kontext_server.web.tokens import TokensFile
from kontext_tools.clocks import Clock
from kontext_tools.guard import Guard
from kontext_tools.http import Http
from kontext_tools.redaction import Redactor

WELL_KNOWN = "/.well-known/oauth-protected-resource"
OPEN_TO_ALL = (WELL_KNOWN, "/healthz", "/readyz", "/images/", "/keys", "/uploads/", webhooks.BEGINNING)
"""A picture's address is its own proof, and so is one that takes a picture or a host's call; a form of the page for
keys brings the token itself (`key_page`)."""
NEEDS: Mapping[str, str] = {metrics.PATH: BUDGET, f"{visits.PATH}/": READ}
"""Beginnings of the paths that need one scope, however they are asked."""
OWN_DOOR = (f"{visits.PATH}/",)
"""Beginnings of the paths that have a door of their own, for who brings no token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """How people sign in.

    Attributes:
        verifier: whose a token is.
        metadata_url: where a client learns how to sign in.
        routes: what lies there.
        begins: called with whose session of the handshake era is about to begin; refuses one too many.
    """

    verifier: TokenVerifier
    metadata_url: str
    routes: Sequence[Route]
    begins: Callable[[str], None]


def is_configured(settings: Settings) -> bool:
    """Whether people sign in.

    Raises:
        SettingError: it is configured by half.
    """
    issuer, keys = settings.kontext_auth_issuer, settings.kontext_auth_jwks_url
    if issuer is not None and keys is None:
        raise SettingError("KONTEXT_AUTH_ISSUER needs KONTEXT_AUTH_JWKS_URL, where the issuer's public keys are")
    if issuer is None and (keys or settings.kontext_auth_audience) is not None:
        raise SettingError("KONTEXT_AUTH_JWKS_URL and KONTEXT_AUTH_AUDIENCE need KONTEXT_AUTH_ISSUER")
    return issuer is not None or settings.kontext_tokens_file is not None


def made(settings: Settings, base: str, path: str, clock: Clock, limits: Limits) -> SignIn:
    """Give sign-in as configured.

    Args:
        settings: already read.
        base: how others reach us, without a path.
        path: of what a token is for.
        clock: what expiry is judged by.
        limits: how often one owner may ask.

    Raises:
        SettingError: the file of tokens cannot be read, or a line of it is wrong.
    """
    resource, verifiers = base + path, list[TokenVerifier]()
    issuer, keys = settings.kontext_auth_issuer, settings.kontext_auth_jwks_url
    if settings.kontext_tokens_file is not None:
        verifiers.append(TokensFile(settings.kontext_tokens_file))
    if issuer is not None and keys is not None:
        # A guard of its own: the issuer is the operator's word, and is trusted for its keys, not for pictures.
        guard, redact = Guard(trusted=[keys]), Redactor(settings.secrets)
        key_set = KeySet(Http(guard=guard, proxy=settings.kontext_proxy, redact=redact), keys, clock)
        audience = settings.kontext_auth_audience or resource
        verifiers.append(Jwts(key_set, issuer=issuer, audience=audience, clock=clock))
    metadata: dict[str, Any] = {
        "resource": resource,
        **({} if issuer is None else {"authorization_servers": [issuer]}),
        "scopes_supported": list(SCOPES),
        "bearer_methods_supported": ["header"],
        "resource_name": "Kontext image editing",
    }

    async def told(_: Request) -> Response:
        return JSONResponse(metadata, headers={"Cache-Control": "public, max-age=3600"})

    return SignIn(
        verifier=_AnyOf(verifiers),
        metadata_url=base + WELL_KNOWN + path,
        # Clients of before RFC 9728's last word look at the root.
        begins=lambda owner: limits.take(owner, BEGIN),
        routes=[Route(WELL_KNOWN + path, told, methods=["GET"]), Route(WELL_KNOWN, told, methods=["GET"])],
    )


class _AnyOf:
    """Takes what one of several verifiers takes."""

    def __init__(self, verifiers: Sequence[TokenVerifier]) -> None:
        self._verifiers = verifiers

    async def verify_token(self, token: str) -> AccessToken | None:
        for verifier in self._verifiers:
            access = await verifier.verify_token(token)
            if access is not None:
                return access
        return None

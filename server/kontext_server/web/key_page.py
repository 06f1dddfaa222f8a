"""The page where people who sign in enter, see and remove provider keys of their own.

What this is: two addresses. `/keys/<words>` works once, for ten minutes, and takes a key; it is what a client opens
(`surface.own_keys`). `/keys` always shows what keys somebody has, removes one at once, and hands out an address of the
first kind. What it is not: where keys are kept (`kontext_tools.keyring`), or how the page looks (`key_words`). Above:
routes, http. Below: surface.own_keys, sign_in's verifier, app.

Who opens an address must be proven the same as the one who asked for it, or a stranger asks for one, sends it to
somebody else as if it came from a service they trust, and has a key entered that serves the stranger. We are a resource
server: we log nobody in and set no cookie, and the address proves nothing, for it may have been sent on. So each form
asks for the person's access token for this server, the same that their client sends, verified by the same verifier; it
must be of the owner whom the address was made for, and it must allow spending (`images:edit`). Somebody who was sent
another's address has a token of their own, which is refused before the key is looked at, kept or sent anywhere: nothing
is stored, for the one or the other. A code that the person carries back to their client would not hold: it can be asked
for by the stranger as the address was handed out. The token is used for that one check and is in no answer, no row and
no log; nothing stays behind in the browser.

A page of another site cannot post the form for a person: it has no token, and a request whose Origin is not this one is
refused. Referrer-Policy is `same-origin`, not `no-referrer`: under the latter browsers send `Origin: null` with our own
form (Fetch, section 3.2), which would be refused as well; the address leaves this origin under neither.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from mcp.server.auth.provider import TokenVerifier
from mcp.server.transport_security import RequestBodyLimitMiddleware
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from kontext_server.app import App
from kontext_server.surface.asking import owner_of_token
from kontext_server.surface.own_keys import PURPOSE, OwnKeys
from kontext_server.surface.scopes import EDIT
from kontext_server.web import key_words, plain_page
from kontext_tools.errors import InvalidArgument, KontextError

PATH = "/keys"
MAX_BODY_BYTES = 32_768
"""Of a form: a token and a key, and what names them."""
log = logging.getLogger(__name__)


class _Refused(Exception):
    """A form is not acted upon; the text says why, and the number how."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def routes(app: App, verifier: TokenVerifier) -> list[Route]:
    """Give the page's routes, with their own limit of a body.

    Args:
        app: whose keys.
        verifier: whose a token is, as at `/mcp`.
    """
    page = _Page(app, verifier)
    limit = Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES)
    served = {PATH: page.standing, f"{PATH}/{{words}}": page.once}
    return [Route(path, endpoint, methods=["GET", "POST"], middleware=[limit]) for path, endpoint in served.items()]


class _Page:
    def __init__(self, app: App, verifier: TokenVerifier) -> None:
        self._app = app
        self._verifier = verifier
        self._own_keys = OwnKeys(app)

    async def standing(self, request: Request) -> Response:
        """Serve the page that is always there."""
        if request.method != "POST":
            return _answer(key_words.page(key_words.standing_form()))
        try:
            form = await _form(request)
            owner = await self._proven(form)
            told = await self._removed(owner, form) if form.get("do") == "remove" else ""
        except _Refused as refused:
            return _answer(key_words.page(key_words.standing_form(), bad=str(refused)), refused.status)
        except KontextError as error:
            return _answer(key_words.page(key_words.standing_form(), bad=error.failure.message), 503)
        return await self._shown(owner, told)

    async def once(self, request: Request) -> Response:
        """Serve an address that works once."""
        words = request.path_params["words"]
        try:
            ticket = await self._app.tickets.seen(words, PURPOSE)
        except KontextError as error:
            return _answer(key_words.page("", bad=error.failure.message), 503)
        if ticket is None:
            return _over()
        names = tuple(self._app.keyring.offers)
        entry = key_words.entry_form(names, chosen=ticket.about)
        if request.method != "POST":
            return _answer(key_words.page(entry))
        try:
            form = await _form(request)
            if await self._proven(form) != ticket.owner:
                log.warning("a page for keys was opened by another person than the one whom its address is for")
                raise _Refused(key_words.ANOTHER, 403)
            await self._kept(ticket.owner, words, form)
        except _Refused as refused:
            return _answer(key_words.page(entry, bad=str(refused)), refused.status)
        except InvalidArgument as error:
            return _answer(key_words.page(entry, bad=f"{error.failure.message} {error.failure.fix}"), 400)
        except KontextError as error:
            return _answer(key_words.page(entry, bad=error.failure.message), 503)
        return await self._shown(ticket.owner, f"Your key for {form.get('provider', '')} is kept.")

    async def _kept(self, owner: str, words: str, form: Mapping[str, str]) -> None:
        self._app.keyring.check(form.get("provider", ""), form.get("key", ""))
        if await self._app.tickets.taken(words, PURPOSE) is None:
            raise _Refused(key_words.OVER, 404)
        await self._app.keyring.keep(owner, form.get("provider", ""), form.get("key", ""))
        self._app.engine.wake()

    async def _removed(self, owner: str, form: Mapping[str, str]) -> str:
        provider = form.get("provider", "")
        if not await self._app.keyring.drop(owner, provider):
            return "There was no such key."
        return f"Your key for {provider} is removed."

    async def _shown(self, owner: str, told: str) -> Response:
        held = await self._app.keyring.held(owner)
        address = await self._own_keys.address(owner, "")
        return _answer(key_words.page(key_words.held(held, enter_at=urlsplit(address).path), good=told))

    async def _proven(self, form: Mapping[str, str]) -> str:
        """Give whose token came with a form."""
        token = form.get("token", "").strip()
        access = await self._verifier.verify_token(token) if token else None
        if access is None:
            raise _Refused(key_words.NO_TOKEN, 401)
        if EDIT not in access.scopes:
            raise _Refused(key_words.NO_SCOPE, 403)
        return owner_of_token(access)


async def _form(request: Request) -> dict[str, str]:
    """Read a form that a page of ours posted."""
    origins, host = request.headers.getlist("origin"), request.headers.get("host", "")
    if len(origins) != 1 or urlsplit(origins[0]).netloc.lower() != host.lower():
        raise _Refused(key_words.NOT_OURS, 403)
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=10)
    except ValueError:
        fields = {}
    return {name: values[0] for name, values in fields.items()}


def _over() -> Response:
    """Answer an address that is over, was used or never was, all alike."""
    return _answer(key_words.page("", bad=key_words.OVER), 404)


def _answer(html: str, status: int = 200) -> Response:
    return HTMLResponse(html, status_code=status, headers=dict(plain_page.AROUND))

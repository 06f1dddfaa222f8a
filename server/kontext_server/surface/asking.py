"""Asking the person before something dear is sent, in both eras.

What this is: who calls, as the tools see them: told the news, asked where their client can ask, and their yes on its
way back to the studio. What it is not: whether to ask (`kontext_tools.budget`) or the words (`wording`). Above: tools,
server. Below: own_keys, wording, app, errors.

In the handshake era the question goes out on the session while the call is open (`elicitation/create`). In 2026-07-28
the call ends with the question and comes back with the answer and our own sealed state; the SDK's boundary (`server`)
binds that state to the tool, its arguments and the caller, and refuses it when it was changed or is too old. An answer
without it is none: the person is asked. Over HTTP the seal's key is that of all processes which share the secret key;
over stdio it is this process's own, so after a restart an answer to an earlier question is refused and the next call
asks anew. A state can be sent again; its nonce buys one job.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

import anyio
import mcp_types as types
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken, principal_components
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from kontext_server.app import LOCAL_OWNER
from kontext_server.surface import plan_answers, wording
from kontext_server.surface.own_keys import OwnKeys
from kontext_tools.errors import ConfirmationNeeded
from kontext_tools.questions import Question, Yes
from kontext_tools.quoting import quoted
from kontext_tools.views import Call, View

ANSWER_WITHIN_S = 600.0
"""So long a question stands, in both eras."""

CONFIRM = "confirm"
"""The question's key among the input requests, of which there is one."""

PROMPT_CHARS = 200

OWNER_CHARS = 40
"""Of the digest, in hex: 160 bits."""

GO = "go"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {GO: {"type": "boolean", "title": "Go on", "description": "Yes spends it; no sends nothing."}},
    "required": [GO],
}

T = TypeVar("T")
Work = Callable[[Call], Awaitable[types.CallToolResult]]


def whose() -> str:
    """Give whose request this is, in whose context it is called: of whoever signed in, else of the local user."""
    token = get_access_token()
    if token is None:
        return LOCAL_OWNER
    return owner_of_token(token)


def owner_of_token(token: AccessToken) -> str:
    """Give who a verified token's bearer is here."""
    _, issuer, subject = principal_components(token)
    assert issuer and subject, "no verifier lets another through"
    return owner(issuer, subject)


def owner(issuer: str, subject: str) -> str:
    """Give who an issuer's subject is here: the same in every process, and another's for any other pair.

    A digest, for it stands in the addresses of pictures, which are handed on, and a subject may be a person's name.
    """
    return hashlib.sha256(json.dumps([issuer, subject]).encode("ascii")).hexdigest()[:OWNER_CHARS]


def owner_of(_: ServerRequestContext[Any, Any]) -> str:
    """Give whose request it is, to whoever has its context at hand."""
    return whose()


class Caller:
    """Whoever made one call."""

    def __init__(
        self, ctx: ServerRequestContext[Any, Any], params: types.CallToolRequestParams, own_keys: OwnKeys
    ) -> None:
        self._ctx = ctx
        self._params = params
        self._own_keys = own_keys

    def call(self, yes: Yes | None = None) -> Call:
        """Give how this call wants to be served."""
        return Call(owner=owner_of(self._ctx), on_news=self._on_news, yes=yes)

    async def keyed(self, work: Callable[[], Awaitable[T]]) -> T | types.InputRequiredResult:
        """Do a call's work; where a key of the person's own is needed, ask for it. Raises `NotConfigured`."""
        return await self._own_keys.served(self._ctx, self._params, owner_of(self._ctx), work)

    async def served(self, work: Work) -> types.CallToolResult | types.InputRequiredResult:
        """Do a call's work; where a person must be asked first, ask, and do it at what they said yes to.

        Raises:
            ConfirmationNeeded: their client cannot ask, or they did not say yes.
            NotConfigured: a key of their own is needed, and none was entered.
        """
        return await self.keyed(lambda: self._confirmed(work))

    async def _confirmed(self, work: Work) -> types.CallToolResult | types.InputRequiredResult:
        yes = self.returned()
        while True:
            try:
                return await work(self.call(yes))
            except ConfirmationNeeded as needed:
                question = needed.question
                if question is None or not self.shows_forms:
                    raise
                if self._ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
                    return _sealed(question)
                answer = await self._answer(question)
                if answer is None:
                    raise
                yes = agreed(answer, question.yes)

    async def _on_news(self, view: View) -> None:
        # Seconds for a plan too: by the specification, each notification's number is greater than the one before.
        eta_s = view.seconds + (view.eta_s or 0)
        stands = f"{view.job.status.value} at {view.job.provider}"
        if view.job.plan is not None:
            stands = plan_answers.progress(view.job)
        await self._ctx.session.report_progress(view.seconds, eta_s, stands)

    @property
    def shows_forms(self) -> bool:
        """Whether the client declared elicitation by form; before there was another kind, an empty one meant that."""
        declared = self._ctx.session.client_capabilities
        elicitation = None if declared is None else declared.elicitation
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    def returned(self) -> Yes | None:
        """Give the yes that came back with this call, if it did, under our seal; `None` where there is no answer.

        Raises:
            ConfirmationNeeded: the answer is no.
        """
        answer = (self._params.input_responses or {}).get(CONFIRM)
        asked = _opened(self._params.request_state)
        if asked is None or not isinstance(answer, types.ElicitResult):
            return None
        return agreed(answer, asked)

    async def _answer(self, question: Question) -> types.ElicitResult | None:
        """Ask on the session; `None` where the client cannot, answers nothing that can be read, or nobody answers."""
        session = self._ctx.session
        if not session.can_send_request:
            return None
        with anyio.move_on_after(ANSWER_WITHIN_S):
            try:
                return await session.elicit_form(_words(question), SCHEMA, related_request_id=self._ctx.request_id)
            except (MCPError, ValidationError):
                return None
        return None


def _words(question: Question) -> str:
    # A model wrote the prompt: it comes last, on a line of its own, and cannot begin another.
    return f"{wording.asked(question)} Go on?\nPrompt: {quoted(question.prompt, PROMPT_CHARS)}"


def form_of(question: Question) -> types.ElicitRequest:
    """Give the question as a form that a client shows."""
    return types.ElicitRequest(params=types.ElicitRequestFormParams(message=_words(question), requested_schema=SCHEMA))


def _sealed(question: Question) -> types.InputRequiredResult:
    """Give the question as the end of this round; the boundary seals the state on its way out."""
    return types.InputRequiredResult(
        input_requests={CONFIRM: form_of(question)},
        request_state=json.dumps([question.yes.binding, question.yes.nonce, question.yes.given]),
    )


def _opened(state: str | None) -> Yes | None:
    """Read what `_sealed` wrote; the boundary lets nothing else through."""
    if state is None:
        return None
    told: Any = json.loads(state)
    if not isinstance(told, list):  # another question's
        return None
    binding, nonce, given = cast("list[str]", told)
    return Yes(binding=binding, nonce=nonce, given=given)


def agreed(answer: types.ElicitResult, asked: Yes) -> Yes:
    """Give the yes that an answer is.

    Raises:
        ConfirmationNeeded: it is anything else.
    """
    if answer.action == "accept" and (answer.content or {}).get(GO) is True:
        return asked
    raise ConfirmationNeeded(
        "Nothing was sent: the person was asked and did not say yes.",
        fix="Do not repeat it unchanged; ask the person what they want instead, such as fewer images.",
    )

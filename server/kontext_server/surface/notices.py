"""Notices: a client hears that there is a new picture, or that a job it watches has moved, in both eras.

What this is: one look at the store's journal while anybody listens, and its happenings on their way to each listener:
in 2026-07-28 on the streams of `subscriptions/listen`, in the handshake era by `resources/subscribe` and as
notifications of the session. What it is not: the journal (`kontext_tools.stores.journal`) or the resources
(`resources`). Above: server. Below: studio, terms.

The handshake era has no public list of sessions and no hook for their end. Hence its listener is the handler of
`notifications/initialized`, which does not return: it lives in the connection's task group and is cancelled with the
connection, whatever ends that; what the session watches goes with it.

Where people sign in, whoever listens is told nothing beyond their token's time: a stream ends then, a session is heard
no more unless it has shown a newer token since.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.lowlevel
import mcp_types as types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
)
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from kontext_server.app import App
from kontext_server.surface.terms import Terms
from kontext_server.surface.uris import JOBS_URI, USAGE_URI
from kontext_tools.errors import KontextError
from kontext_tools.references import Ref
from kontext_tools.stores.journal import Happening, Mark, What

LOOK_EVERY_S = 0.5
"""What another process did is told so soon, or at once where the store gave a hint. What our own engine did is told at
once: before the answer of the call that waits for it, after which many a client leaves, and those on the SDK's first
line fail of a notice that comes while they do (modelcontextprotocol/python-sdk, issue 1960)."""
LOOK_AGAIN_S = 5.0
"""After a look that the store refused."""
BACKLOG = 256
"""Notices that wait for a session which does not read; further ones are dropped: each only says `read it again`."""
MOST_WATCHED = 1000
LONGEST_URI_CHARS = 500
"""What one session may watch; none of our addresses is as long."""

Context = ServerRequestContext[App, Any]
Listener = Callable[[ServerEvent], None]
Sending = MemoryObjectSendStream[ServerEvent]
Receiving = MemoryObjectReceiveStream[ServerEvent]

log = logging.getLogger(__name__)


class Notices:
    """Tells every listener of one server what happened to its owner's jobs.

    Args:
        app: whose journal is looked at.
        whose: gives the owner in whose request it is called.
    """

    def __init__(self, app: App, whose: Callable[[], str]) -> None:
        self._app = app
        self._whose = whose
        self._listeners: dict[object, tuple[str, Listener]] = {}
        self._watched: dict[str | None, set[str]] = {}
        self._terms = Terms(app.clock)
        self._listen = ListenHandler(self)
        self._attending = 0
        self._somebody = anyio.Event()
        self._mark: Mark | None = None
        self._looking = anyio.Lock()
        self._stir = anyio.Event()
        app.engine.hearing.calls(self._stirred)
        app.engine.tells(lambda _: self._stirred())

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Look for as long as the block lasts, whenever there is a listener."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run)
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Tell a listener, from now on, what happens to the jobs of the owner whose request this is."""
        token = object()
        self._listeners[token] = (self._whose(), listener)

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    async def publish(self, event: ServerEvent) -> None:
        """Tell every listener, whoever it is."""
        await self._tell((owner, event) for owner in {owner for owner, _ in self._listeners.values()})

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    def close(self) -> None:
        """End every stream of `subscriptions/listen` as one that ends on purpose: the server stops."""
        self._listen.close()

    async def listen(
        self, ctx: Context, params: types.SubscriptionsListenRequestParams
    ) -> types.SubscriptionsListenResult:
        """Serve one stream of `subscriptions/listen`, until the client leaves, its token's time is over, or `close`.

        Raises:
            MCPError: this owner has too many of them.
        """
        with self._terms.one_stream(self._whose()), self._terms.last(object()):
            async with self._attended():
                return await self._listen(ctx, params)
        return types.SubscriptionsListenResult(_meta={SUBSCRIPTION_ID_META_KEY: ctx.request_id})

    async def prolong(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Note, as a part of the server's middleware, that a session has shown a token once more."""
        self._terms.prolong(_session(ctx))
        return await call_next(ctx)

    async def initialized(self, ctx: Context, _: types.NotificationParams) -> None:
        """Tell a session of the handshake era for as long as it lives and may hear; does not return before."""
        session = _session(ctx)
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS or session in self._watched:
            return
        watched = self._watched[session] = set()
        send, receive = anyio.create_memory_object_stream[ServerEvent](BACKLOG)

        def deliver(event: ServerEvent) -> None:
            if isinstance(event, ResourceUpdated) and event.uri not in watched:
                return
            with suppress(anyio.WouldBlock):
                send.send_nowait(event)

        try:
            with self._terms.last(session):
                await self._pump(ctx, send, receive, deliver)
        finally:
            del self._watched[session]

    async def _pump(self, ctx: Context, send: Sending, receive: Receiving, deliver: Listener) -> None:
        async with send, receive, self._attended():
            unsubscribe = self.subscribe(deliver)
            try:
                async for event in receive:
                    await _notify(ctx, event)
            finally:
                unsubscribe()

    async def watch(self, ctx: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        """Serve `resources/subscribe` of the handshake era.

        Raises:
            MCPError: the session never said that it is initialized, or it watches too much.
        """
        watched = self._watched.get(_session(ctx))
        if watched is None:
            raise MCPError(types.INVALID_REQUEST, "Send notifications/initialized first.")
        if len(watched) >= MOST_WATCHED:
            raise MCPError(types.INVALID_PARAMS, f"A session watches at most {MOST_WATCHED} resources.")
        if len(params.uri) > LONGEST_URI_CHARS:
            raise MCPError(types.INVALID_PARAMS, "There is no resource of that address.")
        async with self._attended():  # what happens from this answer on is told
            watched.add(params.uri)
        return types.EmptyResult()

    async def unwatch(self, ctx: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        """Serve `resources/unsubscribe`; what is not watched needs nothing."""
        self._watched.get(_session(ctx), set()).discard(params.uri)
        return types.EmptyResult()

    @asynccontextmanager
    async def _attended(self) -> AsyncGenerator[None]:
        """Count a listener. What happens from the block's first step on is told: the first one marks the moment."""
        self._attending += 1
        try:
            if self._attending == 1:
                self._mark = None
            async with self._looking:
                if self._mark is None:
                    await self._look()
            self._somebody.set()
            yield
        finally:
            self._attending -= 1
            if not self._attending:
                self._somebody = anyio.Event()

    async def _run(self) -> None:
        wait_s = LOOK_EVERY_S
        while True:
            await self._somebody.wait()
            await self._app.clock.wait(self._stir, wait_s)
            self._stir = anyio.Event()
            if self._attending:
                async with self._looking:
                    wait_s = LOOK_EVERY_S if await self._look() else LOOK_AGAIN_S

    def _stirred(self) -> None:
        """Look now: something was written."""
        self._stir.set()

    async def _look(self) -> bool:
        """Tell what happened since the last look; false where the store cannot be read."""
        self._terms.end_those_over()
        try:
            tidings = await self._app.studio.tidings(self._mark)
        except KontextError as error:
            log.warning("no notices: the journal cannot be read: %s", error.failure.code)
            return False
        except Exception:
            # Whatever breaks here, nobody's work may end with it.
            log.exception("no notices: the look at the journal broke")
            return False
        self._mark = tidings.mark
        if tidings.missed:
            for event in (ResourcesListChanged(), ResourceUpdated(JOBS_URI), ResourceUpdated(USAGE_URI)):
                await self.publish(event)
        # Each says only `read it again`: once is enough for all that happened since the last look.
        events = ((happening.owner, event) for happening in tidings.happenings for event in _events(happening))
        await self._tell(dict.fromkeys(events))
        return True

    async def _tell(self, events: Iterable[tuple[str, ServerEvent]]) -> None:
        for owner, event in events:
            for whose, listener in list(self._listeners.values()):
                if whose == owner:
                    listener(event)
            # Streams write meanwhile, or a burst would fill their buffers unread.
            await anyio.lowlevel.checkpoint()


async def _notify(ctx: Context, event: ServerEvent) -> None:
    if isinstance(event, ResourceUpdated):
        await ctx.session.send_resource_updated(event.uri)
    else:
        await ctx.session.send_resource_list_changed()


def _session(ctx: Context) -> str | None:
    """Give what names the connection: its session over HTTP; on stdio there is but one."""
    headers = getattr(ctx.request, "headers", None)
    return None if headers is None else headers.get("mcp-session-id")


def _events(happening: Happening) -> Iterator[ServerEvent]:
    if happening.what is What.MONEY:
        yield ResourceUpdated(USAGE_URI)
        return
    if happening.what is What.IMAGE:
        yield ResourcesListChanged()
        yield ResourceUpdated(Ref(job_id=happening.job_id, n=happening.n).uri)
    yield ResourceUpdated(f"{JOBS_URI}/{happening.job_id}")
    yield ResourceUpdated(JOBS_URI)

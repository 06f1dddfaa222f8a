"""Who listens hears nothing beyond their token's time, and has no more streams than is fair."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from mcp.client import Client
from mcp.server.auth.middleware.auth_context import auth_context_var
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.shared.exceptions import MCPError

from kontext_server.app import LOCAL_OWNER, build
from kontext_server.settings import load
from kontext_server.surface.asking import owner
from kontext_server.surface.server import make_server
from kontext_server.surface.terms import MOST_STREAMS, Terms
from kontext_tools.edits import Edit
from kontext_tools.views import Call
from support.fake_clock import START, FakeClock
from support.stdio_server import ERAS

pytestmark = pytest.mark.anyio

HANDSHAKE, MODERN = ERAS
NOW = int(START.timestamp())


@contextmanager
def signed_in(expires_at: int | None) -> Generator[None]:
    """Let what is called in the block be asked by somebody with a token."""
    access = AccessToken(
        token="",
        client_id="c",
        scopes=["images:read", "images:edit"],
        subject="ann",
        claims={"iss": "i"},
        expires_at=expires_at,
    )
    reset = auth_context_var.set(AuthenticatedUser(access))
    try:
        yield
    finally:
        auth_context_var.reset(reset)


@pytest.mark.parametrize(
    ("first", "later", "left_at_s"),
    [(60, None, [60]), (60, 90, [90]), (90, 60, [90]), (None, None, [])],
    ids=["over", "a newer token", "an older token", "a token without end"],
)
async def test_a_block_lasts_as_long_as_the_newest_token_that_was_shown(
    first: int | None, later: int | None, left_at_s: list[int]
) -> None:
    terms, left = Terms(clock := FakeClock()), list[int]()

    async def listen() -> None:
        with signed_in(None if first is None else NOW + first), terms.last("session"):
            await anyio.sleep_forever()
        left.append(int(clock.monotonic()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.lowlevel.checkpoint()
        if later is not None:
            with signed_in(NOW + later):
                terms.prolong("session")
                terms.prolong("another session")
        for _ in range(12):
            clock.advance(10)
            terms.end_those_over()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert left == left_at_s


def test_an_owner_has_so_many_streams_and_the_local_user_as_many_as_there_are() -> None:
    terms = Terms(FakeClock())
    with ExitStack() as streams:
        for _ in range(MOST_STREAMS):
            streams.enter_context(terms.one_stream("ann"))
        with pytest.raises(MCPError, match="At most 32 streams at once"):
            streams.enter_context(terms.one_stream("ann"))
        streams.enter_context(terms.one_stream("bob"))
        for _ in range(2 * MOST_STREAMS):
            streams.enter_context(terms.one_stream(LOCAL_OWNER))
    with terms.one_stream("ann"):
        pass


@pytest.mark.parametrize("era", ERAS)
async def test_nothing_is_told_to_a_listener_whose_token_is_over(tmp_path: Path, era: str) -> None:
    clock, heard, ended = FakeClock(), list[object](), anyio.Event()
    app = build(load(kontext_data_dir=tmp_path / "data", kontext_preview="none"), clock=clock)
    server, ann = make_server(app), owner("i", "ann")

    async def hear(message: object) -> None:
        heard.append(message)

    async def attend(client: Client) -> None:
        async with client.listen(resources_list_changed=True) as stream:
            async for event in stream:
                await hear(event)
        ended.set()

    async def generate(prompt: str) -> None:
        await app.studio.generate_image(Edit(prompt=prompt, aspect_ratio="1:1"), Call(owner=ann))

    async def pass_until(holds: Callable[[], bool]) -> None:
        while not holds():
            clock.advance(0.5)
            with anyio.move_on_after(0.02):  # whoever was woken works meanwhile, in threads of their own
                await anyio.sleep_forever()

    with anyio.fail_after(30), signed_in(NOW + 600):
        async with Client(server, mode=era, message_handler=hear) as client, anyio.create_task_group() as tasks:
            if era == MODERN:
                tasks.start_soon(attend, client)
            while not server.notices.listeners:
                await anyio.lowlevel.checkpoint()
            await generate("a lake")
            await pass_until(lambda: bool(heard))
            clock.advance(600)
            await pass_until(lambda: not server.notices.listeners)
            if era == MODERN:
                await ended.wait()
            heard.clear()
            await generate("another lake")
            until = clock.monotonic() + 10
            await pass_until(lambda: clock.monotonic() > until)
            tasks.cancel_scope.cancel()
    assert heard == []

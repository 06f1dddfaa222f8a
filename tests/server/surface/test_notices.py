"""A client hears of new pictures and of jobs that move: in both eras, whoever made them, of its owner's alone."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.lowlevel
import mcp_types as types
import pytest
import uvicorn
from mcp.client import Client
from mcp.client.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent, Subscription
from mcp.shared.exceptions import MCPError

from kontext_server.app import App, build
from kontext_server.settings import load
from kontext_server.surface import notices
from kontext_server.surface.notices import Notices
from kontext_server.surface.server import KontextServer, make_server
from kontext_tools.edits import Edit
from kontext_tools.errors import StorageBusy
from kontext_tools.stores.journal import Tidings
from kontext_tools.stores.sqlite import SqliteStore
from kontext_tools.views import Call
from support.fake_clock import FakeClock
from support.stdio_server import ERAS, call, connected, fields_of

pytestmark = pytest.mark.anyio

HANDSHAKE, MODERN = ERAS
WITHIN_S = 30
JOBS, USAGE = "kontext://jobs", "kontext://usage"
NEW_PICTURE = ResourcesListChanged()


@dataclass(slots=True)
class Ear:
    """What one client heard, by its era's own means."""

    heard: list[ServerEvent] = field(default_factory=list[ServerEvent])
    _news: anyio.Event = field(default_factory=anyio.Event)

    async def on_message(self, message: object) -> None:
        """Hear a session of the handshake era."""
        if isinstance(message, types.ResourceListChangedNotification):
            self.hear(NEW_PICTURE)
        elif isinstance(message, types.ResourceUpdatedNotification):
            self.hear(ResourceUpdated(message.params.uri))

    async def on_stream(self, stream: Subscription) -> None:
        """Hear a stream of 2026-07-28, to its end."""
        async for event in stream:
            self.hear(event)

    async def until(self, *events: ServerEvent, clock: FakeClock | None = None) -> None:
        """Wait until each of these was heard; where time stands still, let it pass whenever there are no news."""
        with anyio.fail_after(WITHIN_S):
            while not set(events) <= set(self.heard):
                self._news = anyio.Event()
                with anyio.move_on_after(0.02 if clock else None) as quiet:
                    await self._news.wait()
                if clock and quiet.cancelled_caught:
                    clock.advance(0.5)

    def clear(self) -> None:
        """Forget what was heard."""
        self.heard.clear()

    def hear(self, event: ServerEvent) -> None:
        self.heard.append(event)
        self._news.set()


@asynccontextmanager
async def listening(client: Client, era: str, ear: Ear, *watched: str) -> AsyncGenerator[None]:
    """Let a client hear of new pictures, and of what it watches."""
    if era == HANDSHAKE:
        for uri in watched:
            await watch(client, uri)
        yield
        return
    async with (
        client.listen(resources_list_changed=True, resource_subscriptions=watched) as stream,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ear.on_stream, stream)
        yield
        tasks.cancel_scope.cancel()


async def watch(client: Client, uri: str) -> None:
    params = types.SubscribeRequestParams(uri=uri)
    await client.session.send_request(types.SubscribeRequest(params=params), types.EmptyResult)


async def unwatch(client: Client, uri: str) -> None:
    params = types.UnsubscribeRequestParams(uri=uri)
    await client.session.send_request(types.UnsubscribeRequest(params=params), types.EmptyResult)


async def generate(client: Client, prompt: str = "a red lake") -> str:
    with anyio.fail_after(WITHIN_S):
        fields = fields_of(await call(client, "generate_image", prompt=prompt))
    assert fields["status"] == "completed"
    return fields["job_id"]


def an_app(folder: Path, clock: FakeClock | None = None) -> App:
    return build(load(kontext_data_dir=folder / "data", kontext_preview="none"), clock=clock)


@asynccontextmanager
async def client_of(server: KontextServer, era: str, ear: Ear | None = None) -> AsyncGenerator[Client]:
    handler = None if ear is None else ear.on_message
    async with Client(server, mode=era, message_handler=handler) as client:
        yield client


async def generate_at_once(client: Client) -> str:
    return fields_of(await call(client, "generate_image", prompt="a red lake", wait_seconds=0))["job_id"]


async def until_nobody_listens(server: KontextServer) -> None:
    with anyio.fail_after(WITHIN_S):
        while states_of(server):
            await anyio.lowlevel.checkpoint()


def states_of(server: KontextServer) -> int:
    """Count what a server keeps of its listeners."""
    kept = server.notices
    return len(kept._listeners) + len(kept._watched) + kept._attending  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("era", ERAS)
async def test_a_new_picture_is_announced_and_what_is_watched_told_as_changed(tmp_path: Path, era: str) -> None:
    ear = Ear()
    async with client_of(make_server(an_app(tmp_path)), era, ear) as client, listening(client, era, ear, JOBS, USAGE):
        job_id = await generate(client)
        await ear.until(NEW_PICTURE, ResourceUpdated(JOBS), ResourceUpdated(USAGE))
        listed = await client.list_resources()
    assert f"kontext://images/{job_id}/1" in {resource.uri for resource in listed.resources}
    assert set(ear.heard) == {NEW_PICTURE, ResourceUpdated(JOBS), ResourceUpdated(USAGE)}


@pytest.mark.parametrize("era", ERAS)
async def test_of_two_servers_on_one_data_folder_each_hears_of_the_others_pictures(tmp_path: Path, era: str) -> None:
    here, there = Ear(), Ear()
    async with (
        connected(tmp_path, era=era, on_message=here.on_message) as ours,
        connected(tmp_path, era=era, on_message=there.on_message) as theirs,
        listening(ours, era, here, JOBS),
        listening(theirs, era, there, JOBS),
    ):
        await generate(theirs)
        await here.until(NEW_PICTURE, ResourceUpdated(JOBS))
        await there.until(NEW_PICTURE, ResourceUpdated(JOBS))


@pytest.mark.parametrize("era", ERAS)
async def test_a_watched_job_and_its_picture_are_told_when_it_ends(tmp_path: Path, era: str) -> None:
    ear = Ear()
    app = an_app(tmp_path, clock := FakeClock())
    async with client_of(make_server(app), era, ear) as client:
        job_id = await generate_at_once(client)
        job, picture = f"kontext://jobs/{job_id}", f"kontext://images/{job_id}/1"
        async with listening(client, era, ear, job, picture):
            await ear.until(NEW_PICTURE, ResourceUpdated(job), ResourceUpdated(picture), clock=clock)
    assert set(ear.heard) == {NEW_PICTURE, ResourceUpdated(job), ResourceUpdated(picture)}


async def test_what_is_watched_no_more_or_never_was_is_not_told(tmp_path: Path) -> None:
    ear = Ear()
    async with client_of(make_server(an_app(tmp_path)), HANDSHAKE, ear) as client:
        await watch(client, JOBS)
        await watch(client, USAGE)
        await unwatch(client, JOBS)
        await unwatch(client, "kontext://never")
        await generate(client)
        # A job's news come before its money's.
        await ear.until(NEW_PICTURE, ResourceUpdated(USAGE))
    assert set(ear.heard) == {NEW_PICTURE, ResourceUpdated(USAGE)}


async def test_both_eras_say_that_resources_change(tmp_path: Path) -> None:
    server = make_server(an_app(tmp_path))
    async with client_of(server, HANDSHAKE) as client:
        by_handshake = client.server_capabilities
    async with client_of(server, "auto") as client:
        assert client.protocol_version == MODERN
        modern = client.server_capabilities
    assert by_handshake.resources == server.create_initialization_options().capabilities.resources
    changing = types.ResourcesCapability(subscribe=True, list_changed=True)
    assert (by_handshake.resources, modern.resources) == (changing, changing)


@pytest.mark.parametrize("era", ERAS)
async def test_a_connection_that_ends_leaves_nothing_behind(tmp_path: Path, era: str) -> None:
    server = make_server(an_app(tmp_path))
    for _ in range(3):
        ear = Ear()
        async with client_of(server, era, ear) as client, listening(client, era, ear, JOBS):
            assert states_of(server) == (3 if era == HANDSHAKE else 2)
        assert states_of(server) == 0


async def test_a_stream_that_ends_leaves_nothing_behind_while_its_connection_goes_on(tmp_path: Path) -> None:
    server, ear = make_server(an_app(tmp_path)), Ear()
    async with client_of(server, MODERN, ear) as client:
        async with listening(client, MODERN, ear, JOBS):
            assert states_of(server) == 2
        await client.list_tools()
        await until_nobody_listens(server)


async def test_a_second_word_that_the_session_is_initialized_announces_nothing_twice(tmp_path: Path) -> None:
    ear = Ear()
    async with client_of(make_server(an_app(tmp_path)), HANDSHAKE, ear) as client:
        await client.session.send_notification(types.InitializedNotification())
        await watch(client, USAGE)
        await generate(client)
        await ear.until(NEW_PICTURE, ResourceUpdated(USAGE))
        assert ear.heard.count(NEW_PICTURE) == 1
        ear.clear()
        await generate(client, "a blue lake")
        await ear.until(NEW_PICTURE, ResourceUpdated(USAGE))
    assert ear.heard.count(NEW_PICTURE) == 1


async def test_an_address_longer_than_any_of_ours_is_not_watched(tmp_path: Path) -> None:
    async with client_of(make_server(an_app(tmp_path)), HANDSHAKE) as client:
        with pytest.raises(MCPError, match="There is no resource"):
            await watch(client, "kontext://jobs/" + "x" * 500)


async def test_a_session_watches_so_much_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "MOST_WATCHED", 2)
    async with client_of(make_server(an_app(tmp_path)), HANDSHAKE) as client:
        await watch(client, JOBS)
        await watch(client, USAGE)
        with pytest.raises(MCPError, match="at most 2 resources"):
            await watch(client, "kontext://jobs/red-car-4k7q")


async def test_over_http_each_session_hears_what_it_watches_and_its_end_leaves_nothing_behind(tmp_path: Path) -> None:
    server, here, there = make_server(an_app(tmp_path)), Ear(), Ear()
    async with over_http(server) as address:
        async with (
            Client(address, mode=HANDSHAKE, message_handler=here.on_message) as ours,
            Client(address, mode=HANDSHAKE, message_handler=there.on_message) as theirs,
        ):
            await watch(ours, JOBS)
            await watch(theirs, USAGE)
            await generate(ours)
            await here.until(NEW_PICTURE, ResourceUpdated(JOBS))
            await there.until(NEW_PICTURE, ResourceUpdated(USAGE))
        await until_nobody_listens(server)
    assert set(here.heard) == {NEW_PICTURE, ResourceUpdated(JOBS)}
    assert set(there.heard) == {NEW_PICTURE, ResourceUpdated(USAGE)}


@asynccontextmanager
async def over_http(server: KontextServer) -> AsyncGenerator[str]:
    """Serve on loopback; give the address."""
    config = uvicorn.Config(server.streamable_http_app(), port=0, log_level="warning", lifespan="on")
    web = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(web.serve, [listener])
            with anyio.fail_after(WITHIN_S):
                while not web.started:
                    await anyio.lowlevel.checkpoint()
            yield f"http://127.0.0.1:{port}/mcp"
            web.should_exit = True


async def test_nobody_hears_of_anothers_jobs(tmp_path: Path) -> None:
    app, asking, ann, bob = an_app(tmp_path), "ann", Ear(), list[ServerEvent]()
    kept = Notices(app, lambda: asking)
    kept.subscribe(ann.hear)
    asking = "bob"
    kept.subscribe(bob.append)
    async with app.running(), kept.running(), kept._attended():  # pyright: ignore[reportPrivateUsage]  # as listeners do
        await app.studio.generate_image(Edit(prompt="a lake", aspect_ratio="1:1"), Call(owner="ann"))
        await ann.until(NEW_PICTURE)
    assert bob == []
    await kept.publish(ResourceUpdated(USAGE))
    assert bob == ann.heard[-1:] == [ResourceUpdated(USAGE)]


async def test_nothing_is_looked_at_while_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, tidings = list[int | None](), SqliteStore.tidings

    async def counted(store: SqliteStore, since: int | None) -> Tidings:
        looks.append(since)
        return await tidings(store, since)

    monkeypatch.setattr(SqliteStore, "tidings", counted)
    server, ear = make_server(an_app(tmp_path, clock := FakeClock())), Ear()

    async def let_time_pass() -> int:
        for _ in range(10):
            clock.advance(1)
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        return len(looks)

    async with client_of(server, MODERN, ear) as client:
        assert await let_time_pass() == 0
        async with listening(client, MODERN, ear):
            await generate_at_once(client)
            await ear.until(NEW_PICTURE, clock=clock)
        await until_nobody_listens(server)
        assert await let_time_pass() == await let_time_pass() > 1


@pytest.mark.parametrize("error", [StorageBusy("It is held.", fix="Wait."), RuntimeError("a bug")], ids=["busy", "bug"])
async def test_a_journal_that_cannot_be_read_for_a_while_is_read_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tidings, refused = SqliteStore.tidings, list[int | None]()
    ear = Ear()

    async def busy_once(store: SqliteStore, since: int | None) -> Tidings:
        if len(refused) < 2:
            refused.append(since)
            raise error
        return await tidings(store, since)

    async with client_of(make_server(an_app(tmp_path, clock := FakeClock())), HANDSHAKE, ear) as client:
        await watch(client, JOBS)
        monkeypatch.setattr(SqliteStore, "tidings", busy_once)
        await generate_at_once(client)
        await ear.until(NEW_PICTURE, ResourceUpdated(JOBS), clock=clock)
    assert len(refused) == 2 and refused[0] == refused[1] is not None


async def test_whoever_missed_something_is_told_that_everything_may_have_changed(tmp_path: Path) -> None:
    app, ear = an_app(tmp_path, clock := FakeClock()), Ear()
    async with client_of(make_server(app), HANDSHAKE, ear) as client:
        await watch(client, USAGE)
        await client.list_tools()
        with closing(sqlite3.connect(tmp_path / "data" / "kontext.db")) as db, db:
            row = ("somebody", "red-car-4k7q", "job", 0)
            db.executemany("INSERT INTO journal (owner, job_id, what, n) VALUES (?, ?, ?, ?)", [row] * 2000)
        await ear.until(NEW_PICTURE, ResourceUpdated(USAGE), clock=clock)


async def test_a_server_that_stops_ends_its_streams_as_ones_that_end_on_purpose(tmp_path: Path) -> None:
    server, ear = make_server(an_app(tmp_path)), Ear()
    async with client_of(server, MODERN, ear) as client, client.listen(resources_list_changed=True) as stream:
        server.notices.close()
        with anyio.fail_after(WITHIN_S):
            await ear.on_stream(stream)
    assert ear.heard == []

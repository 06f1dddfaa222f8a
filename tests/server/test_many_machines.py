"""Servers on machines of their own, each with its data folder, and one PostgreSQL database: any serves any job."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from kontext_server.app import LOCAL_OWNER, App, build
from kontext_server.settings import load
from kontext_server.surface import notices
from kontext_server.surface.server import make_server
from kontext_tools import studio
from kontext_tools.edits import Edit
from kontext_tools.errors import StorageBusy
from kontext_tools.jobs import JobStatus
from kontext_tools.stores.base import Claim
from kontext_tools.views import Call, View
from support.postgres import Server
from support.stdio_server import ERAS, call, fields_of

pytestmark = pytest.mark.anyio

WITHIN_S = 30
HANDSHAKE = ERAS[0]


@pytest.fixture
def database(postgres: Server) -> str:
    return postgres.url(postgres.new_schema())


def a_machine(folder: Path, database: str) -> App:
    return build(load(kontext_data_dir=folder, kontext_database_url=database, kontext_preview="none"))


async def asked(app: App, prompt: str, *, wait_s: float = 0) -> View:
    view = await app.studio.generate_image(
        Edit(prompt=prompt, aspect_ratio="1:1"), Call(owner=LOCAL_OWNER, wait_s=wait_s)
    )
    assert isinstance(view, View)
    return view


async def test_a_job_that_one_machine_records_is_driven_by_another_and_its_end_heard_at_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studio, "LOOK_AGAIN_S", 3600.0)
    here, there = a_machine(tmp_path / "here", database), a_machine(tmp_path / "there", database)
    ended: list[str] = []
    with anyio.fail_after(WITHIN_S):
        async with here.reading(), anyio.create_task_group() as tasks:
            tasks.start_soon(here.engine.hearing.run)  # it hears, and drives nothing
            async with there.running():
                view = await asked(here, "a red lake", wait_s=WITHIN_S)
                ended.append(view.job.status)
            tasks.cancel_scope.cancel()
    assert ended == [JobStatus.COMPLETED]


@asynccontextmanager
async def session(app: App, news: anyio.Event) -> AsyncGenerator[Client]:
    async def hear(message: object) -> None:
        if isinstance(message, types.ResourceListChangedNotification):
            news.set()

    async with Client(make_server(app), mode=HANDSHAKE, message_handler=hear) as client:
        yield client


async def test_a_picture_that_one_machine_made_is_announced_by_another_before_it_would_look(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "LOOK_EVERY_S", 3600.0)
    news, never = anyio.Event(), anyio.Event()
    here, there = a_machine(tmp_path / "here", database), a_machine(tmp_path / "there", database)

    async def nothing() -> list[Claim]:
        return []

    # Its own writes give it no hint: were it the one that drives the job, it would hear of it at its next look.
    monkeypatch.setattr(here.engine, "_claim", nothing)
    with anyio.fail_after(WITHIN_S):
        async with session(here, news) as ours, session(there, never) as theirs:
            made = fields_of(await call(theirs, "generate_image", prompt="a red lake"))
            await news.wait()
            told = fields_of(await call(ours, "get_status", job_id=made["job_id"]))
    assert (made["status"], told["status"]) == ("completed", "completed")


async def test_a_server_is_ready_while_its_database_answers_and_not_while_it_is_gone(
    tmp_path: Path, postgres: Server, database: str
) -> None:
    app = a_machine(tmp_path, database)
    async with app.reading():
        await app.check()
        await anyio.to_thread.run_sync(postgres.stop)
        try:
            with pytest.raises(StorageBusy):
                await app.check()
        finally:
            await anyio.to_thread.run_sync(postgres.start)
        await app.check()

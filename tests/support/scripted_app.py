"""A whole app whose provider does what a test says, on a clock that a test moves."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from kontext_server.app import App
from kontext_server.settings import load
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.http import Http
from kontext_tools.inputs import Inputs
from kontext_tools.keyring import Keyring
from kontext_tools.sealing import Seal
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.tasks import Tasks
from kontext_tools.tickets import Tickets
from support.scripted import Scripted
from support.workshop import Workshop, workshop


@asynccontextmanager
async def scripted_app(folder: Path, provider: Scripted) -> AsyncGenerator[tuple[App, Workshop]]:
    """Give an app over one scripted provider; the server's own lifespan starts it."""
    async with workshop(folder, provider, running=False) as shop:
        http, blobs = Http(), FileBlobs(folder)
        shelf = Shelf(blobs)
        inputs = Inputs(shop.store, blobs, Sources(http, roots=[]), shelf)
        yield (
            App(
                settings=load(kontext_data_dir=folder, kontext_preview="none"),
                studio=shop.studio,
                keyring=Keyring(shop.store, Seal(lambda: bytes(32)), lambda _, __: None, (), shop.clock),
                tickets=Tickets(shop.store, shop.clock),
                tasks=Tasks(shop.store, inputs, shelf, shop.clock),
                engine=shop.engine,
                planner=shop.planner,
                clock=shop.clock,
                path_of=blobs.path,
                places=lambda _, __, key: {} if (path := blobs.path(key)) is None else {"path": str(path)},
                _store=shop.store,
                _blobs=blobs,
                _http=http,
            ),
            shop,
        )

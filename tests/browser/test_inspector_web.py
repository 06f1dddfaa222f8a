"""The studio in the MCP inspector's web client: a host that no one here wrote opens it, and it shows and follows."""

from __future__ import annotations

import base64
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from kontext_server.simulator.serve import running
from support.http_server import connected, served
from support.inspector_web import InspectorWeb, inspector_web, opened_app
from support.stdio_server import PHOTOS, call, fields_of
from support.studio_view import shows

pytestmark = [pytest.mark.anyio, pytest.mark.node]

CAT = "data:image/png;base64," + base64.b64encode((PHOTOS / "chelsea.png").read_bytes()).decode()


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, inspector_program: list[str]) -> Generator[InspectorWeb]:
    """The inspector's web client."""
    with inspector_web(inspector_program, tmp_path_factory.mktemp("inspector")) as started:
        yield started


async def test_the_app_opens_and_shows_a_finished_edit_before_and_after(
    browser: Browser, web: InspectorWeb, tmp_path: Path
) -> None:
    with served(tmp_path) as server:
        async with connected(server) as client:
            source = fields_of(await call(client, "edit_image", image=CAT, prompt="Make it a watercolour"))
        asked = {"image": source["images"][0]["ref"], "prompt": "Make it warmer"}
        async with opened_app(browser, web, server.url, "edit_image", asked) as (_, view):
            await view.wait_for_selector(".line button >> nth=2")
            ref = (await view.inner_text(".facts")).partition(" ")[0]
            await shows(view, ref)
            assert await view.inner_text(".viewer .prompt") == "Make it warmer"
            assert await view.locator("figcaption").all_inner_texts() == ["After", "Before"]
            await view.get_by_role("button", name="All pictures").click()
            await view.wait_for_selector("text=2 pictures.")


async def test_the_app_follows_a_running_edit_and_cancels_it(
    browser: Browser, web: InspectorWeb, tmp_path: Path
) -> None:
    asked = {"prompt": "A red car on a street", "wait_seconds": 0}
    with running(job_seconds=600) as simulator, served(tmp_path, simulator.settings) as server:
        async with opened_app(browser, web, server.url, "generate_image", asked) as (_, view):
            await view.get_by_role("button", name="Cancel").click()
            await view.wait_for_selector("text=Cancelled: ")
        assert [entry.method for entry in simulator.state.journal.entries()].count("DELETE") == 1


async def test_the_app_shows_the_picture_of_an_edit_that_ran_when_it_opened(
    browser: Browser, web: InspectorWeb, tmp_path: Path
) -> None:
    asked = {"prompt": "A red car on a street", "wait_seconds": 0}
    with running(job_seconds=1.0) as simulator, served(tmp_path, simulator.settings) as server:
        async with opened_app(browser, web, server.url, "generate_image", asked) as (_, view):
            await view.wait_for_selector(".viewer .stage canvas")
            assert await view.inner_text(".viewer .prompt") == "A red car on a street"

"""The page that takes a picture in a real browser: a person chooses a file, and it fits a phone."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser

from support.http_server import connected, served
from support.stdio_server import ERAS, PHOTOS, call, fields_of

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_person_uploads_the_picture_that_their_call_named(tmp_path: Path, browser: Browser) -> None:
    said: list[str] = []
    context = await browser.new_context(viewport={"width": 360, "height": 800})
    page = await context.new_page()
    page.on("console", lambda message: said.append(message.text))

    async def fits() -> bool:
        return await page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    with anyio.fail_after(60), served(tmp_path) as server:
        async with connected(server, era=ERAS[1]) as client:
            refused = fields_of(await call(client, "edit_image", image="~/cat.png", prompt="Make it warmer"))["error"]
            address = re.findall(r"image='([^']+)'", refused["fix"])[0]
            await page.goto(address)
            assert await fits()
            await page.get_by_label("A picture").set_input_files(PHOTOS / "chelsea.png")
            await page.get_by_role("button", name="Upload it").click()
            assert await page.get_by_role("status").inner_text() == "451 x 300 pixels are here."
            assert address in await page.inner_text("main") and await fits()
            made = fields_of(await call(client, "edit_image", image=address, prompt="Make it warmer", wait_seconds=50))
    await context.close()
    assert (made["status"], said) == ("completed", [])

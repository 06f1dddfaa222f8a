"""The gallery of whoever signed in, in real Chromium: what its cookie, its form and its policy allow."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Browser

from support.hosted import hosting
from support.stdio_server import call, fields_of

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


async def test_a_link_opened_from_another_page_leads_to_the_pictures_and_a_lost_visit_says_what_to_do(
    browser: Browser, tmp_path: Path
) -> None:
    with hosting(tmp_path) as hosted:
        async with hosted.client("paul") as client:
            await call(client, "generate_image", prompt="a lake of Paul's", wait_seconds=50)
            link: str = fields_of(await call(client, "find_images"))["gallery_url"]
        page = await browser.new_page()
        try:
            # As from a chat: another site's page, whose navigation carries no strict cookie.
            await page.set_content(f'<a href="{link}">all</a>')
            await page.click("a")
            await page.click("button")
            await page.wait_for_url(f"{hosted.server.base}/gallery/")
            await page.wait_for_selector("text=a lake of Paul's")
            (cookie,) = await page.context.cookies()
            assert (cookie.get("httpOnly"), cookie.get("sameSite"), cookie.get("path")) == (True, "Strict", "/gallery")
            await page.goto(link)
            await page.click("button")
            await page.wait_for_selector("text=This gallery is closed here")
        finally:
            await page.close()

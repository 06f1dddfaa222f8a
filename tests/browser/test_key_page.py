"""The page for keys in a real browser: its form passes our own check of origins, and it fits a phone."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from kontext_server.simulator.serve import running
from support.http_server import served
from support.issuer import issuing
from support.own_keys import OPERATORS, Town, key_of

pytestmark = [pytest.mark.anyio, pytest.mark.browser]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Generator[Town]:
    with running() as simulator, issuing() as issuer:
        settings = {"CORE_TODAY_API_KEY": OPERATORS, **issuer.settings}
        with served(tmp_path_factory.mktemp("town"), settings) as server:
            yield Town(server=server, issuer=issuer, simulator=simulator)


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
async def test_a_person_enters_and_removes_a_key(
    town: Town, browser: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    said: list[str] = []
    subject, key = f"ann-{scheme}", key_of("ann")
    context = await browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=False,
    )
    page = await context.new_page()
    page.on("console", lambda message: said.append(message.text))

    async def looks_well(name: str) -> None:
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert await page.evaluate("getComputedStyle(document.querySelector('main')).borderRadius") == "12px"
        await page.screenshot(path=tmp_path / f"{name}-{scheme}-{width}.png", full_page=True)

    await page.goto(f"{town.server.base}/keys")
    await looks_well("standing")
    await page.get_by_label("Your access token").fill(town.issuer.token(subject))
    await page.get_by_role("button", name="Show my keys").click()
    await page.get_by_role("link", name="Enter a key").click()
    await looks_well("entry")
    await page.get_by_label("Your access token").fill(town.issuer.token(subject))
    await page.get_by_label("Provider").select_option("replicate")
    await page.get_by_label("Its key").fill(key)
    await page.get_by_role("button", name="Keep this key").click()
    assert await page.get_by_role("status").inner_text() == "Your key for replicate is kept."
    assert f"ends in {key[-4:]}" in await page.inner_text("main")
    await looks_well("held")
    await page.get_by_label("Your access token").fill(town.issuer.token(subject))
    await page.get_by_role("button", name="Remove it now").click()
    assert await page.get_by_role("status").inner_text() == "Your key for replicate is removed."
    assert (await context.cookies(), said) == ([], [])
    await context.close()

"""What everybody must be able to use: names, contrast, order, phone width, no areas that scroll by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from playwright.async_api import Browser

from support.studio_host import EVERYTHING, STRICT_CSP, Host, host_of
from support.studio_view import edited, press

pytestmark = pytest.mark.anyio

STUDIO_MD = Path(__file__).parents[2] / "docs" / "studio.md"

PLAN_UNDER_WAY: dict[str, Any] = {
    "job_id": "a-plan-4k7q",
    "status": "processing",
    "images": [],
    "steps": [{"id": "base", "status": "completed", "images": []}, {"id": "night", "status": "pending", "images": []}],
    "cost": {"amount": "0.08", "unit": "usd", "basis": "list_price"},
}


async def _result(host: Host) -> None:
    first = await edited(host)
    await edited(host, "Make it warmer", image=first)
    await host.frame.get_by_role("button", name="Tree").click()
    await host.frame.get_by_role("button", name="Details").click()
    await host.frame.get_by_role("button", name="Try again").click()
    await host.frame.get_by_role("button", name="Make it: free").wait_for()


async def _side_by_side(host: Host) -> None:
    await edited(host)
    await host.frame.get_by_role("button", name="Side by side").click()


async def _running(host: Host) -> None:
    await host.tell("tool-result", {"content": [], "structuredContent": PLAN_UNDER_WAY})
    await host.frame.wait_for_selector(".steps li")


async def _all_pictures(host: Host) -> None:
    await edited(host)
    await host.frame.get_by_role("button", name="All pictures").click()
    await host.frame.wait_for_selector(".grid canvas[width='256']")


async def _keys(host: Host) -> None:
    await edited(host)
    await press(host.frame, "?")
    await host.frame.get_by_role("dialog").wait_for()


async def _refused(host: Host) -> None:
    await host.call("edit_image", {"image": "/nowhere.png", "prompt": "Make it a sketch"})
    await host.frame.get_by_role("region", name="Answer").wait_for()


SCREENS = {
    "result": _result,
    "side by side": _side_by_side,
    "running": _running,
    "all pictures": _all_pictures,
    "keys": _keys,
    "refused": _refused,
}


@pytest.mark.parametrize("screen", SCREENS)
async def test_the_accessibility_checker_finds_nothing_in_light_and_in_dark(
    browser: Browser, client: Client, axe: str, screen: str
) -> None:
    async with host_of(browser, client) as host:
        await host.open(csp=STRICT_CSP)  # each screen is seen under this policy here, under the default one below
        await SCREENS[screen](host)
        await host.frame.evaluate(axe)
        for theme in ("light", "dark"):
            await host.page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
            await host.tell("host-context-changed", {"theme": theme})
            await host.frame.wait_for_function(
                "theme => getComputedStyle(document.documentElement).colorScheme === theme", arg=theme
            )
            found: list[dict[str, Any]] = await host.frame.evaluate("axe.run().then(told => told.violations)")
            told = [(one["impact"], one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
            assert told == []


@pytest.mark.parametrize("screen", SCREENS)
async def test_nothing_is_cut_off_or_small_or_scrolls_by_itself_at_any_width(
    browser: Browser, client: Client, screen: str
) -> None:
    async with host_of(browser, client, offers=EVERYTHING) as host:
        await host.open()
        await SCREENS[screen](host)
        for width in (320, 360, 1280):
            await host.page.set_viewport_size({"width": width, "height": 1200})
            await host.frame.wait_for_function("width => innerWidth === width", arg=width)
            found = [await host.frame.evaluate(wrong) for wrong in (_TOO_WIDE, _SCROLLS, _SMALL)]
            assert found == [[], [], []]


async def test_the_keys_are_those_that_the_documents_tell(browser: Browser, client: Client) -> None:
    table = STUDIO_MD.read_text(encoding="utf-8").partition("| key | what |\n|---|---|\n")[2].partition("\n\n")[0]
    async with host_of(browser, client) as host:
        await host.open()
        await _keys(host)
        rows = await host.frame.eval_on_selector_all(
            "dialog dl div", "all => all.map(e => `| ${e.children[0].innerText} | ${e.children[1].innerText} |`)"
        )
    assert "\n".join(rows) == table


async def test_every_control_is_reached_by_tab_and_shows_its_focus(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.open()
        await edited(host)
        await host.frame.locator(".viewer .prompt").click()
        reached: list[str] = []
        for _ in range(12):
            await host.page.keyboard.press("Tab")
            told = await host.frame.evaluate(
                "(() => { const e = document.activeElement; const ring = e.matches('input')"
                " ? getComputedStyle(document.querySelector('.stage')) : getComputedStyle(e);"
                " return [e.dataset.key ?? e.tagName, ring.outlineStyle, parseFloat(ring.outlineWidth) >= 2] })()"
            )
            if told[0] == "BODY":
                break
            assert told[1:] == ["solid", True], told
            reached.append(str(told[0]).partition("-")[0])
        assert reached == [
            "slider", "mode", "mode", "mode", "edit", "undo", "again", "download", "copy", "details", "browse", "line",
        ]  # fmt: skip


async def test_nothing_moves_for_who_asked_for_less_motion(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.page.emulate_media(reduced_motion="reduce")
        await host.open()
        await _result(host)
        await host.tell("tool-result", {"content": [], "structuredContent": {**PLAN_UNDER_WAY, "steps": None}})
        await host.frame.get_by_role("region", name="Under way").wait_for()
        assert await host.frame.locator("progress").is_hidden()
        assert await host.frame.evaluate("() => document.getAnimations().length") == 0


async def test_what_is_chosen_is_seen_in_forced_colours(browser: Browser, client: Client) -> None:
    async with host_of(browser, client) as host:
        await host.page.emulate_media(forced_colors="active")
        await host.open()
        await _result(host)
        chosen = await host.frame.eval_on_selector_all(
            ".line [aria-current=true], .modes [aria-pressed=true], .actions [aria-expanded=true], "
            "[aria-selected=true]",
            "all => all.map(e => getComputedStyle(e).outlineStyle)",
        )
        edges = await host.frame.eval_on_selector_all(
            ".actions button", "all => all.map(e => getComputedStyle(e).borderTopWidth)"
        )
        assert chosen == ["solid"] * 4
        assert set(edges) == {"1px"}


_TOO_WIDE = """[...document.querySelectorAll('main *:not(.unseen):not(input)')]
    .filter(e => e.getClientRects().length && e.getBoundingClientRect().right > innerWidth + 1)
    .map(e => e.outerHTML.slice(0, 100))"""
_SCROLLS = """[...document.querySelectorAll('main *:not(.unseen)')]
    .filter(e => /auto|scroll/.test(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1)
    .map(e => e.outerHTML.slice(0, 100))"""
_SMALL = """[...document.querySelectorAll('button, select, input')]
    .filter(e => e.getClientRects().length)
    .filter(e => e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24)
    .map(e => e.outerHTML.slice(0, 100))"""

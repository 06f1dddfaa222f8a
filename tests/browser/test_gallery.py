"""The pages without a host, in real Chromium: the gallery over very many images, an exported file, the demo's page."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route

from support.forked import KONTEXT, Popen, run
from support.many_images import fill
from support.stdio_server import PHOTOS, environment
from support.studio_view import shows

pytestmark = pytest.mark.anyio

IMAGES, PICTURES = 10_000, 60


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand past images."""
    folder = tmp_path_factory.mktemp("many")
    fill(folder / "data", IMAGES, pictures=PICTURES)
    return folder


@contextmanager
def gallery(folder: Path) -> Generator[tuple[str, subprocess.Popen[str]]]:
    """Run `kontext gallery`; give the address that opens it."""
    command = [*KONTEXT, "gallery", "--no-open"]
    with Popen(
        command, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.terminate()
            process.wait(10)


@asynccontextmanager
async def page_of(browser: Browser, *, but: str = "") -> AsyncGenerator[Page]:
    """Give a page; at its end no error may stand in its console, but those of a kind that is looked for."""
    page = await browser.new_page(viewport={"width": 1280, "height": 900})
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    try:
        yield page
        assert [text for text in told if not but or but not in text] == []
    finally:
        await page.close()


async def test_ten_thousand_images_are_paged_through_as_one_scrolls(browser: Browser, many: Path) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser) as page:
            await page.goto(address)
            await page.wait_for_url("**/")
            cards = page.locator(".grid button")
            await page.wait_for_selector(".grid canvas[width='256']")
            assert await cards.count() < 200
            while await cards.count() < 400:
                before = await cards.count()
                await page.mouse.wheel(0, 20_000)
                await page.wait_for_function("n => document.querySelectorAll('.grid button').length > n", arg=before)
            held = await page.locator(".grid canvas[width='256']").count()
            assert held < 200  # what is far from the screen holds no memory
            assert "or more pictures" in await page.inner_text(".gallery [role=status]")


async def test_a_thumbnail_is_made_once_and_kept(browser: Browser, many: Path) -> None:
    async def seen() -> None:
        with gallery(many) as (address, _):
            async with page_of(browser) as page:
                await page.goto(address)
                await page.wait_for_selector(".grid canvas[width='256']")
                await page.wait_for_load_state("networkidle")

    await seen()
    kept = {file.name: file.stat().st_mtime_ns for file in (many / "data" / "thumbs").iterdir()}
    await seen()
    again = {file.name: file.stat().st_mtime_ns for file in (many / "data" / "thumbs").iterdir()}
    assert kept
    assert {name: again[name] for name in kept} == kept


async def test_a_picture_is_opened_and_left_by_the_browsers_own_way_back(browser: Browser, many: Path) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser) as page:
            await page.goto(address)
            await page.get_by_role("searchbox").fill("number 9998")
            await page.wait_for_selector("text=1 picture.")
            await page.locator(".grid button").press("Enter")
            await shows(page.main_frame, "car-009998/1")
            assert page.url.endswith("#car-009998/1")
            assert await page.get_by_role("button", name="Try again").count() == 0
            await page.go_back()
            assert await page.get_by_role("searchbox").input_value() == "number 9998"
            await page.go_forward()
            await shows(page.main_frame, "car-009998/1")


async def test_the_list_goes_on_where_the_window_is_taller_than_a_page_of_it_and_after_a_failure(
    browser: Browser, many: Path
) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser, but="503") as page:
            await page.set_viewport_size({"width": 1400, "height": 4500})
            failing = True

            async def busy(route: Route) -> None:
                if failing and "cursor" in route.request.url:
                    await route.fulfill(status=503, content_type="application/json", body='{"error": "It is busy."}')
                else:
                    await route.continue_()

            await page.route("**/read?*", busy)
            await page.goto(address)
            await page.wait_for_selector("text=It is busy.")
            failing = False
            await page.get_by_role("button", name="Show more").click()
            await page.wait_for_function("() => document.querySelectorAll('.grid button').length > 96")


async def test_the_tree_is_drawn_under_the_gallerys_own_policy(browser: Browser, tmp_path: Path) -> None:
    first = _kontext(tmp_path, "edit", str(PHOTOS / "chelsea.png"), "Make it a sketch", "--json")
    ref = first.partition('"ref": "')[2].partition('"')[0]
    _kontext(tmp_path, "edit", ref, "Make it warmer")
    with gallery(tmp_path) as (address, _):
        async with page_of(browser) as page:
            await page.goto(f"{address}")
            await page.locator(".grid button").nth(1).click()
            await shows(page.main_frame, ref)
            await page.get_by_role("button", name="Tree").click()
            items = page.get_by_role("treeitem")
            await items.nth(2).wait_for()
            margins = await items.evaluate_all("all => all.map(e => getComputedStyle(e).marginLeft)")
            assert margins == ["0px", "20px", "40px"]


async def test_an_address_that_names_nothing_says_so(browser: Browser, many: Path) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser, but="404") as page:
            await page.goto(address)
            await page.wait_for_url("**/")
            await page.goto(f"{page.url}#%")
            await page.wait_for_selector(".viewer .note:not([hidden])")


async def test_filters_narrow_the_list_and_are_told(browser: Browser, many: Path) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser) as page:
            await page.goto(address)
            await page.get_by_label("Made by").select_option("bfl")
            await page.wait_for_function(
                "() => [...document.querySelectorAll('.grid button')].every(e => e.textContent.includes('bfl'))"
                " && document.querySelector('.grid button')"
            )
            await page.get_by_label("Made when").select_option("today")
            await page.get_by_role("searchbox").fill("nothing has these words")
            await page.wait_for_selector("text=No picture found.")


async def test_the_accessibility_checker_finds_nothing_in_the_gallery(browser: Browser, many: Path, axe: str) -> None:
    with gallery(many) as (address, _):
        async with page_of(browser) as page:
            await page.goto(address)
            await page.wait_for_selector(".grid canvas[width='256']")
            await page.evaluate(axe)
            found = await page.evaluate("axe.run().then(told => told.violations.map(v => [v.impact, v.id]))")
            assert found == []


async def test_a_gallery_that_was_ended_says_so_and_without_its_token_nobody_comes_in(
    browser: Browser, many: Path
) -> None:
    with gallery(many) as (address, process):
        async with page_of(browser, but="ERR_CONNECTION_REFUSED") as page:
            await page.goto(address)
            await page.wait_for_selector(".grid button")
            async with page_of(browser, but="401") as other:
                answer = await other.goto(page.url)
                assert answer is not None
                assert answer.status == 401
                assert "kontext gallery" in await other.inner_text("body")
            process.terminate()
            process.wait(10)
            await page.get_by_role("searchbox").fill("car")
            await page.wait_for_selector("text=The gallery was ended. Start it again: kontext gallery")


async def test_an_exported_job_is_one_file_that_compares_without_any_network(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    made = _kontext(tmp_path, "edit", str(PHOTOS / "chelsea.png"), "Make it a watercolour", "--json")
    job = made.partition('"job_id": "')[2].partition('"')[0]
    _kontext(tmp_path, "export", job, "--html", str(tmp_path / "one.html"))
    await _compares(browser, tmp_path / "one.html", f"{job}/1", axe)


async def test_the_demos_page_shows_three_edits_and_walks_their_line(
    browser: Browser, tmp_path: Path, axe: str
) -> None:
    _kontext(tmp_path, "demo", "--output", str(tmp_path / "demo"))
    page_file = tmp_path / "demo" / "demo.html"
    async with page_of(browser) as page:
        await page.goto(page_file.as_uri())
        await page.wait_for_selector(".line button")
        assert await page.locator(".line button").count() == 4
        assert await page.inner_text("h1") == "Three edits of one photograph"
        assert "No model was asked" in await page.inner_text("main")
        last = await page.inner_text(".viewer .prompt")
        await page.locator(".line button").nth(1).click()
        await page.wait_for_function("last => document.querySelector('.viewer .prompt').textContent !== last", arg=last)
        assert await page.inner_text(".viewer .prompt") == "Make it a watercolour painting"
        await page.evaluate(axe)
        assert await page.evaluate("axe.run().then(told => told.violations.map(v => [v.impact, v.id]))") == []


async def _compares(browser: Browser, file: Path, ref: str, axe: str) -> None:
    asked: list[str] = []
    async with page_of(browser) as page:
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(file.as_uri())
        await shows(page.main_frame, ref)
        slider = page.get_by_role("slider", name="Compare before and after")
        await slider.press("End")
        assert await slider.get_attribute("aria-valuetext") == "100 % before, 0 % after"
        await page.evaluate(axe)
        assert await page.evaluate("axe.run().then(told => told.violations.map(v => [v.impact, v.id]))") == []
    assert asked == [file.as_uri()]


def _kontext(folder: Path, *arguments: str) -> str:
    done = run([*KONTEXT, *arguments], env=environment(folder), text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout

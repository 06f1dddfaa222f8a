"""The gallery over very many images, as a browser sees it: when something is there to look at, and what a page costs.

What is measured: `kontext gallery` in a real Chromium, from the request of its address. Above: run. Below: rows. It has
no floor but the browser's own: the same page of a gallery without images is measured beside it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import anyio
from playwright.async_api import Browser, async_playwright
from rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.many_images import fill

IMAGES, PICTURES, ROUNDS = 10_000, 240, 7
SIZE = (1248, 832)
_PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_SCREEN = """() => { const cards = [...document.querySelectorAll('.grid canvas')]
    .filter(c => c.getBoundingClientRect().top < innerHeight);
    return cards.length > 0 && cards.every(c => c.width > 0) && performance.now() }"""


def views(*, images: int = IMAGES, pictures: int = PICTURES, rounds: int = ROUNDS) -> list[Row]:
    """Measure; nothing where there is no Chromium or no playwright."""
    program = shutil.which("chromium")
    return [] if program is None else anyio.run(_measured, program, images, pictures, rounds)


async def _measured(program: str, images: int, pictures: int, rounds: int) -> list[Row]:
    first, drawn, empty = list[float](), list[float](), list[float]()
    with tempfile.TemporaryDirectory() as full, tempfile.TemporaryDirectory() as bare:
        fill(Path(full) / "data", images, pictures=pictures, size=SIZE)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
            new = await _opened(browser, Path(full) / "data")
            for _ in range(rounds):
                empty.append((await _opened(browser, Path(bare) / "data", pictures=False))[0])
                painted, screen = await _opened(browser, Path(full) / "data")
                first.append(painted)
                drawn.append(screen)
            scrolled = await _scrolled(browser, Path(full) / "data", pages=min(10, images // 100))
            await browser.close()
    many = f"gallery, {images:,} images"
    return [
        Row(name=f"{many}, first paint", unit="ms", ours=first, floor=empty, target="under 1000 ms"),
        Row(name=f"{many}, first screen of thumbnails, none kept yet", unit="ms", ours=[new[1]], floor=[], target="-"),
        Row(name=f"{many}, first screen of thumbnails, kept", unit="ms", ours=drawn, floor=[], target="under 1000 ms"),
        Row(name=f"{many}, a further page by scrolling", unit="ms", ours=scrolled, floor=[], target="-"),
    ]


async def _opened(browser: Browser, data: Path, *, pictures: bool = True) -> tuple[float, float]:
    """Open a gallery; give the milliseconds to the first paint and to the first screen of pictures."""
    with _gallery(data) as address:
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto(address)
        screen = await (await page.wait_for_function(_SCREEN)).json_value() if pictures else 0.0
        painted = await (await page.wait_for_function(_PAINTED)).json_value()
        await page.close()
    return float(painted), float(screen)


async def _scrolled(browser: Browser, data: Path, *, pages: int) -> list[float]:
    """Scroll to the end as it moves on; give the milliseconds from each scroll to the cards it brought."""
    found: list[float] = []
    with _gallery(data) as address:
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto(address)
        await page.wait_for_function(_SCREEN)
        for _ in range(pages):
            cards = await page.locator(".grid button").count()
            began = time.perf_counter()
            await page.mouse.wheel(0, 100_000)
            await page.wait_for_function("n => document.querySelectorAll('.grid button').length > n", arg=cards)
            found.append((time.perf_counter() - began) * 1000)
        await page.close()
    return found


@contextmanager
def _gallery(data: Path) -> Generator[str]:
    command = [sys.executable, "-m", "kontext_server", "gallery", "--no-open"]
    environment = {**os.environ, "KONTEXT_DATA_DIR": str(data)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()

"""Makes the pictures of the studio in docs/pictures: `python tests/browser/screenshots.py`.

What this is: the studio in a host's frame and the gallery, as the tests open them, light and dark, at 360 and 1280 px.
What it is not: a test. Look at each picture before it is committed.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

import anyio
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))

from kontext_server.simulator.serve import running
from support.stdio_server import PHOTOS, fields_of
from support.studio_host import apps_client, host_of
from support.studio_view import shows

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
WIDTHS = {1280: 900, 360: 760}
THEMES = ("light", "dark")
EDITS = ("Make it a watercolour painting", "Make it warmer, like evening light")
OTHERS = {
    "coffee.png": "Make the colours stronger",
    "grace_hopper.jpg": "Make it look like an old photograph",
    "rocket.jpg": "Make it a cold winter day",
}
PLAN = [
    {"id": "poster", "prompt": "A poster for a summer fair", "num_images": 2},
    {"id": "at-night", "prompt": "Make it night, with lanterns", "image": "$poster/*"},
]


async def main() -> None:
    """Make all of them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    program = shutil.which("chromium")
    assert program is not None, "needs Chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with tempfile.TemporaryDirectory() as folder:
            await results(browser, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            await under_way(browser, Path(folder))
        await browser.close()


async def results(browser: Browser, folder: Path) -> None:
    """A finished edit in its line, and all pictures."""
    async with apps_client(folder) as client:
        image, told = str(PHOTOS / "chelsea.png"), None
        for photo, prompt in OTHERS.items():
            await client.call_tool("edit_image", {"image": str(PHOTOS / photo), "prompt": prompt})
        for prompt in EDITS:
            told = await client.call_tool("edit_image", {"image": image, "prompt": prompt})
            image = fields_of(told)["images"][0]["ref"]
        assert told is not None
        answer = told.model_dump(by_alias=True, mode="json", exclude_none=True)
        for width, height in WIDTHS.items():
            for theme in THEMES:
                async with host_of(browser, client) as host:
                    await host.open(theme=theme, width=width, height=height)
                    await host.tell("tool-result", answer)
                    await shows(host.frame, image)
                    await host.frame.wait_for_selector(".line canvas[width='256'] >> nth=2")
                    await keep(host.page, f"result-{width}-{theme}")
                    await host.frame.get_by_role("button", name="All pictures").click()
                    await host.frame.wait_for_selector(".grid canvas[width='256'] >> nth=1")
                    await host.frame.locator("h1").click(force=True)
                    await keep(host.page, f"pictures-{width}-{theme}")


async def under_way(browser: Browser, folder: Path) -> None:
    """A plan that runs, half done."""
    with running(job_seconds=2.0) as simulator:
        async with apps_client(folder, simulator.settings) as client:
            told = await client.call_tool("run_plan", {"steps": PLAN, "wait_seconds": 0})
            while [entry.method for entry in simulator.state.journal.entries()].count("POST") < 2:  # noqa: ASYNC110  # the simulator runs in a thread, and this is no test
                await anyio.sleep(0.05)
            simulator.state.job_seconds = 600.0  # of the steps after
            answer = told.model_dump(by_alias=True, mode="json", exclude_none=True)
            for width, height in WIDTHS.items():
                for theme in THEMES:
                    async with host_of(browser, client) as host:
                        await host.open(theme=theme, width=width, height=height // 2)
                        await host.tell("tool-result", answer)
                        await host.frame.wait_for_selector(".steps canvas[width]")
                        await host.frame.wait_for_function(
                            "() => [...document.querySelectorAll('.steps canvas')].every(c => c.width)"
                        )
                        await keep(host.page, f"running-{width}-{theme}")


async def keep(page: Page, name: str) -> None:
    """Write what is seen, no higher than the view."""
    frame = page.locator("iframe").last
    box = await frame.bounding_box()
    size = page.viewport_size
    assert box is not None
    assert size is not None
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(box["height"], size["height"])}
    shot = await page.screenshot(clip=clip)  # pyright: ignore[reportArgumentType]  # the four numbers it wants
    with Image.open(io.BytesIO(shot), formats=["PNG"]) as picture:
        picture.convert("RGB").save(PICTURES / f"{name}.webp", "WEBP", quality=88, method=6)


if __name__ == "__main__":
    anyio.run(main)

"""What a test does with a view of the studio: has an edit made, waits for its picture, presses keys, reads pixels."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Frame

from support.stdio_server import PHOTOS
from support.studio_host import Host

CAT = str(PHOTOS / "chelsea.png")


_MADE: dict[str, dict[str, Any]] = {}
"""Answers by what was asked of whom: the same edit is made once for all tests of a server."""


async def edited(host: Host, prompt: str = "Make it a watercolour", image: str = CAT, **more: Any) -> str:
    """Have the view told of an edit, which is made if it is not yet; give its reference once it is shown."""
    arguments = {"image": image, "prompt": prompt, **more}
    asked = f"{id(host.client)} {arguments}"
    if asked in _MADE:
        await host.tell("tool-input", {"arguments": arguments})
        await host.tell("tool-result", _MADE[asked])
    else:
        _MADE[asked] = await host.call("edit_image", arguments)
    ref: str = _MADE[asked]["structuredContent"]["images"][0]["ref"]
    await shows(host.frame, ref)
    return ref


async def shows(frame: Frame, ref: str) -> None:
    """Wait until the view shows a picture, drawn."""
    await frame.wait_for_function(
        "ref => document.querySelector('.facts')?.textContent.startsWith(ref)"
        " && document.querySelector('.stage canvas')?.width > 1",
        arg=ref,
    )


async def press(frame: Frame, key: str) -> None:
    """Press a key while the view has the focus."""
    await frame.locator(".viewer .prompt, .told .prompt").first.click()
    await frame.page.keyboard.press(key)


async def colour_at(frame: Frame, canvas: str, x: float) -> list[int]:
    """Give a pixel in the middle row of a drawn canvas."""
    pixel: list[int] = await frame.evaluate(
        "([canvas, x]) => { const c = document.querySelector(canvas);"
        " return [...c.getContext('2d').getImageData(c.width * x, c.height / 2, 1, 1).data] }",
        [canvas, x],
    )
    return pixel

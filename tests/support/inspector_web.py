"""The MCP inspector's web client, which no one here wrote, as a host of our studio: on Node, in a real Chromium."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import socket
import subprocess
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import anyio
from playwright.async_api import Browser, Frame, Page

FIRST_WORDS = re.compile(r"http://[^\s/]+:\d+")


@dataclass(frozen=True, slots=True)
class InspectorWeb:
    """A running one.

    Attributes:
        base: its address.
        token: what lets a page connect by itself.
    """

    base: str
    token: str

    def opening(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """Give the address that connects to a server and chooses a tool's app with its arguments filled in."""
        filled = base64.urlsafe_b64encode(json.dumps(dict(arguments)).encode()).decode().rstrip("=")
        asked = {
            "serverUrl": server,
            "transport": "http",
            "autoConnect": self.token,
            "openApp": tool,
            "appArgs": filled,
        }
        return f"{self.base}/?{urlencode(asked)}"


@contextmanager
def inspector_web(program: list[str], folder: Path) -> Generator[InspectorWeb]:
    """Start it on free ports of loopback, with a home of its own.

    Args:
        program: Node and the inspector's script.
        folder: for its home.
    """
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, sandbox = one.getsockname()[1], other.getsockname()[1]
    token = secrets.token_hex(16)
    told = {
        "HOST": "127.0.0.1",
        "CLIENT_PORT": str(port),
        "MCP_SANDBOX_PORT": str(sandbox),
        "MCP_AUTO_OPEN_ENABLED": "false",
        "MCP_INSPECTOR_SECRET_STORE": "memory",
        "MCP_INSPECTOR_API_TOKEN": token,
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **told}
    command = [*program, "--web"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            while not FIRST_WORDS.search(line := process.stdout.readline()):
                assert line, f"the inspector ended with {process.wait()}"
            yield InspectorWeb(base=f"http://127.0.0.1:{port}", token=token)
        finally:
            process.kill()


@asynccontextmanager
async def opened_app(
    browser: Browser, inspector: InspectorWeb, server: str, tool: str, arguments: Mapping[str, Any]
) -> AsyncGenerator[tuple[Page, Frame]]:
    """Connect, open a tool's app with its call made, and give the page and the view's frame."""
    page = await browser.new_page(viewport={"width": 1400, "height": 1000})
    try:
        with anyio.fail_after(90):
            await page.goto(inspector.opening(server, tool, arguments))
            await page.wait_for_selector('[data-testid="connection-status"][data-status="connected"]')
            await page.click('button:has-text("Open App")')
            yield page, await _view(page)
    finally:
        await page.close()


async def _view(page: Page) -> Frame:
    """Give the view's frame: the inspector puts it into one of a sandbox of its own."""
    while True:
        for frame in page.frames:
            if frame.url == "about:srcdoc" and await frame.query_selector("#studio") is not None:
                return frame
        await page.wait_for_event("framenavigated")

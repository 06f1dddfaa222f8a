"""One Chromium and one server for all tests of a process."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from mcp.client import Client
from playwright.async_api import Browser, async_playwright

from support.studio_host import apps_client

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(__file__).parents[2] / ".ci" / "node" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="session")
async def browser(anyio_backend: str) -> AsyncGenerator[Browser]:
    """Chromium from the system's packages, headless."""
    program = next((found for name in PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    async with async_playwright() as playwright:
        # A container has neither the rights for a sandbox nor much shared memory.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def client(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Client]:
    """A client of one real server, whose sandbox serves."""
    async with apps_client(tmp_path_factory.mktemp("studio")) as connected:
        yield connected


@pytest.fixture
def axe() -> str:
    """The accessibility checker's script."""
    if not AXE.exists():
        pytest.skip("needs axe-core: npm install --no-package-lock --prefix .ci/node .ci/node")
    return AXE.read_text(encoding="utf-8")

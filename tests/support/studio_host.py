"""A host of MCP Apps as a client would be: a page with a sandboxed frame, and a real server behind it.

What this is: the smallest host that speaks the specification of 2026-01-26 and keeps to its sandbox, in a real
Chromium; what the view asks for is passed on to a server over stdio, as a client passes it on. What it is not: one
host's habits; what a host may leave out is left out by `offers`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
import mcp_types as types
from mcp.client import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from playwright.async_api import Browser, Frame, Page

from support.forked import over_stdio
from support.stdio_server import environment

APPS = "io.modelcontextprotocol/ui"
STUDIO = "ui://kontext/studio.html"
DEFAULT_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; media-src 'self' data:; connect-src 'none'"
)
"""The specification's, for an app that declares none (apps.mdx, Content Security Policy)."""
STRICT_CSP = DEFAULT_CSP.replace("img-src 'self' data:", "img-src 'none'")
EVERYTHING = ("serverTools", "serverResources", "downloadFile", "openLinks", "logging", "message", "updateModelContext")

_PAGE = """<!doctype html><html lang="en"><title>A host</title>
<style>body{margin:0;background:#fff}body.dark{background:#111}iframe{display:block;width:100%;height:300px;border:0}
</style><body></body>"""
_SCRIPT = """
({html, csp, result, early}) => {
  const frame = document.createElement("iframe");
  frame.title = "studio";
  frame.setAttribute("sandbox", "allow-scripts");
  frame.srcdoc = html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${csp}">`);
  const log = window.log ??= [];
  const send = window.send = (message) => frame.contentWindow.postMessage({jsonrpc: "2.0", ...message}, "*");
  addEventListener("message", async ({source, data}) => {
    if (source !== frame.contentWindow || data?.jsonrpc !== "2.0") return;
    log.push(data);
    if (data.method === "ui/notifications/size-changed") frame.style.height = data.params.height + "px";
    if (data.id === undefined || !data.method) return;
    if (data.method === "ui/initialize") {
      if (early) send({method: "ui/notifications/tool-result", params: early});
      return send({id: data.id, result});
    }
    const {answer, error} = await window.serve(data.method, JSON.stringify(data.params ?? {}));
    send(error ? {id: data.id, error: {code: -32000, message: error}} : {id: data.id, result: answer});
  });
  document.body.append(frame);
}
"""


@dataclass
class Host:
    """One view in one page.

    Attributes:
        client: of the server behind it.
        page: the host's own.
        troubles: errors that Chromium wrote to its console, policy violations among them.
        called: the tools that the view called, with their arguments.
        tells_fields: whether the view is told an answer's structured content.
        gate: where there is one, a tool's call of the view waits for it.
    """

    client: Client
    page: Page
    offers: tuple[str, ...] = EVERYTHING
    troubles: list[str] = field(default_factory=list[str])
    called: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    tells_fields: bool = True
    gate: anyio.Event | None = None
    _under_way: int = 0
    _calm: anyio.Event = field(default_factory=anyio.Event)

    @property
    def frame(self) -> Frame:
        """The newest view."""
        return self.page.frames[-1]

    async def log(self, method: str) -> list[dict[str, Any]]:
        """Give what the view said by one method, in order."""
        said: list[dict[str, Any]] = await self.page.evaluate(f"log.filter(m => m.method === {json.dumps(method)})")
        return said

    async def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """Notify the view."""
        await self.page.evaluate("m => send(m)", {"method": f"ui/notifications/{method}", "params": params})

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool as the model would: the view hears the arguments, then the answer."""
        await self.tell("tool-input", {"arguments": arguments})
        answer = await self._tool(tool, arguments)
        await self.tell("tool-result", answer)
        return answer

    async def open(
        self,
        *,
        theme: str = "light",
        csp: str = DEFAULT_CSP,
        width: int = 720,
        height: int = 1200,
        context: Mapping[str, Any] | None = None,
        early: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a view, as the host that `offers` says; `early` is an answer that is told before the handshake's."""
        read = await self.client.read_resource(STUDIO)
        html = cast("types.TextResourceContents", read.contents[0]).text
        capabilities: dict[str, Any] = {name: {} for name in self.offers if name != "fullscreen"}
        modes = ["inline", "fullscreen"] if "fullscreen" in self.offers else ["inline"]
        result: dict[str, Any] = {
            "protocolVersion": "2026-01-26",
            "hostInfo": {"name": "tests", "version": "1"},
            "hostCapabilities": capabilities,
            "hostContext": {
                "theme": theme,
                "displayMode": "inline",
                "availableDisplayModes": modes,
                **(context or {}),
            },
        }
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
        await self.page.evaluate(_SCRIPT, {"html": html, "csp": csp, "result": result, "early": early})
        await self.page.wait_for_function("() => log.some(m => m.method === 'ui/notifications/initialized')")

    async def calm(self) -> None:
        """Wait until nothing that the view asked for is under way."""
        while self._under_way:
            await self._calm.wait()

    async def serve(self, method: str, text: str) -> dict[str, Any]:
        """Answer what the view asks for."""
        if not self._under_way:
            self._calm = anyio.Event()
        self._under_way += 1
        try:
            return await self._served(method, text)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._calm.set()

    async def _served(self, method: str, text: str) -> dict[str, Any]:
        params: dict[str, Any] = json.loads(text)
        if method == "tools/call":
            self.called.append((params["name"], params["arguments"]))
        served = {
            "tools/call": ("serverTools", lambda: self._for_the_view(params["name"], params["arguments"])),
            "resources/read": ("serverResources", lambda: self._read(params["uri"])),
            "ui/message": ("message", _fine),
            "ui/update-model-context": ("updateModelContext", _fine),
            "ui/download-file": ("downloadFile", _fine),
            "ui/request-display-mode": ("fullscreen", self._enlarged),
        }
        needed, answer = served.get(method, ("", _fine))
        if needed not in self.offers:
            return {"error": "Method not found"}
        try:
            return {"answer": await answer()}
        except MCPError as error:
            return {"error": error.error.message}

    async def _for_the_view(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self.gate is not None:
            await self.gate.wait()
        answer = await self._tool(name, arguments)
        return answer if self.tells_fields else {**answer, "structuredContent": None}

    async def _tool(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.call_tool(name, arguments)
        return answer.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def _read(self, uri: str) -> dict[str, Any]:
        return (await self.client.read_resource(uri)).model_dump(by_alias=True, mode="json", exclude_none=True)

    async def _enlarged(self) -> dict[str, Any]:
        await self.tell("host-context-changed", {"displayMode": "fullscreen"})
        return {"mode": "fullscreen"}


async def _fine() -> dict[str, Any]:
    return {}


@asynccontextmanager
async def apps_client(
    folder: Path, settings: Mapping[str, str] | None = None, *, era: str = "legacy"
) -> AsyncGenerator[Client]:
    """Give a client that declares MCP Apps, of a server that was started for it."""
    server = over_stdio(environment(folder, settings))
    extensions = [advertise(APPS, {"mimeTypes": ["text/html;profile=mcp-app"]})]
    async with Client(server, mode=era, extensions=extensions) as client:
        yield client


@asynccontextmanager
async def host_of(browser: Browser, client: Client, *, offers: tuple[str, ...] = EVERYTHING) -> AsyncGenerator[Host]:
    """Give a host; at its end no error may stand in the console."""
    page = await browser.new_page()
    host = Host(client=client, page=page, offers=offers)
    page.on("console", lambda told: host.troubles.append(told.text) if told.type == "error" else None)
    page.on("pageerror", lambda error: host.troubles.append(str(error)))
    try:
        await page.expose_function("serve", host.serve)  # pyright: ignore[reportUnknownMemberType]  # as it is typed there
        await page.set_content(_PAGE)
        await page.evaluate("window.log = []")
        with anyio.fail_after(60):
            yield host
        assert host.troubles == []
    finally:
        await page.close()

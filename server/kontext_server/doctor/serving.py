"""Whether this program can serve: our own server over streams in memory, in both protocol eras.

What this is: the server as a client would have it under these settings, its tools listed. Its store is an empty one in
a temporary folder, for a server moves jobs, and moving one may cost. What it is not: a call of a tool. Above: checkup.
Below: surface, app.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio

from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, ok

WITHIN_S = 30.0
ERAS = ("legacy", "2026-07-28")
"""As the SDK's client names them: by handshake, and without."""


async def look(case: Case) -> Sequence[Finding]:
    """Start our server in this process, and ask it for its tools; whatever it raises is told by `checkup`."""
    with anyio.fail_after(WITHIN_S):
        told = [await _tools(case, era) for era in ERAS]
    return [ok("serve", f"{told[0]}, in both protocol eras")]


async def _tools(case: Case, era: str) -> str:
    from mcp.client import Client

    from kontext_server.app import build
    from kontext_server.surface.server import make_server

    with tempfile.TemporaryDirectory(prefix="kontext-doctor-") as folder:
        settings = case.read.model_copy(update={"kontext_data_dir": Path(folder)})
        async with Client(make_server(build(settings)), mode=era) as client:
            listed = await client.list_tools()
    size = len(listed.model_dump_json(by_alias=True, exclude_none=True))
    return f"{len(listed.tools)} tools, {size:,} characters"

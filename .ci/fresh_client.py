"""For `.ci/fresh`: starts an installed server over stdio and asks it for its tools: `fresh_client.py COMMAND`."""

from __future__ import annotations

import sys

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

PATIENCE_S = 60


async def asked(command: str) -> None:
    """Initialize and list the tools, in both protocol eras; print their names."""
    for era in ("legacy", "2026-07-28"):
        with anyio.fail_after(PATIENCE_S):
            async with Client(stdio_client(StdioServerParameters(command=command, args=["serve"])), mode=era) as client:
                names = [tool.name for tool in (await client.list_tools()).tools]
        print(f"{era}: {', '.join(names)}")
        if len(names) != 7:
            sys.exit(f"{len(names)} tools, not 7")


if __name__ == "__main__":
    anyio.run(asked, sys.argv[1])

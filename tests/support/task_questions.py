"""Servers that ask before they spend, and clients that take the question as a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mcp_types as types
from mcp.client.session import ClientRequestContext

from kontext_server.app import App, build
from kontext_server.settings import load
from kontext_server.simulator.serve import Running
from support.fake_clock import FakeClock

LAKE: dict[str, Any] = {"prompt": "a lake", "output_format": "png"}
YES: dict[str, Any] = {"action": "accept", "content": {"go": True}}


async def never_asked(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ErrorData:
    """Stand for a form: what a task asks goes through `tasks/update`."""
    raise AssertionError("the question went out beside the task")


def an_app(folder: Path, simulator: Running, *, clock: FakeClock | None = None, **settings: Any) -> App:
    of_wire = {name.lower(): value for name, value in simulator.settings.items()}
    above: dict[str, Any] = {"kontext_confirm_above": "100 credit", "kontext_preview": "none", **settings}
    return build(load(kontext_data_dir=folder / "data", **(of_wire | above)), clock=clock)

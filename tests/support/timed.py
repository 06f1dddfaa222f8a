"""A client that notes how long a silence each of its calls would bear."""

from __future__ import annotations

from typing import Any

from kontext_tools.guard import Target
from kontext_tools.http import READ_S, Http, Reply


class Timed(Http):
    """Notes the silence that each call bears, in seconds, in their order."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.bears_s: list[float] = []

    async def call(self, method: str, url: str | Target, **how: Any) -> Reply:
        """Note it, and call."""
        self.bears_s.append(how.get("read_s", READ_S))
        return await super().call(method, url, **how)

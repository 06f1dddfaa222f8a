"""In which order a client reads: what an answer is about is announced before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kontext_server.simulator.serve import running
from support.by_hand import ByHand, by_hand

CALLS = 5


def test_a_picture_is_announced_before_the_answer_that_tells_of_it(tmp_path: Path) -> None:
    """Many a client leaves at its answer, and older ones of the SDK fail of what comes while they do."""
    with running(job_seconds=0.1) as simulator, by_hand(tmp_path, simulator.settings) as server:
        orders = [_heard_until_answered(server, n) for n in range(CALLS)]
    assert [order.count("notifications/resources/list_changed") for order in orders] == [1] * CALLS, orders


def _heard_until_answered(server: ByHand, n: int) -> list[str]:
    arguments: dict[str, Any] = {"prompt": f"lake {n}", "wait_seconds": 30}
    asked = {"name": "generate_image", "arguments": arguments}
    server.say({"id": f"made {n}", "method": "tools/call", "params": asked})
    heard: list[str] = []
    while (message := server.hear()).get("id") != f"made {n}":
        heard.append(message["method"])
    assert message["result"]["structuredContent"]["status"] == "completed"
    return heard

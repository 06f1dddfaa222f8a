"""The demo's page: what it says beside its pictures, and that it is honest about them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from inline_snapshot import snapshot

from kontext_server.cli.demo_agent import Made, Step
from kontext_server.cli.demo_page import page

HOSTILE = '<script>alert(1)</script> & "quoted" {x} ${x}'


def a_step(ref: str) -> Step:
    fields = {"images": [{"ref": ref, "path": "/cat.png"}], "cost": {"amount": "0", "unit": "usd"}, "seconds": 1.25}
    return Step(prompt=HOSTILE, image=str(Path("/cat.png")), fields=fields)


def block() -> Any:
    made = Made(steps=[a_step("warm-4k7q/1"), a_step("night-4k7q/1")], recorded={"kontext://x": {"text": HOSTILE}})
    html = page(made)
    assert "<title>Three edits of one photograph</title>" in html
    assert "alert(1)</script>" not in html
    (text,) = re.findall(r'id="kontext">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


def test_it_shows_the_last_edit_first_and_says_what_made_the_pictures_and_how_to_go_on() -> None:
    told = block()
    assert {name: told[name] for name in ("kind", "show", "title")} == {
        "kind": "file",
        "show": "night-4k7q/1",
        "title": "Three edits of one photograph",
    }
    done, honest = told["lead"]
    assert done.startswith("An MCP client asked kontext for three edits, each of the result before.")
    assert honest == (
        "No model was asked. Without a provider's key the sandbox stands in for FLUX.1 Kontext: it changes real pixels "
        "by simple means, costs nothing and marks its pictures."
    )
    assert told["resources"] == {"kontext://x": {"text": HOSTILE}}


def test_its_commands_go_on_from_the_last_picture_in_the_folder_beside_it() -> None:
    tail = block()["tail"]
    assert tail["heading"] == "To go on" and "in the folder data beside it" in tail["text"]
    assert tail["code"] == snapshot("""\
# in this page's folder
export KONTEXT_DATA_DIR="$PWD/data"
kontext edit night-4k7q/1 "Turn it into a night scene"

# with a key of yours, edits cost money; this tells how much
export CORE_TODAY_API_KEY=…
kontext edit night-4k7q/1 "Turn it into a night scene" --dry-run\
""")

"""`demo`: three edits without a key, a page at the end, nobody's files touched."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import Result

from kontext_server.app import build
from kontext_server.cli import demo, demo_agent
from kontext_server.settings import load
from kontext_server.surface.recording import recorded
from kontext_server.surface.resources import Resources
from kontext_tools.errors import ProviderError

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]

LINE = re.compile(r"([a-z0-9-]+/1)  cost 0 usd  \d+\.\d s  file (.+\.png)")


def test_three_edits_each_of_the_one_before_and_the_page_last(kontext: Kontext, home: Path) -> None:
    # Keys that must not be used, and a file that must not be read.
    (home / ".config" / "kontext").mkdir(parents=True)
    (home / ".config" / "kontext" / "kontext.toml").write_text('CORE_TODAY_API_KEY = "cdt_never"\n')
    ended = kontext("demo", env={"CORE_TODAY_API_KEY": "cdt_never", "KONTEXT_PROVIDER": "core.today"})
    assert ended.returncode == 0, ended.stderr
    *lines, last = ended.stdout.splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    assert len(found) == 3
    assert all(match and Path(match[2]).is_file() for match in found)
    assert "Each line: the reference" in ended.stderr
    page = Path(last)
    assert page == home / "kontext-demo" / "demo.html"
    refs = [match[1] for match in found if match]
    told = block_of(page)
    assert told["show"] == refs[-1]
    # What the client read over MCP is what the app on the same folder gives.
    assert told["resources"] == recorded_at(page.parent / "data", refs)
    (line,) = [one for uri, one in told["resources"].items() if uri == f"kontext://images/{refs[-1]}/lineage"]
    job, _, _ = refs[0].partition("/")
    assert [one["ref"] for one in json.loads(line["text"])["ancestors"]] == [f"{job}/0", *refs[:2]]
    assert str(home) not in page.read_text(encoding="utf-8")


def block_of(page: Path) -> Any:
    (text,) = re.findall(r'id="kontext">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(text)


def recorded_at(data: Path, refs: Sequence[str]) -> Any:
    app = build(load(kontext_data_dir=data, kontext_provider=("sandbox",)))

    async def read() -> Any:
        async with app.running():
            return await recorded(Resources(app).content, [ref.partition("/")[0] for ref in refs])

    return anyio.run(read)


def test_as_json_it_tells_the_same_and_uses_its_own_folder_again(kontext: Kontext, home: Path) -> None:
    demo.made_folder(home / "there")
    ended = kontext("demo", "--output", "there", "--json")
    told: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == 0, ended.stderr
    assert told["folder"] == str(home / "there")
    assert Path(told["html"]).is_file()
    refs = [edit["images"][0]["ref"] for edit in told["edits"]]
    assert [edit.get("parent") for edit in told["edits"]] == [None, *refs[:2]]


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a network namespace to be without one")
def test_it_needs_no_network(environment: dict[str, str], home: Path) -> None:
    command = ["unshare", "--net", "--map-root-user", sys.executable, "-m", "kontext_server", "demo"]
    if subprocess.run(["unshare", "--net", "--map-root-user", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine gives no network namespace")
    ended = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kontext-demo").mkdir()
    (tmp_path / "kontext-demo" / "mine.txt").write_text("mine")
    (tmp_path / "kontext-demo-2").write_text("a file of mine")
    assert demo.made_folder(tmp_path / "kontext-demo") == tmp_path / "kontext-demo-3"
    assert [path.name for path in (tmp_path / "kontext-demo").iterdir()] == ["mine.txt"]


def test_an_empty_folder_and_its_own_are_used(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    assert demo.made_folder(tmp_path / "new") == tmp_path / "new"
    assert demo.made_folder(tmp_path / "new") == tmp_path / "new"
    (tmp_path / "new" / demo.PHOTO).unlink()
    assert demo.made_folder(tmp_path / "new") == tmp_path / "new"


def test_a_photograph_that_the_person_changed_is_not_overwritten(tmp_path: Path) -> None:
    folder = demo.made_folder(tmp_path / "demo")
    (folder / demo.PHOTO).write_bytes(b"mine")
    assert demo.made_folder(tmp_path / "demo") == tmp_path / "demo-2"
    assert (folder / demo.PHOTO).read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_told(invoke: Invoke) -> None:
    ended = invoke("demo", "--output", "cat.png/demo")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "--output" in ended.stderr


def test_a_server_that_does_not_answer_is_told_with_its_log(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    ended = invoke("demo")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert str(home / "kontext-demo" / "data" / "server.log") in ended.stderr


def test_a_failure_of_the_server_is_told_as_such(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: object) -> demo_agent.Made:
        raise demo_agent.Stopped(ProviderError("It broke.", fix="Wait.").failure)

    monkeypatch.setattr(demo_agent, "edited", refused)
    ended = invoke("demo", "--json")
    assert ended.exit_code == 4
    assert json.loads(ended.stdout)["error"]["code"] == "provider_error"


def test_a_refusal_stops_the_agent_with_the_servers_own_words(tmp_path: Path) -> None:
    folder = demo.made_folder(tmp_path / "demo")
    steps: list[demo_agent.Step] = []

    async def work() -> None:
        await demo_agent.edited(folder / "missing.png", ["Make it warm"], folder / demo.DATA, steps.append)

    with pytest.raises(demo_agent.Stopped) as stopped:
        anyio.run(work)
    assert stopped.value.failure is not None
    assert stopped.value.failure.code == "source_unreadable"
    assert steps == []


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_the_agent_asks_again_while_a_job_runs(status: str) -> None:
    answers: list[dict[str, Any]] = [
        {"job_id": "a-4k7q", "status": status, "images": []},
        {"job_id": "a-4k7q", "status": "completed", "images": [{"ref": "a-4k7q/1"}]},
    ]
    asked: list[str] = []

    class Answer:
        def __init__(self, fields: dict[str, Any]) -> None:
            self.structured_content = fields

    class Client:
        async def call_tool(self, tool: str, arguments: dict[str, Any]) -> Answer:
            asked.append(f"{tool} {arguments.get('job_id')}")
            return Answer(answers.pop(0))

    async def work() -> Any:
        return await demo_agent._edit(Client(), "/cat.png", "x")  # pyright: ignore[reportPrivateUsage, reportArgumentType]

    assert anyio.run(work)["status"] == "completed"
    assert asked == ["edit_image None", "get_status a-4k7q"]


def test_the_servers_environment_holds_no_key_of_the_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CORE_TODAY_API_KEY", "FAL_KEY_FILE", "BFL_API_KEY", "CORE_TODAY_BASE_URL", "KONTEXT_MAX_COST"):
        monkeypatch.setenv(name, "never")
    made = demo_agent.environment(tmp_path, tmp_path / "data")
    assert "never" not in made.values()
    assert made["KONTEXT_PROVIDER"] == "sandbox"
    assert "PATH" in made

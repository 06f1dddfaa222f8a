"""`kontext plan FILE`, from what is written to what is printed."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kontext_server.cli import plan_file
from kontext_server.simulator.serve import Running
from kontext_tools.errors import InvalidArgument

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]
Interrupted = Callable[..., tuple[int, str, str]]

TOML = """
[[steps]]
id = "lake"
prompt = "A lake at noon"
num_images = 2

[[steps]]
id = "night"
image = "$lake/*"
prompt = "Make it night, with stars"

[[steps]]
id = "cat"
image = "pictures/cat.png"
prompt = "Make it warm"
"""


@pytest.fixture
def plan(home: Path) -> Path:
    """A plan in a folder of its own, its picture beside it."""
    folder = home / "plans"
    (folder / "pictures").mkdir(parents=True)
    (home / "cat.png").rename(folder / "pictures" / "cat.png")
    file = folder / "plan.toml"
    file.write_text(TOML, encoding="utf-8")
    return file


def _jobs(text: str) -> str:
    """Give text with every job's id as its words alone."""
    return re.sub(r"([a-z]+(?:-[a-z]+)*)-[a-z0-9]{4}\b(?=[/ ,:\n]|$)", r"\1-…", text)


def test_a_plan_is_carried_out_and_the_paths_of_its_pictures_are_printed(kontext: Kontext, plan: Path) -> None:
    ended = kontext("plan", str(plan))
    assert ended.returncode == 0
    assert [re.sub(r"-[a-z0-9]{4}(-\d\.png)$", r"-…\1", Path(line).name) for line in ended.stdout.splitlines()] == [
        "lake-at-noon-…-1.png",
        "lake-at-noon-…-2.png",
        "night-stars-…-1.png",
        "night-stars-…-1.png",
        "warm-…-1.png",
    ]
    assert all(Path(line).is_file() for line in ended.stdout.splitlines())
    said = _jobs(ended.stderr).splitlines()
    assert said[0] == "Plan plan-lake-at-…: 0 of 4 steps done, 0 pictures made, about 2 s"
    assert said[-5:] == [
        "- lake: completed lake-at-noon-…/1, lake-at-noon-…/2",
        "- night: completed night-stars-…/1",
        "- night: completed night-stars-…/1",
        "- cat: completed warm-…/1",
        'To go on from it:  kontext edit warm-…/1 "…"',
    ]


def test_on_a_terminal_its_steps_are_a_table_that_is_wiped_away(on_terminal: OnTerminal, plan: Path) -> None:
    code, out, shown = on_terminal("plan", str(plan))
    assert (code, len(out.splitlines())) == (0, 5)
    drawn, _, after = shown.rpartition("\x1b[2K")
    assert "STEP" in drawn and "processing" in drawn
    assert "STEP" not in after and "- cat: completed" in after


def test_a_dry_run_tells_the_price_of_all_of_it_and_makes_nothing(invoke: Invoke, plan: Path) -> None:
    ended = invoke("plan", str(plan), "--dry-run", "--json")
    quote = json.loads(ended.stdout)
    assert (ended.exit_code, quote["cost"]["amount"], len(quote["request"]["steps"])) == (0, "0", 3)
    assert invoke("jobs").stdout.splitlines()[1:] == []


def test_json_on_stdin_is_a_list_of_steps_beside_the_working_directory(
    environment: dict[str, str], home: Path, invoke: Invoke
) -> None:
    steps = json.dumps([{"id": "cat", "image": "cat.png", "prompt": "Make it warm"}])
    ended = invoke("plan", "-", "--json", typed=steps)
    fields = json.loads(ended.stdout)
    assert (ended.exit_code, fields["status"], len(fields["images"])) == (0, "completed", 1)


class TestWithAProvider:
    @pytest.fixture(autouse=True)
    def at_the_simulator(
        self,
        environment: dict[str, str],
        simulator: Running,
        invoke: Invoke,  # noqa: ARG002  # it clears the environment first
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment.update(simulator.settings)
        for name, value in simulator.settings.items():
            monkeypatch.setenv(name, value)

    def test_a_failed_step_is_told_and_mended_by_a_plan_that_reuses_the_rest(
        self, invoke: Invoke, home: Path, simulator: Running
    ) -> None:
        steps = [{"id": "a", "prompt": "A red car"}, {"id": "b", "prompt": "A blue boat", "image": "$a"}]
        file = home / "plan.json"
        file.write_text(json.dumps({"steps": steps}), encoding="utf-8")
        simulator.state.script({"wire": "core.today", "on": "create", "match": "boat", "fault": "moderated"})
        ended = invoke("plan", str(file))
        assert (ended.exit_code, len(ended.stdout.splitlines())) == (0, 1)
        assert "- b: failed (" in ended.stderr
        resume = ended.stderr.splitlines()[-1].partition("--resume ")[2]
        assert resume.startswith("plan-")
        steps[1]["prompt"] = "A boat, blue"
        file.write_text(json.dumps({"steps": steps}), encoding="utf-8")
        again: dict[str, Any] = json.loads(invoke("plan", str(file), "--resume", resume, "--json").stdout)
        assert (again["status"], again["resumed_from"], len(again["images"])) == ("completed", resume, 2)
        assert simulator.state.counter()["creates"]["core.today"] == 3

    def test_a_cap_in_the_call_refuses_it_before_anything_is_sent(
        self, invoke: Invoke, home: Path, simulator: Running
    ) -> None:
        (home / "plan.json").write_text('[{"id": "a", "prompt": "A red car"}]', encoding="utf-8")
        ended = invoke("plan", "plan.json", "--max-cost", "1 credit")
        assert (ended.exit_code, ended.stdout) == (5, "")
        assert simulator.state.counter()["creates"]["core.today"] == 0

    def test_interrupted_it_says_how_the_plan_goes_on(
        self, interrupted: Interrupted, home: Path, simulator: Running
    ) -> None:
        simulator.state.script({"wire": "core.today", "on": "create", "seconds": 3600})
        (home / "plan.json").write_text('[{"id": "a", "prompt": "A red car"}]', encoding="utf-8")
        code, out, err = interrupted(signal.SIGINT, "stderr", "plan", "plan.json")
        assert (code, out) == (130, "")
        job = err.partition("Plan ")[2].partition(":")[0]
        assert "the rest once kontext runs again" in err
        assert f"kontext status {job} --wait 50" in err


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("plan.toml", "steps = ", "The plan's file is no TOML; nothing was sent."),
        ("plan.json", "[{", "The plan's file is no JSON; nothing was sent."),
        ("plan.json", "3", "The plan's file holds no plan; nothing was sent."),
        ("plan.json", "[" * 100_000, "The plan's file is nested too deep; nothing was sent."),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, name: str, text: str, why: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InvalidArgument) as refused:
        plan_file.read(tmp_path / name)
    assert (refused.value.failure.message, refused.value.failure.field) == (why, "file")


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_bytes(b"\xff\xfe\x00")
    for name, why in (
        ("plan.toml", "is no text in UTF-8"),
        ("none.toml", "cannot be read (No such file or directory)"),
    ):
        with pytest.raises(InvalidArgument, match=re.escape(why)):
            plan_file.read(tmp_path / name)


def test_pictures_of_a_step_are_named_from_the_plans_folder_and_what_is_no_file_stays(tmp_path: Path) -> None:
    images = ["$lake", "red-car-4k7q/1", "https://host/x.png", "cat.png", "/abs/cat.png", 3]
    steps = [{"id": f"s{i}", "prompt": "x", "image": image} for i, image in enumerate(images)]
    (tmp_path / "plan.json").write_text(json.dumps([*steps, "no step"]), encoding="utf-8")
    read = plan_file.read(tmp_path / "plan.json")["steps"]
    assert [step["image"] for step in read[:-1]] == [*images[:3], str(tmp_path / "cat.png"), *images[4:]]
    assert read[-1] == "no step"


def test_a_plan_that_cannot_be_read_ends_with_2_and_as_json_too(invoke: Invoke) -> None:
    ended = invoke("plan", "none.toml", "--json")
    assert ended.exit_code == 2
    assert json.loads(ended.stdout)["error"]["code"] == "invalid_argument"

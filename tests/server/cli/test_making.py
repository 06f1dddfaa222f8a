"""`edit` and `generate`, from what is typed to what is printed."""

from __future__ import annotations

import contextlib
import errno
import json
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from PIL import Image

from kontext_server.simulator.serve import Running
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.formats import PNG_MAGIC
from support.bucket import SECRET, Held

Invoke = Callable[..., Result]
Kontext = Callable[..., subprocess.CompletedProcess[str]]
OnTerminal = Callable[..., tuple[int, str, str]]
Interrupted = Callable[..., tuple[int, str, str]]

BAR = "\x1b["


def _seen(path: Path) -> tuple[str | None, tuple[int, int]]:
    with Image.open(path) as picture:
        return picture.format, picture.size


def test_an_edit_prints_its_results_path_and_nothing_else(kontext: Kontext, home: Path) -> None:
    ended = kontext("edit", "cat.png", "Make it warm", "--label", "warm cat")
    assert ended.returncode == 0
    [line] = ended.stdout.splitlines()
    path = Path(line)
    assert path.parent == home / ".share" / "kontext" / "images"
    assert _seen(path) == ("PNG", (451, 300))
    said = ended.stderr.splitlines()
    assert said[0].startswith("Editing at sandbox: job warm-cat-")
    assert said[1].startswith("Edited: warm-cat-")
    assert "no model was asked" in ended.stderr
    assert BAR not in ended.stderr


def test_o_copies_the_result_and_its_ending_chooses_the_format(invoke: Invoke, home: Path) -> None:
    ended = invoke("edit", "cat.png", "Make it warm", "-o", "warm.JPG")
    assert (ended.exit_code, ended.stdout) == (0, f"{home / 'warm.JPG'}\n")
    assert _seen(home / "warm.JPG")[0] == "JPEG"


def test_several_results_get_numbers_and_json_names_where_they_went(invoke: Invoke, home: Path) -> None:
    ended = invoke("generate", "a blue lake", "-n", "2", "-o", "lake.png", "--output-format", "jpeg", "--json")
    fields = json.loads(ended.stdout)
    assert ended.exit_code == 0
    assert fields["status"] == "completed"
    assert fields["saved"] == [str(home / "lake.png"), str(home / "lake-2.png")]
    assert [image["media_type"] for image in fields["images"]] == ["image/jpeg", "image/jpeg"]
    assert _seen(home / "lake-2.png")[0] == "JPEG"


def test_a_result_is_the_next_edits_picture(invoke: Invoke) -> None:
    first = json.loads(invoke("edit", "./cat.png", "Make it warm", "--json").stdout)
    ref = first["images"][0]["ref"]
    second = json.loads(invoke("edit", ref, "Make it bright", "--json").stdout)
    assert (second["parent"], second["depth"]) == (ref, 2)
    assert "saved" not in second


def test_a_taken_name_is_refused_before_anything_is_made(invoke: Invoke) -> None:
    ended = invoke("edit", "cat.png", "Make it warm", "-o", "cat.png")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "add --force" in ended.stderr
    assert invoke("images").stdout == ""


def test_a_copy_that_fails_tells_where_the_result_lies(
    invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", full)
    ended = invoke("edit", "cat.png", "Make it warm", "-o", "warm.webp")
    assert ended.exit_code == 1
    assert "No space left on device" in ended.stderr
    [line] = ended.stdout.splitlines()
    assert Path(line).parent == home / ".share" / "kontext" / "images"


@pytest.mark.parametrize(
    ("arguments", "code", "field"),
    [
        (("cat.png", "x", "--seed", "abc"), 2, "seed"),
        (("cat.png", "x", "--num-images", "5"), 2, "num_images"),
        (("cat.png", "x", "--guidance-scale", "3"), 2, "guidance_scale"),
        (("cat.png", "x", "--provider", "fal"), 3, "provider"),
        (("cat.png", "  "), 2, "prompt"),
        (("", "x"), 2, "image"),
        (("cats.png", "x"), 1, "image"),
        (("red-car-4k7q/1", "x"), 1, "image"),
    ],
)
def test_it_refuses_what_the_tool_refuses(invoke: Invoke, arguments: tuple[str, ...], code: int, field: str) -> None:
    ended = invoke("edit", *arguments, "--json")
    assert ended.exit_code == code
    assert json.loads(ended.stdout)["error"]["field"] == field
    assert len(ended.stderr.splitlines()) == 3


def test_a_parameter_is_taken_under_the_name_that_a_refusal_gives_it(invoke: Invoke) -> None:
    ended = invoke("edit", "cat.png", "x", "--num_images=4", "--aspect_ratio", "16x9", "--dry_run", "--json")
    request = json.loads(ended.stdout)["request"]
    assert (ended.exit_code, request["aspect_ratio"]) == (0, "16:9")


def test_a_dry_run_tells_the_price_and_makes_nothing(invoke: Invoke) -> None:
    ended = invoke("edit", "cat.png", "x", "--dry-run", "--prompt-upsampling")
    assert ended.exit_code == 0
    assert ended.stdout.startswith("Dry run: nothing was sent. sandbox would serve it for 0 usd.\n")
    assert '"prompt_upsampling": true' in ended.stdout
    assert "without --dry-run" in ended.stderr
    assert json.loads(invoke("images", "--json").stdout)["images"] == []


def test_interrupted_before_a_job_is_known_it_says_so(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("kontext_server.cli.session.run", interrupt)
    ended = invoke("generate", "a lake")
    assert ended.exit_code == 130
    assert "the same command joins it" in ended.stderr


def test_on_a_terminal_a_bar_moves_and_stdout_is_still_the_path(on_terminal: OnTerminal) -> None:
    code, out, shown = on_terminal("generate", "a lake")
    assert code == 0
    assert Path(out.strip()).is_file()
    assert BAR in shown
    assert "Generating at sandbox" in shown


def test_on_a_terminal_without_colours_nothing_moves(on_terminal: OnTerminal) -> None:
    code, _, shown = on_terminal("generate", "a lake", env={"NO_COLOR": "1"})
    assert code == 0
    assert BAR not in shown


def test_a_full_disk_ends_the_wait_and_the_next_look_keeps_the_result(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = FileBlobs.keep

    async def full(self: FileBlobs, temporary: Path, key: str) -> None:
        from kontext_tools.blobs.base import storage_failure

        if key.startswith("images/"):
            raise storage_failure(OSError(errno.ENOSPC, "No space left on device"))
        await keep(self, temporary, key)

    monkeypatch.setattr(FileBlobs, "keep", full)
    monkeypatch.setattr("kontext_server.cli.making.LOOK_S", 0.2)
    ended = invoke("edit", "cat.png", "Make it warm", "--json")
    fields = json.loads(ended.stdout)
    assert (ended.exit_code, fields["error"]["code"]) == (1, "storage_full")
    monkeypatch.setattr(FileBlobs, "keep", keep)
    later = invoke("status", fields["job_id"], "--wait", "20", "--json")
    assert json.loads(later.stdout)["status"] == "completed"


def test_a_picture_in_a_bucket_is_told_by_its_address_or_written_where_it_is_asked_to(
    invoke: Invoke, held: Held, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in held.settings.items():
        monkeypatch.setenv(name, value)
    made = invoke("generate", "a red car")
    (uri,) = made.stdout.splitlines()
    assert (made.exit_code, uri.rpartition("/images/")[0]) == (0, "kontext:/")
    out = tmp_path / "car.png"
    written = invoke("generate", "a blue car", "-o", str(out))
    assert (written.exit_code, written.stdout.splitlines()) == (0, [str(out)])
    assert out.read_bytes().startswith(PNG_MAGIC)
    assert SECRET not in made.stderr + written.stderr


class TestWithAProvider:
    """Against the simulated core.today."""

    @pytest.fixture(autouse=True)
    def configured(
        self,
        simulator: Running,
        invoke: Invoke,  # noqa: ARG002  # it clears the environment first
        environment: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        environment.update(simulator.settings)
        for name, value in simulator.settings.items():
            monkeypatch.setenv(name, value)

    @pytest.mark.parametrize(
        ("number", "in_background"), [(signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGTERM, True)]
    )
    def test_interrupted_it_says_that_the_job_goes_on(
        self, interrupted: Interrupted, simulator: Running, number: signal.Signals, *, in_background: bool
    ) -> None:
        simulator.state.script({"wire": "core.today", "on": "create", "seconds": 3600})
        typed = ("edit", "cat.png", "Make it warm", "--label", "warm")
        code, out, err = interrupted(number, "stderr", *typed, in_background=in_background)
        assert (code, out) == (130, "")
        job = err.split("job ")[1].partition(",")[0]
        assert f"kontext status {job} --wait 50" in err
        assert "Traceback" not in err

    def test_interrupted_while_a_create_is_on_its_way_it_waits_for_the_answer(
        self, interrupted: Interrupted, home: Path, simulator: Running
    ) -> None:
        create = {"wire": "core.today", "on": "create"}
        simulator.state.script(create | {"fault": "slow_body", "interval": 0.003, "seconds": 3600})
        code, _, err = interrupted(signal.SIGINT, "stderr", "generate", "a lake")
        assert (code, "the job goes on" in err) == (130, True)
        with contextlib.closing(sqlite3.connect(home / ".share" / "kontext" / "kontext.db")) as db:
            assert db.execute("SELECT state FROM sends").fetchall() == [("submitted",)]

    def test_a_failed_job_is_told_in_three_lines_and_by_its_exit_code(self, invoke: Invoke, simulator: Running) -> None:
        simulator.state.script({"wire": "core.today", "on": "create", "fault": "moderated"})
        ended = invoke("edit", "cat.png", "Make it warm", "--json")
        fields: dict[str, Any] = json.loads(ended.stdout)
        assert ended.exit_code == 4
        assert (fields["status"], fields["error"]["code"]) == ("failed", "moderated")
        assert len(ended.stderr.splitlines()) == 4
        told = invoke("status", fields["job_id"])
        assert (told.exit_code, "Fix: " in told.stderr) == (0, True)

    def test_a_refused_key_ends_with_3(self, invoke: Invoke, simulator: Running) -> None:
        simulator.state.script({"wire": "core.today", "on": "create", "fault": "401"})
        ended = invoke("generate", "a lake")
        assert (ended.exit_code, ended.stdout) == (3, "")

    def test_where_nobody_can_be_asked_a_dear_call_is_refused(
        self, invoke: Invoke, simulator: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KONTEXT_CONFIRM_ABOVE", "1 credit")
        ended = invoke("generate", "a lake", typed="y\n")
        assert (ended.exit_code, ended.stdout) == (5, "")
        assert "code confirmation_needed" in ended.stderr
        assert simulator.state.counter()["creates"]["core.today"] == 0

    def test_on_a_terminal_the_person_is_asked_and_yes_makes_it(
        self, on_terminal: OnTerminal, simulator: Running
    ) -> None:
        code, out, shown = on_terminal("generate", "a lake", typed="y\n", env={"KONTEXT_CONFIRM_ABOVE": "1 credit"})
        assert shown.count("Generating 1 picture costs 120 credit at core.today. Go on? [y/N]") == 1
        assert code == 0
        assert Path(out.strip()).is_file()
        assert simulator.state.counter()["charged"]["core.today"] == 1

    def test_on_a_terminal_no_sends_nothing(self, on_terminal: OnTerminal, simulator: Running) -> None:
        code, out, shown = on_terminal("generate", "a lake", typed="n\n", env={"KONTEXT_CONFIRM_ABOVE": "1 credit"})
        assert (code, out) == (5, "")
        assert "code confirmation_needed" in shown
        assert simulator.state.counter()["creates"]["core.today"] == 0

    def test_a_dry_run_asks_nobody_and_says_that_somebody_would_be(
        self, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KONTEXT_CONFIRM_ABOVE", "1 credit")
        ended = invoke("generate", "a lake", "--dry-run")
        assert (ended.exit_code, "a person is asked before it is sent" in ended.stdout) == (0, True)

    def test_yes_does_not_lift_a_cap(self, on_terminal: OnTerminal, simulator: Running) -> None:
        caps = {"KONTEXT_CONFIRM_ABOVE": "1 credit", "KONTEXT_DAILY_BUDGET": "2 credit"}
        code, _, shown = on_terminal("generate", "a lake", typed="y\n", env=caps)
        assert (code, "code budget_exceeded" in shown) == (5, True)
        assert simulator.state.counter()["creates"]["core.today"] == 0

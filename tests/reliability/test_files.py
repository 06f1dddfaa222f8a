"""RELIABILITY.md F01-F05, F09: what a model can name as a file, and where its names lead."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path

import anyio
import pytest

from kontext_server.simulator.serve import Running
from kontext_tools.errors import SourceNotAllowed
from kontext_tools.http import Http
from kontext_tools.sources import Sources
from support import hostile
from support.naming import SECRET, allowed_folder, asked, given, sent_nothing
from support.stdio_server import COMMAND, call, connected, environment, fields_of

CAMPAIGN, SAMPLE = 5_000, 400


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return allowed_folder(tmp_path)


@pytest.mark.anyio
async def test_F01_no_secret_of_the_machine_is_read_and_a_missing_one_reads_the_same(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True)
    (keys / "id_rsa").write_text(SECRET, encoding="utf-8")
    os.mkfifo(folder / "pipe.png")
    named = ["~/.ssh/id_rsa", "~/.ssh/id_none", "/etc/passwd", "/etc/none", "/proc/self/environ", "/proc/self/none"]
    named += ["/dev/zero", "/dev/none", str(folder / "pipe.png"), str(tmp_path / "data" / "kontext.db")]
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder)) as client:
            answers = {image: await asked(client, image) for image in named}
    assert len(set(answers.values())) == 1, answers
    assert answers["/etc/passwd"][0] == "source_not_allowed"
    assert sent_nothing(simulator)


@pytest.mark.anyio
async def test_F02_no_spelling_of_a_path_leads_out_of_the_allowed_folder(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    outside = f"outside/{SECRET}.png"
    named = [
        f"{folder}/../{outside}",
        f"{folder}/./../{outside}",
        f"{folder}/sub/../../{outside}",
        f"../{outside}",
        f"{tmp_path}/{outside}",
        f"//{tmp_path}/{outside}",
        f"{folder}-evil/{SECRET}.png",
        f"file://{folder}/%2e%2e/{outside}",
        f"file://{folder}/%252e%252e/{outside}",
        f"{folder}/%2e%2e/{outside}",
        f"{folder}/..%2f{outside}",
        f"{folder}\x00/../{outside}",
        f"{folder}/cat.png\x00",
        f"{folder}\\..\\outside\\{SECRET}.png",
        f"{folder}/..\\{outside}",
        f"{folder}/cat.png.",
        f"{folder}/.. /{outside}",
        f"{folder}/..",
        str(folder),
    ]
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder)) as client:
            codes = {image: (await asked(client, image))[0] for image in named}
            fine, _ = await asked(client, f"{folder}/cat.png", dry_run=True)
    assert set(codes.values()) == {"source_not_allowed", "source_unreadable", "invalid_argument"}, codes
    assert {image for image, code in codes.items() if code == "invalid_argument"} == {named[11], named[12]}
    assert fine == ""
    assert sent_nothing(simulator)


@pytest.mark.anyio
async def test_F03_links_that_lead_out_are_refused_and_a_hard_link_to_a_text_is_no_picture(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    """A hard link to a picture is that picture: nothing tells it apart, and whoever may make one may read it."""
    (folder / "link.png").symlink_to(tmp_path / "outside" / f"{SECRET}.png")
    (folder / "sub").symlink_to(tmp_path / "outside")
    (folder / "twice.png").symlink_to(folder / "link.png")
    os.link(tmp_path / "outside" / "secret.txt", folder / "hard.png")
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder)) as client:
            for image in ("link.png", f"sub/{SECRET}.png", "twice.png"):
                assert (await asked(client, str(folder / image)))[0] == "source_not_allowed", image
            assert (await asked(client, str(folder / "hard.png")))[0] == "source_unreadable"
    assert sent_nothing(simulator)


@pytest.mark.anyio
@pytest.mark.parametrize("what", ["file", "folder"])
async def test_F04_a_path_swapped_between_the_check_and_the_opening_gives_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    secret = folder.parent / "outside"
    (folder / "deep").mkdir()
    (folder / "deep" / "a.png").write_bytes(hostile.plain())
    (secret / "a.png").write_bytes(hostile.plain(width=13, height=7))
    swaps = {"file": (folder / "deep" / "a.png", secret / "a.png"), "folder": (folder / "deep", secret)}
    real_open = os.open

    def swapped_open(path: Path, flags: int) -> int:
        here, there = swaps[what]
        here.rename(folder / "away")
        here.symlink_to(there)
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", swapped_open)
    sources = Sources(Http(), roots=[folder])
    with pytest.raises(SourceNotAllowed) as refused:
        await sources.from_file(folder / "deep" / "a.png")
    assert refused.value.failure == sources.not_allowed().failure


@pytest.mark.campaign
@pytest.mark.anyio
async def test_F04_a_path_swapped_to_a_symlink_in_a_tight_loop_never_leaks_the_secret(
    folder: Path, whole_campaign: bool
) -> None:
    secret, picture, honest = folder.parent / "outside" / "s.png", folder / "a.png", hostile.plain()
    secret.write_bytes(hostile.plain(width=13, height=7))
    picture.write_bytes(honest)
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            (folder / "to-come").symlink_to(secret)
            (folder / "to-come").replace(picture)
            (folder / "to-come").write_bytes(honest)
            (folder / "to-come").replace(picture)

    sources, read, refused = Sources(Http(), roots=[folder]), 0, 0
    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(CAMPAIGN if whole_campaign else SAMPLE):
            try:
                facts = (await sources.from_file(picture)).facts
            except SourceNotAllowed:
                refused += 1
            else:
                read += 1
                assert (facts.width, facts.height) == (60, 40)
    finally:
        ended.set()
        swapper.join()
    print(f"{read} reads of the picture, {refused} refused")


@pytest.mark.anyio
async def test_F05_only_the_documented_schemes_are_taken(tmp_path: Path, folder: Path, simulator: Running) -> None:
    picture = base64.b64encode(hostile.plain()).decode()
    cases = {
        f"file://{folder}/cat.png": "",
        f"FILE://{folder}/cat.png": "",
        f"data:image/png;base64,{picture}": "",
        f"file://other-machine{folder}/cat.png": "source_not_allowed",
        f"file://127.0.0.1{folder}/cat.png": "source_not_allowed",
        "file:///etc/passwd": "source_not_allowed",
        "FILE:///etc/passwd": "source_not_allowed",
        "file:cat.png": "source_not_allowed",
        "data:text/html,<script>alert(1)</script>": "source_unreadable",
        f"data:text/html;base64,{base64.b64encode(b'<script>').decode()}": "source_unreadable",
        "data:image/png;base64," + "A" * 13_400_000: "source_too_large",
        "data:image/png;base64," + "A" * 80_000_000: "source_too_large",
        "blob:https://example.com/1": "source_not_allowed",
        "gopher://example.com/1": "source_not_allowed",
        "ftp://example.com/cat.png": "source_not_allowed",
        "http://example.com/cat.png": "source_not_allowed",
        "javascript:alert(1)": "source_not_allowed",
        "\\\\host\\share\\cat.png": "source_not_allowed",
    }
    with anyio.fail_after(120):
        async with connected(tmp_path, given(simulator, folder)) as client:
            for image, code in cases.items():
                told = await asked(client, image, dry_run=True)
                assert told[0] == code, (image[:60], told)
                assert len(told[1]) < 2_000
    assert sent_nothing(simulator)


NAMES = ("../../outside", "/etc/cron.d/x", "..\\..\\x", "CON", "NUL.png", "..", "a\x00b", "~/x", "-rf", "x" * 4_000)


@pytest.mark.anyio
async def test_F09_no_name_that_a_model_gives_leads_out_of_the_data_folder(
    tmp_path: Path, folder: Path, simulator: Running
) -> None:
    before, outputs, ids = set(tmp_path.rglob("*")), tmp_path / "outputs", list[str]()
    with anyio.fail_after(60):
        async with connected(tmp_path, given(simulator, folder, KONTEXT_OUTPUT_DIR=str(outputs))) as client:
            for number, name in enumerate(NAMES):
                edit = {"image": str(folder / "cat.png"), "prompt": f"{number} {name}"[:1_000].replace("\x00", "")}
                made = fields_of(await call(client, "edit_image", **edit, label=name, wait_seconds=0))
                assert made.get("error", {}).get("code", "invalid_argument") == "invalid_argument", name[:20]
                ids += [made["job_id"]] if "job_id" in made else []
                for wrong in ("output_folder", "filename", "path"):
                    refused = await call(client, "edit_image", **edit, **{wrong: name})
                    assert fields_of(refused)["error"]["code"] == "invalid_argument"
            for job_id in ids:
                ended = fields_of(await call(client, "get_status", job_id=job_id, wait_seconds=50))
                assert ended["status"] == "completed"
    assert len(ids) >= 6
    new = set(tmp_path.rglob("*")) - before
    mine = (tmp_path / "data", outputs, tmp_path / "home", tmp_path / "config")
    assert [path for path in new if not any(path.is_relative_to(place) for place in mine)] == []
    kept = [path.name for path in new if path.suffix == ".png" and path.parent.name in ("images", "outputs")]
    assert len(kept) == 2 * len(ids)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.") for name in kept)


@pytest.mark.parametrize("value", ["../up", "a/../../b", "x" * 257])
def test_F09_a_folder_at_the_provider_is_judged_at_start(tmp_path: Path, value: str) -> None:
    settings = environment(tmp_path, {"CORE_TODAY_OUTPUT_FOLDER": value})
    ended = subprocess.run(COMMAND, env=settings, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert "CORE_TODAY_OUTPUT_FOLDER" in ended.stderr and value not in ended.stderr

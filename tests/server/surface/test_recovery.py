"""Errors that teach: for each refusal that a caller can mend, its fix, applied to the letter, makes the next call pass.

The one who mends here is a dozen patterns: what they cannot follow, a model has to guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.client import Client

from kontext_server.app import build
from kontext_server.settings import load
from kontext_server.simulator.serve import Running, running
from kontext_server.surface.server import make_server
from support.stdio_server import fields_of
from support.workshop import png

pytestmark = pytest.mark.anyio

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One server, what lies on its disk, and what was made there."""

    client: Client
    photo: str
    job_id: str
    ref: str
    other: str
    """The id of a job with two pictures."""

    async def call(self, call: Call) -> types.CallToolResult:
        with anyio.fail_after(60):
            return await _called(self.client, call)


@pytest.fixture(scope="module")
def host() -> Generator[Running]:
    with running(job_seconds=0.0) as started:
        yield started


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory, host: Running) -> AsyncGenerator[Bench]:
    """One server for all cases: each asks of it what was never asked before, or sends nothing."""
    tmp_path = tmp_path_factory.mktemp("bench")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    photo = pictures / "cat.png"
    photo.write_bytes(png())
    (pictures / "broken.png").write_bytes(b"no picture")
    settings = {name.lower(): value for name, value in host.settings.items()}
    read = load(
        kontext_data_dir=tmp_path / "data", kontext_image_roots=str(pictures), kontext_preview="none", **settings
    )
    async with Client(make_server(build(read)), mode="legacy") as client:
        made = {"prompt": "A lake", "wait_seconds": 50, "provider": "sandbox"}
        one = fields_of(await _called(client, ("generate_image", made)))
        two = fields_of(await _called(client, ("generate_image", {**made, "num_images": 2})))
        yield Bench(
            client=client, photo=str(photo), job_id=one["job_id"], ref=one["images"][0]["ref"], other=two["job_id"]
        )


async def _called(client: Client, call: Call) -> types.CallToolResult:
    result = await client.call_tool(*call)
    assert isinstance(result, types.CallToolResult)
    return result


Mend = Callable[[re.Match[str], Call, dict[str, Any]], Call]


def _set(call: Call, field: str, value: Any) -> Call:
    """Give the call with one argument set: `steps[1].seed` reaches into a list."""
    tool, arguments = call[0], json.loads(json.dumps(call[1]))
    place, *rest = re.findall(r"\w+|\[\d+\]", field)
    at: Any = arguments
    key: Any = place
    for part in rest:
        at, key = at[key], int(part[1:-1]) if part.startswith("[") else part
    at[key] = value
    return tool, arguments


def _drop(call: Call, name: str) -> Call:
    return call[0], {key: value for key, value in call[1].items() if key != name}


def _value(text: str) -> Any:
    bare = text.strip("'\"")
    return int(bare) if re.fullmatch(r"-?\d+", bare) else bare


def _renamed(found: re.Match[str], call: Call, _: dict[str, Any]) -> Call:
    """Rename the argument that no tool has."""
    known = {"image", "prompt", "keep", "seed", "num_images", "aspect_ratio", "job_id", "steps", "query", "refs"}
    known |= {"output_format", "wait_seconds", "dry_run", "label", "provider", "safety_tolerance", "request_key"}
    (wrong,) = call[1].keys() - known
    return _set(_drop(call, wrong), found[1], call[1][wrong])


FOLLOWED: list[tuple[str, Mend]] = [
    (r"^In (steps\[\d+\]): Call again with (\w+)=(\S+?)\.$", lambda m, c, _: _set(c, f"{m[1]}.{m[2]}", _value(m[3]))),
    (r"^Write image '([^']+)'.* in (steps\[\d+\]), and call again\.$", lambda m, c, _: _set(c, f"{m[2]}.image", m[1])),
    (r"^Give (steps\[\d+\]) an id of .*such as (\w+), and call again\.$", lambda m, c, _: _set(c, f"{m[1]}.id", m[2])),
    (r"^Call again with (\w+) instead\.$", _renamed),
    (r"^Call again with (\w+)=('[^']*'|[^\s;.]+)", lambda m, c, _: _set(c, m[1], _value(m[2]))),
    (r"^Call again with (\w+) one of: ([^,.]+)[,.]", lambda m, c, _: _set(c, m[1], m[2])),
    (r"^Call again with (\w+) one of ([^,.]+)[,.]", lambda m, c, _: _set(c, m[1], m[2])),
    (
        r"^Call again with (?:one of the nearest|one of|one of these): ([^,]+?)[,.](?:\s|$)",
        lambda m, c, e: _set(c, e["field"], m[1]),
    ),
    (r"^Call again with (prompt)\b.*?'(.+)'\.$", lambda m, c, _: _set(c, m[1], m[2])),
    (r"^Call again with max_cost .*?such as '([^']+)'", lambda m, c, _: _set(c, "max_cost", m[1])),
    (r"^Call again without (\w+)", lambda m, c, _: _drop(c, m[1])),
    (r"^Call again with another request_key", lambda _, c, __: _set(c, "request_key", "another")),
    (r"^Call again with (\d+) to \d+ in (\w+)\.$", lambda m, c, _: _set(c, m[2], c[1][m[2]][: int(m[1])])),
    (r"^Give (\w+) as (\d+) to \d+\.$", lambda m, c, _: _set(c, m[1], int(m[2]))),
    (r"^Give (\w+) as true or false\.$", lambda m, c, _: _set(c, m[1], True)),
    (r"^Call one of: (\w+)", lambda m, c, _: (m[1], c[1])),
]


def mended(call: Call, error: dict[str, Any]) -> Call:
    """Do what the fix says, to the letter."""
    for pattern, mend in FOLLOWED:
        found = re.search(pattern, error["fix"])
        if found:
            return mend(found, call, error)
    raise AssertionError(f"nobody could follow: {error['fix']}")


def edit(**arguments: Any) -> Callable[[Bench], Call]:
    """Give an edit that is only priced."""
    return lambda bench: ("edit_image", {"image": bench.ref, "prompt": "Make it night", "dry_run": True, **arguments})


def plan(*steps: dict[str, Any], **arguments: Any) -> Callable[[Bench], Call]:
    return lambda _: ("run_plan", {"steps": list(steps), "dry_run": True, **arguments})


HERO = {"id": "hero", "prompt": "A red car", "num_images": 2}

CASES: dict[str, tuple[str, Callable[[Bench], Call]]] = {
    "a name that is nearly one": ("invalid_argument", edit(aspectratio="16:9")),
    "a ratio that nobody has": ("invalid_argument", edit(aspect_ratio="17:9")),
    "a format that nobody writes": ("invalid_argument", edit(output_format="tiff")),
    "a number out of its range": ("invalid_argument", edit(num_images=9)),
    "a number that is none": ("invalid_argument", edit(num_images="many")),
    "a flag that is none": ("invalid_argument", edit(prompt_upsampling="perhaps")),
    "an empty prompt": ("invalid_argument", edit(prompt=" ")),
    "no prompt": ("invalid_argument", lambda bench: _drop(edit()(bench), "prompt")),
    "a provider that nobody is": ("invalid_argument", edit(provider="midjourney")),
    "a tool that nobody has": ("invalid_argument", lambda bench: ("edit_images", edit()(bench)[1])),
    "a mistyped reference": (
        "unknown_ref",
        lambda bench: _set(edit()(bench), "image", bench.ref.replace("lake", "lakke")),
    ),
    "a picture that the job has not": ("unknown_ref", lambda bench: _set(edit()(bench), "image", f"{bench.job_id}/3")),
    "a job of two pictures": ("unknown_ref", lambda bench: _set(edit()(bench), "image", bench.other)),
    "a mistyped job": ("not_found", lambda bench: ("get_status", {"job_id": bench.job_id + "0"})),
    "a file that is nearly one": (
        "source_unreadable",
        lambda bench: _set(edit()(bench), "image", bench.photo.replace("cat", "cta")),
    ),
    "what the named provider does not take": ("unsupported_by_provider", edit(provider="sandbox", guidance_scale=3)),
    "more safety than an edit is given": ("unsupported_by_provider", edit(safety_tolerance=6)),
    "a step that is nearly one": ("plan_invalid", plan(HERO, {"id": "b", "prompt": "Night", "image": "$heroo"})),
    "an output that will not be there": (
        "plan_invalid",
        plan(HERO, {"id": "b", "prompt": "Night", "image": "$hero/3"}),
    ),
    "a fan-out without saying which": (
        "plan_invalid",
        plan(HERO, {"id": "b", "prompt": "Night", "image": "$hero/*"}, {"id": "c", "prompt": "Snow", "image": "$b"}),
    ),
    "an id that is no name": ("plan_invalid", plan({"id": "a b", "prompt": "A red car"})),
    "a ratio in a step that nobody has": ("invalid_argument", plan({**HERO, "aspect_ratio": "17:9"})),
    "a cap without its unit": ("invalid_argument", plan(HERO, max_cost="5")),
    "a resumed job that is no plan": (
        "not_found",
        lambda bench: ("run_plan", {"steps": [HERO], "dry_run": True, "resume_job_id": bench.job_id}),
    ),
    "too many references": ("invalid_argument", lambda bench: ("view_images", {"refs": [bench.ref] * 5})),
    "a mistyped reference to view": (
        "unknown_ref",
        lambda bench: ("view_images", {"refs": [bench.ref.replace("lake", "lakke")]}),
    ),
    "a day that nobody knows": ("invalid_argument", lambda _: ("find_images", {"since": "some time ago"})),
    "a cursor of nobody": ("invalid_argument", lambda _: ("find_images", {"cursor": "nonsense"})),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_fix_that_is_followed_to_the_letter_makes_the_next_call_pass(bench: Bench, case: str) -> None:
    code, make = CASES[case]
    call = make(bench)
    refused = await bench.call(call)
    assert refused.is_error
    error = fields_of(refused)["error"]
    assert error["code"] == code
    passed = await bench.call(mended(call, error))
    assert not passed.is_error, fields_of(passed)


async def test_a_request_key_of_another_call_is_mended_by_another_key(bench: Bench) -> None:
    first = {"prompt": "A lake", "provider": "sandbox", "request_key": "mine", "wait_seconds": 0}
    await bench.call(("generate_image", first))
    call: Call = ("generate_image", {**first, "prompt": "A hill"})
    error = fields_of(await bench.call(call))["error"]
    assert error["code"] == "idempotency_conflict"
    assert not (await bench.call(mended(call, error))).is_error


async def test_a_plan_that_runs_is_waited_for_before_it_is_resumed_with_others(bench: Bench) -> None:
    running = fields_of(await bench.call(("run_plan", {"steps": [HERO], "wait_seconds": 0})))
    call: Call = ("run_plan", {"steps": [{**HERO, "prompt": "A boat"}], "resume_job_id": running["job_id"]})
    error = fields_of(await bench.call(call))["error"]
    found = re.search(r"Call get_status\(job_id='([^']+)', wait_seconds=25\) until it has ended", error["fix"])
    assert error["code"] == "plan_invalid" and found is not None
    while fields_of(await bench.call(("get_status", {"job_id": found[1], "wait_seconds": 25})))["status"] in (
        "pending",
        "processing",
    ):
        continue
    assert not (await bench.call(call)).is_error


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("/etc/hostname", "source_not_allowed"),
        ("http://example.com/cat.png", "source_not_allowed"),
        ("{folder}/broken.png", "source_unreadable"),
        ("data:image/png;base64,AAAA", "source_unreadable"),
        ("data:image/png;base64," + "A" * 14_000_000, "source_too_large"),
    ],
)
async def test_a_source_that_cannot_be_taken_says_what_can(bench: Bench, image: str, code: str) -> None:
    call = _set(edit()(bench), "image", image.format(folder=Path(bench.photo).parent))
    error = fields_of(await bench.call(call))["error"]
    assert error["code"] == code
    assert re.search(r"absolute path|pass that (file|path)|https address|JPEG|PNG", error["fix"])
    assert not (await bench.call(_set(call, error["field"], bench.photo))).is_error


async def test_what_a_provider_limits_is_taken_up_and_goes_out_after_the_wait(
    tmp_path: Path, simulator: Running
) -> None:
    # A server of its own: the host's gate stays closed to whoever calls next.
    simulator.state.script({"wire": "core.today", "on": "create", "fault": "429", "retry_after": "600"})
    settings: dict[str, Any] = {name.lower(): value for name, value in simulator.settings.items()}
    call: Call = ("generate_image", {"prompt": "A limit", "wait_seconds": 50})
    with anyio.fail_after(60):
        async with Client(make_server(build(load(kontext_data_dir=tmp_path, **settings))), mode="legacy") as client:
            error = fields_of(await _called(client, call))["error"]
            taken = await _called(client, _set(call, "wait_seconds", 0))
    assert (error["code"], error["retryable"], error["retry_after_s"]) == ("rate_limited", True, 600)
    assert error["fix"].startswith("Call again with the same arguments after the wait")
    assert not taken.is_error and fields_of(taken)["status"] == "pending"

"""The Dockerfile: no image is built in the tests, so its rules are read off its text, and its health check is run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path

import pytest

from support.built import ROOT
from support.http_server import served

FILE = ROOT / "server" / "packing" / "Dockerfile"
TEXT = FILE.read_text(encoding="utf-8")

Lines = Sequence[tuple[str, str]]


def _lines(text: str) -> Lines:
    """Give each instruction and its argument, continued lines joined."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", code)
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in joined.splitlines()) if name]


def _of(lines: Lines, name: str) -> list[str]:
    return [argument for called, argument in lines if called == name]


def _sources_after_needs(lines: Lines) -> bool:
    copied = [
        argument for called, argument in takewhile(lambda line: "pip install" not in line[1], lines) if called == "COPY"
    ]
    return copied == ["pyproject.toml constraints.txt ./"]


def _is_exec(argument: str) -> bool:
    return argument.startswith("[") and isinstance(json.loads(argument), list)


RULES: dict[str, Callable[[Lines], bool]] = {
    "a base is pinned by a tag": lambda lines: all(
        re.match(r"\S+:(?!latest\b)\S+", base) for base in _of(lines, "FROM")
    ),
    "ADD is not used": lambda lines: not _of(lines, "ADD"),
    "the last user is a number and not root": lambda lines: (
        re.fullmatch(r"[1-9]\d*:[1-9]\d*", ["", *_of(lines, "USER")][-1]) is not None
    ),
    "nothing is upgraded or fetched by the system's packages": lambda lines: (
        not any("apt" in run.split() or "apt-get" in run for run in _of(lines, "RUN"))
    ),
    "pip leaves no cache": lambda lines: all(
        "--no-cache-dir" in part for run in _of(lines, "RUN") for part in run.split("&&") if "pip install" in part
    ),
    "byte-code is compiled": lambda lines: all(
        "--compile" in part for run in _of(lines, "RUN") for part in run.split("&&") if "pip install" in part
    ),
    "what is needed is installed before the sources are copied": _sources_after_needs,
    "the program and its arguments are lists": lambda lines: all(
        _is_exec(argument) for name in ("ENTRYPOINT", "CMD") for argument in _of(lines, name) or [""]
    ),
    "the health is checked, by a list": lambda lines: (
        [_is_exec(check.partition("CMD ")[2]) for check in _of(lines, "HEALTHCHECK")] == [True]
    ),
    "a folder of work is absolute, and `cd` not used": lambda lines: (
        all(folder.startswith("/") for folder in _of(lines, "WORKDIR"))
        and not any(re.search(r"(?:^|&& )cd ", run) for run in _of(lines, "RUN"))
    ),
    "no key stands in it": lambda lines: (
        not any(
            re.search(r"(?:_KEY|_TOKEN)=", argument) for name in ("ENV", "ARG", "RUN") for argument in _of(lines, name)
        )
    ),
}

BROKEN = {
    "a base is pinned by a tag": ("FROM python:3.12-slim\n", "FROM python\n"),
    "ADD is not used": ("COPY tools tools", "ADD tools tools"),
    "the last user is a number and not root": ("USER 10001:10001", "USER root"),
    "nothing is upgraded or fetched by the system's packages": ("RUN useradd", "RUN apt-get upgrade && useradd"),
    "pip leaves no cache": ("--no-cache-dir --compile --no-deps", "--compile --no-deps"),
    "byte-code is compiled": ("--compile --constraint", "--constraint"),
    "what is needed is installed before the sources are copied": ("COPY pyproject.toml", "COPY tools pyproject.toml"),
    "the program and its arguments are lists": ('CMD ["serve"]', "CMD serve"),
    "the health is checked, by a list": ('CMD ["python", "-c",', "CMD python -c"),
    "a folder of work is absolute, and `cd` not used": ("WORKDIR /src", "WORKDIR src"),
    "no key stands in it": ("HOME=/data", "FAL_KEY=x"),
}


@pytest.mark.parametrize("rule", RULES)
def test_the_dockerfile_keeps_each_rule_and_a_broken_one_is_found(rule: str) -> None:
    good, bad = BROKEN[rule]
    assert RULES[rule](_lines(TEXT))
    assert good in TEXT and not RULES[rule](_lines(TEXT.replace(good, bad)))


def test_it_copies_what_lies_here_and_its_context_lets_through() -> None:
    ignored = FILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    copied = {name for copy in _of(_lines(TEXT), "COPY") if not copy.startswith("--from") for name in copy.split()[:-1]}
    assert ignored[1] == "*"
    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_its_health_check_asks_a_server_over_http_and_no_other(tmp_path: Path) -> None:
    """Run here as it stands, but for where the first process's arguments are read and where the server is."""
    (check,) = _of(_lines(TEXT), "HEALTHCHECK")
    program, *arguments = json.loads(check.partition("CMD ")[2])
    assert program == "python"
    started = tmp_path / "cmdline"

    def health(port: int) -> int:
        asked = [argument.replace("/proc/1/cmdline", str(started)).replace("8765", str(port)) for argument in arguments]
        return subprocess.run([sys.executable, *asked], capture_output=True, check=False).returncode

    started.write_bytes(b"python\0kontext\0serve\0")
    assert health(1) == 0
    started.write_bytes(b"python\0kontext\0serve\0--http\0")
    assert health(1) != 0
    with served(tmp_path) as server:
        assert health(int(server.base.rpartition(":")[2])) == 0

"""RELIABILITY.md X01: what the product's code never does, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("tools/**/*.py"), *ROOT.glob("server/**/*.py")])
CLI = "server/kontext_server/cli"
CLIENTS = "server/kontext_server/clients"
STARTS_PROCESSES = (f"{CLI}/demo", f"{CLI}/opening", f"{CLIENTS}/commands", f"{CLIENTS}/shown")
"""Where a subprocess may be started: fixed argument lists, no shell (CONTRACT.md section 5). `shown` starts none: it
writes a command down as Windows' shell reads it, by the rule that `subprocess` has for that."""
SPEAKS_HTTP = ("tools/kontext_tools/http.py", f"{CLI}/demo", "server/kontext_server/simulator/")
"""The guarded factory; the demonstration's MCP client; the simulator, which is no part of serving."""

PROCESSES = frozenset({"subprocess", "pty", "multiprocessing"})
CODE_FROM_DATA = frozenset({"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "code", "codeop"})
NETWORK = frozenset({"httpx", "httpx2", "requests", "aiohttp", "urllib3", "http.client", "urllib.request", "ftplib"})
SHELLS = frozenset(
    {"os.system", "os.popen", "asyncio.create_subprocess_shell", "asyncio.create_subprocess_exec"}
    | {"anyio.run_process", "anyio.open_process", "os.posix_spawn", "os.fork"}
)

Finding = tuple[int, str]


def dotted(node: ast.expr) -> str:
    """Give a name with its dots; empty for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return ""


def imported(tree: ast.AST) -> Iterator[Finding]:
    """Yield every module that is imported, and every name from one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Yield every call with the name of what is called."""
    return ((node, dotted(node.func)) for node in ast.walk(tree) if isinstance(node, ast.Call))


def keywords(call: ast.Call) -> set[str]:
    """Give the names of the arguments given by name."""
    return {keyword.arg for keyword in call.keywords if keyword.arg}


def at_home(path: str, homes: tuple[str, ...]) -> bool:
    """Whether a file may do it."""
    return path.startswith(homes)


def processes(path: str, tree: ast.AST) -> Iterator[Finding]:
    """No process is started outside the command line's few commands; `os.exec` and its like nowhere."""
    for line, name in imported(tree):
        if name.partition(".")[0] in PROCESSES and not at_home(path, STARTS_PROCESSES):
            yield line, name
    for call, name in calls(tree):
        if name.startswith(("os.exec", "os.spawn")) or name in SHELLS:
            if name.startswith("anyio.") and at_home(path, STARTS_PROCESSES):
                continue
            yield call.lineno, name


def shells(_: str, tree: ast.AST) -> Iterator[Finding]:
    """No shell, whoever starts a process."""
    for call, name in calls(tree):
        if "shell" in keywords(call):
            yield call.lineno, f"{name}(shell=)"


def code_from_data(_: str, tree: ast.AST) -> Iterator[Finding]:
    """Nothing that came as data is run: no eval, no exec, no pickle, no YAML that makes objects."""
    yield from ((line, name) for line, name in imported(tree) if name.partition(".")[0] in CODE_FROM_DATA | {"yaml"})
    for call, name in calls(tree):
        if name in {"eval", "exec", "compile", "__import__", "builtins.eval", "builtins.exec"} or name == "yaml.load":
            yield call.lineno, name


def decoders(_: str, tree: ast.AST) -> Iterator[Finding]:
    """Each picture is opened by a named decoder (43 are on otherwise)."""
    for call, name in calls(tree):
        if name.endswith("Image.open") and "formats" not in keywords(call):
            yield call.lineno, name
    for line, name in imported(tree):
        if name in {"PIL.Image.open", "PIL.ImageFile"}:
            yield line, name


def clients(path: str, tree: ast.AST) -> Iterator[Finding]:
    """No HTTP client outside the guarded factory; nobody opens a browser but the command line."""
    for line, name in imported(tree):
        spoken = any(name == module or name.startswith(f"{module}.") for module in NETWORK)
        if spoken and not at_home(path, SPEAKS_HTTP):
            yield line, name
        if name.partition(".")[0] == "webbrowser" and not at_home(path, (CLI,)):
            yield line, name


RULES: tuple[Callable[[str, ast.AST], Iterator[Finding]], ...] = (processes, shells, code_from_data, decoders, clients)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_X01_the_products_code_keeps_the_rule(rule: Callable[[str, ast.AST], Iterator[Finding]]) -> None:
    assert len(SOURCES) > 80
    found: list[str] = []
    for source in SOURCES:
        path = source.relative_to(ROOT).as_posix()
        found += [f"{path}:{line} {name}" for line, name in rule(path, ast.parse(source.read_text(encoding="utf-8")))]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "program"),
    [
        (processes, "import subprocess"),
        (processes, "from subprocess import run"),
        (processes, "import os\nos.system('x')"),
        (processes, "import os\nos.execv('x', [])"),
        (processes, "import asyncio\nasyncio.create_subprocess_exec('x')"),
        (shells, "run('x', shell=True)"),
        (code_from_data, "eval('1')"),
        (code_from_data, "from pickle import loads"),
        (code_from_data, "import yaml"),
        (decoders, "from PIL import Image\nImage.open('x')"),
        (decoders, "import PIL.Image\nPIL.Image.open('x')"),
        (clients, "import httpx2"),
        (clients, "from urllib.request import urlopen"),
        (clients, "from http.client import HTTPConnection"),
        (clients, "import webbrowser"),
    ],
)
def test_X01_each_rule_finds_what_it_forbids(rule: Callable[[str, ast.AST], Iterator[Finding]], program: str) -> None:
    assert list(rule("tools/kontext_tools/example.py", ast.parse(program)))

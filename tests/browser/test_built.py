"""The one file of the studio: small, whole in itself, and what its sources build."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "server" / "kontext_server" / "assets" / "studio.html"
MOST_BYTES, MOST_GZIPPED = 40_000, 15_000
"""It is sent at each opening, so that its size is a wait."""


def test_it_is_small() -> None:
    html = BUILT.read_bytes()
    assert len(html) <= MOST_BYTES
    assert len(gzip.compress(html, 9)) <= MOST_GZIPPED


def test_it_loads_nothing_from_anywhere() -> None:
    html = BUILT.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|url\(|<link|<img|src=|import\(", html)
    assert "eval(" not in html
    assert "innerHTML" not in html


def test_it_is_what_its_sources_build(tmp_path: Path) -> None:
    studio = ROOT / "server" / "studio"
    node = ROOT / ".ci" / "node" / "node_modules" / ".bin"
    vite = studio / "node_modules" / "vite" / "bin" / "vite.js"
    if not vite.exists() or not (node / "node").exists():
        pytest.skip("needs what the studio is built by: npm ci --prefix server/studio")
    path = f"{node}{os.pathsep}{os.environ['PATH']}"
    for program in (studio / "node_modules" / ".bin" / "tsc", vite):
        command = [str(node / "node"), str(program.resolve()), *(["build"] if program == vite else [])]
        subprocess.run(
            command, cwd=studio, env={"PATH": path, "STUDIO_OUT": str(tmp_path)}, check=True, capture_output=True
        )
    assert (tmp_path / "studio.html").read_bytes() == BUILT.read_bytes()

"""A one-time address handed to the person's browser, by a file that nobody else on this machine can read.

What this is: a page in a private folder that leads on to the address, and the browser that is given its name; on a
command line every local user could read the address and be first. What it is not: what is served there
(`web.gallery`). Above: gallery. Below: web.leading, the standard library's `webbrowser`.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from kontext_server.web.leading import leading_to


class Opening:
    """One address, on its way to a browser."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def open(self, url: str) -> None:
        """Open the address in the person's browser; where there is none, nothing happens: the address was printed."""
        if not has_display(sys.platform, os.environ, platform.release()):
            return
        try:
            # Both are the person's alone: 0700 and 0600.
            self._folder = Path(tempfile.mkdtemp(prefix="kontext-"))
            page = self._folder / "open.html"
            with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(leading_to(url))
        except OSError:
            self.forget()
            return
        _browse(page.as_uri())

    def forget(self) -> None:
        """Remove what was written: the address was used, or opens no more."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def has_display(system: str, variables: Mapping[str, str], release: str) -> bool:
    """Whether a browser could be seen.

    Args:
        system: as `sys.platform` names it.
        variables: of the environment.
        release: of the system's kernel; Windows' own Linux shows windows without a display of Linux's.
    """
    if system != "linux":
        return True
    return bool(variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY")) or "microsoft" in release.lower()


def _browse(uri: str) -> None:
    """Give a browser an address by a process of its own: it may write to our stdout, ask our terminal or not return."""
    command = [sys.executable, "-I", "-m", "webbrowser", uri]
    nothing = subprocess.DEVNULL

    def opened() -> None:
        subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True, check=False)  # noqa: S603

    threading.Thread(target=opened, name="browser", daemon=True).start()

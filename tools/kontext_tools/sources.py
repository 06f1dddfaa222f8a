"""A path, an address or a data URI becomes a picture, safely.

What this is: where an input may come from, and its cleaned bytes. A file is judged by what was opened, never by its
name alone. What it is not: references to our own results (`studio` asks the store), or decoding (`images`).
Above: studio, engine. Below: http, images, data_uris, files, errors.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from kontext_tools import darkroom, data_uris, images
from kontext_tools.errors import KontextError, SourceNotAllowed, SourceTooLarge, SourceUnreadable
from kontext_tools.files import lies_in, nearest_names, on_drive_of, opened_path, path_in_address
from kontext_tools.guard import Blocked
from kontext_tools.http import Http, Lost, Refetched, TooLarge
from kontext_tools.images import MAX_DATA_URI_BYTES, MAX_INPUT_BYTES, ImageFacts

SOURCE_FETCH_S = 20.0
AT_ONCE = 2 * darkroom.AT_ONCE
"""Files that are in memory and not cleaned yet: as many as are worked on, and as many that wait for their place. Of a
hundred calls at once the others wait as names. No place of the darkroom itself is held while a file is read: a drive
that does not answer must keep no finished picture from being archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Cleaned bytes and their facts."""

    facts: ImageFacts
    data: bytes = field(repr=False)


def is_remote(text: str) -> bool:
    """Whether an image argument is an https address."""
    return text[:8].lower() == "https://"


class Sources:
    """Reads inputs under one policy.

    Args:
        http: for addresses.
        roots: folders that files may come from; `None` allows any file (a person at the command line), an empty
            list none (HTTP).
        keep_metadata: whether EXIF, GPS, XMP and text chunks stay.
        home: what a leading `~` stands for.
    """

    def __init__(
        self,
        http: Http,
        *,
        roots: Sequence[Path] | None,
        keep_metadata: bool = False,
        home: Path | None = None,
    ) -> None:
        self._http = http
        self._roots = None if roots is None else tuple(roots)
        self._keep_metadata = keep_metadata
        self._home = home or Path.home()
        self._in_memory = anyio.CapacityLimiter(AT_ONCE)

    def path_of(self, text: str) -> Path:
        """Read a path or file address, judged by its form alone.

        Raises:
            SourceNotAllowed: another scheme, a relative path, a file address of another machine; any, without roots.
        """
        if text[:5].lower() == "file:":
            try:
                parts = urlsplit(text)
            except ValueError:
                raise self.not_allowed() from None
            if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
                raise self.not_allowed()
            text = path_in_address(unquote(parts.path))
        elif text == "~" or text.startswith(("~/", f"~{os.sep}")):
            text = str(self._home) + text[1:]
        path = Path(text)
        if self._roots == () or not path.is_absolute() or "\x00" in text or ".." in path.parts:
            raise self.not_allowed()
        return path

    async def from_file(self, path: Path) -> Picture:
        """Read a file of this machine.

        Raises:
            SourceNotAllowed: outside the folders, hidden, or no regular file; reads the same whether it exists.
            SourceUnreadable: no such file (with the nearest names), or no picture.
            SourceTooLarge: over 50 MB or 50 megapixels.
        """
        async with self._in_memory:
            try:
                data = await anyio.to_thread.run_sync(lambda: self._read(path))
            except OSError:  # a name that changes while it is followed
                raise self.not_allowed() from None
            return await self.cleaned(data)

    async def from_data_uri(self, text: str) -> Picture:
        """Read a data URI of at most 10 MB decoded. Raises `SourceUnreadable`, `SourceTooLarge`."""
        try:
            data = data_uris.decoded(text, max_bytes=MAX_DATA_URI_BYTES)
        except OverflowError:
            raise SourceTooLarge(
                "The data URI holds more than 10 MB; nothing was sent.",
                fix=self.instead(
                    "Save the picture as a file in an allowed folder and pass its absolute path.",
                    "Pass an https address that gives the picture.",
                ),
                field="image",
            ) from None
        if data is None:
            raise SourceUnreadable(
                "The data URI is not a base64 picture; nothing was sent.",
                fix="Pass data:image/png;base64,… or "
                + self.instead("the absolute path of a file.", "an https address."),
                field="image",
            )
        return await self.cleaned(data)

    def check_url(self, url: str) -> None:
        """Judge an https address by its text, before it goes to a provider or is fetched.

        Raises:
            SourceNotAllowed: not https, a port, a user name in it, or a host that is plainly not public.
        """
        try:
            self._http.guard.check_form(url)
        except Blocked as blocked:
            raise self._blocked(blocked) from None

    async def check_host(self, url: str) -> None:
        """Judge an https address with its host resolved: private, loopback and metadata hosts are refused.

        A host that this machine cannot resolve passes: the provider may know it, and we never connect to it.
        """
        try:
            await self._http.guard.check(url)
        except Blocked as blocked:
            if str(blocked) != "the host is not known":
                raise self._blocked(blocked) from None

    async def from_url(self, url: str, temporary: Path) -> Picture:
        """Fetch an https address under the guard, by way of a temporary file that is removed.

        Raises:
            SourceNotAllowed: refused by the guard.
            SourceUnreadable: no answer, or no picture.
            SourceTooLarge: over the limits.
        """
        file = anyio.Path(temporary)
        try:
            await self._http.download(url, temporary, max_bytes=MAX_INPUT_BYTES, total_s=SOURCE_FETCH_S)
            async with self._in_memory:
                return await self.cleaned(await file.read_bytes())
        except Blocked as blocked:
            raise self._blocked(blocked) from None
        except TooLarge:
            raise self._too_large() from None
        except (Lost, Refetched, OSError):
            raise SourceUnreadable(
                "The address of the image did not give a file.",
                fix="Check that the address opens without signing in, or pass "
                + self.instead("the absolute path of a file.", "a data URI."),
                field="image",
            ) from None
        finally:
            await file.unlink(missing_ok=True)

    async def is_alive(self, url: str) -> bool:
        """Whether one GET of an address gives a file; at most its first bytes are read."""
        return await self._http.is_alive(url)

    async def cleaned(self, data: bytes) -> Picture:
        """Prove that bytes are a picture, and clean them, in a worker thread."""
        clean, facts = await darkroom.work(partial(images.cleaned, data, keep_metadata=self._keep_metadata))
        return Picture(facts=facts, data=clean)

    def not_allowed(self) -> SourceNotAllowed:
        """Give the refusal of a place, with the allowed folders named."""
        if not self._roots and self._roots is not None:
            return SourceNotAllowed(
                "Files of this machine may not be read here; nothing was sent.",
                fix="Pass an https address, a data URI or an earlier result such as red-car-4k7q/1.",
                field="image",
            )
        folders = "any folder" if self._roots is None else ", ".join(map(str, self._roots))
        return SourceNotAllowed(
            "That is not a place images may be read from; nothing was sent.",
            fix=f"Pass the absolute path of an image in one of these folders: {folders}; or an https address, a data "
            "URI or an earlier result such as red-car-4k7q/1.",
            field="image",
        )

    def instead(self, with_files: str, without: str) -> str:
        """Give what a refusal offers, which is another where no file of this machine may be named (HTTP)."""
        return without if self._roots == () else with_files

    def _too_large(self) -> SourceTooLarge:
        return SourceTooLarge(
            "The image is over 50 MB; nothing was sent.",
            fix="Save a smaller copy (at most 50 MB and 50 megapixels) and pass its "
            + self.instead("absolute path.", "https address."),
            field="image",
        )

    def _blocked(self, reason: Blocked) -> SourceNotAllowed:
        return SourceNotAllowed(
            f"That address may not be fetched ({reason}); nothing was sent.",
            fix="Pass a public https address, or " + self.instead("the absolute path of a file.", "a data URI."),
            field="image",
        )

    def _read(self, path: Path) -> bytes:
        # By its drive before anything is looked at, by name before a device is opened; by what was opened afterwards,
        # for names can be swapped.
        if not self._may_hold(path) or not self._allows(Path(os.path.realpath(path))):
            raise self.not_allowed()
        try:
            # O_NONBLOCK: opening a FIFO must not wait for its writer.
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(path) from None
        except (OSError, ValueError):
            raise self.not_allowed() from None
        try:
            self._judge(opened_path(descriptor, path), os.fstat(descriptor))
            # The descriptor, so that what was judged is what is read; judged first, for `open` takes no folder.
            with open(descriptor, "rb", closefd=False) as file:  # the same
                data = file.read(MAX_INPUT_BYTES + 1)
        except OSError:
            raise SourceUnreadable(
                "The file cannot be read; nothing was sent.",
                fix="Copy it to an allowed folder on this machine and pass that path.",
                field="image",
            ) from None
        finally:
            os.close(descriptor)
        if len(data) > MAX_INPUT_BYTES:
            raise self._too_large()
        return data

    def _judge(self, opened: Path, status: os.stat_result) -> None:
        if not self._allows(opened) or not stat.S_ISREG(status.st_mode):
            raise self.not_allowed()
        if status.st_size > MAX_INPUT_BYTES:
            raise self._too_large()

    def _allows(self, path: Path) -> bool:
        if self._roots is None:
            return True
        return any(lies_in(path, root) for root in self._roots)

    def _may_hold(self, path: Path) -> bool:
        if self._roots is None:
            return True
        return on_drive_of(path, [place for root in self._roots for place in (root, Path(os.path.realpath(root)))])

    def _missing(self, path: Path) -> KontextError:
        folder = Path(os.path.realpath(path.parent))
        near = nearest_names(folder, path.name) if self._allows(folder) else []
        if near:
            names = ", ".join(str(path.parent / name) for name in near)
            fix = f"Call again with one of these: {names}."
        else:
            fix = "Call again with the absolute path of an image that exists; no image lies in that folder."
        return SourceUnreadable("There is no file of that name; nothing was sent.", fix=fix, field="image")

"""What the values of settings are read as: keys, addresses, folders, names, amounts.

What this is: text of an environment or a file becomes a typed value, or a sentence that says what is taken. What it
is not: the settings themselves (`settings`). Above: settings. Below: secret_key, budget (how amounts are written).
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import platformdirs
from pydantic import BeforeValidator, SecretStr

from kontext_server import secret_key
from kontext_tools.budget import Price, Unit, parse_caps, parse_price
from kontext_tools.choosing import HOSTED, SANDBOX

PROVIDERS = (*HOSTED, SANDBOX)
_BLOB_URL = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[A-Za-z0-9_-][\w.=-]*(?:/[A-Za-z0-9_-][\w.=-]*)*))?",
    re.ASCII,
)
_HOST = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_UNFILLED = re.compile(r"\s*\$(?:\{[^{}]*\}|[A-Z_]+)\s*")


def is_unfilled(value: Any) -> bool:
    """Whether a client was to put something here, and left the reference as it stood.

    Claude Desktop hands a bundle's `${user_config.name}` on where the person left that field empty (mcpb issue 250,
    open since 2026-05); others do so with `${env:FAL_KEY}` where they lack the variable, which `kontext install` wrote.
    """
    return isinstance(value, str) and _UNFILLED.fullmatch(value) is not None


def _known_folders() -> list[Path]:
    places = (
        platformdirs.user_desktop_dir,
        platformdirs.user_documents_dir,
        platformdirs.user_downloads_dir,
        platformdirs.user_pictures_dir,
    )
    return [Path(place()) for place in places]


def own_folders(
    home: Path, *, system: str = sys.platform, known: Callable[[], list[Path]] = _known_folders
) -> list[Path]:
    """Give where a person's pictures lie.

    Args:
        home: the person's folder.
        system: as `sys.platform` names it. Windows lets OneDrive move these folders, so that it is asked as well.
        known: asks it.
    """
    usual = [home / name for name in ("Desktop", "Documents", "Downloads", "Pictures")]
    return list(dict.fromkeys([*usual, *(known() if system == "win32" else [])]))


def _folders(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    folders = [Path(part).expanduser() for part in value.split(os.pathsep) if part]
    if not all(folder.is_absolute() for folder in folders):
        raise ValueError("takes absolute folders, separated as in PATH")
    return folders


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    names = tuple(name for name in value.replace(",", " ").lower().split() if name != "auto")
    unknown = [name for name in names if name not in PROVIDERS]
    if unknown:
        raise ValueError(f"takes auto, or names out of: {', '.join(PROVIDERS)}")
    return names


def _key(value: Any) -> Any:
    # Clients fill a field that the person left empty with an empty text.
    return (value.strip() or None) if isinstance(value, str) else value


def _secret(value: Any) -> Any:
    if isinstance(value := _key(value), str) and secret_key.decoded(value) is None:
        raise ValueError("takes 32 bytes as base64")
    return value


def _price(value: Any) -> Any:
    return parse_price(value) if isinstance(value, str) else value


def _caps(value: Any) -> Any:
    return dict(parse_caps(value)) if isinstance(value, str) else value


def is_address(value: str) -> bool:
    """Whether a text is an absolute http or https address, without a query."""
    parts = urlsplit(value)
    return parts.scheme in ("https", "http") and bool(parts.hostname) and not parts.query and not parts.fragment


def _address(value: Any) -> Any:
    if not is_address(str(value)):
        raise ValueError("takes an absolute http or https address")
    return str(value).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPlace:
    """A bucket, and what stands before every key in it (may be empty)."""

    bucket: str
    prefix: str


def bucket_of(url: str) -> BlobPlace:
    """Read an address such as `s3://bucket/prefix`, in the form that the setting lets through."""
    found = _BLOB_URL.fullmatch(url)
    assert found is not None, "settings let no other through"
    return BlobPlace(bucket=found["bucket"], prefix=found["prefix"] or "")


def _blob_url(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return None
    url = value.strip().rstrip("/")
    if _BLOB_URL.fullmatch(url) is None:
        raise ValueError("takes s3://bucket or s3://bucket/prefix, without a key in it")
    return url


def _database_url(value: Any) -> Any:
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        parts = urlsplit(value.strip())
        whole = parts.scheme in ("postgresql", "postgres") and parts.path.strip("/") != "" and not parts.fragment
        whole = whole and (bool(parts.hostname) or "host=" in parts.query) and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("takes postgresql://user:password@host/database, special characters as %40")
    return value.strip()


def _origin(value: Any) -> Any:
    if (value := _key(value)) is None:
        return None
    address = str(_address(value))
    parts = urlsplit(address)
    if parts.path or parts.username is not None or (parts.scheme == "http" and not is_loopback(parts.hostname or "")):
        raise ValueError("takes an https address without a path, such as https://kontext.example (http on loopback)")
    return address


def _issuer(value: Any) -> Any:
    # Compared letter by letter with what tokens say (RFC 9207, section 2.4): a last slash belongs to it.
    if (value := _key(value)) is not None and _address(value) and " " in value:
        raise ValueError("takes an absolute http or https address")
    return value


def _hosts(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    hosts = tuple(value.replace(",", " ").lower().split())
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise ValueError("takes host names, each with a port where it is not the usual one, separated by commas")
    return hosts


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's own loopback, by an address or as `localhost`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _folder_at_provider(value: Any) -> Any:
    if len(str(value)) > 256 or ".." in str(value):
        raise ValueError("takes at most 256 characters, without '..'")
    return value


Address = Annotated[str, BeforeValidator(_address)]
BlobUrl = Annotated[str | None, BeforeValidator(_blob_url)]
DatabaseUrl = Annotated[SecretStr | None, BeforeValidator(_database_url)]
Key = Annotated[SecretStr | None, BeforeValidator(_key)]
Secret = Annotated[SecretStr | None, BeforeValidator(_secret)]
PriceSetting = Annotated[Price | None, BeforeValidator(_price)]
Origin = Annotated[str | None, BeforeValidator(_origin)]
Issuer = Annotated[str | None, BeforeValidator(_issuer)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(_hosts)]
FolderThere = Annotated[str, BeforeValidator(_folder_at_provider)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Folders = Annotated[list[Path] | None, BeforeValidator(_folders)]
Caps = Annotated[dict[Unit, Decimal], BeforeValidator(_caps)]

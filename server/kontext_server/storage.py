"""Settings become the places where jobs and pictures are kept: this machine, or a database and a bucket of many.

What this is: the choices, and what of the environment a bucket needs beside our settings: `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, which other programs share and `kontext.toml` does not hold.
What it is not: any of these places (`kontext_tools.stores`, `kontext_tools.blobs`); those of others' code are imported
where they are chosen. Above: app, doctor. Below: settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from kontext_server.setting_sources import SettingError
from kontext_server.setting_values import BlobPlace, bucket_of, is_address, is_unfilled
from kontext_server.settings import Settings
from kontext_tools.blobs.base import Blobs
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.stores.base import Store
from kontext_tools.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from kontext_tools.blobs.s3 import Bucket

DATABASE_FILE = "kontext.db"
AMAZONS_FIRST = "us-east-1"
"""The region that other makers' storage expects in a signature, where it has none of its own."""


def store(settings: Settings) -> Store:
    """Give the database where jobs are kept; nothing is opened yet.

    Raises:
        SettingError: its extra is not installed, or its address cannot be read.
    """
    url = database_url(settings)
    if url is None:
        return SqliteStore(settings.kontext_data_dir / DATABASE_FILE)
    from kontext_tools.stores.postgres import PostgresStore

    return PostgresStore(url)


def database_url(settings: Settings) -> str | None:
    """Give the address of the database that is not in the data folder; `None` where there is none.

    Raises:
        SettingError: PostgreSQL's client is not installed, or cannot read it.
    """
    if settings.kontext_database_url is None:
        return None
    try:
        psycopg = import_module("psycopg")  # without its library it is no use, and says so
    except ImportError:
        raise SettingError(
            "KONTEXT_DATABASE_URL needs the extra postgres, which is not installed: "
            "install kontext-tool-server[postgres]"
        ) from None
    url = settings.kontext_database_url.get_secret_value()
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise SettingError("KONTEXT_DATABASE_URL is wrong: PostgreSQL's own library cannot read it") from None
    return url


def blobs(settings: Settings, environment: Mapping[str, str] | None = None) -> Blobs:
    """Give the place where pictures are kept; nothing is made or sent yet.

    Args:
        settings: as read at start.
        environment: of this process.

    Raises:
        SettingError: what the bucket needs is not there; the variable is named, or the extra.
    """
    if settings.kontext_blob_url is None:
        return FileBlobs(settings.kontext_data_dir)
    try:
        from kontext_tools.blobs.s3 import S3Blobs
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != "obstore":
            raise
        raise SettingError(
            "KONTEXT_BLOB_URL needs the extra s3, which is not installed: install kontext-tool-server[s3]"
        ) from None
    bucket = _bucket(settings, bucket_of(settings.kontext_blob_url), os.environ if environment is None else environment)
    return S3Blobs(settings.kontext_data_dir, bucket)


def _bucket(settings: Settings, place: BlobPlace, environment: Mapping[str, str]) -> Bucket:
    from kontext_tools.blobs.s3 import Bucket

    given = {name: value.strip() for name, value in environment.items() if not is_unfilled(value)}
    endpoint = given.get("AWS_ENDPOINT_URL") or None
    region = given.get("AWS_REGION") or (AMAZONS_FIRST if endpoint else None)
    key_id, secret = given.get("AWS_ACCESS_KEY_ID"), given.get("AWS_SECRET_ACCESS_KEY")
    needed = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": region}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise SettingError(f"KONTEXT_BLOB_URL needs {' and '.join(missing)} in the environment")
    if endpoint is not None and (not is_address(endpoint) or "@" in endpoint):
        raise SettingError("AWS_ENDPOINT_URL is wrong: it takes an absolute http or https address, without a password")
    return Bucket(
        name=place.bucket,
        prefix=place.prefix,
        region=region or "",
        key_id=key_id or "",
        secret=secret or "",
        endpoint=None if endpoint is None else endpoint.rstrip("/"),
        proxy=settings.kontext_proxy,
    )

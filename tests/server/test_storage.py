"""Where pictures are kept, chosen by the settings: what a bucket needs, named where it is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kontext_server import storage
from kontext_server.setting_sources import SettingError
from kontext_server.settings import load
from kontext_tools.blobs.files import FileBlobs
from kontext_tools.blobs.s3 import S3Blobs
from kontext_tools.stores.postgres import PostgresStore
from kontext_tools.stores.sqlite import SqliteStore
from support.bucket import SECRET
from support.stdio_server import COMMAND, environment

WHOLE = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-central-1"}


def blobs_of(tmp_path: Path, url: str | None, env: dict[str, str]) -> object:
    return storage.blobs(load(kontext_data_dir=tmp_path, kontext_blob_url=url), env)


def test_without_a_bucket_pictures_are_files(tmp_path: Path) -> None:
    assert isinstance(blobs_of(tmp_path, None, WHOLE), FileBlobs)


@pytest.mark.parametrize(
    "url", ["s3://a-bucket", "s3://a-bucket/", "s3://my.bucket.1/team/pictures_2/", " s3://abc/x "]
)
def test_a_bucket_with_or_without_a_prefix_is_taken(tmp_path: Path, url: str) -> None:
    assert isinstance(blobs_of(tmp_path, url, WHOLE), S3Blobs)


@pytest.mark.parametrize(
    "url",
    [
        "https://a-bucket/x",
        "s3://",
        "s3://A",
        "s3://key:secret@bucket/x",
        "s3://bucket/../x",
        "s3://bucket//x",
        "s3://b/x?y",
    ],
)
def test_another_shape_is_refused_without_being_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError) as wrong:
        blobs_of(tmp_path, url, WHOLE)
    assert str(wrong.value) == (
        "KONTEXT_BLOB_URL is wrong: takes s3://bucket or s3://bucket/prefix, without a key in it"
    )


@pytest.mark.parametrize(
    ("env", "missing"),
    [
        ({}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and AWS_REGION"),
        ({**WHOLE, "AWS_REGION": " "}, "AWS_REGION"),
        ({**WHOLE, "AWS_SECRET_ACCESS_KEY": "${env:AWS_SECRET_ACCESS_KEY}"}, "AWS_SECRET_ACCESS_KEY"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_what_a_bucket_needs_is_named_where_it_is_missing(tmp_path: Path, env: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingError) as wrong:
        blobs_of(tmp_path, "s3://a-bucket", env)
    assert str(wrong.value) == f"KONTEXT_BLOB_URL needs {missing} in the environment"


@pytest.mark.parametrize("endpoint", ["storage.example", "ftp://storage.example", "https://me:secret@storage.example"])
def test_an_endpoint_that_is_no_plain_address_is_refused_without_being_told(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(SettingError) as wrong:
        blobs_of(tmp_path, "s3://a-bucket", {**WHOLE, "AWS_ENDPOINT_URL": endpoint})
    assert endpoint not in str(wrong.value) and "AWS_ENDPOINT_URL" in str(wrong.value)


def test_an_extra_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "kontext_tools.blobs.s3")
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(SettingError) as wrong:
        blobs_of(tmp_path, "s3://a-bucket", WHOLE)
    assert str(wrong.value) == (
        "KONTEXT_BLOB_URL needs the extra s3, which is not installed: install kontext-tool-server[s3]"
    )


DATABASE = "postgresql://kontext:planted%40secret@db.example/jobs"


def test_jobs_are_kept_in_the_data_folder_unless_a_database_is_named(tmp_path: Path) -> None:
    assert isinstance(storage.store(load(kontext_data_dir=tmp_path)), SqliteStore)
    named = storage.store(load(kontext_data_dir=tmp_path, kontext_database_url=DATABASE))
    assert isinstance(named, PostgresStore)


def test_a_client_of_postgresql_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingError) as wrong:
        storage.store(load(kontext_data_dir=tmp_path, kontext_database_url=DATABASE))
    assert str(wrong.value) == (
        "KONTEXT_DATABASE_URL needs the extra postgres, which is not installed: install kontext-tool-server[postgres]"
    )


def test_an_address_that_postgresqls_library_cannot_read_is_refused_without_being_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as wrong:
        storage.store(load(kontext_data_dir=tmp_path, kontext_database_url=f"{DATABASE}?planted=1"))
    assert str(wrong.value) == "KONTEXT_DATABASE_URL is wrong: PostgreSQL's own library cannot read it"


@pytest.mark.parametrize(
    "url",
    [
        "db.example/jobs",
        "mysql://me:planted@db.example/jobs",
        "postgresql://me:planted@db.example",
        "postgresql:///jobs",
        "postgresql://me:planted@db.example:x/jobs",
        "postgresql://me:planted@db.example/jobs#part",
    ],
)
def test_what_names_no_database_of_postgresql_is_refused_without_being_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingError) as wrong:
        load(kontext_data_dir=tmp_path, kontext_database_url=url)
    assert str(wrong.value) == (
        "KONTEXT_DATABASE_URL is wrong: takes postgresql://user:password@host/database, special characters as %40"
    )


def test_the_databases_password_is_kept_out_of_what_is_told_however_it_is_written(tmp_path: Path) -> None:
    settings = load(kontext_data_dir=tmp_path, kontext_database_url=DATABASE)
    assert settings.secrets == [DATABASE, "planted%40secret", "planted@secret"]
    assert "planted" not in repr(settings)


def test_the_storages_key_is_kept_out_of_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert load(kontext_data_dir=tmp_path).secrets == [SECRET]


def test_a_server_over_stdio_whose_bucket_lacks_its_key_ends_with_exit_code_3(tmp_path: Path) -> None:
    env = environment(tmp_path, {"KONTEXT_BLOB_URL": "s3://a-bucket", **WHOLE, "AWS_SECRET_ACCESS_KEY": ""})
    ended = subprocess.run(COMMAND, env=env, input=b"", capture_output=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (3, b"")
    assert ended.stderr.decode().strip() == ("kontext: KONTEXT_BLOB_URL needs AWS_SECRET_ACCESS_KEY in the environment")

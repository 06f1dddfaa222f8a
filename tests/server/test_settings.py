"""Settings: every variable, wrong values taught without being told, secrets kept."""

from __future__ import annotations

import json
import os
import re
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from pydantic import SecretStr, ValidationError

from kontext_server import settings
from kontext_server.setting_sources import SettingError
from kontext_server.setting_values import own_folders
from kontext_tools.budget import Price, Unit


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any setting, and an empty configuration folder."""
    for name in list(os.environ):
        field = name.lower().removesuffix("_file")
        if field in settings.Settings.model_fields or name.startswith("KONTEXT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "config" / "kontext").mkdir(parents=True)
    return tmp_path


def toml(folder: Path, text: str) -> None:
    (folder / "config" / "kontext" / "kontext.toml").write_text(text)


def told() -> str:
    with pytest.raises(SettingError) as caught:
        settings.load()
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_without_any_variable_the_defaults_serve(clean: Path) -> None:
    made = settings.load()
    assert made.core_today_api_key is None
    assert made.core_today_base_url == "https://api.core.today/v1"
    assert (made.kontext_provider, made.kontext_model, made.kontext_preview) == ((), "kontext-pro", "medium")
    assert (made.kontext_wait_seconds, made.preview_px, made.kontext_log_level) == (25, 768, "warning")
    assert made.kontext_daily_budget == made.kontext_max_cost == made.kontext_confirm_above == {}
    assert made.kontext_output_dir is made.kontext_proxy is made.core_today_price is None
    assert not made.kontext_keep_metadata and not made.kontext_resource_links and not made.core_today_is_public
    assert [root.name for root in made.image_roots] == snapshot(["Desktop", "Documents", "Downloads", "Pictures"])
    assert all(root.parent == clean / "home" for root in made.image_roots)
    assert made.secrets == []
    assert made.kontext_data_dir.is_absolute() and made.kontext_data_dir.name == "kontext"


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("CORE_TODAY_API_KEY", "cdt_0123456789", SecretStr("cdt_0123456789")),
        ("CORE_TODAY_BASE_URL", "http://127.0.0.1:9876/core.today/v1/", "http://127.0.0.1:9876/core.today/v1"),
        ("CORE_TODAY_PRICE", "120 credit", Price(amount=Decimal(120), unit=Unit.CREDIT)),
        ("CORE_TODAY_OUTPUT_FOLDER", "cats/today", "cats/today"),
        ("CORE_TODAY_IS_PUBLIC", "true", True),
        ("KONTEXT_PROVIDER", "auto", ()),
        ("KONTEXT_PROVIDER", "Fal, bfl", ("fal", "bfl")),
        ("KONTEXT_PROVIDER", "sandbox", ("sandbox",)),
        ("KONTEXT_MODEL", "kontext-max", "kontext-max"),
        ("KONTEXT_DATA_DIR", "/data/kontext", Path("/data/kontext")),
        ("KONTEXT_OUTPUT_DIR", "/data/out", Path("/data/out")),
        ("KONTEXT_IMAGE_ROOTS", os.pathsep.join(["/a", "/b c"]), [Path("/a"), Path("/b c")]),
        ("KONTEXT_KEEP_METADATA", "1", True),
        ("KONTEXT_DAILY_BUDGET", "5 usd, 3000 credit", {Unit.USD: Decimal(5), Unit.CREDIT: Decimal(3000)}),
        ("KONTEXT_MAX_COST", "0.40 usd", {Unit.USD: Decimal("0.40")}),
        ("KONTEXT_CONFIRM_ABOVE", "0 usd", {Unit.USD: Decimal(0)}),
        ("KONTEXT_PREVIEW", "none", "none"),
        ("KONTEXT_WAIT_SECONDS", "0", 0),
        ("KONTEXT_RESOURCE_LINKS", "1", True),
        ("KONTEXT_PROXY", "http://proxy.example:3128", "http://proxy.example:3128"),
        ("KONTEXT_LOG_LEVEL", "debug", "debug"),
    ],
    ids=str,
)
def test_a_variable_is_read(variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(settings.load(), variable.lower()) == value


def test_a_home_folder_in_the_roots_is_expanded(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_IMAGE_ROOTS", "~/cats")
    assert settings.load().image_roots == [clean / "home" / "cats"]


WRONG = "wrong-zqxj"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("CORE_TODAY_BASE_URL", f"ftp://{WRONG}"),
        ("CORE_TODAY_BASE_URL", f"https://example.com/?a={WRONG}"),
        ("CORE_TODAY_BASE_URL", f"https://[{WRONG}"),
        ("CORE_TODAY_BASE_URL", WRONG),
        ("CORE_TODAY_PRICE", f"{WRONG} usd"),
        ("CORE_TODAY_PRICE", "-1 usd"),
        ("CORE_TODAY_OUTPUT_FOLDER", f"../{WRONG}"),
        ("CORE_TODAY_OUTPUT_FOLDER", WRONG * 40),
        ("CORE_TODAY_IS_PUBLIC", WRONG),
        ("KONTEXT_PROVIDER", f"fal,{WRONG}"),
        ("KONTEXT_MODEL", WRONG),
        ("KONTEXT_DAILY_BUDGET", f"5 {WRONG}"),
        ("KONTEXT_MAX_COST", "5 usd, 6 usd"),
        ("KONTEXT_CONFIRM_ABOVE", WRONG),
        ("KONTEXT_PREVIEW", WRONG),
        ("KONTEXT_WAIT_SECONDS", "51"),
        ("KONTEXT_WAIT_SECONDS", WRONG),
        ("KONTEXT_KEEP_METADATA", WRONG),
        ("KONTEXT_PROXY", WRONG),
        ("KONTEXT_LOG_LEVEL", WRONG),
    ],
    ids=str,
)
def test_a_wrong_value_names_the_variable_and_never_the_value(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    message = told()
    assert message.startswith(f"{variable} is wrong: ")
    assert WRONG not in message


def test_the_words_of_a_wrong_value_teach_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "huge")
    assert told() == snapshot("KONTEXT_PREVIEW is wrong: it takes 'none', 'small', 'medium' or 'large'")


def test_a_key_may_lie_in_a_file(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean / "key").write_text("  cdt_from_file\n")
    monkeypatch.setenv("CORE_TODAY_API_KEY_FILE", str(clean / "key"))
    assert settings.load().secrets == ["cdt_from_file"]
    monkeypatch.setenv("CORE_TODAY_API_KEY", "cdt_from_environment")
    assert settings.load().secrets == ["cdt_from_environment"]


def test_a_key_file_that_cannot_be_read_is_named_by_its_variable(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_TODAY_API_KEY_FILE", str(clean / "no-such-key"))
    assert told() == snapshot("CORE_TODAY_API_KEY_FILE names a file that cannot be read")
    (clean / "no-such-key").write_bytes(b"\xff\xfe\xff")
    assert told().startswith("CORE_TODAY_API_KEY_FILE ")


@pytest.mark.parametrize("key", ["", "   "])
def test_an_empty_key_is_no_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_TODAY_API_KEY", key)
    made = settings.load()
    assert made.core_today_api_key is None and made.secrets == []


@pytest.mark.parametrize("reference", ["${env:FAL_KEY}", "${FAL_KEY}", "${FAL_KEY:-}", "${input:a-b}", "$FAL_KEY"])
def test_a_reference_that_a_client_did_not_fill_in_is_no_key_and_hides_none(
    clean: Path, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAL_KEY", reference)
    assert settings.load().fal_key is None
    toml(clean, 'FAL_KEY = "from the file"')
    assert settings.load().fal_key == SecretStr("from the file")


@pytest.mark.parametrize("key", ["$a-key", "k$FAL_KEY", "${open", "$"])
def test_a_key_with_a_dollar_in_it_is_a_key(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAL_KEY", key)
    assert settings.load().fal_key == SecretStr(key)


def test_the_file_holds_the_same_names_and_the_environment_wins(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml(clean, 'KONTEXT_PREVIEW = "small"\nkontext_wait_seconds = 7\nKONTEXT_DAILY_BUDGET = "5 usd"\n')
    monkeypatch.setenv("KONTEXT_WAIT_SECONDS", "9")
    made = settings.load()
    assert (made.kontext_preview, made.preview_px, made.kontext_wait_seconds) == ("small", 512, 9)
    assert made.kontext_daily_budget == {Unit.USD: Decimal(5)}
    assert settings.config_file() == clean / "config" / "kontext" / "kontext.toml"


def test_a_wrong_value_in_the_file_is_named_like_the_variable(clean: Path) -> None:
    toml(clean, f'KONTEXT_PREVIEW = "{WRONG}"\n')
    message = told()
    assert message.startswith("KONTEXT_PREVIEW is wrong") and WRONG not in message


@pytest.mark.parametrize(
    ("line", "name", "near"),
    [
        (f'KONTEXT_PREVEIW = "{WRONG}"', "KONTEXT_PREVEIW", "KONTEXT_PREVIEW"),
        (f'core_today_key = "{WRONG}"', "CORE_TODAY_KEY", "CORE_TODAY_API_KEY"),
        (f'bfl_api_key_fiel = "{WRONG}"', "BFL_API_KEY_FIEL", "BFL_API_KEY_FILE"),
        (f'[kontext]\nKONTEXT_PREVIEW = "{WRONG}"', "KONTEXT", "KONTEXT_PROXY"),
        (f'"\\u001b[2J\\u202e{"x" * 500}" = "{WRONG}"', f"[2J {'X' * 59}…", "KONTEXT_AUTH_JWKS_URL"),
    ],
)
def test_a_name_in_the_file_that_is_no_setting_is_told_with_the_nearest_one(
    clean: Path, line: str, name: str, near: str
) -> None:
    toml(clean, f"{line}\n")
    assert told() == f'kontext.toml holds "{name}", which is no setting of this version; the nearest is {near}'


def test_every_name_that_the_environment_knows_may_stand_in_the_file(clean: Path) -> None:
    (clean / "key").write_text("cdt_from_file\n")
    given = {
        name: value
        for name, value in settings.load().model_dump(mode="json").items()
        if isinstance(value, str | bool | int)
    }
    lines = [f"{name.upper()} = {json.dumps(value)}" for name, value in given.items()]
    toml(clean, "\n".join([*lines, f'CORE_TODAY_API_KEY_FILE = "{clean / "key"}"', ""]))
    assert settings.load().secrets == ["cdt_from_file"]


def test_a_key_file_that_the_file_names_comes_after_all_that_the_environment_says(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clean / "one").write_text("cdt_one")
    (clean / "two").write_text("cdt_two")
    toml(clean, f'CORE_TODAY_API_KEY_FILE = "{clean / "one"}"\n')
    assert settings.load().secrets == ["cdt_one"]
    toml(clean, f'CORE_TODAY_API_KEY_FILE = "{clean / "one"}"\nCORE_TODAY_API_KEY = "cdt_itself"\n')
    assert settings.load().secrets == ["cdt_itself"]
    monkeypatch.setenv("CORE_TODAY_API_KEY_FILE", str(clean / "two"))
    assert settings.load().secrets == ["cdt_two"]
    monkeypatch.delenv("CORE_TODAY_API_KEY_FILE")
    toml(clean, "CORE_TODAY_API_KEY_FILE = 7\n")
    assert told() == "CORE_TODAY_API_KEY_FILE names a file that cannot be read"


def test_a_variable_of_ours_that_is_no_setting_is_warned_of_with_the_nearest_one() -> None:
    given = {
        "KONTEXT_PREVEIW": WRONG,
        "kontext_daily_buget": WRONG,
        "KONTEXT_PREVIEW": "small",
        "kontext_model": "kontext-max",
        "KONTEXT_LATER": "",
        "CORE_TODAY_API_KEY_FILE": "/key",
        "HOME": "/home",
    }
    assert settings.unknown_variables(given) == snapshot(
        'Variables that are no settings of this version do nothing: "KONTEXT_DAILY_BUGET" (the nearest is '
        'KONTEXT_DAILY_BUDGET), "KONTEXT_PREVEIW" (the nearest is KONTEXT_PREVIEW).'
    )
    assert settings.unknown_variables({"KONTEXT_PREVIEW": "small", "KONTEXTUAL": "1"}) is None


def test_many_variables_that_are_no_setting_make_one_short_warning() -> None:
    warning = settings.unknown_variables({f"KONTEXT_{n:03}_{'X' * 300}": "1" for n in range(200)})
    assert warning is not None
    assert len(warning) < 2_000 and "and 190 more" in warning


@pytest.mark.parametrize("text", ["this is = = no toml", "KONTEXT_PREVIEW = \n", "a = '\x00'"], ids=repr)
def test_a_file_that_is_no_toml_is_told_without_its_content(clean: Path, text: str) -> None:
    toml(clean, f"{text}{WRONG}")
    message = told()
    assert message.startswith("kontext.toml cannot be read") and WRONG not in message


def test_a_file_in_another_encoding_is_told(clean: Path) -> None:
    (clean / "config" / "kontext" / "kontext.toml").write_bytes(b"\xff\xfe\x00")
    assert told().startswith("kontext.toml cannot be read")


def test_secrets_are_masked_wherever_the_settings_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORE_TODAY_API_KEY", "cdt_0123456789")
    made = settings.load()
    for shown in (repr(made), str(made), made.model_dump_json(), str(made.model_dump())):
        assert "cdt_0123456789" not in shown
    assert made.secrets == ["cdt_0123456789"]


def test_the_settings_are_frozen() -> None:
    made = settings.load()
    with pytest.raises(ValidationError):
        made.kontext_preview = "small"  # pyright: ignore[reportAttributeAccessIssue]  # what is tested


def test_what_a_caller_gives_wins_and_none_is_nothing_given(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_PREVIEW", "small")
    assert settings.load(kontext_preview="large").preview_px == 1024
    assert settings.load(kontext_preview=None).preview_px == 512


def test_no_env_file_of_the_working_directory_is_read(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean / ".env").write_text("KONTEXT_PREVIEW=small\n")
    monkeypatch.chdir(clean)
    assert settings.load().kontext_preview == "medium"


def test_the_data_folder_is_made_for_its_owner_alone(clean: Path) -> None:
    made = settings.load(kontext_data_dir=clean / "data")
    settings.prepare_data_dir(made)
    settings.prepare_data_dir(made)
    assert stat.S_IMODE((clean / "data").stat().st_mode) == 0o700
    assert list((clean / "data").iterdir()) == []


def test_a_data_folder_that_cannot_be_made_is_named_by_its_variable(clean: Path) -> None:
    (clean / "file").write_text("in the way")
    for folder in (clean / "file", clean / "file" / "data", Path("relative")):
        with pytest.raises(SettingError, match=r"^KONTEXT_DATA_DIR ") as caught:
            settings.prepare_data_dir(settings.load(kontext_data_dir=folder))
        assert not re.search("relative/|in the way", str(caught.value))


def test_a_placeholder_that_a_client_left_unfilled_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = settings.load()
    for name in settings.Settings.model_fields:
        monkeypatch.setenv(name.upper(), f"${{user_config.{name}}}")
    monkeypatch.setenv("CORE_TODAY_API_KEY_FILE", " ${user_config.key_file} ")
    assert settings.load() == unset


def test_what_only_looks_like_a_placeholder_is_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KKIAI_API_KEY", "sk-${user_config.kkiai_api_key}")
    made = settings.load()
    assert made.kkiai_api_key is not None and made.kkiai_api_key.get_secret_value() == "sk-${user_config.kkiai_api_key}"


def test_a_files_mark_of_its_encoding_is_no_part_of_what_it_says(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows' editors write one; a key that began with it would be refused by its provider."""
    (clean / "key").write_text("k-123456789\r\n", encoding="utf-8-sig", newline="")
    (clean / "config" / "kontext" / "kontext.toml").write_text('KONTEXT_PREVIEW = "small"\r\n', "utf-8-sig", newline="")
    monkeypatch.setenv("FAL_KEY_FILE", str(clean / "key"))
    made = settings.load()
    assert made.fal_key == SecretStr("k-123456789")
    assert made.kontext_preview == "small"


def test_on_windows_the_folders_are_also_those_that_the_system_names() -> None:
    """OneDrive moves Desktop, Documents and Pictures."""
    home, moved = Path("/home/ada"), Path("/home/ada/OneDrive/Pictures")

    def known() -> list[Path]:
        return [home / "Downloads", moved]

    usual = [home / name for name in ("Desktop", "Documents", "Downloads", "Pictures")]
    assert own_folders(home, system="win32", known=known) == [*usual, moved]
    assert own_folders(home, system="darwin", known=known) == usual


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KONTEXT_PUBLIC_URL", "http://kontext.example"),
        ("KONTEXT_PUBLIC_URL", "https://kontext.example/mcp"),
        ("KONTEXT_PUBLIC_URL", "https://me@kontext.example"),
        ("KONTEXT_PUBLIC_URL", "kontext.example"),
        ("KONTEXT_AUTH_ISSUER", "issuer.example"),
        ("KONTEXT_AUTH_JWKS_URL", "keys"),
        ("KONTEXT_ALLOWED_HOSTS", "https://kontext.example"),
        ("KONTEXT_ALLOWED_HOSTS", "*"),
        ("KONTEXT_SHARE_KEYS", "perhaps"),
    ],
)
def test_a_wrong_value_of_sign_in_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert told().startswith(f"{name} is wrong: ")


def test_sign_in_is_read_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KONTEXT_PUBLIC_URL", "https://kontext.example:8443/")
    monkeypatch.setenv("KONTEXT_AUTH_ISSUER", "https://issuer.example/realm/")
    monkeypatch.setenv("KONTEXT_ALLOWED_HOSTS", "Kontext.internal, 10.0.0.7:8765 [fd00::1]")
    made = settings.load()
    assert made.kontext_public_url == "https://kontext.example:8443"
    assert made.kontext_auth_issuer == "https://issuer.example/realm/"
    assert made.kontext_allowed_hosts == ("kontext.internal", "10.0.0.7:8765", "[fd00::1]")

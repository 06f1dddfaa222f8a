"""Where settings come from: the environment, a key's own file, `kontext.toml`.

What this is: each place read into fields' names, and what is no setting there refused. What it is not: the settings, or
which place wins (`settings`). Above: settings, clients, doctor, cli. Below: setting_names, setting_values.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, TomlConfigSettingsSource

from kontext_server.setting_names import slip_in_file
from kontext_server.setting_values import is_unfilled

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


class SettingError(Exception):
    """A wrong setting; the text names the variable and what it takes. `every` tells it with all the others."""

    def __init__(self, told: str, *others: str) -> None:
        super().__init__(told)
        self.every = (told, *others)


class Environment(EnvSettingsSource):
    """The environment, without what a client was to fill in and left: so `kontext.toml` is still read for it."""

    def __call__(self) -> dict[str, Any]:
        """Give the fields that the environment sets."""
        return {name: value for name, value in super().__call__().items() if not is_unfilled(value)}


class UpperCaseToml(TomlConfigSettingsSource):
    """`kontext.toml` has the same names as the environment, as top-level keys; any other is a person's slip."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        """Read the file, with or without a mark before its first character."""
        return _toml(file_path)

    def __call__(self) -> dict[str, Any]:
        """Give the file's values under the fields' names, a key that lies in a file read."""
        told = {name.lower(): value for name, value in super().__call__().items()}
        slip = slip_in_file(told, known_names(self.settings_cls))
        if slip is not None:
            raise SettingError(slip)
        key_files = {name: told.pop(name) for name in list(told) if name not in self.settings_cls.model_fields}
        return {name.removesuffix("_file"): _key_in(name, path) for name, path in key_files.items()} | told


class KeyFiles(PydanticBaseSettingsSource):
    """`CORE_TODAY_API_KEY_FILE` names a file that holds the key."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # the library's
        """Give the content of the file that `…_FILE` names, without blanks around it."""
        path = os.environ.get(f"{field_name.upper()}_FILE")
        if not path or is_unfilled(path) or not is_key(field_name):
            return None, field_name, False
        return _key_in(f"{field_name}_file", path), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Give every field that a file sets."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value}


def is_key(name: str) -> bool:
    """Whether a setting, by its name in lower case, holds a secret."""
    return name.endswith(("_key", "_token", "_secret", "_database_url"))


def known_names(settings_cls: type[BaseSettings]) -> dict[str, None]:
    """Give the name of every setting, lower-case, in the order of their listing; a key's also as `…_file`."""
    pairs = ((name, f"{name}_file" if is_key(name) else name) for name in settings_cls.model_fields)
    return dict.fromkeys(name for pair in pairs for name in pair)


def names_in_file() -> frozenset[str]:
    """Give the names, upper-case, that `kontext.toml` gives a value; none where it cannot be read, as `load` tells."""
    try:
        told = _toml(config_file())
    except (OSError, ValueError):
        return frozenset()
    return frozenset(name.upper() for name, value in told.items() if value != "")


def config_file() -> Path:
    """Give where `kontext.toml` is looked for."""
    return Path(platformdirs.user_config_dir("kontext", appauthor=False)) / "kontext.toml"


def _toml(path: Path | Traversable) -> dict[str, Any]:
    import tomllib

    # Windows' editors put a mark before the first character of a UTF-8 file.
    return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def _key_in(name: str, path: Any) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8-sig").strip()
    except (OSError, TypeError, ValueError):
        raise SettingError(f"{name.upper()} names a file that cannot be read") from None

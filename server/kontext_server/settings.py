"""Environment and `kontext.toml` become one frozen object.

What this is: every setting of the contract's section 4 that this version honours, read once at start. The
environment wins over the file; each key also as `…_FILE`. What it is not: used anywhere but in `app` and `cli`.
Above: app, cli. Below: setting_names, setting_values.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from kontext_server.setting_names import slip_in_file, slips_in_environment
from kontext_server.setting_values import (
    Address,
    Caps,
    Folders,
    FolderThere,
    Key,
    Names,
    PriceSetting,
    Secret,
    is_unfilled,
    own_folders,
)
from kontext_tools.budget import Unit
from kontext_tools.folders import make_private

PREVIEW_PX = {"none": 0, "small": 512, "medium": 768, "large": 1024}


class SettingError(Exception):
    """A wrong setting; the text names the variable and what it takes. `every` tells it with all the others."""

    def __init__(self, told: str, *others: str) -> None:
        super().__init__(told)
        self.every = (told, *others)


class Settings(BaseSettings):
    """The settings, by their public names in lower case."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, enable_decoding=False, env_ignore_empty=True
    )

    core_today_api_key: Key = Field(None, description="core.today's key; an unset key turns its provider off")
    kkiai_api_key: Key = Field(None, description="kkiai's key")
    runflow_api_key: Key = Field(None, description="Runflow's key")
    eachlabs_api_key: Key = Field(None, description="Eachlabs' key")
    replicate_api_token: Key = Field(None, description="Replicate's token")
    bfl_api_key: Key = Field(None, description="Black Forest Labs' key")
    fal_key: Key = Field(None, description="fal's key")
    core_today_base_url: Address = Field("https://api.core.today/v1", description="where core.today's API is")
    kkiai_base_url: Address = Field("https://www.kkiai.com/replicate/v1", description="where kkiai's is")
    runflow_base_url: Address = Field("https://api.runflow.io/v1", description="where Runflow's is")
    eachlabs_base_url: Address = Field("https://api.eachlabs.ai", description="where Eachlabs' is")
    replicate_base_url: Address = Field("https://api.replicate.com/v1", description="where Replicate's is")
    bfl_base_url: Address = Field("https://api.bfl.ai", description="where BFL's is")
    fal_base_url: Address = Field("https://queue.fal.run", description="where fal's is")
    core_today_price: PriceSetting = Field(None, description="price of one image, such as `120 credit`")
    kkiai_price: PriceSetting = Field(None, description="likewise, such as `0.04 usd`; kkiai publishes none")
    runflow_price: PriceSetting = Field(None, description="likewise")
    eachlabs_price: PriceSetting = Field(None, description="likewise")
    replicate_price: PriceSetting = Field(None, description="likewise")
    bfl_price: PriceSetting = Field(None, description="likewise")
    fal_price: PriceSetting = Field(None, description="likewise")
    runflow_surface: Literal["auto", "runs", "run"] = Field("auto", description="which of Runflow's two surfaces")
    eachlabs_text_to_image: bool = Field(False, description="whether Eachlabs may generate without an image")
    core_today_output_folder: FolderThere = Field("", description="its folder for results, at most 256 characters")
    core_today_is_public: bool = Field(False, description="whether results get a permanent public address there")
    kontext_provider: Names = Field((), description="a name, or names in order, that `auto` is restricted to")
    kontext_model: Literal["kontext-pro", "kontext-max", "kontext-dev"] = Field(
        "kontext-pro", description="the model, where the provider has it"
    )
    kontext_data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("kontext", appauthor=False)),
        description="jobs (`kontext.db`) and pictures (`images/`, each with its facts beside it); "
        "`thumbs/` may be removed",
    )
    kontext_output_dir: Path | None = Field(None, description="finished images are also copied here")
    kontext_image_roots: Folders = Field(None, description="folders that a model may name input files from")
    kontext_keep_metadata: bool = Field(False, description="whether inputs keep EXIF, GPS, XMP and text")
    kontext_daily_budget: Caps = Field(default_factory=dict[Unit, Decimal], description="cap for each UTC day")
    kontext_max_cost: Caps = Field(default_factory=dict[Unit, Decimal], description="cap for one call")
    kontext_confirm_above: Caps = Field(
        default_factory=dict[Unit, Decimal], description="price of one call above which a person is asked first"
    )
    kontext_preview: Literal["none", "small", "medium", "large"] = Field(
        "medium", description="picture in an answer, its longest side 0, 512, 768 or 1024 px"
    )
    kontext_wait_seconds: int = Field(25, ge=0, le=50, description="how long an edit is waited for by default")
    kontext_resource_links: bool = Field(False, description="whether answers also carry resource links")
    kontext_proxy: Address | None = Field(None, description="the only proxy used")
    kontext_secret_key: Secret = Field(None, description="32 bytes as base64; else made and kept in the data folder")
    kontext_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="what goes to stderr, as JSON lines when that is no terminal"
    )

    @property
    def image_roots(self) -> list[Path]:
        """Folders that a model may name input files from."""
        if self.kontext_image_roots is not None:
            return self.kontext_image_roots
        return own_folders(Path.home())

    @property
    def base_urls(self) -> list[str]:
        """Every provider's base address: trusted by its exact host and port."""
        return [getattr(self, name) for name in Settings.model_fields if name.endswith("_base_url")]

    @property
    def preview_px(self) -> int:
        """Longest side of the preview, 0 for none."""
        return PREVIEW_PX[self.kontext_preview]

    @property
    def secrets(self) -> list[str]:
        """Every key, for the redactor."""
        keys = (getattr(self, name) for name in Settings.model_fields if is_key(name))
        proxy = urlsplit(self.kontext_proxy or "").password
        return [key.get_secret_value() for key in keys if key is not None] + ([proxy] if proxy else [])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # `Environment` stands in its place
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the library's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order: what a test gives, the environment, `…_FILE`, `kontext.toml`. No .env file is read."""
        return (
            init_settings,
            Environment(settings_cls),
            KeyFiles(settings_cls),
            UpperCaseToml(settings_cls, toml_file=config_file()),
        )


class Environment(EnvSettingsSource):
    """The environment, without what a client was to fill in and left: so `kontext.toml` is still read for it."""

    def __call__(self) -> dict[str, Any]:
        """Give the fields that the environment sets."""
        return {name: value for name, value in super().__call__().items() if not is_unfilled(value)}


class UpperCaseToml(TomlConfigSettingsSource):
    """`kontext.toml` has the same names as the environment, as top-level keys; any other is a person's slip."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        """Read the file, with or without a mark before its first character."""
        return tomllib.loads(file_path.read_text(encoding="utf-8-sig"))

    def __call__(self) -> dict[str, Any]:
        """Give the file's values under the fields' names, a key that lies in a file read."""
        told = {name.lower(): value for name, value in super().__call__().items()}
        slip = slip_in_file(told, known_names())
        if slip is not None:
            raise SettingError(slip)
        key_files = {name: told.pop(name) for name in list(told) if name not in Settings.model_fields}
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
    return name.endswith(("_key", "_token"))


def _key_in(name: str, path: Any) -> str:
    try:
        # Windows' editors put a mark before the first character of a UTF-8 file.
        return Path(path).expanduser().read_text(encoding="utf-8-sig").strip()
    except (OSError, TypeError, ValueError):
        raise SettingError(f"{name.upper()} names a file that cannot be read") from None


def known_names() -> dict[str, None]:
    """Give the name of every setting, lower-case, in the order of their listing; a key's also as `…_file`."""
    pairs = ((name, f"{name}_file" if is_key(name) else name) for name in Settings.model_fields)
    return dict.fromkeys(name for pair in pairs for name in pair)


def unknown_variables(environment: Mapping[str, str]) -> str | None:
    """Give one warning for the `KONTEXT_…` variables that are no setting of this version; `None` where all are.

    An environment is shared with other versions and programs, so that it is no reason not to start.
    """
    return slips_in_environment(environment, known_names())


def names_in_file() -> frozenset[str]:
    """Give the names, upper-case, that `kontext.toml` sets; none where it cannot be read, which `load` tells."""
    try:
        told = tomllib.loads(config_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return frozenset()
    return frozenset(name.upper() for name in told)


def config_file() -> Path:
    """Give where `kontext.toml` is looked for."""
    return Path(platformdirs.user_config_dir("kontext", appauthor=False)) / "kontext.toml"


def load(**given: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingError: a value is wrong; the variable is named, its value is not told.
    """
    try:
        return Settings(**_blanks_out(given))
    except ValidationError as error:
        raise SettingError(*map(_wrong, error.errors(include_input=False, include_url=False))) from None
    except (ValueError, OSError) as error:
        raise SettingError(f"kontext.toml cannot be read: {type(error).__name__}") from None


def origins() -> dict[str, str]:
    """Give where each setting that was set comes from, in words, by its name in lower case.

    Raises:
        SettingError: the file cannot be read, or holds what is no setting.
    """
    sources = {
        "kontext.toml": UpperCaseToml(Settings, toml_file=config_file()),
        "a file of its own": KeyFiles(Settings),
        "environment": EnvSettingsSource(Settings),
    }
    return {name: words for words, source in sources.items() for name in source()}


def prepare_data_dir(settings: Settings) -> None:
    """Make the data folder, 0700, and prove that it can be written.

    Raises:
        SettingError: it cannot.
    """
    folder = settings.kontext_data_dir
    try:
        if not folder.is_absolute():
            raise SettingError("KONTEXT_DATA_DIR is wrong: it takes an absolute path")
        make_private(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SettingError(f"KONTEXT_DATA_DIR names a folder that cannot be written ({error.strerror})") from None


def keys_in_file() -> list[str]:
    """Give the names of the keys that `kontext.toml` itself holds, upper-case; none where it is not there."""
    try:
        names = tomllib.loads(config_file().read_text("utf-8"))
    except (OSError, ValueError):
        return []
    return [name.upper() for name, value in names.items() if value and _is_key(name.lower())]


def _wrong(told: ErrorDetails) -> str:
    name = str(told["loc"][0]).upper() if told["loc"] else "a setting"
    return f"{name} is wrong: {_taught(told['msg'])}"


def _taught(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "it takes")


def _blanks_out(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}

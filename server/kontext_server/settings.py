"""Environment and `kontext.toml` become one frozen object.

What this is: every setting of the contract's section 4 that this version honours, read once at start. The
environment wins over the file; each key also as `…_FILE`. What it is not: the reading of those places
(`setting_sources`), or used anywhere but in `app` and above. Above: app, cli. Below: setting_sources, setting_values.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from kontext_server import secret_key
from kontext_server.setting_names import slips_in_environment
from kontext_server.setting_sources import (
    Environment,
    KeyFiles,
    SettingError,
    UpperCaseToml,
    config_file,
    is_key,
    known_names,
)
from kontext_server.setting_values import (
    Address,
    BlobUrl,
    Caps,
    DatabaseUrl,
    Folders,
    FolderThere,
    Hosts,
    Issuer,
    Key,
    Names,
    Origin,
    PriceSetting,
    Secret,
    own_folders,
)
from kontext_tools.budget import Unit
from kontext_tools.folders import make_private

PREVIEW_PX = {"none": 0, "small": 512, "medium": 768, "large": 1024}


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
    runflow_callback_secret: Key = Field(
        None, description="what Runflow signs its calls with, `whsec_…`; else their address alone proves them"
    )
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
    kontext_blob_url: BlobUrl = Field(
        None,
        description="`s3://bucket/prefix` keeps pictures there, with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, "
        "`AWS_REGION` and, for other makers' storage, `AWS_ENDPOINT_URL` of the environment",
    )
    kontext_database_url: DatabaseUrl = Field(
        None,
        description="`postgresql://user:password@host/database` keeps jobs there, for any number of machines; "
        "else they are in the data folder",
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
    kontext_public_url: Origin = Field(None, description="where others reach `kontext serve --http`, without a path")
    kontext_auth_issuer: Issuer = Field(
        None, description="who issues the tokens that sign people in, exactly as they say"
    )
    kontext_auth_audience: str | None = Field(
        None, description="whom tokens are issued for; else `/mcp` at the public address"
    )
    kontext_auth_jwks_url: Address | None = Field(None, description="where the issuer's public keys are")
    kontext_allowed_hosts: Hosts = Field((), description="further names by which others reach it")
    kontext_tokens_file: Path | None = Field(
        None, description="tokens of a small team, a line each: `<sha-256, hex> <subject> <scope,scope>`"
    )
    kontext_share_keys: bool = Field(False, description="whether those who sign in are served with these keys")
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
        database = "" if self.kontext_database_url is None else self.kontext_database_url.get_secret_value()
        coded = urlsplit(database).password
        others = (
            urlsplit(self.kontext_proxy or "").password,
            coded,
            None if coded is None or unquote(coded) == coded else unquote(coded),
            os.environ.get("AWS_SECRET_ACCESS_KEY"),
        )
        return [key.get_secret_value() for key in keys if key is not None] + [other for other in others if other]

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
        return (init_settings, *_places(settings_cls).values())


def unknown_variables(environment: Mapping[str, str]) -> str | None:
    """Give one warning for the `KONTEXT_…` variables that are no setting of this version; `None` where all are.

    An environment is shared with other versions and programs, so that it is no reason not to start.
    """
    return slips_in_environment(environment, known_names(Settings))


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
    places = reversed(_places(Settings).items())
    return {name: words for words, source in places for name in source()}


def _places(settings_cls: type[BaseSettings]) -> dict[str, PydanticBaseSettingsSource]:
    """Give the places that settings come from, in words; the first that has one wins."""
    return {
        "environment": Environment(settings_cls),
        "a file of its own": KeyFiles(settings_cls),
        "kontext.toml": UpperCaseToml(settings_cls, toml_file=config_file()),
    }


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


def secret(settings: Settings) -> bytes:
    """Give the secret key, set or kept in the data folder.

    Raises:
        SettingError: the one in the data folder cannot be read or made, or is none.
    """
    if settings.kontext_secret_key is not None:
        key = secret_key.decoded(settings.kontext_secret_key.get_secret_value())
        assert key is not None, "settings let no other through"
        return key
    try:
        key = secret_key.kept_in(settings.kontext_data_dir)
    except OSError as error:
        raise SettingError(f"KONTEXT_DATA_DIR: its {secret_key.FILE} cannot be read ({error.strerror})") from None
    if key is None:
        raise SettingError(
            f"KONTEXT_SECRET_KEY: {secret_key.FILE} in the data folder holds no key; remove that file, or set the key"
        )
    return key


def _wrong(told: ErrorDetails) -> str:
    name = str(told["loc"][0]).upper() if told["loc"] else "a setting"
    return f"{name} is wrong: {_taught(told['msg'])}"


def _taught(message: str) -> str:
    return message.removeprefix("Value error, ").replace("Input should be", "it takes")


def _blanks_out(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}

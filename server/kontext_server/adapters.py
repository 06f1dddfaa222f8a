"""Settings become providers: the configured adapters, each imported only then.

What this is: the one table from a provider's name to its adapter. What it is not: an adapter
(`kontext_tools.providers`). Above: app. Below: settings, the adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from kontext_server.setting_values import is_loopback
from kontext_server.settings import Settings
from kontext_tools.choosing import SANDBOX
from kontext_tools.http import Http
from kontext_tools.keyring import Make
from kontext_tools.providers.base import Provider

_Maker = Callable[[Settings, Http, str], Provider | None]
"""Makes an adapter with its key; `None` where it has not the model that the operator asked for."""


def configured(settings: Settings, http: Http, data_dir: Path) -> dict[str, Provider]:
    """Give the adapters whose key is set, in our order, and the sandbox last."""
    providers: dict[str, Provider] = {}
    for name in KEY_FIELDS:
        provider = adapter(name, settings, http)
        if provider is not None:
            providers[name] = provider
    from kontext_tools.providers.sandbox import Sandbox

    providers[SANDBOX] = Sandbox(data_dir / "sandbox")
    return providers


def adapter(name: str, settings: Settings, http: Http) -> Provider | None:
    """Give one hosted provider's adapter; `None` where its key is not set, or it has not the operator's model."""
    key_field, make = _ADAPTERS[name]
    key = getattr(settings, key_field)
    return None if key is None else make(settings, http, key.get_secret_value())


def takers(settings: Settings, http: Http) -> Make:
    """Give what makes a provider's adapter with a key that its user entered; `None` where it has not the model."""

    def made(name: str, key: str) -> Provider | None:
        return _ADAPTERS[name][1](settings, http, key)

    return made


def calling_at(public_url: str, settings: Settings) -> frozenset[str]:
    """Give the hosts that can call an address of ours: all of them, or at a loopback's those that are on it."""
    if not is_loopback(urlsplit(public_url).hostname or ""):
        return frozenset(KEY_FIELDS)
    base_urls = {name: str(getattr(settings, f"{name.replace('.', '_')}_base_url")) for name in KEY_FIELDS}
    return frozenset(name for name, url in base_urls.items() if is_loopback(urlsplit(url).hostname or ""))


def _core_today(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.core_today import MODELS, PRICE, CoreToday

    if settings.kontext_model not in MODELS:
        return None
    return CoreToday(
        http,
        key=key,
        base_url=settings.core_today_base_url,
        price=settings.core_today_price or PRICE,
        output_folder=settings.core_today_output_folder,
        is_public=settings.core_today_is_public,
    )


def _kkiai(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.replicate import KKIAI, Replicate

    base_url, price, model = settings.kkiai_base_url, settings.kkiai_price, settings.kontext_model
    return Replicate(http, host=KKIAI, key=key, base_url=base_url, price=price, model=model)


def _replicate(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.replicate import REPLICATE, Replicate

    base_url, price, model = settings.replicate_base_url, settings.replicate_price, settings.kontext_model
    return Replicate(http, host=REPLICATE, key=key, base_url=base_url, price=price, model=model)


def _runflow(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.runflow import MODELS, Runflow

    if settings.kontext_model not in MODELS:
        return None
    secret = settings.runflow_callback_secret
    return Runflow(
        http,
        key=key,
        base_url=settings.runflow_base_url,
        price=settings.runflow_price,
        surface=settings.runflow_surface,
        callback_secret=None if secret is None else secret.get_secret_value(),
    )


def _eachlabs(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.eachlabs import MODELS, Eachlabs

    if settings.kontext_model not in MODELS:
        return None
    base_url, price = settings.eachlabs_base_url, settings.eachlabs_price
    return Eachlabs(http, key=key, base_url=base_url, price=price, text_to_image=settings.eachlabs_text_to_image)


def _bfl(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.bfl import MODELS, Bfl

    if settings.kontext_model not in MODELS:
        return None
    return Bfl(http, key=key, base_url=settings.bfl_base_url, price=settings.bfl_price, model=settings.kontext_model)


def _fal(settings: Settings, http: Http, key: str) -> Provider | None:
    from kontext_tools.providers.fal import MODELS, Fal

    if settings.kontext_model not in MODELS:
        return None
    return Fal(http, key=key, base_url=settings.fal_base_url, price=settings.fal_price, model=settings.kontext_model)


_ADAPTERS: Mapping[str, tuple[str, _Maker]] = {
    "core.today": ("core_today_api_key", _core_today),
    "kkiai": ("kkiai_api_key", _kkiai),
    "runflow": ("runflow_api_key", _runflow),
    "eachlabs": ("eachlabs_api_key", _eachlabs),
    "replicate": ("replicate_api_token", _replicate),
    "bfl": ("bfl_api_key", _bfl),
    "fal": ("fal_key", _fal),
}
"""Name to the setting that holds its key, and what makes its adapter; the order is that of `auto`."""

KEY_FIELDS: Mapping[str, str] = {name: key_field for name, (key_field, _) in _ADAPTERS.items()}
"""Each hosted provider's name to the setting that holds its key, in the order of `auto`."""

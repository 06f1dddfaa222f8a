"""Which providers are on, whether their keys can be keys, who serves, and what a cap refuses; nothing is sent.

Above: checkup. Below: keys, adapters, choosing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio.lowlevel
from pydantic import SecretStr

from kontext_server.adapters import KEY_FIELDS, adapter
from kontext_server.doctor import keys
from kontext_server.doctor.case import Case
from kontext_server.doctor.findings import Finding, fail, ok, warn
from kontext_server.settings import Settings
from kontext_tools.choosing import KEY_VARIABLES, SANDBOX, auto_order
from kontext_tools.http import Http
from kontext_tools.providers.offers import Offer

_PRICE_VARIABLES = {name: f"{name.replace('.', '_').upper()}_PRICE" for name in KEY_FIELDS}


async def look(case: Case) -> Sequence[Finding]:
    """Look at each provider's key, at the order of `auto`, and at prices under a cap."""
    await anyio.lowlevel.checkpoint()
    settings = case.read
    offers = _offers(settings)
    lines = [_provider(settings, name, offers) for name in KEY_FIELDS]
    priced = [_price(settings, offer) for offer in offers.values()]
    return [*lines, *_order(settings, offers), *(line for line in priced if line is not None)]


def key_of(settings: Settings, provider: str) -> str | None:
    """Give a provider's key; `None` where it is not set."""
    key: SecretStr | None = getattr(settings, KEY_FIELDS[provider])
    return None if key is None else key.get_secret_value()


def usable_key(settings: Settings, provider: str) -> bool:
    """Whether a provider's key is set and can stand in a request."""
    key = key_of(settings, provider)
    return key is not None and keys.fault(key, KEY_VARIABLES[provider]) is None


def _offers(settings: Settings) -> Mapping[str, Offer]:
    """Give the facts of each provider that is on, as the server would have them."""
    made = {name: adapter(name, settings, Http()) for name in KEY_FIELDS}
    return {name: provider.offer for name, provider in made.items() if provider is not None}


def _provider(settings: Settings, name: str, offers: Mapping[str, Offer]) -> Finding:
    variable, key = KEY_VARIABLES[name], key_of(settings, name)
    if key is None:
        return ok(name, f"off: set {variable}")
    fault = keys.fault(key, variable)
    if fault is not None:
        return fail(name, f"{variable} cannot be a key: {fault}", f"Set {variable} to the key alone.", of_settings=True)
    if name not in offers:
        model = settings.kontext_model
        return warn(name, f"off: it has no {model}", "Set KONTEXT_MODEL to kontext-pro, or leave it to another one.")
    oddity = keys.oddity(key, name)
    if oddity is not None:
        return warn(name, f"{variable} may be another's key: {oddity}", "Run kontext doctor --online to have it tried.")
    return ok(name, f"on: {variable} is set")


def _order(settings: Settings, offers: Mapping[str, Offer]) -> Sequence[Finding]:
    wanted = settings.kontext_provider
    order = auto_order([*offers, SANDBOX], wanted)
    off = [name for name in wanted if name != SANDBOX and name not in offers]
    variables = " or ".join(KEY_VARIABLES[name] for name in off)
    mend = f"Set {variables}, or take {', '.join(off)} out of KONTEXT_PROVIDER."
    if not order:
        cause = f"nobody serves: KONTEXT_PROVIDER names only what is off ({', '.join(off)})"
        return [fail("auto", cause, mend, of_settings=True)]
    serves = ", then ".join(order)
    if off:
        return [warn("auto", f"{serves}; {', '.join(off)} of KONTEXT_PROVIDER is off", mend)]
    if order == (SANDBOX,):
        return [ok("auto", "sandbox: it edits by simple means, asks no model and costs nothing")]
    return [ok("auto", serves)]


def _price(settings: Settings, offer: Offer) -> Finding | None:
    """Tell a provider whose every picture the caps refuse (`budget.Caps.check_call`)."""
    name, price = f"price of {offer.name}", offer.price
    variable = _PRICE_VARIABLES[offer.name]
    caps = {"KONTEXT_MAX_COST": settings.kontext_max_cost, "KONTEXT_DAILY_BUDGET": settings.kontext_daily_budget}
    for cap, amounts in caps.items():
        if amounts and price.amount is None:
            cause = f"unknown, and {cap} is set: every call there is refused"
            return warn(name, cause, f"Set {variable}, such as '0.04 usd'.")
        if amounts and price.unit not in amounts:
            cause = f"{price}, and {cap} counts no {price.unit}: every call there is refused"
            return warn(name, cause, f"Add a cap in {price.unit} to {cap}, or set {variable} if you pay otherwise.")
        cap_amount = amounts.get(price.unit)
        if cap_amount is not None and price.amount is not None and price.amount > cap_amount:
            cause = f"{price}, more than {cap} allows: every call there is refused"
            return warn(name, cause, f"Raise {cap}, or set {variable} if you pay less.")
    return None

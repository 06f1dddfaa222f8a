"""Which provider serves an edit; pure, over the configured offers.

What this is: `auto`, a named one, and the refusal that names the accepted values and who would take it. What it is
not: what a provider can do (`providers.base.Offer`). Above: studio. Below: providers.base, edits, errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kontext_tools.edits import MATCH_INPUT, Edit
from kontext_tools.errors import InvalidArgument, NotConfigured, UnsupportedByProvider
from kontext_tools.providers.base import Offer, Unsupported

AUTO = "auto"
SANDBOX = "sandbox"
HOSTED = ("core.today", "kkiai", "runflow", "eachlabs", "replicate", "bfl", "fal")
"""The order of `auto` where the operator names none."""

KEY_VARIABLES: Mapping[str, str] = {
    "core.today": "CORE_TODAY_API_KEY",
    "kkiai": "KKIAI_API_KEY",
    "runflow": "RUNFLOW_API_KEY",
    "eachlabs": "EACHLABS_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
    "bfl": "BFL_API_KEY",
    "fal": "FAL_KEY",
}

_RATIO_TOLD = "aspect_ratio match_input_image needs an image; 1:1 was used."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who serves, the edit as that provider takes it, and what is told about it."""

    offer: Offer
    edit: Edit
    warnings: tuple[str, ...] = ()


def choose(edit: Edit, offers: Mapping[str, Offer], *, order: Sequence[str]) -> Choice:
    """Give the provider that serves an edit.

    Args:
        edit: as it was asked.
        offers: of every configured provider, by name; the sandbox is always among them.
        order: the names that `auto` tries; none of them serves when none is configured but the sandbox.

    Raises:
        NotConfigured: the named provider has no key.
        InvalidArgument: no provider has that name.
        UnsupportedByProvider: a set argument that the named one, or under `auto` every one, does not honour.
    """
    warnings: tuple[str, ...] = ()
    if edit.image is None and edit.aspect_ratio == MATCH_INPUT:
        warnings = (_RATIO_TOLD,) if "aspect_ratio" in edit.given else ()
        edit = replace(edit, aspect_ratio="1:1")
    candidates = (
        [offers[name] for name in order] if edit.provider.lower() == AUTO else [_named(edit.provider.lower(), offers)]
    )
    refusals: list[tuple[Offer, Unsupported]] = []
    for offer in candidates:
        refusal = offer.refuses(edit)
        if refusal is None:
            return Choice(offer=offer, edit=edit, warnings=warnings)
        refusals.append((offer, refusal))
    raise _unsupported(edit, refusals[0], offers)


def auto_order(configured: Sequence[str], preferred: Sequence[str]) -> tuple[str, ...]:
    """Give the names that `auto` tries: the operator's, else the hosted ones in our order, else the sandbox."""
    wanted = preferred or HOSTED
    hosted = tuple(name for name in wanted if name in configured)
    return hosted or (SANDBOX,)


def _named(name: str, offers: Mapping[str, Offer]) -> Offer:
    offer = offers.get(name)
    if offer is not None:
        return offer
    names = ", ".join([AUTO, *offers])
    if name in KEY_VARIABLES:
        raise NotConfigured(
            f"{name} has no key here; nothing was sent.",
            fix=f"Call again with provider one of {names}; or a person must set {KEY_VARIABLES[name]}.",
            field="provider",
        )
    raise InvalidArgument(
        "There is no provider of that name; nothing was sent.",
        fix=f"Call again with provider one of {names}.",
        field="provider",
    )


def _unsupported(edit: Edit, refused: tuple[Offer, Unsupported], offers: Mapping[str, Offer]) -> UnsupportedByProvider:
    offer, no = refused
    others = [name for name, other in offers.items() if other is not offer and other.refuses(edit) is None]
    elsewhere = f"; or with provider={others[0]!r}, which takes it" if others else ""
    first = no.accepted.split(", ")[0].split(" to ")
    value = first[-1] if no.field == "safety_tolerance" else first[0]
    if no.field == "image":
        mend = "Call again with an image." if edit.image is None else "Call again without an image."
    elif no.accepted.startswith("no "):
        mend = f"Call again without {no.field}"
    else:
        mend = f"Call again with {no.field}={value}"
    return UnsupportedByProvider(
        f"{offer.name} does not take this {no.field}{' with an image' if edit.image is not None else ''} "
        f"(accepted: {no.accepted}); nothing was sent.",
        fix=f"{mend.rstrip('.')}{elsewhere}.",
        field=no.field,
    )

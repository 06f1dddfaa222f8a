"""Which provider serves an edit; pure, over the configured offers.

What this is: `auto`, a named one, and the refusal that names the accepted values and who would take it. What it is
not: what a provider can do (`providers.base.Offer`). Above: studio. Below: providers.base, edits, errors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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

NOT_SHARED = "its operator must set KONTEXT_SHARE_KEYS=true"
_SHARING = (
    "The operator of this server must set KONTEXT_SHARE_KEYS=true, or name sandbox in KONTEXT_PROVIDER to let people "
    "try it without cost."
)
_RATIO_TOLD = "aspect_ratio match_input_image needs an image; 1:1 was used."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Who serves, the edit as that provider takes it, what is told about it, and whether by its caller's own key."""

    offer: Offer
    edit: Edit
    warnings: tuple[str, ...] = ()
    own_key: bool = False


def choose(
    edit: Edit,
    offers: Mapping[str, Offer],
    *,
    order: Sequence[str],
    unreachable: Collection[str] = (),
    withheld: Collection[str] = (),
    own: Collection[str] = (),
    page: str = "",
) -> Choice:
    """Give the provider that serves an edit.

    Args:
        edit: as it was asked.
        offers: of every provider that serves its caller, by name.
        order: the names that `auto` tries, of these.
        unreachable: names that the edit's picture cannot be sent to.
        withheld: names that serve others, and their caller not without a key of their own.
        own: names that serve their caller by a key of their own.
        page: where their caller can enter one; empty where they cannot.

    Raises:
        NotConfigured: the named provider, or under `auto` every one, has no key, or none for this caller.
        InvalidArgument: no provider has that name.
        UnsupportedByProvider: a set argument that the named one, or under `auto` every one, does not honour; or its
            picture cannot be sent there.
    """
    warnings: tuple[str, ...] = ()
    if edit.image is None and edit.aspect_ratio == MATCH_INPUT:
        warnings = (_RATIO_TOLD,) if "aspect_ratio" in edit.given else ()
        edit = replace(edit, aspect_ratio="1:1")
    named = edit.provider.lower()
    if named in withheld or (named == AUTO and not order and withheld):
        raise _withheld(named, page)
    candidates = [offers[name] for name in order] if named == AUTO else [_named(named, offers)]
    if not candidates:
        raise NotConfigured(
            "KONTEXT_PROVIDER names only providers without a key; nothing was sent.",
            fix="A person must set the key of one of them, or name a configured one in KONTEXT_PROVIDER.",
            field="provider",
        )
    for offer in candidates:
        if not offer.refusals(edit) and offer.name not in unreachable:
            return Choice(offer=offer, edit=edit, warnings=warnings, own_key=offer.name in own)
    first = candidates[0]
    if first.refusals(edit):
        raise _unsupported(edit, first, offers)
    raise _no_upload(edit, first, [offer for name, offer in offers.items() if name not in unreachable])


def auto_order(configured: Sequence[str], preferred: Sequence[str]) -> tuple[str, ...]:
    """Give the names that `auto` tries: the operator's, else the hosted ones in our order.

    The sandbox is among them only where the operator named it or no hosted one is configured: it never stands in for
    a provider in silence.
    """
    if all(name == SANDBOX for name in configured):
        return (SANDBOX,)
    return tuple(name for name in preferred or HOSTED if name in configured)


def for_guests(configured: Collection[str], preferred: Sequence[str], *, shares: bool) -> frozenset[str]:
    """Give the names that serve whoever is not the operator.

    Args:
        configured: every name, the sandbox among them.
        preferred: those that the operator named.
        shares: whether the operator's keys serve others.
    """
    hosted = frozenset(configured) - {SANDBOX}
    tries_out = SANDBOX in preferred or not hosted
    return (hosted if shares else frozenset[str]()) | (frozenset({SANDBOX}) if tries_out else frozenset[str]())


def _withheld(named: str, page: str) -> NotConfigured:
    if not page:
        return NotConfigured(
            "The operator's keys serve nobody who signs in here; nothing was sent.", fix=_SHARING, field="provider"
        )
    needed = NotConfigured(
        "It takes a provider key of your own here; nothing was sent.",
        fix=f"The person enters a key of their own at {page}, then call again. Or: {_SHARING}",
        field="provider",
    )
    needed.by_key_for(named if named in KEY_VARIABLES else "")
    return needed


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


def _unsupported(edit: Edit, offer: Offer, offers: Mapping[str, Offer]) -> UnsupportedByProvider:
    refusals = offer.refusals(edit)
    first = refusals[0]
    others = [name for name, other in offers.items() if name != SANDBOX and not other.refusals(edit)]
    elsewhere = f"; or with provider={others[0]!r}, which takes it" if others else ""
    return UnsupportedByProvider(
        f"{offer.name} does not take this {first.field}{' with an image' if edit.image is not None else ''} "
        f"(accepted: {first.accepted}); nothing was sent.",
        fix=f"{_mend(edit, refusals)}{elsewhere}.",
        field=first.field,
    )


def _no_upload(edit: Edit, offer: Offer, others: Sequence[Offer]) -> UnsupportedByProvider:
    takers = [other.name for other in others if other.name != SANDBOX and not other.refusals(edit)]
    elsewhere = f"; or call again with provider={takers[0]!r}, which takes it" if takers else ""
    return UnsupportedByProvider(
        f"{offer.name} takes no upload, and this image has no address that it could fetch; nothing was sent.",
        fix=f"Call again with a public https address of the image{elsewhere}.",
        field="image",
    )


def _mend(edit: Edit, refusals: Sequence[Unsupported]) -> str:
    """Give the change that makes the next call pass: every refused argument, for they are refused together."""
    if refusals[0].field == "image":
        return "Call edit_image with an image" if edit.image is None else "Call generate_image without an image"
    return "Call again " + " and ".join(map(_change_of, refusals))


def _change_of(no: Unsupported) -> str:
    if no.accepted.startswith("no "):
        return f"without {no.field}"
    values = no.accepted.split(", ")[0].split(" to ")
    # Of a range of strictness the highest is nearest to what was asked for.
    return f"with {no.field}={values[-1] if no.field == 'safety_tolerance' else values[0]}"

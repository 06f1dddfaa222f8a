"""The parameters of fal's FLUX.1 Kontext [pro], which Runflow resells under the same names.

What this is: names, types and ranges, checked, and the recipe of the picture that follows. What it is not: a
wire; where the two vendors differ (the ratios, what an address may be) they say so. Above: `fal`, `runflow`.
Below: `reading`, `pictures`.
"""

from __future__ import annotations

from collections.abc import Collection

from kontext_server.simulator.pictures import Recipe
from kontext_server.simulator.reading import check_types
from kontext_server.simulator.wire import JsonObject, RefusedError

RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
SAFETY = ("1", "2", "3", "4", "5", "6")
_FORMATS = ("jpeg", "png")
_TYPES: dict[str, type] = {
    "prompt": str,
    "image_url": str,
    "aspect_ratio": str,
    "num_images": int,
    "guidance_scale": float,
    "output_format": str,
    "safety_tolerance": str,
    "enhance_prompt": bool,
    "seed": int,
    "sync_mode": bool,
}


def check(given: JsonObject, ratios: Collection[str], *, picture: bool, where: str = "") -> None:
    """Refuse (422) what the vendors would; `picture` says whether there must be one, or must not."""
    check_types(given, _TYPES, where)
    if not given.get("prompt", "").strip():
        raise RefusedError(422, f"{where}prompt: Field required")
    if picture and not given.get("image_url"):
        raise RefusedError(422, f"{where}image_url: Field required")
    if not picture and "image_url" in given:
        raise RefusedError(422, f"{where}image_url: unknown")
    for name, allowed in (("aspect_ratio", ratios), ("output_format", _FORMATS), ("safety_tolerance", SAFETY)):
        if name in given and given[name] not in allowed:
            raise RefusedError(422, f"{where}{name}: one of {', '.join(allowed)}")
    for name, highest in (("num_images", 4), ("guidance_scale", 20)):
        if not 1 <= given.get(name, 1) <= highest:
            raise RefusedError(422, f"{where}{name}: from 1 to {highest}")


def recipe(given: JsonObject, size: tuple[int, int], source: bytes) -> Recipe:
    """Of the first picture that a checked input asks for."""
    return Recipe(
        prompt=given["prompt"],
        seed=str(given.get("seed", "")),
        size=size,
        source=source,
        format="png" if given.get("output_format", "jpeg") == "png" else "jpg",
    )

"""What each provider can do and costs, as rows: the one function behind `kontext://providers` and the README's table.

Above: resources, tests. Below: offers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kontext_tools.edits import ASPECT_RATIOS
from kontext_tools.providers.base import Offer


def rows(offers: Iterable[Offer]) -> list[dict[str, Any]]:
    """Give one row for each offer: every fact that decides whether a call is honoured there."""
    return [_row(offer) for offer in offers]


def _row(offer: Offer) -> dict[str, Any]:
    return {
        "provider": offer.name,
        "model": offer.model,
        "price_per_image": "not published" if offer.price.amount is None else str(offer.price),
        "edits": offer.edits,
        "generates": offer.generates,
        "aspect_ratio": list(offer.aspect_ratios),
        "output_format": list(offer.output_formats),
        "safety_tolerance": _span(offer.safety) if offer.generates else None,
        "safety_tolerance_with_image": _span(offer.safety_with_image),
        "seed": _span(offer.seed),
        "prompt_upsampling": offer.prompt_upsampling,
        "guidance_scale": _span(offer.guidance_scale),
        "num_images": "in one request" if offer.images_per_send > 1 else "one request each",
        "local_files": "uploaded" if offer.takes_bytes else "no upload: https addresses and own results",
        "input_limit": offer.input_limit,
        "cancel": offer.cancelling.value,
        "source": offer.evidence,
    }


def markdown(offers: Iterable[Offer]) -> str:
    """Give the rows as the README's table."""
    head = ["provider", "price", "without image", "ratios", "formats", "safety", "guidance", "several", "cancel"]
    lines = [head, ["---"] * len(head)]
    for row in rows(offers):
        every = len(row["aspect_ratio"]) == len(ASPECT_RATIOS)
        safety = f"{row['safety_tolerance']}; " if row["safety_tolerance"] else ""
        lines.append(
            [
                row["provider"],
                row["price_per_image"],
                "yes" if row["generates"] else "no",
                "all" if every else str(len(row["aspect_ratio"])),
                ", ".join(row["output_format"]),
                f"{safety}{row['safety_tolerance_with_image']} with an image",
                row["guidance_scale"] or "no",
                row["num_images"],
                row["cancel"],
            ]
        )
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _span(bounds: tuple[float, float] | None) -> str | None:
    return None if bounds is None else f"{bounds[0]:.10g} to {bounds[1]:.10g}"

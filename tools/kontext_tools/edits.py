"""What is asked: one edit of a picture, or one generation, in our own words.

What this is: the `Edit` value and the words its parameters may hold. A generation is an Edit without an image.
What it is not: the reading of what a model sent (`kontext_server.surface.arguments`), nor a provider's names for
a parameter (`providers`). Above: jobs, offers, engine, studio. Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MATCH_INPUT = "match_input_image"
RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21", "2:1", "1:2")
ASPECT_RATIOS = (MATCH_INPUT, *RATIOS)
OUTPUT_FORMATS = ("png", "jpg")
MAX_SEED = 2**32 - 1
MAX_IMAGES = 4
MAX_SAFETY = 6
MAX_PROMPT_CHARS = 20_000
"""Kontext reads 512 tokens; ten times that is no prompt any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One asked edit or generation.

    Attributes:
        prompt: what to change, or what to make.
        image: the image reference as given, or `None` for a generation.
        keep: what must stay the same; composed into the prompt that is sent.
        num_images: 1 to 4.
        aspect_ratio: one of `ASPECT_RATIOS`.
        seed: 0 to `MAX_SEED`, or `None` for the provider's choice.
        output_format: one of `OUTPUT_FORMATS`.
        safety_tolerance: 0 (strict) to 6.
        prompt_upsampling: whether the provider may rewrite the prompt.
        guidance_scale: how closely to follow the prompt, 1 to 20, or `None`.
        provider: a name, or `auto`.
        label: a few words for people; becomes the job's slug.
        given: names of the parameters that the caller set. A default is never "set", so it is never refused.
    """

    prompt: str
    image: str | None = None
    keep: str = ""
    num_images: int = 1
    aspect_ratio: str = MATCH_INPUT
    seed: int | None = None
    output_format: str = "png"
    safety_tolerance: int = 2
    prompt_upsampling: bool = False
    guidance_scale: float | None = None
    provider: str = "auto"
    label: str = ""
    given: frozenset[str] = frozenset()

    def parameters(self) -> dict[str, Any]:
        """Give the parameters that shape the picture, `None`s left out; neither image, label nor provider."""
        pairs = {
            "prompt": self.prompt,
            "keep": self.keep or None,
            "num_images": self.num_images,
            "aspect_ratio": self.aspect_ratio,
            "seed": self.seed,
            "output_format": self.output_format,
            "safety_tolerance": self.safety_tolerance,
            "prompt_upsampling": self.prompt_upsampling,
            "guidance_scale": self.guidance_scale,
        }
        return {name: value for name, value in pairs.items() if value is not None}

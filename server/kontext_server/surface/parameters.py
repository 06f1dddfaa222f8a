"""The tools' parameters as data, made from what the configured providers can do.

Above: tools. Below: arguments, edits, offers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace

from kontext_server.surface.arguments import Arguments, Kind, Parameter
from kontext_tools.choosing import AUTO, SANDBOX
from kontext_tools.edits import (
    ASPECT_RATIOS,
    MATCH_INPUT,
    MAX_IMAGES,
    MAX_PROMPT_CHARS,
    MAX_SAFETY,
    MAX_SEED,
    RATIOS,
    Edit,
)
from kontext_tools.providers.base import Offer

MAX_WAIT_S = 50
OF_AN_EDIT = frozenset(field.name for field in fields(Edit)) - {"given"}

# The names that hosts give to sizes (WIRE.md H); `portrait_4_3` is 3:4. `square` is 512 px there, a loss: not taken.
_RATIO_SPELLINGS = {
    "match_input": MATCH_INPUT,
    "match": MATCH_INPUT,
    "auto": MATCH_INPUT,
    "square_hd": "1:1",
    "portrait_4_3": "3:4",
    "portrait_16_9": "9:16",
    "landscape_4_3": "4:3",
    "landscape_16_9": "16:9",
} | {ratio.replace(":", between): ratio for ratio in RATIOS for between in ("x", "/", "-", "_", " : ", "by")}
_FORMAT_SPELLINGS = {
    "jpeg": "jpg",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".png": "png",
    "image/png": "png",
    "image/jpeg": "jpg",
}

PROMPT = Parameter(
    name="prompt",
    kind=Kind.TEXT,
    required=True,
    max_chars=MAX_PROMPT_CHARS,
    description="What to change, in English, such as: Replace 'SALE' with 'OPEN'.",
)
IMAGE = Parameter(
    name="image",
    kind=Kind.NAME,
    required=True,
    # A data: URI of any length is read: over 10 MB it is refused as what it is, a source that is too large.
    max_chars=1_000_000_000,
    aliases=("input_image", "image_url", "image_path", "input_image_url"),
    description="An earlier result (red-car-4k7q/1), an absolute path, an https URL or a data: URI.",
)
KEEP = Parameter(
    name="keep",
    kind=Kind.TEXT,
    default="",
    description="What must stay, such as: the face, pose and background.",
)


def _closest_ratio(text: str) -> str | None:
    """Give the ratio whose shape is nearest to `7:3` or `square`; `None` for a text that is no shape."""
    if text == "square":
        return "1:1"
    sides = re.fullmatch(r"(\d{1,5})[:x/](\d{1,5})", text)
    if sides is None or int(sides[1]) == 0 or int(sides[2]) == 0:
        return None
    asked = math.log(int(sides[1]) / int(sides[2]))
    shapes = {ratio: math.log(int(ratio.split(":")[0]) / int(ratio.split(":")[1])) for ratio in RATIOS}
    return min(shapes, key=lambda ratio: abs(shapes[ratio] - asked))


NUM_IMAGES = Parameter(
    name="num_images",
    kind=Kind.INTEGER,
    default=1,
    minimum=1,
    maximum=MAX_IMAGES,
    aliases=("n", "num_outputs", "number_of_images"),
    description="Variants; each is paid.",
)
RATIO = Parameter(
    name="aspect_ratio",
    kind=Kind.CHOICE,
    choices=ASPECT_RATIOS,
    spellings=_RATIO_SPELLINGS,
    closest=_closest_ratio,
    aliases=("ratio", "image_size", "size"),
    description="Shape of the result.",
)
SEED = Parameter(
    name="seed",
    kind=Kind.INTEGER,
    minimum=0,
    maximum=MAX_SEED,
    description="Same seed and words, same picture.",
)
DRY_RUN = Parameter(name="dry_run", kind=Kind.FLAG, default=False, description="Check and price; send nothing.")
_JOB_ID = Parameter(
    name="job_id",
    kind=Kind.NAME,
    required=True,
    max_chars=200,
    aliases=("id", "job", "prediction_id", "request_id"),
    description="An earlier answer's job_id.",
)


def edit_image(offers: Mapping[str, Offer], wait_s: int) -> tuple[Parameter, ...]:
    """Give edit_image's parameters."""
    highest = max((bounds[1] for offer in offers.values() if (bounds := offer.safety_with_image)), default=2)
    return (
        IMAGE,
        PROMPT,
        KEEP,
        *_shared(offers, wait_s, ratio=MATCH_INPUT, highest_safety=highest),
    )


def generate_image(offers: Mapping[str, Offer], wait_s: int) -> tuple[Parameter, ...]:
    """Give generate_image's parameters."""
    # Dropped, it would be a picture from words alone that somebody pays for.
    image = replace(
        IMAGE,
        required=False,
        listed=False,
        elsewhere="Call edit_image with the same arguments to start from an image; generate_image makes one from words",
    )
    prompt = replace(PROMPT, description="What to make, in English.")
    return (prompt, *_shared(offers, wait_s, ratio="1:1", highest_safety=MAX_SAFETY), image)


def get_status() -> tuple[Parameter, ...]:
    """Give get_status's parameters."""
    detail = Parameter(
        name="detail",
        kind=Kind.CHOICE,
        default="concise",
        choices=("concise", "full"),
        description="full adds the sent prompt, the request and the hashes.",
    )
    return (_JOB_ID, wait(0), detail)


def cancel_job() -> tuple[Parameter, ...]:
    """Give cancel_job's parameters."""
    return (_JOB_ID,)


def wait(default_s: int) -> Parameter:
    """Give wait_seconds with a tool's default."""
    return Parameter(
        name="wait_seconds",
        kind=Kind.INTEGER,
        default=default_s,
        minimum=0,
        maximum=MAX_WAIT_S,
        aliases=("wait", "timeout", "wait_s"),
        description="Seconds to wait; 0 for none.",
    )


def _shared(offers: Mapping[str, Offer], wait_s: int, *, ratio: str, highest_safety: int) -> tuple[Parameter, ...]:
    hosted = [name for name in offers if name != SANDBOX]
    return (
        NUM_IMAGES,
        replace(RATIO, default=ratio),
        SEED,
        Parameter(
            name="output_format",
            kind=Kind.CHOICE,
            default="png",
            choices=("png", "jpg"),
            spellings=_FORMAT_SPELLINGS,
            aliases=("format",),
            description="File format; png between edits.",
        ),
        Parameter(
            name="safety_tolerance",
            kind=Kind.INTEGER,
            default=2,
            minimum=0,
            maximum=MAX_SAFETY,
            published_maximum=highest_safety,
            aliases=("safety",),
            description="0 is strictest.",
        ),
        Parameter(
            name="prompt_upsampling",
            kind=Kind.FLAG,
            default=False,
            aliases=("enhance_prompt",),
            description="The provider may rewrite the prompt.",
        ),
        Parameter(
            name="guidance_scale",
            kind=Kind.NUMBER,
            minimum=1,
            maximum=20,
            aliases=("guidance", "cfg_scale"),
            listed=any(offer.guidance_scale for offer in offers.values()),
            description="How closely to follow the prompt.",
        ),
        Parameter(
            name="provider",
            kind=Kind.NAME,
            default=AUTO,
            max_chars=100,
            listed=len(hosted) > 1,
            choices=(AUTO, *offers),
            description="Who makes it.",
        ),
        Parameter(name="label", kind=Kind.TEXT, default="", max_chars=200, description="A few words to find it by."),
        wait(wait_s),
        DRY_RUN,
        Parameter(
            name="request_key",
            kind=Kind.NAME,
            default="",
            max_chars=255,
            description="Your own; the same never pays twice, a new one makes a variant.",
        ),
    )


def edit_of(arguments: Arguments) -> Edit:
    """Give the edit that a call's arguments ask for, with what was given of it and what is a default told apart."""
    names = OF_AN_EDIT & arguments.values.keys()
    return Edit(**{name: arguments[name] for name in names}, given=arguments.given & OF_AN_EDIT)

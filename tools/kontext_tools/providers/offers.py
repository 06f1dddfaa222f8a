"""What a provider can do and costs: facts as data, and the refusals that follow from them.

What this is: the `Offer`, one for each adapter, and which set arguments it would not honour. What it is not: the choice
between offers (`kontext_tools.choosing`). Above: base, choosing, surface. Below: edits, images, budget.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from kontext_tools.budget import Price
from kontext_tools.edits import ASPECT_RATIOS, MAX_IMAGES, MAX_SEED, OUTPUT_FORMATS, Edit
from kontext_tools.images import INPUT_MEDIA_TYPES, ImageFacts


class Cancelling(StrEnum):
    """Whether a host lets a job be cancelled."""

    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A set argument that an offer does not honour: its name and, as words, the values that it accepts."""

    field: str
    accepted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one provider can do and costs: facts as data, each adapter's with source and date beside it.

    Attributes:
        name: as in the settings, `core.today`.
        model: the host's own name of the model that serves.
        price: list price of one image.
        typical_s: seconds that a job usually takes.
        edits: whether it takes a picture.
        generates: whether it works without one.
        aspect_ratios: those it honours, in our words.
        output_formats: likewise.
        safety: lowest and highest `safety_tolerance` without a picture, or `None` where it takes none.
        max_safety_with_image: highest with one.
        seed: lowest and highest, or `None` where it takes none.
        prompt_upsampling: whether it can rewrite the prompt.
        guidance_scale: lowest and highest, or `None`.
        images_per_send: images that one create can make.
        takes_url: whether it fetches a picture from an https address.
        takes_bytes: whether a picture of ours can be sent to it.
        max_input_bytes: of a picture, encoded; a larger one is scaled down. `None` where nothing is stated.
        max_input_px: longest side of a picture; a larger one is scaled down.
        input_media_types: the encodings that it reads.
        cancelling: whether a job can be cancelled.
        finds: whether it lists its jobs, so that one whose create got no readable answer can be found.
        concurrency: creates in flight at once.
        call_bytes: most bytes of a call that the host makes when a job ends, if it is asked to; 0 where it makes none.
        undocumented: parameters that are sent although the host's own page does not list them: told when one is set.
        note: told with every answer, where the provider has something to confess.
        evidence: where these facts stand, with date.
    """

    name: str
    model: str
    price: Price
    typical_s: float = 12.0
    edits: bool = True
    generates: bool = True
    aspect_ratios: tuple[str, ...] = ASPECT_RATIOS
    output_formats: tuple[str, ...] = OUTPUT_FORMATS
    safety: tuple[int, int] | None = (0, 6)
    max_safety_with_image: int = 2
    seed: tuple[int, int] | None = (0, MAX_SEED)
    prompt_upsampling: bool = True
    guidance_scale: tuple[float, float] | None = None
    images_per_send: int = 1
    takes_url: bool = True
    takes_bytes: bool = True
    max_input_bytes: int | None = None
    max_input_px: int | None = None
    input_media_types: tuple[str, ...] = INPUT_MEDIA_TYPES
    cancelling: Cancelling = Cancelling.YES
    finds: bool = False
    concurrency: int = 4
    call_bytes: int = 0
    undocumented: tuple[str, ...] = ()
    note: str = ""
    evidence: str

    @property
    def safety_with_image(self) -> tuple[int, int] | None:
        """Lowest and highest `safety_tolerance` with a picture, or `None` where it takes none."""
        return None if self.safety is None else (self.safety[0], min(self.safety[1], self.max_safety_with_image))

    def refuses(self, edit: Edit) -> Unsupported | None:
        """Give the first set argument that this provider would not honour; `None` when it honours them all."""
        return next(iter(self.refusals(edit)), None)

    def refusals(self, edit: Edit) -> tuple[Unsupported, ...]:
        """Give every set argument that this provider would not honour. A default is never set."""
        checks: tuple[Callable[[Edit], Unsupported | None], ...] = (
            self._image,
            self._ratio,
            self._format,
            self._safety,
            self._seed,
            self._upsampling,
            self._guidance,
        )
        return tuple(no for check in checks if (no := check(edit)) is not None)

    def _image(self, edit: Edit) -> Unsupported | None:
        if edit.image is None and not self.generates:
            return Unsupported(field="image", accepted="an image to edit")
        if edit.image is not None and not self.edits:
            return Unsupported(field="image", accepted="no image")
        return None

    def _ratio(self, edit: Edit) -> Unsupported | None:
        fits = edit.aspect_ratio in self.aspect_ratios or "aspect_ratio" not in edit.given
        return None if fits else Unsupported(field="aspect_ratio", accepted=", ".join(self.aspect_ratios))

    def _format(self, edit: Edit) -> Unsupported | None:
        fits = edit.output_format in self.output_formats or "output_format" not in edit.given
        return None if fits else Unsupported(field="output_format", accepted=", ".join(self.output_formats))

    def _safety(self, edit: Edit) -> Unsupported | None:
        bounds = self.safety if edit.image is None else self.safety_with_image
        if "safety_tolerance" not in edit.given:
            return None
        if bounds is None:
            return Unsupported(field="safety_tolerance", accepted="no safety_tolerance")
        low, high = bounds
        fits = low <= edit.safety_tolerance <= high
        return None if fits else Unsupported(field="safety_tolerance", accepted=f"{low} to {high}")

    def _seed(self, edit: Edit) -> Unsupported | None:
        if edit.seed is None:
            return None
        if self.seed is None:
            return Unsupported(field="seed", accepted="no seed")
        low, high = self.seed
        last = edit.seed + (0 if self.images_per_send >= edit.num_images else edit.num_images - 1)
        fits = low <= edit.seed and last <= high
        return None if fits else Unsupported(field="seed", accepted=f"{low} to {high - (last - edit.seed)}")

    def _upsampling(self, edit: Edit) -> Unsupported | None:
        fits = self.prompt_upsampling or not edit.prompt_upsampling
        return None if fits else Unsupported(field="prompt_upsampling", accepted="false")

    def _guidance(self, edit: Edit) -> Unsupported | None:
        if edit.guidance_scale is None:
            return None
        if self.guidance_scale is None:
            return Unsupported(field="guidance_scale", accepted="no guidance_scale")
        low, high = self.guidance_scale
        fits = low <= edit.guidance_scale <= high
        return None if fits else Unsupported(field="guidance_scale", accepted=f"{low:g} to {high:g}")

    def is_too_large(self, facts: ImageFacts) -> bool:
        """Whether a picture is over the host's stated limits and must be scaled down."""
        over_bytes = self.max_input_bytes is not None and facts.size_bytes > self.max_input_bytes
        return over_bytes or (self.max_input_px is not None and max(facts.width, facts.height) > self.max_input_px)

    @property
    def input_limit(self) -> str:
        """The stated limits of a picture, as words."""
        limits = [f"{self.max_input_bytes / 1e6:g} MB"] if self.max_input_bytes is not None else []
        limits += [f"{self.max_input_px} px a side"] if self.max_input_px is not None else []
        return ", ".join(limits) or "none stated"

    def seeds(self, edit: Edit) -> list[tuple[int | None, int]]:
        """Split an edit into sends: `(seed, images)` each, with seeds s, s+1 ... where one create makes one image."""
        if self.images_per_send >= edit.num_images:
            return [(edit.seed, edit.num_images)]
        assert self.images_per_send == 1 and edit.num_images <= MAX_IMAGES
        return [(None if edit.seed is None else edit.seed + i, 1) for i in range(edit.num_images)]

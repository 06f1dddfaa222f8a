"""The demo's page: one file with everything in it, nothing fetched, nothing run but what its policy names.

What this is: the template in `assets/demo.html` filled with what the demo did. What it is not: the edits
(`demo_agent`). Above: demo. Below: kontext_tools.images, kontext_tools.data_uris.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from kontext_server import __version__
from kontext_server.cli.demo_agent import Step
from kontext_tools import data_uris, images

PREVIEW_PX = 1024
PHOTO_ALT = "the photograph: a tabby cat looking past the camera"


def page(photo: Path, steps: Sequence[Step]) -> str:
    """Give the page as text."""
    template = (resources.files("kontext_server") / "assets" / "demo.html").read_text(encoding="utf-8")
    befores = [(photo, PHOTO_ALT), *((step.path, _alt(step)) for step in steps)]
    pairs = [_pair(n, step, befores[n - 1], befores[n]) for n, step in enumerate(steps, start=1)]
    return Template(template).substitute(
        style_hash=_hash_of(template, "style"),
        script_hash=_hash_of(template, "script"),
        version=escape(__version__),
        pairs="\n".join(pairs),
        last=escape(steps[-1].ref),
    )


def _pair(n: int, step: Step, before: tuple[Path, str], after: tuple[Path, str]) -> str:
    change = step.fields.get("change")
    facts = [
        ("Reference", f"<code>{escape(step.ref)}</code>"),
        ("Started from", f"<code>{escape(Path(step.image).name if n == 1 else step.image)}</code>"),
        ("Changed", escape(f"{change['percent']} % of the pixels, {change['where']}") if change else "not measured"),
        ("Cost", escape(step.cost)),
        ("Took", f"{step.seconds:.1f} s"),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    width, height = step.fields["images"][0]["width"], step.fields["images"][0]["height"]
    # A local change, such as words written on it, is seen whole at first.
    shown = 50 if change is None or change["where"] == "everywhere" else 10
    size = f'width="{width}" height="{height}"'
    return f"""<section class="pair" aria-labelledby="edit-{n}">
  <div class="words">
    <p class="count">Edit {n}</p>
    <h2 id="edit-{n}">{escape(step.prompt)}</h2>
    <dl>{rows}</dl>
  </div>
  <div class="compare">
    <figure class="after"><img src="{_data_uri(after[0])}" {size} alt="After: {escape(after[1])}">
      <figcaption>After</figcaption></figure>
    <figure class="before"><img src="{_data_uri(before[0])}" {size} alt="Before: {escape(before[1])}">
      <figcaption>Before</figcaption></figure>
    <input type="range" min="0" max="100" value="{shown}" aria-label="Edit {n}: how much of before is shown" hidden>
  </div>
</section>"""


def _alt(step: Step) -> str:
    return f"the picture that came of “{step.prompt}”"


def _data_uri(path: Path) -> str:
    jpeg = images.preview(path.read_bytes(), PREVIEW_PX)
    return data_uris.encoded(jpeg, "image/jpeg")


def _hash_of(template: str, element: str) -> str:
    """Give the hash by which the page's policy allows its one style and its one script."""
    content = template.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")

"""How to prompt FLUX.1 Kontext, as the resource `kontext://guide`: what its maker and its users found to work.

The facts are those of research/agent-ux.md section 2, in our own words. Above: resources. Below: nothing.
"""

from __future__ import annotations

GUIDE = """\
# Prompting FLUX.1 Kontext

An edit is an instruction: say what should change, not what the picture shows. Write English; one or two concrete \
changes in each edit. A short sentence is enough. Beyond 512 tokens the text is cut.

## Say it so

- Name the thing: "Make the red car blue", not "make it blue".
- Say what you want to see, not what should go: "an empty street", not "no people". To take a thing away: "Remove the \
lamp behind the sofa".
- Choose the verb by its reach: "change the clothes to a raincoat" stays on the clothes, "transform her into an \
astronaut" may replace the person.
- Text goes in quotation marks: Replace 'SALE' with 'OPEN'. Same capitals, about the same length.
- Styles by name: "a 1960s travel poster", "charcoal on rough paper". "Artistic" or "better" says nothing.
- Left and right of something are often missed; say what stands beside it.

## Keep what must stay

`keep` names what stays the same: the face, the pose, the framing, the background. It matters most with broad verbs \
(transform, restyle) and new backgrounds, where subject, position, scale and pose belong in it. What you change does \
not belong in it.

## Several steps

- Plan small edits and look after each. Pass the answer's reference on as `image`.
- Every edit encodes the whole picture anew at about one megapixel. After five in a row detail suffers: go back to \
an earlier reference and say two changes at once.
- png between steps, jpg at the end.
- To choose, ask for variants with `num_images`; each is paid. The same seed and words give the same picture.
- A known recipe, or one picture in many variants: `run_plan`, with `dry_run` first for the price.

## When it went wrong

- No visible change: use a plainer verb and name the place.
- Too much changed: name what was lost in `keep`, and edit the earlier reference.
- The words are wrong: shorter words, the same length, a new `request_key`.
"""

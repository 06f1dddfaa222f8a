"""Hints about the words of an edit, before it is paid: pure, deterministic, and never in the way.

What this is: ten rules of what is known to work with FLUX.1 Kontext (research/agent-ux.md section 2), two hints at
most. What it is not: a judge, for no hint stops anything; or a rewriter (`prompting`). Above: drafting. Below: nothing.

A rule stays silent where it is not sure: a hint that is wrong once is read no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MOST = 2
"""Hints in one answer."""
LONG_CHARS = 1800
"""About 512 tokens, where the model cuts."""
MANY = 4
READ_CHARS = 4000
"""So much of a prompt is looked at; what is longer is told as too long anyhow."""


_VERBS = (
    "add|adjust|apply|blur|brighten|change|clean|colou?r|convert|crop|darken|delete|draw|dress|erase|extend|fill|fix|flip|"
    "give|insert|let|lighten|make|mirror|move|open|paint|place|put|recolou?r|redraw|relight|remove|render|replace|"
    "restore|restyle|retouch|rotate|set|sharpen|show|sit|straighten|swap|switch|take|transform|turn|use|wear|write|zoom"
)
_VERB = re.compile(rf"\b(?:{_VERBS})(?:s|es|ed|ing)?\b")
_CLAUSE = re.compile(rf"(?:^|[.,;:!]\s*|\b(?:and|then|also)\s+)(?:then\s+|also\s+|please\s+)*(?:{_VERBS})\b")
_QUOTATION = re.compile(
    '"[^"]{0,200}"|\u201c[^\u201d]{0,200}\u201d|«[^»]{0,200}»|\u2018[^\u2019]{0,200}\u2019'
    r"|(?<!\w)'[^']{0,200}'(?!\w)"
)
_WORD = re.compile(r"[^\W\d_]+")

_BROAD = re.compile(
    r"\b(?:transform|convert|restyle|redraw|reimagine)\b|\bturn\b.{1,80}\binto\b|\bin the style of\b|"
    r"\b(?:change|replace|swap|new|different)\b.{0,30}\b(?:background|backdrop|scenery|setting|surroundings|style)\b"
)
_KEEPS = re.compile(
    r"\b(?:keep|keeping|preserv\w*|maintain\w*|retain\w*|unchanged|untouched|same|identical|only|leave|leaving)\b|"
    r"\b(?:without|not|n't) (?:chang|alter|touch|mov|modify)\w*"
)
_PRONOUN = re.compile(
    r"\b(?:make|turn|change|replace|remove|move|convert|transform|put|place|swap|erase|delete|recolou?r|paint) "
    r"(?:it|this|that|these|those|him|them)\b(?! (?:\w+ )?(?:photo|picture|image|scene|painting|drawing|street|room))"
    r"(?P<rest>.{0,40})"
)
# Of the whole picture `it` says enough: its light, its season, its style.
_WHOLE = re.compile(
    r"\b(?:black and white|monochrome|greyscale|grayscale|sepia|cartoon|comic|anime|manga|painting|watercolou?r|sketch|"
    r"drawing|poster|photo(?:graph|realistic)?|pixel art|pencil|oil|charcoal|ink|style|look like|night|day|dawn|dusk|"
    r"sunset|sunrise|evening|morning|summer|autumn|fall|winter|spring|snow\w*|rain\w*|fog\w*|sunny|cloudy|stormy|"
    r"brighter|darker|warmer|cooler|lighter|sharper|vintage|retro|film|cinematic|illustration|engraving|mosaic|collage)\b"
)
_VAGUE = re.compile(
    r"\b(?:nicer|better|cooler|prettier|beautiful|awesome|amazing|stunning|more (?:interesting|professional|appealing|"
    r"artistic|aesthetic|creative))\b(?! than)|\b(?:artistic|nice|cool|creative) (?:style|look|way)\b|"
    r"\b(?:improve|enhance|fix|beautify|polish|touch up) (?:it|this|(?:the |this |my )?(?:photo|picture|image))\b|"
    r"\bmake (?:it|this) (?:pop|nice|cool|good|great)\b"
)
_NEGATIVE = re.compile(
    r"\b(?:no|without|never|avoid|don'?t|do not|shouldn'?t|should not|not)\b"
    r"(?! (?:\w+ )?(?:chang|alter|touch|mov|modif|affect|los|crop|longer|only|just|more than|matter)\w*)"
    r"|\bremove (?:the |all |any )?(?:blur|blurriness|noise|grain|haze)\b"
)
_OF_TEXT = re.compile(
    r"\b(?:replace|change|swap|edit) (?:the |this |that )?(?:\w+ ){0,3}?"
    r"(?:text|words?|caption|headline|title|lettering|inscription|slogan)\b(?! (?:colou?r|font|size|style|box))"
    r".{0,40}?\b(?:to|with|into|by)\b"
    r"(?! (?:be |a |an )?(?:red|blue|green|yellow|white|black|gold\w*|silver|bold|italic|neon|larger|bigger|smaller|"
    r"serif|handwrit\w*|cursive|the (?:left|right|top|bottom|cent\w+)))|"
    r"\b(?:that|which|to|sign|label|text|shirt|banner|poster) (?:says?|reads?)\b|"
    r"\bsaying\b|\b(?:write|add) the words?\b"
)
_SCENE = re.compile(
    r"(?:an?|photo(?:graph)?|portrait|picture|image|close-?up|headshot|illustration|cinematic shot|wide shot)\b"
)
_OF_THE_SOURCE = re.compile(r"\b(?:this|that|these|those|the|same|his|her|their|its|my|now|instead|as)\b")
_CHANGED = re.compile(
    r"\b(?:change|replace|remove|make|turn|transform|convert|recolou?r|paint|swap|erase|delete|move|restyle|blur) "
    r"(?:the |his |her |their |its |my |all )(?P<what>[\w' -]{1,60})"
)
_ENDS = re.compile(
    r"\b(?:to|into|with|from|in|on|at|of|as|by|for|behind|under|over|above|below|beside|next|and|so|look|looks?)\b"
)
_DETERMINER = re.compile(r"^(?:the|a|an|his|her|their|its|my|all) ")

# Words that hardly a sentence of their language goes without.
_ENGLISH = re.compile(
    r"\b(?:the|an?|of|to|in|on|at|with|and|her|his|its|their|this|that|it|into|from|for|make|change|add|remove|replace|"
    r"turn|by|is|are|as|person|man|woman|background|same|keep|put|give)\b"
)
_FOREIGN = re.compile(
    r"\b(?:der|das|den|dem|und|eine?|einen|einem|mit|auf|nicht|ist|mache|ändere|ersetze|entferne|füge|hinzu|zu[mr]|"
    r"les?|une|des|et|avec|dans|sur|est|du|aux?|fais|remplace|ajoute|supprime|enlève|"
    r"el|los|las|una|con|por|para|del|cambia|añade|quita|pon|haz|reemplaza|"
    r"il|gli|della|nel|alla|aggiungi|rimuovi|metti|sostituisci|"
    r"os|uma?|com|muda|adicione|remova|coloque|troque|"
    r"de|het|een|met|van|maak|verander|zet|na|zmień|dodaj|usuń)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One hint: its code, for tests and programs, and what is told."""

    code: str
    advice: str

    def __str__(self) -> str:
        return f"Hint ({self.code}): {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """An edit's words as the rules read them.

    Attributes:
        said: the prompt in lower case with its quotations emptied: what stands in the picture orders nothing.
        quotes: whether there was a quotation.
        keep: what must stay.
        chars: of both, as given.
        broad_matters: see `hints`.
    """

    said: str
    quotes: bool
    keep: str
    chars: int
    broad_matters: bool


def hints(prompt: str, keep: str, *, broad_matters: bool) -> tuple[Hint, ...]:
    """Give what may be said better of an edit, the weightiest first, at most two.

    Args:
        prompt: as the caller gave it.
        keep: what must stay the same, or empty.
        broad_matters: whether a missing `keep` is worth a word: the picture was edited before, so that what is lost
            adds up, or nothing is sent yet.
    """
    text = " ".join(prompt[:READ_CHARS].lower().split())
    said, quotations = _QUOTATION.subn("''", text)
    asked = _Asked(
        said=said.replace("\u2019", "'"),
        quotes=quotations > 0,
        keep=" ".join(keep[:READ_CHARS].lower().split()),
        chars=len(prompt) + len(keep),
        broad_matters=broad_matters,
    )
    if not _is_english(asked.said):
        # Every other rule reads English.
        return (Hint(code="not_english", advice="Kontext was trained on English; say it in English."),)
    return tuple(Hint(code=code, advice=advice) for code, holds, advice in _RULES if holds(asked))[:MOST]


def _is_english(text: str) -> bool:
    letters = "".join(_WORD.findall(text))
    if len([letter for letter in letters if not letter.isascii()]) * 3 > len(letters):
        return False
    return len(_FOREIGN.findall(text)) < 2 or _ENGLISH.search(text) is not None


def _contradicts(asked: _Asked) -> bool:
    return bool(_kept(asked.keep) & set(_changed(asked.said)))


def _changed(text: str) -> Iterator[str]:
    """Give the things that a prompt changes, in each wording that may stand for them: `red car`, `car`."""
    for found in _CHANGED.finditer(text):
        words = _ENDS.split(found["what"])[0].split()[:4]
        for first in range(len(words)):
            for last in range(first + 1, len(words) + 1):
                yield " ".join(words[first:last])


def _kept(keep: str) -> set[str]:
    """Give the things that `keep` names as a whole; a part of one ("the car's shape") is another thing."""
    parts = re.split(r",|;|\band\b", keep.rstrip("."))
    return {_DETERMINER.sub("", part.strip().removeprefix("keep ")) for part in parts if part.strip()}


def _leaves_its_target_open(asked: _Asked) -> bool:
    if asked.said.startswith("make it ") and len(asked.said.split()) <= 3:
        return False  # "make it red" and no more: whoever says so sees one thing, or means the whole picture
    return any(not _WHOLE.search(found["rest"]) for found in _PRONOUN.finditer(asked.said))


def _reads_like_a_scene(asked: _Asked) -> bool:
    said = asked.said
    orders = _VERB.search(said) or _OF_THE_SOURCE.search(said)
    return _SCENE.match(said) is not None and not orders and len(said.split()) > 3


def _misses_a_keep(asked: _Asked) -> bool:
    broad = asked.broad_matters and not asked.keep and _BROAD.search(asked.said)
    return bool(broad) and not _KEEPS.search(asked.said)


_RULES: tuple[tuple[str, Callable[[_Asked], bool], str], ...] = (
    (
        "too_long",
        lambda asked: asked.chars > LONG_CHARS,
        "the model cuts a prompt after about 1800 characters; shorten it or make two edits.",
    ),
    (
        "contradiction",
        _contradicts,
        "keep names what the prompt changes; leave it out of keep, or say which part of it stays.",
    ),
    (
        "unquoted_text",
        lambda asked: not asked.quotes and _OF_TEXT.search(asked.said) is not None,
        "put words that stand in the picture in quotation marks: Replace 'old' with 'new'.",
    ),
    (
        "negative",
        lambda asked: _NEGATIVE.search(asked.said) is not None,
        "say what should be seen in place of what should not: 'an empty street', not 'no people'.",
    ),
    (
        "pronoun_target",
        _leaves_its_target_open,
        "name the thing that changes ('the red car'), not 'it' or 'him'.",
    ),
    (
        "vague",
        lambda asked: _VAGUE.search(asked.said) is not None,
        "name the change itself: a colour, a light, a material or a style by its name.",
    ),
    (
        "reads_like_scene",
        _reads_like_a_scene,
        "it describes a scene; say what should change in this one: 'Change …', 'Add …', 'Replace …'.",
    ),
    (
        "many_changes",
        lambda asked: len(_CLAUSE.findall(asked.said)) >= MANY,
        "many changes in one edit come out worse; make one or two at a time and look after each.",
    ),
    (
        "no_keep",
        _misses_a_keep,
        "so broad a change redraws the rest too; name in keep what must stay: face, pose, framing.",
    ),
)
"""The weightiest first."""

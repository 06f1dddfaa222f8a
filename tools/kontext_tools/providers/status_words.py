"""A host's word for where a job stands: what it means, and what is shown of one that no adapter knows.

What this is: the one rule for every host's words. What it is not: the words themselves (the adapters). Above: meanings,
adapters. Below: base, quoting, redaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from kontext_tools.providers.base import Phase
from kontext_tools.quoting import quoted
from kontext_tools.redaction import Redactor

MAX_WORD_CHARS = 60


def read_word(word: str, phases: Mapping[str, Phase], redact: Redactor) -> tuple[Phase, str]:
    """Give a word's phase, and the word for people, redacted and quoted, where it is none of the host's known ones.

    An unknown word is still running, never a success.

    Args:
        word: as the host wrote it, in any case.
        phases: what the host's words mean, lower-case.
        redact: takes keys and signed queries out.
    """
    phase = phases.get(word.lower())
    if phase is not None:
        return phase, ""
    return Phase.WORKING, quoted(redact(word), MAX_WORD_CHARS) if word.strip() else ""

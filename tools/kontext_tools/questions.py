"""What a person is asked before something dear is sent, and their yes to it.

What this is: two values, so that whoever refuses and whoever asks speak of the same thing. What it is not: whether a
person must be asked (`budget`), nor the asking (`kontext_server.surface.asking`, the command line). Above: errors.
Below: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Yes:
    """A person's yes to one question. Only who has asked them may give one back; no argument of a tool becomes one.

    Attributes:
        binding: digest of exactly what was asked: owner, call, provider, model, price. A yes to anything else is none.
        nonce: burnt with the reservation, so that one yes buys one job.
        given: digest of the arguments as they were given when it was asked. The yes may come back with others that
            mean the same, such as a picture out of a row: the call is known by the first ones under its request_key.
    """

    binding: str
    nonce: str
    given: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What would be done, in facts for people.

    Attributes:
        tool: the verb.
        provider: who would serve it.
        images: how many pictures.
        price: of all of them, such as `120 credit`.
        prompt: as it was given.
        yes: what a yes to this question is.
    """

    tool: str
    provider: str
    images: int
    price: str
    prompt: str
    yes: Yes

"""Why a client's file is left as it is. Above: every module here. Below: nothing."""

from __future__ import annotations


class Refused(Exception):
    """The text says why, `fix` what a person can do, `untouched` whether nothing at all was changed."""

    def __init__(self, why: str, *, fix: str, untouched: bool = True) -> None:
        super().__init__(why)
        self.fix = fix
        self.untouched = untouched

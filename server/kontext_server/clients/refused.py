"""Why a client's file is left as it is. Above: every module here. Below: nothing."""

from __future__ import annotations


class Refused(Exception):
    """Nothing was changed; the text says why, `fix` what a person can do."""

    def __init__(self, why: str, *, fix: str) -> None:
        super().__init__(why)
        self.fix = fix

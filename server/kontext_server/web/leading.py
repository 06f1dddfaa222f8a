"""A page that does nothing but lead on to an address, at once or at a click.

What this is: what stands where a redirect would lose something: a cookie that one of another site may not carry, or a
browser that is given a file. Above: door, cli.opening. Below: nothing.
"""

from __future__ import annotations

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="0;url={url}">
<title>kontext gallery</title>
<p><a href="{url}">Go on to the gallery</a></p>
</html>
"""


def leading_to(url: str) -> str:
    """Give the page, as HTML."""
    return _PAGE.format(url=escape(url))

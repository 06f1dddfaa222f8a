"""How our small pages look: HTML without a script, in one style, with the headers that keep it to itself.

What this is: the frame around a form, and the policy that allows one style and nothing else. What it is not: any page's
words (`key_words`, `uploads`, `visiting`), or the studio. Above: those, key_page. Below: nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1b2530; --soft: #5b6875; --line: #d5dbe1;
  --strong: #2b5fd9; --onstrong: #fff; --good: #14693a; --bad: #a3211f }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --card: #1d232a; --ink: #e8edf2; --soft: #9aa7b4;
  --line: #36404b; --strong: #7aa2ff; --onstrong: #10151b; --good: #6fd39b; --bad: #ff9a94 } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.25rem 1rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
main { max-width: 34rem; margin: 0 auto; padding: 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.25 }
h2 { margin: 1.5rem 0 .5rem; font-size: 1rem }
p { margin: 0 0 .75rem } .soft { color: var(--soft); font-size: .9rem } p.soft { margin-top: .4rem }
.told { padding: .6rem .75rem; border: 1px solid; border-radius: 8px } .good { color: var(--good) }
.bad { color: var(--bad) }
label { display: block; margin: .9rem 0 .25rem; font-weight: 600 }
input, select, button, a.button { width: 100%; min-height: 44px; padding: .5rem .75rem; font: inherit; color: inherit;
  background: var(--ground); border: 1px solid var(--line); border-radius: 8px }
button, a.button { display: block; margin-top: 1.1rem; background: var(--strong); border-color: var(--strong);
  color: var(--onstrong); font-weight: 600; text-align: center; text-decoration: none; cursor: pointer }
button.plain { background: transparent; border-color: var(--line); color: inherit }
:focus-visible { outline: 3px solid var(--strong); outline-offset: 2px }
ul { margin: 0 0 .75rem; padding: 0; list-style: none }
li { padding: .6rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
code { font: .95em ui-monospace, monospace; overflow-wrap: anywhere }
"""

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    + "'"
)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title} · kontext</title>
<style>{style}</style>
<main>
<h1>{title}</h1>
{told}{body}
</main>
</html>
"""

AROUND: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer. Under `no-referrer` a browser would send `Origin: null` with our own form (Fetch, section 3.2)."""


def page(title: str, body: str, *, good: str = "", bad: str = "") -> str:
    """Give a whole page.

    Args:
        title: as text.
        body: HTML.
        good: what was done, as text.
        bad: why nothing was, as text.
    """
    told = "".join(
        f'<p class="told {kind}" role="{role}">{escape(text)}</p>\n'
        for kind, role, text in (("good", "status", good), ("bad", "alert", bad))
        if text
    )
    return _PAGE.format(style=_STYLE, title=escape(title), told=told, body=body)

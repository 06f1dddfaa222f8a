"""How the page for keys looks, and what it says: HTML without a script.

What this is: text to HTML, everything escaped, and the policy that allows one style and nothing else. What it is not:
who may see what (`key_page`). Above: key_page. Below: keyring's `Held`.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from kontext_tools.keyring import Held

OVER = "This address is over: it works once, for ten minutes. Ask your assistant again, or begin at /keys."
NO_TOKEN = "That access token is not valid here. Nothing was kept."  # noqa: S105  # words for people
NO_SCOPE = "That access token does not allow edits (images:edit). Nothing was kept."
NOT_OURS = "This form was not sent from this page. Open the page itself, and send it from there."
ANOTHER = (
    "This address was made for somebody else, so nothing was kept. If somebody sent it to you, do not enter a key: it "
    "would have served them."
)

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
code { font: .95em ui-monospace, monospace }
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
<title>Your provider keys · kontext</title>
<style>{style}</style>
<main>
<h1>Your provider keys</h1>
{told}{body}
</main>
</html>
"""

_PROOF = """<label for="token">Your access token for this server</label>
<input id="token" name="token" type="password" autocomplete="off" autocapitalize="off" spellcheck="false" required>
<p class="soft">The token that your own client signs in with. It proves that this is you, and is not kept.</p>
"""


def page(body: str, *, good: str = "", bad: str = "") -> str:
    """Give a whole page.

    Args:
        body: HTML.
        good: what was done, as text.
        bad: why nothing was, as text.
    """
    told = "".join(
        f'<p class="told {kind}" role="{role}">{escape(text)}</p>\n'
        for kind, role, text in (("good", "status", good), ("bad", "alert", bad))
        if text
    )
    return _PAGE.format(style=_STYLE, told=told, body=body)


def standing_form() -> str:
    """Give the form of the page that is always there."""
    return f"""<p>Edits that you ask for here can be paid by keys of your own at the providers.</p>
<form method="post" action="/keys" autocomplete="off">
{_PROOF}<button name="do" value="show">Show my keys</button>
</form>"""


def entry_form(names: Sequence[str], *, chosen: str) -> str:
    """Give the form that takes a key.

    Args:
        names: of the providers that a key may be for.
        chosen: the one that was asked for; empty where none was.
    """
    options = "".join(f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>" for name in names)
    return f"""<p>Enter a key only if you asked for this yourself a moment ago. It is kept encrypted, serves your own
edits alone, and cannot be read again by anybody.</p>
<form method="post" autocomplete="off">
{_PROOF}<label for="provider">Provider</label>
<select id="provider" name="provider">{options}</select>
<label for="key">Its key</label>
<input id="key" name="key" type="password" autocomplete="off" autocapitalize="off" spellcheck="false" required>
<button>Keep this key</button>
</form>"""


def held(keys: Sequence[Held], *, enter_at: str) -> str:
    """Give an owner's keys, the form that removes one, and the way to enter another.

    Args:
        keys: as they may be shown.
        enter_at: an address of this server that works once.
    """
    rows = "".join(f"<li><strong>{escape(key.provider)}</strong> {_tail(key)}</li>" for key in keys)
    options = "".join(f"<option>{escape(key.provider)}</option>" for key in keys)
    remove = f"""<h2>Remove a key</h2>
<form method="post" action="/keys" autocomplete="off">
{_PROOF}<label for="provider">Provider</label>
<select id="provider" name="provider">{options}</select>
<button class="plain" name="do" value="remove">Remove it now</button>
</form>"""
    listed = f"<ul>{rows}</ul>" if keys else "<p>You have no keys here.</p>"
    other = f'<a class="button" href="{escape(enter_at)}">Enter a key</a>'
    return f"""{listed}
{other}
<p class="soft">That way is open once, for ten minutes. Jobs that wait for a key go on by themselves.</p>
{remove if keys else ""}"""


def _tail(key: Held) -> str:
    since = f'<span class="soft">since {key.entered_at:%Y-%m-%d %H:%M} UTC</span>'
    if key.tail is None:
        return f'<span class="bad">cannot be opened any more: enter it again</span> {since}'
    return f"ends in <code>{escape(key.tail)}</code> {since}"

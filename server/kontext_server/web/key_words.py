"""How the page for keys looks, and what it says: HTML without a script.

What this is: text to HTML, everything escaped. What it is not: who may see what (`key_page`), or the frame and the
style (`plain_page`). Above: key_page. Below: plain_page, keyring's `Held`.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from kontext_server.web import plain_page
from kontext_tools.keyring import Held

OVER = "This address is over: it works once, for ten minutes. Ask your assistant again, or begin at /keys."
NO_TOKEN = "That access token is not valid here. Nothing was kept."  # noqa: S105  # words for people
NO_SCOPE = "That access token does not allow edits (images:edit). Nothing was kept."
NOT_OURS = "This form was not sent from this page. Open the page itself, and send it from there."
ANOTHER = (
    "This address was made for somebody else, so nothing was kept. If somebody sent it to you, do not enter a key: it "
    "would have served them."
)

_PROOF = """<label for="token">Your access token for this server</label>
<input id="token" name="token" type="password" autocomplete="off" autocapitalize="off" spellcheck="false" required>
<p class="soft">The token that your own client signs in with. It proves that this is you, and is not kept.</p>
"""


def page(body: str, *, good: str = "", bad: str = "") -> str:
    """Give a whole page. See `plain_page.page`."""
    return plain_page.page("Your provider keys", body, good=good, bad=bad)


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

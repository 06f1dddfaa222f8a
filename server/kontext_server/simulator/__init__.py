"""The hosted APIs' wires on loopback: what `kontext simulate` serves, so that no key and no cent is needed to
try.

What this is: one server that speaks each vendor's wire under a prefix of its own, paints a plausible picture
for each accepted job, counts what would have been charged, keeps a journal of every request and plays
scripted faults. What it is not: a copy of our adapters. It is written from the vendors' pages alone and
imports nothing from `kontext_tools`, so that a misreading there is not confirmed here.

Rooms: `app` (the ASGI application and the control routes under `/_sim`), `serve` (a loopback port), `state`
(jobs, files, the counter), `journal`, `faults` (what a script may ask for), `answers` (how a fault looks on
the wire), `connection` (ending a connection without an answer), `pictures`, `wire` (what every wire is made
of), `reading` and `giving` (what requests and replies share), and one file or a few for each wire. A further
wire is one further file and one further row in `app.WIRES`.
"""

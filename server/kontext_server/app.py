"""The composition root: with `adapters` and `storage`, the only module that names concrete adapters.

What this is: settings become a store, blobs, providers, an engine and a studio, made before any server and started
by its lifespan, so that web routes and a command line hold the same object. Above: cli, surface.server. Below:
everything in `kontext_tools`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from random import Random

from kontext_server.adapters import KEY_FIELDS, configured, takers
from kontext_server.settings import Settings, secret
from kontext_server.storage import blobs as blobs_of
from kontext_server.storage import store as store_of
from kontext_tools.accounts import Accounts
from kontext_tools.admitting import Admitting
from kontext_tools.archive import Archive
from kontext_tools.blobs import keys
from kontext_tools.blobs.base import Blobs
from kontext_tools.budget import Caps, day_of
from kontext_tools.callbacks import Callbacks
from kontext_tools.choosing import SANDBOX, auto_order, for_guests
from kontext_tools.clocks import Clock, LocalZone, SystemClock
from kontext_tools.engine import Engine
from kontext_tools.forgetting import Forgetting
from kontext_tools.gallery import Gallery
from kontext_tools.guard import Guard
from kontext_tools.hooks import Hooks
from kontext_tools.http import Http
from kontext_tools.inputs import Inputs
from kontext_tools.keyring import Keyring
from kontext_tools.meters import UNMETERED, Meter
from kontext_tools.originals import Originals
from kontext_tools.planner import Planner
from kontext_tools.planning import Planning
from kontext_tools.providers.base import Offer
from kontext_tools.redaction import Redactor
from kontext_tools.references import Ref
from kontext_tools.sealing import Seal
from kontext_tools.serving import Serving
from kontext_tools.shelf import Shelf
from kontext_tools.sources import Sources
from kontext_tools.steps import Steps
from kontext_tools.stores.base import Store
from kontext_tools.stores.figures import Figures
from kontext_tools.studio import Studio
from kontext_tools.tasks import Tasks
from kontext_tools.tickets import Tickets
from kontext_tools.trash import Trash
from kontext_tools.uploads import Uploads
from kontext_tools.waiting import Waiting

LOCAL_OWNER = "local"
"""The one local user, on stdio and on loopback without sign-in."""


Places = Callable[[str, Ref, str], Mapping[str, str]]
"""Tells where a person finds an owner's image that is kept under a key: its `path` on this machine, its `url` over
HTTP, or nothing."""
AddressOf = Callable[[str, Ref], str]
"""Gives our own address of one of an owner's images."""
LinkOf = Callable[[str], str]
"""Gives a link by which an owner's browser sees all of their images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What a surface needs: the verbs, and the facts that its words are made of.

    `withheld` names the providers that serve nobody whom it faces, with whatever key; `link_of` is there where a link
    of ours opens a gallery, `callbacks` where hosts are asked to call.
    """

    settings: Settings
    studio: Studio
    tasks: Tasks
    keyring: Keyring
    tickets: Tickets
    engine: Engine
    planner: Planner
    clock: Clock
    path_of: Callable[[str], Path | None]
    places: Places
    withheld: frozenset[str] = frozenset()
    link_of: LinkOf | None = None
    uploads: Uploads | None = None
    callbacks: Callbacks | None = None
    _store: Store
    _blobs: Blobs
    _http: Http

    @property
    def offers(self) -> dict[str, Offer]:
        """Facts of the providers that serve whom this app faces, by name; some of them by a key of their own alone."""
        return {name: offer for name, offer in self.studio.offers.items() if name not in self.withheld}

    def temporary(self) -> Path:
        """Give a fresh path on this machine, for a stream to be written to; swept at start if left over."""
        return self._blobs.temporary()

    async def check(self) -> None:
        """Ask the store and the place of the pictures for what costs them little.

        Raises:
            KontextError: one of them cannot be read.
        """
        await self.studio.jobs(LOCAL_OWNER, limit=1)
        await self._blobs.read(keys.NOTHING)

    async def figures(self) -> Figures:
        """Give how the store stands, of all owners together, with the money of this UTC day."""
        return await self._store.figures(day=day_of(self.clock.now()))

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[None]:
        """Open the store for as long as the block lasts, and let go of everything; no job moves by that.

        For whoever only looks: what is due, a plan's next paid picture among it, is left to a server or to a command.
        """
        await self._store.open()
        try:
            yield
        finally:
            await self._http.aclose()
            await self._store.close()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Open the store, drive jobs for as long as the block lasts, let go of everything."""
        async with self.reading(), self.engine.running(), self.planner.running():
            yield


def build(
    settings: Settings,
    *,
    any_file: bool = False,
    address_of: AddressOf | None = None,
    guests: bool = False,
    link_of: LinkOf | None = None,
    meter: Meter = UNMETERED,
    key_page: str = "",
    upload_place: str = "",
    hooks: Hooks | None = None,
    clock: Clock | None = None,
    random: Random | None = None,
    zone: tzinfo | None = None,
) -> App:
    """Make the app; nothing is opened, created or sent yet.

    Args:
        settings: as read at start.
        any_file: whether inputs may come from any folder: a person at the command line names the file.
        address_of: over HTTP, where no file of this machine may be named, and pictures are told by our addresses.
        guests: whether it faces people who signed in, not the operator.
        link_of: where a link opens the gallery of whoever signed in.
        meter: who is told what happens, where anybody is.
        key_page: where those people enter keys of their own, as an address.
        upload_place: what the addresses begin with that take a picture over HTTP.
        hooks: where hosts are asked to call, by whoever serves that address.
        clock: a test's own.
        random: a test's own.
        zone: whose days `today` means; the machine's own where there is one user, on it.

    Raises:
        SettingError: what the place of the jobs or of the pictures needs is not there.
    """
    clock, random = clock or SystemClock(), random or Random()  # noqa: S311  # ids are not secrets, jitter neither
    zone = zone or (LocalZone() if address_of is None else UTC)
    data_dir = settings.kontext_data_dir
    redact = Redactor(settings.secrets)
    http = Http(guard=Guard(trusted=settings.base_urls), proxy=settings.kontext_proxy, redact=redact, meter=meter)
    store, blobs = store_of(settings), blobs_of(settings)
    roots = [] if address_of is not None else None if any_file else settings.image_roots
    sources = Sources(http, roots=roots, keep_metadata=settings.kontext_keep_metadata)
    shelf, trash = Shelf(blobs), Trash(store, blobs)
    originals = Originals(store, blobs, sources, shelf)
    waiting = Waiting(data_dir / "waiting")
    archive = Archive(
        blobs,
        shelf,
        originals,
        http,
        clock,
        trash,
        waiting,
        output_dir=settings.kontext_output_dir,
        preview_px=settings.preview_px,
    )
    providers = configured(settings, http, data_dir)
    order = auto_order(list(providers), settings.kontext_provider)
    seal, make = Seal(lambda: secret(settings)), takers(settings, http)
    keyring = Keyring(store, seal, make, tuple(KEY_FIELDS), clock, page=key_page if guests else "")
    serves = for_guests(providers, settings.kontext_provider, shares=settings.kontext_share_keys)
    # By the owner, not by how this process faces people: a user's plan may go on in a command of the operator.
    accounts = Accounts(
        providers,
        order=order,
        preferred=settings.kontext_provider,
        operator=LOCAL_OWNER,
        guests=serves,
        keyring=keyring,
        faces_guests=guests,
    )
    caps = Caps(
        daily=settings.kontext_daily_budget,
        per_call=settings.kontext_max_cost,
        confirm_above=settings.kontext_confirm_above,
    )
    steps = Steps(store, accounts, originals, archive, clock, random, caps=caps, hooks=hooks, meter=meter)
    engine = Engine(store, accounts, steps, clock)
    tickets = Tickets(store, clock)
    uploads = Uploads(tickets, sources, shelf, trash, place=upload_place) if upload_place else None
    inputs = Inputs(store, blobs, sources, shelf, uploads=uploads)
    serving = Serving(inputs, originals, accounts, clock, random)
    admitting = Admitting(store, clock, random, caps=caps)
    planner = Planner(store, engine, serving, inputs, admitting, clock)
    studio = Studio(
        store=store,
        engine=engine,
        planner=planner,
        planning=Planning(serving, inputs, admitting, clock, random),
        serving=serving,
        admitting=admitting,
        inputs=inputs,
        gallery=Gallery(store, inputs, shelf, clock, zone=zone),
        forgetting=Forgetting(store, trash, clock, zone=zone),
        clock=clock,
    )
    path_of = _nowhere if address_of is not None else blobs.path

    def places(owner: str, ref: Ref, key: str) -> Mapping[str, str]:
        if address_of is not None:
            return {"url": address_of(owner, ref)}
        path = path_of(key)
        return {} if path is None else {"path": str(path)}

    return App(
        settings=settings,
        studio=studio,
        tasks=Tasks(store, inputs, shelf, clock),
        engine=engine,
        planner=planner,
        clock=clock,
        path_of=path_of,
        places=places,
        keyring=keyring,
        tickets=tickets,
        uploads=uploads,
        withheld=frozenset({SANDBOX}) - serves if guests else frozenset(),
        link_of=link_of,
        callbacks=None if hooks is None else Callbacks(hooks, accounts.offers, engine, clock),
        _store=store,
        _blobs=blobs,
        _http=http,
    )


def _nowhere(_: str) -> None:
    return None

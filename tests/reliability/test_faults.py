"""Kills at chosen points, full disks, failing system calls, two servers on one folder: seen from outside alone.

No hook of the product is used: the simulator holds a request, the test holds the database's lock or the disk's last
space, the kernel stops a process or fails a call. C11 is the campaign in `end_to_end/test_kills`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kontext_server.simulator.serve import Running, running
from support.by_hand import ByHand, by_hand
from support.looking_in import ENDED, DataFolder
from support.stdio_server import PHOTOS
from support.waiting import until
from support.workshop import png

ROCKET, COFFEE = str(PHOTOS / "rocket.jpg"), str(PHOTOS / "coffee.png")
"""The latter is too large for a data URI at Replicate: it is uploaded before the create."""
NEVER_TWO = "every create accepted is another job's"


class Turned:
    """A clock for the simulator: its jobs end when the test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def _needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"NOT TESTED: {program} is not installed here (apt-get install {program})")


def _prompts_charged(simulator: Running) -> Counter[str]:
    return Counter(job.input["prompt"] for job in simulator.state.jobs.values())


def _ask(server: ByHand, provider: str, prompt: str, image: str = ROCKET, **more: Any) -> str:
    fields = server.call("edit_image", image=image, prompt=prompt, provider=provider, wait_seconds=0, **more)
    assert "job_id" in fields, fields
    return str(fields["job_id"])


def _charged(simulator: Running, wire: str) -> int:
    return simulator.state.charged[wire]


@contextmanager
def _locked(data: DataFolder) -> Generator[None]:
    """Hold the database's write lock."""
    with closing(sqlite3.connect(data.database, timeout=30, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            db.execute("ROLLBACK")


def _open_connections(port: int) -> int:
    """Count this machine's established connections to a loopback port, from the client's side."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(fields[2] == f"0100007F:{port:04X}" and fields[3] == "01" for fields in map(str.split, lines))


def test_C10_a_kill_at_any_point_of_a_create_never_leads_to_a_second_one(tmp_path: Path) -> None:
    """Four wires, each held at another point, and one kill that finds all four."""
    data = DataFolder(tmp_path / "data")
    with running(job_seconds=0.0) as simulator, socket.create_server(("127.0.0.1", 0)) as deaf:
        settings = simulator.settings_of("replicate", "fal", "bfl", "core.today")
        # It takes connections and says nothing: TLS never begins, so the POST is never written.
        settings["BFL_BASE_URL"] = f"https://127.0.0.1:{deaf.getsockname()[1]}"
        simulator.state.script(
            {"wire": "replicate", "on": "upload", "fault": "hang"},
            {"wire": "fal", "on": "create", "fault": "hang", "charged": True},
            {"wire": "core.today", "on": "create", "fault": "slow_body", "interval": 0.003},
        )
        with by_hand(tmp_path, settings) as server:
            before_intent = _ask(server, "replicate", "before the intent", COFFEE)
            after_post = _ask(server, "fal", "after the POST")
            data.until_state(after_post, "intent")
            until(lambda: _open_connections(simulator.port) == 2, "the upload and the POST hang")
            after_intent = _ask(server, "bfl", "after the intent")
            data.until_state(after_intent, "intent")
            at_reply = _ask(server, "core.today", "at the reply")
            until(lambda: _charged(simulator, "core.today") == 1, "the create was charged")
            with _locked(data):
                # The two that hang are left when the reply was read to its end: what it says can't be written.
                until(lambda: _open_connections(simulator.port) == 2, "the reply was read")
                server.process.kill()
                server.process.wait()
            held = {job: data.state(job) for job in (before_intent, after_intent, after_post, at_reply)}
        assert held == {before_intent: "queued", after_intent: "intent", after_post: "intent", at_reply: "intent"}
        charged_then = dict(simulator.state.charged)
        with by_hand(tmp_path, settings):
            data.until_ended(within_s=60)
        assert (charged_then.get("fal"), charged_then.get("core.today")) == (1, 1)
        assert dict(simulator.state.charged) == {**charged_then, "replicate": 1}, "one went out that never had"
        assert set(_prompts_charged(simulator).values()) == {1}, NEVER_TWO
        assert {job: data.state(job) for job in held} == {
            before_intent: "completed",
            after_intent: "unknown",
            after_post: "unknown",
            at_reply: "unknown",
        }
        deaf.settimeout(10)
        with deaf.accept()[0] as hello:
            assert hello.recv(1) == b"\x16", "a TLS greeting, and no request"
        deaf.setblocking(False)
        with pytest.raises(BlockingIOError):
            deaf.accept()
    data.check_files()


class Disk:
    """A data folder on a small disk of its own, in the server's mount namespace; looked into by way of /proc."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self._path = Path(f"/proc/{process.pid}/root{folder}")
        self._copies = folder.parent

    def fill(self, *, but_bytes: int) -> None:
        """Leave so many bytes free."""
        status = os.statvfs(self._path)
        self._ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - but_bytes))

    def free(self) -> None:
        """Remove what filled it."""
        self._ballast.unlink()

    def copied(self, name: str) -> DataFolder:
        """Give a copy as it stands: SQLite itself can't look through /proc."""
        # What is on its way is no part of what is kept, and may be gone before it is copied.
        shutil.copytree(self._path, self._copies / name, ignore=shutil.ignore_patterns(".tmp"))
        return DataFolder(self._copies / name)

    @property
    def _ballast(self) -> Path:
        return self._path / "ballast"


@contextmanager
def _on_small_disk(folder: Path, settings: Mapping[str, str]) -> Generator[tuple[ByHand, Disk]]:
    _needs("unshare", "mount")
    data = folder / "data"
    data.mkdir(mode=0o700)
    mounted = 'mount -t tmpfs -o size=4m,mode=0700 tmpfs "$0" && exec "$@"'
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    under = [*alone, "sh", "-c", mounted, str(data)]
    if subprocess.run([*under, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("NOT TESTED: this user may not mount a tmpfs of its own (unshare --mount)")
    with by_hand(folder, settings, under=under) as server:
        yield server, Disk(data, server.process)


def _looks(simulator: Running) -> int:
    return sum(entry.method == "GET" for entry in simulator.state.journal.entries())


def test_D05_a_download_that_finds_the_disk_full_is_told_and_finished_when_there_is_space(tmp_path: Path) -> None:
    clock = Turned()
    with ExitStack() as stack:
        simulator = stack.enter_context(running(clock=clock, job_seconds=5))
        server, disk = stack.enter_context(_on_small_disk(tmp_path, simulator.settings))
        job_id = _ask(server, "core.today", "larger than what is left", output_format="png")
        until(lambda: _looks(simulator) > 0, "the job is looked at")
        disk.fill(but_bytes=256_000)
        clock.now += 10

        def told() -> dict[str, Any]:
            return server.call("get_status", job_id=job_id, wait_seconds=0)

        until(lambda: "error" in told(), "the full disk is told")
        seen = told()
        assert (seen["status"], seen["error"]["code"], seen["error"]["billed"]) == ("processing", "storage_full", "yes")
        full = disk.copied("full")
        assert full.is_sound() and full.check_files() == 0
        disk.free()
        seen = server.call("get_status", job_id=job_id, wait_seconds=40)
        freed = disk.copied("freed")
        assert (seen["status"], freed.check_files(), freed.half_written()) == ("completed", 1, [])
        assert _charged(simulator, "core.today") == 1


def test_D06_a_disk_that_is_full_before_the_intent_lets_nothing_out(tmp_path: Path) -> None:
    """Full before the call, and full between the call and its create; with space, what was recorded goes on."""
    with ExitStack() as stack:
        simulator = stack.enter_context(running(job_seconds=0.0))
        settings = simulator.settings_of("replicate")
        server, disk = stack.enter_context(_on_small_disk(tmp_path, settings))
        simulator.state.script({"wire": "replicate", "on": "upload", "fault": "slow_body", "interval": 0.005})
        recorded = _ask(server, "replicate", "recorded before", COFFEE)
        until(lambda: _open_connections(simulator.port) == 1, "the upload is under way")
        disk.fill(but_bytes=0)
        fields = server.call("generate_image", prompt="A cat", provider="replicate", wait_seconds=0)
        assert (fields["error"]["code"], fields["error"]["billed"]) == ("storage_full", "no")
        until(lambda: _open_connections(simulator.port) == 0, "the upload was answered")
        assert simulator.state.counter()["creates"]["replicate"] == 0
        disk.free()
        seen = server.call("get_status", job_id=recorded, wait_seconds=40)
        assert (seen["status"], seen["error"]["code"], seen["error"]["billed"]) == ("failed", "storage_full", "no")
        assert simulator.state.counter()["creates"]["replicate"] == 0
        assert disk.copied("freed").is_sound()


CALLS = "fsync,fdatasync,rename,pwrite64"
SAMPLE_OF_USES, MOST_USES = (4, 18), 40


def _failing(k: int, notes: Path) -> list[str]:
    """Give the command under which each thread's k-th use of a call that makes things durable fails, once."""
    inject = f"inject={CALLS}:error=EIO:when={k}"
    return ["strace", "--follow-forks", "--seccomp-bpf", "-qq", f"--output={notes}", f"--trace={CALLS}", "-e", inject]


def _can_trace() -> bool:
    return subprocess.run(["strace", "-qq", "-f", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.campaign
@pytest.mark.parametrize("k", SAMPLE_OF_USES)
def test_D07_a_disk_that_fails_at_any_use_gives_no_success_without_a_file_and_no_second_create(
    tmp_path: Path, whole_campaign: bool, k: int
) -> None:
    """In the sample three uses fail, each in a run of its own; whole, each of these takes a third of all uses."""
    _needs("strace")
    if not _can_trace():
        pytest.skip("NOT TESTED: this user may not trace processes (ptrace)")
    uses = range(1 + SAMPLE_OF_USES.index(k), MOST_USES + 1, len(SAMPLE_OF_USES)) if whole_campaign else (k,)
    struck = {use: _edited_on_a_failing_disk(tmp_path / str(use), use) for use in uses}
    print(f"failed calls by k: {struck}")
    assert sum(struck.values()) > 0


def _edited_on_a_failing_disk(folder: Path, k: int) -> int:
    """Edit while each thread's k-th use fails, and carry it through on a disk that works; give how many failed."""
    folder.mkdir()
    data, notes = DataFolder(folder / "data"), folder / "strace"
    with running(job_seconds=0.0) as simulator:
        with by_hand(folder, simulator.settings, under=_failing(k, notes)) as server:
            server.call("edit_image", image=ROCKET, prompt="A failing disk", provider="core.today", wait_seconds=5)
        with by_hand(folder, simulator.settings) as server:
            for (job_id,) in data.rows("SELECT id FROM jobs"):
                _carried_through(server, job_id)
        sends = data.one("SELECT COUNT(*) FROM sends") or 0
        assert _charged(simulator, "core.today") == len(simulator.state.jobs) <= sends <= 1, k
    assert data.is_sound(), k
    data.check_files(alone=False)
    return notes.read_text(encoding="utf-8").count("(INJECTED)")


def _carried_through(server: ByHand, job_id: str) -> None:
    ended: list[str] = []

    def has_ended() -> bool:
        status = str(server.call("get_status", job_id=job_id, wait_seconds=5)["status"])
        ended.extend([status] if status in ENDED else [])
        return bool(ended)

    until(has_ended, f"{job_id} ends on a disk that works", within_s=60)


FIFTY = 50
WIRES = ("core.today", "kkiai", "runflow", "replicate", "bfl", "fal")


def test_L08_two_servers_on_one_folder_charge_each_of_fifty_jobs_once(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "data")
    (tmp_path / "cat.png").write_bytes(png())
    with ExitStack() as stack:
        simulator = stack.enter_context(running(job_seconds=0.1))
        settings = simulator.settings_of(*WIRES) | {"KONTEXT_IMAGE_ROOTS": str(tmp_path)}
        servers = [stack.enter_context(by_hand(tmp_path, settings)) for _ in range(2)]
        for n in range(FIFTY):
            _ask(servers[n % 2], WIRES[n % len(WIRES)], f"job {n}", str(tmp_path / "cat.png"), output_format="jpeg")
        data.until_ended(within_s=100)
        charged = Counter(str(job.input["prompt"]) for job in simulator.state.jobs.values())
        assert charged == Counter(f"job {n}" for n in range(FIFTY)), NEVER_TWO
    assert (data.statuses(), data.check_files()) == ({"completed": FIFTY}, FIFTY)


def test_L08_a_stopped_servers_jobs_are_taken_over_and_a_reply_that_came_meanwhile_is_not_lost(tmp_path: Path) -> None:
    """One of its creates was being answered and one of its looks; both answers lie unread while it is stopped."""
    data, clock = DataFolder(tmp_path / "data"), Turned()
    with ExitStack() as stack:
        simulator = stack.enter_context(running(clock=clock, job_seconds=5))
        settings = simulator.settings_of("core.today", "fal")
        simulator.state.script(
            {"wire": "fal", "on": "get", "fault": "slow_body", "interval": 0.03},
            {"wire": "core.today", "on": "create", "fault": "slow_body", "interval": 0.005},
        )
        stopped = stack.enter_context(by_hand(tmp_path, settings))
        looked_at = _ask(stopped, "fal", "looked at")
        until(lambda: _looks(simulator) == 1, "the look is being answered")
        created = _ask(stopped, "core.today", "created")
        until(lambda: _charged(simulator, "core.today") == 1, "the create is being answered")
        os.kill(stopped.process.pid, signal.SIGSTOP)
        try:
            assert (data.state(created), data.state(looked_at)) == ("intent", "submitted")
            other = stack.enter_context(by_hand(tmp_path, settings))
            data.until_state(created, "unknown")
            clock.now += 10
            data.until_state(looked_at, "completed")
            taken_over = data.rows("SELECT fence, doc FROM sends WHERE job_id = ?", looked_at)
        finally:
            os.kill(stopped.process.pid, signal.SIGCONT)
        data.until_state(created, "completed")
        assert other.call("get_status", job_id=created)["status"] == "completed"
        (remote,) = (job.id for job in simulator.state.jobs.values() if job.input["prompt"] == "created")
        assert data.one("SELECT doc ->> 'remote_id' FROM sends WHERE job_id = ?", created) == remote
        assert data.rows("SELECT fence, doc FROM sends WHERE job_id = ?", looked_at) == taken_over
        assert dict(simulator.state.charged) == {"core.today": 1, "fal": 1}, NEVER_TWO
        entries = data.rows("SELECT entry FROM ledger WHERE job_id = ? ORDER BY seq", created)
        assert entries == [("reserved",), ("settled",)]
    assert data.check_files() == 2


SENDING = "SELECT COUNT(*) FROM sends WHERE state = 'intent'"


def _stop_outside_a_write(server: ByHand, data: DataFolder) -> None:
    """Stop a server while it does not hold the database's lock: with it, all others would wait for it too."""

    def is_stopped() -> bool:
        os.kill(server.process.pid, signal.SIGSTOP)
        with closing(sqlite3.connect(data.database, timeout=0, isolation_level=None)) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(server.process.pid, signal.SIGCONT)
                return False
            db.execute("ROLLBACK")
            return True

    until(is_stopped, "it is stopped outside of a write")


def test_L08_fifty_jobs_are_each_charged_once_though_a_server_is_stopped_past_its_lease_and_woken(
    tmp_path: Path,
) -> None:
    """At each wire a create of the stopped server's is answered while it is stopped."""
    data = DataFolder(tmp_path / "data")
    (tmp_path / "cat.png").write_bytes(png())
    prompts = [f"job {n} {'held' if n < len(WIRES) else ''}".strip() for n in range(FIFTY)]
    with ExitStack() as stack:
        simulator = stack.enter_context(running(job_seconds=0.1))
        settings = simulator.settings_of(*WIRES) | {"KONTEXT_IMAGE_ROOTS": str(tmp_path)}
        slow = {"on": "create", "fault": "slow_body", "interval": 0.01, "match": "held"}
        simulator.state.script(*({"wire": wire, **slow} for wire in WIRES))

        def ask(server: ByHand, numbers: range) -> None:
            for n in numbers:
                _ask(server, WIRES[n % len(WIRES)], prompts[n], str(tmp_path / "cat.png"), output_format="jpeg")

        stopped = stack.enter_context(by_hand(tmp_path, settings))
        ask(stopped, range(len(WIRES)))
        until(lambda: _prompts_charged(simulator).total() == len(WIRES), "the creates are being answered")
        ask(stopped, range(len(WIRES), FIFTY // 2))
        _stop_outside_a_write(stopped, data)
        try:
            in_doubt = data.one(SENDING)
            ask(stack.enter_context(by_hand(tmp_path, settings)), range(FIFTY // 2, FIFTY))
            # No longer than that: an answer that lies unread for 30 s is one that did not come.
            until(lambda: data.one(SENDING) == 0, "what it was sending is taken over", within_s=60)
        finally:
            os.kill(stopped.process.pid, signal.SIGCONT)
        until(lambda: data.statuses() == {"completed": FIFTY}, "the answers that lay unread are bound", within_s=60)
        assert in_doubt > 0
        assert _prompts_charged(simulator) == Counter(prompts), NEVER_TWO
    entries = data.rows("SELECT entry, COUNT(*) FROM ledger GROUP BY entry ORDER BY entry")
    assert entries == [("reserved", FIFTY), ("settled", FIFTY)]
    assert data.check_files() == FIFTY

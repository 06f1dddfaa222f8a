"""The bar of reliability and security: every case by its id, and where the test is that stands for it.

A case is a test in tests/reliability whose name begins with the id (`test_C01_...`), or it is named in `ELSEWHERE`, or
`NOT_YET` says why it is not there. `tests/reliability/test_bar.py` fails when a case is nowhere; the run prints all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

DEMANDS: Mapping[str, str] = {
    "C01": (
        "edit_image, provider accepts, connection reset before reply: P=1; job unknown; no retry in 60 s; text "
        "says money may be spent"
    ),
    "C02": "connect refused twice, then ok: P accepted=1; job done",
    "C03": "429 + Retry-After 3, then 200: 2nd POST at 3.0-6 s; 1 job",
    "C04": (
        "429 + Retry-After HTTP-date / 100000 / garbage: date honoured; absurd value capped with "
        "err(rate_limited); garbage -> default"
    ),
    "C05": "502 (HTML) on submit: P=1; unknown",
    "C06": "402/403/422 JSON error: P=1; failed, reservation released; provider's reason mapped",
    "C07": "same request_key + args twice, in sequence and 20 at once: P=1; one job id",
    "C08": "same key, other prompt: err(idempotency_conflict); P=1",
    "C09": "same key after restart and in a second server process: P=1",
    "C10": (
        "kill -9 at each of: before intent commit, after it, after POST written, after reply before commit (fake "
        "pauses): after restart: P<=1; state none / unknown / unknown / unknown-or-submitted, never re-POST"
    ),
    "C11": (
        "200 random kill -9 during 10 concurrent jobs, restart each time: I1-I3 hold; all jobs end in a final or "
        "unknown state"
    ),
    "C12": (
        "client restart replays the same tools/call (no key) while first is unfinished: 2nd answer points to the "
        "same job with a note; a new request_key makes a new one"
    ),
    "C13": "limit = 3 edits; 10 parallel calls: P=3; 7 err(budget_exceeded)",
    "C14": "num_images=4 on Runflow: reserves 4x price",
    "C15": "unknown jobs, restart, next day by faketime: still counted; day roll works; clock set back does not refill",
    "C16": "two processes share the data dir, limit 5, 20 calls: P=5 in sum",
    "C17": "price/credits for each provider: ledger: 120 credits or $0.04 per image exact (no float drift over 10,000)",
    "R01": "job takes 60 s: poll gaps grow with jitter, <=30 requests; sync provider: none",
    "R02": "500, reset, HTML on GET x5 then ok: job done; errors not shown as job failure",
    "R03": (
        "provider dead 10 min (faketime/short config): breaker opens: <=1 probe per window; get_status answers "
        "<200 ms from DB"
    ),
    "R04": "unknown status word / missing fields / extra fields: no crash; state stays running, word shown",
    "R05": "status goes back (completed -> processing): final state does not change",
    "R06": "provider hangs mid-body forever (slow-loris 1 byte/s): total deadline hit; other jobs not delayed",
    "D01": "truncated PNG with right/wrong Content-Length: not done; retried GET; then err(result_invalid), url kept",
    "D02": "HTML/JSON with 200 and image/png: rejected by content sniff",
    "D03": "2 GB stream, no length: stopped at limit; RSS growth <64 MiB; tmp removed",
    "D04": "URL 403/404 (expired): re-poll for a fresh URL once, else err(result_expired); job keeps 'paid'",
    "D05": (
        "disk full (256 kB tmpfs) at download: err(storage_full), job ready or retryable; after space freed "
        "get_status fetches it; DB sound"
    ),
    "D06": "disk full before intent write: P=0, err(storage_full)",
    "D07": "strace EIO on k-th fsync/rename, k=1..n: I1, I3; never done without file",
    "D08": "file of a past result deleted/altered by hand: resource read -> clear error, not stale bytes",
    "D09": "data: URI result (Runflow sync_mode) 10 MB: stored; not echoed into the text result",
    "D10": "4 images, 3rd download fails: 3 kept, partial state reported",
    "L01": "stdin EOF, idle and with 5 jobs: exit 0 <=2 s; after restart jobs finish",
    "L02": "SIGTERM / SIGINT stdio, HTTP: exit <=2 s (stdio), <=grace (HTTP); no half rows",
    "L03": "notifications/cancelled during the wait: no answer for that id; job goes on; P=1",
    "L04": "HTTP client drops, both response modes: same",
    "L05": (
        "cancel_job before submit / running / done / twice / provider refuses: each state as documented; "
        "DELETE/cancel sent <=1 per need"
    ),
    "L06": "DB locked by another process 3 s / 60 s: waits / err(storage_busy); no lost job",
    "L07": (
        "DB corrupt (bytes flipped), old schema, newer schema: refuses with guidance or restores copy; never "
        "overwrites; P=0"
    ),
    "L08": (
        "two servers, one data dir, 50 jobs: each job polled by one owner; kill -9 owner -> other takes over in <=lease"
    ),
    "L09": "clock jumps +1 h, -1 h: no hot loop, no negative waits, deadlines on monotonic time",
    "L10": "data dir read-only / missing / mode 0777: clear startup error; created files 0600, dirs 0700",
    "P01": "conformance npm suite both revisions: no unexpected failure",
    "P02": "10,000 random / mutated JSON lines (hypothesis): I5, I6; valid call after still works",
    "P03": "200 MB line on stdio; 20 MB HTTP body: bounded memory / 413",
    "P04": (
        "wrong types, NaN, 1e400, lone surrogates, NUL, 100k-char prompt, depth-10,000 JSON: "
        "err(invalid_argument), no echo of the value, P=0"
    ),
    "P05": "keys in other case, unknown extra arguments: rejected (closed schemas)",
    "P06": (
        "tools/list, prompts, resources text hash across restarts, providers: same bytes for same config; no "
        "hidden Unicode"
    ),
    "F01": (
        "~/.ssh/id_rsa, /etc/passwd, /proc/self/environ, /dev/zero, FIFO: refused; P=0; same message for existing"
        " and missing"
    ),
    "F02": "../, absolute, allowed-evil/ prefix twin, %2e%2e, NUL, backslash, trailing dot: refused",
    "F03": (
        "symlink file, symlink dir, hard link to a secret inside the allowed dir: symlinks out refused; hard link"
        " stopped by image check"
    ),
    "F04": "path swapped to a symlink in a tight loop during 5,000 calls: no marker of the secret ever leaves",
    "F05": (
        "file://, file://host/, FILE:, data:text/html, data: 60 MB, blob:, gopher:: only documented schemes; rest err"
    ),
    "F06": "secret file renamed .png; PNG magic + secret tail (polyglot): not sent / tail not sent",
    "F07": "SVG, TIFF, EPS, PDF, WMF, ICO input: err(source_unreadable); no decoder run",
    "F08": (
        "GPS/XMP/maker-note JPEG, PNG tEXt, WebP EXIF: bytes at provider have no marker; orientation kept; opt-"
        "out exists"
    ),
    "F09": (
        "output name / folder argument with ../, absolute, reserved, 4 kB name: stays in data dir; provider "
        "output_folder checked too"
    ),
    "F10": "HTTP mode: any local path argument: refused always",
    "I01": "493 kB PNG of 13000x13000; GIF/WebP/APNG of 10,000 frames: err(source_too_large); RSS +<150 MiB; <1 s",
    "I02": "mutated JPEG/PNG/WebP/GIF x 5,000: no crash of the server (decode in guarded worker)",
    "N01": "Host/Origin evil on loopback HTTP: 421/403",
    "N02": "bind 0.0.0.0 without allowed hosts or auth: refuses to start",
    "N03": "Origin null, localhost.evil.example, IPv6 forms, no Host: refused",
    "N04": (
        "image URL http://127.0.0.1:<canary>, [::1], 169.254.169.254, 10/8, 100.64/10: no hit; err(source_not_allowed)"
    ),
    "N05": "decimal, hex, octal, 127.1, circled digits, ::ffff:, NAT64, 6to4: no hit",
    "N06": "public name -> private by redirect (301/302/307, up to 10 hops): each hop checked",
    "N07": "DNS answers public, then 127.0.0.1: connects to the checked address only",
    "N08": (
        "result URL, urls.get/urls.cancel/polling URL from provider body at the canary: never followed with key; "
        "own URL built from base + id"
    ),
    "N09": "API key on redirect to another host: no Authorization/X-API-Key there",
    "N10": "HTTP_PROXY in env, user:pass@ in URL, port 22: proxy only if configured; others refused",
    "N13": (
        "provider id ../../account, a?x=, a#, newline: encoded or refused; path at provider stays under predictions/"
    ),
    "S01": "all faults above with marker keys: no marker in logs, results, DB, errors, tracebacks at debug level",
    "S02": "provider error body repeats our key / whole request: redacted",
    "S03": (
        "provider error text with 'ignore previous instructions', ANSI/OSC-8/bidi/zero-width, 1 MB: <=500 chars, "
        "control and bidi removed, fenced as untrusted data"
    ),
    "S04": "log line forging by prompt with CR/LF, ESC: one record, escaped",
    "W01": (
        "no/wrong signature, other job's token, body changed: 401; no state change; never trusts body: re-reads "
        "status from provider"
    ),
    "W02": "replay, stale >5 min, out of order, 1,000/s: idempotent; rate-limited",
    "T01": "user B asks with user A's get_status: the same not-found as a random id; no list leak",
    "T02": "user B asks with user A's cancel_job: the same not-found as a random id; no list leak",
    "T03": "user B asks with user A's resources, read and listed: the same not-found as a random id; no list leak",
    "T04": "user B asks with user A's request_key: the same not-found as a random id; no list leak",
    "T05": (
        "user B asks with user A's task id; the same client_id with another sub: the same not-found as a random "
        "id; no list leak"
    ),
    "T06": "10^5 guessed ids: ids >=128 random bits; limiter acts",
    "T07": "user A floods: B's p99 get_status <2x idle",
    "A01": (
        "no token; wrong aud, iss, exp, nbf, alg none, HS256 with RSA public key, unknown kid, stripped sig: 401 "
        "+ resource_metadata; 0 provider calls"
    ),
    "A02": "valid token without spend scope on edit_image: 403 insufficient_scope with just that scope",
    "A03": "MCP token at the provider?: never in provider journal",
    "X01": (
        "AST rule: no subprocess/eval/pickle/yaml.load/shell; formats= on each Image.open; no httpx client "
        "outside the guarded factory: 0 findings"
    ),
}
"""What each case demands, in the words of the contract: what is done, and what passes."""

ELSEWHERE: Mapping[str, str] = {
    "S01": "end_to_end/test_keys.py::test_a_planted_key_is_nowhere_to_be_found",
    "C11": "end_to_end/test_kills.py::test_creates_accepted_never_exceed_sends_and_every_job_ends_whatever_is_killed",
    "P01": "conformance/test_conformance.py::test_what_a_revision_requires_passes",
    "R03": "tools/test_gates.py::test_after_five_failures_in_a_row_a_provider_is_asked_once_in_a_window",
}
"""Cases that a test outside tests/reliability covers: `path::test`, relative to tests/."""

NOT_YET: Mapping[str, str] = {
    "C15": "by faketime, in a real process: the test moves an injected clock instead",
}
"""Cases, or parts of cases that have a test, that are not covered yet, and why."""

_TEST = re.compile(r"tests/reliability/test_\w+\.py::test_([A-Z]\d\d)_")


def note(results: dict[str, str], node_id: str, outcome: str) -> None:
    """Count a test's outcome to the case that its name begins with; of several tests the worst counts."""
    found = _TEST.search(node_id)
    if found is not None and results.get(found[1]) not in ("failed", "skipped"):
        results[found[1]] = outcome


def table(results: Mapping[str, str]) -> list[str]:
    """Give the run's list: a line for each case with what became of it; nothing where none ran."""
    if not results:
        return []
    lines: list[str] = []
    for case, demand in DEMANDS.items():
        where = results.get(case) or ("elsewhere" if case in ELSEWHERE else "" if case in NOT_YET else "not run")
        lines += [f"{case} {where:<10} {demand[:100]}"] if where else []
        lines += [f"{case} not yet    {NOT_YET[case]}"] if case in NOT_YET else []
    return lines

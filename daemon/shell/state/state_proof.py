"""Whether journal, anchors and identity agree, before a boot touches any of them (law 3).

Each of the three says something of the other two: the journal's lines name the instance and the
run; the anchors and the identity name a line that the journal must have reached; the identity names
the line that the anchors must have reached. So whichever of them was moved away, shortened, or
restored from an older copy, another one says so. Where all are old, only the venue can tell: the
first reconciliation reads our newest order there.

Rules of this file:
1. It reads and changes nothing. A finding names what is missing and the mend.
2. Nothing here is guessed away: a boot refuses while there are findings, and `accept` goes on from
   what there is only with a reason, which the next boot journals.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson

from daemon.model.ids import run_number_of
from daemon.model.records import ARCHIVE_MANIFEST
from daemon.shell.journal.journal_origin import WHOLE, JournalOrigin, journal_origin
from daemon.shell.journal.journal_writer import JournalError
from daemon.shell.journal.segments import (
    find_line,
    is_packed,
    lines_of,
    newest_lines,
    segment_name,
    segment_number,
    segments,
)
from daemon.shell.process.clock import utc_text
from daemon.shell.state.state_dir import Identity, StateDirError, read_identity

ANCHORS_NAME = "anchors.jsonl"
TAIL_BYTES = 1 << 20
TAIL_BYTES_MAX = 64 << 20
AHEAD_NS_MAX = 5_000_000_000
"""So far may the journal's last line lie in the future of this machine's clock."""
_PUT_BACK = "put back what was moved or removed"


class StateRefused(StateDirError):  # noqa: N818 - a verdict, told to an operator
    """The parts of the state directory do not agree."""


class StateDisagreement(msgspec.Struct, frozen=True):
    """One disagreement: a code for scripts, what is wrong, and the mend."""

    code: str
    what: str
    mend: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.what}; {self.mend}"


class Proof(msgspec.Struct, kw_only=True):
    """What the parts say, and where they disagree."""

    findings: list[StateDisagreement] = msgspec.field(default_factory=list)
    identity: Identity | None = None
    instance: str = ""
    """Of the journal; empty: it has no line."""
    seq: int = 0
    head: str = ""
    ts_ns: int = 0
    run_number: int = 0
    """The highest that any part names."""
    first_run: int = 0
    segment: str = ""
    ahead_ns: int = 0
    """How far the journal's last line lies in the future; 0: it does not. No reason to refuse: the
    machine's clock may be the one that is wrong. The venue's clock tells."""

    @property
    def accepted(self) -> Mapping[str, Any]:
        """What an operator has accepted since the last boot."""
        return {} if self.identity is None else self.identity.accepted

    def add(self, code: str, what: str, mend: str) -> None:
        """Note a disagreement."""
        self.findings.append(StateDisagreement(code, what, mend))


def prove_state(state_dir: Path, *, account: str, environment: str, now_ns: int) -> Proof:
    """Hold the parts of a state directory against each other.

    `account` empty: the key is not at hand, and not compared. Segments that were moved into an
    archive are vouched for by its signed manifest.
    """
    proof = Proof()
    directory = state_dir / "journal"
    try:
        proof.identity = read_identity(state_dir)
    except StateDirError as error:
        what, _, mend = str(error).rpartition("; ")
        proof.add("identity", what, mend)
    found = segments(directory)
    origin = _origin(proof, directory)
    anchors = _anchors(proof, directory / ANCHORS_NAME)
    try:
        if found and origin is not None:
            _first_line(proof, found, origin)
        _last_line(proof, found, environment, now_ns)
        _archive_against(proof, directory, origin or WHOLE)
        _journal_against(proof, directory, anchors, has_lines=bool(proof.seq))
        _anchored_head(proof, found, anchors)
    except OSError as error:  # a packed segment that does not unpack, a disk that fails
        place = f"{error.filename}: " if error.filename else ""
        proof.add("journal_unreadable", f"{place}{error.strerror}", "put back a copy of that file")
    identity = proof.identity
    if identity is not None:
        _identity_against(proof, state_dir, identity, anchors, account)
    proof.run_number = max(proof.run_number, identity.run_number if identity else 0)
    return proof


def check_state(proof: Proof, state_dir: Path) -> None:
    """Refuse to boot on a state that does not agree with itself.

    Raises:
        StateRefused: with every finding, its mend, and the way out.
    """
    if not proof.findings:
        return
    lines = [f"state directory {state_dir} is not what it was:"]
    lines += [f"  {one.code}: {one}" for one in proof.findings]
    lines.append(
        "nothing was started or changed. If nothing can be put back: "
        "seatrial state accept --config FILE --reason WHY"
    )
    raise StateRefused("\n".join(lines))


def _origin(proof: Proof, directory: Path) -> JournalOrigin | None:
    """Where an archive's manifest says that the journal begins now; None: it cannot be believed."""
    try:
        return journal_origin(directory)
    except JournalError as error:
        what, _, mend = str(error).rpartition("; ")
        proof.add("archive", what, mend)
        return None


def _archive_against(proof: Proof, directory: Path, origin: JournalOrigin) -> None:
    """The journal must reach the line that an archive left it to begin with."""
    proof.run_number = max(proof.run_number, run_number_of(origin.run_id))
    if origin.seq > WHOLE.seq and proof.seq < origin.seq:
        proof.instance = proof.instance or origin.run_id.partition("-")[0]
        ends = f"ends at line {proof.seq}" if proof.seq else "has no line"
        proof.add(
            "journal_before_archive",
            f"{directory}: the journal {ends}, but by {ARCHIVE_MANIFEST} it goes on with line "
            f"{origin.seq} of run {origin.run_id}: it is an older copy, or its end was removed",
            "put the newest copy back",
        )


def _first_line(proof: Proof, found: Sequence[Path], origin: JournalOrigin) -> None:
    numbers = [segment_number(path) for path in found]
    due = range(len(origin.heads) + 1, numbers[-1] + 1)
    absent = sorted(set(due) - set(numbers))
    if absent:
        names = ", ".join(segment_name(number) for number in absent[:3])
        proof.add(
            "segments_missing",
            f"{len(absent)} segment(s) of the journal are missing, first {names}",
            f"{_PUT_BACK}; closed segments leave only into an archive",
        )
    record = _record(next(lines_of(found[0]), b""))
    known = proof.identity.first_run if proof.identity is not None else 0
    if record is None or (absent and numbers[0] == absent[-1] + 1):
        return
    first_run = run_number_of(str(record.get("run_id", "")))
    start = (record.get("seq"), record.get("prev"))
    is_first = start == (WHOLE.seq, WHOLE.head)
    proof.first_run = first_run if is_first else known
    if start not in origin.starts or (is_first and (known or first_run) != first_run):
        proof.add(
            "journal_beheaded",
            f"the journal begins with line {record.get('seq')} of run {first_run}",
            "it is not the journal that was begun here: put that one back",
        )


def _last_line(proof: Proof, found: Sequence[Path], environment: str, now_ns: int) -> None:
    for path in reversed(found):
        line = last_line(path)
        record = _record(line)
        if record is None:
            continue
        run = str(record.get("run_id", ""))
        proof.instance = run.partition("-")[0]
        proof.run_number = run_number_of(run)
        proof.seq, proof.ts_ns = int(record.get("seq", 0)), int(record.get("ts_ns", 0))
        proof.head, proof.segment = hashlib.sha256(line.rstrip(b"\n")).hexdigest(), path.name
        proof.ahead_ns = ahead if (ahead := proof.ts_ns - now_ns) > AHEAD_NS_MAX else 0
        written_for = record.get("exchange", environment)
        if written_for != environment:
            proof.add(
                "environment",
                f"the journal is of {written_for}, the configuration of {environment}",
                "give this environment a state directory of its own",
            )
        return


def _anchors(proof: Proof, path: Path) -> list[dict[str, Any]]:
    """The heads that count: those since an operator last accepted what there was."""
    heads: list[dict[str, Any]] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return heads
    except OSError as error:
        proof.add("anchors", f"{path}: {error.strerror}", "let the daemon's user read it")
        return heads
    for line in lines:
        record = _record(line)
        if record is None or not isinstance(record.get("seq"), int):
            continue  # torn by a full disk; what matters of it stands in the lines after it
        if "accepted" in record:
            heads.clear()
        heads.append(record)
        run = str(record.get("run_id", ""))
        proof.run_number = max(proof.run_number, run_number_of(run))
    return heads


def _journal_against(
    proof: Proof, directory: Path, anchors: Sequence[dict[str, Any]], *, has_lines: bool
) -> None:
    """The journal must reach what the anchors and the identity saw of it."""
    identity = proof.identity
    by_anchors = max((int(one["seq"]) for one in anchors), default=0)
    by_identity = identity.seq if identity is not None else 0
    seen = max(by_anchors, by_identity)
    who = ANCHORS_NAME if by_anchors >= by_identity else "identity.json"
    begun = identity is not None and identity.run_number > 0 and not identity.is_marked
    if not has_lines and (seen or begun):
        saw = f"{who} saw {seen} lines of it" if seen else "runs were counted here"
        proof.add("journal_missing", f"{directory}: no journal, though {saw}", _PUT_BACK)
    elif proof.seq < seen:
        proof.add(
            "journal_short",
            f"the journal ends at line {proof.seq}, but {who} has seen line {seen}: it is an "
            "older copy, or its end was removed",
            "put the newest copy back",
        )


def _identity_against(
    proof: Proof,
    state_dir: Path,
    identity: Identity,
    anchors: Sequence[dict[str, Any]],
    account: str,
) -> None:
    path = state_dir / "identity.json"
    if proof.instance and proof.instance != identity.instance:
        proof.add(
            "journal_of_another",
            f"the journal is of instance {proof.instance}, {path} of {identity.instance}",
            "they come from two boxes: put each back where it belongs",
        )
    elif proof.run_number > identity.run_number:
        proof.add(
            "identity_old",
            f"{path} has counted {identity.run_number} runs, the journal or its anchors "
            f"{proof.run_number}: it is an older copy",
            "put the newest copy back",
        )
    reached = max((int(one["seq"]) for one in anchors), default=0)
    if reached < identity.anchored:
        what = f"end at line {reached}" if anchors else "are missing"
        proof.add(
            "anchors",
            f"{state_dir / 'journal' / ANCHORS_NAME}: the anchors {what}, but {path} has seen the "
            f"one of line {identity.anchored}",
            _PUT_BACK,
        )
    if account and identity.account and account != identity.account:
        proof.add(
            "account",
            f"the state is of account key {identity.account}, the credentials are {account}",
            "use the key of before; after a change of keys on one account: "
            "seatrial state accept --new-key",
        )


def _anchored_head(proof: Proof, found: Sequence[Path], anchors: Sequence[dict[str, Any]]) -> None:
    """The newest anchored line that we have must be the one that was anchored."""
    known = [one for one in anchors if int(one["seq"]) <= proof.seq]
    if not known:
        return
    newest = max(known, key=lambda one: int(one["seq"]))
    line = _line(found, int(newest["seq"]))
    if line is not None and hashlib.sha256(line).hexdigest() != newest.get("head"):
        proof.add(
            "journal_forked",
            f"line {newest['seq']} of the journal is not the one that was anchored",
            "put back the journal that the anchors belong to",
        )


def _line(found: Sequence[Path], seq: int) -> bytes | None:
    """A line by its number, looked for near the end of the journal; None: not near."""
    wanted = b'{"seq":%d,' % seq
    for path in reversed(found[-2:]):
        if is_packed(path):
            if line := find_line(path, seq):
                return line
            continue
        with path.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - TAIL_BYTES_MAX))
            body = b"\n" + opened.read()
        at = body.rfind(b"\n" + wanted) + 1
        if at:
            end = body.find(b"\n", at)
            return body[at:end] if end > 0 else None
    return None


def last_line(path: Path) -> bytes:
    """The last whole line of a file, without its end; empty when there is none."""
    if is_packed(path):
        return next(iter(newest_lines(path, 1, lambda _: True)), b"")
    with path.open("rb") as opened:
        size = opened.seek(0, os.SEEK_END)
        wanted = TAIL_BYTES
        while True:
            begin = max(0, size - wanted)
            opened.seek(begin)
            body = opened.read(size - begin)
            end = body.rfind(b"\n")
            start = body.rfind(b"\n", 0, max(end, 0)) + 1
            if end >= 0 and (start or not begin):
                return body[start:end]
            if not begin:
                return b""
            wanted *= 4


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def in_future_text(proof: Proof) -> str:
    """One line on a journal that ends in the future of this machine's clock; empty: it does not."""
    if not proof.ahead_ns:
        return ""
    return (
        f"the journal's last line is of {utc_text(proof.ts_ns)}, {proof.ahead_ns // 10**9} s ahead "
        "of this machine's clock"
    )

"""The state directory: who we are (instance), which boot this is, and how far the journal went.

`identity.json` guards the journal from outside of it: it says how many lines there are at least,
so that a journal that was moved away, shortened or restored is seen at the next boot
(`state_proof.py`). It is written and synced before anything else happens, and never goes back.
"""

import contextlib
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.model.amounts import NS_PER_S
from daemon.model.copies import replace
from daemon.model.ids import RunId, parse_id, run_id
from daemon.model.records import EventType
from daemon.shell.process.clock import SystemClock

IDENTITY_NAME = "identity.json"
MODE = 0o700
"""Nobody but the daemon's user has business in there; the group may pass to the control socket."""
MARK_PERIOD_NS = NS_PER_S
_LAST_LINES_BYTES = 1 << 20
"""So much of a segment's end is read for its last line; one that is longer is not found."""
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class StateDirError(OSError):
    """The state directory cannot be used; the message names it and the mend."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What `identity.json` says."""

    instance: str
    run_number: int
    account: str = ""
    environment: str = ""
    seq: int = 0
    """The journal has at least so many lines; they were durable when this was written."""
    anchored: int = 0
    """The newest anchor beside the journal names this line, or a later one."""
    first_run: int = 0
    """The run that wrote the journal's first line; 0: not known."""
    accepted: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """What an operator has accepted (`seatrial state accept`) and no boot has journalled yet."""
    is_marked: bool = False
    """False: an old build wrote it, which marked nothing."""


def prepare(state_dir: Path, *, passable: bool = False) -> bool:
    """Make the directory, or take the rights of others away from it; returns whether it had to.

    With `passable` the group may pass through it, to a control socket that lies inside.

    Raises:
        StateDirError: it cannot be made or is somebody else's.
    """
    mode = MODE | (0o010 if passable else 0)
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=mode)
        found = state_dir.stat().st_mode & 0o777
        if not found & ~mode & 0o077:
            return False
        state_dir.chmod(found & (0o700 | mode))
    except OSError as error:
        raise StateDirError(
            f"state directory {state_dir}: {error.strerror}; check state_dir and its owner"
        ) from error
    return True


def next_run(
    state_dir: Path, *, account: str = "", environment: str = ""
) -> tuple[str, int, RunId]:
    """Count one boot, durably. Returns (instance, run number, run id).

    Raises:
        StateDirError: the directory or its identity file cannot be read or written.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=MODE)
        known = read_identity(state_dir) or Identity(instance=new_instance(), run_number=0)
        known = replace(
            known, run_number=known.run_number + 1, account=account, environment=environment
        )
        write_identity(state_dir, known)
    except OSError as error:
        if isinstance(error, StateDirError):
            raise
        raise StateDirError(
            f"state directory {state_dir}: {error.strerror}; check state_dir and its owner"
        ) from error
    return known.instance, known.run_number, run_id(known.instance, known.run_number, _drawn(3))


def read_identity(state_dir: Path) -> Identity | None:
    """Who a state directory is, or None when it was never used.

    Raises:
        StateDirError: the file is there and cannot be read, or it is gone and a journal is there:
            under a new name, the open orders of the runs before would be somebody else's.
    """
    path = state_dir / IDENTITY_NAME
    try:
        data = msgspec.json.decode(path.read_bytes())
        known = {name: data[name] for name in Identity.__struct_fields__ if name in data}
        identity = msgspec.convert({**known, "is_marked": "seq" in data}, Identity)
        run_id(identity.instance, identity.run_number)
    except FileNotFoundError:
        if next((state_dir / "journal").glob("journal-*"), None) is None:
            return None
        raise StateDirError(
            f"{path}: missing beside a journal, so nobody can tell which orders are ours; put the "
            "file back as it was, or have it made from the journal: `seatrial state accept`"
        ) from None
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise StateDirError(
            f"{path}: unreadable ({error}); put the file back as it was, or have it made from the "
            "journal: `seatrial state accept`"
        ) from error
    return identity


def instance_of_journal(state_dir: Path) -> str:
    """The instance that the newest journal line names; empty: none does. For a stop without more.

    Never raises.
    """
    for path in sorted((state_dir / "journal").glob("journal-??????.jsonl"), reverse=True):
        try:
            with path.open("rb") as opened:
                return str(msgspec.json.decode(opened.readline())["run_id"]).partition("-")[0]
        except (OSError, KeyError, TypeError, ValueError, RecursionError):
            continue
    return ""


def head_of_journal(state_dir: Path) -> str:
    """The hash of the journal's newest whole line; empty: there is none, or it is not to be had.

    Never raises.
    """
    for path in sorted((state_dir / "journal").glob("journal-??????.jsonl"), reverse=True):
        try:
            with path.open("rb") as opened:
                size = opened.seek(0, os.SEEK_END)
                opened.seek(max(0, size - _LAST_LINES_BYTES))
                *_, before, last, _torn = b"", *opened.read().split(b"\n")
            if last and (before or size <= _LAST_LINES_BYTES):
                return hashlib.sha256(last).hexdigest()
        except (OSError, ValueError):  # ValueError: no whole line in it yet
            continue
    return ""


def write_identity(state_dir: Path, identity: Identity, *, dir_fd: int | None = None) -> None:
    """Replace the file, durably.

    Raises:
        OSError: the disk did not take it; the old one stands.
    """
    fields = msgspec.structs.asdict(identity)
    del fields["is_marked"]
    own_fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY) if dir_fd is None else dir_fd
    partial = f"{IDENTITY_NAME}.partial"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        file_fd = os.open(partial, flags, 0o600, dir_fd=own_fd)
        with os.fdopen(file_fd, "wb") as out:
            owner = os.fstat(own_fd)
            with contextlib.suppress(PermissionError):  # root may write it for the daemon's user
                os.fchown(file_fd, owner.st_uid, owner.st_gid)
            out.write(msgspec.json.encode(fields) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, IDENTITY_NAME, src_dir_fd=own_fd, dst_dir_fd=own_fd)
        os.fsync(own_fd)
    finally:
        if dir_fd is None:
            os.close(own_fd)


def new_instance() -> str:
    """A name for a state directory that was never used."""
    return _drawn(6)


def _drawn(count: int) -> str:
    """So many random letters."""
    import secrets  # noqa: PLC0415 - a stop in a second process reads names and draws none

    return "".join(secrets.choice(_LETTERS) for _ in range(count))


class StateMark:
    """Keeps `identity.json` up with the journal, from any thread. A `RecordSink` of the pump.

    It holds the directory open: what it writes stays with the journal, wherever that is moved.
    """

    hears = frozenset({EventType.ORDER_RESOLVED})

    def __init__(self, state_dir: Path) -> None:
        """Begin with what the file says: this boot was just counted in it.

        Raises:
            StateDirError: it cannot be read.
        """
        identity = read_identity(state_dir)
        if identity is None:
            raise StateDirError(f"{state_dir / IDENTITY_NAME} is gone; start again")
        self._state_dir = state_dir
        self._identity = identity
        self._lock = threading.Lock()
        self._due_ns = 0
        self._clock = SystemClock()
        self._fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def begun(self, *, first_run: int) -> None:
        """The lines of this boot are durable, what was accepted among them."""
        self._change(accepted={}, first_run=self._identity.first_run or first_run)

    def on_anchor(self, seq: int, _head: str = "") -> None:
        """The journal's head at this line is anchored, and the line is durable."""
        known = self._identity
        self._change(seq=max(known.seq, seq), anchored=max(known.anchored, seq))

    def on_durable(self, seq: int) -> None:
        """Lines up to this one are durable; noted once a second."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._due_ns and seq > self._identity.seq:
            self._due_ns = now_ns + MARK_PERIOD_NS
            self._change(seq=seq)

    def on_record(self, event_type: EventType, fields: Mapping[str, Any], ts_ns: int) -> None:
        """An order of a later run than ours turned up at the venue: later boots go beyond it."""
        del event_type, ts_ns
        seen = parse_id(str(fields.get("client_order_id", "")))
        if seen is not None and seen.instance == self._identity.instance:
            self._change(run_number=max(self._identity.run_number, seen.run_number))

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._fd)

    def _change(self, **fields: Any) -> None:
        """Write it; a full disk leaves the old mark, which claims less than there is."""
        with self._lock:
            changed = replace(self._identity, **fields)
            if changed == self._identity:
                return
            try:
                write_identity(self._state_dir, changed, dir_fd=self._fd)
            except OSError:
                return
            self._identity = changed

"""The kill latch: a fact on disk that no restart undoes (promise P7).

Rules of this file:
1. `<state_dir>/kill-latch/` holds one file a kill. Any entry there, readable or not, half written
   or not, means latched: damage never opens the gate.
2. A latch is durable when `latch` returns: file and directory are fsynced.
3. The latch is part of the deed, tried first, with a short deadline: a stop goes on without it, and
   says so (`EXIT_NOT_LATCHED` of `control.tool.failures`).
4. It works from a second process while the daemon hangs or is dead: no lock is taken that a stopped
   process could hold. Clearing removes the entries that were seen, and only those: a kill that
   comes while an operator re-arms stays.
"""

import contextlib
import errno
import os
from pathlib import Path

import msgspec

from daemon.errors import LocalFatalError
from daemon.model.halt import HaltFlag
from daemon.shell.process.clock import Clock

DIRECTORY_NAME = "kill-latch"
ENTRIES_MAX = 64
"""Beyond this many kills without a re-arm, further ones add nothing: it is latched already."""
LATCH_DEADLINE_S = 1.0
"""A disk that takes longer holds no stop."""
_TICK_NS = 50_000_000
"""Times of files are as coarse as the kernel's tick, which is 10 ms at most."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FILE_MODE = 0o644
"""A direct kill may run as root; the daemon's user must still read who and why."""


class LatchError(LocalFatalError):
    """The latch cannot be written or removed: the message names the path and the mend."""


class LatchedKill(msgspec.Struct, frozen=True, kw_only=True):
    """One kill: who, why, when."""

    by_uid: int
    by_name: str
    reason: str
    ts_ns: int
    entry: str = ""
    """The file that it was read from."""


class Latch(msgspec.Struct, frozen=True, kw_only=True):
    """The oldest kill that has not been re-armed, and all of them in `kills`, oldest first.

    `entries` are the files that they were read from.
    """

    by_uid: int
    by_name: str
    reason: str
    ts_ns: int
    entries: tuple[str, ...]
    readable: bool = True
    kills: tuple[LatchedKill, ...] = ()


class LatchStore:
    """The latch of one state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._directory = self.directory = state_dir / DIRECTORY_NAME

    def prepare(self) -> None:
        """Make the directory ahead of need: to look for a latch in it is quicker than in none."""
        with contextlib.suppress(OSError):  # a kill that needs it says what is wrong
            self._make_directory()

    def latch(self, *, by_uid: int, by_name: str, reason: str, ts_ns: int) -> None:
        """Latch, durably. `ts_ns` is the time of the kill, UTC nanoseconds.

        Raises:
            LatchError: the disk did not take it.
        """
        content = {"by_uid": by_uid, "by_name": by_name, "reason": reason, "ts_ns": ts_ns}
        try:
            self._make_directory()
            if len(list(self._directory.iterdir())) >= ENTRIES_MAX:
                return
            self._write_entry(ts_ns, msgspec.json.encode(content) + b"\n")
        except OSError as error:
            raise LatchError(
                f"the kill latch in {self._directory} cannot be written: {error.strerror}; "
                f"a restart would not know of this kill: do not restart before it is mended"
            ) from error

    def hung(self) -> str:
        """What is said of a latch that was not written in time."""
        return (
            f"the kill latch in {self._directory} was not written within {LATCH_DEADLINE_S:g} s: "
            f"its disk hangs; a restart may not know of this kill: do not restart before it is "
            f"mended"
        )

    def read(self) -> Latch | None:
        """The latch, or None when there is none. What cannot be read counts as latched."""
        try:
            names = sorted(entry.name for entry in self._directory.iterdir())
        except FileNotFoundError:
            return None
        except OSError as error:
            return _unreadable((), f"{self._directory} cannot be listed: {error.strerror}")
        if not names:
            return None
        found = [kill for name in names if (kill := self._read_entry(name)) is not None]
        if not found:
            return _unreadable(tuple(names), f"{self._directory / names[0]} is damaged")
        found.sort(key=lambda kill: kill.ts_ns)
        first = found[0]
        return Latch(
            by_uid=first.by_uid,
            by_name=first.by_name,
            reason=first.reason,
            ts_ns=first.ts_ns,
            entries=tuple(names),
            kills=tuple(found),
        )

    def clear(self, latch: Latch | None = None) -> bool:
        """Open the latch: remove the entries of `latch` (default: those there now).

        Pass the latch that the operator was shown: a kill that came after it then stays. Returns
        whether the store is open now.

        Raises:
            LatchError: an entry cannot be removed; it stays latched.
        """
        latch = latch or self.read()
        if latch is None:
            return True
        try:
            for name in latch.entries:
                (self._directory / name).unlink(missing_ok=True)
            if latch.entries:
                _sync_directory(self._directory)
        except OSError as error:
            raise LatchError(
                f"the kill latch in {self._directory} cannot be removed: {error.strerror}; "
                f"it stays latched: check the directory's owner"
            ) from error
        return self.read() is None

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            self._directory.mkdir(mode=0o755)
            owner = self._directory.parent.stat()
            with contextlib.suppress(PermissionError):
                # Made by root on behalf of the daemon's user, who must be able to re-arm.
                os.chown(self._directory, owner.st_uid, owner.st_gid)
            _sync_directory(self._directory.parent)

    def _write_entry(self, ts_ns: int, content: bytes) -> None:
        """A file of its own. Its name is there before its content is whole: that is fail-safe."""
        for attempt in range(ENTRIES_MAX):
            path = self._directory / f"{ts_ns:020d}-{os.getpid()}-{attempt}.json"
            try:
                file_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            except FileExistsError:
                continue
            try:
                os.fchmod(file_fd, _FILE_MODE)  # whatever the umask says
                os.write(file_fd, content)
                os.fsync(file_fd)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                # The entry is there without its words: latched all the same (rule 1).
            finally:
                os.close(file_fd)
            _sync_directory(self._directory)
            return

    def _read_entry(self, name: str) -> LatchedKill | None:
        try:
            data = msgspec.json.decode((self._directory / name).read_bytes())
            return LatchedKill(
                by_uid=int(data["by_uid"]),
                by_name=str(data["by_name"]),
                reason=str(data["reason"]),
                ts_ns=int(data["ts_ns"]),
                entry=name,
            )
        except (OSError, KeyError, TypeError, ValueError, RecursionError):
            return None


class LatchHalt(HaltFlag):
    """The halt flag of a daemon: nothing leaves once the latch is on the disk, whoever wrote it.

    A strategy may hold the interpreter for seconds, and with it the watchdog that follows the
    latch; what it wishes at the end of that turn would leave before the watchdog looks. So `look`
    asks the disk, by one stat of the latch's directory: whether it has changed since it was last
    seen without an entry.
    """

    __slots__ = ("_clock", "_empty_ns", "_path", "_seen_ns", "_since_ns", "_store")

    def __init__(self, store: "LatchStore", clock: Clock) -> None:
        """Open; the latch is looked at from the first placement on."""
        super().__init__()
        self._store = store
        self._clock = clock
        self._path = str(store.directory)
        self._seen_ns = self._empty_ns = -1
        self._since_ns = 0
        store.prepare()

    def look(self) -> bool:
        """Whether the flag is closed, or the latch is on the disk; that closes the flag."""
        if self.closed:
            return True
        try:
            changed_ns = os.stat(self._path).st_mtime_ns  # noqa: PTH116 - half of the cost of a Path
        except OSError:
            changed_ns = -1  # not there, or unreadable: the store says which
        if changed_ns == self._empty_ns and changed_ns != -1:
            return False
        latch = self._store.read()
        if latch is not None:
            self.close(f"latched: {latch.reason}")
            return True
        # Two changes within one tick of the kernel's clock look like one: only what has stood for
        # longer when it is listed can be recognised later.
        now_ns = self._clock.monotonic_ns()
        if changed_ns != self._seen_ns:
            self._seen_ns, self._since_ns = changed_ns, now_ns
        if now_ns - self._since_ns > _TICK_NS:
            self._empty_ns = changed_ns
        return False


def _unreadable(names: tuple[str, ...], why: str) -> Latch:
    return Latch(
        by_uid=-1,
        by_name="unknown",
        reason=f"unreadable kill latch: {why}",
        ts_ns=0,
        entries=names,
        readable=False,
    )


def _sync_directory(directory: Path) -> None:
    directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory_fd)
    finally:
        os.close(directory_fd)

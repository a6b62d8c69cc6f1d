"""The bot under trial: its command, its ready files, its processes."""

import contextlib
import ctypes
import hashlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from daemon.shell.process.clock import monotonic_s
from daemon.trials.ready_files import READY_FILES

_NAMES = "rest|ws_api|streams|key|secret|ed25519_key|ed25519_pem|work|symbol|pair"
_PLACEHOLDER = re.compile(rf"\{{({_NAMES}|config:[a-z_-]+)\}}")
_TEMPLATE = re.compile(r"\{template:([^}]+)\}")
_PR_SET_CHILD_SUBREAPER = 36
_END_S = 10.0
_LOOK_S = 0.05


class BotError(RuntimeError):
    """A bot that cannot be started; the text says why and the mend."""


class BotProcess:
    """One command, started as often as the course asks, ended with all its children."""

    def __init__(
        self,
        command: Sequence[str],
        venue: Mapping[str, str],
        *,
        work: Path,
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        """`venue` is what `TrialVenue.values` gives.

        Raises:
            BotError: a placeholder or template that is not there.
        """
        self.work, self._log = work, log
        self._values = {**venue, "work": str(work)}
        self._environment = {
            **environment,
            **{f"SEATRIAL_{name.upper()}": value for name, value in self._values.items()},
            "HOME": str(work),
            "TMPDIR": str(work),
            "PYTHONUNBUFFERED": "1",
        }
        self.command = [self._filled(word) for word in command]
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._stop = threading.Event()
        # Children whose parent has gone come to us, so that none is ever lost.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def _filled(self, text: str) -> str:
        def template(match: re.Match[str]) -> str:
            source = Path(match[1])
            try:
                body = source.read_text()
            except OSError as error:
                raise BotError(f"template {source}: {error.strerror}") from error
            target = self.work / source.name
            target.write_text(self._filled(body))
            return str(target)

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("config:"):
                return self._ready_file(name)
            if name not in self._values:
                raise BotError(f"{{{name}}}: the key of a bot at the gate is HMAC; use {{key}}")
            return self._values[name]

        return _PLACEHOLDER.sub(value, _TEMPLATE.sub(template, text))

    def _ready_file(self, name: str) -> str:
        kind = name.removeprefix("config:")
        if kind not in READY_FILES:
            raise BotError(
                f"{{{name}}}: there are ready files for {', '.join(sorted(READY_FILES))}"
            )
        target = self.work / f"{kind}.json"
        target.write_text(READY_FILES[kind](self._values))
        return str(target)

    def start(self) -> None:
        """Start it.

        Raises:
            BotError: the command is not there.
        """
        self.starts += 1
        with self._log.open("ab") as out:
            out.write(f"\n--- start {self.starts}: {' '.join(self.command)}\n".encode())
            out.flush()
            try:
                self._process = subprocess.Popen(  # noqa: S603 - the operator's own command
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise BotError(f"{self.command[0]}: {error.strerror or error}") from error

    @property
    def is_running(self) -> bool:
        """Whether its main process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the main process; None while it runs."""
        return None if self._process is None else self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """To the main process; SIGSTOP and SIGCONT to its children, too."""
        if self._process is None or self._process.poll() is not None:
            return
        whole = number in {signal.SIGSTOP, signal.SIGCONT}
        for pid in [self._process.pid, *(self._children() if whole else ())]:
            _send(pid, number)

    def end(self, within_s: float = _END_S) -> None:
        """SIGTERM, then SIGKILL for whatever is left of it."""
        if self._process is None:
            return
        for pid in [self._process.pid, *self._children()]:
            _send(pid, signal.SIGCONT)
        _send(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        self.kill()

    def kill(self) -> None:
        """SIGKILL to the bot and all its children, until none is left."""
        if self._process is None:
            return
        until_s = monotonic_s() + _END_S
        while True:
            there = [pid for pid in (self._process.pid, *self._children()) if _is_alive(pid)]
            for pid in there:
                _send(pid, signal.SIGKILL)
            self._process.poll()
            self._reap()
            if not there or monotonic_s() > until_s:
                return
            self._stop.wait(_LOOK_S)

    def _children(self) -> list[int]:
        """Every process of the bot's session, or below one of them, or left to us by one."""
        if self._process is None:
            return []
        parents = _process_table()
        mine = os.getpid()
        found = {self._process.pid}
        while True:
            more = {
                pid
                for pid, (parent, session) in parents.items()
                if pid not in found
                and (
                    parent in found
                    or session == self._process.pid
                    or self._is_orphan(pid, parent, session, mine)
                )
            }
            if not more:
                return sorted(found - {self._process.pid})
            found |= more

    def _is_orphan(self, pid: int, parent: int, session: int, mine: int) -> bool:
        """A child that came to us because its parent ended: our own are in our session."""
        return parent == mine and session not in {os.getsid(0), 0} and pid != mine

    def _reap(self) -> None:
        for pid in self._children():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def version_of(
    command: Sequence[str], files: Sequence[Path] = (), base: Path = Path()
) -> tuple[str, dict[str, str]]:
    """(hash of a bot's command and files, path -> hash of each file).

    The files are those that the command names (but for the program itself), its templates, and
    `files`; a directory stands for every file below it. Relative names begin at `base`.
    """
    named = [base / match for word in command for match in _TEMPLATE.findall(word)]
    named += [base / word for word in command[1:] if (base / word).is_file()]
    hashes: dict[str, str] = {}
    for path in (*named, *(base / file for file in files)):
        below = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for one in below:
            if "__pycache__" not in one.parts:
                hashes[str(one)] = hashlib.sha256(one.read_bytes()).hexdigest()
    whole = hashlib.sha256("\0".join(command).encode())
    for name, digest in sorted(hashes.items()):
        whole.update(f"\0{Path(name).name}\0{digest}".encode())
    return whole.hexdigest(), hashes


def _process_table() -> dict[int, tuple[int, int]]:
    """Process id -> (parent, session), from /proc."""
    table: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            table[int(entry.name)] = (int(fields[1]), int(fields[3]))
    return table


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)

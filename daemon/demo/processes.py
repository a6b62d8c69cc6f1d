"""Processes of ours, the simulated venue and the daemon: started, asked and stopped in order."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from control.control_errors import ControlError
from control.tool.client import call
from daemon.shell.process.child_processes import end_with_parent
from daemon.shell.process.clock import monotonic_s

START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 40.0
CALL_DEADLINE_S = 30.0
READY_DEADLINE_S = 60.0
LOOK_DEADLINE_S = 2.0
POLL_S = 0.2


class DemoError(RuntimeError):
    """A step with a process of ours failed; the message says which and where its log is."""


_COMPLAINTS = ("WARNING", "ERROR", "CRITICAL")


class Process:
    """A child whose stderr goes to a log file; it dies with us at the latest."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        *,
        has_own_group: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start it; with `has_own_group` a Ctrl-C at the terminal does not reach it.

        `environ` is added to our own environment.
        """
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self._log_begin = out.tell()
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
                [sys.executable, "-m", *arguments],
                stdout=subprocess.PIPE,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(environ or {}),
                preexec_fn=end_with_parent(),  # noqa: PLW1509 - one system call, no lock
                process_group=0 if has_own_group else None,
            )
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=1_000)
        self._reader = threading.Thread(target=self._read, name=f"{name}-stdout", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """Whether it is still there."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        return self._child.poll()

    def read_json_line(self) -> dict[str, Any]:
        """The first line of its standard output, as JSON.

        Raises:
            DemoError: it ended, said nothing in time, or said something else.
        """
        try:
            line = self._lines.get(timeout=START_DEADLINE_S)
        except queue.Empty:
            raise DemoError(f"{self.name} said nothing in {START_DEADLINE_S:.0f} s") from None
        if line is None:
            raise DemoError(f"{self.name} ended at once: {self.last_words()}")
        try:
            made = json.loads(line)
        except json.JSONDecodeError:
            raise DemoError(f"{self.name} said {line!r} instead of its ready line") from None
        if not isinstance(made, dict):
            raise DemoError(f"{self.name} said {line!r} instead of its ready line")
        return made

    def kill_hard(self) -> None:
        """SIGKILL, and wait for the body."""
        self._child.kill()
        self._child.wait(timeout=STOP_DEADLINE_S)

    def stop(self) -> int:
        """SIGTERM, wait, SIGKILL when it does not listen. Returns the exit code."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """SIGTERM, where it still runs."""
        if self.is_running:
            self._child.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end. Returns the exit code."""
        try:
            return self._child.wait(timeout=STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.kill_hard()
            return -signal.SIGKILL

    def last_words(self) -> str:
        """The last line that it has written to its log."""
        said = self.log.read_bytes()[self._log_begin :]
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"nothing in {self.log}"

    def last_complaint(self) -> str:
        """The last line of its log, of this run, that is a warning or worse."""
        said = self.log.read_bytes()[self._log_begin :].decode(errors="replace").splitlines()
        told = (line for line in reversed(said) if line.startswith(_COMPLAINTS))
        return next(told, "no warning in its log")

    def __enter__(self) -> Self:
        """Nothing to do: it runs since construction."""
        return self

    def __exit__(self, *_: object) -> None:
        """Never leave a child behind."""
        if self.is_running:
            self.stop()
        self._reader.join(STOP_DEADLINE_S)  # it ends with the pipe

    def _read(self) -> None:
        stdout = self._child.stdout
        if stdout is None:
            return
        with stdout:
            for raw in stdout:
                self._keep(raw.decode(errors="replace").rstrip("\n"))
        self._keep(None)

    def _keep(self, line: str | None) -> None:
        with contextlib.suppress(queue.Full):  # nobody reads more than the first line
            self._lines.put_nowait(line)


def until_ready(
    socket: Path, daemon: Process, within_s: float = READY_DEADLINE_S
) -> dict[str, Any]:
    """Wait until the daemon knows its venue; its status then.

    Raises:
        DemoError: it ended, or was not READY in time.
    """
    deadline = monotonic_s() + within_s
    while monotonic_s() < deadline:
        if not daemon.is_running:
            raise DemoError(f"{daemon.name} ended at once: {daemon.last_words()}")
        with contextlib.suppress(ControlError):  # not up yet
            status = call(socket, "status", timeout_s=LOOK_DEADLINE_S)
            if status.get("gate_state") == "READY":
                return status
        time.sleep(POLL_S)
    raise DemoError(f"{daemon.name} not READY in {within_s:.0f} s; see {daemon.log}")


def ask_venue(admin: str, name: str, body: object = None) -> Any:
    """One call of the simulated venue's operator: a POST of `body`, a GET without one.

    Raises:
        DemoError: it is not on loopback, does not answer, or refuses.
    """
    if not admin.startswith("http://127.0.0.1:"):
        raise DemoError(f"the simulated venue is on loopback, not at {admin}")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{admin}/{name}", data=data)  # noqa: S310 - see above
    # Loopback is not asked through a proxy, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=CALL_DEADLINE_S) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        raise DemoError(f"the venue refuses /sim/{name}: {said}") from error
    except OSError as error:
        raise DemoError(f"the venue does not answer /sim/{name}: {error}") from error


def fetch_ledger(admin: str, since_ns: int = 0) -> dict[str, Any]:
    """The venue's own books, as it tells them now."""
    made: dict[str, Any] = ask_venue(admin, f"ledger?since_ns={since_ns}")
    return made

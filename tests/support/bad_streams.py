"""Standard streams that fail, and a process that is run with one of them in the place of another.

`full` takes no byte (ENOSPC), `closed` is no descriptor at all, `dead` is a pipe whose reader is
gone, `unread` a full pipe that nobody reads, `hung_up` a terminal whose other end was closed.
"""

import contextlib
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.sim_process import ROOT

WORDS_S = 1.0
"""The law: words that are not taken hold the end of a command for one second at most."""
SLOW_MACHINE_S = 8.0
NUMBERS = {"stdin": 0, "stdout": 1, "stderr": 2}


@contextlib.contextmanager
def full() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@contextlib.contextmanager
def closed() -> Iterator[int]:
    yield -1


@contextlib.contextmanager
def dead() -> Iterator[int]:
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@contextlib.contextmanager
def unread() -> Iterator[int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 65_536)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    os.set_blocking(writer, True)
    yield writer
    os.close(reader)
    os.close(writer)


@contextlib.contextmanager
def hung_up() -> Iterator[int]:
    master, slave = pty.openpty()
    os.close(master)
    yield slave
    os.close(slave)


BAD: Mapping[str, Callable[[], contextlib.AbstractContextManager[int]]] = {
    "full": full,
    "closed": closed,
    "dead": dead,
    "unread": unread,
    "hung_up": hung_up,
}


def run(
    words: Sequence[str],
    *,
    bad: str = "",
    where: str = "stdout",
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    within_s: float = 60.0,
) -> subprocess.CompletedProcess[bytes]:
    """Run `seatrial` with a bad stream; the others are good. Its own end is waited for."""
    with BAD[bad]() if bad else contextlib.nullcontext(-2) as descriptor:
        number = NUMBERS[where]

        def spoil() -> None:
            if descriptor == -1:
                os.close(number)
            elif descriptor >= 0:
                os.dup2(descriptor, number)

        return subprocess.run(
            [sys.executable, "-m", "control.main", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=within_s,
            check=False,
            preexec_fn=spoil,
        )


def check(words: Sequence[str], bad: str, where: str) -> None:
    """Run it; its exit code, its end and its silence are those of good streams."""
    began_s = time.monotonic()
    done = run(words, bad=bad, where=where)
    took_s = time.monotonic() - began_s
    told = (done.stdout + done.stderr).decode()
    assert "Traceback" not in told, told
    assert "Exception ignored" not in told, told
    assert done.returncode == 0, told
    assert took_s < WORDS_S + SLOW_MACHINE_S, f"{took_s:.1f} s"

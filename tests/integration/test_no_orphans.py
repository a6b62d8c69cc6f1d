"""A demo that is killed leaves neither its venue nor its daemon behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DEADLINE_S = 60.0


def until(what: Callable[[], bool], name: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < end, f"not in {DEADLINE_S:.0f} s: {name}"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended
            found += map(int, task.read_text().split())
    return found


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@pytest.fixture
def hangup_is_heard() -> Iterator[None]:
    """Also where whoever runs the tests has them ignore SIGHUP, as nohup does."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("faults", ["none", "waf"])
def test_children_end_with_their_demo(
    tmp_path: Path, faults: str, number: signal.Signals, hangup_is_heard: None
) -> None:
    command = [sys.executable, "-m", "control.main", "demo", "--seconds", "60"]
    command += ["--faults", faults, "--json", "--dir", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as demo:
        until(lambda: len(children_of(demo.pid)) == 2, "the venue and the daemon are up")
        children = children_of(demo.pid)
        until((tmp_path / "demo/state/control.sock").exists, "the daemon serves")
        os.kill(demo.pid, number)
        try:
            demo.wait(timeout=DEADLINE_S)
            until(lambda: not any(map(is_running, children)), "no orphan")
            assert [pid for pid in children if is_running(pid)] == []
        finally:
            for pid in filter(is_running, children):
                os.kill(pid, signal.SIGKILL)

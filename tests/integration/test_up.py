"""`seatrial up`: one command brings all up and takes all down; the venue's books outlive it."""

import contextlib
import json
import os
import pty
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from control.tool.client import ControlClient, call
from daemon.cli.up_command import _until_ready, _was_shut_down
from daemon.demo.processes import DemoError, Process
from daemon.shell.process.child_processes import end_with_parent
from tests.support.box import ROOT

DEADLINE_S = 60
pytestmark = pytest.mark.xdist_group("up")  # each probes for a free port of its box


class Up:
    """A running `seatrial up`, and what it said."""

    def __init__(self, place: Path, *options: str) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-m", "control.main", "up", "--dir", str(place), *options],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            stdin=subprocess.DEVNULL, preexec_fn=end_with_parent(),  # noqa: PLW1509
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.said: list[str] = []

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            for line in stdout:
                self._lines.put(line)

    def says(self, text: str) -> None:
        while not any(text in line for line in self.said):
            try:
                self.said.append(self._lines.get(timeout=DEADLINE_S))
            except queue.Empty:
                raise AssertionError(f"it did not say {text!r}: {self.said}") from None

    def end(self, number: int) -> int:
        self.process.send_signal(number)  # nothing, where it has ended
        code = self.process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return code

    def ledger(self) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((self.place / "venue/ledger.json").read_text())
        return made


@contextmanager
def up(place: Path, *options: str) -> Iterator[Up]:
    running = Up(place, *options)
    try:
        yield running
    finally:
        running.end(signal.SIGKILL)


def left_of(place: Path) -> list[str]:
    """Processes with the place on their command line; sockets and locks in it."""
    found = [str(path) for path in place.rglob("*") if path.is_socket() or path.name == ".up.lock"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        found += [" ".join(words) for word in words[:1] if any(str(place) in one for one in words)]
    return found


def with_any_port(place: Path) -> str:
    """The configuration, with a metrics port that no test beside this one can have taken."""
    config = place / "seatrial.toml"
    config.write_text(re.sub(r"(?m)^port = \d+$", "port = 0", config.read_text()) + "\n")
    if "[metrics]" not in config.read_text():
        config.write_text(config.read_text() + "[metrics]\nport = 0\n")
    return config.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_it_comes_up_trades_and_leaves_nothing_but_its_files(tmp_path: Path, number: int) -> None:
    place = tmp_path / "box"
    with up(place) as first:
        first.says("session   has begun")
        socket = place / "state/control.sock"
        with ControlClient(socket) as client:
            while not client.call("status").get("session_orders"):
                assert first.process.poll() is None
        with up(place) as second:
            second.says("another `seatrial up` runs on it")
            assert second.process.wait(DEADLINE_S) == 1
        assert first.end(number) == 0
    assert left_of(place) == []
    before = first.ledger()
    assert before["open_orders"] == []
    assert before["orders"]
    # The next one goes on with the same box and the same books.
    config = with_any_port(place)
    with up(place) as again:
        again.says("(as it was)")
        again.says("session   has begun")
        assert again.end(signal.SIGTERM) == 0
    assert (place / "seatrial.toml").read_text() == config
    known = {order["order_id"] for order in again.ledger()["orders"]}
    assert {order["order_id"] for order in before["orders"]} <= known
    assert left_of(place) == []


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "closed terminal"])
def test_the_live_screen_is_left_and_all_ends(tmp_path: Path, how: str) -> None:
    place = tmp_path / "box"
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "control.main", "up", "--dir", str(place)],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()
    drains = threading.Thread(target=_drain, args=(ours, shown))
    drains.start()
    try:
        for _ in range(20 * DEADLINE_S):
            if b"Cancel all" in shown:  # the screen's own keys
                break
            time.sleep(0.05)  # sleep: a poll of another process
        assert b"Cancel all" in shown, bytes(shown[-500:])
        if how == "ctrl-c":
            os.write(ours, b"\x03")
        else:
            running.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGHUP)
        assert running.wait(DEADLINE_S) == 0, bytes(shown[-500:])
        assert left_of(place) == []
    finally:
        running.kill()
        running.wait(DEADLINE_S)
        drains.join(DEADLINE_S)
        os.close(ours)


def _drain(terminal: int, shown: bytearray) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while data := os.read(terminal, 65_536):
            shown += data


def test_a_latched_box_comes_up_and_says_why_no_session_begins(tmp_path: Path) -> None:
    place = tmp_path / "box"
    with up(place) as first:
        first.says("session   has begun")
        call(place / "state/control.sock", "kill", reason="a test")
        assert first.end(signal.SIGINT) == 0
    with_any_port(place)
    with up(place) as again:
        again.says("session   not begun: ")
        again.says("running")
        assert again.end(signal.SIGINT) == 0
    assert any("latch" in line.lower() for line in again.said)


def test_after_a_venue_was_killed_one_command_leads_back(tmp_path: Path) -> None:
    place = tmp_path / "box"
    with up(place) as first:
        first.says("session   has begun")
        with ControlClient(place / "state/control.sock") as client:
            while not client.call("status").get("session_orders"):
                assert first.process.poll() is None
        first.end(signal.SIGKILL)
    while any(" " in one for one in left_of(place)):  # its venue and its daemon end after it
        assert first.process.poll() is not None
    config = with_any_port(place)
    with up(place, "--no-start") as again:
        again.says(f"seatrial up --dir {place} --reset-venue")
        assert again.end(signal.SIGTERM) == 0
    with up(place, "--reset-venue") as anew:
        anew.says("session   has begun")
        assert anew.end(signal.SIGTERM) == 0
    (aside,) = place.glob("before-*")
    assert {one.name for one in aside.iterdir()} >= {"state"}
    assert list((aside / "state/journal").glob("journal-*")), "nothing is deleted"
    assert (place / "seatrial.toml").read_text() == config
    assert left_of(place) == []


def test_a_daemon_that_cannot_serve_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("ERROR of an earlier run\n")
    program = tmp_path / "waits.py"
    program.write_text(
        "import sys, time\n"
        "print('ERROR disk: No space left on device; waiting', file=sys.stderr, flush=True)\n"
        "time.sleep(600)\n"
    )
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    with Process("seatriald", ["waits"], log, environ={"PYTHONPATH": str(tmp_path)}) as daemon:
        with pytest.raises(DemoError, match="seatriald cannot serve: ERROR disk: No space left"):
            _until_ready(tmp_path / "no.sock", [daemon], told)
        told.put(signal.SIGTERM)
        assert _until_ready(tmp_path / "no.sock", [daemon], told) is None


def test_a_part_that_dies_ends_all_with_its_last_words(tmp_path: Path) -> None:
    place = tmp_path / "box"
    with up(place) as running:
        running.says("running")
        pid = next(
            int(process.name)
            for process in Path("/proc").glob("[0-9]*")
            if b"daemon\0--config\0" + str(place).encode() in _command_line(process)
        )
        os.kill(pid, signal.SIGKILL)
        assert running.process.wait(DEADLINE_S) == 1
        running.says("seatriald has ended")
    assert left_of(place) in ([], [str(place / "state/control.sock")])  # kill -9 clears nothing


def test_a_daemon_that_was_shut_down_ends_all_in_order(tmp_path: Path) -> None:
    place = tmp_path / "box"
    with up(place) as running:
        running.says("running")
        call(place / "state/control.sock", "shutdown", reason="a test")
        assert running.process.wait(DEADLINE_S) == 0
        running.says("daemon    was shut down")
        running.says("down; ")
        assert running.ledger()["open_orders"] == []
    assert not any("Error" in line for line in running.said)
    assert left_of(place) == []


def test_the_quoted_line_is_a_complaint_of_this_run_and_never_an_info(tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text("ERROR of an earlier run\n")
    program = tmp_path / "ends.py"
    program.write_text(
        "import sys\n"
        "for line in sys.argv[1:]:\n"
        "    print(line, file=sys.stderr, flush=True)\n"
        "sys.exit(7)\n"
    )
    for lines, quoted in (
        (["WARNING seatriald: disk", "INFO seatriald.anchor: anchor"], "WARNING seatriald: disk"),
        (["INFO seatriald.anchor: anchor"], "no warning in its log"),
    ):
        environ = {"PYTHONPATH": str(tmp_path)}
        with Process("seatriald", ["ends", *lines], log, environ=environ) as daemon:
            assert daemon.wait() == 7
            with pytest.raises(DemoError, match=f"seatriald has ended with 7: {quoted}"):
                _was_shut_down([daemon])


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""

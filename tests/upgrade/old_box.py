"""A box that an old build left behind (`boxes/*.tar.xz`), under the processes of this tree.

The processes live an hour after the box's last line, whatever the date is here: a `sitecustomize`
moves the wall clock of each of them.
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from daemon.shell.process.child_processes import end_with_parent
from daemon.shell.process.clock import SystemClock

ROOT = Path(__file__).resolve().parents[2]
BOXES = sorted(Path(__file__).with_name("boxes").glob("*.tar.xz"))
DEADLINE_S = 60.0
LATER_NS = 3_600_000_000_000
MOVED_CLOCK = """import os, time
_moved_ns = int(os.environ["MOVED_NS"])
def _moved(real):
    return lambda: real() + _moved_ns
time.time_ns = _moved(time.time_ns)
_real_s = time.time
time.time = lambda: _real_s() + _moved_ns / 1e9
"""
COMMAND = re.compile(r"/opt/seatrial/bin/(\w+)((?: (?:\"[^\"]*\"|[^\s;|&'\"]+))*)")
"""A command of ours in a unit, and its arguments; those within a shell's quotes, too."""


class OldBox:
    """`with OldBox(archive, tmp_path) as box:` the venue runs; the daemon is started by `start`."""

    def __init__(self, archive: Path, directory: Path) -> None:
        self.directory = directory
        with tarfile.open(archive) as tar:
            for member in tar:
                path, content = directory / member.name, tar.extractfile(member)
                assert content is not None
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
                path.chmod(member.mode)
        self.expected: dict[str, Any] = json.loads((directory / "expected.json").read_text())
        clock = directory / "clock"
        clock.mkdir()
        (clock / "sitecustomize.py").write_text(MOVED_CLOCK)
        moved_ns = self.expected["ts_ns"] + LATER_NS - SystemClock().now_ns()
        paths = os.pathsep.join(map(str, (clock, ROOT, directory)))
        self.env = {**os.environ, "PYTHONPATH": paths, "MOVED_NS": str(moved_ns)}
        self.ready: dict[str, Any] = {}
        self._running: list[subprocess.Popen[Any]] = []

    # ------------------------------------------------------------------ processes
    def __enter__(self) -> Self:
        venue = self._begin("seatrial", "sim", "--state", "venue", "--seed", "11",
                            "--symbols", "BTCUSDT,ETHUSDT", "--flow-rate", "5",
                            stdout=subprocess.PIPE)  # fmt: skip
        assert venue.stdout is not None
        self.ready = json.loads(venue.stdout.readline())
        config = self.directory / "seatrial.toml"
        place = self.ready["rest"].removeprefix("http://")
        config.write_text(re.sub(r"127\.0\.0\.1:\d+", place, config.read_text()))
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait(DEADLINE_S)
            if process.stdout is not None:
                process.stdout.close()

    def _begin(self, program: str, *arguments: str, stdout: int | None = None) -> Any:
        with (self.directory / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                [str(Path(sys.executable).with_name(program)), *arguments],
                cwd=self.directory, env=self.env, stdout=stdout or log, stderr=log,
                preexec_fn=end_with_parent(),  # noqa: PLW1509
            )  # fmt: skip
        self._running.append(process)
        return process

    def start(self) -> None:
        """Start the daemon of this tree and wait until its gate is READY."""
        daemon = self._begin("seatriald", "--config", "seatrial.toml")
        self.until(lambda status: status["gate_state"] == "READY", daemon)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command of this tree, from the box's folder."""
        return subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=self.directory, env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip

    def tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The operator's tool, at the daemon's socket."""
        return self.run("seatrial", "--socket", "state/control.sock", *arguments)

    def until(
        self, holds: Callable[[Mapping[str, Any]], bool], daemon: Any = None
    ) -> Mapping[str, Any]:
        """Wait until the status fulfils a condition."""
        deadline = time.monotonic() + DEADLINE_S
        status: Mapping[str, Any] = {}
        while time.monotonic() < deadline and (daemon is None or daemon.poll() is None):
            done = self.tool("status", "--json")
            if done.returncode == 0 and holds(status := json.loads(done.stdout)):
                return status
        log = (self.directory / "seatriald.log").read_text()[-3_000:]
        raise AssertionError(f"it did not come to that: {status} {log}")

    # ------------------------------------------------------------------ what there is
    def ledger(self) -> dict[str, Any]:
        """The venue's own books."""
        with urllib.request.urlopen(f"{self.ready['admin']}/ledger", timeout=10) as answer:
            books: dict[str, Any] = json.load(answer)
        return books

    def lines(self) -> list[dict[str, Any]]:
        """Every line of the journal, old and new."""
        return [
            json.loads(line)
            for path in sorted((self.directory / "state" / "journal").glob("journal-*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]

    def unit_commands(self) -> list[tuple[str, list[str]]]:
        """Every command line of ours that the old build's units hold: program, arguments."""
        found = []
        for unit in sorted((self.directory / "units").glob("*.service")):
            for line in unit.read_text().splitlines():
                if line.startswith("Exec"):
                    found += [
                        (
                            match[1],
                            [part.strip('"') for part in re.findall(r'"[^"]*"|\S+', match[2])],
                        )
                        for match in COMMAND.finditer(line)
                    ]
        return found

"""A real Prometheus and a real Alertmanager with our files, a daemon that they watch, and a human.

The human is a webhook that remembers when each alert arrived.
"""

import json
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from daemon.shell.process.clock import SystemClock
from tests.support.box import Box
from tests.support.journal_lines import journal_lines
from tests.support.ports import kept_port

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ALERT_S_MAX = 5.0
START_DEADLINE_S = 60.0

needs_monitoring = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
    reason="prometheus and prometheus-alertmanager are not installed",
)


class Human:
    """A webhook that remembers when each alert arrived."""

    def __init__(self) -> None:
        self.arrived: dict[str, int] = {}
        """Alert name to the time of its first arrival, UTC nanoseconds."""
        self.clock = SystemClock()
        self.changed = threading.Condition()
        human = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                human.take(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited name
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def take(self, message: dict[str, Any]) -> None:
        with self.changed:
            for alert in message["alerts"]:
                if alert["status"] == "firing":
                    self.arrived.setdefault(alert["labels"]["alertname"], self.clock.now_ns())
            self.changed.notify_all()

    def hears(self, names: set[str], *, deadline_s: float) -> bool:
        """Wait until all of `names` arrived."""
        with self.changed:
            return self.changed.wait_for(lambda: names <= set(self.arrived), timeout=deadline_s)


class WatchedBox(Box):
    """A box whose metrics are where Prometheus looks."""

    port = 0

    def start_daemon(self, gate: str = "READY") -> None:
        self.port = kept_port()
        text = self.config.read_text().replace("port = 0", f"port = {self.port}")
        self.config.write_text(text)
        super().start_daemon(gate)


def until_ready(url: str) -> None:
    deadline = monotonic() + START_DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=START_DEADLINE_S) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if monotonic() > deadline:
                raise
        sleep(0.1)


@contextmanager
def process(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as running:
        try:
            yield
        finally:
            running.terminate()
            running.wait(timeout=60)


@contextmanager
def monitoring(directory: Path, watched: int, human: Human) -> Iterator[str]:
    """Prometheus and Alertmanager with our files, on free ports. Yields Prometheus' base URL."""
    alert_port, port = kept_port(), kept_port()
    for name in ("recording.yml", "alerts.yml"):
        shutil.copy(DEPLOY / "prometheus" / name, directory / name)
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:9093", f"127.0.0.1:{alert_port}")
    config = config.replace("127.0.0.1:9464", f"127.0.0.1:{watched}")
    (directory / "prometheus.yml").write_text(config)
    routing = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    routing = routing.replace("127.0.0.1:9095", f"127.0.0.1:{human.port}")
    (directory / "alertmanager.yml").write_text(routing)
    with ExitStack() as stack:
        stack.enter_context(
            process(
                [
                    "prometheus-alertmanager",
                    f"--config.file={directory}/alertmanager.yml",
                    f"--storage.path={directory}/alerts",
                    f"--web.listen-address=127.0.0.1:{alert_port}",
                    "--cluster.listen-address=",
                ],
                directory / "alertmanager.log",
            )
        )
        stack.enter_context(
            process(
                [
                    "prometheus",
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/series",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                directory / "prometheus.log",
            )
        )
        until_ready(f"http://127.0.0.1:{alert_port}/-/ready")
        until_ready(f"http://127.0.0.1:{port}/-/ready")
        yield f"http://127.0.0.1:{port}"


def scraped(base: str) -> float:
    """How many seconds of good scrapes Prometheus holds of the daemon."""
    query = urllib.parse.quote('count_over_time((up{job="seatrial"} == 1)[10m:1s])')
    with urllib.request.urlopen(f"{base}/api/v1/query?query={query}", timeout=60) as answer:
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else 0.0


@contextmanager
def listening() -> Iterator[Human]:
    """A human who listens."""
    human = Human()
    threading.Thread(target=human.server.serve_forever, daemon=True).start()
    try:
        yield human
    finally:
        human.server.shutdown()
        human.server.server_close()


def quiet(base: str, directory: Path, human: Human, *, seconds: float) -> None:
    """Wait until a quiet stretch was watched; nobody may have been called."""
    deadline = monotonic() + START_DEADLINE_S + seconds
    while scraped(base) < seconds:
        assert monotonic() < deadline, (directory / "prometheus.log").read_text()
        sleep(0.2)
    assert human.arrived == {}, "false alerts in a quiet session"


def events(box: Box, event_type: str, *, since_ns: int) -> list[int]:
    """When the daemon journalled lines of a kind since a moment, UTC nanoseconds, in order."""
    lines = journal_lines(box.directory / "state", event_type)
    return [int(one["ts_ns"]) for one in lines if one["ts_ns"] >= since_ns]

"""RTS 6 Art 16: an alert reaches a human within five seconds of its event.

A real Prometheus and a real Alertmanager, with our rules and our routing, watch a real daemon that
trades on a simulated venue; a webhook plays the human. The storm is injected at the venue. A quiet
stretch of trading before it must stay silent.
"""

import json
import shutil
import signal
import socket
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

from tests.support.box import Box

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
QUIET_S = 8.0
ALERT_S_MAX = 5.0
START_DEADLINE_S = 30.0

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.xdist_group("alerts"),
    pytest.mark.skipif(
        shutil.which("prometheus") is None or shutil.which("prometheus-alertmanager") is None,
        reason="prometheus and prometheus-alertmanager are not installed",
    ),
]


class Human:
    """A webhook that remembers when each alert arrived."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
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
                    self.arrived.setdefault(alert["labels"]["alertname"], monotonic())
            self.changed.notify_all()

    def hears(self, names: set[str], *, deadline_s: float) -> bool:
        """Wait until all of `names` arrived."""
        with self.changed:
            return self.changed.wait_for(lambda: names <= set(self.arrived), timeout=deadline_s)


class WatchedBox(Box):
    """A box whose metrics are where Prometheus looks."""

    port = 0

    def start_daemon(self) -> None:
        self.port = free_port()
        text = self.config.read_text().replace("port = 0", f"port = {self.port}")
        self.config.write_text(text)
        super().start_daemon()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def until_ready(url: str) -> None:
    deadline = monotonic() + START_DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
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
            running.wait(timeout=20)


@contextmanager
def monitoring(directory: Path, watched: int, human: Human) -> Iterator[str]:
    """Prometheus and Alertmanager with our files, on free ports. Yields Prometheus' base URL."""
    alert_port, port = free_port(), free_port()
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
    query = urllib.parse.quote('count_over_time((up{job="seatrial"} == 1)[1m:1s])')
    with urllib.request.urlopen(f"{base}/api/v1/query?query={query}", timeout=5) as answer:
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


def quiet(base: str, directory: Path, human: Human) -> None:
    """Wait until a quiet stretch was watched; nobody may have been called."""
    deadline = monotonic() + START_DEADLINE_S + QUIET_S
    while scraped(base) < QUIET_S:
        assert monotonic() < deadline, (directory / "prometheus.log").read_text()
        sleep(0.2)
    assert human.arrived == {}, "false alerts in a quiet session"


def test_a_storm_reaches_a_human_in_five_seconds_and_a_quiet_session_reaches_nobody(
    tmp_path: Path,
) -> None:
    (tmp_path / "box").mkdir()
    with (
        WatchedBox(tmp_path / "box", strategy="heartbeat", caps="testnet-strict") as box,
        listening() as human,
        monitoring(tmp_path, box.port, human) as base,
    ):
        box.must("start", "--yes", "--reason", "alert latency")
        box.until(lambda status: status["session_orders"] > 0)
        quiet(base, tmp_path, human)
        storm = monotonic()
        box.sim.admin_post("strike", kind="limit_429", seconds=20)
        assert human.hears({"SeatrialRateLimited"}, deadline_s=6 * ALERT_S_MAX), human.arrived
        met = box.until(lambda status: status["storms"]["rate_limit"] > 0)
        kill = monotonic()
        box.must("kill", "--reason", "alert latency")
        assert human.hears({"SeatrialKilled"}, deadline_s=3 * ALERT_S_MAX), human.arrived
        took = {
            "SeatrialRateLimited": round(human.arrived["SeatrialRateLimited"] - storm, 2),
            "SeatrialKilled": round(human.arrived["SeatrialKilled"] - kill, 2),
        }
        print(f"seconds from event to webhook: {took}; storm counts {met['storms']}")
        assert max(took.values()) <= ALERT_S_MAX, took
        allowed = {
            "SeatrialRateLimited", "SeatrialKilled", "SeatrialIncident", "SeatrialLinkDown",
            "SeatrialVenueBudgetLow", "SeatrialReconnectStorm", "SeatrialUnknownOrders",
        }  # fmt: skip
        assert set(human.arrived) <= allowed, "nothing may fire that the storm does not explain"


@pytest.mark.system_long
def test_a_dead_daemon_reaches_a_human_in_five_seconds(tmp_path: Path) -> None:
    (tmp_path / "box").mkdir()
    with (
        WatchedBox(tmp_path / "box", strategy="quiet", caps="tiny") as box,
        listening() as human,
        monitoring(tmp_path, box.port, human) as base,
    ):
        quiet(base, tmp_path, human)
        death = monotonic()
        box.signal_daemon(signal.SIGKILL)
        assert human.hears({"SeatrialDown"}, deadline_s=3 * ALERT_S_MAX), human.arrived
        took = round(human.arrived["SeatrialDown"] - death, 2)
        print(f"seconds from kill -9 to webhook: {took}")
        assert took <= ALERT_S_MAX
        assert set(human.arrived) == {"SeatrialDown"}, "its other alerts are old news"

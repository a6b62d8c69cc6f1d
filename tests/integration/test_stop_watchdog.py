"""What systemd and a prober see of a daemon whose main loop hangs: no more pats, and 503."""

import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.ports import kept_port
from tests.support.stop_stage import StopStage


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of sd_notify."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        yield made


def heard(systemd: socket.socket) -> list[str]:
    """Every message since the last look."""
    messages = []
    while True:
        try:
            messages.append(systemd.recv(4_096).decode())
        except BlockingIOError:
            return messages


def health(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.slow
def test_a_hanging_main_loop_is_neither_patted_nor_healthy(
    tmp_path: Path, systemd: socket.socket
) -> None:
    port = kept_port()
    with StopStage(
        tmp_path,
        symbols=("BTCUSDT",),
        orders_per_symbol=1,
        settings={"metrics": {"enabled": True, "port": port}},
        env={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "10000000"},
    ) as stage:
        stage.start_daemon()
        stage.fill()
        said: list[str] = []

        def patted() -> bool:
            said.extend(heard(systemd))
            return any("WATCHDOG=1" in message for message in said)

        stage.until(patted, "a healthy daemon pats the watchdog")
        assert "READY=1" in said[0]
        stage.until(lambda: health(port) == 200, "the prober sees a healthy daemon")
        well = {"healthy": True, "problems": []}
        stage.until(lambda: stage.status()["health"] == well, "and so does who asks for its status")
        assert "none at this venue" in stage.status()["dead_mans_switch"]

        stage.signal("spin")
        stage.until_stuck()
        heard(systemd)
        stage.until(lambda: health(port) == 503, "the prober sees it from another thread")
        assert not [message for message in heard(systemd) if "WATCHDOG" in message]
        stage.kill()
        assert stage.venue_open() == []


def test_systemd_grants_the_time_that_the_last_steps_may_take(
    tmp_path: Path, systemd: socket.socket
) -> None:
    """A kill that is under way is waited for, and TimeoutStopSec= is shorter than all together."""
    with StopStage(
        tmp_path,
        symbols=("BTCUSDT",),
        orders_per_symbol=1,
        env={"NOTIFY_SOCKET": str(tmp_path / "notify")},
    ) as stage:
        stage.start_daemon()
        stage.send_signal(signal.SIGTERM)
        assert stage.daemon is not None
        assert stage.daemon.wait(timeout=60) == 0
        (last,) = [one for one in heard(systemd) if "STOPPING=1" in one]
    assert "EXTEND_TIMEOUT_USEC=50000000" in last.splitlines()

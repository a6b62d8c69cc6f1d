"""What systemd reads on its notify socket, read here from a socket of the same kind."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.shell.process.sdnotify import STATUS_BYTES_MAX, Notifier


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A datagram socket like systemd's and the NOTIFY_SOCKET that names it."""
    name = f"@seatrial-{tmp_path.name}" if request.param == "abstract" else f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.settimeout(60)
        yield receiver, name


def read(listener: tuple[socket.socket, str]) -> list[str]:
    return listener[0].recv(65_536).decode().split("\n")


def test_each_state_is_one_datagram(listener: tuple[socket.socket, str]) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener[1], "WATCHDOG_USEC": "3000000"})
    assert notifier.enabled
    assert notifier.ready("gate READY, trading HALTED")
    assert read(listener) == ["READY=1", "STATUS=gate READY, trading HALTED"]
    assert notifier.status("session s1, 3 open orders")
    assert read(listener) == ["STATUS=session s1, 3 open orders"]
    assert notifier.watchdog()
    assert read(listener) == ["WATCHDOG=1"]
    assert notifier.extend_timeout(5_000_000)
    assert read(listener) == ["EXTEND_TIMEOUT_USEC=5000000"]
    assert notifier.stopping(50)
    assert read(listener) == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=50000000"]
    notifier.close()
    assert not notifier.stopping(50)


def test_a_status_is_one_bounded_line(listener: tuple[socket.socket, str]) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": listener[1]})
    assert notifier.status("two\nREADY=1")
    assert read(listener) == ["STATUS=two READY=1"]
    assert notifier.status("é" * STATUS_BYTES_MAX)
    (line,) = read(listener)
    assert len(line.encode()) <= STATUS_BYTES_MAX + len("STATUS=")
    notifier.close()


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_listener_nothing_happens(environment: dict[str, str]) -> None:
    notifier = Notifier(environment)
    assert not notifier.enabled
    assert not notifier.ready()
    assert not notifier.watchdog()
    notifier.close()


def test_a_listener_that_is_gone_is_no_error(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": f"{tmp_path}/nobody"})
    assert notifier.enabled
    assert not notifier.ready()
    notifier.close()


def test_a_full_socket_does_not_block(tmp_path: Path) -> None:
    name = f"{tmp_path}/full"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        answers = [notifier.status("x" * 1_000) for _ in range(5_000)]
        notifier.close()
    assert answers[0]
    assert not answers[-1]


@pytest.mark.parametrize(
    ("environment", "usec"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "6000000"}, 6_000_000),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "42"}, 6_000_000),
        ({"WATCHDOG_USEC": "6000000", "WATCHDOG_PID": "43"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
        ({"WATCHDOG_USEC": "-1"}, 0),
    ],
)
def test_the_watchdog_is_only_ours_when_systemd_means_this_process(
    environment: dict[str, str], usec: int
) -> None:
    notifier = Notifier(environment, pid=42)
    assert notifier.watchdog_usec == usec

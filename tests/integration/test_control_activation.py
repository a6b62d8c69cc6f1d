"""The control socket from systemd's hand: real descriptors 3, real processes, refusals."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import SocketUnusableError
from control.server.activation import passed_endpoint
from control.tool.client import ControlClient
from tests.support.stop_stage import ROOT, StopStage

LAUNCHER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "control"}
os.execv(sys.executable, [sys.executable, "-m", "daemon", "--config", sys.argv[2]])
"""
"""What systemd does between fork and exec."""


class ActivatedStage(StopStage):
    """Its daemons get the control socket passed; the test holds it open between them."""

    listening: socket.socket

    def start_daemon(self) -> None:
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-c", LAUNCHER, str(self.listening.fileno()), str(self.config)],
                cwd=ROOT,
                stdout=log,
                stderr=log,
                pass_fds=(self.listening.fileno(),),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.until(lambda: self.status().get("gate_state") == "READY", "the gate is READY")


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with listening_at(tmp_path / "control.sock") as sock:
        yield sock


def listening_at(path: Path, mode: int = 0o660) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    path.chmod(mode)
    sock.listen(16)
    return sock


def passed(sock: socket.socket, path: Path, **changes: str) -> Any:
    """The last line of `passed_endpoint` in a process of its own: descriptor 3 is pytest's here."""
    code = (
        "import os, sys, pathlib; os.dup2(int(sys.argv[1]), 3)\n"
        "from control.server.activation import passed_endpoint\n"
        "env = {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', **eval(sys.argv[3])}\n"
        "found = passed_endpoint(pathlib.Path(sys.argv[2]), env)\n"
        "print(found and (found.sock.fileno(), os.get_inheritable(3), env))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(sock.fileno()), str(path), repr(changes)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        pass_fds=(sock.fileno(),),
        timeout=60,
        check=False,
    )
    return (done.stdout or done.stderr).strip().splitlines()[-1]


def test_a_kill_that_waits_in_the_queue_is_the_first_thing_a_new_daemon_does(
    tmp_path: Path,
) -> None:
    with ActivatedStage(tmp_path, symbols=("BTCUSDT",), orders_per_symbol=0) as stage:
        stage.state_dir.mkdir()
        with listening_at(stage.socket) as stage.listening:
            answers: list[dict[str, Any]] = []

            def kill_before_there_is_a_daemon() -> None:
                with ControlClient(stage.socket) as client:
                    answers.append(client.call("kill", reason="before the daemon"))

            asking = threading.Thread(target=kill_before_there_is_a_daemon)
            asking.start()
            stage.start_daemon()
            asking.join(60)
            assert answers
            assert answers[0]["verified"] is True
            stage.until(lambda: stage.status().get("latched"), "latched")
            inode = stage.socket.stat().st_ino
            stage.call("shutdown", reason="over")
            assert stage.daemon is not None
            assert stage.daemon.wait(60) == 0
            assert stage.socket.stat().st_ino == inode, "the path is systemd's, not the daemon's"
            stage.kill_hard()
            stage.start_daemon()
            status = stage.until(lambda: stage.status().get("latched") and stage.status(), "up")
            assert status["latch_reason"].endswith("before the daemon")
            assert status["trading_state"] == "HALTED"
            assert stat.S_IMODE(stage.socket.stat().st_mode) == 0o660


def test_a_passed_socket_is_taken_once_and_not_inherited(
    tmp_path: Path, listening: socket.socket
) -> None:
    assert passed(listening, tmp_path / "control.sock") == "(3, False, {})"


@pytest.mark.parametrize(
    "changes", [{"LISTEN_PID": "1"}, {"LISTEN_PID": ""}, {"LISTEN_FDS": "0"}, {"LISTEN_FDS": "x"}]
)
def test_what_is_not_for_this_process_is_left_alone(
    tmp_path: Path, listening: socket.socket, changes: dict[str, str]
) -> None:
    assert passed(listening, tmp_path / "control.sock", **changes) == "None"


def test_without_systemd_the_daemon_makes_its_own(tmp_path: Path) -> None:
    assert passed_endpoint(tmp_path / "control.sock", {}) is None


def test_an_internet_socket_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert "no listening Unix stream socket" in passed(sock, tmp_path / "control.sock")


def test_a_socket_that_does_not_listen_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert "no listening Unix stream socket" in passed(sock, tmp_path / "control.sock")


def test_another_place_than_the_configurations_is_refused(
    tmp_path: Path, listening: socket.socket
) -> None:
    told = passed(listening, tmp_path / "elsewhere.sock")
    assert "make control.socket and ListenStream= the same" in told


def test_an_open_mode_is_refused(tmp_path: Path) -> None:
    with listening_at(tmp_path / "control.sock", mode=0o666) as sock:
        assert "SocketMode=0660" in passed(sock, tmp_path / "control.sock")


def test_a_strangers_socket_is_refused(tmp_path: Path, listening: socket.socket) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root to give the socket away")
    os.chown(tmp_path / "control.sock", 12345, -1)
    assert "belongs to uid 12345" in passed(listening, tmp_path / "control.sock")


def test_a_path_that_was_removed_is_refused(tmp_path: Path, listening: socket.socket) -> None:
    (tmp_path / "control.sock").unlink()
    assert "restart its socket unit" in passed(listening, tmp_path / "control.sock")


def test_of_several_sockets_the_named_one_is_taken(
    tmp_path: Path, listening: socket.socket
) -> None:
    told = passed(listening, tmp_path / "control.sock", LISTEN_FDS="2", LISTEN_FDNAMES="a:b")
    assert "FileDescriptorName=control" in told
    names = {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "control:metrics"}
    assert passed(listening, tmp_path / "control.sock", **names) == "(3, False, {})"


def test_descriptor_three_closed_is_refused_in_words(tmp_path: Path) -> None:
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "999"}
    environ["LISTEN_FDNAMES"] = ":".join(["x"] * 998 + ["control"])
    with pytest.raises(SocketUnusableError, match="passed descriptor 1001"):
        passed_endpoint(tmp_path / "control.sock", environ)

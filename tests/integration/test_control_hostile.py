"""Clients that misbehave by the hundred may not delay a kill, nor end the server."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.control_errors import ProtocolErrorCode, RpcError
from control.peer_identity import Members, Role
from control.tool.client import ControlClient, call
from tests.support import hostile_clients
from tests.support.control_port import FakePort
from tests.support.control_server import RawClient, eventually, serving
from tests.support.open_directory import open_directory


@pytest.fixture
def open_path() -> Iterator[Path]:
    with open_directory() as path:
        yield path


KILL_P99_MS_MAX = 2_000.0
"""Far above what an idle machine shows (12 ms): the suite shares its cores. What it tells is a kill
that is kept out from one that waits its turn; the bench has the figure."""
NOBODY = 65_534


@contextlib.contextmanager
def attacked(path: Path, connections: int, seed: int, uid: int | None = None) -> Iterator[None]:
    command = [sys.executable, hostile_clients.__file__, str(path), str(connections), str(seed)]
    if uid is not None:
        command.append(str(uid))
    attacker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert attacker.stdin is not None
    assert attacker.stdout is not None
    try:
        assert attacker.stdout.readline() == b"ready\n"
        yield
        assert attacker.poll() is None, "the attacker gave up"
    finally:
        attacker.kill()
        attacker.stdin.close()
        attacker.stdout.close()
        attacker.wait()


def is_served(path: Path) -> bool:
    """Once the storm is over, an ordinary question is answered again."""
    try:
        return bool(call(path, "status")["trading_state"] == "ACTIVE")
    except RpcError as error:
        if error.code != ProtocolErrorCode.TOO_MANY_CLIENTS:
            raise
        return False


def kill_times_ms(path: Path, count: int) -> list[float]:
    times = []
    for number in range(count):
        began = time.perf_counter()
        with ControlClient(path) as client:
            assert client.call("kill", reason=f"test {number}")["verified"] is True
        times.append((time.perf_counter() - began) * 1e3)
    return sorted(times)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counts the listing's own, both times


def test_500_hostile_connections_of_the_same_user_do_not_delay_a_kill(tmp_path: Path) -> None:
    port = FakePort()
    before = open_descriptors()
    with serving(tmp_path, port, line_deadline_s=1.0, write_deadline_s=1.0) as path:
        quiet = kill_times_ms(path, 20)
        with attacked(path, 500, seed=7):
            loud = kill_times_ms(path, 100)
            assert open_descriptors() <= before + 64 + 16
        print(f"kill p50/p99 ms: quiet {quiet[10]:.2f}/{quiet[-1]:.2f}, "
              f"attacked {loud[50]:.2f}/{loud[98]:.2f}")  # fmt: skip
        assert loud[98] < KILL_P99_MS_MAX
        eventually(lambda: is_served(path))
    assert len(port.kills) == 120
    # The journal is not a way in either: refusals are recorded within a budget.
    assert sum(record["outcome"] == "refused" for record in port.records) < 300


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_users_storm_evicts_its_own_connections_and_not_ours(open_path: Path) -> None:
    roles = {Role.OPERATOR: Members(uids=(0,)), Role.OBSERVER: Members(uids=(NOBODY,))}
    port = FakePort()
    with serving(open_path, port, roles=roles) as path, RawClient(path) as ours:
        path.chmod(0o666)
        assert ours.ask("ping")["result"]["version"] == 1
        with attacked(path, 200, seed=11, uid=NOBODY):
            assert kill_times_ms(path, 30)[-1] < 2_000
        # Idle since before the storm, and still here: the storm's owner paid for it.
        assert ours.ask("ping")["result"]["version"] == 1
    assert port.commands == []


def test_beyond_the_bound_the_idlest_connection_is_told_and_closed(tmp_path: Path) -> None:
    with serving(tmp_path, clients_max=4) as path:
        clients = [RawClient(path) for _ in range(4)]
        for client in clients:
            client.ask("ping")
        clients[0].ask("ping")  # now the second is the idlest
        with RawClient(path) as fifth:
            assert fifth.ask("ping")["result"]["version"] == 1
            told = clients[1].line()
            assert told is not None
            assert told["error"]["code"] == ProtocolErrorCode.TOO_MANY_CLIENTS
            assert clients[1].closed()
            for client in (clients[0], clients[2], clients[3]):
                assert client.ask("ping")["result"]["version"] == 1
        for client in clients:
            client.sock.close()


def test_a_newcomers_kill_is_read_even_when_every_place_is_taken_by_commands(
    tmp_path: Path,
) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, clients_max=3, stop_grace_s=0.1) as path:
        hung = [RawClient(path) for _ in range(3)]
        for client in hung:
            client.send(b'{"jsonrpc":"2.0","id":1,"method":"stop"}\n')
        assert call(path, "kill")["verified"] is True
        for client in hung:
            client.sock.close()


def test_a_newcomer_may_speak_a_moment_later_than_it_came(tmp_path: Path) -> None:
    """The line of a kill follows its connection; on a busy machine, not at once."""
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, clients_max=3, stop_grace_s=0.1) as path:
        hung = [RawClient(path) for _ in range(3)]
        for number, client in enumerate(hung, 1):
            client.send(b'{"jsonrpc":"2.0","id":1,"method":"stop"}\n')
            eventually(lambda number=number: len(port.commands) == number)
        with RawClient(path) as newcomer:
            told = hung[0].line()  # the place is made, and the newcomer has said nothing yet
            assert told is not None
            assert told["error"]["code"] == ProtocolErrorCode.TOO_MANY_CLIENTS
            assert newcomer.ask("kill")["result"]["verified"] is True
        for client in hung:
            client.sock.close()


def test_a_stop_that_lost_its_place_asks_again_and_anything_else_is_told(tmp_path: Path) -> None:
    """Two places, both taken again each time: the client's first connection is the idlest."""
    port = FakePort()
    with serving(tmp_path, port, clients_max=2) as path:
        for method in ("kill", "ping"):
            with ControlClient(path) as client, RawClient(path) as one, RawClient(path) as two:
                assert one.ask("ping")
                assert two.ask("ping")
                if method == "kill":
                    assert client.call("kill", reason="lost its place")["verified"] is True
                    continue
                with pytest.raises(RpcError, match="the idlest connection is closed"):
                    client.call("ping")
    assert len(port.kills) == 1


def test_a_main_thread_that_spins_does_not_keep_a_kill_out(tmp_path: Path) -> None:
    """`while True: pass` where the main loop would be; the control thread still gets its turns."""
    code = """
import pathlib, sys
sys.path.insert(0, sys.argv[2])
from tests.support.control_port import FakePort
from control.server.control_server import ControlThread
from control.peer_identity import ControlConfig
thread = ControlThread(ControlConfig(pathlib.Path(sys.argv[1])), FakePort())
thread.start()
print("spinning", flush=True)
while True:
    pass
"""
    path = tmp_path / "control.sock"
    stuck = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(Path(__file__).parents[2])],
        stdout=subprocess.PIPE,
    )
    assert stuck.stdout is not None
    try:
        assert stuck.stdout.readline() == b"spinning\n"
        times = kill_times_ms(path, 40)
    finally:
        stuck.kill()
        stuck.stdout.close()
        stuck.wait()
    print(f"kill with a spinning main thread, p50/p99 ms: {times[20]:.1f}/{times[-1]:.1f}")
    assert times[-1] < KILL_P99_MS_MAX


def test_running_out_of_descriptors_is_survived(tmp_path: Path) -> None:
    """In a child: the limit is the process's own."""
    code = """
import resource, socket, sys, pathlib
sys.path.insert(0, sys.argv[2])
from tests.support.control_port import FakePort
from control.server.control_server import ControlThread
from control.peer_identity import ControlConfig
from control.tool.client import call
path = pathlib.Path(sys.argv[1]) / "control.sock"
thread = ControlThread(ControlConfig(path), FakePort())
thread.start()
call(path, "ping")
soft = max(int(p.name) for p in pathlib.Path("/proc/self/fd").iterdir()) + 12
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, soft))
held = []
try:
    while True:
        one = socket.socket(socket.AF_UNIX)
        held.append(one)
        one.connect(str(path))
except OSError as error:
    assert error.errno == 24, error
for one in held[-6:]:
    one.close()
assert call(path, "kill")["verified"] is True
print("survived", thread.stop())
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path), str(Path(__file__).parents[2])],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "survived True\n", done.stderr

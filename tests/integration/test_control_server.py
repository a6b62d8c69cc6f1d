"""The control server over real Unix sockets: requests, bounds, deadlines, ends."""

import asyncio
import json
import os
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import (
    CallTimeoutError,
    ControlConfigError,
    DaemonUnreachableError,
    ProtocolErrorCode,
    RpcError,
    SocketInUseError,
    SocketUnusableError,
)
from control.methods import METHODS
from control.peer_identity import ControlConfig, Members, Role
from control.server.control_server import ControlThread
from control.tool.client import ControlClient, call
from daemon.model.copies import replace
from daemon.model.effects import Reply
from tests.support.control_port import FakePort
from tests.support.control_server import RawClient, eventually, serving


def code_of(answer: dict[str, Any] | None) -> int:
    assert answer is not None, "closed without an answer"
    return int(answer["error"]["code"])


# ---------------------------------------------------------------------- requests


def test_status_is_the_snapshot_and_the_control_planes_own_part(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        status = call(path, "status")
    control = status.pop("control")
    assert status == port.snapshot
    assert control["protocol_version"] == 1
    assert control["kill_in_progress"] is False


def test_a_new_snapshot_shows_at_once(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        assert client.call("status")["trading_state"] == "ACTIVE"
        port.snapshot = {"trading_state": "HALTED"}
        assert client.call("status")["trading_state"] == "HALTED"


def test_a_command_reaches_the_daemon_with_who_and_why(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = call(path, "cancel-all", symbol="BTCUSDT", reason="tidy up", command_id="c1")
    assert result == {"did": "cancel-all", "command_id": "c1"}
    (command,) = port.commands
    assert command.method == "cancel-all"
    assert command.params == {"symbol": "BTCUSDT"}
    assert command.reason == "tidy up"
    assert (command.actor.uid, command.actor.pid) == (os.getuid(), os.getpid())
    assert command.actor.role == "operator"
    (record,) = port.records
    assert (record["command_id"], record["outcome"]) == ("c1", "accepted")


def test_a_refusal_of_the_engine_carries_its_code(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda command: Reply(
        command_id=command.command_id,
        error_code="LATCHED",
        error_message="the kill latch holds",
        result={"by": "ada"},
    )
    with serving(tmp_path, port) as path, pytest.raises(RpcError) as caught:
        call(path, "start")
    assert caught.value.code == ProtocolErrorCode.REFUSED
    assert caught.value.data["code"] == "LATCHED"
    assert caught.value.data["by"] == "ada"
    assert [record["outcome"] for record in port.records] == ["accepted", "refused"]
    assert "LATCHED" in port.records[1]["msg"]


def test_the_same_command_id_is_one_command_and_one_answer(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        first = client.call("start", command_id="go", reason="r")
        port.reply = lambda command: Reply(command_id=command.command_id, error_code="NO")
        assert client.call("start", command_id="go", reason="r") == first
        assert len(port.commands) == 1
        with pytest.raises(RpcError) as caught:
            client.call("stop", command_id="go", reason="r")
        assert caught.value.code == ProtocolErrorCode.COMMAND_ID_REUSED


def test_a_kill_is_never_answered_from_memory(tmp_path: Path) -> None:
    """Not under its own id, and not under one that something else, or another wording, has used."""
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        client.call("start", command_id="id", reason="r")
        for number, (command_id, reason) in enumerate(
            [("k", "a"), ("k", "a"), ("k", "other words"), ("id", "r")], start=1
        ):
            assert client.call("kill", command_id=command_id, reason=reason)["verified"] is True
            assert len(port.kills) == number
            client.call("re-arm", reason="again")
    assert [reason for _, reason in port.kills] == ["a", "a", "other words", "r"]


def test_a_kill_that_joins_another_is_told_to_the_daemon_with_its_reason(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    with serving(tmp_path, port) as path, RawClient(path) as one, RawClient(path) as two:
        one.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{"reason":"first"}}\n')
        eventually(lambda: len(port.kills) == 1)
        two.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{"reason":"second"}}\n')
        eventually(lambda: len(port.joined) == 1)
        port.loop.call_soon_threadsafe(port.kill_gate.set)
        assert [client.line()["result"]["verified"] for client in (one, two)] == [True, True]  # type: ignore[index]
    assert [reason for _, reason in port.joined] == ["second"]


def test_a_kill_after_a_re_arm_begins_anew_though_another_still_runs(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    with serving(tmp_path, port) as path, RawClient(path) as one, RawClient(path) as two:
        one.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{}}\n')
        eventually(lambda: len(port.kills) == 1)
        port.snapshot = {**port.snapshot, "halt_closed": False}  # somebody has re-armed
        two.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{}}\n')
        eventually(lambda: len(port.kills) == 2)
        port.loop.call_soon_threadsafe(port.kill_gate.set)
        assert one.line() is not None
        assert two.line() is not None


@pytest.mark.parametrize("method", ["stop", "cancel-all", "shutdown"])
def test_a_stop_is_carried_out_again_once_a_session_was_started_since(
    tmp_path: Path, method: str
) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        client.call(method, command_id="s")
        client.call("start", reason="r")
        client.call(method, command_id="s")
    assert [command.method for command in port.commands] == [method, "start", method]


@pytest.mark.parametrize(
    ("method", "then"),
    [("start", "stop"), ("start", "kill"), ("re-arm", "kill"), ("flatten", "start")],
)
def test_what_lets_orders_out_needs_a_new_id_once_it_was_undone(
    tmp_path: Path, method: str, then: str
) -> None:
    """A retry that comes late must neither start again nor say that it has."""
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        first = client.call(method, command_id="x", reason="r")
        assert client.call(method, command_id="x", reason="r") == first
        client.call(then, reason="r")
        with pytest.raises(RpcError, match="take a new id") as caught:
            client.call(method, command_id="x", reason="r")
        assert caught.value.code == ProtocolErrorCode.COMMAND_ID_REUSED
    assert [command.method for command in port.commands].count(method) == 1


def test_a_start_is_not_called_started_when_another_process_has_latched(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        client.call("start", command_id="x", reason="r")
        port.snapshot = {**port.snapshot, "halt_closed": True}
        with pytest.raises(RpcError, match="take a new id"):
            client.call("start", command_id="x", reason="r")


def test_a_note_stays_noted_whatever_came_since(tmp_path: Path) -> None:
    port = FakePort()
    note = {"incident_id": "i-1", "text": "seen", "command_id": "n"}
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        first = client.call("incident-note", **note)
        client.call("stop")
        assert client.call("incident-note", **note) == first
        with pytest.raises(RpcError, match="used for another command"):
            client.call("incident-note", **{**note, "text": "other"})


def test_a_repeat_while_the_first_is_in_flight_waits_for_its_answer(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port) as path, RawClient(path) as one, RawClient(path) as two:
        line = b'{"jsonrpc":"2.0","id":%d,"method":"stop","params":{"command_id":"x"}}\n'
        one.send(line % 1)
        eventually(lambda: len(port.open) == 1)
        two.send(line % 2)
        two.ask("ping")  # the repeat has been read
        port.open[0][1].set_result(Reply(command_id="x", result={"did": "stop"}))
        answers = [one.line(), two.line()]
    assert [answer and answer["result"]["did"] for answer in answers] == ["stop", "stop"]
    assert len(port.commands) == 1


def test_a_daemon_that_does_not_answer_is_a_timeout_and_not_the_end(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, stop_grace_s=0.1) as path:
        with ControlClient(path) as client, pytest.raises(CallTimeoutError):
            client.call("stop", timeout_s=0.05)
        assert call(path, "ping")["version"] == 1


def test_the_servers_own_deadline_says_that_the_outcome_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "stop", replace(METHODS["stop"], deadline_s=0.05))
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, stop_grace_s=0.1) as path, pytest.raises(RpcError) as caught:
        call(path, "stop", command_id="z")
    assert caught.value.code == ProtocolErrorCode.TIMEOUT
    assert "may still be carried out" in caught.value.message


def test_a_port_that_raises_is_an_answer_and_not_the_end(tmp_path: Path) -> None:
    port = FakePort()

    def broken(_command: object) -> Reply:
        raise RuntimeError("queue is closed")

    port.reply = broken
    with serving(tmp_path, port) as path:
        with pytest.raises(RpcError, match="queue is closed"):
            call(path, "start")
        assert call(path, "ping")["version"] == 1


def test_a_snapshot_that_cannot_be_encoded_is_an_answer_and_not_the_end(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {"huge": 2**80}
    with serving(tmp_path, port) as path:
        with pytest.raises(RpcError) as caught:
            call(path, "status")
        assert caught.value.code == ProtocolErrorCode.INTERNAL_ERROR
        assert call(path, "ping")["version"] == 1


# ---------------------------------------------------------------------- kill


def test_kill_runs_on_the_control_thread_and_answers_with_its_times(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = call(path, "kill", reason="spread is insane")
    assert result["verified"] is True
    assert result["empty_ms"] == 12.0
    assert port.threads == {"seatrial-control"}
    ((actor, reason),) = port.kills
    assert reason == "spread is insane"
    assert actor.uid == os.getuid()
    assert port.records[0]["method"] == "kill"
    assert port.records[0]["outcome"] == "accepted"


def test_a_kill_needs_no_reason(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        assert call(path, "kill")["verified"] is True
    assert port.kills[0][1] == "no reason given"


def test_a_second_kill_joins_the_first(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    with serving(tmp_path, port) as path, RawClient(path) as one, RawClient(path) as two:
        one.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{}}\n')
        eventually(lambda: len(port.kills) == 1)
        assert call(path, "status")["control"]["kill_in_progress"] is True
        two.send(b'{"jsonrpc":"2.0","id":2,"method":"kill","params":{}}\n')
        eventually(lambda: len(port.records) == 2)
        port.kill_gate._loop.call_soon_threadsafe(port.kill_gate.set)  # type: ignore[attr-defined]
        assert one.line()["result"]["verified"] is True  # type: ignore[index]
        assert two.line()["result"]["verified"] is True  # type: ignore[index]
    assert len(port.kills) == 1
    assert port.records[1]["msg"] == "joined the kill in progress"


def test_a_kill_outlives_the_client_that_asked_for_it(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    with serving(tmp_path, port) as path:
        with RawClient(path) as one:
            one.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{}}\n')
            eventually(lambda: len(port.kills) == 1)
        port.kill_gate._loop.call_soon_threadsafe(port.kill_gate.set)  # type: ignore[attr-defined]
        eventually(lambda: call(path, "status")["control"]["last_kill"] is not None)
        assert call(path, "status")["control"]["last_kill"]["verified"] is True


def test_a_kill_that_fails_says_what_to_do_and_can_be_repeated(tmp_path: Path) -> None:
    port = FakePort()
    good = port.kill_result
    port.kill_result = OSError("no route to host")
    with serving(tmp_path, port) as path:
        with pytest.raises(RpcError, match="seatrial kill --direct"):
            call(path, "kill")
        port.kill_result = good
        assert call(path, "kill")["verified"] is True


def test_kill_is_answered_while_other_commands_hang(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, stop_grace_s=0.1) as path, RawClient(path) as client:
        for number in range(20):
            line = {"jsonrpc": "2.0", "id": number, "method": "stop", "params": {}}
            client.send(json.dumps(line).encode() + b"\n")
        busy = [client.line() for _ in range(12)]
        assert {code_of(answer) for answer in busy} == {ProtocolErrorCode.BUSY}
        assert client.ask("kill", request_id="k")["result"]["verified"] is True


# ---------------------------------------------------------------------- what is not understood


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello\n", ProtocolErrorCode.PARSE_ERROR),
        (b"\n", ProtocolErrorCode.PARSE_ERROR),
        (b"GET / HTTP/1.1\r\n", ProtocolErrorCode.PARSE_ERROR),
        (b'{"a": NaN}\n', ProtocolErrorCode.PARSE_ERROR),
        (b"\xff\xfe\x00\n", ProtocolErrorCode.PARSE_ERROR),
        (b"[" * 60000 + b"\n", ProtocolErrorCode.PARSE_ERROR),
        (b"[]\n", ProtocolErrorCode.INVALID_REQUEST),
        (b"7\n", ProtocolErrorCode.INVALID_REQUEST),
        (b"{}\n", ProtocolErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","method":"status"}\n', ProtocolErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"status"}\n', ProtocolErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"1.0","id":1,"method":"status"}\n', ProtocolErrorCode.INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":7}\n', ProtocolErrorCode.INVALID_REQUEST),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"status","sudo":1}\n',
            ProtocolErrorCode.INVALID_REQUEST,
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"status","params":[]}\n',
            ProtocolErrorCode.INVALID_PARAMS,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"halt"}\n', ProtocolErrorCode.METHOD_NOT_FOUND),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"status","version":9}\n',
            ProtocolErrorCode.UNSUPPORTED_VERSION,
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"start","params":{"reason":7}}\n',
            ProtocolErrorCode.INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"start","params":{"reason":"\\u001b[2J"}}\n',
            ProtocolErrorCode.INVALID_PARAMS,
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"stop","params":{"force":true}}\n',
            ProtocolErrorCode.INVALID_PARAMS,
        ),
        (b'{"jsonrpc":"2.0","id":1,"method":"re-arm"}\n', ProtocolErrorCode.REASON_REQUIRED),
    ],
)
def test_each_misunderstanding_has_its_code_and_is_recorded(
    tmp_path: Path, line: bytes, code: ProtocolErrorCode
) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        with RawClient(path) as client:
            client.send(line)
            assert code_of(client.line()) == code
            if code == ProtocolErrorCode.PARSE_ERROR:
                assert client.closed()
            else:
                assert client.ask("ping")["result"]["version"] == 1
        (record,) = port.records
        assert record["outcome"] == "refused"
        assert record["msg"].startswith(code.title)
    assert port.commands == []
    assert port.kills == []


@pytest.mark.parametrize(
    "params",
    [
        b'{"reason":7}',
        b'{"reason":"\\u001b[2J"}',
        b'{"reason":null,"progress":"yes","command_id":"not an id"}',
        b'{"a_key_of_a_newer_tool":{"deep":[1]}}',
    ],
)
def test_a_kill_that_is_worded_badly_is_a_kill(tmp_path: Path, params: bytes) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, RawClient(path) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":' + params + b"}\n")
        answer = client.line()
        assert answer is not None
        assert answer["result"]["verified"] is True
    ((_actor, reason),) = port.kills
    assert reason.isprintable()


def test_an_oversized_line_is_answered_and_closed_and_disturbs_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as path, ControlClient(path) as other:
        assert other.call("ping")
        with RawClient(path) as client:
            client.send(b"x" * 70_000)
            assert code_of(client.line()) == ProtocolErrorCode.LINE_TOO_LONG
            assert client.closed()
        assert other.call("status")["trading_state"] == "ACTIVE"


def test_half_a_line_has_a_deadline(tmp_path: Path) -> None:
    with serving(tmp_path, line_deadline_s=0.05) as path, RawClient(path) as client:
        client.send(b'{"jsonrpc":')
        assert code_of(client.line()) == ProtocolErrorCode.TOO_SLOW
        assert client.closed()


def test_a_line_in_drips_does_not_extend_its_deadline(tmp_path: Path) -> None:
    with serving(tmp_path, line_deadline_s=0.15) as path, RawClient(path) as client:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.01):
                client.send(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            assert code_of(client.line()) == ProtocolErrorCode.TOO_SLOW
        finally:
            stop.set()
            dripping.join()


def test_an_idle_connection_is_closed_with_a_word(tmp_path: Path) -> None:
    with serving(tmp_path, idle_deadline_s=0.05) as path, RawClient(path) as client:
        assert code_of(client.line()) == ProtocolErrorCode.TOO_SLOW
        assert client.closed()


def test_half_a_line_and_then_the_end_is_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as path, RawClient(path) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}')
        client.sock.shutdown(socket.SHUT_WR)
        assert code_of(client.line()) == ProtocolErrorCode.PARSE_ERROR
        assert client.closed()


def test_lines_before_a_half_close_are_all_answered(tmp_path: Path) -> None:
    """`printf … | nc -U socket` gets its answers."""
    with serving(tmp_path) as path, RawClient(path) as client:
        for number in range(5):
            line = {"jsonrpc": "2.0", "id": number, "method": "cancel-all"}
            client.send(json.dumps(line).encode() + b"\n")
        client.sock.shutdown(socket.SHUT_WR)
        answers = [client.line() for _ in range(5)]
        assert sorted(answer["id"] for answer in answers if answer) == [0, 1, 2, 3, 4]
        assert client.closed()


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {"filler": "x" * 500_000}
    with serving(tmp_path, port, write_deadline_s=0.1) as path, RawClient(path) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"status"}\n')
        other = call(path, "ping")
        assert other["version"] == 1
        # The kernel's buffer is smaller than the answer: past the deadline the rest is gone.
        eventually(lambda: _is_hung_up(client.sock))


def _is_hung_up(sock: socket.socket) -> bool:
    try:
        sock.send(b"\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


def test_a_flood_of_refusals_is_counted_and_not_all_written_down(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path, RawClient(path) as client:
        for number in range(200):
            assert code_of(client.ask("nope", number)) == ProtocolErrorCode.METHOD_NOT_FOUND
    assert 20 <= len(port.records) < 40


# ---------------------------------------------------------------------- events


def journal_line(seq: int, kind: str) -> bytes:
    return json.dumps({"seq": seq, "event_type": kind}, separators=(",", ":")).encode() + b"\n"


def test_the_last_events_by_type(tmp_path: Path) -> None:
    port = FakePort()
    for seq in range(10):
        port.hub.publish(journal_line(seq, "fill" if seq % 2 else "heartbeat"))
    with serving(tmp_path, port) as path:
        result = call(path, "events", types=["fill"], tail=3)
    assert [event["seq"] for event in result["events"]] == [5, 7, 9]


def test_following_gives_what_is_published_from_another_thread(tmp_path: Path) -> None:
    port = FakePort()
    port.hub.publish(journal_line(0, "fill"))
    with serving(tmp_path, port) as path, ControlClient(path) as client:
        events = client.follow(tail=5)
        assert next(events)["seq"] == 0
        publisher = threading.Thread(
            target=lambda: [port.hub.publish(journal_line(n, "fill")) for n in range(1, 200)]
        )
        publisher.start()
        assert [next(events)["seq"] for _ in range(199)] == list(range(1, 200))
        publisher.join()


def test_a_slow_follower_is_told_what_it_lost_and_holds_up_nobody(tmp_path: Path) -> None:
    port = FakePort()
    filler = json.dumps({"event_type": "fill", "x": "y" * 5_000}).encode()
    with serving(tmp_path, port) as path, RawClient(path) as slow:
        assert slow.ask("events", follow=True, tail=0)["result"] == {"following": True}
        for _ in range(1_000):  # 5 MB: more than the kernel and the server hold for it
            port.hub.publish(filler)
        assert call(path, "ping")["version"] == 1
        lost = 0
        for _ in range(2_000):
            message = slow.line()
            assert message is not None, "a slow follower was cut off"
            if message["method"] == "dropped":
                lost = message["params"]["count"]
                break
            port.hub.publish(journal_line(1, "nudge"))
    assert lost > 0


# ---------------------------------------------------------------------- the socket and the thread


def test_the_socket_is_for_owner_and_group_only(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        assert stat.S_IMODE(path.lstat().st_mode) == 0o660
        assert [entry.name for entry in tmp_path.iterdir()] == ["control.sock"]
    assert not path.exists()


def test_the_socket_of_a_dead_daemon_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(tmp_path):
        assert call(path, "ping")["version"] == 1


def test_the_socket_of_a_live_daemon_is_left_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        second = ControlThread(ControlConfig(path), FakePort())
        with pytest.raises(SocketInUseError, match="a daemon is running on"):
            second.start()
        assert call(path, "ping")["version"] == 1


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda d: d / "none" / "c.sock", "cannot be used: No such file or directory; create it"),
        (lambda d: (d / "f").write_text("x") and d / "f" / "c.sock", "is not a directory"),
        (lambda d: (d / "c.sock").write_text("x") and d / "c.sock", "exists and is no socket"),
        (lambda d: d / ("x" * 120), "path is too long"),
        (
            lambda d: (d / "open").mkdir(0o777) or (d / "open").chmod(0o777) or d / "open" / "c",
            "o-w",
        ),
    ],
)
def test_a_socket_that_cannot_be_made_says_why_and_what_to_do(
    tmp_path: Path, prepare: Any, message: str
) -> None:
    thread = ControlThread(ControlConfig(prepare(tmp_path)), FakePort())
    with pytest.raises(SocketUnusableError, match=message):
        thread.start()
    assert not thread.alive


def test_a_role_for_nobody_is_a_config_error(tmp_path: Path) -> None:
    config = ControlConfig(
        tmp_path / "c.sock", roles={Role.STOPPER: Members(users=("no-such-user-here",))}
    )
    with pytest.raises(ControlConfigError, match="no user 'no-such-user-here'"):
        ControlThread(config, FakePort()).start()


def test_no_daemon_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DaemonUnreachableError, match="there is no socket"):
        call(tmp_path / "control.sock", "status")


def test_a_background_task_that_fails_leaves_the_socket_alone(tmp_path: Path) -> None:
    began = threading.Event()

    async def broken() -> None:
        began.set()
        raise OSError("no venue")

    path = tmp_path / "control.sock"
    thread = ControlThread(ControlConfig(path), FakePort(), background=(broken,))
    thread.start()
    try:
        assert began.wait(60)
        assert call(path, "ping")["version"] == 1
    finally:
        assert thread.stop()


def test_stopping_waits_for_a_kill_that_has_begun(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_gate = asyncio.Event()
    path = tmp_path / "control.sock"
    thread = ControlThread(ControlConfig(path, stop_grace_s=0.01), port)
    thread.start()
    with RawClient(path) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"kill","params":{}}\n')
        eventually(lambda: len(port.kills) == 1)
        stopping = threading.Thread(target=thread.stop)
        stopping.start()
        eventually(lambda: not _is_listening(path))
        port.kill_gate._loop.call_soon_threadsafe(port.kill_gate.set)  # type: ignore[attr-defined]
        answer = client.line()
        assert answer is not None
        assert answer["result"]["verified"] is True
        stopping.join(60)
    assert not thread.alive


def _is_listening(path: Path) -> bool:
    """The backlog still takes connections; whether the server does shows in an answer."""
    with RawClient(path) as probe:
        probe.sock.settimeout(0.05)
        probe.send(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        try:
            return bool(probe.sock.recv(1))
        except TimeoutError:
            return False


def test_stopping_lets_an_answer_in_flight_out(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    path = tmp_path / "control.sock"
    thread = ControlThread(ControlConfig(path), port)
    thread.start()
    with RawClient(path) as client:
        client.send(b'{"jsonrpc":"2.0","id":1,"method":"shutdown","params":{"reason":"r"}}\n')
        eventually(lambda: len(port.open) == 1)
        stopping = threading.Thread(target=thread.stop)
        stopping.start()
        port.open[0][1].set_result(Reply(command_id=port.open[0][0].command_id))
        answer = client.line()
        assert answer is not None
        assert "result" in answer
        stopping.join(60)
    assert not thread.alive

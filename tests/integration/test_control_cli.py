"""`seatrial`, the tool: what it prints and how it exits, against a served fake daemon."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from control.control_errors import ControlError
from control.methods import METHODS
from control.peer_identity import Members, Role
from control.tool.command_frame import Wiring, default_socket
from control.tool.mounted_commands import MOUNTED, Tool
from control.tool.root_command import control_group
from daemon.model.effects import Reply
from tests.support.control_port import FakePort
from tests.support.control_server import serving

ROOT = Path(__file__).parents[2]


def run(path: Path, *args: str, obj: Wiring | None = None, **extra: Any) -> Result:
    return CliRunner().invoke(
        control_group, ["--socket", str(path), *args], obj=obj or Wiring(), **extra
    )


def refuse(code: str, message: str) -> Any:
    return lambda command: Reply(
        command_id=command.command_id, error_code=code, error_message=message
    )


# ---------------------------------------------------------------------- looking


def test_status_json_is_one_object_on_one_line(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        result = run(path, "status", "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert json.loads(result.stdout)["trading_state"] == "ACTIVE"


def test_status_says_what_matters_first_in_80_columns_without_colours(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {
        **port.snapshot,
        "trading_state": "HALTED",
        "latched": True,
        "latch": {"by_name": "ada", "reason": "spread is insane"},
        "journal_ok": False,
    }
    with serving(tmp_path, port) as path:
        result = run(path, "status")
    lines = result.stdout.splitlines()
    assert "HALTED" in lines[0]
    assert "KILL LATCHED by ada: spread is insane" in lines[1]
    assert any("JOURNAL FAULT" in line for line in lines[:5])
    assert any(line.startswith("INCIDENT i-2") for line in lines[:5])
    assert not any("i-1" in line for line in lines[:5]), "a resolved incident is no alarm"
    assert "\x1b" not in result.stdout
    assert max(len(line) for line in lines) <= 80
    assert "95%" in result.stdout


def test_status_says_when_the_main_loop_is_silent(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {**port.snapshot, "published_monotonic_ns": time.monotonic_ns() - 12 * 10**9}
    with serving(tmp_path, port) as path:
        shown = run(path, "status")
        told = json.loads(run(path, "status", "--json").stdout)
        assert "MAIN LOOP SILENT for 12s" in shown.stdout.splitlines()[1]
        assert 12_000 <= told["control"]["snapshot_age_ms"] < 60_000
        port.snapshot = {**port.snapshot, "published_monotonic_ns": time.monotonic_ns()}
        assert "SILENT" not in run(path, "status").stdout


@pytest.mark.parametrize(
    "snapshot",
    [
        {},
        {"trading_state": None, "caps": None, "orders": [], "incidents": {}, "positions": 7},
        {"caps": [{"cap": "x", "used": "a", "limit": None}], "equity": "?", "links": []},
        {"caps": [{"cap": "x", "used": "1", "limit": "0"}], "uptime_ms": "soon", "denied": {}},
        {"open_orders": [{}], "positions": [{}], "incidents": [{}], "journal": {"lag": 3}},
    ],
)
def test_status_forgives_a_snapshot_of_another_version(
    tmp_path: Path, snapshot: Mapping[str, Any]
) -> None:
    port = FakePort()
    port.snapshot = snapshot
    with serving(tmp_path, port) as path:
        result = run(path, "status")
    assert result.exit_code == 0, result.output
    assert result.exception is None


def test_control_characters_from_elsewhere_do_not_reach_the_terminal(tmp_path: Path) -> None:
    port = FakePort()
    evil = "\x1b[2J\x1b]0;owned\x07[bold]"
    port.snapshot = {
        "latched": True,
        "latch": {"by_name": evil, "reason": evil},
        "open_orders": [{"client_order_id": evil}],
        "orders": {evil: 1},
    }
    port.hub.publish(json.dumps({"event_type": evil, "msg": evil}).encode())
    with serving(tmp_path, port) as path:
        for command in (["status"], ["orders"], ["tail", "--no-follow"]):
            result = run(path, *command)
            assert result.exit_code == 0
            assert "\x1b" not in result.stdout
            assert "\x07" not in result.stdout
            assert "[bold]" in result.stdout, "no markup of others is obeyed"


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        (["orders"], "60,000.1"),
        (["positions"], "61,000"),
        (["caps"], "gross_exposure"),
        (["incident", "list"], "DRAWDOWN"),
        (["incident", "show", "i-2"], "i-2  OPEN  STALE"),
    ],
)
def test_parts_of_the_snapshot(tmp_path: Path, command: list[str], shows: str) -> None:
    with serving(tmp_path) as path:
        plain = run(path, *command)
        as_json = run(path, *command, "--json")
    assert shows in plain.stdout
    assert json.loads(as_json.stdout)


def test_unresolved_incidents_only(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        result = run(path, "incident", "list", "--unresolved", "--json")
    assert [row["incident_id"] for row in json.loads(result.stdout)["incidents"]] == ["i-2"]


def test_tail_shows_events_by_type(tmp_path: Path) -> None:
    port = FakePort()
    for seq, kind in enumerate(["heartbeat", "fill", "order_reject"]):
        line = {"seq": seq, "ts": "2026-01-02T03:04:05.678901Z", "event_type": kind, "msg": "m"}
        port.hub.publish(json.dumps(line, separators=(",", ":")).encode())
    with serving(tmp_path, port) as path:
        everything = run(path, "tail", "--no-follow")
        fills = run(path, "tail", "--no-follow", "--type", "fill", "--json")
    assert "03:04:05.678" in everything.stdout
    assert [line.split()[2] for line in everything.stdout.splitlines()] == [
        "heartbeat",
        "fill",
        "order_reject",
    ]
    assert [json.loads(line)["seq"] for line in fills.stdout.splitlines()] == [1]


def test_the_schema_needs_no_daemon(tmp_path: Path) -> None:
    result = run(tmp_path / "none", "rpc", "schema")
    assert result.exit_code == 0
    published = json.loads(result.stdout)
    assert set(published["methods"]) == set(METHODS)
    assert published["methods"]["kill"]["needs"] == "stopper"
    assert published["methods"]["re-arm"]["reason_required"] is True
    assert published["errors"]["forbidden"] == -32000
    symbol = published["methods"]["cancel-all"]["params"]["properties"]["symbol"]
    assert symbol["anyOf"][1] == {"type": "null"}


def test_an_event_type_that_does_not_exist_is_not_waited_for(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        result = run(path, "tail", "--type", "filll")
    assert result.exit_code == 2
    assert "no event type 'filll'; did you mean fill" in result.stderr


def test_watch_without_a_terminal_says_what_there_is_instead(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        result = run(path, "watch")
    assert result.exit_code == 2
    assert "seatrial status --json" in result.stderr
    assert result.stdout == ""


# ---------------------------------------------------------------------- doing


@pytest.mark.parametrize(
    ("command", "method", "params"),
    [
        (["start", "--yes"], "start", {}),
        (["stop", "--reason", "lunch"], "stop", {}),
        (["cancel-all"], "cancel-all", {"symbol": None}),
        (["cancel-all", "--symbol", "ETHUSDT"], "cancel-all", {"symbol": "ETHUSDT"}),
        (["shutdown"], "shutdown", {}),
        (["re-arm", "--yes", "--reason", "found it"], "re-arm", {}),
        (["re-enable", "--yes", "--reason", "found it"], "re-enable", {}),
        (["reconcile"], "reconcile", {}),
        (["flatten", "--yes", "--reason", "end", "--symbol", "X"], "flatten", {"symbol": "X"}),
        (["explain", "12", "--why", "maintenance"], "explain", {"seq": 12, "why": "maintenance"}),
        (
            ["incident", "note", "i-2", "looking"],
            "incident-note",
            {"incident_id": "i-2", "text": "looking"},
        ),
        (
            [
                "incident",
                "resolve",
                "i-2",
                "--root-cause",
                "a",
                "--remediation",
                "b",
                "--follow-up",
                "c",
            ],
            "incident-resolve",
            {"incident_id": "i-2", "root_cause": "a", "remediation": "b", "follow_up": "c"},
        ),
    ],
)
def test_each_command_says_what_it_means(
    tmp_path: Path, command: list[str], method: str, params: dict[str, Any]
) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, *command)
    assert result.exit_code == 0, result.output
    (sent,) = port.commands
    assert (sent.method, sent.params) == (method, params)
    assert result.stdout.count("\n") == 1


def test_resolving_while_the_difference_stands_is_done_and_warned_of(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {
        "incidents": [{"incident_id": "i-2", "context": {"differences": [{"symbol": "X"}]}}],
        "not_ready": [{"reason": "not_clean", "text": "not_clean: foreign_order web_1"}],
    }
    words = ["--root-cause", "a", "--remediation", "b", "--follow-up", "c"]
    with serving(tmp_path, port) as path:
        result = run(path, "incident", "resolve", "i-2", *words)
    assert (result.exit_code, len(port.commands)) == (0, 1)
    assert "books and venue still differ: not_clean: foreign_order web_1" in result.stderr


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reconciliation_that_is_not_clean_says_why_and_exits_1(
    tmp_path: Path, as_json: bool
) -> None:
    port = FakePort()
    port.reply = lambda command: Reply(
        command_id=command.command_id, result={"clean": False, "why": "foreign_order web_1"}
    )
    with serving(tmp_path, port) as path:
        result = run(path, "reconcile", *(["--json"] if as_json else []))
    assert result.exit_code == 1
    assert "NOT clean: foreign_order web_1" in result.stderr


@pytest.mark.parametrize("command", [["re-arm"], ["flatten"], ["re-enable"]])
def test_a_script_that_owes_a_reason_is_told(tmp_path: Path, command: list[str]) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, *command, "--yes")
    assert result.exit_code == 2
    assert "needs --reason" in result.stderr
    assert port.commands == []


@pytest.mark.parametrize("command", ["start", "re-arm", "re-enable", "flatten"])
def test_what_lets_orders_out_is_confirmed_and_a_script_says_yes(
    tmp_path: Path, command: str
) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, command, "--reason", "no one to ask")
    assert result.exit_code == 2
    assert "There is no terminal to ask at: add --yes" in result.stderr
    assert port.commands == []


@pytest.mark.parametrize("command", ["kill", "stop", "cancel-all"])
@pytest.mark.parametrize(
    ("reason", "recorded"),
    [
        ("pasted\nwith\tlines", "pasted with lines"),
        ("x" * 5_000, "x" * 500),
        ("bytes \udcff\udcfe", "bytes"),
        ("\u202eturned \x1b[31mred", "turned  [31mred"),
    ],
    ids=["lines", "long", "bytes", "control"],
)
def test_no_wording_of_a_reason_keeps_a_stop_from_stopping(
    tmp_path: Path, command: str, reason: str, recorded: str
) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, command, "--reason", reason)
    assert result.exit_code == 0, result.output
    stopped = [said for _actor, said in port.kills] + [one.reason for one in port.commands]
    assert stopped == [recorded]


def test_kill_prints_its_steps_with_their_times(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, "kill", "--reason", "spread is insane")
    assert result.exit_code == 0
    assert result.stdout.startswith("KILLED · gate closed 0.1 ms · latched 0.9 ms")
    assert "verified empty 12.0 ms" in result.stdout
    assert port.kills[0][1] == "spread is insane"


def test_a_kill_that_is_not_verified_fails_loudly(tmp_path: Path) -> None:
    port = FakePort()
    port.kill_result = {"verified": False, "open_orders": 3, "msg": "venue does not answer"}
    with serving(tmp_path, port) as path:
        result = run(path, "kill")
    assert result.exit_code == 1
    assert "KILL NOT VERIFIED" in result.stdout
    assert "3 open orders" in result.stdout
    assert "NOT verified empty: venue does not answer" in result.stderr
    assert "seatrial kill --direct" in result.stderr


# ---------------------------------------------------------------------- how it ends


def test_no_daemon_is_one_line_and_exit_3(tmp_path: Path) -> None:
    result = run(tmp_path / "control.sock", "status")
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert f"cannot reach the daemon at {tmp_path / 'control.sock'}: there is no socket" in (
        result.stderr
    )
    assert "Start it with `seatriald --config FILE`" in result.stderr


def test_no_daemon_with_json_is_an_object_too(tmp_path: Path) -> None:
    result = run(tmp_path / "control.sock", "status", "--json")
    assert json.loads(result.stdout)["error"]["exit_code"] == 3


def test_no_daemon_on_kill_names_the_direct_road(tmp_path: Path) -> None:
    result = run(tmp_path / "control.sock", "kill")
    assert result.exit_code == 3
    assert "seatrial kill --direct --config FILE" in result.stderr


def test_a_refusal_of_the_engine_is_exit_1_with_its_code(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = refuse("LATCHED", "the kill latch holds: seatrial re-arm --reason …")
    with serving(tmp_path, port) as path:
        plain = run(path, "start", "--yes")
        as_json = run(path, "start", "--yes", "--json")
    assert plain.exit_code == 1
    assert "the kill latch holds" in plain.stderr
    assert "[LATCHED]" in plain.stderr
    assert json.loads(as_json.stdout)["error"]["data"]["code"] == "LATCHED"


def test_forbidden_is_exit_4(tmp_path: Path) -> None:
    roles = {Role.OBSERVER: Members(uids=(os.getuid(),))}
    with serving(tmp_path, roles=roles) as path:
        assert run(path, "status").exit_code == 0
        result = run(path, "kill")
    assert result.exit_code == 4
    assert "kill needs the role stopper" in result.stderr


def test_no_answer_in_time_is_exit_5(tmp_path: Path) -> None:
    port = FakePort()
    port.reply = lambda _command: None
    with serving(tmp_path, port, stop_grace_s=0.1) as path:
        result = run(path, "stop", "--timeout", "0.1")
    assert result.exit_code == 5
    assert "its outcome is unknown" in result.stderr


def test_a_wrong_command_line_is_exit_2(tmp_path: Path) -> None:
    assert run(tmp_path, "stopp").exit_code == 2
    assert run(tmp_path, "explain", "x", "--why", "y").exit_code == 2


def test_something_else_on_the_socket_is_said(tmp_path: Path) -> None:
    code = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
        "print('ready', flush=True)\n"
        "c, _ = s.accept(); c.recv(1000); c.sendall(b'220 mail ready\\n'); c.close()\n"
    )
    path = tmp_path / "x.sock"
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"ready\n"
        result = run(path, "status")
    finally:
        other.kill()
        other.stdout.close()
        other.wait()
    assert result.exit_code == 1
    assert "no seatrial daemon" in result.stderr


# ---------------------------------------------------------------------- the direct road


class Direct:
    def __init__(self, answer: Mapping[str, Any] | Exception) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def __call__(self, **asked: Any) -> Mapping[str, Any]:
        self.asked.append(asked)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


VERIFIED = {"verified": True, "empty_ms": 40.0, "open_orders": 0}


def test_kill_direct_does_not_touch_the_socket(tmp_path: Path) -> None:
    direct = Direct(VERIFIED)
    result = run(
        tmp_path / "none",
        *("kill", "--direct", "--config", "box.toml", "--reason", "it hangs"),
        obj=Wiring(direct_kill=direct),
    )
    assert result.exit_code == 0
    assert "KILLED" in result.stdout
    (asked,) = direct.asked
    assert asked["config"] == Path("box.toml")
    assert asked["reason"] == "it hangs"
    assert asked["uid"] == os.getuid()


def test_or_direct_goes_to_the_venue_only_when_the_daemon_fails(tmp_path: Path) -> None:
    direct = Direct(VERIFIED)
    with serving(tmp_path) as path:
        assert run(path, "kill", "--or-direct", obj=Wiring(direct_kill=direct)).exit_code == 0
        assert direct.asked == []
    result = run(path, "kill", "--or-direct", "--json", obj=Wiring(direct_kill=direct))
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verified"] is True
    assert len(direct.asked) == 1
    assert "going to the venue directly" in result.stderr


@pytest.mark.parametrize("told", [{}, {"verified": "yes"}])
def test_or_direct_goes_to_the_venue_when_the_answer_says_nothing(
    tmp_path: Path, told: dict[str, str]
) -> None:
    direct = Direct(VERIFIED)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()

        def answer() -> None:
            peer, _ = sock.accept()
            with peer:
                asked = json.loads(peer.makefile().readline())
                line = {"jsonrpc": "2.0", "id": asked["id"], "result": told}
                peer.sendall(json.dumps(line).encode() + b"\n")

        thread = threading.Thread(target=answer)
        thread.start()
        result = run(path, "kill", "--or-direct", obj=Wiring(direct_kill=direct))
        thread.join()
    assert result.exit_code == 0
    assert len(direct.asked) == 1
    assert "does not say what it did" in result.stderr


def test_or_direct_does_not_go_around_a_role(tmp_path: Path) -> None:
    direct = Direct(VERIFIED)
    roles = {Role.OBSERVER: Members(uids=(os.getuid(),))}
    with serving(tmp_path, roles=roles) as path:
        result = run(path, "kill", "--or-direct", obj=Wiring(direct_kill=direct))
    assert result.exit_code == 4
    assert direct.asked == []


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ControlError("no such config"), "no such config"),
        (RuntimeError("boom"), "Cancel at the venue's own site now"),
    ],
)
def test_a_direct_kill_that_fails_says_what_to_do(
    tmp_path: Path, error: Exception, says: str
) -> None:
    result = run(tmp_path, "kill", "--direct", obj=Wiring(direct_kill=Direct(error)))
    assert result.exit_code == 1
    assert says in result.stderr
    assert "Traceback" not in result.output


# ---------------------------------------------------------------------- as a process


def tool(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"SEATRIAL_SOCKET", "COLUMNS"}}
    return subprocess.run(
        [sys.executable, "-c", "from control.main import main; main()", *args],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**kept, **env},
    )


def test_the_tool_as_a_process(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        told = tool("--socket", str(path), "status", "--json")
        by_environment = tool("status", SEATRIAL_SOCKET=str(path))
    assert json.loads(told.stdout)["trading_state"] == "ACTIVE"
    assert by_environment.returncode == 0
    assert "\x1b" not in by_environment.stdout
    gone = tool("--socket", str(path), "kill")
    assert gone.returncode == 3
    assert "Traceback" not in gone.stderr


def test_where_the_socket_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEATRIAL_SOCKET", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert default_socket() == "/run/seatrial/control.sock"
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
    assert default_socket() == "/run/a/control.sock"
    monkeypatch.setenv("SEATRIAL_SOCKET", "/x/y.sock")
    assert default_socket() == "/x/y.sock"


def test_step_0_of_the_launch_is_a_command_of_the_tool(tmp_path: Path) -> None:
    told = tool("ops-status", "--status-dir", str(tmp_path))
    assert "PR-BC stability gate" in told.stdout
    assert "missing" in told.stdout
    assert told.returncode in {0, 1, 2}
    assert "Traceback" not in told.stderr


def test_every_mounted_command_can_be_imported_and_helps() -> None:
    group = Tool()
    for name in MOUNTED:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.help, name


def test_a_line_that_is_not_written_yet_cannot_be_explained(tmp_path: Path) -> None:
    port = FakePort()
    port.snapshot = {**port.snapshot, "journal_seq": 41}
    with serving(tmp_path, port) as path:
        refused = run(path, "explain", "42", "--why", "because")
        assert run(path, "explain", "41", "--why", "because").exit_code == 0
    assert refused.exit_code == 1
    assert "the journal has 41 lines, there is no line 42" in refused.stderr
    assert [command.params["seq"] for command in port.commands] == [41]

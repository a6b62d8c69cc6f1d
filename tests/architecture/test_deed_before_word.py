"""Deed before word: on the road of a stop nothing that can block or fail stands before the request.

Two walks: through the syntax tree of the functions on each road, and through what a real process
has imported at the moment when its request's first byte leaves.
"""

import ast
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, dotted, imported_names, listing, parsed

PRODUCT = {"control", "daemon", "evidence", "riskcaps"}
ROADS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "seatrial kill": (
        ("control/main.py", "_run", "run"),
        ("control/tool/kill_command.py", "run", "_stop"),
        ("control/tool/kill_command.py", "_stop", "_ask"),
        ("control/tool/kill_command.py", "_ask", "client.call_telling"),
        ("control/tool/client.py", "ControlClient._connect", "self._sock.connect"),
        ("control/tool/client.py", "ControlClient.call_telling", "self._ask"),
        ("control/tool/client.py", "ControlClient._ask", "self._send"),
        ("control/tool/client.py", "ControlClient._send", "self._sock.sendall"),
    ),
    "every other command": (
        ("control/tool/command_frame.py", "ask", "client.call"),
        ("control/tool/client.py", "ControlClient.call", "self.call_telling"),
        ("control/tool/commands_write.py", "stop", "ask"),
        ("control/tool/commands_write.py", "cancel_all", "ask"),
        ("control/tool/commands_write.py", "shutdown", "ask"),
        ("control/tool/commands_write.py", "kill", "run"),
    ),
    "kill --direct": (
        ("control/tool/kill_command.py", "_directly", "act"),
        ("daemon/direct_kill.py", "direct_kill", "_stop"),
        ("daemon/direct_kill.py", "_state", "aside.answers"),
        ("daemon/direct_kill.py", "_stop", "driven"),
        (
            "daemon/shell/stop/emergency_stop.py",
            "EmergencyStop.cancel_and_verify",
            "self._until_empty",
        ),
        ("daemon/shell/stop/emergency_stop.py", "EmergencyStop._until_empty", "self._round"),
        ("daemon/shell/stop/emergency_stop.py", "EmergencyStop._round", "self._cancel"),
        ("daemon/shell/stop/emergency_stop.py", "EmergencyStop._cancel", "route.together"),
        ("daemon/shell/stop/blocking_session.py", "BlockingSession.ask", "self._send"),
    ),
    "the control thread": (
        ("control/server/request_handler.py", "RequestHandler._begin_kill", "self._port.kill"),
        ("daemon/shell/control_port.py", "ControlPort.kill", "self._halt.close"),
        (
            "daemon/shell/control_port.py",
            "ControlPort._stop_and_verify",
            "self._emergency.cancel_and_verify",
        ),
    ),
    "the screen's keys": (
        ("control/tool/watch_screen.py", "WatchScreen._confirmed", "threading.Thread"),
        ("control/tool/watch_screen.py", "WatchScreen._act", "client.call_telling"),
    ),
}
"""Of each road: file, function, and the call that the request goes out by."""
WORDS = {"print", "click.echo", "say", "output.say", "tell", "log", "logging", "warnings.warn"}
LOOK_UPS = {"pwd", "grp", "socket.getaddrinfo", "direct_command", "input", "open"}
GUARDED = {"run.on_round", "tell", "default_config"}
"""Told inside `suppress(Exception)`; and the configuration that a direct stop cannot do without."""


def function(name: str, qualified: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    nodes: list[ast.AST] = [parsed(name)]
    for part in qualified.split("."):
        nodes = [
            child
            for node in nodes
            for child in ast.iter_child_nodes(node)
            if getattr(child, "name", "") == part
        ]
    (found,) = nodes
    assert isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    return found


def before(body: ast.AST, call: str, names: dict[str, str]) -> list[tuple[int, str]]:
    """Calls of a function that stand above the first one of `call`, other branches included."""
    found = sorted(
        (node.lineno, node.col_offset, ast.unparse(node.func), dotted(node.func, names))
        for node in ast.walk(body)
        if isinstance(node, ast.Call)
    )
    lines = [line for line, _, written, _ in found if written == call]
    assert lines, f"there is no call of {call} any more"
    return [(line, written) for line, _, written, _ in found if line < lines[0]]


def is_word_or_look_up(written: str) -> bool:
    first = written.partition(".")[0]
    return bool({written, first} & (WORDS | LOOK_UPS)) and written not in GUARDED


@pytest.mark.parametrize("road", ROADS)
def test_nothing_is_said_or_looked_up_before_the_request(road: str) -> None:
    problems = []
    for name, qualified, call in ROADS[road]:
        names = imported_names(parsed(name))
        for line, written in before(function(name, qualified), call, names):
            if is_word_or_look_up(written):
                problems.append(f"{name}:{line}: {written} stands before {call} in {qualified}")
    assert not problems, listing(problems)


@pytest.mark.parametrize(
    ("source", "is_caught"),
    [
        ("def f():\n    output.say('x')\n    send()", True),
        ("def f():\n    print('x')\n    send()", True),
        ("def f():\n    log.info('x')\n    send()", True),
        ("def f():\n    pwd.getpwuid(0)\n    send()", True),
        ("def f():\n    send()\n    output.say('x')", False),
        ("def f():\n    one_line('x')\n    send()", False),
    ],
)
def test_the_walk_catches_what_it_is_for(source: str, is_caught: bool) -> None:
    calls = before(ast.parse(source), "send", {})
    assert any(is_word_or_look_up(written) for _, written in calls) is is_caught


# ---------------------------------------------------------------------- what is imported by then

_CLIENT = {
    "control",
    "control.control_errors",
    "control.main",
    "control.tool",
    "control.tool.client",
    "control.tool.daemon_lookup",
    "control.tool.output",
}
_FRAME = {
    "control.tool.command_frame",
    "control.tool.failures",
    "control.tool.json_manner",
    "control.tool.kill_command",
    "control.tool.mounted_commands",
    "control.tool.root_command",
    "daemon",
    "daemon.model",
    "daemon.model.user_text",
}
OWN = {
    "kill": _CLIENT
    | {"control.tool.kill_command", "daemon", "daemon.model", "daemon.model.user_text"},
    "status": _CLIENT | {"control.tool.status_command"},
    "stop": _CLIENT | _FRAME | {"control.tool.commands_write", "control.tool.finite_range"},
}
"""The modules of ours that a request waits for."""
FOREIGN = {"kill": set[str](), "status": set[str](), "stop": {"click"}}
"""The packages of others that a request waits for."""
OWN_OF_DIRECT = {
    "control",
    "control.control_errors",
    "control.main",
    "control.tool",
    "control.tool.daemon_lookup",
    "control.tool.isolated_work",
    "control.tool.kill_command",
    "control.tool.output",
    "daemon",
    "daemon.direct_kill",
    "daemon.errors",
    "daemon.model",
    "daemon.model.amounts",
    "daemon.model.config_paths",
    "daemon.model.copies",
    "daemon.model.halt",
    "daemon.model.ids",
    "daemon.model.lean_msgspec",
    "daemon.model.records",
    "daemon.model.reject_kind",
    "daemon.model.time_text",
    "daemon.model.user_text",
    "daemon.shell",
    "daemon.shell.journal",
    "daemon.shell.journal.segments",
    "daemon.shell.keys",
    "daemon.shell.keys.credentials",
    "daemon.shell.link",
    "daemon.shell.link.governor",
    "daemon.shell.link.link_config",
    "daemon.shell.link.rate_refusals",
    "daemon.shell.link.venue_urls",
    "daemon.shell.process",
    "daemon.shell.process.clock",
    "daemon.shell.process.secrecy",
    "daemon.shell.state",
    "daemon.shell.state.state_dir",
    "daemon.shell.stop",
    "daemon.shell.stop.blocking_session",
    "daemon.shell.stop.blocking_waits",
    "daemon.shell.stop.emergency_stop",
    "daemon.shell.stop.emergency_transports",
    "daemon.shell.stop.kill_latch",
    "daemon.shell.stop.late_orders",
    "daemon.venues",
    "daemon.venues.binance_spot",
    "daemon.venues.binance_spot.amount_text",
    "daemon.venues.binance_spot.bans",
    "daemon.venues.binance_spot.codec_stop",
    "daemon.venues.binance_spot.costs",
    "daemon.venues.binance_spot.error_answers",
    "daemon.venues.binance_spot.request_signing",
    "daemon.venues.binance_spot.spot_adapter",
    "daemon.venues.binance_spot.spot_rows",
    "daemon.venues.binance_spot.ws_envelope",
    "daemon.venues.contract",
    "daemon.venues.faults",
    "daemon.venues.hosts",
    "daemon.venues.own_ids",
    "daemon.venues.registry",
    "daemon.venues.requests",
}
"""The modules of ours that the stop of a second process imports before it connects."""
OF_DIRECT = {"msgspec"}
"""Of others, what the stop of a second process imports."""
HEAVY_FOR_DIRECT = {
    "asyncio", "base64", "concurrent", "dataclasses", "email", "encodings.idna", "http", "inspect",
    "json", "logging", "platform", "queue", "random", "secrets", "ssl", "textwrap", "uuid",
}  # fmt: skip
"""Of the standard library, what it does without, as long as the WebSocket API answers, plain."""
HEAVY = {"asyncio", "dataclasses", "logging", "pathlib", "queue", "threading", "tomllib", "urllib"}
"""Of the standard library, what a kill over the socket does not wait for."""
SPY = """
import json, os, socket, sys
class Spied(socket.socket):
    def sendall(self, data):
        with open(os.environ["SEEN"], "w") as out:
            json.dump(sorted(set(sys.modules) - before), out)
        return super().sendall(data)
before = set(sys.modules)
socket.socket = Spied
from control.main import main
main()
"""
HELP = """
import json, sys
before = set(sys.modules)
sys.argv = ["seatrial", "--help"]
from control.main import main
try:
    main()
except SystemExit:
    print(json.dumps(sorted(set(sys.modules) - before)), file=sys.__stderr__)
"""
DIRECT = """
import os, socket, sys
class Spied(socket.socket):
    def connect_ex(self, address):
        with open(os.environ["SEEN"], "w") as out:
            out.write(" ".join(set(sys.modules) - before))
        os._exit(0)
before = set(sys.modules)
socket.socket = Spied
from control.main import main
main()
"""
DIRECT_CONFIG = """
state_dir = "state"
[venue]
environment = "sim"
symbols = ["BTCUSDT"]
rest = "http://127.0.0.1:9"
ws_api = "ws://127.0.0.1:9/ws-api/v3"
streams = "ws://127.0.0.1:9"
[credentials]
file = "keys.toml"
"""


def ours(modules: set[str]) -> set[str]:
    """The product's own modules."""
    return {one for one in modules if one.partition(".")[0] in PRODUCT}


def foreign(modules: set[str]) -> set[str]:
    """The packages of others, by their first name; what cython makes at run time is none."""
    tops = {one.partition(".")[0] for one in modules}
    return {one for one in tops - sys.stdlib_module_names - PRODUCT if "cython" not in one}


def modules_of(program: str) -> set[str]:
    """What a program that prints its modules on stderr has imported."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(done.stderr))


def modules_at_the_request(directory: Path, words: list[str]) -> set[str]:
    """What `seatrial WORDS` has imported when the first byte of its request leaves."""
    path, seen = directory / "s", directory / "seen"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()

        def answer() -> None:
            peer, _ = sock.accept()
            peer.recv(4096)
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        subprocess.run(
            [sys.executable, "-c", SPY, "--socket", str(path), *words],
            cwd=ROOT,
            env={**os.environ, "SEEN": str(seen), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=60,
            check=False,
        )
        thread.join()
    return set(json.loads(seen.read_text()))


@pytest.mark.parametrize("command", OWN)
def test_a_request_waits_for_no_import_that_it_does_not_need(tmp_path: Path, command: str) -> None:
    words = [command] if command == "status" else [command, "--reason", "a"]
    seen = modules_at_the_request(tmp_path, words)
    assert ours(seen) == OWN[command]
    assert foreign(seen) == FOREIGN[command]
    if command != "stop":
        assert not seen & HEAVY


def test_the_help_imports_no_command() -> None:
    seen = modules_of(HELP)
    help_alone = {"control.tool.help_lines"}
    assert ours(seen) == _CLIENT | _FRAME | help_alone
    assert foreign(seen) == {"click"}


def test_a_stop_from_a_second_process_imports_no_loop_no_client_and_no_engine(
    tmp_path: Path,
) -> None:
    """What is imported when it connects to the venue: all that its requests need."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "identity.json").write_text('{"instance": "abc123", "run_number": 3}')
    (tmp_path / "keys.toml").touch(mode=0o600)
    (tmp_path / "keys.toml").write_text('api_key = "k"\napi_secret = "s"\n')
    (tmp_path / "seatrial.toml").write_text(DIRECT_CONFIG)
    words = ["kill", "--direct", "--reason", "a", "--config", str(tmp_path / "seatrial.toml")]
    subprocess.run(
        [sys.executable, "-c", DIRECT, *words],
        cwd=ROOT,
        env={**os.environ, "SEEN": str(tmp_path / "seen"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=True,
    )
    seen = set((tmp_path / "seen").read_text().split())
    assert ours(seen) == OWN_OF_DIRECT
    assert foreign(seen) == OF_DIRECT
    assert not seen & HEAVY_FOR_DIRECT

"""The role matrix over a real socket: real users, as the kernel reports them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.control_errors import ProtocolErrorCode, RpcError
from control.methods import METHODS
from control.peer_identity import Members, Role
from control.tool.client import call
from tests.support.control_port import FakePort
from tests.support.control_server import serving
from tests.support.open_directory import open_directory

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root to become other users")

ROLES = {
    Role.OBSERVER: Members(uids=(50_001,), gids=(60_001,)),
    Role.STOPPER: Members(uids=(50_002,), gids=(60_002,)),
    Role.OPERATOR: Members(uids=(50_003, 0), gids=(60_003,)),
}
PEOPLE: dict[str, tuple[int, int, tuple[int, ...], Role | None]] = {
    # name: uid, gid, supplementary groups, expected role
    "observer by uid": (50_001, 65_534, (), Role.OBSERVER),
    "stopper by uid": (50_002, 65_534, (), Role.STOPPER),
    "operator by uid": (50_003, 65_534, (), Role.OPERATOR),
    "observer by primary group": (50_009, 60_001, (), Role.OBSERVER),
    "stopper by supplementary group": (50_009, 65_534, (7, 60_002), Role.STOPPER),
    "operator by supplementary group": (50_009, 65_534, (60_003,), Role.OPERATOR),
    "observer by uid, operator by group": (50_001, 65_534, (60_003,), Role.OPERATOR),
    "root": (0, 0, (), Role.OPERATOR),
    "stranger": (50_009, 65_534, (), None),
}
EXPECTED: dict[str, Role] = {
    "status": Role.OBSERVER,
    "orders": Role.OBSERVER,
    "positions": Role.OBSERVER,
    "caps": Role.OBSERVER,
    "incidents": Role.OBSERVER,
    "incident": Role.OBSERVER,
    "schema": Role.OBSERVER,
    "ping": Role.OBSERVER,
    "events": Role.OBSERVER,
    "kill": Role.STOPPER,
    "cancel-all": Role.STOPPER,
    "stop": Role.STOPPER,
    "bot-kill": Role.STOPPER,
    "bot-suspend": Role.STOPPER,
    "bot-revoke": Role.STOPPER,
    "bot-resume": Role.OPERATOR,
    "start": Role.OPERATOR,
    "re-arm": Role.OPERATOR,
    "reconcile": Role.OPERATOR,
    "re-enable": Role.OPERATOR,
    "flatten": Role.OPERATOR,
    "drill": Role.OPERATOR,
    "caps-tighten": Role.OPERATOR,
    "incident-note": Role.OPERATOR,
    "incident-resolve": Role.OPERATOR,
    "explain": Role.OPERATOR,
    "confirm-token": Role.OPERATOR,
    "shutdown": Role.OPERATOR,
}
PARAMS: dict[str, dict[str, Any]] = {
    "bot-kill": {"bot": "ft"},
    "bot-suspend": {"bot": "ft"},
    "bot-revoke": {"bot": "ft"},
    "bot-resume": {"bot": "ft", "reason": "r"},
    "incident": {"incident_id": "i-1"},
    "re-arm": {"reason": "r"},
    "flatten": {"reason": "r"},
    "re-enable": {"reason": "r"},
    "caps-tighten": {"reason": "r", "changes": {"orders_per_hour": 1}},
    "incident-note": {"incident_id": "i-1", "text": "t"},
    "incident-resolve": {
        "incident_id": "i-1",
        "root_cause": "a",
        "remediation": "b",
        "follow_up": "c",
    },
    "explain": {"seq": 1, "why": "w"},
}
AS_SOMEBODY = """
import json, os, socket, sys
path, uid, gid, groups, calls = json.loads(sys.argv[1])
os.setgroups(groups); os.setgid(gid); os.setuid(uid)
codes = {}
for method, params in calls.items():
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    line = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    try:
        sock.sendall(json.dumps(line).encode() + b"\\n")
    except BrokenPipeError:
        pass
    answer = json.loads(sock.makefile().readline())
    codes[method] = answer.get("error", {}).get("code", 0)
    sock.close()
print(json.dumps(codes))
"""


@pytest.fixture
def served() -> Iterator[tuple[Path, FakePort]]:
    port = FakePort()
    with open_directory() as directory, serving(directory, port, roles=ROLES) as path:
        path.chmod(0o666)  # let everybody in as far as the kernel's word: the table decides
        yield path, port


def ask_as(path: Path, uid: int, gid: int, groups: tuple[int, ...]) -> dict[str, int]:
    calls = {method: PARAMS.get(method, {}) for method in METHODS}
    done = subprocess.run(
        [sys.executable, "-c", AS_SOMEBODY, json.dumps([str(path), uid, gid, groups, calls])],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    codes: dict[str, int] = json.loads(done.stdout)
    return codes


def test_the_matrix_covers_every_method() -> None:
    assert set(EXPECTED) == set(METHODS)


@pytest.mark.parametrize("person", PEOPLE)
def test_role_matrix(served: tuple[Path, FakePort], person: str) -> None:
    path, port = served
    uid, gid, groups, role = PEOPLE[person]
    codes = ask_as(path, uid, gid, groups)
    for method, code in codes.items():
        allowed = role is not None and role.rank >= EXPECTED[method].rank
        assert (code != ProtocolErrorCode.FORBIDDEN) == allowed, f"{person}: {method} -> {code}"
        if allowed:
            assert code in {0, ProtocolErrorCode.REFUSED}, f"{person}: {method} -> {code}"
    for command in port.commands:
        assert command.actor.uid == uid
        assert command.actor.role == role
    refusals = [record for record in port.records if record["outcome"] == "refused"]
    if role is not Role.OPERATOR:
        assert refusals, "a refusal is a record"
        assert {record["actor"].uid for record in refusals} == {uid}


def test_the_socket_itself_keeps_others_out() -> None:
    port = FakePort()
    with open_directory() as directory, serving(directory, port, roles=ROLES) as path:
        asked = json.dumps([str(path), 50_009, 65_534, [], {"ping": {}}])
        done = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY, asked],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd="/",
        )
    assert "PermissionError" in done.stderr


def test_without_roles_the_service_user_and_root_are_operators(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        call(path, "start")
    assert port.commands[0].actor.role == "operator"
    assert port.commands[0].actor.name == "root"


def test_what_a_client_says_of_itself_plays_no_part(tmp_path: Path) -> None:
    with serving(tmp_path, FakePort(), roles={Role.OBSERVER: Members(uids=(0,))}) as path:
        with pytest.raises(RpcError) as caught:
            call(path, "kill", reason="I am an operator, uid 0")
        assert caught.value.code == ProtocolErrorCode.FORBIDDEN
        assert caught.value.data == {"name": "forbidden", "role": "observer", "needs": "stopper"}

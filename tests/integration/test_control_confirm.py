"""Confirm tokens through the socket: asked for on a live host only, spent once, never recorded."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from control.control_errors import ProtocolErrorCode, RpcError
from control.tool.client import ControlClient, call
from control.tool.command_frame import Wiring
from control.tool.root_command import control_group
from tests.support.control_port import FakePort
from tests.support.control_server import serving

BINDING = {"config_hash": "c1", "caps_hash": "k1", "account": "acc", "host": "api.example"}


@pytest.fixture
def port() -> FakePort:
    made = FakePort()
    made.snapshot = {"mode": "live", "binding": BINDING}
    return made


@pytest.fixture
def path(tmp_path: Path, port: FakePort) -> Iterator[Path]:
    with serving(tmp_path, port) as path:
        yield path


def code_of_start(path: Path, **params: Any) -> str:
    with pytest.raises(RpcError) as caught:
        call(path, "start", **params)
    assert caught.value.code == ProtocolErrorCode.REFUSED
    return str(caught.value.data["code"])


def test_a_start_on_a_live_host_needs_a_token_and_spends_it(path: Path, port: FakePort) -> None:
    assert code_of_start(path) == "token_missing"
    assert code_of_start(path, confirm_token="GUESS") == "token_wrong"
    token = call(path, "confirm-token", reason="first pilot")["token"]
    assert call(path, "start", confirm_token=token.lower().replace("-", " "))["did"] == "start"
    assert code_of_start(path, confirm_token=token) == "token_reused"
    (command,) = port.commands
    assert set(command.params) == {"confirm_digest"}


def test_a_token_is_for_the_binding_it_was_issued_for(path: Path, port: FakePort) -> None:
    token = call(path, "confirm-token")["token"]
    port.snapshot = {"mode": "live", "binding": {**BINDING, "caps_hash": "looser"}}
    assert code_of_start(path, confirm_token=token) == "token_mismatch"


@pytest.mark.parametrize(
    ("snapshot", "code"),
    [
        ({}, "not_ready"),
        ({"mode": "life"}, "not_ready"),
        ({"mode": "live"}, "token_mismatch"),
        ({"mode": "live", "binding": {**BINDING, "account": ""}}, "token_mismatch"),
    ],
)
def test_a_live_host_that_does_not_say_what_it_is_confirms_nothing(
    path: Path, port: FakePort, snapshot: dict[str, Any], code: str
) -> None:
    port.snapshot = snapshot
    assert code_of_start(path, confirm_token="x") == code
    with pytest.raises(RpcError):
        call(path, "confirm-token")


def test_repeating_the_command_id_does_not_spend_a_second_token(path: Path, port: FakePort) -> None:
    token = call(path, "confirm-token")["token"]
    with ControlClient(path) as client:
        first = client.call("start", command_id="go", confirm_token=token)
        assert client.call("start", command_id="go", confirm_token=token) == first
    assert len(port.commands) == 1


@pytest.mark.parametrize("mode", ["testnet", "sim"])
def test_without_real_money_a_token_is_irrelevant_and_that_is_said(
    path: Path, port: FakePort, mode: str
) -> None:
    port.snapshot = {"mode": mode}
    told = call(path, "confirm-token")
    assert told["needed"] is False
    assert "irrelevant" in told["note"]
    assert call(path, "start")["did"] == "start"
    assert port.commands[0].params == {}


def test_the_text_of_a_token_is_in_no_record(path: Path, port: FakePort) -> None:
    token = call(path, "confirm-token")["token"]
    call(path, "start", confirm_token=token, command_id="go")
    with pytest.raises(RpcError) as caught:
        call(path, "start", confirm_token="CANARY-TOKEN")
    seen = f"{port.records} {port.commands} {caught.value} {call(path, 'status')}"
    for text in (token, token.replace("-", ""), "CANARY"):
        assert text not in seen
    issued = [r for r in port.records if r["method"] == "confirm-token"]
    assert port.commands[0].params["confirm_digest"][:16] in issued[0]["msg"]


def test_the_tool_asks_for_the_token_at_a_hidden_prompt(path: Path, port: FakePort) -> None:
    runner = CliRunner()

    def run(*args: str, **extra: Any) -> Any:
        return runner.invoke(control_group, ["--socket", str(path), *args], obj=Wiring(), **extra)

    token = json.loads(run("gating", "token", "--json").stdout)["token"]
    result = run("start", "--yes", "--token", input=token + "\n")
    assert result.exit_code == 0, result.output
    assert token not in result.output
    assert run("gating", "token").stdout.count("-") == 3


def test_gating_drills_from_the_tool(tmp_path: Path) -> None:
    result = CliRunner().invoke(control_group, ["gating", "drill", "--json"], obj=Wiring())
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["passed"] is True
    assert [drill["drill"] for drill in told["drills"]] == list("ABCDEFG")
    plain = CliRunner().invoke(control_group, ["gating", "drill"], obj=Wiring())
    assert plain.stdout.count("pass") == 7

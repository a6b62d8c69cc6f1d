"""One manner for every command of `seatrial`: the walk visits each command and subcommand."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from control.tool.command_frame import Wiring
from control.tool.finite_range import FiniteRange
from control.tool.json_manner import NO_ANSWER
from control.tool.mounted_commands import Tool

NEEDS_A_DAEMON = {
    "cancel-all": [], "caps": [], "caps set": ["orders_open_max=1"], "explain": ["1"],
    "flatten": [], "gating token": [], "incident list": [],
    "incident show": ["i-1"], "incident note": ["i-1", "text"],
    "incident resolve": ["i-1", "--root-cause", "a", "--remediation", "b", "--follow-up", "c"],
    "kill": [], "orders": [], "positions": [], "re-arm": [], "re-enable": [], "reconcile": [],
    "rpc call": ["status"], "shutdown": [], "start": [], "status": [], "stop": [],
}  # fmt: skip
"""Commands that ask the daemon, with arguments that they take."""


def leaves(command: click.Command, *above: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        if command.invoke_without_command and above:
            yield " ".join(above), command
        for name, below in command.commands.items():
            yield from leaves(below, *above, name)
    else:
        yield " ".join(above), command


COMMANDS = dict(leaves(Tool()))


def options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in param.opts}


def run(*words: str) -> Result:
    return CliRunner().invoke(Tool(), list(words), obj=Wiring(), prog_name="seatrial")


def test_the_walk_sees_the_tool() -> None:
    assert {"status", "caps set", "evidence report", "gate stability", "up"} <= set(COMMANDS)
    assert len(COMMANDS) > 80
    assert set(NO_ANSWER) <= set(COMMANDS)
    assert set(NEEDS_A_DAEMON) <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_h_is_help_everywhere(name: str) -> None:
    # Click keeps the help option of a command's first run; a test before may have run it alone.
    COMMANDS[name]._help_option = None
    short, long = run(*name.split(), "-h"), run(*name.split(), "--help")
    assert short.exit_code == long.exit_code == 0, short.output
    assert short.output == long.output
    assert short.output.startswith(f"Usage: seatrial {name}")
    first = short.output.split("\n\n")[1].strip()
    assert first, "it says what it does"


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_there_is_not_is_a_usage_error_everywhere(name: str) -> None:
    result = run(*name.split(), "--no-such-option-at-all")
    assert result.exit_code == 2, result.output
    assert "No such option" in result.stderr


def test_who_takes_a_reason_takes_yes_and_who_answers_takes_json() -> None:
    for name, command in COMMANDS.items():
        found = options(command)
        assert "--socket" in found, name
        assert "--reason" not in found or "--yes" in found, name
        assert ("--json" in found) != (name in NO_ANSWER), name


def test_no_command_takes_a_number_that_is_none() -> None:
    """NaN is within every range of click's: a wait for so long failed after the deed."""
    ranges = [
        (name, param)
        for name, command in COMMANDS.items()
        for param in command.params
        if isinstance(param.type, click.FloatRange)
    ]
    assert len(ranges) > 10
    assert [name for name, param in ranges if not isinstance(param.type, FiniteRange)] == []
    for words in (
        ("stop", "--timeout", "nan"),
        ("kill", "--timeout", "inf"),
        ("drill", "--timeout", "nan"),
    ):
        ended = run(*words)
        assert ended.exit_code == 2, ended.output
        assert "--timeout" in ended.stderr


@pytest.mark.parametrize("name", NEEDS_A_DAEMON)
def test_without_a_daemon_it_says_so_with_3_wherever_the_options_stand(
    tmp_path: Path, name: str
) -> None:
    socket = str(tmp_path / "no.sock")
    words, arguments, found = name.split(), NEEDS_A_DAEMON[name], options(COMMANDS[name])
    more: list[str] = [one for one in ("--json", "--yes") if one in found]
    more += ["--reason", "a test"] if "--reason" in found else []
    behind = run(*words, *arguments, *more, "--socket", socket)
    before = run("--socket", socket, *more, *words, *arguments)
    between = run(words[0], *more, *words[1:], *arguments, "--socket", socket)
    for result in (behind, before, between):
        assert result.exit_code == 3, result.output
        assert f"cannot reach the daemon at {socket}" in result.stderr
        if name != "rpc call":
            assert json.loads(result.stdout)["error"]["exit_code"] == 3


def test_what_only_confirms_says_it_as_json_too(tmp_path: Path) -> None:
    key = str(tmp_path / "key.pem")
    made = run("--json", "keys", "new", "--out", key)
    assert made.exit_code == 0
    assert json.loads(made.stdout)["said"][0] == "-----BEGIN PUBLIC KEY-----"
    again = run("keys", "new", "--out", key, "--json")
    assert again.exit_code == 1
    assert "is there already" in json.loads(again.stdout)["error"]["message"]


JUDGES = ["evidence report X", "evidence verify X", "evidence recheck X", "evidence pack X",
          "evidence compare X X", "evidence fleet X", "promote X", "preflight --config X",
          "strategy check X.py:X", "strategy run X.py:X"]  # fmt: skip
CHECKERS = ["doctor --config X", "state check --config X", "state accept --config X --reason y",
            "caps explain --config X"]  # fmt: skip
READERS = ["journal query --dir X", "journal status --dir X", "journal compress --dir X",
           "order Y --dir X", "keys check --config X", "bot new y --config X"]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "code"),
    [*((one, 1) for one in (*JUDGES, *READERS)), *((one, 2) for one in CHECKERS)],
)
def test_an_input_that_cannot_be_used_has_its_documented_code_and_is_named(
    tmp_path: Path, line: str, code: int
) -> None:
    absent = str(tmp_path / "absent")
    result = run(*line.replace("X.py:X", f"{absent}.py:X").replace(" X", f" {absent}").split())
    assert result.exit_code == code, result.output
    assert absent in result.stderr
    assert "Traceback" not in result.stderr


def test_one_typo_is_one_message(tmp_path: Path) -> None:
    config = tmp_path / "box.toml"
    config.write_text('[venue]\nenvironment = "sim"\nsymbls = ["BTCUSDT"]\n[caps]\n')
    result = run("keys", "check", "--config", str(config))
    lines = [line for line in result.stderr.splitlines() if "symb" in line]
    assert len(lines) == 1, result.stderr
    assert lines[0].endswith(f"{config}: venue.symbls: unknown key; did you mean symbols?")


def test_a_type_that_there_is_not_is_answered_with_those_like_it(tmp_path: Path) -> None:
    result = run("journal", "query", "--type", "denied", "--dir", str(tmp_path))
    assert result.exit_code == 2
    assert "no event type 'denied'; did you mean order_denied?" in result.stderr
    assert len(result.stderr) < 400

"""One manner for all commands: --reason, --yes, one question; and a help that waits for nothing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from control.methods import METHODS
from control.tool import client, status_command
from control.tool.command_frame import Wiring
from control.tool.help_lines import SAYINGS
from control.tool.kill_command import parse
from control.tool.mounted_commands import Tool
from tests.support.control_port import FakePort
from tests.support.control_server import serving

ROOT = Path(__file__).parents[2]


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


def options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in param.opts}


def run(path: Path, *args: str, **extra: Any) -> Result:
    return CliRunner().invoke(Tool(), ["--socket", str(path), *args], obj=Wiring(), **extra)


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.tool.command_frame.is_interactive", lambda: True)


def test_the_help_says_every_command_and_imports_none() -> None:
    program = (
        "import sys\nsys.argv = ['seatrial', '--help']\n"
        "from control.tool.mounted_commands import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    places = {place.partition(":")[0] for place in Tool()._places.values()}
    assert not loaded & places
    assert not loaded & {"rich", "pydantic", "asyncio", "aiohttp"}
    for name, saying in SAYINGS.items():
        assert f"  {name} " in done.stdout
        assert saying in done.stdout, "a line that does not fit 80 columns"


def test_every_command_has_a_saying_and_every_saying_a_command() -> None:
    assert set(SAYINGS) == set(Tool().list_commands(click.Context(Tool())))
    assert all(0 < len(saying) <= 64 for saying in SAYINGS.values())


def test_a_shell_is_told_names_without_an_import() -> None:
    group = Tool()
    found = group.shell_complete(click.Context(group), "re")
    assert [one.value for one in found] == ["re-arm", "re-enable", "reconcile"]
    assert not group._found


def test_who_takes_a_reason_takes_yes() -> None:
    found = dict(commands(Tool()))
    with_reason = {name for name, command in found.items() if "--reason" in options(command)}
    assert {"start", "stop", "kill", "caps set", "incident resolve", "explain"} <= with_reason
    assert not {name for name in with_reason if "--yes" not in options(found[name])}


def test_the_short_road_to_the_kill_takes_yes_too() -> None:
    asked = parse(["kill", "--yes", "--reason", "spread"])
    assert asked is not None
    assert asked.reason == "spread"


@pytest.mark.parametrize(
    ("words", "plain"),
    [
        (["status"], ("", False)),
        (["status", "--json"], ("", True)),
        (["--socket", "a", "status"], ("a", False)),
        (["status", "--socket=a", "--json"], ("a", True)),
        (["status", "--help"], None),
        (["status", "--socket"], None),
        (["--json", "status"], None),
        (["rpc", "call", "status"], None),
        (["incident", "note", "i1", "status"], None),
        (["status", "status"], None),
    ],
)
def test_a_plain_status_asks_at_once_and_whatever_else_is_the_command_lines(
    words: list[str], plain: tuple[str, bool] | None
) -> None:
    assert status_command.parse(words) == plain


def test_a_status_says_the_same_on_both_roads_and_waits_as_long(tmp_path: Path) -> None:
    with serving(tmp_path) as path:
        by_click = run(path, "status", "--json")
        short = subprocess.run(
            [sys.executable, "-m", "control.main", "--socket", str(path), "status", "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
    assert by_click.exit_code == 0
    told = [json.loads(text) for text in (by_click.output, short.stdout)]
    assert told[0].keys() == told[1].keys()
    assert METHODS["status"].deadline_s + client._GRACE_S == status_command.TIMEOUT_S


@pytest.mark.usefixtures("at_a_terminal")
def test_a_start_asks_one_question_and_yes_is_its_answer(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, "start", input="y\n")
    assert result.exit_code == 0, result.output
    assert result.output.count("?") == 1
    assert [command.reason for command in port.commands] == [""]


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize("command", ["re-arm", "re-enable", "flatten"])
def test_a_yes_is_never_taken_for_a_reason(tmp_path: Path, command: str) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = run(path, command, input="y\ny\nit was the cable\n")
    assert result.exit_code == 0, result.output
    assert "'y' is no reason" in result.output
    assert [one.reason for one in port.commands] == ["it was the cable"]


@pytest.mark.usefixtures("at_a_terminal")
def test_a_no_does_nothing(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        assert run(path, "re-arm", "--reason", "x", input="n\n").exit_code == 1
    assert port.commands == []


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize(
    "words",
    [
        ("start", "--yes"),
        ("re-arm", "--yes", "--reason", "x"),
        ("stop",),
        ("stop", "--yes"),
        ("cancel-all", "--yes"),
        ("shutdown", "--yes"),
        ("kill", "--yes"),
        ("reconcile", "--yes"),
        ("caps", "set", "orders_open_max=1", "--yes", "--reason", "x"),
        ("explain", "1", "--reason", "x", "--yes"),
        ("incident", "resolve", "i-2", "--yes", "--root-cause", "a", "--remediation", "b",
         "--follow-up", "none"),
    ],
)  # fmt: skip
def test_with_yes_nothing_is_asked(tmp_path: Path, words: tuple[str, ...]) -> None:
    with serving(tmp_path) as path:
        result = run(path, *words, input="")
    assert result.exit_code == 0, result.output
    assert "?" not in result.output


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        (("incident", "resolve", "i-2"), "--root-cause --remediation --follow-up"),
        (("incident", "resolve", "i-2", "--root-cause", "a"), "--remediation"),
        (("explain", "1"), "--reason"),
        (("caps", "set", "orders_open_max=1"), "--reason"),
        (("re-arm", "--yes"), "--reason"),
    ],
)
def test_without_a_terminal_what_is_lacking_is_a_usage_error(
    tmp_path: Path, words: tuple[str, ...], lacking: str
) -> None:
    with serving(tmp_path) as path:
        result = run(path, *words, input="")
    assert result.exit_code == 2
    assert f"needs {lacking}" in result.stderr

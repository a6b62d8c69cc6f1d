"""A configuration that cannot be used ends each command that reads it in one manner."""

import json
from pathlib import Path

import pytest
from click import Command
from click.testing import CliRunner

from daemon.cli.caps_commands import explain_command
from daemon.cli.doctor_command import doctor_command
from daemon.cli.notify_command import notify_test
from daemon.cli.preflight_command import preflight_command
from daemon.cli.state_commands import check_command

BAD = 'state_dir = "state"\n[venue]\nenvironment = "sim"\nsymbols = []\nsymbol = 1\n'


@pytest.mark.parametrize(
    ("command", "code"),
    [(doctor_command, 2), (explain_command, 2), (check_command, 2), (preflight_command, 1)],
    ids=["doctor", "caps explain", "state check", "preflight"],
)
def test_every_problem_is_told_and_as_json_too(tmp_path: Path, command: Command, code: int) -> None:
    config = tmp_path / "seatrial.toml"
    config.write_text(BAD)
    ended = CliRunner().invoke(command, ["--config", str(config), "--json"])
    assert ended.exit_code == code
    told = json.loads(ended.stdout)["error"]
    assert told["exit_code"] == code
    assert "venue.symbol" in told["message"]
    assert told["message"].count(str(config)) > 1, "a line each"
    assert ended.stderr.startswith(f"seatrial: {config}: ")


def test_the_configuration_is_found_by_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "seatrial.toml"
    config.write_text(BAD)
    monkeypatch.setenv("SEATRIAL_CONFIG", str(config))
    for command in (check_command, notify_test):
        ended = CliRunner().invoke(command, [])
        assert ended.exit_code == 2
        assert str(config) in ended.stderr

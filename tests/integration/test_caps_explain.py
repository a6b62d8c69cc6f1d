"""`seatrial caps explain`: every cap of the configuration, with its meaning and its clause."""

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import caps_commands
from daemon.cli.caps_commands import explain_command
from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS
from tests.support.forked import run

ROOT = Path(__file__).resolve().parents[2]


def explain(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("tool", ["caps", "explain", "--config", path, *arguments])


def config(directory: Path) -> Path:
    caps = (ROOT / "deploy/caps/testnet-strict.toml").read_text()
    path = directory / "seatrial.toml"
    path.write_text(
        f'state_dir = "{directory}/state"\n'
        '[venue]\nenvironment = "binance-spot-testnet"\nsymbols = ["BTCUSDT"]\n' + caps
    )
    return path


def test_every_cap_is_shown_with_value_and_clause(tmp_path: Path) -> None:
    done = explain(config(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["caps"]
    assert {row["cap"] for row in rows if not row["symbol"]} == set(PORTFOLIO_CAPS)
    assert {row["cap"] for row in rows if row["symbol"]} == set(SYMBOL_CAPS)
    assert all(row["clauses"] and row["text"] for row in rows)


def test_the_table_is_for_people(tmp_path: Path) -> None:
    done = explain(config(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "drawdown_numeraire_max" in done.stdout
    assert "fall from the peak" in done.stdout


def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[caps]\nnonsense = 1\n")
    done = explain(path)
    assert done.returncode == 2
    assert "caps.nonsense" in done.stderr


@pytest.mark.parametrize("cap", ["symbols.BTCUSDT.order_qty_base_max", "symbols.GONE.sides"])
def test_a_running_daemons_tightened_caps_are_those_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cap: str
) -> None:
    tightened = [{"cap": cap, "value": "0.00001", "config": "0.01"}]
    monkeypatch.setattr(
        caps_commands, "call", lambda *_: {"caps": [], "tightened": tightened, "numeraire": "USDT"}
    )
    done = CliRunner().invoke(explain_command, ["--config", str(config(tmp_path))])
    assert done.exit_code == 0, done.output
    if "GONE" in cap:
        assert "started with other caps" in done.stderr
        assert "tightened;" not in done.stdout
    else:
        assert "0.00001 (tightened; file: 0.01)" in done.stdout


def test_no_line_is_wider_than_eighty_columns(tmp_path: Path) -> None:
    told = explain(config(tmp_path)).stdout.splitlines()
    assert max(map(len, told)) <= 80
    at = next(n for n, line in enumerate(told) if "conversions " in line)
    assert told[at + 1].startswith(" " * 41), "a long value goes on below itself"
    assert "clauses of docs/CONTROLS.md" in told[-1]
    at = next(n for n, line in enumerate(told) if "exposure_gross_numeraire_max" in line)
    assert told[at + 1] == "      sum of worst sides [26, 35, 40]"

"""The first day: `seatrial init` writes what the daemon takes, `completion` what shells take."""

import json
import socket
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from control.tool import caps_fit, init_wizard
from control.tool.command_frame import Wiring
from control.tool.mounted_commands import _symbol_facts
from control.tool.root_command import control_group
from daemon.settings import load_config
from daemon.shell.keys.credentials import load_credentials
from riskcaps.words.explain import unknown_cap
from tests.support.control_port import FakePort
from tests.support.control_server import serving
from tests.support.sim_process import SimProcess

SIM_LINE = json.dumps(
    {
        "rest": "http://127.0.0.1:1",
        "ws_api": "ws://127.0.0.1:1/ws-api/v3",
        "streams": "ws://127.0.0.1:1",
        "admin": "http://127.0.0.1:1",
        "api_key": "k" * 64,
        "api_secret": "s" * 64,
        "pid": 1,
    }
)


def init(
    directory: Path, *args: str, check: Callable[[Path], list[str]] | None = None, **extra: Any
) -> Result:
    if not {"--sim", "--venue"} & set(args):
        args = (*args, "--venue", "binance-spot-testnet")
    return CliRunner().invoke(
        control_group,
        ["init", "--dir", str(directory), *args],
        obj=Wiring(check_config=check),
        **extra,
    )


@pytest.mark.parametrize("strategy", init_wizard.STRATEGIES)
@pytest.mark.parametrize("preset", sorted(init_wizard.presets()))
def test_the_daemon_accepts_what_init_writes(tmp_path: Path, preset: str, strategy: str) -> None:
    result = init(tmp_path / "box", "--caps", preset, "--strategy", strategy)
    assert result.exit_code == 0, result.output
    loaded = load_config(tmp_path / "box" / "seatrial.toml")
    assert loaded.settings.venue.environment == "binance-spot-testnet"
    assert list(loaded.settings.strategies) == [strategy]
    assert set(loaded.settings.venue.symbols) == set(
        caps_fit.symbols_of(init_wizard.read_preset(preset))
    )


def test_presets_are_there() -> None:
    assert {"testnet-strict", "tiny", "live-pilot"} <= set(init_wizard.presets())


def test_with_the_sims_line_it_is_ready_to_run(tmp_path: Path) -> None:
    result = init(tmp_path, "--sim", "-", "--symbol", "BTCUSDT", "--json", input=SIM_LINE + "\n")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)["written"]
    assert written == [str(tmp_path / "seatrial.toml"), str(tmp_path / "credentials.toml")]
    loaded = load_config(tmp_path / "seatrial.toml")
    assert loaded.settings.venue.rest == "http://127.0.0.1:1"
    assert loaded.settings.venue.symbols == ("BTCUSDT",)
    credentials = load_credentials(loaded.settings.credentials.file, environ={})
    assert credentials.api_key == "k" * 64


def test_no_secret_enters_the_config_and_the_key_file_is_private(tmp_path: Path) -> None:
    init(tmp_path, "--sim", "-", input=SIM_LINE)
    config = (tmp_path / "seatrial.toml").read_text()
    assert "k" * 64 not in config
    assert "s" * 64 not in config
    assert stat.S_IMODE((tmp_path / "credentials.toml").stat().st_mode) == 0o600


def test_keys_from_systemd_need_no_file(tmp_path: Path) -> None:
    assert init(tmp_path, "--keys", "systemd").exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["seatrial.toml"]
    assert load_config(tmp_path / "seatrial.toml").settings.credentials.file is None


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "credentials.toml").write_text("mine")
    result = init(tmp_path)
    assert result.exit_code == 1
    assert "is there already" in result.stderr
    assert (tmp_path / "credentials.toml").read_text() == "mine"
    assert not (tmp_path / "seatrial.toml").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--caps", "none-such"], "take one of bots, live-pilot, testnet-strict, tiny"),
        (["--symbol", "DOGEUSDT"], "every order on DOGEUSDT would be denied"),
        (["--venue", "sim"], "needs --sim FILE with the line that `seatrial sim` prints"),
        (["--sim", "-"], "copy the one line"),
    ],
)
def test_choices_that_do_not_fit_are_said(tmp_path: Path, args: list[str], says: str) -> None:
    result = init(tmp_path / "box", *args, input="{}\n")
    assert result.exit_code == 1
    assert says in result.stderr
    assert not (tmp_path / "box").exists()


@pytest.mark.parametrize("text", ["", "not = [toml", "[other]\n", "caps = 7\n"])
def test_a_caps_file_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "caps.toml").write_text(text)
    result = init(tmp_path / "box", "--caps", str(tmp_path / "caps.toml"))
    assert result.exit_code == 1
    assert "[caps]" in result.stderr


def test_problems_that_the_daemon_would_find_are_shown(tmp_path: Path) -> None:
    result = init(tmp_path, check=lambda _path: ["venue.symbols: too many"])
    assert result.exit_code == 1
    assert "venue.symbols: too many" in result.stderr


def test_a_path_with_quotes_and_blanks_survives_the_toml(tmp_path: Path) -> None:
    odd = tmp_path / 'a "box" \\ with é'
    assert init(odd).exit_code == 0
    written = tomllib.loads((odd / "seatrial.toml").read_text(encoding="utf-8"))
    assert written["state_dir"] == str(odd / "state")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    result = CliRunner().invoke(control_group, ["completion", shell], obj=Wiring())
    assert result.exit_code == 0, result.output
    assert "_SEATRIAL_COMPLETE" in result.stdout
    if shell == "bash":
        checked = subprocess.run(
            ["bash", "-n"], input=result.stdout, text=True, check=False, capture_output=True
        )
        assert checked.returncode == 0, checked.stderr


def test_completion_completes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from control.main import main; main()"],
        env={
            "_SEATRIAL_COMPLETE": "bash_complete",
            "COMP_WORDS": "seatrial re-",
            "COMP_CWORD": "1",
        },
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert {line.split(",")[1] for line in done.stdout.split()} == {"re-arm", "re-enable"}


def test_caps_set_sends_what_the_caps_module_reads(tmp_path: Path) -> None:
    port = FakePort()
    with serving(tmp_path, port) as path:
        result = CliRunner().invoke(
            control_group,
            [
                *("--socket", str(path), "caps", "set", "orders_per_hour_max=100"),
                *("BTCUSDT.order_qty_base_max=0.001", "symbols.BTCUSDT.sides=BUY,SELL"),
                *("--reason", "calm down"),
            ],
            obj=Wiring(),
        )
        wrong = CliRunner().invoke(
            control_group,
            ["--socket", str(path), "caps", "set", "x", "--reason", "r"],
            obj=Wiring(),
        )
        unknown = [
            CliRunner().invoke(
                control_group,
                ["--socket", str(path), "caps", "set", name + "=1"],  # before a reason is asked for
                obj=Wiring(unknown_cap=unknown_cap),
            )
            for name in ("foo", "orders_per_hour", "BTCUSDT.order_qty_base")
        ]
    assert result.exit_code == 0, result.output
    (command,) = port.commands
    assert command.params["changes"] == {
        "orders_per_hour_max": 100,
        "symbols.BTCUSDT.order_qty_base_max": "0.001",
        "symbols.BTCUSDT.sides": ["BUY", "SELL"],
    }
    capset = load_config(_config(tmp_path / "box")).capset
    assert capset.tighten(command.params["changes"]).hash != capset.hash
    assert wrong.exit_code == 2
    mends = ("see `seatrial caps explain`", "orders_per_hour_max?", "SYMBOL.order_qty_base_max?")
    for done, mend in zip(unknown, mends, strict=True):
        assert done.exit_code == 2
        assert "there is no cap" in done.stderr
        assert mend in done.stderr


def _config(directory: Path) -> Path:
    assert init(directory).exit_code == 0
    return directory / "seatrial.toml"


def test_of_the_caps_symbols_those_are_offered_that_the_sim_lists(tmp_path: Path) -> None:
    line = json.loads(SIM_LINE) | {"symbols": ["ETHUSDT", "DOGEUSDT"]}
    done = init(tmp_path / "box", "--sim", "-", "--caps", "testnet-strict", input=json.dumps(line))
    assert done.exit_code == 0, done.output
    loaded = load_config(tmp_path / "box" / "seatrial.toml")
    assert loaded.settings.venue.symbols == ("ETHUSDT",)


def test_without_a_terminal_the_venue_has_to_be_said(tmp_path: Path) -> None:
    args = ["init", "--dir", str(tmp_path / "box")]
    result = CliRunner().invoke(control_group, args, obj=Wiring())
    assert result.exit_code == 2
    assert "--venue binance-spot-testnet" in result.stderr
    assert not (tmp_path / "box").exists()


def test_a_person_who_takes_the_sim_is_asked_for_its_file_before_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.tool.setup_commands.is_interactive", lambda: True)
    (tmp_path / "sim.json").write_text(SIM_LINE)
    (tmp_path / "other").write_text("{}")
    given = ["sim", str(tmp_path / "absent"), str(tmp_path / "other"), str(tmp_path / "sim.json")]
    done = CliRunner().invoke(
        control_group,
        ["init", "--dir", str(tmp_path / "box")],
        obj=Wiring(),
        input="\n".join([*given, "", "", "", ""]) + "\n",
    )
    assert done.exit_code == 0, done.output
    assert "absent: No such file or directory" in done.output
    assert "other: the sim's line has rest" in done.output
    assert done.output.index("(--sim)") < done.output.index("Caps preset")
    assert load_config(tmp_path / "box" / "seatrial.toml").settings.venue.environment == "sim"


def test_a_taken_metrics_port_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = taken.getsockname()[1]
        monkeypatch.setattr(init_wizard, "METRICS_PORT", usual)
        result = init(tmp_path / "box")
        assert result.exit_code == 0, result.output
        port = load_config(tmp_path / "box" / "seatrial.toml").settings.metrics.port
        assert port != usual
        assert (
            f"metrics port {port}, as {usual} is taken: http://127.0.0.1:{port}/" in result.output
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", port))


@pytest.mark.parametrize("preset", ["testnet-strict", "tiny"])
def test_caps_are_fitted_to_any_symbol_that_the_venue_lists(tmp_path: Path, preset: str) -> None:
    with SimProcess(seed=3, symbols="BTCUSDT,XRPUSDT,DOGEUSDT") as sim:
        asked = ["--sim", "-", "--caps", preset, "--symbol", "XRPUSDT", "--symbol", "DOGEUSDT",
                 "--strategy", "heartbeat"]  # fmt: skip
        wiring = Wiring(symbol_facts=_symbol_facts)
        made = CliRunner().invoke(
            control_group,
            ["init", "--dir", str(tmp_path / "box"), *asked],
            obj=wiring,
            input=json.dumps(sim.ready) + "\n",
        )
        assert made.exit_code == 0, made.output
        assert "caps of XRPUSDT were fitted" in made.output
        unlisted = CliRunner().invoke(
            control_group,
            ["init", "--dir", str(tmp_path / "no"), "--sim", "-", "--symbol", "NOSUCHUSDT"],
            obj=wiring,
            input=json.dumps(sim.ready) + "\n",
        )
        assert unlisted.exit_code == 1
        assert "does not list NOSUCHUSDT; see its name" in unlisted.stderr
        for name in ("btcusdt", "xrpusdt"):  # one that the caps know, one that only the venue does
            small = CliRunner().invoke(
                control_group,
                ["init", "--dir", str(tmp_path / "no"), "--sim", "-", "--symbol", name],
                obj=wiring,
                input=json.dumps(sim.ready) + "\n",
            )
            assert f"does not list {name}; did you mean {name.upper()}?" in small.stderr
    caps = tomllib.loads((tmp_path / "box" / "seatrial.toml").read_text())["caps"]
    pattern, row = caps["symbols"]["BTCUSDT"], caps["symbols"]["XRPUSDT"]
    assert load_config(tmp_path / "box" / "seatrial.toml").settings.venue.symbols == (
        "XRPUSDT", "DOGEUSDT",
    )  # fmt: skip
    assert row["order_notional_quote_max"] == pattern["order_notional_quote_max"]
    ratio = Decimal(pattern["position_long_base_max"]) / Decimal(pattern["order_qty_base_max"])
    found = Decimal(row["position_long_base_max"]) / Decimal(row["order_qty_base_max"])
    assert abs(found / ratio - 1) < Decimal("0.1")
    # The preset's own way (XRPETH, ETHUSDT) leads over prices that this box does not hear.
    assert caps["conversions"]["XRP"] == ["XRPUSDT"]
    assert caps["conversions"]["BTC"] == ["BTCUSDT"]


def test_caps_are_fitted_to_a_symbol_of_another_quote(tmp_path: Path) -> None:
    with SimProcess(seed=3, symbols="BTCUSDT,ETHUSDT,ETHBTC") as sim:
        made = CliRunner().invoke(
            control_group,
            ["init", "--dir", str(tmp_path / "box"), "--sim", "-", "--caps", "testnet-strict",
             "--symbol", "ETHBTC", "--strategy", "heartbeat"],
            obj=Wiring(symbol_facts=_symbol_facts),
            input=json.dumps(sim.ready) + "\n",
        )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "BTCUSDT is in venue.symbols for its price" in made.output
    loaded = load_config(tmp_path / "box" / "seatrial.toml").settings
    assert loaded.venue.symbols == ("ETHBTC", "BTCUSDT")
    assert loaded.strategies["heartbeat"].symbols == ("ETHBTC",)
    caps = tomllib.loads((tmp_path / "box" / "seatrial.toml").read_text())["caps"]
    pattern, row = caps["symbols"]["BTCUSDT"], caps["symbols"]["ETHBTC"]
    price = Decimal(pattern["order_notional_quote_max"]) / Decimal(row["order_notional_quote_max"])
    assert 50_000 < price < 70_000, "worth as much, in BTC"
    assert Decimal(row["order_qty_base_max"]) < 2
    assert caps["conversions"]["ETH"] == ["ETHBTC", "BTCUSDT"]


def test_a_quote_whose_pair_stands_the_other_way_round_is_fitted_too() -> None:
    facts = {"base": "BTC", "quote": "TRY", "lot": "0.00001", "notional_min": "10", "price": "2E6"}
    found = {"USDTTRY": {"base": "USDT", "quote": "TRY", "price": "40"}}
    rate = caps_fit.rate_of("USDTTRY", found, facts)
    assert Decimal(rate) == Decimal("0.025")
    text = caps_fit.fitted(
        init_wizard.read_preset("testnet-strict"),
        "BTCTRY",
        {**facts, "pair": "USDTTRY", "rate": rate},
    )
    caps = tomllib.loads(text)["caps"]
    assert Decimal(caps["symbols"]["BTCTRY"]["order_notional_quote_max"]) == 60_000
    assert caps["conversions"]["TRY"] == ["USDTTRY"]
    assert caps["conversions"]["BTC"] == ["BTCTRY", "USDTTRY"]


def test_a_quote_that_the_caps_do_not_count_in_is_refused_with_the_mend() -> None:
    facts = {"base": "XRP", "quote": "EUR", "lot": "1", "notional_min": "5", "price": "0.5"}
    with pytest.raises(caps_fit.WizardError, match="quoted in EUR"):
        caps_fit.fitted(init_wizard.read_preset("tiny"), "XRPEUR", facts)


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({}, ('order_notional_quote_max = "1500"', "as BTCUSDT; 0.0015 % of a day's trades")),
        (
            {"day_volume": "200000"},
            ('order_notional_quote_max = "200"', "0.1 % of a day's trades"),
        ),
        (
            {"day_volume": "40"},
            ('order_notional_quote_max = "10"', "twice the venue's least order: XUSDT hardly"),
        ),
        ({"tick": "0.01"}, ("collar_bps_max = 1001", "5 ticks: one is 200 bps")),
        ({"orders_open": "5"}, ("orders_open_max = 5", "the venue takes no more")),
        (
            {"order_types": "LIMIT LIMIT_MAKER"},
            ('order_types = ["LIMIT", "LIMIT_MAKER"]', "that the venue takes here"),
        ),
        ({"day_volume": "0"}, ('order_notional_quote_max = "1500"', "the venue told no volume")),
    ],
)
def test_each_fitted_cap_says_why_its_number_is_what_it_is(
    changes: dict[str, str], lines: tuple[str, str]
) -> None:
    facts = {"base": "X", "quote": "USDT", "lot": "1", "notional_min": "5", "price": "0.5",
             "tick": "0.0001", "day_volume": "100000000", "orders_open": "200",
             "order_types": "LIMIT LIMIT_MAKER MARKET STOP_LOSS"}  # fmt: skip
    preset = init_wizard.read_preset("testnet-strict")
    text = caps_fit.fitted(preset, "XUSDT", {**facts, **changes})
    written = caps_fit.lines_of(text, "XUSDT")
    assert all(" # " in line for line in written)
    value, why = lines
    assert [line for line in written if line.startswith(value) and why in line], written
    caps = tomllib.loads(text)["caps"]["symbols"]
    row, pattern = caps["XUSDT"], caps["BTCUSDT"]
    assert row.keys() == pattern.keys()
    worth = Decimal(row["order_qty_base_max"]) * Decimal("0.5")
    assert worth <= Decimal(row["order_notional_quote_max"]) <= 1_500, "never looser"
    assert Decimal(row["exposure_quote_max"]) <= Decimal(pattern["exposure_quote_max"])


def test_without_the_venue_a_symbol_that_the_preset_does_not_know_is_refused_with_the_mend(
    tmp_path: Path,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = {"rest": f"http://127.0.0.1:{port}", "ws_api": f"ws://127.0.0.1:{port}/ws-api/v3",
            "streams": f"ws://127.0.0.1:{port}", "api_key": "k", "api_secret": "s"}  # fmt: skip
    made = CliRunner().invoke(
        control_group,
        ["init", "--dir", str(tmp_path / "box"), "--sim", "-", "--symbol", "DOGEUSDT"],
        obj=Wiring(symbol_facts=_symbol_facts),
        input=json.dumps(line) + "\n",
    )
    assert made.exit_code == 1
    for words in ("the venue cannot be asked", "that the simulated venue runs",
                  "a symbol that these caps know (BTCUSDT", "[caps.symbols.DOGEUSDT]"):  # fmt: skip
        assert words in made.stderr
    assert not (tmp_path / "box").exists()


def test_orders_below_the_venues_least_are_refused() -> None:
    facts = {"base": "X", "quote": "USDT", "lot": "1", "notional_min": "100000", "price": "0.5"}
    with pytest.raises(caps_fit.WizardError, match="takes none below"):
        caps_fit.fitted(init_wizard.read_preset("tiny"), "XUSDT", facts)

"""What a demo runs: options, symbols, sizes, and the configuration it writes for the daemon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from daemon.model.amounts import decimal_of, plain

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
QUOTING = {"half_spread_bps": 1, "requote_bps": 1, "order_age_ms": 1_500, "pause_ms": 100}
BEATING = {"period_ms": 700, "take_every": 3}
"""Livelier than the strategies' defaults: a demo is short."""
REPLAY_CONVERSION = "ETHUSDT"
"""Prices the quote asset of the recorded XRPETH trades in the numeraire."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    seconds: int = 60
    seed: int = 7
    replay: Path | None = None
    speed: str = "1"
    directory: Path
    crashes: int = 0
    faults: str = "none"
    caps: str = "demo"
    as_json: bool = False


QTY = {"BTCUSDT": "0.002", "ETHUSDT": "0.04", "BNBUSDT": "0.2", "XRPETH": "60"}
"""What one quote of a symbol offers, in base; of a symbol that is not here, as of XRPETH."""


def recorded_symbol(recording: Path) -> str:
    """The symbol of recorded trades: their file's name up to its first `-`."""
    return recording.name.partition("-")[0].upper()


def symbols_of(options: DemoOptions) -> tuple[str, ...]:
    """The symbols of this demo: the recorded one first when trades are replayed."""
    if options.replay is None:
        return SYMBOLS
    return tuple(dict.fromkeys((recorded_symbol(options.replay), REPLAY_CONVERSION, "BTCUSDT")))


def sim_arguments(options: DemoOptions, ledger: Path) -> list[str]:
    """Command line of the simulated venue."""
    arguments = [
        "--port",
        "0",
        "--seed",
        str(options.seed),
        "--symbols",
        ",".join(symbols_of(options)),
        "--ledger",
        str(ledger),
    ]
    if options.replay is not None:
        arguments += ["--replay", str(options.replay), "--speed", options.speed]
    if options.faults != "none":
        arguments += ["--faults", options.faults, "--fault-seed", str(options.seed)]
    return arguments


def strategies_of(options: DemoOptions) -> dict[str, Any]:
    """A two-sided quoter on each symbol and a heartbeat; probers where the caps are tiny."""
    tables: dict[str, Any] = {}
    for symbol in symbols_of(options):
        tables[f"quoter-{symbol.lower()}"] = {
            "class": "quoter",
            "symbols": [symbol],
            "params": {"qty": _qty(symbol), **QUOTING},
        }
    if options.caps == "tiny":
        return {
            f"prober-{symbol.lower()}": {
                "class": "prober",
                "symbols": [symbol],
                "params": {"qty": plain(decimal_of(_qty(symbol)) / 2)},
            }
            for symbol in symbols_of(options)
        }
    first = symbols_of(options)[0]
    tables["heartbeat"] = {
        "class": "heartbeat",
        "symbols": [first],
        "params": {"qty": _qty(first), **BEATING},
    }
    return tables


def _qty(symbol: str) -> str:
    return QTY.get(symbol, QTY["XRPETH"])


def toml_text(table: Mapping[str, Any], prefix: str = "") -> str:
    """Write a mapping as TOML: text, integers, booleans, lists of text, tables."""
    plain = {k: v for k, v in table.items() if not isinstance(v, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    out = "\n".join(lines) + ("\n" if lines else "")
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{_key(key)}"
            out += f"\n[{name}]\n{toml_text(value, name + '.')}"
    return out


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else f'"{key}"'


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'

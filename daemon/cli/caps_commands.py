"""`seatrial caps explain`: each cap, its value, its current use, what it means, which clause.

Exit codes: 0 shown; 2 the configuration cannot be used.
"""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn

import click
import msgspec
from rich.console import Console
from rich.table import Table

from control.control_errors import ControlError
from control.tool.client import call
from daemon.cli.config_option import CONFIG
from daemon.settings import SettingsError, load_config
from riskcaps.words.explain import CapUsage, ExplainRow, explain_rows

EXIT_UNUSABLE = 2
WIDE = 160
"""Columns when the output is no terminal: nothing is folded."""


@click.command("explain")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def explain_command(config_path: Path, *, as_json: bool) -> None:
    """Explain each cap: value, current use (of a running daemon), clause of docs/CONTROLS.md."""
    try:
        config = load_config(config_path)
    except SettingsError as error:
        _refuse("\n".join(f"{config_path}: {line}" for line in error.violations))
    rows = explain_rows(config.capset, _usage(config.settings.socket_path))
    if as_json:
        click.echo(json.dumps({"caps": [msgspec.structs.asdict(row) for row in rows]}))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)
    for symbol in dict.fromkeys(row.symbol for row in rows):
        console.print(_table(symbol, [row for row in rows if row.symbol == symbol]))


def _usage(socket: Path) -> list[CapUsage]:
    """What a running daemon uses of each cap; nothing when none answers."""
    try:
        found: list[Any] = call(socket, "caps")["caps"]
    except (ControlError, KeyError):
        return []
    return [
        CapUsage(
            cap=row["cap"],
            symbol=row["symbol"],
            used=Decimal(row["used"]),
            limit=Decimal(row["limit"]),
            unit=row["unit"],
            clause="",  # stands in our own table, as the text does
        )
        for row in found
    ]


def _table(symbol: str, rows: list[ExplainRow]) -> Table:
    table = Table(title=symbol or "portfolio", title_justify="left", box=None, pad_edge=False)
    for name in ("cap", "value", "used", "", "unit", "what it bounds", "clauses"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.cap, row.value, row.used, row.percent, row.unit, row.text, row.clauses)
    return table


def _refuse(message: str) -> NoReturn:
    for line in message.splitlines():
        click.echo(f"seatrial caps explain: {line}", err=True)
    sys.exit(EXIT_UNUSABLE)

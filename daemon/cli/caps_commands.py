"""`seatrial caps explain`: each cap, its value, its current use, what it means, which clause.

Exit codes: 0 shown; 2 the configuration cannot be used.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from control.control_errors import ControlError
from control.tool.client import call
from daemon.cli.config_option import CONFIG, known_config
from riskcaps.words.capset import CapConfigError
from riskcaps.words.explain import CapUsage, ExplainRow, explain_rows

EXIT_UNUSABLE = 2
WIDE = 160
"""Columns when the output is no terminal: nothing is folded."""


@click.command("explain")
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object.")
def explain_command(config_path: Path, *, as_json: bool) -> None:
    """Explain each cap: value in force, use (of a running daemon), clause of docs/CONTROLS.md."""
    config = known_config(config_path, EXIT_UNUSABLE, as_json=as_json)
    usage, changes = _told(config.settings.socket_path)
    try:
        rows = explain_rows(config.capset, usage, changes)
    except CapConfigError:
        rows = explain_rows(config.capset, usage)
        click.echo(
            "seatrial caps explain: the running daemon was started with other caps, and `caps set` "
            f"has tightened: {', '.join(changes)}; what follows is the file",
            err=True,
        )
    if as_json:
        click.echo(json.dumps({"caps": [msgspec.structs.asdict(row) for row in rows]}))
        return
    console = Console()
    console = console if console.is_terminal else Console(width=WIDE)
    for symbol in dict.fromkeys(row.symbol for row in rows):
        console.print(_table(symbol, [row for row in rows if row.symbol == symbol]))


def _told(socket: Path) -> tuple[list[CapUsage], dict[str, Any]]:
    """What a running daemon uses of each cap, and what `caps set` made stricter; or nothing."""
    try:
        answer = call(socket, "caps")
        found: list[Any] = answer["caps"]
    except (ControlError, KeyError):
        return [], {}
    usage = [
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
    return usage, {str(row["cap"]): row["value"] for row in answer.get("tightened", ())}


def _table(symbol: str, rows: list[ExplainRow]) -> Table:
    table = Table(title=symbol or "portfolio", title_justify="left", box=None, pad_edge=False)
    for name in ("cap", "value", "used", "", "unit", "what it bounds", "clauses"):
        table.add_column(name, overflow="fold")
    for row in rows:
        value = f"{row.value} (tightened; file: {row.config})" if row.config else row.value
        table.add_row(row.cap, value, row.used, row.percent, row.unit, row.text, row.clauses)
    return table

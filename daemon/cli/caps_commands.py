"""`seatrial caps explain`: each cap, its value, its current use, what it means, which clause.

Exit codes: 0 shown; 2 the configuration cannot be used.
"""

import json
import shutil
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from control.control_errors import ControlError
from control.tool.client import call
from daemon.cli.config_option import CONFIG, known_config
from riskcaps.words.capset import CapConfigError
from riskcaps.words.explain import CapUsage, ExplainRow, explain_rows

EXIT_UNUSABLE = 2


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
    width = shutil.get_terminal_size().columns
    for symbol in dict.fromkeys(row.symbol for row in rows):
        click.echo(symbol or "portfolio")
        for row in rows:
            if row.symbol == symbol:
                click.echo("\n".join(_lines(row, width)))
        click.echo()
    click.echo("The numbers in brackets are clauses of docs/CONTROLS.md.")


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


def _lines(row: ExplainRow, width: int) -> Iterator[str]:
    """One cap: its value and use, and below them what it bounds."""
    value = f"{row.value} (tightened; file: {row.config})" if row.config else row.value
    used = f", used {row.used} ({row.percent})".removesuffix(" ()") if row.used else ""
    said = f"  {row.cap:<38} {value} {row.unit}".rstrip() + used
    yield textwrap.fill(
        said, width, subsequent_indent=" " * 41, break_long_words=False, break_on_hyphens=False
    )
    yield textwrap.fill(
        f"{row.text} [{row.clauses}]", width, initial_indent=" " * 6, subsequent_indent=" " * 6
    )

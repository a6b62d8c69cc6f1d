"""Caps for people: each cap, its value, its use, what it means, and the clause that asks for it.

Rules of this file:
1. It only reads; rows are plain text, and whoever prints them chooses the table.
2. A cap that is zero says that it denies; nothing is left to guess.
"""

import difflib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import plain
from daemon.model.copies import replace
from riskcaps.words.caps import UNLIMITED, UNLIMITED_COUNT, CapSpec
from riskcaps.words.capset import PORTFOLIO_CAPS, SYMBOL_CAPS, CapSet


class CapUsage(msgspec.Struct, frozen=True):
    """One cap, what is used of it, and the clauses that it meets."""

    cap: str
    symbol: str
    used: Decimal | int
    limit: Decimal | int
    unit: str
    clause: str


class ExplainRow(msgspec.Struct, frozen=True):
    """One line of `seatrial caps explain`. `used` is empty where a cap does not fill up."""

    symbol: str
    cap: str
    value: str
    used: str
    percent: str
    unit: str
    clauses: str
    text: str
    config: str = ""
    """The value of the file, where `caps set` has made the one in force stricter."""


def explain_rows(
    caps: CapSet, usage: Iterable[CapUsage] = (), changes: Mapping[str, Any] | None = None
) -> tuple[ExplainRow, ...]:
    """Every cap of a set, portfolio first, with its use where a running gate tells it.

    Args:
        caps: those of the configuration.
        usage: of the running gate.
        changes: what `caps set` has tightened there, by dotted key; it is in force.

    Raises:
        CapConfigError: the changes are not of these caps.
    """
    if changes:
        file = {(row.cap, row.symbol): row.value for row in explain_rows(caps)}
        return tuple(
            replace(row, config=was) if (was := file[row.cap, row.symbol]) != row.value else row
            for row in explain_rows(caps.tighten(changes), usage)
        )
    used = {(use.cap, use.symbol): use for use in usage}
    rows = [_row(spec, "", getattr(caps, key), used) for key, spec in PORTFOLIO_CAPS.items()]
    for symbol in sorted(caps.symbols):
        holder = caps.symbols[symbol]
        rows += [_row(spec, symbol, getattr(holder, k), used) for k, spec in SYMBOL_CAPS.items()]
    return tuple(rows)


def unknown_cap(key: str) -> str:
    """What is wrong with the name of a dotted key; empty: there is a cap of that name."""
    name, known = key.rpartition(".")[2], SYMBOL_CAPS if "." in key else PORTFOLIO_CAPS
    if name in known:
        return ""
    scoped = {
        **{cap: f"SYMBOL.{cap}" for cap in SYMBOL_CAPS},
        **{cap: cap for cap in PORTFOLIO_CAPS},
    }
    close = difflib.get_close_matches(name, scoped, n=1)
    mend = f"did you mean {scoped[close[0]]}?" if close else "see `seatrial caps explain`"
    return f"there is no cap {key!r}; {mend}"


def _row(
    spec: CapSpec, symbol: str, value: Any, used: dict[tuple[str, str], CapUsage]
) -> ExplainRow:
    use = used.get((spec.key, symbol.partition("@")[0]))
    shown = percent = ""
    if use is not None:
        shown = plain(Decimal(use.used))
        percent = f"{int(use.used * 100 / use.limit)} %" if use.limit else "-"
    return ExplainRow(
        symbol, spec.key, _value(spec, value), shown, percent, spec.unit, spec.clauses, spec.text
    )


def _value(spec: CapSpec, value: Any) -> str:
    if spec.kind == "amount":
        if value >= UNLIMITED:
            return "unlimited"
        return plain(value) if value else "0: denies"
    if spec.kind == "count":
        if value >= UNLIMITED_COUNT:
            return "unlimited"
        return str(value) if value or not spec.required else "0: denies"
    if spec.kind == "choice":
        return value or "not set: denies"
    if spec.kind in {"names", "windows"}:
        return ", ".join(value) or "none: denies"
    return ", ".join(f"{asset} {_item(item)}" for asset, item in sorted(value.items())) or "none"


def _item(item: Any) -> str:
    return plain(item) if isinstance(item, Decimal) else " > ".join(item)


def caps_table() -> str:
    """The table of caps in deploy/caps/README.md."""
    lines = ["| cap | unit | stricter | what it bounds | clauses |", "|---|---|---|---|---|"]
    for scope, specs in (("", PORTFOLIO_CAPS), ("symbols.*.", SYMBOL_CAPS)):
        for key, spec in specs.items():
            stricter = {"lower": "lower", "higher": "higher", "subset": "fewer"}.get(
                spec.stricter, spec.stricter
            )
            text = spec.text + (f" ({', '.join(spec.choices)})" if spec.choices else "")
            lines.append(f"| `{scope}{key}` | {spec.unit} | {stricter} | {text} | {spec.clauses} |")
    return "\n".join(lines) + "\n"

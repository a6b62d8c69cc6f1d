"""What the gate has denied, and when it stopped trading, from the daemon's journal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GateDenial:
    """One order of the bot that the gate has denied, by the daemon's journal."""

    ts_ns: int
    reason: str
    symbol: str
    side: str


def denials_of(lines: Iterable[Mapping[str, Any]]) -> list[GateDenial]:
    """The denials of a journal's `order_denied` lines."""
    return [
        GateDenial(line["ts_ns"], line["deny_reason"], line["symbol"], line["side"])
        for line in lines
    ]


@dataclass(frozen=True, slots=True)
class GateStop:
    """The gate stopped trading by itself: until an operator comes it denies every new order."""

    ts_ns: int
    why: str

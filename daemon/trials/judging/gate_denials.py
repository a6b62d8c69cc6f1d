"""What the gate has denied, and when it stopped trading, from the daemon's journal."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class GateDenial(msgspec.Struct, frozen=True):
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


class GateStop(msgspec.Struct, frozen=True):
    """The gate stopped trading by itself: until an operator comes it denies every new order."""

    ts_ns: int
    why: str

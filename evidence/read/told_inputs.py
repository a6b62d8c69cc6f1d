"""Of what the engine was told, the inputs that lines of the journal state again, as typed values.

Rules of this file:
1. Market data, nearly all of a journal's bytes, is never read. A report of the venue is read where
   it tells of a trade.
2. What is compared with a line is typed; the rest of an input is skipped.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from daemon.model.records import EventType
from evidence.read.bot_lines import BotInputLine
from evidence.read.journal_lines import TAG, InputLine, JournalLine


class ToldFill(msgspec.Struct, gc=False):
    """A trade as the venue told it."""

    exec_id: str
    client_order_id: str
    side: str
    qty: str
    price: str
    fee: str = ""
    fee_asset: str = ""
    recovered: bool = False


class ToldReport(msgspec.Struct, gc=False):
    """The state of an order as the venue told it."""

    client_order_id: str = ""
    venue_order_id: str | None = None
    instrument_id: str = ""
    fills: list[ToldFill] = []


class ToldRefusal(msgspec.Struct, gc=False):
    """The venue's no to a request about an order."""

    client_order_id: str
    code: int
    reason: str = ""


class ToldAbsence(msgspec.Struct, gc=False):
    """The venue knows no such order."""

    client_order_id: str = ""


class ToldBalance(msgspec.Struct, gc=False):
    """What the venue says that we have of an asset."""

    asset: str
    free: str
    locked: str


class ToldSnapshot(msgspec.Struct, gc=False):
    """What the venue answered when the books were compared."""

    reason: str = ""
    balances: list[ToldBalance] = []
    open_orders: list[ToldReport] = []
    statuses: list[ToldReport] = []
    fills: list[ToldFill] = []
    lost: list[ToldReport] = []


class ToldActor(msgspec.Struct, frozen=True, gc=False):
    """Who gave a command."""

    uid: int = -1
    name: str = ""
    pid: int = 0
    """0: not a caller of the socket, so the name is not the one that the user id has there."""


class ToldInput(msgspec.Struct, gc=False):
    """One input; what its type does not have is empty."""

    type: str
    link: str = ""
    reason: str = ""
    client_order_id: str = ""
    request: Any = ""
    offset_ns: int = 0
    round_trip_ns: int = 0
    status: int = 0
    code: int = 0
    scope: str = ""
    reject: ToldRefusal | None = None
    report: ToldReport | None = None
    snapshot: ToldSnapshot | None = None
    absent: ToldAbsence | None = None
    actor: ToldActor = ToldActor()
    command_id: str = ""
    method: str = ""
    ts_latched_ns: int = 0


class ToldInputLine(JournalLine, tag_field=TAG, tag=EventType.INPUT.value, kw_only=True):
    """An input that lines state again."""

    input: ToldInput


TOLD = frozenset({
    "LinkUp", "LinkDown", "VenueCancelReject", "VenueAmendReject", "OutcomeUnknown", "ClockSampled",
    "RateLimited", "JournalFault", "SnapshotTaken", "KillLatched", "Command", "VenueReport",
    "NotSent", "OrderAbsent",
})  # fmt: skip
UNREAD = frozenset({
    "MarketData", "PublicTrade", "TimerFired", "BalancesChanged", "BudgetSampled",
})  # fmt: skip
"""Nearly all inputs are of these types, and of them nothing more is read."""
INPUT_LINES = (InputLine, BotInputLine, ToldInputLine)
"""Every class of an input's line: a turn begins with one."""
_DECODE_BOT = msgspec.json.Decoder(BotInputLine).decode
_DECODE_TOLD = msgspec.json.Decoder(ToldInputLine).decode


@lru_cache(maxsize=64)
def _decoder_of(kind: str) -> Callable[[bytes], JournalLine] | None:
    if kind in TOLD:
        return _DECODE_TOLD
    return _DECODE_BOT if kind.startswith("Bot") else None


def whole_of(kind: str, raw: bytes) -> JournalLine | None:
    """The line of an input of this type that is read whole; None: of others the type is enough.

    Raises:
        msgspec.DecodeError: what is read of it is not as it must be.
    """
    decode = _decoder_of(kind)
    if decode is None or (kind == "VenueReport" and b'"fills":[{' not in raw):
        return None
    return decode(raw)

"""Effects: everything the engine can ask for. The mirror of `inputs.py`.

Rules of this file:
1. An effect is a value; performing it never awaits in the pump's turn.
2. `Record` effects are written before any `Send…` effect of the same turn leaves (promise P5).
3. An order leaves only inside `SendOrder`, `SendOrderList` or `SendReplace`, whose payload only the
   interceptor mints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from daemon.model.bots import BotDenial, BotFill, BotOrderRow
from daemon.model.enums import ExecType
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, NewOrderList, ReplaceOrder
from daemon.model.position import Balance
from daemon.model.records import EventType


class Record(msgspec.Struct, frozen=True):
    """Write one line: the event type and its fields (plain JSON values only, money as text)."""

    event_type: EventType
    fields: Mapping[str, Any]


class SendOrder(msgspec.Struct, frozen=True):
    """Hand an approved order to the venue session."""

    order: NewOrder


@dataclass(frozen=True, slots=True)
class SendOrderList:
    """Hand an approved order list to the venue session: one request, all of its orders or none."""

    order_list: NewOrderList


@dataclass(frozen=True, slots=True)
class SendCancel:
    """Hand a cancel to the venue session."""

    cancel: CancelOrder


@dataclass(frozen=True, slots=True)
class SendReplace:
    """Hand a cancel-replace to the venue session."""

    replace: ReplaceOrder


@dataclass(frozen=True, slots=True)
class SendAmend:
    """Hand an amend (a smaller quantity, nothing else) to the venue session."""

    amend: AmendOrder


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Ask what became of one order, with its trades when it has any."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None


@dataclass(frozen=True, slots=True)
class OrderRef:
    """How to ask for one of our orders."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None


@dataclass(frozen=True, slots=True)
class HistoryAfter:
    """Ask for orders of ours at the venue that are later than any that we know of."""

    instance: str
    newest: str
    """The newest client order id of ours that the journal knows; empty: none."""
    after: Mapping[InstrumentId, VenueOrderId]
    """Per instrument, the venue's id of the newest order that we know."""


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Run one reconciliation round and answer `SnapshotTaken` or `SnapshotFailed`.

    `believed_open` are our non-terminal orders: each that the venue does not list as open is
    queried one by one. `trades_after` gives, per instrument, the last booked venue trade id
    (-1: none): history is fetched from a few ids before it. A `routine` round has a budget of its
    own, and waits when that is used up; the others may use what any query may. `history`: once a
    run, whether the venue knows orders of ours that a restored or shortened journal does not.
    """

    reason: str
    believed_open: tuple[OrderRef, ...]
    trades_after: Mapping[InstrumentId, int]
    routine: bool = False
    instance: str = ""
    """Whose orders are ours: trades of all others are counted, not told. Empty: all are told."""
    history: HistoryAfter | None = None


@dataclass(frozen=True, slots=True)
class RefreshInstruments:
    """Read the venue's list of symbols again, when what is known of it is a few seconds old.

    A wish was denied by a filter; the venue may have loosened it. What has changed is told by
    `InstrumentsLoaded`; a list that says the same is not told.
    """

    instrument_id: InstrumentId


@dataclass(frozen=True, slots=True)
class ArmTimer:
    """Answer `TimerFired(timer_id)` at or after `at_ns`; arming again replaces."""

    timer_id: str
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Answer a command: `error_code` empty when it succeeded."""

    command_id: str
    result: Mapping[str, Any] = field(default_factory=dict)
    error_code: str = ""
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class CloseHalt:
    """Close the halt flag (an automatic halt, not an operator's kill)."""

    reason: str


@dataclass(frozen=True, slots=True)
class OpenHalt:
    """Open the halt flag after re-arm or start."""

    reason: str


@dataclass(frozen=True, slots=True)
class ExitDaemon:
    """End the process in order, with this exit code."""

    exit_code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotAnswered:
    """The definite answer to a bot's request. There is at most one for a request.

    A place, cancel or amend has either `denial` or one row. A cancel-all has a row for each order,
    and so has what places or cancels a list, in the order of its legs.
    A replace has `cancel_denial` or `cancel_row` for its first half, and `denial` or one row for
    its second; with neither, the second was not attempted. An accepted test has nothing at all.
    """

    bot: str
    request: int
    denial: BotDenial | None = None
    rows: tuple[BotOrderRow, ...] = ()
    cancel_denial: BotDenial | None = None
    cancel_row: BotOrderRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotOrderChanged:
    """One change of a bot's order, in order, after its lines are written: an execution report.

    `row` is the order right after this change, `fill` the trade where `exec_type` is TRADE.
    """

    bot: str
    row: BotOrderRow
    exec_type: ExecType
    fill: BotFill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotListChanged:
    """A bot's order list has begun, or has ended; told before, or after, its orders' changes.

    `rows` are its orders, in the order of their legs.
    """

    bot: str
    rows: tuple[BotOrderRow, ...]
    is_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BotBalances:
    """What a bot may spend has changed; the rows are all that changed, absolute."""

    bot: str
    rows: tuple[Balance, ...]


Effect = (
    Record
    | SendOrder
    | SendOrderList
    | SendCancel
    | SendReplace
    | SendAmend
    | QueryOrder
    | TakeSnapshot
    | RefreshInstruments
    | ArmTimer
    | Reply
    | CloseHalt
    | OpenHalt
    | ExitDaemon
    | BotAnswered
    | BotOrderChanged
    | BotListChanged
    | BotBalances
)

BotEffect = BotAnswered | BotOrderChanged | BotListChanged | BotBalances
"""The effects that the gateway performs, once the turn's lines are written."""

VenueEffect = (
    SendOrder
    | SendOrderList
    | SendCancel
    | SendReplace
    | SendAmend
    | QueryOrder
    | TakeSnapshot
    | RefreshInstruments
)
"""The effects that a venue link performs."""

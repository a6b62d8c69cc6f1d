"""Effects: everything the engine can ask for. The mirror of `inputs.py`.

Rules of this file:
1. An effect is a value; performing it never awaits in the pump's turn.
2. `Record` effects are written before any `Send…` effect of the same turn leaves (promise P5).
3. An order leaves only inside `SendOrder`, `SendOrderList` or `SendReplace`, whose payload only the
   interceptor mints.
"""

from collections.abc import Mapping
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


class SendOrderList(msgspec.Struct, frozen=True):
    """Hand an approved order list to the venue session: one request, all of its orders or none."""

    order_list: NewOrderList


class SendCancel(msgspec.Struct, frozen=True):
    """Hand a cancel to the venue session."""

    cancel: CancelOrder


class SendReplace(msgspec.Struct, frozen=True):
    """Hand a cancel-replace to the venue session."""

    replace: ReplaceOrder


class SendAmend(msgspec.Struct, frozen=True):
    """Hand an amend (a smaller quantity, nothing else) to the venue session."""

    amend: AmendOrder


class QueryOrder(msgspec.Struct, frozen=True):
    """Ask what became of one order, with its trades when it has any."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None


class OrderRef(msgspec.Struct, frozen=True):
    """How to ask for one of our orders."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    venue_order_id: VenueOrderId | None


class HistoryAfter(msgspec.Struct, frozen=True):
    """Ask for orders of ours at the venue that are later than any that we know of."""

    instance: str
    newest: str
    """The newest client order id of ours that the journal knows; empty: none."""
    after: Mapping[InstrumentId, VenueOrderId]
    """Per instrument, the venue's id of the newest order that we know."""


class TakeSnapshot(msgspec.Struct, frozen=True):
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


class RefreshInstruments(msgspec.Struct, frozen=True):
    """Read the venue's list of symbols again, when what is known of it is a few seconds old.

    A wish was denied by a filter; the venue may have loosened it. What has changed is told by
    `InstrumentsLoaded`; a list that says the same is not told.
    """

    instrument_id: InstrumentId


class ArmTimer(msgspec.Struct, frozen=True):
    """Answer `TimerFired(timer_id)` at or after `at_ns`; arming again replaces."""

    timer_id: str
    at_ns: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a command: `error_code` empty when it succeeded."""

    command_id: str
    result: Mapping[str, Any] = msgspec.field(default_factory=dict)
    error_code: str = ""
    error_message: str = ""


class CloseHalt(msgspec.Struct, frozen=True):
    """Close the halt flag (an automatic halt, not an operator's kill)."""

    reason: str


class OpenHalt(msgspec.Struct, frozen=True):
    """Open the halt flag after re-arm or start."""

    reason: str


class ExitDaemon(msgspec.Struct, frozen=True):
    """End the process in order, with this exit code."""

    exit_code: int
    reason: str


class BotAnswered(msgspec.Struct, frozen=True, kw_only=True):
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


class BotOrderChanged(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a bot's order, in order, after its lines are written: an execution report.

    `row` is the order right after this change, `fill` the trade where `exec_type` is TRADE.
    """

    bot: str
    row: BotOrderRow
    exec_type: ExecType
    fill: BotFill | None = None


class BotListChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A bot's order list has begun, or has ended; told before, or after, its orders' changes.

    `rows` are its orders, in the order of their legs.
    """

    bot: str
    rows: tuple[BotOrderRow, ...]
    is_done: bool


class BotBalances(msgspec.Struct, frozen=True, kw_only=True):
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

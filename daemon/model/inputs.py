"""Inputs: everything the engine can be told. The mirror of `effects.py`.

Rules of this file:
1. An input carries no clock of its own making: the pump stamps it into a `Turn` (`seq`, `ts_ns`).
2. Disconnects, timers, operator commands and snapshots are inputs like any other.
3. Execution reports and commands are never dropped; market data keeps the latest per instrument.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

import msgspec

from daemon.model.bots import BotKeyMisused, BotSwitched, BotThrottled, ReplaceMode, Tags
from daemon.model.enums import Link, OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, InstrumentId, VenueOrderId
from daemon.model.instrument import Instrument
from daemon.model.list_legs import Contingency
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.order_features import OrderExtras
from daemon.model.plain_values import OMIT
from daemon.model.position import Balance
from daemon.model.records import GENESIS
from daemon.model.reports import CancelReject, ExecutionReport, NotFound, Reject, VenueSnapshot

RequestKind = Literal["place", "cancel", "replace", "amend"]


class LinkUp(msgspec.Struct, frozen=True):
    """A connection is established, authenticated and subscribed."""

    link: Link


class LinkDown(msgspec.Struct, frozen=True):
    """A connection is lost. In-flight requests were reported `OutcomeUnknown` before this."""

    link: Link
    reason: str


class InstrumentsLoaded(msgspec.Struct, frozen=True):
    """Symbols and filters from the venue, at connect and whenever they change.

    `absent`: our symbols that the venue does not list, or not so that it can be read, with why.
    """

    instruments: tuple[Instrument, ...]
    absent: Mapping[str, str] = msgspec.field(default_factory=dict)


class MarketData(msgspec.Struct, frozen=True):
    """The latest top of one book."""

    top: TopOfBook


class PublicTrade(msgspec.Struct, frozen=True):
    """A trade of others on the market stream."""

    trade: TradeTick


class VenueReport(msgspec.Struct, frozen=True):
    """The venue said something of one order, by stream, reply or query."""

    report: ExecutionReport


class VenueReject(msgspec.Struct, frozen=True):
    """The venue definitely refused a placement."""

    reject: Reject


class VenueCancelReject(msgspec.Struct, frozen=True):
    """The venue refused a cancel; the order must be queried."""

    reject: CancelReject


class VenueAmendReject(msgspec.Struct, frozen=True):
    """The venue refused an amend: the order is as it was (`-2038`), or has ended: query it."""

    reject: CancelReject


class OutcomeUnknown(msgspec.Struct, frozen=True):
    """A request left and no answer can be trusted: deadline, lost socket, 5xx, -1006, -1007."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    request: RequestKind
    reason: str


class NotSent(msgspec.Struct, frozen=True):
    """Proof that a request's bytes never left (no link, halt flag closed, budget empty)."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    request: RequestKind
    reason: str


class OrderAbsent(msgspec.Struct, frozen=True):
    """A query by client order id was answered "does not exist"."""

    absent: NotFound


class QueryFailed(msgspec.Struct, frozen=True):
    """A query got no trustworthy answer: stay UNKNOWN, ask again."""

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    reason: str


class BalancesChanged(msgspec.Struct, frozen=True):
    """Absolute balances of the assets named; others are unchanged."""

    balances: tuple[Balance, ...]
    ts_venue_ns: int


class SnapshotTaken(msgspec.Struct, frozen=True):
    """A reconciliation round is complete."""

    snapshot: VenueSnapshot


class SnapshotFailed(msgspec.Struct, frozen=True):
    """A reconciliation round could not be completed; nothing may be concluded."""

    reason: str


class TimerFired(msgspec.Struct, frozen=True):
    """A timer armed by `ArmTimer` is due."""

    timer_id: str


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked, as the kernel proved it (SO_PEERCRED) and the config maps it."""

    uid: int
    pid: int
    role: str
    name: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's command. `params` are already validated plain values."""

    command_id: str
    method: str
    actor: Actor
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reason: str = ""


class KillLatched(msgspec.Struct, frozen=True):
    """A stop path has closed the halt flag and latched; the engine must follow."""

    actor: Actor
    reason: str
    ts_latched_ns: int


class RateLimited(msgspec.Struct, frozen=True):
    """The venue refused for rate (429, 418, -1003, -1015); nothing is sent before `until_ns`."""

    status: int
    code: int
    scope: str
    until_ns: int
    reason: str


class BudgetSampled(msgspec.Struct, frozen=True):
    """What the governor knows of the venue's limits: used and limit per window name."""

    used: Mapping[str, int]
    limits: Mapping[str, int]


class ClockSampled(msgspec.Struct, frozen=True):
    """Venue clock minus ours, by the best round trip of a batch."""

    offset_ns: int
    round_trip_ns: int


class JournalFault(msgspec.Struct, frozen=True):
    """The journal cannot be written: no journal, no orders (promise P5)."""

    reason: str


class JournalMended(msgspec.Struct, frozen=True):
    """Every line that had been refused is written. It ends the fault; no session is resumed."""


class LoopLagged(msgspec.Struct, frozen=True):
    """The watchdog measured a main-loop lag or a queue age beyond its bound."""

    lag_ns: int
    queue_age_ns: int


class BotPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for one order, under its own id; either `qty` (base) or `quote_qty` is set.

    `is_test`: decide and answer, hold and send nothing. `proof`: what the bot signed and its
    signature, so that a third party can tell that the bot asked; empty: the key has no public half.
    It never holds a secret. `tags`: see `TAGS`; any other parameter that changes an order is
    refused by the gateway.
    """

    bot: str
    request: int
    client_order_id: str
    instrument_id: InstrumentId
    side: Side
    order_type: OrderType
    qty: Decimal | None = None
    quote_qty: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce | None = None
    stop_price: Decimal | None = None
    extras: OrderExtras | None = None
    tags: Tags = ()
    is_test: bool = False
    proof: str = ""


class BotCancel(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for the end of one order; named by its own id, the venue's, or both."""

    bot: str
    request: int
    instrument_id: InstrumentId
    client_order_id: str | None = None
    venue_order_id: VenueOrderId | None = None
    new_client_order_id: str = ""
    """The bot's id of the cancel, given back in the answer."""


class BotCancelAll(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for the end of all its orders on one symbol."""

    bot: str
    request: int
    instrument_id: InstrumentId


class BotReplace(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for the end of one order and for another one in its stead (cancelReplace).

    `cancel` and `place` carry the same bot and request.
    """

    bot: str
    request: int
    cancel: BotCancel
    place: BotPlace
    mode: ReplaceMode


class BotAmend(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for a smaller quantity of one order; `new_qty` is the new whole one, in base."""

    bot: str
    request: int
    instrument_id: InstrumentId
    client_order_id: str | None = None
    venue_order_id: VenueOrderId | None = None
    new_qty: Decimal


class BotPlaceList(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for an order list; its `orders` carry the same bot and request."""

    bot: str
    request: int
    list_id: str
    """The bot's own id of the list."""
    contingency: Contingency
    orders: tuple[BotPlace, ...]
    pays: Annotated[bool, OMIT] = False
    """Whether the first order pays for the others (OPO, OPOCO): they bear its quantity."""


class BotCancelList(msgspec.Struct, frozen=True, kw_only=True):
    """A bot asks for the end of a list; named by its own id, the venue's, or both."""

    bot: str
    request: int
    instrument_id: InstrumentId
    list_id: str | None = None
    venue_list_id: str | None = None
    new_client_order_id: str = ""


BotRequest = (
    BotPlace | BotCancel | BotCancelAll | BotReplace | BotAmend | BotPlaceList | BotCancelList
)

Input = (
    LinkUp
    | LinkDown
    | InstrumentsLoaded
    | MarketData
    | PublicTrade
    | VenueReport
    | VenueReject
    | VenueCancelReject
    | VenueAmendReject
    | OutcomeUnknown
    | NotSent
    | OrderAbsent
    | QueryFailed
    | BalancesChanged
    | SnapshotTaken
    | SnapshotFailed
    | TimerFired
    | Command
    | KillLatched
    | RateLimited
    | BudgetSampled
    | ClockSampled
    | JournalFault
    | JournalMended
    | LoopLagged
    | BotRequest
    | BotSwitched
    | BotThrottled
    | BotKeyMisused
)

BOT_REQUESTS = get_args(BotRequest)
"""Inputs that are answered by a `BotAnswered`."""


class Turn(msgspec.Struct, frozen=True):
    """One turn of the pump: an input with its place in the run and the engine's time.

    `ts_ns`: UTC, never earlier than the journal's last record. `head`: `prev` of this turn's line.
    """

    seq: int
    ts_ns: int
    input: Input
    head: str = GENESIS

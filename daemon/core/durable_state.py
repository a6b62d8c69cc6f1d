"""Durable state, and the only functions that change it.

Rules of this file:
1. Live turns (`turn_context.py`) and recovery (`fold.py`) call the same functions with the same
   values, in the same order: so a recovered engine equals its uninterrupted twin.
2. Every function here stands for one journal record. Nothing durable changes without one.
3. Nothing here decides, sends or knows the clock; times are arguments.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from daemon.core.books import Books
from daemon.core.bots.bot_accounts import BotAccounts
from daemon.core.venue_pause import NO_PAUSE, WHOLE, VenuePause
from daemon.model.account_model import MODELS, account_of
from daemon.model.amounts import ZERO, plain
from daemon.model.enums import OrderStatus
from daemon.model.ids import (
    ClientOrderId,
    InstrumentId,
    SessionId,
    VenueOrderId,
    later_of,
    rank_of,
)
from daemon.model.instrument import Instrument
from daemon.model.orders import Order
from daemon.model.plain_values import from_plain, to_plain
from daemon.model.position import Balance
from daemon.model.reports import Fill
from daemon.model.stop_triggers import StopTrigger
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state.bands import CapNotice

_UNKNOWN, _REJECTED = OrderStatus.UNKNOWN, OrderStatus.REJECTED
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

LATCH_REASON_CHARS_MAX = 2_000
"""Reasons of further kills are added to the first while there is room; the journal has them all."""
INCIDENTS_KEPT = 50
NOTES_KEPT = 20
NO_SESSION = SessionId("")


class TradingSession(msgspec.Struct, kw_only=True):
    """One session as the journal tells it; `session_id` is empty when none is on."""

    session_id: SessionId = NO_SESSION
    started_ns: int = 0
    orders: int = 0
    fills: int = 0
    denied: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def decided(self) -> list[int]:
        """How many orders were approved and denied so far; every decision's line states it."""
        return [self.orders, sum(self.denied.values())]


class Incident(msgspec.Struct, kw_only=True):
    """A latched fact: what stopped us, and whether a human has explained it."""

    incident_id: str
    trigger: str
    msg: str
    symbol: str
    opened_ns: int
    context: dict[str, Any] = msgspec.field(default_factory=dict)
    resolved_by: str = ""
    notes: list[str] = msgspec.field(default_factory=list)


class DurableState:
    """Books, session, incidents, latch, balance basis, and the interceptor's own durable state."""

    def __init__(self, interceptor: Interceptor, *, orders_retained: int) -> None:
        """Begin empty."""
        self.interceptor = interceptor
        self.books = Books(orders_retained)
        self.bots = BotAccounts()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.instruments_version = 0
        self.session = TradingSession()
        self.incidents: dict[str, Incident] = {}
        self.latched = False
        self.latch_reason = ""
        self.pause = NO_PAUSE
        self.config_caps_hash = interceptor.risk.capset.hash
        self.tightened: list[dict[str, Any]] = []
        """What operators have tightened since; another config begins anew."""
        self.ended: dict[str, Any] = {}
        """What operators had tightened before [caps] was edited: it holds no more."""
        self.config_caps = interceptor.risk.capset
        self.newest_id = ""
        """The latest client order id of ours that is known."""
        self.basis: dict[str, Decimal] = {}
        """Asset totals at the venue less our flows, from the first clean snapshot of the epoch."""
        self.notices: list[CapNotice] = []
        """What the interceptor had to say; the engine takes them at the end of the turn."""

    def heard(self, notices: Iterable[CapNotice]) -> None:
        """Keep the interceptor's notices; none may be dropped."""
        if notices:
            self.notices.extend(notices)

    # ------------------------------------------------------------------ instruments
    def load_instruments(self, instruments: Sequence[Instrument]) -> None:
        """INSTRUMENTS: symbols and filters as the venue says now."""
        self.instruments_version += 1
        for instrument in instruments:
            self.instruments[instrument.instrument_id] = instrument
        self.heard(self.interceptor.risk.on_instruments(tuple(instruments)))

    # ------------------------------------------------------------------ orders
    def approve(self, order: Order) -> None:
        """ORDER_APPROVED: the interceptor holds it already; the bytes leave in this turn."""
        self.books.add(order)
        self.session.orders += 1
        if order.bot_order_id:
            self.bots.approve(order)
        self.newest_id = later_of(self.newest_id, order.client_order_id)

    def deny(self, reason: str, bot: str | None = None) -> None:
        """ORDER_DENIED."""
        self.session.denied[reason] = self.session.denied.get(reason, 0) + 1
        if bot is not None:
            self.bots.deny(bot, reason)

    def adopt(self, order: Order, now_ns: int, *, counted: bool) -> None:
        """ORDER_RESOLVED adopted: an order of ours that the books did not have.

        `counted`: it uses up the caps on orders, too (lines of old builds: it did not).
        """
        self.books.add(order)
        if order.bot_order_id:
            self.bots.know(order)
        if counted:
            self.interceptor.risk.count_unknown(order, now_ns)
        self.heard(self.interceptor.risk.adopt(order, now_ns))
        self.newest_id = later_of(self.newest_id, order.client_order_id)

    def move(  # noqa: PLR0917 - by name the call takes twice as long, for every report
        self,
        order: Order,
        new: OrderStatus,
        now_ns: int,
        venue_order_id: VenueOrderId | None,
        venue_cum_qty: Decimal,
        ts_venue_ns: int = 0,
        venue_list_id: str | None = None,
    ) -> None:
        """ORDER_STATE: one row of the lifecycle table fired."""
        old, books, gate = order.status, self.books, self.interceptor.risk
        shown = venue_order_id is not None and order.venue_order_id is None
        order.ts_updated_ns = now_ns
        order.venue_order_id = venue_order_id
        if venue_list_id and not order.venue_list_id:
            order.venue_list_id = venue_list_id
        if venue_cum_qty > order.venue_cum_qty:  # noqa: PLR1730 - max() costs three times as much
            order.venue_cum_qty = venue_cum_qty
        books.move(order, new)
        if order.bot_order_id:
            self.bots.move(order, old, ts_venue_ns)
        if old.is_terminal and not new.is_terminal:
            self.heard(gate.adopt(order, now_ns))
        if new is _UNKNOWN:
            if old is not new:
                self.heard(gate.on_unknown(order.client_order_id, now_ns))
        elif (
            (shown or old is _UNKNOWN)
            and new is not _REJECTED
            and (notices := gate.on_known(order.client_order_id, now_ns))
        ):
            self.heard(notices)
        if new.is_terminal and not old.is_terminal:
            self._release(order, now_ns)
        if books.dropped:
            self._drop_forgotten()

    def book_fill(self, fill: Fill, order: Order, now_ns: int) -> None:
        """FILL: one new trade on one of our orders."""
        books, instrument = self.books, self.instruments.get(fill.instrument_id)
        was_owed = order.status.is_terminal and order.venue_cum_qty > order.cum_qty
        if notices := self.interceptor.risk.on_fill(fill, now_ns):
            self.heard(notices)
        books.book(fill, order)
        order.ts_updated_ns = now_ns
        self.session.fills += 1
        if instrument is not None:
            model = MODELS.get(instrument.kind) or account_of(instrument)
            changes = model.moves(instrument, fill)
        else:
            changes = {fill.fee_asset: -fill.fee} if fill.fee else {}
        books.flow(changes)
        if order.bot_order_id:
            self.bots.book_fill(fill, order, changes, instrument)
        if books.dropped:
            self._drop_forgotten()
        if was_owed:
            self._release(order, now_ns)

    def reject(self, client_order_id: ClientOrderId, now_ns: int, *, is_fault: bool) -> None:
        """ORDER_REJECT: the venue's definite no; a faulty order lengthens the streak.

        That of a bot's order is the bot's own.
        """
        gate = self.interceptor.risk
        order = self.books.orders.get(client_order_id)
        if order is not None and order.bot_order_id:
            self.bots.reject(order, is_fault=is_fault)
        self.heard(gate.on_venue_reject(client_order_id, now_ns, is_fault=is_fault))

    def request_cancel(self, order: Order, new: OrderStatus, now_ns: int) -> None:
        """CANCEL_REQUESTED; `review_cancel` counted it (recovery: `on_cancel_sent`)."""
        order.ts_updated_ns = now_ns
        self.books.move(order, new)

    def amend(self, order: Order, qty: Decimal, now_ns: int) -> None:
        """ORDER_AMENDED: a smaller quantity, by the venue's word."""
        order.qty = qty
        order.amends += 1
        order.ts_updated_ns = now_ns
        self.books.index(order)
        self.heard(self.interceptor.risk.on_leaves(order.client_order_id, order.leaves_qty))

    # ------------------------------------------------------------------ sessions, latch, incidents
    def start_session(self, session_id: SessionId, now_ns: int) -> None:
        """SESSION_START."""
        self.session = TradingSession(session_id=session_id, started_ns=now_ns)
        self.heard(self.interceptor.risk.start_session(now_ns))

    def stop_session(self) -> None:
        """SESSION_STOP; the tallies stay readable until the next start."""
        self.session.session_id = NO_SESSION

    def latch(self, reason: str) -> None:
        """TRADING_STATE with `latched`, or KILL: no start before a re-arm."""
        if not self.latched:
            self.latch_reason = reason
        elif reason not in self.latch_reason and len(self.latch_reason) < LATCH_REASON_CHARS_MAX:
            self.latch_reason += f"; then {reason}"
        self.latched = True

    def re_arm(self) -> None:
        """RE_ARM."""
        self.latched = False
        self.latch_reason = ""

    def rate_limited(self, scope: str, until_ns: int, reason: str) -> None:
        """RATE_LIMIT: the venue will hear nothing until then; a restart does not forget it."""
        if scope in WHOLE and until_ns > self.pause.until_ns:
            self.pause = VenuePause(scope, until_ns, reason)

    def open_incident(self, incident: Incident) -> None:
        """INCIDENT_OPENED."""
        self.incidents[incident.incident_id] = incident
        if len(self.incidents) > INCIDENTS_KEPT:
            for key, old in list(self.incidents.items()):
                if old.resolved_by:
                    del self.incidents[key]
                    break

    def resolve_incident(self, incident_id: str, by: str, now_ns: int) -> None:
        """INCIDENT_RESOLVED. A resolved wipe begins a new epoch: positions and trade ids anew."""
        incident = self.incidents.get(incident_id)
        if incident is None:
            return
        incident.resolved_by = by
        if incident.trigger == StopTrigger.TESTNET_WIPE:
            self.books.new_epoch()
            self.bots.new_epoch()
            self.heard(self.interceptor.risk.wipe(f"incident {incident_id}", now_ns))

    def explain(self, incident_id: str, note: str) -> None:
        """EXPLANATION of an incident: one more line of its note."""
        incident = self.incidents.get(incident_id)
        if incident is not None:
            incident.notes = [*incident.notes, note][-NOTES_KEPT:]

    @property
    def unresolved(self) -> list[Incident]:
        """Incidents that block the next start, oldest first."""
        return [incident for incident in self.incidents.values() if not incident.resolved_by]

    # ------------------------------------------------------------------ people and caps
    def tighten(self, changes: Mapping[str, Any]) -> None:
        """CAPS_CHANGED: stricter values, until another config is loaded.

        Raises:
            CapConfigError: a value is not stricter, or no cap has that name.
        """
        self.interceptor.risk.set_capset(self.interceptor.risk.capset.tighten(changes))
        self.tightened.append(dict(changes))

    def re_enable(self, by: str, now_ns: int) -> None:
        """EXPLANATION with `re_enabled`: a named human has looked."""
        self.heard(self.interceptor.risk.re_enable(by, now_ns))

    # ------------------------------------------------------------------ balances
    def compared(self) -> dict[InstrumentId, tuple[str, ...]]:
        """The assets of the account that each of our instruments moves."""
        return {iid: account_of(one).compared(one) for iid, one in self.instruments.items()}

    def whole(self, balances: Iterable[Balance]) -> tuple[Balance, ...]:
        """A snapshot's balances: all that are not zero, and zero where we know or trade an asset.

        The thousands of assets that an account of a venue never held cost nothing.
        """
        ours = set[str]().union(*self.compared().values())
        ours |= (
            self.basis.keys()
            | self.books.flows.keys()
            | self.interceptor.risk.books.accounts.keys()
        )
        said = {one.asset: one for one in balances if one.total or one.asset in ours}
        return tuple(
            said.get(asset) or Balance(asset, ZERO, ZERO) for asset in sorted(said.keys() | ours)
        )

    def reconciled(self, balances: Sequence[Balance], now_ns: int, *, rebase: bool) -> None:
        """RECONCILED: balances of now; with `rebase` they are all, and the basis of comparison.

        The basis of an asset that was not named then is zero less its flows.
        """
        self.heard(self.interceptor.risk.on_balances(tuple(balances), now_ns))
        if rebase:
            self.basis = {asset: -flow for asset, flow in self.books.flows.items()}
            self.accept({one.asset: one.total for one in balances})

    def accept(self, totals: Mapping[str, Decimal]) -> None:
        """RECONCILED `accepted`: these totals are the basis from here on."""
        for asset, total in totals.items():
            self.basis[asset] = total - self.books.flows.get(asset, ZERO)

    def _drop_forgotten(self) -> None:
        """Finished orders of bots that the books have forgotten are forgotten everywhere."""
        for order in self.books.dropped:
            self.bots.forget(order)
        self.books.dropped.clear()

    def _release(self, order: Order, now_ns: int) -> None:
        """Finished: the hold shrinks to what the venue says it traded and we have not booked."""
        missing = order.venue_cum_qty - order.cum_qty
        if missing > 0:
            risk = self.interceptor.risk
            self.heard(risk.on_leaves(order.client_order_id, missing))
            if order.status is not OrderStatus.FILLED:  # what waits for it never works
                for scope in (risk, *risk.bots.by_name.values()):
                    scope.books.never_fills(order.client_order_id)
        elif notices := self.interceptor.risk.on_terminal(order.client_order_id, now_ns):
            self.heard(notices)

    # ------------------------------------------------------------------ durable form
    def state(self) -> dict[str, Any]:
        """Plain JSON values; `restore` is its inverse."""
        return {
            "books": self.books.state(),
            "instruments": [to_plain(self.instruments[key]) for key in sorted(self.instruments)],
            "session": to_plain(self.session),
            "incidents": [to_plain(incident) for incident in self.incidents.values()],
            "caps": {"config": self.config_caps_hash, "tightened": list(self.tightened)},
            "newest_id": self.newest_id,
            "latched": self.latched,
            "latch_reason": self.latch_reason,
            "pause": to_plain(self.pause),
            "basis": {asset: plain(total) for asset, total in sorted(self.basis.items())},
            "interceptor": self.interceptor.state(),
            **({"bots": bots} if (bots := self.bots.state()) else {}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Become the ledger that `state` describes."""
        self.books.restore(state["books"])
        instruments = [from_plain(Instrument, data) for data in state["instruments"]]
        self.instruments = {one.instrument_id: one for one in instruments}
        self.instruments_version += 1
        self.session = from_plain(TradingSession, state["session"])
        incidents = [from_plain(Incident, data) for data in state["incidents"]]
        self.incidents = {one.incident_id: one for one in incidents}
        caps = state.get("caps", {})
        is_same = caps.get("config") == self.config_caps_hash
        for changes in caps.get("tightened", ()):
            (self.tighten if is_same else self.ended.update)(changes)
        known = state.get("newest_id")  # old checkpoints: the orders that they still hold
        self.newest_id = max(self.books.orders, key=rank_of, default="") if known is None else known
        self.latched = state["latched"]
        self.latch_reason = state["latch_reason"]
        if "pause" in state:  # not in a checkpoint of an older build
            self.pause = from_plain(VenuePause, state["pause"])
        self.basis = {asset: Decimal(total) for asset, total in state["basis"].items()}
        if instruments:
            self.heard(self.interceptor.risk.on_instruments(tuple(instruments)))
        self.bots.restore(state.get("bots", {}), self.books.orders)
        self.interceptor.restore(state["interceptor"])

"""What the gate can be told: facts of the world, of our orders, of people.

Rules of this file:
1. A fact is applied at once and costs no more than log(open orders).
2. Every fact returns the notices that fell due; none may be dropped by the caller.
3. `exec_id`s are remembered (the last EXEC_IDS_KEPT), so a fill told twice moves nothing.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from daemon.model.amounts import ZERO
from daemon.model.enums import OrderStatus, Side, TradingState
from daemon.model.ids import ClientOrderId, InstrumentId
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.reports import Fill
from riskcaps.exposure import MARKET_TYPES, STOP_TYPES
from riskcaps.holds import IN_FLIGHT, UNKNOWN, WORKING
from riskcaps.keeper import SWEEP_NS, Keeper, Notices

EXEC_IDS_KEPT = 1024


class RiskLedger(Keeper):
    """Facts in. `Interceptor` adds the decisions."""

    # ------------------------------------------------------------------ the world
    def on_instruments(self, instruments: Iterable[Instrument]) -> Notices:
        """Symbols and filters from the venue."""
        for instrument in instruments:
            self.book(instrument.instrument_id).set_instrument(instrument)
        self.rebuild_rates()
        self.remark_all(self.now_ns)
        return self.take_notices()

    def on_top(self, top: TopOfBook, now_ns: int) -> Notices:
        """The latest top of a book. It is as old as its receipt, never younger than now."""
        now_ns = self.advance(now_ns)
        book = self.books.get(top.instrument_id) or self.book(top.instrument_id)
        book.top = top
        received_ns = top.ts_recv_ns
        book.top_ns = received_ns if 0 < received_ns < now_ns else now_ns
        book.market = book.worst = None
        if 0 < top.bid_px < top.ask_px:
            book.mark_bid, book.mark_ask = top.bid_px, top.ask_px
        if top.instrument_id in self._leg_ids:
            self.remark_all(now_ns)
        elif book.was_traded:
            self._remark(book, now_ns)
        return self._settle(now_ns)

    def on_trade(self, trade: TradeTick, now_ns: int) -> Notices:
        """A public trade: the collar's reference `last`."""
        book = self.book(trade.instrument_id)
        book.last = trade.price
        book.last_ns = self.advance(now_ns)
        book.market = None
        return self.take_notices()

    def on_balances(self, balances: Iterable[Balance], now_ns: int) -> Notices:
        """Absolute balances of the assets named; they know what was acknowledged before."""
        now_ns = self.advance(now_ns)
        for balance in balances:
            account = self.account(balance.asset)
            account.known = True
            account.heard_ns = now_ns
            account.free = balance.free
            account.locked = balance.locked
            account.unsettled = ZERO
        return self._settle(now_ns)

    def on_clock(self, offset_ns: int, rtt_ns: int, now_ns: int) -> Notices:
        """Venue clock minus ours, with the round trip that measured it."""
        self.clock_ns = self.advance(now_ns)
        self.clock_offset_ns = offset_ns
        self.clock_rtt_ns = rtt_ns
        self.standing = None
        return self.take_notices()

    def on_journal_health(self, ok: bool) -> Notices:
        """Whether the journal can be written. Unhealthy until said otherwise."""
        self.journal_ok = ok
        self.standing = None
        return self.take_notices()

    def on_venue_budget(
        self, used: Mapping[str, int], limits: Mapping[str, int], now_ns: int
    ) -> Notices:
        """What the venue says is used of its own limits, by window name."""
        self.budget_ns = self.advance(now_ns)
        self.budget = {name: (used.get(name, 0), limit) for name, limit in limits.items()}
        self.standing = None
        return self.take_notices()

    # ------------------------------------------------------------------ our orders
    def on_fill(self, fill: Fill, now_ns: int) -> Notices:
        """A booked fill: hold becomes position. Late ones (no hold) still move the position."""
        if fill.exec_id in self.exec_ids:
            return self.take_notices()
        now_ns = self.fact(now_ns)
        self.exec_ids[fill.exec_id] = None
        if len(self.exec_ids) > EXEC_IDS_KEPT:
            del self.exec_ids[next(iter(self.exec_ids))]
        book = self.book(fill.instrument_id)
        gained, reduced = book.book_fill(fill)
        self.follow_position(book)
        if fill.fee and fill.fee_asset not in {book.base, book.quote}:
            self.fees_owed[fill.fee_asset] = self.fees_owed.get(fill.fee_asset, ZERO) + fill.fee
        book.traded.add(now_ns, fill.qty)
        self.account(book.quote).traded.add(now_ns, fill.qty * fill.price)
        self.executions.add(now_ns)
        self.behaviour.executed()
        self.standing = None
        hold = self.holds.get(fill.client_order_id)
        if hold is not None:
            book.shrink_hold(hold, min(hold.leaves, fill.qty), settled=True)
            if reduced:
                hold.reduced = True
                hold.realised += gained - (fill.fee if fill.fee_asset == book.quote else ZERO)
            if not hold.leaves:
                self._finish(hold)
        if book.position and (book.position > 0) == (fill.side is Side.BUY):
            self._note_breach(book, fill.side)
        self.remark_all(now_ns)
        if hold is None or self._fill_reaches_band():
            self.sweep_due = True
        return self._settle(now_ns)

    def on_terminal(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """The venue (or proof) says that nothing more will fill: release the rest."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        hold = self.holds.get(client_order_id)
        if hold is not None:
            self.fact_ns = self.now_ns
            self._finish(hold)
        if self.sweep_due or self.now_ns - self._swept_ns >= SWEEP_NS or self._notices:
            return self._settle(self.now_ns)
        return ()

    def on_known(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """The venue has the order (acknowledged, or an unknown one found)."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        hold = self.holds.get(client_order_id)
        if hold is not None and hold.phase != WORKING:
            self.fact_ns = self.now_ns
            hold.book.acknowledge(hold)
            if self.behaviour.rejects and client_order_id not in self.bot_orders:
                self.behaviour.accepted(hold.book.instrument_id)
                self.standing = None
        if self.sweep_due or self.now_ns - self._swept_ns >= SWEEP_NS or self._notices:
            return self._settle(self.now_ns)
        return ()

    def on_unknown(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """No answer can be trusted: the hold stays, and the symbol takes no new order."""
        now_ns = self.advance(now_ns)
        hold = self.holds.get(client_order_id)
        if hold is not None and hold.phase != UNKNOWN:
            self.fact(now_ns)
            hold.phase = UNKNOWN
            hold.book.unknown_count += 1
        return self._settle(now_ns)

    def on_leaves(self, client_order_id: ClientOrderId, leaves_qty: Decimal) -> Notices:
        """An amend at the venue: the open quantity is smaller now (growing is a new order)."""
        hold = self.holds.get(client_order_id)
        if hold is not None and leaves_qty < hold.leaves:
            hold.book.shrink_hold(hold, hold.leaves - max(leaves_qty, ZERO), settled=False)
            if not hold.leaves:
                self._finish(hold)
        return self.take_notices()

    def on_venue_reject(
        self, client_order_id: ClientOrderId, now_ns: int, *, is_fault: bool = True
    ) -> Notices:
        """The venue's definite no to a placement: release; a fault of ours lengthens the streak."""
        hold = self.holds.get(client_order_id)
        if is_fault and hold is not None:  # without one the order has ended: it is said twice
            self._notices += self.behaviour.rejected(hold.book.instrument_id)
            self.standing = None
        return self.on_terminal(client_order_id, now_ns)

    def on_cancel_sent(self, now_ns: int) -> Notices:
        """A cancel that left without `review_cancel` (kill, cancel-all): it counts all the same."""
        now_ns = self.fact(now_ns)
        self.cancels.add(now_ns)
        return self.take_notices()

    def count_unknown(self, order: Order, now_ns: int) -> None:
        """An order that nobody counted: it fills every window as of now, whenever it was sent.

        So does its cancel: whether it had one, nobody counted either.
        """
        now_ns = self.fact(self.advance(now_ns))
        book = self.book(order.instrument_id)
        is_buy = order.side is Side.BUY
        self.count_attempt(book, (book.instrument_id, is_buy, order.price, order.qty), now_ns)
        self.cancels.add(now_ns)

    def adopt(self, order: Order, now_ns: int) -> Notices:
        """Take the hold of one of our orders found at the venue or in the journal; idempotent."""
        now_ns = self.advance(now_ns)
        if order.client_order_id in self.holds or order.status.is_terminal or not order.leaves_qty:
            return self.take_notices()
        self.fact(now_ns)
        book = self.book(order.instrument_id)
        px = order.price if order.order_type not in MARKET_TYPES else None
        if px is None:
            px = max(order.stop_price or ZERO, book.top.ask_px if book.top else ZERO)
        unproved = {OrderStatus.APPROVED, OrderStatus.SUBMITTED}
        phase = IN_FLIGHT if order.status in unproved else WORKING
        if order.status is OrderStatus.UNKNOWN:
            phase = UNKNOWN
        self.take_hold(
            order.client_order_id,
            book,
            is_buy=order.side is Side.BUY,
            is_stop=order.order_type in STOP_TYPES,
            qty=order.leaves_qty,
            px=px,
            phase=phase,
        )
        self.sweep_due = True
        return self._settle(now_ns)

    # ------------------------------------------------------------------ people and engine
    def set_trading_state(self, state: TradingState) -> Notices:
        """What the gate admits. Boot state is HALTED."""
        self.trading_state = state
        self.standing = None
        return self.take_notices()

    def block_symbol(self, instrument_id: InstrumentId, why: str) -> Notices:
        """Deny every order on it until it is unblocked."""
        book = self.book(instrument_id)
        book.blocked = why or "blocked"
        book.forget_lanes()
        return self.take_notices()

    def unblock_symbol(self, instrument_id: InstrumentId) -> Notices:
        """Take `block_symbol` back (unknown orders block by themselves)."""
        book = self.book(instrument_id)
        book.blocked = ""
        book.forget_lanes()
        return self.take_notices()

    def start_session(self, now_ns: int) -> Notices:
        """A human has started a session: its loss counts from the equity of now."""
        now_ns = self.fact(now_ns)
        self.ledger.start_session()
        self.standing = None
        return self._settle(now_ns)

    def rebase_equity(self, reason: str, now_ns: int) -> Notices:
        """Losses count from here (operator, testnet wipe); journal `take_equity_record()`."""
        now_ns = self.fact(now_ns)
        self.ledger.rebase(reason)
        self.standing = None
        return self._settle(now_ns)

    def re_enable(self, by: str, now_ns: int) -> Notices:
        """A named human has looked at executions, streaks and loss latches (RTS 6 15(3))."""
        if not by:
            raise ValueError("re_enable needs the name of a human: RTS 6 15(3)")
        now_ns = self.fact(now_ns)
        self.behaviour.re_enable()
        self.ledger.re_enable()
        self.standing = None
        self.sweep_due = True
        return self._settle(now_ns)

    def wipe(self, reason: str, now_ns: int) -> Notices:
        """The venue forgot everything (testnet wipe): a new epoch. Windows and latches stay."""
        now_ns = self.fact(now_ns)
        self.holds.clear()
        self.held.clear()
        self.fees_owed.clear()
        for account in self.accounts.values():
            account.known = False
            account.inflight = account.unsettled = account.open_notional = ZERO
        for book in self.books.values():
            book.clear_holds()
            book.clear_position()
        self.remark_all(now_ns)
        self.ledger.rebase(reason)
        self.standing = None
        return self._settle(now_ns)

"""All that the gate has been told and remembers: facts in, questions answered. It decides nothing.

Rules of this file:
1. Time is engine time and never runs backward here, whatever the caller says.
2. A fact is applied at once and costs no more than log(open orders).
3. Every fact returns the notices that fell due; none may be dropped by the caller.
4. `exec_id`s are remembered (the last EXEC_IDS_KEPT at least), so a fill told twice moves nothing.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from daemon.model.amounts import ZERO
from daemon.model.enums import Side, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderId, ClientOrderIdFactory, ExecId, InstrumentId
from daemon.model.instrument import Instrument
from daemon.model.market import TopOfBook, TradeTick
from daemon.model.orders import Order
from daemon.model.position import Balance
from daemon.model.reports import Fill
from riskcaps.state.alerts import Alerts, Level, Notices
from riskcaps.state.behaviour import Behaviour, DuplicateKey, duplicate_key
from riskcaps.state.bot_states import BotStates
from riskcaps.state.context import Contexts
from riskcaps.state.day_result import DayResult
from riskcaps.state.drawdown import EquityView
from riskcaps.state.gate_health import GateHealth, clock_problem
from riskcaps.state.holds import UNKNOWN, WORKING, Hold, phase_of, price_of
from riskcaps.state.risk_books import RiskBooks
from riskcaps.state.standing import Standing
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.state.usage import levels_of, ratio_usage, usage_of
from riskcaps.state.valuation import Valuation
from riskcaps.state.windows import DAY_NS, Windows
from riskcaps.words.capset import CapSet
from riskcaps.words.explain import CapUsage
from riskcaps.words.order_kinds import STOP_TYPES, bot_of, first_before, group_of

_BUY = Side.BUY
"""Looked up once: on Python 3.11 a look at a member of an enum costs as much as a call."""

EXEC_IDS_KEPT = 1024


class RiskState:
    """Health, books with their holds, windows, behaviour, valuation and alerts of one account."""

    def __init__(
        self,
        *,
        capset: CapSet,
        ids: ClientOrderIdFactory,
        halt: HaltFlag,
        caps_hash: str = "",
        account: "RiskState | None" = None,
    ) -> None:
        self.ids = ids  # `account`: this is the part of one bot; health and rates are its
        self.now_ns = self.fact_ns = 0
        self.health: GateHealth = GateHealth(halt) if account is None else account.health
        self.books: RiskBooks = RiskBooks(None if account is None else account.books.rates)
        self.windows = Windows()
        self.behaviour = Behaviour()
        self.valuation = Valuation(self.books)
        self.ledger = self.valuation.ledger
        self.alerts = Alerts()
        self.exec_ids: dict[ExecId, None] = {}
        self.bots: BotStates[RiskState] = BotStates(
            lambda caps: RiskState(capset=caps, ids=ids, halt=halt, account=self),
            RiskState.set_capset,
            self.alerts.add,
        )
        self.day_result = DayResult()
        self.bots.is_leaf = account is not None
        self.alerts.is_on = account is None
        self.standing = Standing(self.health, self.behaviour, self.ledger)
        self.contexts = Contexts(self.books)
        self.set_capset(capset, caps_hash=caps_hash)

    # ------------------------------------------------------------------ caps
    def set_capset(self, capset: CapSet, *, caps_hash: str = "") -> None:
        """Use these caps from now on (at start, or what `CapSet.tighten` returned)."""
        self.capset = capset
        self.caps_unset = capset.unset()
        self.contexts.set_caps(capset, caps_hash or capset.hash)
        self.alerts.set_caps(capset)
        self.ledger.set_caps(capset)
        self.behaviour.set_caps(capset)
        self.books.set_capset(capset)
        self.bots.set_caps(capset)

    # ------------------------------------------------------------------ the world
    def on_instruments(self, instruments: Iterable[Instrument]) -> Notices:
        """Symbols and filters from the venue."""
        for instrument in instruments:
            self.books.book(instrument.instrument_id).set_instrument(instrument)
        self.books.rebuild_rates()
        self._mark_all()
        return self.alerts.take()

    def on_top(self, top: TopOfBook, now_ns: int) -> Notices:
        """The latest top of a book."""
        books, now_ns = self.books, self.advance(now_ns)
        book = books.by_id.get(top.instrument_id) or books.book(top.instrument_id)
        book.set_top(top, now_ns)
        is_calm = now_ns // DAY_NS == self.ledger.calm_day and not books.fees_owed
        if top.instrument_id in (books.quote_leg_ids if is_calm else books.leg_ids):
            self._mark_all()
        elif book.was_traded and (fallen := self.valuation.mark(book, now_ns)):
            self.alerts.add_losses(fallen, self.capset.numeraire)
        return self._settle()

    def on_trade(self, trade: TradeTick, now_ns: int) -> Notices:
        """A public trade: the collar's reference `last`."""
        self.books.book(trade.instrument_id).set_last(trade.price, self.advance(now_ns))
        return self.alerts.take()

    def on_balances(self, balances: Iterable[Balance], now_ns: int) -> Notices:
        """Absolute balances of the assets named; they know what was acknowledged before."""
        now_ns = self.advance(now_ns)
        for balance in balances:
            self.books.account(balance.asset).tell(balance.free, balance.locked, now_ns)
        return self._settle()

    def on_clock(self, offset_ns: int, rtt_ns: int, now_ns: int) -> Notices:
        """Venue clock minus ours, with the round trip that measured it."""
        self.health.set_clock(offset_ns, rtt_ns, self.advance(now_ns))
        return self.alerts.take()

    def on_journal_health(self, ok: bool) -> Notices:
        """Whether the journal can be written. Unhealthy until said otherwise."""
        self.health.set_journal(ok)
        return self.alerts.take()

    def on_venue_budget(
        self, used: Mapping[str, int], limits: Mapping[str, int], now_ns: int
    ) -> Notices:
        """What the venue says is used of its own limits, by window name."""
        self.health.set_budget(used, limits, self.advance(now_ns))
        return self.alerts.take()

    # ------------------------------------------------------------------ our orders
    def on_fill(self, fill: Fill, now_ns: int) -> Notices:
        """A booked fill: hold becomes position. Late ones (no hold) still move the position."""
        exec_ids, books, bots = self.exec_ids, self.books, self.bots
        if fill.exec_id in exec_ids:
            return self.alerts.take()
        now_ns = self.fact(now_ns)
        exec_ids[fill.exec_id] = None
        if len(exec_ids) >= 2 * EXEC_IDS_KEPT:  # one by one costs 0.4 us each
            self.exec_ids = dict.fromkeys(list(exec_ids)[-EXEC_IDS_KEPT:])
        book = books.by_id.get(fill.instrument_id) or books.book(fill.instrument_id)
        won, paid = book.realised, book.fees_quote
        gained, reduced = book.book_fill(fill)
        if books.awaited and fill.client_order_id in books.awaited and fill.fee_asset == book.base:
            book.fees_since_sell += fill.fee
        if bots.is_leaf:
            self.day_result.add(book.quote, book.realised - won - (book.fees_quote - paid), now_ns)
        if fill.fee and fill.fee_asset not in {book.base, book.quote}:
            books.fees_owed[fill.fee_asset] = books.fees_owed.get(fill.fee_asset, ZERO) + fill.fee
        book.traded.add(now_ns, fill.qty)
        book.quote_account.traded.add(now_ns, fill.qty * fill.price)
        self.windows.executions.add(now_ns)
        self.behaviour.executed()
        hold = books.holds.get(fill.client_order_id)
        if hold is not None:
            books.shrink_by_fill(hold, fill.qty)
            if reduced:
                hold.reduced = True
                hold.realised += gained - (fill.fee if fill.fee_asset == book.quote else ZERO)
            if not hold.leaves:
                self._finish(hold)
        books.follow(book)
        if book.position and (book.position > 0) == (fill.side is _BUY):
            self.alerts.note_position(book, fill.side)
        if not bots.is_leaf and (fallen := self.valuation.mark(book, now_ns)):
            self.alerts.add_losses(fallen, self.capset.numeraire)
        if bots.owners and (bot := bots.of(fill.client_order_id)) is not None:
            bots.hear(fill.client_order_id, bot.on_fill(fill, now_ns))
        if hold is None or self.alerts.fill_reaches_band(self.behaviour, self.ledger):
            self.alerts.ask_for_sweep()
        return () if self.now_ns < self.alerts.quiet_until_ns else self._settle()

    def on_terminal(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """The venue (or proof) says that nothing more will fill: release the rest."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        hold = self.books.holds.get(client_order_id)
        if hold is not None:
            self.fact_ns = self.now_ns
            self._finish(hold)
            if self.bots.owners and (bot := self.bots.of(client_order_id)) is not None:
                self.bots.hear(client_order_id, bot.on_terminal(client_order_id, now_ns))
        return () if self.now_ns < self.alerts.quiet_until_ns else self._settle()

    def on_known(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """The venue has the order (acknowledged, or an unknown one found)."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        hold = self.books.holds.get(client_order_id)
        if hold is not None and hold.phase != WORKING:
            self.fact_ns = self.now_ns
            self.books.acknowledge(hold)
            if self.behaviour.rejects and client_order_id not in self.bots.owners:
                self.behaviour.accepted(hold.instrument_id)
            if self.bots.owners and (bot := self.bots.of(client_order_id)) is not None:
                self.bots.hear(client_order_id, bot.on_known(client_order_id, now_ns))
        return () if self.now_ns < self.alerts.quiet_until_ns else self._settle()

    def on_unknown(self, client_order_id: ClientOrderId, now_ns: int) -> Notices:
        """No answer can be trusted: the hold stays, and the symbol takes no new order."""
        self.advance(now_ns)
        hold = self.books.holds.get(client_order_id)
        if hold is not None and hold.phase != UNKNOWN:
            self.fact_ns = self.now_ns
            hold.phase = UNKNOWN
            self.books.by_id[hold.instrument_id].unknown_count += 1
            if self.bots.owners and (bot := self.bots.of(client_order_id)) is not None:
                self.bots.hear(client_order_id, bot.on_unknown(client_order_id, now_ns))
        return self._settle()

    def on_leaves(self, client_order_id: ClientOrderId, leaves_qty: Decimal) -> Notices:
        """Less is open: an amend, or what has ended and some fills of it are owed."""
        hold = self.books.holds.get(client_order_id)
        if hold is not None and leaves_qty < hold.leaves:
            book = self.books.by_id[hold.instrument_id]
            book.shrink_hold(hold, hold.leaves - max(leaves_qty, ZERO), settled=False)
            self.books.weigh_group(hold.group)
            self.books.cover(self.books.awaited.get(client_order_id, hold.awaits))
            if not hold.leaves:
                self._finish(hold)
        if self.bots.owners and (bot := self.bots.of(client_order_id)) is not None:
            self.bots.hear(client_order_id, bot.on_leaves(client_order_id, leaves_qty))
        return self.alerts.take()

    def on_venue_reject(
        self, client_order_id: ClientOrderId, now_ns: int, *, is_fault: bool = True
    ) -> Notices:
        """The venue's definite no to a placement: release; a fault of ours lengthens the streak."""
        hold = self.books.holds.get(client_order_id)
        if is_fault and hold is not None:  # without one the order has ended: it is said twice
            owned = client_order_id in self.bots.owners
            counts = self.bots.of(client_order_id) if owned else self
            if counts is not None:
                counts.alerts.add(counts.behaviour.rejected(hold.instrument_id))
        return self.on_terminal(client_order_id, now_ns)

    def on_cancel_sent(self, client_order_id: ClientOrderId | None, now_ns: int) -> Notices:
        """A cancel or an amend of an order has left; None: of whose order is not known."""
        self.windows.cancels.add(self.fact(now_ns))
        bot = None if client_order_id is None else self.bots.of(client_order_id)
        if bot is not None:
            bot.windows.cancels.add(bot.fact(now_ns))
        return self.alerts.take()

    def count_unknown(self, order: Order, now_ns: int) -> None:
        """An order that nobody counted, and its cancel: they fill every window as of now."""
        now_ns = self.fact(now_ns)
        book, is_buy = self.books.book(order.instrument_id), order.side is Side.BUY
        told = (book.instrument_id, bot_of(order.strategy_id), order.price, order.qty)
        self.count_attempt(book, duplicate_key(*told, is_buy=is_buy), now_ns)
        self.windows.cancels.add(now_ns)
        bot = self.bots.own(order.client_order_id, order.strategy_id, self.books.holds)
        if bot is not None:
            bot.books.twin_of(book)
            bot.count_unknown(order, now_ns)

    def count_attempt(self, book: SymbolBook, key: DuplicateKey, now_ns: int) -> None:
        """Count an approved order in every window; whatever becomes of it, it stays counted."""
        self.windows.orders.add(now_ns)
        book.minute.add(now_ns)
        self.behaviour.remember(key, now_ns)

    def adopt(self, order: Order, now_ns: int) -> Notices:
        """Take the hold of one of our orders found at the venue or in the journal; idempotent."""
        now_ns = self.advance(now_ns)
        cid = order.client_order_id
        if cid in self.books.holds or order.status.is_terminal or not order.leaves_qty:
            return self.alerts.take()
        self.fact(now_ns)
        book = self.books.book(order.instrument_id)
        hold = self.books.take_hold(
            cid,
            book,
            is_buy=order.side is Side.BUY,
            is_stop=order.order_type in STOP_TYPES,
            qty=order.leaves_qty,
            px=price_of(order, book.top.ask_px if book.top else ZERO),
            phase=phase_of(order.status),
        )
        self.books.join_list(hold, group_of(order.order_list), first_before(order.order_list))
        bot = self.bots.own(order.client_order_id, order.strategy_id, self.books.holds)
        if bot is not None:
            bot.books.twin_of(book)
            bot.adopt(order, now_ns)
        self.alerts.ask_for_sweep()
        return self._settle()

    # ------------------------------------------------------------------ people and engine
    def set_trading_state(self, state: TradingState) -> Notices:
        """What the gate admits. Boot state is HALTED."""
        self.health.set_trading_state(state)
        return self.alerts.take()

    def block_symbol(self, instrument_id: InstrumentId, why: str) -> Notices:
        """Deny every order on it until it is unblocked."""
        self.books.book(instrument_id).block(why or "blocked")
        return self.alerts.take()

    def unblock_symbol(self, instrument_id: InstrumentId) -> Notices:
        """Take `block_symbol` back (unknown orders block by themselves)."""
        self.books.book(instrument_id).block("")
        return self.alerts.take()

    def start_session(self, now_ns: int) -> Notices:
        """A human has started a session: its loss counts from the equity of now."""
        self.fact(now_ns)
        self.ledger.start_session()
        return self._settle()

    def re_enable(self, by: str, now_ns: int) -> Notices:
        """A named human has looked at executions, streaks and loss latches (RTS 6 15(3))."""
        if not by:
            raise ValueError("re_enable needs the name of a human: RTS 6 15(3)")
        self.fact(now_ns)
        self.behaviour.re_enable()
        self.ledger.re_enable()
        self.alerts.ask_for_sweep()
        return self._settle()

    def wipe(self, reason: str, now_ns: int) -> Notices:
        """The venue forgot everything (testnet wipe): a new epoch. Windows and latches stay."""
        self.fact(now_ns)
        self.books.wipe()
        self._mark_all()
        self.ledger.rebase(reason)
        for bot in self.bots.by_name.values():
            bot.wipe(reason, now_ns)
        return self._settle()

    # ------------------------------------------------------------------ questions
    def clock_problem(self) -> str:
        """Why the clock denies every order, in words with the mend; empty: it does not."""
        return clock_problem(self.health, self.capset.clock_offset_ms_max)

    def usage(self, now_ns: int) -> tuple[CapUsage, ...]:
        """Each cap that fills up, with what is used of it now."""
        self.advance(now_ns)
        return (*usage_of(self._levels()), *ratio_usage(self.capset, self.windows, self.now_ns))

    def equity(self, now_ns: int) -> EquityView:
        """Equity in the numeraire as last marked, with its parts where they can be valued."""
        self.advance(now_ns)
        return self.valuation.view()

    # ------------------------------------------------------------------ keeping
    def advance(self, now_ns: int) -> int:
        """The engine's time, which never runs backward here."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        return self.now_ns

    def fact(self, now_ns: int) -> int:
        """The time of a fact that the journal holds; durable windows are cut there."""
        if now_ns > self.now_ns:  # noqa: PLR1730 - max() costs three times as much
            self.now_ns = now_ns
        self.fact_ns = self.now_ns
        return self.now_ns

    def sweep(self) -> None:
        """Compare every cap's use with its bands now."""
        self.alerts.sweep(self._levels(), self.now_ns)

    def _levels(self) -> list[Level]:
        return levels_of(
            self.books, self.valuation, self.windows, self.behaviour, self.alerts,
            now_ns=self.now_ns,
        )  # fmt: skip

    def _settle(self) -> Notices:
        alerts = self.alerts
        if self.now_ns < alerts.quiet_until_ns:
            return ()
        if alerts.wants_sweep(self.now_ns):
            self.sweep()
        return alerts.take()

    def _finish(self, hold: Hold) -> None:
        self.books.drop_hold(hold)
        if hold.reduced and hold.client_order_id not in self.bots.owners:
            self.alerts.add(self.behaviour.order_ended(hold.instrument_id, hold.realised))

    def _mark_all(self) -> None:
        if not self.bots.is_leaf:  # what a bot loses in a day is worked out when it is asked
            self.alerts.add_losses(self.valuation.mark_all(self.now_ns), self.capset.numeraire)

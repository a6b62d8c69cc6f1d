"""The gate's memory: books, holds, windows and latches, and what they are worth.

Rules of this file:
1. Time is engine time and never runs backward here, whatever the caller says.
2. Until it is told otherwise the gate believes the worst: halted, no journal, no clock, no prices.
3. Notices are kept until somebody takes them: every fact hands them out.
"""

from decimal import Decimal

from daemon.model.amounts import NS_PER_MS, ZERO, plain
from daemon.model.enums import Side, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderId, ClientOrderIdFactory, ExecId, InstrumentId, asset_name
from daemon.model.position import Position
from riskcaps.bands import CapNotice, Watch
from riskcaps.behaviour import Behaviour, DuplicateKey
from riskcaps.capset import CapSet
from riskcaps.context import RiskContext, context_of, context_of_stranger
from riskcaps.drawdown import LOSS_CAPS, EquityLedger, EquityView
from riskcaps.equity import equity_of, equity_view
from riskcaps.exposure import SymbolBook
from riskcaps.holds import WORKING, Account, Hold
from riskcaps.rates import DAY_NS, CancelCounts, OrderCounts, RollingCount
from riskcaps.standing import Standing
from riskcaps.usage import CapUsage, levels_of, portfolio_limits, usage_of
from riskcaps.valuation import Rates

SWEEP_NS = 1000 * NS_PER_MS
"""Uses that only fall, or move with the market, are compared this often; rules compare at once."""
_ORDER_WINDOWS = ("second", "minute", "hour", "day")
_LOSS_WATCHES = tuple((cap, f"{cap}_numeraire_max") for cap in LOSS_CAPS)
Notices = tuple[CapNotice, ...]


class Keeper:
    """State and its valuation. `RiskLedger` adds the facts, `Interceptor` the decisions."""

    def __init__(
        self,
        *,
        capset: CapSet,
        ids: ClientOrderIdFactory,
        halt: HaltFlag,
        caps_hash: str = "",
    ) -> None:
        self.halt = halt
        self.ids = ids
        self.now_ns = self.fact_ns = 0
        self.trading_state = TradingState.HALTED
        self.journal_ok = False
        self.clock_ns = -1
        """Engine time of the last clock sample; -1: never."""
        self.clock_offset_ns = self.clock_rtt_ns = 0
        self.budget: dict[str, tuple[int, int]] = {}
        self.budget_ns = 0
        self.books: dict[InstrumentId, SymbolBook] = {}
        self.accounts: dict[str, Account] = {}
        self.quotes: dict[str, Account] = {}
        """The accounts that are some instrument's quote: where turnover is counted."""
        self.holds: dict[ClientOrderId, Hold] = {}
        self.held: dict[InstrumentId, SymbolBook] = {}
        """The books that have a position."""
        self.fees_owed: dict[str, Decimal] = {}
        """Fees paid in an asset that is neither base nor quote of their instrument."""
        self.orders = OrderCounts()
        self.cancels = CancelCounts()
        self.executions = RollingCount(DAY_NS)
        self.behaviour = Behaviour()
        self.rates = Rates()
        self.ledger = EquityLedger()
        self.exec_ids: dict[ExecId, None] = {}
        self.bot_orders: set[ClientOrderId] = set()
        """Orders of bots: what they are refused or lose is a streak of the bot's own."""
        self.sweeps = True
        """Alert bands follow the caps' use; not while the past is folded: nobody hears of it."""
        self.sweep_due = False
        self.standing: Standing | None = None
        """What stands between orders (health, streaks, losses); None: has changed, look again."""
        self._swept_ns = 0
        self._leg_ids: frozenset[InstrumentId] = frozenset()
        self._notices: list[CapNotice] = []
        self.set_capset(capset, caps_hash=caps_hash)

    # ------------------------------------------------------------------ caps
    def set_capset(self, capset: CapSet, *, caps_hash: str = "") -> None:
        """Use these caps from now on (at start, or what `CapSet.tighten` returned)."""
        self.capset = capset
        self.standing = None
        self.caps_hash = caps_hash or capset.hash
        self.caps_unset = capset.unset()
        self.caps_plain = {k: v for k, v in capset.to_plain().items() if k != "symbols"}
        self.watch = {key: Watch(key, "", limit) for key, limit in portfolio_limits(capset).items()}
        self._follow_bands()
        self.ledger.set_caps(capset)
        self.behaviour.set_caps(capset)
        for book in self.books.values():
            book.set_caps(capset.for_instrument(book.instrument_id))
        self.rebuild_rates()

    def _follow_bands(self) -> None:
        """Next bands, as the screen compares with them: set by caps and by `Watch.move`."""
        watch = self.watch
        self.gross, self.net = (
            watch["exposure_gross_numeraire_max"],
            watch["exposure_net_numeraire_max"],
        )
        self.turnover = watch["traded_notional_per_day_numeraire_max"]
        self.open_room = watch["orders_open_max"].up - 1
        self.rate_ups = (
            *(watch[f"orders_per_{window}_max"].up for window in _ORDER_WINDOWS),
            *(watch[f"messages_per_{window}_max"].up for window in _ORDER_WINDOWS[:2]),
            self.capset.order_to_trade_grace_orders,
        )
        self.trade_ratio = self.capset.order_to_trade_ratio_max
        for book in self.books.values():
            book.forget_lanes()

    def follow_position(self, book: SymbolBook) -> None:
        """A position was opened, closed or moved."""
        if book.position:
            self.held[book.instrument_id] = book
        else:
            self.held.pop(book.instrument_id, None)

    def rebuild_rates(self) -> None:
        """Resolve the declared paths again: instruments or caps have changed."""
        for book in self.books.values():
            book.at_par = bool(book.quote) and asset_name(book.quote) == self.capset.numeraire
            book.worst = None
            book.forget_lanes()
            book.base_account, book.quote_account = (
                self.account(book.base),
                self.account(book.quote),
            )
        self.quotes = {b.quote: self.account(b.quote) for b in self.books.values() if b.quote}
        caps = self.capset
        self.rates.rebuild(caps.numeraire, caps.conversions, self.books.values())
        self._leg_ids = frozenset(
            book.instrument_id for asset in caps.conversions for book in self.rates.books_of(asset)
        )

    # ------------------------------------------------------------------ reading
    def positions(self) -> dict[InstrumentId, Position]:
        """Net traded quantity and profit of every instrument that was traded."""
        return {
            book.instrument_id: Position(
                instrument_id=book.instrument_id,
                qty=book.position,
                avg_px=book.cost / book.position if book.position else ZERO,
                realised_pnl=book.realised - book.fees_quote,
                fees_quote=book.fees_quote,
            )
            for book in self.books.values()
            if book.was_traded
        }

    def position(self, instrument_id: InstrumentId) -> Decimal:
        """Net traded quantity of one instrument: `positions()` for the hot path."""
        book = self.books.get(instrument_id)
        return book.position if book is not None else ZERO

    def context(self, instrument_id: InstrumentId) -> RiskContext:
        """The caps and filters that a decision on an instrument stands on now."""
        book = self.books.get(instrument_id)
        if book is None:
            return context_of_stranger(self, instrument_id)
        return context_of(self, book)

    def usage(self, now_ns: int) -> tuple[CapUsage, ...]:
        """Each cap that fills up, with what is used of it now."""
        return usage_of(self, self.advance(now_ns))

    def open_worst_case(self, instrument_id: InstrumentId) -> tuple[Decimal, Decimal]:
        """`(long, short)`: the position if every open buy fills, and if every open sell does."""
        book = self.book(instrument_id)
        return book.long_worst(), book.short_worst()

    def equity(self, now_ns: int) -> EquityView:
        """Equity in the numeraire as last marked, with its parts where they can be valued."""
        self.advance(now_ns)
        return equity_view(self)

    def take_equity_record(self) -> EquityView | None:
        """What an EQUITY record must carry now (peak or baseline moved), or None."""
        if not self.ledger.due:
            return None
        view = equity_view(self)
        self.ledger.due = False
        self.ledger.rebased = ""
        return view

    def take_notices(self) -> Notices:
        """Notices not yet handed out (facts hand them out themselves)."""
        if not self._notices:
            return ()
        out = tuple(self._notices)
        self._notices.clear()
        return out

    # ------------------------------------------------------------------ keeping
    def advance(self, now_ns: int) -> int:
        """The engine's time, which never runs backward here."""
        self.now_ns = max(self.now_ns, now_ns)
        return self.now_ns

    def fact(self, now_ns: int) -> int:
        """The time of a fact that the journal holds; durable windows are cut there."""
        self.fact_ns = now_ns = self.advance(now_ns)
        return now_ns

    def book(self, instrument_id: InstrumentId) -> SymbolBook:
        """The book of an instrument, made when first heard of (no caps: denied)."""
        book = self.books.get(instrument_id)
        if book is None:
            book = SymbolBook(instrument_id)
            book.set_caps(self.capset.for_instrument(instrument_id))
            self._guess_assets(book)
            self.books[instrument_id] = book
            self.rebuild_rates()
        return book

    def _guess_assets(self, book: SymbolBook) -> None:
        """Recovery meets fills before the venue has told its symbols: read them off the name."""
        for asset in (self.capset.numeraire, *self.capset.conversions):
            if asset and book.symbol.endswith(asset) and book.symbol != asset:
                book.base, book.quote = book.symbol.removesuffix(asset), asset
                return

    def account(self, asset: str) -> Account:
        """The account of an asset, unknown until the venue speaks."""
        account = self.accounts.get(asset)
        if account is None:
            account = self.accounts[asset] = Account(asset)
        return account

    def take_hold(
        self,
        client_order_id: ClientOrderId,
        book: SymbolBook,
        *,
        is_buy: bool,
        is_stop: bool,
        qty: Decimal,
        px: Decimal,
        phase: str,
        reserved: bool | None = None,
    ) -> Hold:
        """Hold an order against every cap; `reserved`: its cost is not in the venue's free yet."""
        pays_value = is_buy or book.model.sell_pays_value
        hold = Hold(
            client_order_id,
            book,
            is_buy=is_buy,
            is_stop=is_stop,
            leaves=qty,
            px=px,
            quote=book.quote_account,
            pays_value=pays_value,
            account=book.quote_account if pays_value else book.base_account,
            phase=phase,
            reserved=phase != WORKING if reserved is None else reserved,
        )
        self.holds[client_order_id] = hold
        book.add_hold(hold)
        return hold

    def messages(self, now_ns: int) -> tuple[int, int]:
        """Orders and cancels together in the last second and minute."""
        orders = self.orders.counts(now_ns)
        cancels = self.cancels.counts(now_ns)
        return orders[0] + cancels[0], orders[1] + cancels[1]

    def count_attempt(self, book: SymbolBook, key: DuplicateKey, now_ns: int) -> None:
        """Count an approved order in every window; whatever becomes of it, it stays counted."""
        self.orders.add(now_ns)
        book.minute.add(now_ns)
        self.behaviour.remember(key, now_ns)

    def _finish(self, hold: Hold) -> None:
        del self.holds[hold.client_order_id]
        hold.book.drop_hold(hold)
        if hold.reduced:
            self.standing = None
        if hold.reduced and hold.client_order_id not in self.bot_orders:
            self._notices += self.behaviour.order_ended(hold.book.instrument_id, hold.realised)

    def _note_breach(self, book: SymbolBook, side: Side) -> None:
        """A fill that went beyond the position cap: a late fill, or a lie of the venue.

        Fees that sells paid in base since the last sell was approved are nobody's lie: that order
        had the room up to the cap, and its fee is known only with the fill.
        """
        caps = book.caps
        key = "position_long_base_max" if side is Side.BUY else "position_short_base_max"
        limit: Decimal = getattr(caps, key) if caps else ZERO
        used = abs(book.position)
        if used > (limit if side is Side.BUY else limit + book.fees_since_sell):
            text = f"{book.symbol}: position {plain(book.position)} is beyond {key} {plain(limit)}"
            self._notices.append(
                CapNotice(
                    "breach", key, book.symbol, 100, True, plain(used), plain(limit), "halt", text
                )
            )

    # ------------------------------------------------------------------ valuing
    def remark_all(self, now_ns: int) -> None:
        """Value every traded symbol anew, and follow peaks and losses."""
        self._value_all()
        self._mark_equity(now_ns)

    def resume_equity(self) -> None:
        """Value what a restored state holds; peaks and baselines are the state's own."""
        self._value_all()
        self.ledger.equity = equity_of(self)
        self.standing = None

    def _value_all(self) -> None:
        for book in self.books.values():
            if book.was_traded:
                self._value(book)

    def _remark(self, book: SymbolBook, now_ns: int) -> None:
        self._value(book)
        self._mark_equity(now_ns)

    def _value(self, book: SymbolBook) -> None:
        position = book.position
        total = book.realised - book.fees_quote - book.cost
        if position:
            mark = book.mark_bid if position > 0 else book.mark_ask
            if not mark:
                book.worth = None
                return
            total += position * mark
        rate = self.rates.rate(book.quote)
        book.worth = None if rate is None else total * (rate[0] if total > 0 else rate[1])

    def _mark_equity(self, now_ns: int) -> None:
        self.standing = None
        for rule in self.ledger.mark(equity_of(self), now_ns):
            used, limit = plain(rule.used), plain(rule.limit)
            cap = f"{rule.cap}_numeraire_max"
            text = f"{cap}: {used} of {limit} {self.capset.numeraire} lost; {rule.action}"
            self._notices.append(
                CapNotice("breach", cap, "", 100, True, used, limit, rule.action, text)
            )

    # ------------------------------------------------------------------ telling
    def _settle(self, now_ns: int) -> Notices:
        if self.sweeps and (self.sweep_due or now_ns - self._swept_ns >= SWEEP_NS):
            self._sweep(now_ns)
        return self.take_notices() if self._notices else ()

    def _fill_reaches_band(self) -> bool:
        """Whether the fill of a held order brought a use to its next band.

        Executions, losses and their streak are what it raises; exposure and turnover were held in
        full before it, and move with the market from now on.
        """
        watch, behaviour = self.watch, self.behaviour
        if (
            behaviour.executions_since_human >= watch["executions_without_human_max"].up
            or behaviour.loss_streak >= watch["loss_streak_max"].up
        ):
            return True
        rules = self.ledger.rules
        return any(rules[cap].used >= watch[key].up for cap, key in _LOSS_WATCHES)

    def _sweep(self, now_ns: int) -> None:
        """Compare every cap's use with its bands."""
        self.sweep_due = False
        self._swept_ns = now_ns
        told = len(self._notices)
        for watch, level in levels_of(self, now_ns):
            rising = watch.move(level, now_ns)
            if rising is None:
                continue
            used, limit = plain(Decimal(level)), plain(Decimal(watch.limit))
            cap, symbol, band = watch.cap, watch.symbol, watch.band
            word = "reached" if rising else "fell back below"
            text = f"{cap} {symbol}".strip() + f": {word} {band} % ({used} of {limit})"
            self._notices.append(
                CapNotice("alert", cap, symbol, band, rising, used, limit, "none", text)
            )
        if len(self._notices) > told:
            self._follow_bands()

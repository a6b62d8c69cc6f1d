"""The inputs of a decision, so that a third party can decide again from the file alone.

The rules over them are the rows of riskcaps/gate/table.py (docs/RULES.md).

`decision` is a flat dict of plain JSON values; amounts are decimal text, times integer
nanoseconds, and `null` says "not known". Everything is as it stood BEFORE the order was held.

== What was asked
    verdict        "approved", or the DenyReason
    strategy_id, instrument_id, side, order_type, time_in_force, reduce_only
    qty            as wished; `qty_approved` is what may leave (smaller only when a reduce was cut)
    price          limit price, null for MARKET, STOP_LOSS, TAKE_PROFIT
    stop_price     trigger price or null
    extras         {trailing_bps, iceberg_qty, peg, peg_levels}; not there for a plain order
    px             the order's price as rule 20 derives it (null when denied before)
== What was known
    now_ns         engine time of the decision
    context        digest of the line `risk_context` before it (riskcaps/state/context.py), which
                   holds caps_hash: hash of the whole set; `caps`: the symbol's, null if none,
                   `portfolio_caps`: the others; `filters`: the venue's of the instrument
                   (daemon/model/instrument.py), null if none
    halted         whether the halt flag was closed, halt_reason why
    standing       {trading_state, journal_ok,
                   clock: [offset_ns, round_trip_ns, sampled_at_ns], sampled_at -1: never,
                   streaks: [executions since a human; on the instrument venue rejects, losing
                   orders, in a row],
                   budget: {window: [used, limit]} of the venue, sampled at budget_ns,
                   equity: in the numeraire, null when it cannot be valued,
                   losses: [[used, limit, action, latched] for session, day, drawdown]}
    blocked        why the engine blocked the symbol ("" when not); unknown_orders: their count
    market         {bid, ask, top_ns: when it was received, reference_px, reference_ns: the last
                   trade when the collar refers to it, else null: mid}
    position       net traded quantity; buys_open / sells_open: open + in flight + unknown, base
    covered        [buys, sells]: of these, what adds nothing to its side, because it is pending
                   behind an order of the other side (OTO); not there where it is nothing
    cover          of an order that is pending itself: the quantity of the first order of its list,
                   where that is of the other side, else 0; not there for any other order. A build
                   that wrote none counted what is pending as if it could be working
    own_px         [highest open buy, lowest open sell, highest open price of either]; null if none
    orders_open    [symbol, stop orders of symbol, total]
    rate           [low, high, oldest_ns] of the quote asset in the numeraire (oldest_ns 0: itself)
    others         {instrument_id: [position, buys_open, sells_open (each less what is covered),
                   highest open price, bid, ask, top_ns, rate low, rate high, rate oldest_ns]} of
                   every other instrument with a position or an open order
    balance        [asset, free, in flight, unsettled] of what it would spend; free null: unknown
    base_total     free + locked of the base asset (null unless MAX_POSITION applies)
    attempts       orders in [second, minute, hour, day]; cancels in [second, minute];
                   messages = orders + cancels of the same window
    symbol_minute  orders on the symbol in the minute
    executions     executions in the day
    turnover       {quote asset: [traded in 24 h, open notional, rate high]}
    traded_qty     base quantity of the symbol traded in 24 h
    bot            of a bot with caps of its own, where the account's let the order pass: standing,
                   position … duplicate_ns (bot_scope.PARTS) as above, of the bot's orders alone
    duplicate_ns   when the same order (instrument, side, price or else stop_price, approved qty)
                   was last approved within the window, -1: not, or denied by an earlier rule
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from daemon.model.amounts import ZERO
from daemon.model.enums import Side
from daemon.model.ids import InstrumentId
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import OrderExtras
from riskcaps.state.context import RiskContext
from riskcaps.state.conversion import PAR, Rate
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.state.valuation import Turnover
from riskcaps.words.order_kinds import BOT_PREFIX, bot_of

APPROVED = "approved"
_BUY = Side.BUY  # a look at a member of an enum costs as much as a call on Python 3.11
NOTHING: Mapping[InstrumentId, Any] = {}


@dataclass(init=False, slots=True)
class DecisionInputs:
    """Every input of one decision as it stood, taken before the order is held.

    Rules read it; nothing in it changes afterwards but the outcome, which the interceptor sets.
    No struct: it is made empty and filled field by field, and a stranger's stays half empty.
    What many decisions share (context, market, standing) is made anew when it changes.
    """

    intent: PlaceIntent
    owner: str
    """The bot whose order it is; empty: no bot's."""
    now_ns: int
    context: RiskContext
    halted: bool
    halt_reason: str
    standing: Mapping[str, Any]
    standing_version: int
    is_stranger: bool
    """Nobody has heard of the instrument: no rule beyond the ninth is reached, and no field that
    follows here is set."""
    market: Mapping[str, Any]
    blocked: str
    unknown_orders: int
    position: Decimal
    buys_open: Decimal
    sells_open: Decimal
    buys_covered: Decimal
    """Of `buys_open`, what adds nothing to the side: it is pending behind a sell (OTO)."""
    sells_covered: Decimal
    cover: Decimal
    """What the first order of its list brings before the order can trade; 0: it is not pending."""
    own_buy_px: Decimal | None
    """The highest price of an open buy."""
    own_sell_px: Decimal | None
    """The lowest price of an open sell."""
    own_px_max: Decimal | None
    orders_open: int
    stops_open: int
    orders_open_total: int
    rate: Rate | None
    others: Mapping[InstrumentId, Any]
    asset: str
    """What it would spend."""
    free: Decimal | None
    inflight: Decimal
    unsettled: Decimal
    base_total: Decimal | None
    orders: list[int]
    cancels: list[int]
    symbol_minute: int
    executions: int
    turnover: list[Turnover]
    traded_qty: Decimal
    # The outcome.
    bot: Mapping[str, Any] | None
    """What was known of the bot whose order it is, where that has caps of its own."""
    verdict: str
    qty: Decimal
    px: Decimal | None
    duplicate_ns: int

    def plain(self) -> dict[str, Any]:
        """As a record carries them."""
        intent, px = self.intent, self.px
        price, stop_price = intent.price, intent.stop_price
        out: dict[str, Any] = {
            "verdict": self.verdict,
            "strategy_id": intent.strategy_id,
            "instrument_id": intent.instrument_id,
            "side": intent.side,
            "order_type": intent.order_type,
            "time_in_force": intent.time_in_force,
            "reduce_only": intent.reduce_only,
            "qty": str(intent.qty),
            "price": None if price is None else str(price),
            "stop_price": None if stop_price is None else str(stop_price),
            "now_ns": self.now_ns,
        }
        if intent.extras is not None:
            out["extras"] = extras_plain(intent.extras)
        out["qty_approved"] = str(self.qty)
        out["px"] = None if px is None else str(px)
        out["context"] = self.context.digest
        out["halted"] = self.halted
        out["halt_reason"] = self.halt_reason
        out["standing"] = self.standing
        if self.is_stranger:
            return out
        if self.bot is not None:
            out["bot"] = self.bot
        buy_px, sell_px, px_max = self.own_buy_px, self.own_sell_px, self.own_px_max
        rate, free, base_total = self.rate, self.free, self.base_total
        turnover: dict[str, Any] = {}
        for name, traded, is_open, of in self.turnover:
            turnover[name] = [str(traded), str(is_open), None if of is None else str(of[1])]
        out["market"] = self.market
        out["blocked"] = self.blocked
        out["unknown_orders"] = self.unknown_orders
        out["position"] = str(self.position)
        out["buys_open"] = str(self.buys_open)
        out["sells_open"] = str(self.sells_open)
        if self.buys_covered or self.sells_covered:
            out["covered"] = [str(self.buys_covered), str(self.sells_covered)]
        if intent.order_list is not None and intent.order_list.is_pending:
            out["cover"] = str(self.cover)
        out["own_px"] = [
            None if buy_px is None else str(buy_px),
            None if sell_px is None else str(sell_px),
            None if px_max is None else str(px_max),
        ]
        out["orders_open"] = [self.orders_open, self.stops_open, self.orders_open_total]
        out["rate"] = None if rate is None else [str(rate[0]), str(rate[1]), rate[2]]
        out["others"] = self.others
        out["balance"] = [
            self.asset,
            None if free is None else str(free),
            str(self.inflight),
            str(self.unsettled),
        ]
        out["base_total"] = None if base_total is None else str(base_total)
        out["attempts"] = self.orders
        out["cancels"] = self.cancels
        out["symbol_minute"] = self.symbol_minute
        out["executions"] = self.executions
        out["turnover"] = turnover
        out["traded_qty"] = str(self.traded_qty)
        out["duplicate_ns"] = self.duplicate_ns
        return out


def inputs_of(
    risk: RiskState, book: SymbolBook | None, intent: PlaceIntent, now_ns: int
) -> DecisionInputs:
    """Take the inputs of a decision on a wish now."""
    given = DecisionInputs()
    given.intent = intent
    sender = intent.strategy_id
    given.owner = bot_of(sender) if sender.startswith(BOT_PREFIX) else ""
    given.now_ns = now_ns
    given.qty = intent.qty
    given.px = None
    given.duplicate_ns = -1
    given.verdict = ""
    given.bot = None
    instrument_id = intent.instrument_id
    made = risk.contexts.made.get(instrument_id)
    is_made = made is not None and book is not None and made[0] == book.terms_version
    given.context = made[1] if is_made else risk.contexts.of(instrument_id)  # type: ignore[index]
    halt = risk.health.halt
    given.halted = halt.closed
    given.halt_reason = halt.reason if given.halted else ""
    given.standing_version, given.standing = risk.standing.now(instrument_id)
    given.is_stranger = book is None
    if book is None:
        return given
    version, market = book.market_made
    given.market = market if version == book.market_version else book.market_plain()
    given.blocked = book.blocked
    given.unknown_orders = book.unknown_count
    given.position = book.position
    given.buys_open, given.sells_open = book.buys_open, book.sells_open
    given.buys_covered, given.sells_covered = book.buys_covered, book.sells_covered
    given.cover = ZERO
    buys, sells = book.buy_pxs, book.sell_pxs
    if buys or sells:
        given.own_buy_px = buys[-1] if buys else None
        given.own_sell_px = sells[0] if sells else None
        given.own_px_max = book.px_max()
    else:
        given.own_buy_px = given.own_sell_px = given.own_px_max = None
    books, windows = risk.books, risk.windows
    given.orders_open = book.open_count
    given.stops_open = book.stops_open
    given.orders_open_total = len(books.holds)
    given.rate = PAR if book.at_par else books.rates.rate(book.quote)
    is_alone = not books.active or (len(books.active) == 1 and instrument_id in books.active)
    given.others = NOTHING if is_alone else _others(risk, book)
    pays_value = intent.side is _BUY or book.model.sell_pays_value
    account = book.quote_account if pays_value else book.base_account
    given.asset = account.asset
    given.free = account.free if account.known else None
    given.inflight = account.inflight
    given.unsettled = account.unsettled
    filters = book.instrument
    given.base_total = None if filters is None or not filters.position_max else _base_total(book)
    given.orders = windows.orders.counts(now_ns)
    cancels = windows.cancels
    given.cancels = cancels.kept if now_ns <= cancels.until_ns else cancels.counts(now_ns)
    given.symbol_minute = book.minute.count(now_ns)
    done = windows.executions
    given.executions = done.kept if now_ns <= done.until_ns else done.count(now_ns)
    given.turnover = risk.valuation.turnover(now_ns)
    traded = book.traded
    given.traded_qty = traded.kept if now_ns <= traded.leaves_ns else traded.total(now_ns)
    return given


def extras_plain(extras: OrderExtras) -> dict[str, Any]:
    """As a record carries them; a wish may hold anything, so nothing is assumed of it."""
    return {
        "trailing_bps": extras.trailing_bps,
        "iceberg_qty": None if extras.iceberg_qty is None else str(extras.iceberg_qty),
        "peg": None if extras.peg is None else str(extras.peg),
        "peg_levels": extras.peg_levels,
    }


def _base_total(book: SymbolBook) -> Decimal | None:
    """Free and locked of the base asset."""
    account = book.base_account
    return account.free + account.locked if account.known else None


def _others(risk: RiskState, book: SymbolBook) -> dict[InstrumentId, Any]:
    """Every other instrument with a position or an open order."""
    active = risk.books.active
    return {
        other.instrument_id: _other(risk, other)
        for other in risk.books.by_id.values()
        if other is not book and other.instrument_id in active
    }


def _rate_text(rate: Rate | None) -> list[Any] | None:
    return None if rate is None else [str(rate[0]), str(rate[1]), rate[2]]


def _other(risk: RiskState, book: SymbolBook) -> list[Any]:
    top = book.top
    return [
        str(book.position),
        str(book.buys_open - book.buys_covered),
        str(book.sells_open - book.sells_covered),
        str(book.px_max()),
        str(top.bid_px) if top else None,
        str(top.ask_px) if top else None,
        book.top_ns,
        *(_rate_text(risk.books.rates.rate(book.quote)) or (None, None, None)),
    ]

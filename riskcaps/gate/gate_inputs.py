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
from decimal import Decimal
from typing import Any

import msgspec

from daemon.model.amounts import ZERO
from daemon.model.enums import Side
from daemon.model.ids import InstrumentId
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import OrderExtras
from riskcaps.gate.ground import Ground, RecordedGround, told_of_stranger
from riskcaps.state.conversion import Rate
from riskcaps.state.risk_state import RiskState
from riskcaps.state.symbol_book import SymbolBook
from riskcaps.state.valuation import Turnover
from riskcaps.words.order_kinds import BOT_PREFIX, bot_of

APPROVED = "approved"
_BUY = Side.BUY  # a look at a member of an enum costs as much as a call on Python 3.11
NOTHING: Mapping[InstrumentId, Any] = {}


class OwnPrices(msgspec.Struct, frozen=True):
    """Prices of our own open orders on the instrument; None where there is none."""

    buy: Decimal | None
    """The highest of a buy."""
    sell: Decimal | None
    """The lowest of a sell."""
    highest: Decimal | None
    """Of either."""


NO_PRICES = OwnPrices(None, None, None)


class DecisionInputs(msgspec.Struct):
    """Every input of one decision as it stood, taken before the order is held.

    Rules read it; nothing in it changes afterwards but the outcome, which the interceptor sets.
    What only facts change (context, market, standing) is `told`, made anew when they have.
    """

    intent: PlaceIntent
    owner: str
    """The bot whose order it is; empty: no bot's."""
    now_ns: int
    told: RecordedGround
    halt_reason: str | None
    """Why the halt flag was closed; None: it was open."""
    qty: Decimal
    """As wished; of an order that was decided on, what may leave."""
    px: Decimal | None
    # Of a stranger (`told`) no rule beyond the ninth is reached, and what follows is not told.
    unknown_orders: int = 0
    position: Decimal = ZERO
    buys_open: Decimal = ZERO
    sells_open: Decimal = ZERO
    buys_covered: Decimal = ZERO
    """Of `buys_open`, what adds nothing to the side: it is pending behind a sell (OTO)."""
    sells_covered: Decimal = ZERO
    own_px: OwnPrices = NO_PRICES
    orders_open: int = 0
    stops_open: int = 0
    orders_open_total: int = 0
    rate: Rate | None = None
    others: Mapping[InstrumentId, Any] = NOTHING
    asset: str = ""
    """What it would spend."""
    free: Decimal | None = None
    inflight: Decimal = ZERO
    unsettled: Decimal = ZERO
    base_total: Decimal | None = None
    orders: list[int] = []
    cancels: list[int] = []
    symbol_minute: int = 0
    executions: int = 0
    turnover: list[Turnover] = []
    traded_qty: Decimal = ZERO
    cover: Decimal = ZERO
    """What the first order of its list brings before the order can trade; 0: it is not pending."""
    # The outcome, with `qty` and `px`.
    bot: Mapping[str, Any] | None = None
    """What was known of the bot whose order it is, where that has caps of its own."""
    verdict: str = APPROVED
    duplicate_ns: int = -1

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
        told = self.told
        out["context"] = told.context.digest
        out["halted"] = self.halt_reason is not None
        out["halt_reason"] = self.halt_reason or ""
        out["standing"] = told.standing
        if told.is_stranger:
            return out
        if self.bot is not None:
            out["bot"] = self.bot
        rate, free, base_total = self.rate, self.free, self.base_total
        turnover: dict[str, Any] = {}
        for name, traded, is_open, of in self.turnover:
            turnover[name] = [str(traded), str(is_open), None if of is None else str(of[1])]
        out["market"] = told.market
        out["blocked"] = told.blocked
        out["unknown_orders"] = self.unknown_orders
        out["position"] = str(self.position)
        out["buys_open"] = str(self.buys_open)
        out["sells_open"] = str(self.sells_open)
        if self.buys_covered or self.sells_covered:
            out["covered"] = [str(self.buys_covered), str(self.sells_covered)]
        if intent.order_list is not None and intent.order_list.is_pending:
            out["cover"] = str(self.cover)
        own = self.own_px
        buy_px, sell_px, px_max = own.buy, own.sell, own.highest
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
    sender, instrument_id = intent.strategy_id, intent.instrument_id
    owner = bot_of(sender) if sender.startswith(BOT_PREFIX) else ""
    health, books, windows = risk.health, risk.books, risk.windows
    halt = health.halt
    halt_reason = halt.reason if halt.closed else None
    if book is None:
        unheard = told_of_stranger(risk, instrument_id)
        return DecisionInputs(intent, owner, now_ns, unheard, halt_reason, intent.qty, intent.price)
    ground: Ground | None = book.ground
    version = (
        book.terms_version
        + book.market_version
        + health.version
        + risk.behaviour.version
        + risk.ledger.version
        + risk.alerts.bands_version
    )
    if ground is None:
        ground = book.ground = Ground()
    if ground.version != version or now_ns > ground.until_ns:
        ground.follow(risk, book, version, now_ns)
    active, account = books.active, ground.of_buys if intent.side is _BUY else ground.of_sells
    is_alone = not active or (len(active) == 1 and instrument_id in active)
    cancels = windows.cancels
    turnover: list[Turnover] = []
    for asset, of_asset, rate in ground.quotes:
        kept = of_asset.traded
        traded = kept.kept if now_ns <= kept.leaves_ns else kept.total(now_ns)
        if traded or of_asset.open_notional:
            worth = rate or books.rates.rate(asset)
            turnover.append((asset, traded, of_asset.open_notional, worth))
    # By place: by name it takes four times as long, for every order. Thirty at most: of more,
    # Python 3.11 makes a list first.
    return DecisionInputs(
        intent,
        owner,
        now_ns,
        ground.told,
        halt_reason,
        intent.qty,
        intent.price,
        book.unknown_count,
        book.position,
        book.buys_open,
        book.sells_open,
        book.buys_covered,
        book.sells_covered,
        _own_prices(book) if book.open_count else NO_PRICES,
        book.open_count,
        book.stops_open,
        len(books.holds),
        ground.rate or books.rates.rate(book.quote),
        NOTHING if is_alone else _others(risk, book),
        account.asset,
        account.free if account.known else None,
        account.inflight,
        account.unsettled,
        _base_total(book) if ground.has_position_max else None,
        windows.orders.counts(now_ns),
        cancels.kept if now_ns <= cancels.until_ns else cancels.counts(now_ns),
        book.minute.count(now_ns),
        ground.executions,
        turnover,
        ground.traded_qty,
    )


def _own_prices(book: SymbolBook) -> OwnPrices:
    buys, sells = book.buy_pxs, book.sell_pxs
    buy = buys[-1] if buys else None
    if not sells:
        return NO_PRICES if buy is None else OwnPrices(buy, None, buy)
    sell = sells[-1]
    return OwnPrices(buy, sells[0], buy if buy is not None and buy > sell else sell)


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

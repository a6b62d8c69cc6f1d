"""Account endpoints: balances, open and past orders, trades, commission, order counts."""

from bisect import bisect_left, bisect_right

from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.params import mandatory
from daemon.venues.sim.dialect.rows import (
    Row,
    account_row,
    amendment_row,
    commission_row,
    order_row,
    prevented_match_row,
    trade_row,
)
from daemon.venues.sim.dialect.sim_exchange_info import exchange_filter_rows, filter_rows
from daemon.venues.sim.sim_orders import SimRefusalError, TradeFill
from daemon.venues.sim.units import ms_of, text_of

_DAY_MS = 86_400_000


def account(call: Call) -> Row:
    """GET /account, account.status."""
    owner = call.exchange.venue.accounts[call.account]
    return account_row(owner, omit_zero=call.params.flag("omitZeroBalances"))


def commission(call: Call) -> Row:
    """GET /account/commission, account.commission."""
    symbol = call.params.symbol()
    call.exchange.venue.market(symbol)
    return commission_row(call.exchange.venue.accounts[call.account], symbol)


def open_orders(call: Call) -> list[Row]:
    """GET /openOrders, openOrders.status."""
    symbol = call.params.symbol() if call.params.text("symbol") else None
    if symbol is not None:
        call.exchange.venue.market(symbol)
    return [order_row(o) for o in call.exchange.venue.open_orders(call.account, symbol)]


def all_orders(call: Call) -> list[Row]:
    """GET /allOrders, allOrders."""
    params = call.params
    symbol = params.symbol()
    call.exchange.venue.market(symbol)
    limit = params.limit(500, 1000)
    history = call.exchange.venue.accounts[call.account].history
    ids = history.ids(symbol)
    from_id, start, end = (params.integer(n) for n in ("orderId", "startTime", "endTime"))
    _check_span(start, end)

    def placed_ms(order_id: int) -> int:
        order = history.get(symbol, order_id)
        return ms_of(order.ts_ns) if order is not None else 0

    low, high = 0, len(ids)
    if from_id is not None:
        low = bisect_left(ids, from_id)
    if start is not None:
        low = max(low, bisect_left(ids, start, key=placed_ms))
    if end is not None:
        high = bisect_right(ids, end, key=placed_ms)
    oldest_first = from_id is not None or start is not None
    chosen = (
        ids[low : min(high, low + limit)] if oldest_first else ids[max(low, high - limit) : high]
    )
    orders = [history.get(symbol, order_id) for order_id in chosen]
    return [order_row(order) for order in orders if order is not None]


def my_trades(call: Call) -> list[Row]:
    """GET /myTrades, myTrades: symbol alone, + orderId, + fromId, or + times."""
    params = call.params
    symbol = params.symbol()
    call.exchange.venue.market(symbol)
    limit = params.limit(500, 1000)
    from_id, order_id, start, end = (
        params.integer(name) for name in ("fromId", "orderId", "startTime", "endTime")
    )
    timed = start is not None or end is not None
    if timed and (from_id is not None or order_id is not None):
        raise SimRefusalError(-1128, "Combination of optional parameters invalid.")
    _check_span(start, end)
    rows: list[TradeFill] = call.exchange.venue.my_trades(
        call.account, symbol, from_id=from_id or 0, order_id=order_id
    )
    if timed:
        rows = [row for row in rows if _within(ms_of(row.ts_ns), start, end)]
    oldest_first = from_id is not None or start is not None
    return [trade_row(row) for row in (rows[:limit] if oldest_first else rows[-limit:])]


def prevented_matches(call: Call) -> list[Row]:
    """GET /myPreventedMatches: by match id, or by order id and on from a match id."""
    params = call.params
    market = call.exchange.venue.market(params.symbol())
    match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    if match_id is None and order_id is None:
        raise SimRefusalError(
            -1102,
            "Param 'preventedMatchId' or 'orderId' must be sent, but both were empty/null!",
        )
    from_id = params.integer("fromPreventedMatchId") or 0
    rows = [
        match
        for match in market.prevented
        if match.account == call.account
        and match.id >= from_id
        and match_id in {None, match.id}
        and order_id in {None, match.maker_order_id, match.taker_order_id}
    ]
    return [prevented_match_row(match) for match in rows[: params.limit(500, 1000)]]


def amendments(call: Call) -> list[Row]:
    """GET /order/amendments, order.amendments."""
    params = call.params
    order_id = params.integer("orderId")
    if order_id is None:
        raise mandatory("orderId")
    order = call.exchange.venue.query(call.account, params.symbol(), order_id=order_id)
    from_id = params.integer("fromExecutionId") or 0
    rows = [amend for amend in order.amends if amend.execution_id >= from_id]
    return [amendment_row(order, amend) for amend in rows[: params.limit(500, 1000)]]


def order_counts(call: Call) -> list[Row]:
    """GET /rateLimit/order, account.rateLimits.orders."""
    return call.exchange.limiter.order_rows(call.now_ns, call.account)


def my_filters(call: Call) -> Row:
    """GET /myFilters, myFilters."""
    symbol = call.params.symbol()
    market = call.exchange.venue.market(symbol)
    return {
        "exchangeFilters": exchange_filter_rows(call.exchange.venue.exchange_filters),
        "symbolFilters": filter_rows(market.spec),
        "assetFilters": [
            {"filterType": "MAX_ASSET", "asset": "JPY", "limit": text_of(100_000_000_000_000)}
        ],
    }


def allocations(call: Call) -> list[Row]:
    """GET /myAllocations: always empty, no symbol here has smart order routing."""
    call.exchange.venue.market(call.params.symbol())
    call.params.limit(500, 1000)
    _check_span(call.params.integer("startTime"), call.params.integer("endTime"))
    return []


def _within(ms: int, start: int | None, end: int | None) -> bool:
    return (start is None or ms >= start) and (end is None or ms <= end)


def _check_span(start: int | None, end: int | None) -> None:
    if start is not None and end is not None and end - start > _DAY_MS:
        raise SimRefusalError(-1127, "More than 24 hours between startTime and endTime.")

"""Account endpoints: balances, open and past orders, trades, commission, order counts."""

from bisect import bisect_left, bisect_right

from daemon.venues.binance_spot.serving.account_rows import account_row, commission_row
from daemon.venues.binance_spot.serving.dialect_errors import DialectError, mandatory
from daemon.venues.binance_spot.serving.ranges import check_span, range_of, trade_range_of
from daemon.venues.binance_spot.serving.shown_rows import (
    Row,
    order_row,
    prevented_match_row,
    trade_row,
)
from daemon.venues.binance_spot.serving.units import ms_of, text_of
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.dialect.sim_exchange_info import exchange_filter_rows, filter_rows
from daemon.venues.sim.sim_orders import AmendRow, SimOrder


def account(call: Call) -> Row:
    """GET /account, account.status."""
    owner = call.exchange.venue.accounts[call.account]
    return account_row(
        ((asset, wallet.free, wallet.locked) for asset, wallet in owner.wallets.items()),
        maker_ppm=owner.maker_ppm,
        taker_ppm=owner.taker_ppm,
        can_trade=owner.can_trade,
        updated_ns=owner.updated_ns,
        uid=owner.uid,
        omit_zero=call.params.flag("omitZeroBalances"),
    )


def commission(call: Call) -> Row:
    """GET /account/commission, account.commission."""
    symbol = call.params.symbol()
    call.exchange.venue.market(symbol)
    owner = call.exchange.venue.accounts[call.account]
    return commission_row(symbol, owner.maker_ppm, owner.taker_ppm)


def open_orders(call: Call) -> list[Row]:
    """GET /openOrders, openOrders.status."""
    symbol = call.params.symbol() if call.params.text("symbol") else None
    if symbol is not None:
        call.exchange.venue.market(symbol)
    return [order_row(o) for o in call.exchange.venue.open_orders(call.account, symbol)]


def all_orders(call: Call) -> list[Row]:
    """GET /allOrders, allOrders."""
    symbol = call.params.symbol()
    call.exchange.venue.market(symbol)
    bounds = range_of(call.params, "orderId")
    history = call.exchange.venue.accounts[call.account].history
    ids = history.ids(symbol)

    def placed_ms(order_id: int) -> int:
        order = history.get(symbol, order_id)
        return ms_of(order.ts_ns) if order is not None else 0

    low, high = 0, len(ids)
    if bounds.from_id is not None:
        low = bisect_left(ids, bounds.from_id)
    if bounds.start_ms is not None:
        low = max(low, bisect_left(ids, bounds.start_ms, key=placed_ms))
    if bounds.end_ms is not None:
        high = bisect_right(ids, bounds.end_ms, key=placed_ms)
    orders = [history.get(symbol, order_id) for order_id in bounds.cut(ids[low:high])]
    return [order_row(order) for order in orders if order is not None]


def my_trades(call: Call) -> list[Row]:
    """GET /myTrades, myTrades: symbol alone, + orderId, + fromId, or + times."""
    symbol = call.params.symbol()
    call.exchange.venue.market(symbol)
    bounds, order_id = trade_range_of(call.params)
    found = call.exchange.venue.my_trades(
        call.account, symbol, from_id=bounds.from_id or 0, order_id=order_id
    )
    inside = [row for row in found if bounds.holds_time(ms_of(row.ts_ns))]
    return [trade_row(row) for row in bounds.cut(inside)]


def prevented_matches(call: Call) -> list[Row]:
    """GET /myPreventedMatches: by match id, or by order id and on from a match id."""
    params = call.params
    market = call.exchange.venue.market(params.symbol())
    match_id, order_id = params.integer("preventedMatchId"), params.integer("orderId")
    if match_id is None and order_id is None:
        raise DialectError(
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
    return [_amendment_row(order, amend) for amend in rows[: params.limit(500, 1000)]]


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


def _amendment_row(order: SimOrder, amend: AmendRow) -> Row:
    """GET /order/amendments."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "executionId": amend.execution_id,
        "origClientOrderId": amend.old_client_order_id,
        "newClientOrderId": amend.new_client_order_id,
        "origQty": text_of(amend.old_qty),
        "newQty": text_of(amend.new_qty),
        "time": ms_of(amend.ts_ns),
    }


def allocations(call: Call) -> list[Row]:
    """GET /myAllocations: always empty, no symbol here has smart order routing."""
    call.exchange.venue.market(call.params.symbol())
    call.params.limit(500, 1000)
    check_span(call.params.integer("startTime"), call.params.integer("endTime"))
    return []

"""Order lists: all kinds, the old OCO call, cancel and queries (binance-spot.md §14)."""

from daemon.model.enums import OrderType
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.list_forms import parse_list
from daemon.venues.binance_spot.serving.order_forms import parse_place, response_type
from daemon.venues.binance_spot.serving.ranges import range_of
from daemon.venues.binance_spot.serving.shown_rows import (
    Row,
    canceled_row,
    list_row,
    placed_row,
)
from daemon.venues.binance_spot.serving.units import ms_of
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.sim_orders import OrderList


def place(name: str, call: Call) -> Row:
    """The placing call of this name (`serving.list_forms.LIST_CALLS`)."""
    request = parse_list(name, call.params)
    exchange, count = call.exchange, len(request.requests)
    exchange.limiter.check_orders(call.account, count, call.now_ns)
    shown = response_type(call.params, OrderType.LIMIT)
    outcome = exchange.venue.place_list(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, count, call.now_ns)
    trades = exchange.venue.accounts[call.account].trades_from(request.symbol, 0)
    reports = [
        placed_row(order, [f for f in trades if f.order_id == order.order_id], shown, call.now_ns)
        for order in outcome.orders
    ]
    return list_row(outcome.order_list, reports)


def cancel(call: Call) -> Row:
    """DELETE /orderList, orderList.cancel."""
    params = call.params
    list_id, client_id = params.order_key("orderListId", "listClientOrderId")
    found = call.exchange.venue.cancel_list(
        call.account,
        params.symbol(),
        list_id,
        client_id,
        now_ns=call.now_ns,
        cancel_id=params.client_id("newClientOrderId"),
    )
    return list_row(found, [canceled_row(order) for order in found.orders])


def query(call: Call) -> Row:
    """GET /orderList, orderList.status."""
    list_id, client_id = call.params.order_key("orderListId", "origClientOrderId")
    found = call.exchange.venue.accounts[call.account].find_list(list_id, client_id)
    if found is None:
        raise DialectError(-2013, "Order list does not exist.")
    return list_row(found)


def open_lists(call: Call) -> list[Row]:
    """GET /openOrderList, openOrderLists.status."""
    return [list_row(one) for one in _lists(call) if not one.is_done]


def all_lists(call: Call) -> list[Row]:
    """GET /allOrderList, allOrderLists: from an id, or within times."""
    bounds = range_of(call.params, "fromId", id_excludes_times=True)
    rows = [one for one in _lists(call) if bounds.holds(one.list_id, ms_of(one.ts_ns))]
    return [list_row(one) for one in bounds.cut(rows)]


def no_routing(call: Call) -> Row:
    """POST /sor/order and its test: no symbol of this venue has smart order routing."""
    call.exchange.venue.market(parse_place(call.params).symbol)
    raise DialectError(-1013, "This symbol does not support smart order routing.")


def _lists(call: Call) -> list[OrderList]:
    return list(call.exchange.venue.accounts[call.account].lists.values())

"""Order endpoints: place, test, cancel, cancel-replace, amend, cancel-all (binance-spot.md §5)."""

from daemon.model.bots import ReplaceMode
from daemon.venues.binance_spot.serving.account_rows import order_commission_row
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.order_forms import (
    CancelRequest,
    parse_amend,
    parse_cancel,
    parse_place,
    parse_replace,
    response_type,
)
from daemon.venues.binance_spot.serving.shown_rows import (
    Row,
    amended_row,
    canceled_row,
    list_row,
    order_row,
    placed_row,
    replaced_row,
)
from daemon.venues.sim.dialect.call_handlers import Call
from daemon.venues.sim.sim_orders import SimOrder


def place(call: Call) -> Row:
    """POST /order, order.place."""
    request = parse_place(call.params)
    shown = response_type(call.params, request.type)
    exchange = call.exchange
    exchange.limiter.check_orders(call.account, 1, call.now_ns)
    outcome = exchange.venue.place(call.account, request, call.now_ns)
    exchange.limiter.count_orders(call.account, 1, call.now_ns)
    return placed_row(outcome.order, outcome.fills, shown, call.now_ns, outcome.prevented)


def test_place(call: Call) -> Row:
    """POST /order/test, order.test: every check, no order."""
    request = parse_place(call.params)
    response_type(call.params, request.type)
    call.exchange.venue.check(call.account, request, call.now_ns)
    if not call.params.flag("computeCommissionRates"):
        return {}
    account = call.exchange.venue.accounts[call.account]
    return order_commission_row(account.maker_ppm, account.taker_ppm)


def query(call: Call) -> Row:
    """GET /order, order.status."""
    symbol = call.params.symbol()
    order_id, client_id = call.params.order_key()
    order = call.exchange.venue.query(
        call.account, symbol, order_id=order_id, client_order_id=client_id
    )
    return order_row(order)


def cancel(call: Call) -> Row:
    """DELETE /order, order.cancel."""
    return _canceled(_cancel(call, parse_cancel(call.params)))


def cancel_open(call: Call) -> list[Row]:
    """DELETE /openOrders, openOrders.cancelAll."""
    symbol = call.params.symbol()
    orders = call.exchange.venue.cancel_open(call.account, symbol, call.now_ns)
    lists = {order.list_id: order for order in orders if order.order_list is not None}
    alone = [canceled_row(order) for order in orders if order.order_list is None]
    return alone + [_canceled(order) for order in lists.values()]


def amend(call: Call) -> Row:
    """PUT /order/amend/keepPriority, order.amend.keepPriority."""
    asked = parse_amend(call.params)
    venue = call.exchange.venue
    order = venue.amend(
        call.account,
        asked.symbol,
        asked.new_qty,
        now_ns=call.now_ns,
        order_id=asked.order_id,
        client_order_id=asked.client_order_id,
        new_client_order_id=asked.new_client_order_id,
    )
    order_list = order.order_list
    return amended_row(
        order,
        order.amends[-1].old_client_order_id,
        venue.market(asked.symbol).execution_id,
        None if order_list is None else list_row(order_list),
    )


def cancel_replace(call: Call) -> Row:
    """POST /order/cancelReplace, order.cancelReplace.

    Raises:
        DialectError: -2021 (409) when one half failed, -2022 (400) when nothing was done; both
            carry the halves' answers in `data`. 429 when the account has placed too many orders.
    """
    asked, exchange = parse_replace(call.params), call.exchange
    too_many: DialectError | None = None
    try:
        exchange.limiter.check_orders(call.account, 1, call.now_ns)
    except DialectError as error:
        if not asked.cancels_when_limited:
            raise
        too_many = error
    exchange.venue.check_filters(call.account, asked.place, call.now_ns)
    if too_many is None:
        exchange.limiter.count_orders(call.account, 1, call.now_ns)
    canceled: Row | DialectError
    placed: Row | DialectError | None
    try:
        canceled = canceled_row(_cancel(call, asked.cancel))
    except DialectError as error:
        canceled = error
    if isinstance(canceled, DialectError) and asked.mode is ReplaceMode.STOP_ON_FAILURE:
        placed = None
    else:
        try:
            if too_many is not None:
                raise too_many
            outcome = exchange.venue.place(call.account, asked.place, call.now_ns)
            placed = placed_row(
                outcome.order, outcome.fills, asked.shown, call.now_ns, outcome.prevented
            )
        except DialectError as error:
            placed = error
    # The documented statuses: 429 says that the limit decided, which ALLOW_FAILURE leaves open.
    limited = too_many is not None and asked.mode is ReplaceMode.STOP_ON_FAILURE
    return replaced_row(canceled, placed, is_limited=limited)


def _canceled(order: SimOrder) -> Row:
    """An order's report; for one of a list, the list's: canceling one cancels all."""
    if order.order_list is None:
        return canceled_row(order)
    return list_row(order.order_list, [canceled_row(one) for one in order.order_list.orders])


def _cancel(call: Call, asked: CancelRequest) -> SimOrder:
    return call.exchange.venue.cancel(
        call.account,
        asked.symbol,
        now_ns=call.now_ns,
        order_id=asked.order_id,
        client_order_id=asked.client_order_id,
        cancel_id=asked.cancel_id,
        only_status=asked.only_status,
    )

"""Order lists in seeded worlds: placed at the simulated venue, judged by what it has of them."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.model.enums import ReportSource, Side
from daemon.model.inputs import Input, VenueReport
from daemon.model.orders import NewOrderList
from daemon.venues.answers import Asked
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.order_requests import ListRequest
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from tests.support.sim_words import SYMBOL, place_request

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun


def send_list(run: "SimRun", order_list: NewOrderList) -> None:
    """One request, as a placement: it may be lost, late, or refused, with all of its orders."""
    first, *others = (order.client_order_id for order in order_list.orders)
    asked = Asked(
        kind="place",
        client_order_id=first,
        instrument_id=order_list.instrument_id,
        others=tuple(others),
    )
    number = run._request_of(asked)
    travel = None if number is None else run._travel()
    if number is None or travel is None:
        return
    worst = order_list.orders[0]
    run.wire.coming[worst.client_order_id] = (worst.side, worst.qty)  # one of them trades at most
    for order in order_list.orders:
        run.checker.sent(order.client_order_id)

    def arrive() -> None:
        run._answer(number, *_placed(run, order_list))
        run._pump_events()

    run.later(travel, arrive)


def _placed(run: "SimRun", order_list: NewOrderList) -> list[Input]:
    above, below = order_list.orders
    run.wire.coming.pop(above.client_order_id, None)
    request = ListRequest(
        symbol=SYMBOL,
        client_id=order_list.list_id,
        pair=(place_request(above), place_request(below)),
    )
    try:
        outcome = run.venue.place_list("main", request, run.now_ns)
    except DialectError as error:
        return [run._rejected(order, error.code, error.msg) for order in order_list.orders]
    trades = run.venue.my_trades("main", SYMBOL)
    return [
        VenueReport(
            run.report_of(
                order, ReportSource.REPLY, [t for t in trades if t.order_id == order.order_id]
            )
        )
        for order in outcome.orders
    ]


def reports_of(run: "SimRun", order: Any) -> list[Input]:
    """The reply to a cancel: one order, or all of its list."""
    orders = [order] if order.order_list is None else order.order_list.orders
    return [VenueReport(run.report_of(one, ReportSource.REPLY)) for one in orders]


def open_at_venue(orders: Any) -> list[tuple[Side, Decimal]]:
    """What may still trade at the venue: side and quantity, a list's most."""
    found: dict[object, tuple[Side, Decimal]] = {}
    for order in orders:
        key = ("list", order.list_id) if order.order_list is not None else order.order_id
        qty = decimal_of_e8(order.leaves)
        if key not in found or found[key][1] < qty:
            found[key] = (order.side, qty)
    return list(found.values())

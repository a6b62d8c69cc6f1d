"""Order lists in seeded worlds: placed at the simulated venue, judged by what it has of them."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from daemon.model.copies import replace
from daemon.model.enums import ReportSource, Side
from daemon.model.inputs import Input, VenueReport
from daemon.model.list_legs import Contingency
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
    for order in order_list.orders:
        run.checker.sent(order.client_order_id)
        leg = order.order_list
        if leg is not None and (not leg.excludes_others or leg.leg == leg.legs - 1):
            qty, ahead = order.qty, order_list.orders[0]  # of a pair one trades
            if leg.is_pending and ahead.side is not order.side:
                qty = max(qty - ahead.qty, Decimal(0))  # after the first has been filled
            run.wire.coming[order.client_order_id] = (order.side, qty)

    def arrive() -> None:
        run._answer(number, *_placed(run, order_list))
        run._pump_events()

    run.later(travel, arrive)


def _placed(run: "SimRun", order_list: NewOrderList) -> list[Input]:
    for order in order_list.orders:
        run.wire.coming.pop(order.client_order_id, None)
    asked = [place_request(order) for order in order_list.orders]
    if order_list.pays:
        asked[1:] = [replace(one, qty=0, is_open_sized=True) for one in asked[1:]]
    if order_list.contingency is Contingency.OCO:
        parts: dict[str, Any] = {"pair": tuple(asked)}
    elif len(asked) == 2:
        parts = {"first": asked[0], "pending": asked[1]}
    else:
        parts = {"first": asked[0], "pair": tuple(asked[1:])}
    request = ListRequest(
        symbol=SYMBOL, client_id=order_list.list_id, pays=order_list.pays, **parts
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
    """What may still trade at the venue: side and quantity, a list's most.

    What is pending trades after the first order of its list, so of an order of the other side only
    what is more than the first one still brings.
    """
    found: dict[object, tuple[Side, Decimal]] = {}
    for order in orders:
        listed = order.order_list
        is_pair = listed is not None and (
            listed.contingency is Contingency.OCO
            or (len(listed.orders) == 3 and order is not listed.orders[0])
        )
        key = ("pair", order.list_id) if is_pair else order.order_id
        qty = decimal_of_e8(order.leaves)
        if listed is not None and order in listed.pending:
            ahead = listed.orders[0]
            if ahead.side is not order.side:
                qty = max(qty - decimal_of_e8(ahead.leaves), Decimal(0))
        if key not in found or found[key][1] < qty:
            found[key] = (order.side, qty)
    return list(found.values())

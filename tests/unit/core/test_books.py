"""The durable form of an order: the general converter is the judge of the one written by hand."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from daemon.core.books import order_fields
from daemon.model.amounts import decimal_of, plain
from daemon.model.copies import replace
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce
from daemon.model.ids import ClientOrderId, ExecId, InstrumentId, StrategyId, VenueOrderId
from daemon.model.list_legs import Contingency, ListLeg
from daemon.model.orders import Order, OrderTerms
from daemon.model.plain_values import from_plain, to_plain

AMOUNTS = st.decimals(0, 10**9, places=8)
IDS = st.text("abc-:0123456789", min_size=1, max_size=12)
ORDERS = st.builds(
    Order,
    client_order_id=IDS.map(ClientOrderId),
    strategy_id=IDS.map(StrategyId),
    instrument_id=st.just(InstrumentId("BTCUSDT@sim")),
    side=st.sampled_from(Side),
    order_type=st.sampled_from(OrderType),
    qty=AMOUNTS,
    price=st.none() | AMOUNTS,
    time_in_force=st.none() | st.sampled_from(TimeInForce),
    stop_price=st.none() | AMOUNTS,
    status=st.sampled_from(OrderStatus),
    ts_approved_ns=st.integers(0, 2**62),
    ts_updated_ns=st.integers(0, 2**62),
    venue_order_id=st.none() | IDS.map(VenueOrderId),
    cum_qty=AMOUNTS,
    cum_quote=AMOUNTS,
    venue_cum_qty=AMOUNTS,
    exec_ids=st.sets(IDS.map(ExecId), max_size=4),
)
LEGS = st.builds(
    ListLeg, list_id=IDS, contingency=st.sampled_from(Contingency), leg=st.integers(0, 2),
    legs=st.integers(2, 3), bot_list_id=IDS,
)  # fmt: skip
OF_BOTS = ORDERS.flatmap(
    lambda order: st.builds(
        replace,
        st.just(order),
        bot_order_id=IDS,
        terms=st.none() | st.builds(OrderTerms, quote_qty=st.none() | AMOUNTS),
        ts_venue_placed_ns=st.integers(0, 2**62),
        ts_venue_ns=st.integers(0, 2**62),
        order_list=st.none() | LEGS,
        venue_list_id=st.none() | IDS,
    )
)
BOT_FIELDS = {"terms", "bot_order_id", "ts_venue_placed_ns", "ts_venue_ns"}
"""Fields that nobody but a bot's order has."""
LIST_FIELDS = {"order_list", "venue_list_id"}
"""Fields that nobody but an order of a list has."""


@given(ORDERS | OF_BOTS)
def test_an_orders_fields_are_its_plain_form_with_amounts_in_one_spelling(order: Order) -> None:
    made = order_fields(order)
    left_out = (set() if order.bot_order_id else BOT_FIELDS) | (
        set() if order.order_list is not None else LIST_FIELDS
    )
    assert set(made) == set(Order.__struct_fields__) - left_out
    judge = to_plain(order)
    for name, value in made.items():
        if isinstance(getattr(order, name), Decimal):
            assert value == plain(decimal_of(judge[name]))
        else:
            assert value == judge.get(name)
    if order.order_list is None:
        order = replace(order, venue_list_id=None)  # it has no meaning without a list
    assert from_plain(Order, json.loads(json.dumps(made))) == order

"""Trailing, iceberg, pegged: off unless switched on, each with its own worst case."""

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.copies import replace
from daemon.model.enums import OrderType, TimeInForce
from daemon.model.intents import PlaceIntent
from daemon.model.order_features import Feature, OrderExtras, PegPrice
from evidence.judge.redecide import Redecision
from riskcaps.gate.interceptor import Approved, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    T0,
    approve,
    bare_gate,
    caps_of,
    deny,
    instrument,
    order,
    symbol_caps,
    tell,
    wish,
)

D = Decimal
ALL = tuple(Feature)
TYPES = [kind.value for kind in OrderType]
VENUE: dict[str, Any] = {
    "features": frozenset(ALL),
    "iceberg_parts_max": 10,
    "iceberg_orders_open_max": 3,
    "trailing_above_bps_min": 10,
    "trailing_above_bps_max": 400,
    "trailing_below_bps_min": 20,
    "trailing_below_bps_max": 300,
}
TRAIL = OrderExtras(trailing_bps=100)
ICE = OrderExtras(iceberg_qty=D("0.2"))
PEG = OrderExtras(peg=PegPrice.PRIMARY_PEG)
LONG_WAY = {"order_notional_quote_max": "100000", "exposure_quote_max": "100000"}


def gate_with(features: tuple[Feature, ...] = ALL, **changes: Any) -> Interceptor:
    """Around 100: bid 99.99, ask 100.01, collar 1000 bps, slippage 50 bps."""
    caps = symbol_caps(
        order_types=TYPES, order_features=[f.value for f in features], **{**LONG_WAY, **changes}
    )
    wide = {"exposure_gross_numeraire_max": "100000", "exposure_net_numeraire_max": "100000"}
    gate = tell(bare_gate(caps_of(symbols={"BTCUSDT": caps}, **wide)))
    gate.risk.on_instruments([instrument(**VENUE)])
    return gate


def trailing(side: str = "BUY", kind: OrderType = OrderType.STOP_LOSS, **more: Any) -> PlaceIntent:
    return wish(side, price=None, order_type=kind, time_in_force=None, extras=TRAIL, **more)


def held_px(gate: Interceptor, intent: PlaceIntent) -> Decimal:
    return gate.risk.books.holds[approve(gate, intent)].px


# -------------------------------------------------------------------- switches
@pytest.mark.parametrize(
    ("feature", "intent"),
    [
        (Feature.TRAILING, trailing()),
        (Feature.ICEBERG, wish(extras=ICE)),
        (Feature.PEGGED, wish(price=None, order_type=OrderType.LIMIT, extras=PEG)),
    ],
)
def test_each_has_a_switch_of_its_own(feature: Feature, intent: PlaceIntent) -> None:
    assert approve(gate_with((feature,)), intent)
    others = tuple(one for one in ALL if one is not feature)
    assert deny(gate_with(others), intent) == "order_feature_not_allowed"
    assert deny(gate_with(()), intent) == "order_feature_not_allowed"
    gate = gate_with()
    gate.risk.on_instruments([instrument(**{**VENUE, "features": frozenset(others)})])
    assert deny(gate, intent) == "order_feature_not_allowed", "the venue does not take it"


def test_a_plain_order_needs_none() -> None:
    assert approve(gate_with(()), wish())


# -------------------------------------------------------------------- worst cases
@pytest.mark.parametrize(
    ("side", "stop", "px"),
    [
        ("BUY", None, D("100.01") * D("1.01") * D("1.005")),
        ("BUY", "103", D(103) * D("1.01") * D("1.005")),
        ("SELL", None, D("99.99") * D("0.99") * D("0.995")),
        ("SELL", "97", D(97) * D("0.99") * D("0.995")),
    ],
)
def test_a_trailing_stop_counts_at_the_end_of_its_trail(
    side: str, stop: str | None, px: Decimal
) -> None:
    gate = gate_with()
    intent = trailing(side, stop_price=None if stop is None else D(stop))
    assert held_px(gate, intent) == px
    assert gate.risk.books.by_id[BTC].stops_open == 1, "without a stop price it is one all the same"


def test_a_trailing_take_profit_without_a_price_has_no_bound() -> None:
    assert deny(gate_with(), trailing(kind=OrderType.TAKE_PROFIT)) == "order_feature_not_allowed"
    priced = wish(order_type=OrderType.TAKE_PROFIT_LIMIT, extras=TRAIL)
    assert held_px(gate_with(), priced) == 100


@pytest.mark.parametrize(("side", "px"), [("BUY", "110"), ("SELL", "90")])
def test_a_pegged_order_counts_at_the_edge_of_the_collar(side: str, px: str) -> None:
    gate = gate_with()
    intent = wish(side, price=None, order_type=OrderType.LIMIT, extras=PEG)
    assert held_px(gate, intent) == D(px)


def test_all_of_an_iceberg_counts() -> None:
    gate = gate_with(position_long_base_max="1.5")
    approve(gate, wish(qty="1", extras=ICE))
    assert gate.risk.books.open_worst_case(BTC)[0] == 1
    assert deny(gate, wish(qty="0.6", price="99", extras=ICE)) == "position_long"


def test_what_it_spends_is_asked_at_its_worst_price() -> None:
    gate = gate_with(order_qty_base_max="100", position_long_base_max="100")
    fits = wish(qty="46", price=None, order_type=OrderType.LIMIT, extras=PEG)
    assert deny(gate, fits) == "balance_insufficient", "46 x 110 is more than 5000 - 10"
    assert approve(gate, wish(qty="45", price=None, order_type=OrderType.LIMIT, extras=PEG))


# -------------------------------------------------------------------- shapes and filters
@pytest.mark.parametrize(
    "intent",
    [
        wish(extras=OrderExtras()),
        wish(extras=TRAIL),
        wish(extras=OrderExtras(trailing_bps=-1)),
        wish(extras=OrderExtras(iceberg_qty=D(1))),
        wish(extras=OrderExtras(iceberg_qty=D(0))),
        wish(extras=OrderExtras(iceberg_qty=D("NaN"))),
        wish(extras=ICE, time_in_force=TimeInForce.IOC),
        wish(price=None, order_type=OrderType.MARKET, extras=ICE),
        wish(extras=PEG),
        wish(price=None, order_type=OrderType.MARKET, extras=PEG),
        wish(price=None, order_type=OrderType.LIMIT, extras=PEG, time_in_force=TimeInForce.IOC),
        wish(
            price=None,
            order_type=OrderType.LIMIT_MAKER,
            extras=OrderExtras(peg=PegPrice.MARKET_PEG),
        ),
        wish(
            price=None,
            order_type=OrderType.LIMIT,
            extras=OrderExtras(peg=PegPrice.MARKET_PEG, peg_levels=101),
        ),
        wish(extras=OrderExtras(iceberg_qty=D("0.2"), peg_levels=1)),
    ],
)
def test_what_cannot_be(intent: PlaceIntent) -> None:
    assert deny(gate_with(), intent) == "malformed_order"


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (wish(extras=OrderExtras(iceberg_qty=D("0.0991"))), "filter_lot"),
        (wish(extras=OrderExtras(iceberg_qty=D("0.0001"))), "filter_qty"),
        (wish(extras=OrderExtras(iceberg_qty=D("0.099"))), "filter_iceberg"),
        (wish(extras=OrderExtras(iceberg_qty=D("0.1"))), ""),
        (wish(order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=9)),
         "filter_trailing"),
        (wish(order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=10)), ""),
        (wish(order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=400)), ""),
        (wish(order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=401)),
         "filter_trailing"),
        (wish("SELL", order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=301)),
         "filter_trailing"),
        (wish("SELL", order_type=OrderType.TAKE_PROFIT_LIMIT,
              extras=OrderExtras(trailing_bps=301)), ""),
        (wish("SELL", order_type=OrderType.STOP_LOSS_LIMIT, extras=OrderExtras(trailing_bps=19)),
         "filter_trailing"),
    ],
)  # fmt: skip
def test_the_venues_filters(intent: PlaceIntent, code: str) -> None:
    if code:
        assert deny(gate_with(), intent) == code
    else:
        assert approve(gate_with(), intent)


def test_the_least_quantity_may_be_shown_and_the_last_level_pegged() -> None:
    gate = gate_with()
    gate.risk.on_instruments([instrument(**{**VENUE, "qty_min": D("0.2")})])
    assert approve(gate, wish(extras=ICE))
    deep = OrderExtras(peg=PegPrice.MARKET_PEG, peg_levels=100)
    assert approve(gate, wish(price=None, order_type=OrderType.LIMIT, extras=deep))


def test_open_icebergs_are_counted_as_if_all_open_orders_were() -> None:
    gate = gate_with()
    for price in ("99", "98", "97"):
        approve(gate, wish(qty="0.5", price=price))
    assert deny(gate, wish(qty="0.5", price="96", extras=ICE)) == "filter_orders_open"
    assert approve(gate, wish(qty="0.5", price="96"))


# -------------------------------------------------------------------- the accountant agrees
LIKELY: list[dict[str, Any]] = [
    {"price": None, "order_type": OrderType.LIMIT, "stop_price": None, "extras": PEG},
    {"price": D("100.00"), "order_type": OrderType.LIMIT, "stop_price": None, "extras": ICE},
    {"price": None, "order_type": OrderType.STOP_LOSS, "stop_price": None, "extras": TRAIL},
]
"""Changes that make an order which may pass."""


def random_wish(rng: random.Random) -> PlaceIntent:
    kind = rng.choice(list(OrderType))
    extras = OrderExtras(
        trailing_bps=rng.choice([0, 0, 5, 15, 100, 350, 450, -1]),
        iceberg_qty=rng.choice([None, None, D("0.2"), D("0.05"), D("0.0005"), D(3)]),
        peg=rng.choice([None, None, *PegPrice]),
        peg_levels=rng.choice([0, 0, 0, 5, 101]),
    )
    likely: dict[str, Any] = {}
    if rng.random() < 0.3:
        likely = rng.choice(LIKELY)
    values: dict[str, Any] = {
        "price": rng.choice([None, D("100.00"), D(101), D(95), D("99.995")]),
        "order_type": kind,
        "time_in_force": rng.choice([*TimeInForce, TimeInForce.GTC, None]),
        "stop_price": rng.choice([None, None, D(102), D(98)]),
        "extras": rng.choice([extras, extras, extras, None]),
        "reduce_only": rng.random() < 0.05,
        **likely,
    }
    return replace(wish(rng.choice(["BUY", "SELL"]), rng.choice(["1", "0.5", "2"])), **values)


def test_other_code_reaches_the_same_verdict_from_the_lines_alone() -> None:
    rng = random.Random(20261122)
    met: dict[str, int] = {}
    for number in range(1_500):
        features = tuple(f for f in ALL if rng.random() < 0.85)
        gate = gate_with(features, collar_bps_max=rng.choice([100, 300, 1000]))
        for _ in range(rng.choice([0, 0, 2, 3])):
            gate.review(wish(rng.choice(["BUY", "SELL"]), "0.5", rng.choice(["99", "101"])), T0)
        intent = random_wish(rng)
        answer = gate.review(intent, T0)
        lines = json.loads(
            json.dumps({**gate.risk.contexts.of(BTC).plain, **dict(answer.decision)})
        )
        again = Redecision(lines)
        verdict = again.verdict()
        assert verdict == lines["verdict"], (number, intent)
        if isinstance(answer, Approved):
            assert again.px == Decimal(lines["px"])
            if intent.extras is not None:
                met["extras " + "+".join(intent.extras.features)] = 1
        met[verdict] = met.get(verdict, 0) + 1
    wanted = {"order_feature_not_allowed", "filter_iceberg", "filter_trailing", "malformed_order"}
    assert wanted <= set(met)
    assert {f"extras {feature}" for feature in ALL} <= set(met)


def test_a_restart_holds_it_at_the_price_that_was_decided() -> None:
    gate = gate_with()
    answer = gate.review(trailing(), T0)
    assert isinstance(answer, Approved)
    twin = gate_with()
    fields = {
        "client_order_id": answer.order.client_order_id, "instrument_id": BTC, "side": "BUY",
        "order_type": "STOP_LOSS", "qty": "1", "price": None, "stop_price": None,
        "decision": json.loads(json.dumps(dict(answer.decision))),
    }  # fmt: skip
    twin.restore_approved(fields, T0)
    assert twin.risk.books.holds[answer.order.client_order_id].px == (
        gate.risk.books.holds[answer.order.client_order_id].px
    )
    assert twin.risk.books.by_id[BTC].stops_open == gate.risk.books.by_id[BTC].stops_open == 1


def test_an_adopted_stop_without_any_price_counts_at_the_touch() -> None:
    gate = gate_with()
    gate.risk.adopt(order("found", price=None, order_type=OrderType.STOP_LOSS), T0)
    assert gate.risk.books.open_worst_case(BTC)[0] == 1
    assert gate.risk.books.holds["found"].px == D("100.01")  # type: ignore[index] # a text is an id here
    assert gate.risk.books.by_id[BTC].stops_open == 1

"""Each filter at its edge: the last value that passes and the first that does not."""

from typing import Any

import pytest

from daemon.model.enums import OrderType
from daemon.venues.sim.orders import VenueError
from daemon.venues.sim.units import e8_of
from tests.support.sim_stage import Stage


def verdict(stage: Stage, qty: str, price: str, **more: Any) -> str:
    try:
        stage.buy(qty, price, **more)
    except VenueError as error:
        return error.msg.removeprefix("Filter failure: ") if error.code == -1013 else str(error)
    return ""


@pytest.mark.parametrize(
    ("qty", "price", "failed"),
    [
        ("0.001", "60000.01", ""),
        ("0.001", "60000.011", "PRICE_FILTER"),
        ("0.001", "12000", ""),
        ("0.001", "11999.99", "PERCENT_PRICE_BY_SIDE"),
        ("0.001", "300000", ""),
        ("0.001", "300000.01", "PERCENT_PRICE_BY_SIDE"),
        ("0.00101", "60000", ""),
        ("0.001011", "60000", "LOT_SIZE"),
        ("0.00009", "60000", ""),
        ("0.00008", "60000", "NOTIONAL"),
        ("9001", "60000", "LOT_SIZE"),
        ("160", "60000", "NOTIONAL"),
        ("0", "60000", "LOT_SIZE"),
    ],
)
def test_limit_orders(qty: str, price: str, failed: str) -> None:
    assert verdict(Stage(), qty, price) == failed


@pytest.mark.parametrize(
    ("qty", "failed"), [("0.00009", ""), ("0.00008", "NOTIONAL"), ("100.1", "MARKET_LOT_SIZE")]
)
def test_market_orders_are_judged_by_the_mean_price(qty: str, failed: str) -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    assert verdict(stage, qty, "") == failed


def test_a_quote_sized_order_is_cut_to_whole_lots() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    order = stage.buy("0", quote_order_qty="100").order
    assert order.executed == e8_of("0.00166")
    assert verdict(stage, "0", "", quote_order_qty="4.99") == "NOTIONAL"


def test_counts_of_open_orders() -> None:
    stage = Stage(max_num_orders=2, max_num_algo_orders=1)
    assert verdict(stage, "0.1", "59000") == ""
    stop = {"type": OrderType.STOP_LOSS_LIMIT, "stop_price": "62000"}
    assert verdict(stage, "0.01", "62000", **stop) == ""
    assert verdict(stage, "0.1", "59000") == "MAX_NUM_ORDERS"
    roomy = Stage(max_num_algo_orders=1)
    assert verdict(roomy, "0.01", "62000", **stop) == ""
    assert verdict(roomy, "0.01", "62000", **stop) == "MAX_NUM_ALGO_ORDERS"


def test_icebergs_and_position() -> None:
    assert verdict(Stage(iceberg_parts=5), "1", "59000", iceberg_qty="0.2") == ""
    assert verdict(Stage(iceberg_parts=4), "1", "59000", iceberg_qty="0.2") == "ICEBERG_PARTS"
    stage = Stage(max_position=e8_of("101"))
    assert verdict(stage, "0.6", "59000") == ""
    assert verdict(stage, "0.6", "59000") == "MAX_POSITION"

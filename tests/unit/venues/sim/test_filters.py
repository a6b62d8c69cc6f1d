"""Each filter at its edge: the last value that passes and the first that does not."""

from typing import Any

import pytest

from daemon.model.enums import OrderType
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.units import e8_of
from daemon.venues.sim.listed_symbols import ExchangeFilters
from tests.support.sim_stage import Stage


def verdict(stage: Stage, qty: str, price: str, **more: Any) -> str:
    try:
        stage.buy(qty, price, **more)
    except DialectError as error:
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


def test_open_orders_of_all_symbols_together_are_limited() -> None:
    stage = Stage()
    account = stage.venue.accounts["main"]
    account.exchange_filters = ExchangeFilters(orders=3, algo_orders=1, iceberg_orders=1)
    stage.buy("0.1", "59000")
    stage.buy("1", "2000", symbol="ETHUSDT", iceberg_qty="0.5")
    with pytest.raises(DialectError, match="EXCHANGE_MAX_NUM_ICEBERG_ORDERS"):
        stage.buy("0.1", "58000", iceberg_qty="0.05")
    stop = {"type": OrderType.STOP_LOSS_LIMIT, "stop_price": "50000"}
    stage.sell("0.1", "49000", **stop)
    with pytest.raises(DialectError, match="EXCHANGE_MAX_NUM_ORDERS"):
        stage.buy("0.1", "58000")
    account.exchange_filters = ExchangeFilters(orders=0, algo_orders=1)
    with pytest.raises(DialectError, match="EXCHANGE_MAX_NUM_ALGO_ORDERS"):
        stage.sell("0.1", "49000", **stop)
    stage.buy("0.1", "58000")


def test_exchange_info_lists_the_filters_of_the_exchange_that_are_on() -> None:
    stage = Stage()
    stage.venue.exchange_filters = ExchangeFilters(orders=7, algo_orders=0)
    info = stage.raw_rest("GET", "exchangeInfo")[1]
    assert info["exchangeFilters"][0] == {
        "filterType": "EXCHANGE_MAX_NUM_ORDERS",
        "maxNumOrders": 7,
    }
    names = [row["filterType"] for row in info["exchangeFilters"]]
    assert "EXCHANGE_MAX_NUM_ALGO_ORDERS" not in names


def test_a_bound_of_zero_is_no_bound_and_is_told_as_zero() -> None:
    free = {"min_price": 0, "max_price": 0, "min_qty": 0, "max_qty": 0, "max_market_qty": 0,
            "min_notional": 0, "max_notional": 0, "percent_up": 0, "percent_down": 0}  # fmt: skip
    stage = Stage(**free)
    stage.sell("2", "99999999")
    stage.buy("0.00001", "0.01")
    rows = stage.raw_rest("GET", "exchangeInfo", query=b"symbol=BTCUSDT")[1]["symbols"][0][
        "filters"
    ]
    bounds = {row["filterType"]: row for row in rows}
    assert bounds["PRICE_FILTER"]["minPrice"] == bounds["PRICE_FILTER"]["maxPrice"] == "0.00000000"
    assert bounds["LOT_SIZE"]["maxQty"] == "0.00000000"
    assert bounds["MARKET_LOT_SIZE"]["maxQty"] == "0.00000000"
    with pytest.raises(DialectError, match="PRICE_FILTER"):
        stage.sell("1", "99999999.001")

"""Trailing stops, pegged orders and icebergs at the simulated venue, by the documented rules."""

import pytest

from daemon.model.enums import OrderType, Side
from daemon.venues.binance_spot.serving.order_requests import PegType, StpMode
from tests.support.sim_stage import ROW, SYMBOL, Stage

TRAIL: ROW = {
    "side": "SELL", "type": "STOP_LOSS_LIMIT", "timeInForce": "GTC", "quantity": "0.5",
    "price": "58000", "trailingDelta": 100, "newClientOrderId": "trail",
}  # fmt: skip


def trade_at(stage: Stage, price: str) -> None:
    """The others trade once, at this price."""
    stage.sell("0.001", price, account="other", stp=StpMode.NONE)
    stage.buy("0.001", price, account="other", stp=StpMode.NONE)


def made() -> Stage:
    stage = Stage()
    trade_at(stage, "60000")
    return stage


def row_of(stage: Stage, name: str) -> ROW:
    row: ROW = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId=name)[1]
    return row


def test_a_trailing_stop_follows_the_price_up_and_fires_on_the_way_down() -> None:
    stage = made()
    status, placed, _ = stage.rest(
        "POST", "order", symbol=SYMBOL, newOrderRespType="RESULT", **TRAIL
    )
    assert (status, placed["trailingDelta"]) == (200, 100)
    for price in ("60400", "61000"):
        trade_at(stage, price)
    trade_at(stage, "60391")
    assert not row_of(stage, "trail")["isWorking"], "1 % below 61000 is 60390"
    trade_at(stage, "60390")
    assert row_of(stage, "trail")["isWorking"]
    assert row_of(stage, "trail")["trailingTime"] > 0


def test_a_trailing_stop_with_a_stop_price_begins_there() -> None:
    stage = made()
    stage.rest("POST", "order", symbol=SYMBOL, **{**TRAIL, "stopPrice": "59500"})
    trade_at(stage, "59600")
    assert row_of(stage, "trail")["trailingTime"] == -1
    trade_at(stage, "59500")
    assert row_of(stage, "trail")["trailingTime"] > 0
    trade_at(stage, "58906")
    assert not row_of(stage, "trail")["isWorking"]
    trade_at(stage, "58905")
    assert row_of(stage, "trail")["isWorking"]


def test_a_trailing_buy_follows_the_price_down() -> None:
    stage = made()
    stage.place(Side.BUY, "0.1", "70000", type=OrderType.STOP_LOSS_LIMIT, trailing_bps=100, id="up")
    trade_at(stage, "59000")
    trade_at(stage, "59589")
    assert not row_of(stage, "up")["isWorking"]
    trade_at(stage, "59590")
    assert row_of(stage, "up")["isWorking"]


def test_a_trailing_market_stop_pays_with_what_it_locked() -> None:
    stage = made()
    stage.sell("1", "60800", account="other")
    stage.place(Side.BUY, "0.1", type=OrderType.STOP_LOSS, trailing_bps=100, id="up")
    assert stage.wallet("USDT")[1] != "0.00000000"
    trade_at(stage, "60600")
    assert row_of(stage, "up")["status"] == "FILLED"
    assert stage.wallet("USDT")[1] == "0.00000000"


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"trailingDelta": 9}, -1013, "TRAILING_DELTA"),
        ({"trailingDelta": 2001}, -1013, "TRAILING_DELTA"),
        ({"type": "LIMIT"}, -1106, "trailingDelta"),
        ({"trailingDelta": ""}, -1102, "stopPrice"),
        ({"stopPrice": "60500"}, None, ""),
    ],
)
def test_what_a_trailing_stop_may_be(changes: ROW, code: int | None, words: str) -> None:
    stage = made()
    params = {key: value for key, value in {**TRAIL, **changes}.items() if value != ""}
    status, body, _ = stage.rest("POST", "order", symbol=SYMBOL, **params)
    assert (status == 200) == (code is None), body
    if code is not None:
        assert body["code"] == code
        assert words in body["msg"]


def with_book() -> Stage:
    stage = made()
    for price in ("59990", "59980", "59970"):
        stage.buy("1", price, account="other")
    for price in ("60010", "60020", "60030"):
        stage.sell("1", price, account="other")
    return stage


@pytest.mark.parametrize(
    ("peg", "levels", "side", "price"),
    [
        ("PRIMARY_PEG", 0, "BUY", "59990.00000000"),
        ("PRIMARY_PEG", 2, "BUY", "59970.00000000"),
        ("PRIMARY_PEG", 1, "SELL", "60020.00000000"),
        ("MARKET_PEG", 0, "BUY", "60010.00000000"),
        ("MARKET_PEG", 1, "SELL", "59980.00000000"),
    ],
)
def test_a_pegged_order_takes_its_price_from_the_book(
    peg: str, levels: int, side: str, price: str
) -> None:
    stage = with_book()
    offset = {"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": levels} if levels else {}
    status, row, _ = stage.rest(
        "POST", "order", symbol=SYMBOL, side=side, type="LIMIT", timeInForce="GTC",
        quantity="0.1", pegPriceType=peg, newClientOrderId="p", newOrderRespType="RESULT", **offset,
    )  # fmt: skip
    assert status == 200, row
    assert (row["price"], row["peggedPrice"], row["pegPriceType"]) == (price, price, peg)
    assert ("pegOffsetValue" in row) == bool(levels)
    if peg == "PRIMARY_PEG":
        stage.buy("1", "59995", account="other")
        assert row_of(stage, "p")["price"] == price, "it is pegged once, when it is placed"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "MARKET", "timeInForce": ""}, -1106),
        ({"timeInForce": "IOC"}, -1106),
        ({"type": "LIMIT_MAKER", "timeInForce": "", "pegPriceType": "MARKET_PEG"}, -1106),
        ({"pegPriceType": "MID_PEG"}, -1130),
        ({"pegOffsetType": "PRICE_LEVEL"}, -1128),
        ({"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": 101}, -1130),
        ({"pegOffsetType": "TICKS", "pegOffsetValue": 1}, -1130),
        ({"pegPriceType": "", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": 1}, -1102),
        ({"pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": 99}, -2010),
        ({"price": "59990.001"}, -1013),
    ],
)
def test_what_a_pegged_order_may_be(changes: ROW, code: int) -> None:
    stage = with_book()
    base = {
        "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1",
        "pegPriceType": "PRIMARY_PEG",
    }  # fmt: skip
    params = {key: value for key, value in {**base, **changes}.items() if value != ""}
    status, body, _ = stage.rest("POST", "order", symbol=SYMBOL, **params)
    assert (status, body["code"]) == (400, code), body


def test_a_pegged_stop_gets_its_price_when_it_fires() -> None:
    stage = with_book()
    stage.place(
        Side.BUY, "0.1", type=OrderType.STOP_LOSS_LIMIT, stop_price="60100",
        peg=PegType.PRIMARY_PEG, id="p",
    )  # fmt: skip
    assert row_of(stage, "p")["price"] == "0.00000000"
    stage.buy("3", "60030", account="other", stp=StpMode.NONE)
    trade_at(stage, "60100")
    row = row_of(stage, "p")
    assert row["isWorking"]
    assert row["price"] == "59990.00000000"
    assert stage.wallet("USDT")[1] == "5999.00000000", "0.1 x 59990, no more and no less"


def test_an_iceberg_shows_a_part_and_counts_its_parts() -> None:
    stage = made()
    stage.buy("0.5", "59000", iceberg_qty="0.1", id="ice")
    bids = stage.raw_rest("GET", "depth", query=f"symbol={SYMBOL}".encode())[1]["bids"]
    assert bids[0] == ["59000.00000000", "0.10000000"]
    status, body, _ = stage.rest(
        "POST", "order", symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC",
        quantity="0.5", price="59000", icebergQty="0.001",
    )  # fmt: skip
    assert (status, body["msg"]) == (400, "Filter failure: ICEBERG_PARTS")
    status, body, _ = stage.rest(
        "POST", "order", symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC",
        quantity="0.5", price="59000", icebergQty="0.6",
    )  # fmt: skip
    assert (status, body["msg"]) == (400, "IcebergQty exceeds QTY.")

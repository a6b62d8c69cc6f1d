"""The price range rule, reference prices and block trades, on both roads and on the streams."""

from typing import Any

import orjson
import pytest

from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.binance_spot.serving.stream_names import is_stream
from daemon.venues.sim.dialect.streams import StreamHub
from tests.support.sim_stage import SYMBOL, Stage

S = {"symbol": SYMBOL}
Row = dict[str, Any]


def both(stage: Stage, path: str, method: str, **params: str) -> Any:
    """The REST answer, after the WebSocket API has given the same (times apart)."""
    text = "&".join(f"{name}={value}" for name, value in params.items())
    status, body, _ = stage.raw_rest("GET", path, query=text.encode())
    answer = stage.ws(method, signed=False, **params)
    told = answer.get("result", answer.get("error"))
    for row in (body, told):
        if isinstance(row, dict):
            row.pop("timestamp", None)
    assert (answer["status"], told) == (status, body)
    return body


def test_rules_and_the_way_of_calculating_are_told() -> None:
    stage = Stage()
    every = both(stage, "executionRules", "executionRules")["symbolRules"]
    assert [row["symbol"] for row in every] == ["BTCUSDT", "ETHUSDT"]
    assert every[0]["rules"] == [
        {
            "ruleType": "PRICE_RANGE",
            "bidLimitMultUp": "2",
            "bidLimitMultDown": "0.5",
            "askLimitMultUp": "2",
            "askLimitMultDown": "0.5",
        }
    ]
    assert both(stage, "executionRules", "executionRules", **S)["symbolRules"] == every[:1]
    mixed = both(stage, "executionRules", "executionRules", **S, symbolStatus="TRADING")
    assert mixed["code"] == -1128
    halted = both(stage, "executionRules", "executionRules", symbolStatus="HALT")
    assert halted == {"symbolRules": []}
    way = both(stage, "referencePrice/calculation", "referencePrice.calculation", **S)
    assert way == {
        "symbol": SYMBOL,
        "calculationType": "ARITHMETIC_MEAN",
        "bucketCount": 60,
        "bucketWidthMs": 1000,
    }


def test_the_reference_price_is_the_mean_of_a_minutes_trades() -> None:
    stage = Stage()
    assert both(stage, "referencePrice", "referencePrice", **S)["referencePrice"] is None
    for price in ("60000", "60010", "60050"):
        stage.sell("1", price, account="other")
        stage.buy("1", price)
        stage.tick(1_000)
    price = both(stage, "referencePrice", "referencePrice", **S)["referencePrice"]
    assert price == "60020.00000000"
    stage.tick(61_000)
    assert both(stage, "referencePrice", "referencePrice", **S)["referencePrice"] is None
    none = Stage(range_up=0)
    assert both(none, "referencePrice", "referencePrice", **S)["code"] == -2043
    assert both(none, "executionRules", "executionRules", **S)["symbolRules"][0]["rules"] == []


def test_a_taker_that_leaves_the_price_range_expires() -> None:
    stage = Stage(percent_up=0, max_market_qty=0)
    for price in ("60000", "60000", "130000"):
        stage.sell("1", price, account="other")
    stage.buy("1", "60000")
    outcome = stage.buy("2")
    assert outcome.order.status == "EXPIRED"
    assert outcome.order.expiry_reason == "EXECUTION_RULE_PRICE_RANGE_EXCEEDED"
    assert [fill.price for fill in outcome.fills] == [60_000 * 10**8]


def test_block_trades_are_listed_and_announced_alike() -> None:
    stage = Stage(flow_rate_per_s=3)
    hub, session = StreamHub(stage.venue), StreamSession(combined=False)
    hub.open(session, ["btcusdt@blockTrade"])
    told: list[Row] = []
    for _ in range(35):
        now_ns = stage.tick(1_000)
        stage.exchange.advance(now_ns)
        told += [orjson.loads(frame) for _, frame in hub.on_tick(now_ns)]
    assert len(told) == 3
    listed = both(
        stage, "historicalBlockTrades", "blockTrades.historical", **S, fromId=str(told[0]["t"])
    )
    keys = [("id", "t"), ("price", "p"), ("qty", "q"), ("time", "T"), ("isBuyerMaker", "m")]
    assert [[row[one] for one, _ in keys] for row in listed] == [
        [row[other] for _, other in keys] for row in told
    ]
    missing = both(stage, "historicalBlockTrades", "blockTrades.historical", **S)
    assert missing["code"] == -1102


INTERVALS = [
    "1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w",
    "1M",
]  # fmt: skip
STREAMS = [
    *(f"btcusdt@{kind}" for kind in (
        "aggTrade", "trade", "blockTrade", "miniTicker", "ticker", "bookTicker", "avgPrice",
        "referencePrice", "ticker_1h", "ticker_4h", "ticker_1d", "depth", "depth@100ms",
        "depth@1000ms", "depth5", "depth10", "depth20", "depth5@100ms", "depth10@100ms",
        "depth20@100ms",
    )),
    *(f"btcusdt@kline_{interval}" for interval in INTERVALS),
    *(f"btcusdt@kline_{interval}@+08:00" for interval in INTERVALS),
    "!miniTicker@arr", "!ticker_1h@arr", "!ticker_4h@arr", "!ticker_1d@arr",
]  # fmt: skip
NO_STREAMS = [
    "btcusdt", "btcusdt@", "BTCUSDT@trade", "nousdt@trade", "btcusdt@trade@100ms", "!ticker@arr",
    "!bookTicker", "btcusdt@depth7", "btcusdt@depth@", "btcusdt@depth@50ms", "btcusdt@kline",
    "btcusdt@kline_7m", "btcusdt@kline_1d@", "btcusdt@kline_1d@+09:00", "btcusdt@ticker_2h",
    "!ticker_2h@arr", "btcusdt@miniTicker@100ms", "btcusdt@markPrice", "btcusdt@forceOrder",
    "btcusdt@ticker_", "btcusdt@ticker_1h@arr", "!miniTicker", "",
]  # fmt: skip


@pytest.mark.parametrize("name", STREAMS)
def test_every_documented_stream_speaks(name: str) -> None:
    stage = Stage(flow_rate_per_s=30)
    hub, session = StreamHub(stage.venue), StreamSession(combined=True)
    asked = orjson.dumps({"method": "SUBSCRIBE", "params": [name], "id": 1})
    assert orjson.loads(hub.control(session, asked)) == {"result": None, "id": 1}
    heard: list[Row] = []
    for _ in range(250):
        now_ns = stage.tick(50)
        stage.exchange.advance(now_ns)
        events, stage.exchange.market_outbox = stage.exchange.market_outbox, []
        frames = [*hub.on_events(events), *hub.on_tick(now_ns)]
        heard += [orjson.loads(frame) for _, frame in frames]
    assert heard
    assert {row["stream"] for row in heard} == {name}
    assert all(row["data"] for row in heard)


@pytest.mark.parametrize("name", NO_STREAMS)
def test_what_is_no_stream_is_refused_and_nothing_is_subscribed(name: str) -> None:
    stage = Stage()
    hub, session = StreamHub(stage.venue), StreamSession(combined=False)
    asked = orjson.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@trade", name], "id": 1})
    assert orjson.loads(hub.control(session, asked))["error"]["code"] == 2
    assert session.names == {}
    assert not is_stream(name, stage.venue.markets)


def test_a_url_that_names_no_stream_is_told_so_and_a_number_is_not() -> None:
    stage = Stage()
    hub, session = StreamHub(stage.venue), StreamSession(combined=False)
    assert hub.open(session, ["0", ""]) == []
    told = [orjson.loads(row) for row in hub.open(session, ["btcusdt@nothing", "btcusdt@trade"])]
    assert [row["error"]["msg"] for row in told] == [
        "Invalid request: unknown stream btcusdt@nothing"
    ]
    assert list(session.names) == ["btcusdt@trade"]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"method": "SUBSCRIBE", "params": []}, 2),
        ({"method": "SUBSCRIBE", "params": [True]}, 2),
        ({"method": "LIST_SUBSCRIPTIONS", "params": ["combined"]}, 2),
        ({"method": "SET_PROPERTY", "params": ["combined"]}, 1),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"]}, 1),
        ({"method": "SET_PROPERTY", "params": ["colour", True]}, 0),
        ({"method": "SET_PROPERTY", "params": [True]}, 2),
        ({"method": "GET_PROPERTY", "params": ["combined", True]}, 2),
        ({"method": "GET_PROPERTY", "params": ["colour"]}, 0),
        ({"params": ["btcusdt@trade"]}, 2),
    ],
)
def test_control_requests_are_checked(request_: Row, code: int) -> None:
    stage = Stage()
    hub, session = StreamHub(stage.venue), StreamSession(combined=False)
    frame = orjson.dumps({**request_, "id": 5})
    assert orjson.loads(hub.control(session, frame))["error"]["code"] == code
    assert not session.combined

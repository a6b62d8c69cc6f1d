"""Garbage in: a typed error or a value comes out, never another exception, never a hang."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import SeatrialError
from daemon.model.market import TopOfBook, TradeTick
from daemon.venues.binance_spot import codec_rest, replace_reply, spot_rows
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.codec_stream import StreamNotice, StreamReader
from daemon.venues.binance_spot.codec_ws import decode_frame, order_result
from daemon.venues.binance_spot.depth import DepthBook, DepthDiff, decode_snapshot
from daemon.venues.binance_spot.error_answers import classify
from daemon.venues.binance_spot.order_rows import SpotRowReader, balances_of
from daemon.venues.binance_spot.user_data import (
    AccountEvent,
    OrderEvent,
    balances_in,
    report_of,
)
from daemon.venues.contract import WsReply
from daemon.venues.own_ids import OwnIds, SymbolNames
from tests.support.adapters import decode_exchange
from tests.support.decoder_fuzzer import fuzz
from tests.support.spot_payloads import BASE, PLACED, TRADE

NAMES = SymbolNames("sim", ["BTCUSDT"])
READER = SpotRowReader(NAMES, OwnIds())
STREAM = StreamReader(NAMES)

LETTERS = list("eEscSofqpPFgCxXrilzLnNTtvIwmMOZYQWVuUaAbBd")
FIELDS = [
    "symbol", "orderId", "clientOrderId", "origClientOrderId", "price", "origQty", "executedQty",
    "cummulativeQuoteQty", "status", "side", "time", "updateTime", "transactTime", "fills", "id",
    "qty", "commission", "commissionAsset", "isBuyer", "isMaker", "balances", "asset", "free",
    "locked", "code", "msg", "data", "symbols", "filters", "filterType", "rateLimits", "bids",
    "asks", "lastUpdateId", "serverTime", "cancelResult", "newOrderResult", "cancelResponse",
    "newOrderResponse", "orderTypes", "baseAsset", "quoteAsset", "minQty", "maxQty", "stepSize",
]  # fmt: skip
WORDS = [
    "executionReport", "outboundAccountPosition", "trade", "depthUpdate", "TRADE", "NEW", "BUY",
    "SELL", "FILLED", "BTCUSDT", "A@B", "", "NaN", "Infinity", "-1", "1e999999999", "0", "0.1",
    "1.00000000", "9" * 60, "SUCCESS", "FAILURE", "LOT_SIZE", "NOTIONAL", "TRADING", "LIMIT",
]  # fmt: skip

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=12)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(FIELDS + LETTERS), inner, max_size=12)
    ),
    max_leaves=24,
)


def mutated(base: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A document that is right but for a few fields."""
    changes = st.dictionaries(st.sampled_from(sorted(base)), values, min_size=1, max_size=3)
    return changes.map(lambda changed: {**base, **changed})


EVENTS = [{**BASE, **TRADE}, {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": []}]
MARKET = [
    {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2", "A": "1"},
    {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "1", "q": "1", "T": 1, "m": True},
    {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2, "b": [["1", "2"]], "a": []},
]
ROWS = [
    PLACED,
    {
        "symbol": "BTCUSDT", "id": 1, "orderId": 1, "price": "1", "qty": "1", "commission": "0",
        "time": 1, "isBuyer": True, "isMaker": True, "commissionAsset": "BTC",
    },
    {"asset": "BTC", "free": "1", "locked": "0"},
    {"symbols": [], "rateLimits": [], "serverTime": 1, "bids": [], "asks": [], "lastUpdateId": 1},
]  # fmt: skip
event_like = st.sampled_from(EVENTS).flatmap(mutated)
market_like = st.sampled_from(MARKET).flatmap(mutated)
row_like = st.sampled_from(ROWS).flatmap(mutated)


REFUSED = object()


def typed(work: Callable[[], Any]) -> Any:
    """What comes out: a value, or REFUSED for an error of our own tree. Nothing else may."""
    try:
        return work()
    except SeatrialError as error:
        told = str(error)
    assert 0 < len(told) < 20_000
    return REFUSED


def read_user_frame(payload: bytes) -> Any:
    message = decode_frame(payload)
    if isinstance(message, OrderEvent):
        report = report_of(message, NAMES, READER.ids, 1)
        assert report.qty >= 0
        assert report.qty.is_finite()
    elif isinstance(message, AccountEvent):
        assert all(one.free.is_finite() for one in balances_in(message))
    elif isinstance(message, WsReply) and message.fault is None:
        READER.placed(order_result(message), 1)
    return message


def read_market_frame(payload: bytes) -> Any:
    event = STREAM.read(payload, 1)
    amounts: tuple[Decimal, ...] = ()
    if isinstance(event, TopOfBook):
        amounts = (event.bid, event.bid_qty, event.ask, event.ask_qty)
    elif isinstance(event, TradeTick):
        amounts = (event.price, event.qty)
    elif isinstance(event, DepthDiff):
        amounts = tuple(Decimal(text) for level in (*event.bids, *event.asks) for text in level)
    else:
        assert isinstance(event, StreamNotice)
    assert all(amount.is_finite() and amount >= 0 for amount in amounts)
    return event


def of_an_object(body: bytes) -> list[Callable[[], Any]]:
    return [
        lambda: spot_rows.decode_time_ms(body),
        lambda: READER.placed(spot_rows.decode_order(body), 1),
        lambda: balances_of(codec_rest.decode_account(body).balances),
        lambda: decode_exchange(body, NAMES),
        lambda: DepthBook().on_snapshot(decode_snapshot(body)),
        lambda: replace_reply.decode_success(body),
        lambda: codec_rest.error_data(body),
    ]


def of_a_list(body: bytes) -> list[Callable[[], Any]]:
    return [
        lambda: [READER.queried(row, 1) for row in codec_rest.decode_orders(body)],
        lambda: [READER.canceled(row, 1) for row in spot_rows.decode_canceled(body)],
        lambda: [
            READER.trade(row, READER.ids.learn("X", 1, "c"), 1)
            for row in codec_rest.decode_trades(body)
        ],
    ]


def read_rest_body(body: bytes) -> None:
    objects = [typed(decode) is not REFUSED for decode in of_an_object(body)]
    lists = [typed(decode) is not REFUSED for decode in of_a_list(body)]
    assert not (any(objects) and any(lists)), "no body is an object and a list"
    fault = codec_rest.decode_error(400, body)
    assert 0 < len(fault.text) < 20_000


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_bytes(payload: bytes) -> None:
    is_json = typed_json(payload)
    assert typed(lambda: read_user_frame(payload)) is REFUSED or is_json
    assert typed(lambda: read_market_frame(payload)) is REFUSED or is_json
    read_rest_body(payload)


def typed_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(values)
def test_any_json(value: Any) -> None:
    payload = json.dumps(value).encode()
    is_object = isinstance(value, dict)
    assert typed(lambda: read_user_frame(payload)) is REFUSED or is_object
    assert typed(lambda: read_market_frame(payload)) is REFUSED or is_object
    read_rest_body(payload)


@settings(max_examples=200, deadline=None)
@given(event_like)
def test_events_with_wrong_letters(event: dict[str, Any]) -> None:
    frame = json.dumps({"subscriptionId": 0, "event": event}).encode()
    told = typed(lambda: read_user_frame(frame))
    assert told is REFUSED or not isinstance(told, WsReply), "an event is no reply"


@settings(max_examples=200, deadline=None)
@given(market_like)
def test_market_frames_with_wrong_letters(data: dict[str, Any]) -> None:
    told = typed(lambda: read_market_frame(json.dumps({"stream": "x", "data": data}).encode()))
    assert not isinstance(told, TopOfBook | TradeTick) or data["s"] == "BTCUSDT"


@settings(max_examples=150, deadline=None)
@given(row_like)
def test_rows_with_wrong_fields(row: dict[str, Any]) -> None:
    read_rest_body(json.dumps(row).encode())
    read_rest_body(json.dumps([row]).encode())
    frame = {"id": 1, "status": 200, "result": row}
    told = typed(lambda: read_user_frame(json.dumps(frame).encode()))
    assert told is REFUSED or (isinstance(told, WsReply) and told.fault is None)


@settings(max_examples=100, deadline=None)
@given(data=values, status=st.integers(0, 999), code=st.integers(-3000, 10))
def test_cancel_replace_failures(data: Any, status: int, code: int) -> None:
    outcome = replace_reply.decode_failure(classify(status, code, "x"), data)
    if code not in {-2021, -2022}:
        assert outcome is None


@given(st.text(max_size=80))
def test_amount_text(text: str) -> None:
    try:
        value = amount(text)
    except SeatrialError:
        return
    assert value.is_finite()
    assert value >= 0
    assert len(format(value, "f")) <= 60


def test_mutated_payloads() -> None:
    outcome = fuzz(seconds=10, seed=20261122, executions_max=60_000)
    assert outcome.executions >= 10_000
    assert outcome.refused > 0, "the mutations do hurt"
    assert outcome.findings == []

"""The REST road on raw bytes: keys, signatures, time, routing, rows, weights."""

import hashlib
import hmac
from collections.abc import Callable
from itertools import pairwise

import pytest

from daemon.venues.sim.request_limits import LimitConfig
from tests.support.sim_stage import MS, SYMBOL, Stage

LIMIT = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
ORDER = {**LIMIT, "quantity": "0.1", "price": "50000"}
# Names as the venue documents them (binance-spot.md §5 says which answer has which).
ACK = {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
RESULT = ACK | {
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "workingTime",
    "selfTradePreventionMode",
}


def sign(text: str) -> str:
    return hmac.new(b"s", text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("wanted", "fields"), [("ACK", ACK), ("RESULT", RESULT), ("FULL", RESULT | {"fills"})]
)
def test_response_types_carry_exactly_their_fields(wanted: str, fields: set[str]) -> None:
    status, row, _ = Stage().rest("POST", "order", **ORDER, newOrderRespType=wanted)
    assert status == 200
    assert set(row) == fields


def test_a_query_row_has_its_own_fields() -> None:
    stage = Stage()
    _, placed, _ = stage.rest("POST", "order", **ORDER, newClientOrderId="q-1")
    _, row, _ = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId="q-1")
    extra = {"stopPrice", "icebergQty", "time", "updateTime", "isWorking"}
    assert set(row) == (RESULT - {"transactTime"}) | extra
    assert row["orderId"] == placed["orderId"]


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_parameters_may_stand_in_query_or_body(method: str, in_body: bool) -> None:
    stage = Stage()
    if method == "DELETE":
        stage.rest("POST", "order", **ORDER, newClientOrderId="x")
        params: dict[str, str] = {"symbol": SYMBOL, "origClientOrderId": "x"}
    else:
        params = ORDER
    status, _, _ = stage.rest(method, "order", in_body=in_body, **params)
    assert status == 200


def test_query_and_body_are_signed_together_without_a_separator_and_the_query_wins() -> None:
    stage = Stage()
    query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price=50000"
    body = f"quantity=0.1&price=1&recvWindow=5000&timestamp={stage.now_ns // MS}"
    signed = f"{body}&signature={sign(query + body)}"
    status, row, _ = stage.raw_rest(
        "POST", "order", query=query.encode(), body=signed.encode(), api_key="k"
    )
    assert (status, row["price"]) == (200, "50000.00000000")


def test_the_signature_is_judged_on_the_bytes_as_sent_wherever_it_stands() -> None:
    stage = Stage()
    # The same parameters, percent-encoded needlessly: only the raw text matters.
    raw = f"symbol=%42TCUSDT&timestamp={stage.now_ns // MS}"
    good = f"signature={sign(raw)}&{raw}".encode()
    decoded = f"symbol=BTCUSDT&timestamp={stage.now_ns // MS}"
    wrong = f"{raw}&signature={sign(decoded)}".encode()
    assert stage.raw_rest("GET", "openOrders", query=good, api_key="k")[0] == 200
    status, row, _ = stage.raw_rest("GET", "openOrders", query=wrong, api_key="k")
    assert (status, row["code"]) == (400, -1022)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (lambda text: (text, ""), 401, -2014),
        (lambda text: (text, "nobody"), 401, -2014),
        (lambda text: (text, "A1" * 32), 401, -2015),
        (lambda text: (text.partition("&signature")[0], "k"), 400, -1102),
        (lambda text: (text[:-1] + ("0" if text[-1] != "0" else "1"), "k"), 400, -1022),
        (lambda text: (text.upper().replace("SIGNATURE", "signature"), "k"), 400, -1104),
    ],
    ids=[
        "no key",
        "malformed key",
        "unknown key",
        "no signature",
        "wrong signature",
        "other letters",
    ],
)
def test_the_door_refuses(change: Callable[[str], tuple[str, str]], status: int, code: int) -> None:
    stage = Stage()
    text = f"symbol=BTCUSDT&timestamp={stage.now_ns // MS}"
    query, api_key = change(f"{text}&signature={sign(text)}")
    answer, row, _ = stage.raw_rest("GET", "openOrders", query=query.encode(), api_key=api_key)
    assert (answer, row["code"]) == (status, code)


@pytest.mark.parametrize(
    ("offset_ms", "window", "text"),
    [
        (0, "5000", ""),
        (-4_990, "5000", ""),
        (-5_010, "5000", "Timestamp for this request is outside of the recvWindow."),
        (-5_010, "60000", ""),
        (990, "5000", ""),
        (1_010, "5000", "Timestamp for this request was 1000ms ahead of the server's time."),
        (-3, "0.5", "Timestamp for this request is outside of the recvWindow."),
    ],
)
def test_the_time_window(offset_ms: int, window: str, text: str) -> None:
    stage = Stage()
    query = f"symbol=BTCUSDT&recvWindow={window}&timestamp={stage.now_ns // MS + offset_ms}"
    signed = f"{query}&signature={sign(query)}".encode()
    status, row, _ = stage.raw_rest("GET", "openOrders", query=signed, api_key="k")
    if text:
        assert (status, row) == (400, {"code": -1021, "msg": text})
    else:
        assert status == 200


def test_microsecond_timestamps_are_understood_and_too_wide_windows_are_not() -> None:
    stage = Stage()
    query = f"symbol=BTCUSDT&timestamp={stage.now_ns // 1000}"
    signed = f"{query}&signature={sign(query)}".encode()
    assert stage.raw_rest("GET", "openOrders", query=signed, api_key="k")[0] == 200
    _, row, _ = stage.rest("GET", "openOrders", symbol=SYMBOL, recvWindow="60001")
    assert row["code"] == -1131


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"side": "UP"}, -1117),
        ({"type": "ICEBERG"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"timeInForce": ""}, -1102),
        ({"price": ""}, -1102),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0.000000001"}, -1111),
        ({"symbol": "btcusdt"}, -1100),
        ({"symbol": "NOPE"}, -1121),
        ({"newClientOrderId": "a b"}, -1100),
        ({"newClientOrderId": "a" * 37}, -1100),
        ({"stopPrice": "1"}, -1106),
        ({"quoteOrderQty": "5"}, -1106),
        ({"selfTradePreventionMode": "MAYBE"}, -1130),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013),
        ({"strategyType": "5"}, -1134),
    ],
)
def test_malformed_orders_have_their_codes_and_leave_no_order(
    change: dict[str, str], code: int
) -> None:
    stage = Stage()
    status, row, _ = stage.rest("POST", "order", **{**ORDER, **change})
    assert (status, row["code"]) == (400, code)
    assert stage.venue.open_orders("main") == []
    assert stage.ledger()["rejects"][0]["code"] == code


def test_cancel_shows_both_ids_and_a_second_cancel_is_unknown() -> None:
    stage = Stage()
    stage.rest("POST", "order", **ORDER, newClientOrderId="own")
    _, row, _ = stage.rest(
        "DELETE", "order", symbol=SYMBOL, origClientOrderId="own", newClientOrderId="the-cancel"
    )
    assert (row["origClientOrderId"], row["clientOrderId"]) == ("own", "the-cancel")
    assert row["status"] == "CANCELED"
    status, row, _ = stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="own")
    assert (status, row) == (400, {"code": -2011, "msg": "Unknown order sent."})


def test_cancel_all_lists_the_orders_and_needs_one() -> None:
    stage = Stage()
    for _ in range(3):
        stage.rest("POST", "order", **ORDER)
    _, rows, _ = stage.rest("DELETE", "openOrders", symbol=SYMBOL)
    assert [row["status"] for row in rows] == ["CANCELED"] * 3
    status, row, _ = stage.rest("DELETE", "openOrders", symbol=SYMBOL)
    assert (status, row["code"]) == (400, -2011)


@pytest.mark.parametrize(
    ("mode", "old", "qty", "answer", "halves"),
    [
        ("STOP_ON_FAILURE", "old", "0.2", (200, None), ("SUCCESS", "SUCCESS")),
        ("STOP_ON_FAILURE", "never", "0.2", (400, -2022), ("FAILURE", "NOT_ATTEMPTED")),
        ("ALLOW_FAILURE", "never", "0.2", (409, -2021), ("FAILURE", "SUCCESS")),
        ("STOP_ON_FAILURE", "old", "100", (409, -2021), ("SUCCESS", "FAILURE")),
        ("ALLOW_FAILURE", "never", "100", (400, -2022), ("FAILURE", "FAILURE")),
    ],
)
def test_cancel_replace_tells_both_halves(
    mode: str, old: str, qty: str, answer: tuple[int, int | None], halves: tuple[str, str]
) -> None:
    stage = Stage()
    stage.rest("POST", "order", **ORDER, newClientOrderId="old")
    status, row, _ = stage.rest(
        "POST",
        "order/cancelReplace",
        **{**ORDER, "quantity": qty},
        cancelReplaceMode=mode,
        cancelOrigClientOrderId=old,
    )
    data = row if status == 200 else row["data"]
    assert (status, row.get("code")) == answer
    assert (data["cancelResult"], data["newOrderResult"]) == halves


def test_amend_answers_with_the_amended_order() -> None:
    stage = Stage()
    stage.rest("POST", "order", **ORDER, newClientOrderId="a")
    _, row, _ = stage.rest(
        "PUT", "order/amend/keepPriority", symbol=SYMBOL, origClientOrderId="a", newQty="0.05"
    )
    amended = row["amendedOrder"]
    assert (amended["origClientOrderId"], amended["qty"]) == ("a", "0.05000000")
    history = stage.rest("GET", "order/amendments", symbol=SYMBOL, orderId=amended["orderId"])[1]
    assert [(h["origQty"], h["newQty"]) for h in history] == [("0.10000000", "0.05000000")]
    assert history[0]["executionId"] == row["executionId"]
    _, orders, _ = stage.rest("GET", "openOrders")
    assert orders[0]["clientOrderId"] == amended["clientOrderId"] != "a"


def test_prevented_matches_are_told_in_the_answer_and_on_request() -> None:
    stage = Stage()
    maker = stage.rest("POST", "order", **{**ORDER, "side": "SELL", "price": "60000"})[1]
    _, taker, _ = stage.rest(
        "POST", "order", **{**ORDER, "price": "60000"}, selfTradePreventionMode="EXPIRE_TAKER"
    )
    assert taker["status"] == "EXPIRED_IN_MATCH"
    assert taker["preventedMatches"][0]["makerOrderId"] == maker["orderId"]
    rows = stage.rest("GET", "myPreventedMatches", symbol=SYMBOL, orderId=maker["orderId"])[1]
    assert [(r["takerOrderId"], r["selfTradePreventionMode"]) for r in rows] == [
        (taker["orderId"], "EXPIRE_TAKER")
    ]
    assert stage.rest("GET", "myPreventedMatches", symbol=SYMBOL)[1]["code"] == -1102


def test_trades_page_by_inclusive_id_and_refuse_odd_combinations() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    for _ in range(4):
        stage.rest("POST", "order", **{**ORDER, "price": "60000"})
    ids = [row["id"] for row in stage.rest("GET", "myTrades", symbol=SYMBOL)[1]]
    assert ids == [1, 2, 3, 4]
    page = stage.rest("GET", "myTrades", symbol=SYMBOL, fromId=2, limit=2)[1]
    assert [row["id"] for row in page] == [2, 3]
    assert [row["id"] for row in stage.rest("GET", "myTrades", symbol=SYMBOL, limit=2)[1]] == [3, 4]
    start = stage.now_ns // MS
    odd = stage.rest("GET", "myTrades", symbol=SYMBOL, fromId=1, startTime=start)[1]
    assert odd["code"] == -1128
    wide = stage.rest("GET", "myTrades", symbol=SYMBOL, startTime=0, endTime=86_400_001)[1]
    assert wide["code"] == -1127


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "userDataStream", 410), ("GET", "nothing/here", 404), ("PUT", "order", 404)],
)
def test_what_is_gone_and_what_never_was(method: str, path: str, status: int) -> None:
    answer, body, _ = Stage().raw_rest(method, path)
    assert answer == status
    assert b"nginx" in body if status == 410 else "code" in body


def test_headers_count_weight_and_orders_and_success_is_free() -> None:
    stage = Stage()
    _, _, answer = stage.rest("POST", "order", **ORDER)
    assert answer.headers["x-mbx-used-weight-1m"] == "0"
    assert answer.headers["x-mbx-order-count-10s"] == "1"
    _, _, answer = stage.rest("POST", "order", **{**ORDER, "price": "1"})
    assert answer.headers["x-mbx-used-weight-1m"] == "1"
    _, _, answer = stage.rest("GET", "account")
    assert answer.headers["x-mbx-used-weight-1m"] == "21"


def test_too_many_orders_is_429_with_the_time_to_wait() -> None:
    stage = Stage(limits=LimitConfig(orders_per_10s=2))
    answers = [stage.rest("POST", "order", **ORDER) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert answers[2][1]["code"] == -1015
    assert 1 <= int(answers[2][2].headers["retry-after"]) <= 10
    cancels = stage.rest("DELETE", "openOrders", symbol=SYMBOL)
    assert cancels[0] == 200


def test_public_market_data() -> None:
    stage = Stage(flow_rate_per_s=30)
    stage.venue.advance(stage.tick(20_000))
    depth = stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT&limit=5")[1]
    assert len(depth["bids"]) == len(depth["asks"]) == 5
    assert float(depth["bids"][0][0]) > float(depth["bids"][1][0])
    books = stage.raw_rest("GET", "ticker/bookTicker")[1]
    assert {row["symbol"] for row in books} == {"BTCUSDT", "ETHUSDT"}
    two = stage.raw_rest("GET", "exchangeInfo", query=b"symbols=%5B%22BTCUSDT%22%5D")[1]
    assert [row["symbol"] for row in two["symbols"]] == ["BTCUSDT"]
    bars = stage.raw_rest("GET", "klines", query=b"symbol=BTCUSDT&interval=5m&limit=10")[1]
    assert len(bars) == 10
    assert all(float(bar[3]) <= float(bar[4]) <= float(bar[2]) for bar in bars)
    assert all(b[0] - a[0] == 300_000 for a, b in pairwise(bars))
    bad = stage.raw_rest("GET", "klines", query=b"symbol=BTCUSDT&interval=7m")[1]
    assert bad["code"] == -1120
    aggregates = stage.raw_rest("GET", "aggTrades", query=b"symbol=BTCUSDT&limit=20")[1]
    spans = [(row["f"], row["l"]) for row in aggregates]
    assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(spans))


def test_rolling_windows_and_the_trading_day() -> None:
    stage = Stage(flow_rate_per_s=30)
    stage.venue.advance(stage.tick(20_000))
    hour = stage.raw_rest("GET", "ticker", query=b"symbol=BTCUSDT&windowSize=1h")[1]
    day = stage.raw_rest("GET", "ticker/24hr", query=b"symbol=BTCUSDT")[1]
    assert 0 < float(hour["volume"]) < float(day["volume"])
    assert hour["lastPrice"] == day["lastPrice"]
    today = stage.raw_rest("GET", "ticker/tradingDay", query=b"symbol=BTCUSDT&type=MINI")[1]
    assert today["openTime"] % 86_400_000 == 0
    assert stage.raw_rest("GET", "ticker", query=b"symbol=BTCUSDT&windowSize=90m")[1]["code"]
    assert stage.raw_rest("GET", "ticker")[1]["code"] == -1102

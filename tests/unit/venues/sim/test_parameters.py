"""Every endpoint and every parameter: what the venue does not know it refuses, on both roads.

The walk starts from the venue's own tables of routes, so that a new endpoint is walked as well; a
call that is right is written down here for each, from the documentation.
"""

import json
from typing import Any

import orjson
import pytest

from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, ROUTES
from daemon.venues.binance_spot.serving.parameters import KNOWN
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.sim.dialect import sim_rest, sim_ws
from tests.support.sim_stage import SYMBOL, Stage

S = {"symbol": SYMBOL}
LIMIT = {
    **S,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "50000",
}
OCO = {
    **S, "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER", "abovePrice": "70000",
    "belowType": "STOP_LOSS", "belowStopPrice": "50000",
}  # fmt: skip
WORKING = {
    "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "50000",
    "workingQuantity": "1", "workingTimeInForce": "GTC",
}  # fmt: skip
PENDING = {
    "pendingType": "LIMIT", "pendingSide": "SELL", "pendingPrice": "70000",
    "pendingTimeInForce": "GTC",
}  # fmt: skip
PENDING_PAIR = {
    "pendingSide": "SELL", "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": "70000",
    "pendingBelowType": "STOP_LOSS", "pendingBelowStopPrice": "50000",
}  # fmt: skip
LEGACY = {
    **S, "side": "SELL", "quantity": "1", "price": "70000", "stopPrice": "50000",
}  # fmt: skip
RIGHT: dict[str, dict[str, str]] = {
    "ping": {},
    "time": {},
    "exchangeInfo": {},
    "executionRules": {},
    "referencePrice": S,
    "referencePrice.calculation": S,
    "depth": S,
    "trades.recent": S,
    "trades.historical": S,
    "blockTrades.historical": {**S, "fromId": "1"},
    "trades.aggregate": S,
    "klines": {**S, "interval": "1m"},
    "uiKlines": {**S, "interval": "1m"},
    "avgPrice": S,
    "ticker.price": {},
    "ticker.book": {},
    "ticker": S,
    "ticker.tradingDay": S,
    "ticker.24hr": {},
    "order.place": LIMIT,
    "order.test": LIMIT,
    "order.status": {**S, "orderId": "1"},
    "order.cancel": {**S, "orderId": "1"},
    "order.cancelReplace": {**LIMIT, "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": "1"},
    "order.amend.keepPriority": {**S, "orderId": "1", "newQty": "0.5"},
    "order.amendments": {**S, "orderId": "1"},
    "openOrders.status": {},
    "openOrders.cancelAll": S,
    "allOrders": S,
    "orderList.place": LEGACY,
    "orderList.place.oco": OCO,
    "orderList.place.oto": {**S, **WORKING, **PENDING, "pendingQuantity": "1"},
    "orderList.place.otoco": {**S, **WORKING, **PENDING_PAIR, "pendingQuantity": "1"},
    "orderList.place.opo": {**S, **WORKING, **PENDING},
    "orderList.place.opoco": {**S, **WORKING, **PENDING_PAIR},
    "sor.order.place": LIMIT,
    "sor.order.test": LIMIT,
    "orderList.cancel": {**S, "orderListId": "1"},
    "orderList.status": {"orderListId": "1"},
    "openOrderLists.status": {},
    "allOrderLists": {},
    "myTrades": S,
    "myPreventedMatches": {**S, "orderId": "1"},
    "myAllocations": S,
    "account.status": {},
    "account.commission": S,
    "account.rateLimits.orders": {},
    "myFilters": S,
}
REFUSED_ALWAYS = {"sor.order.place", "sor.order.test"}
"""No symbol here has smart order routing."""
REST = sorted((*route, endpoint.name) for route, endpoint in ROUTES.items())


def venue() -> Stage:
    """Two resting orders (number 1 is the one that is asked for), and one list."""
    stage = Stage()
    stage.sell("1", "60100", account="other")
    stage.buy("1", "59900", account="other")
    stage.now_ns += 10**9
    stage.venue.markets[SYMBOL].restart_ids()
    stage.buy("1", "55000", id="first")
    stage.rest("POST", "orderList/oco", **OCO)
    return stage


def rest_call(stage: Stage, method: str, path: str, name: str, params: dict[str, str]) -> Any:
    short = path.removeprefix("/api/v3/")
    if ENDPOINTS[name].signed:
        return stage.rest(method, short, **params)[:2]
    text = "&".join(f"{key}={value}" for key, value in params.items())
    return stage.raw_rest(method, short, query=text.encode())[:2]


def state_of(stage: Stage) -> tuple[object, ...]:
    owner = stage.venue.accounts["main"]
    return len(owner.open_orders), stage.wallet("BTC"), stage.wallet("USDT")


def test_every_endpoint_has_its_parameters_and_a_right_call() -> None:
    assert ENDPOINTS.keys() == RIGHT.keys()
    assert ENDPOINTS.keys() < KNOWN.keys()
    assert {name for *_, name in REST} == ENDPOINTS.keys()


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_a_right_call_is_answered(method: str, path: str, name: str) -> None:
    status, body = rest_call(venue(), method, path, name, RIGHT[name])
    assert (status == 200) is (name not in REFUSED_ALWAYS), body
    signed = ENDPOINTS[name].signed
    answer = venue().ws(name, signed=signed, **RIGHT[name])
    assert (answer["status"] == 200) is (name not in REFUSED_ALWAYS), answer


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_an_unknown_parameter_is_refused(method: str, path: str, name: str) -> None:
    stage = venue()
    before = state_of(stage)
    params = {**RIGHT[name], "colour": "red"}
    status, body = rest_call(stage, method, path, name, params)
    signed = ENDPOINTS[name].signed
    sent = len(params) + (2 if signed else 0)
    if sent == 1 and not KNOWN[name]:
        expected = (-1101, "Too many parameters; expected '0' and received '1'.")
    else:
        expected = (
            -1104,
            (
                f"Not all sent parameters were read; read '{sent - 1}' parameter(s) "
                f"but was sent '{sent}'."
            ),
        )
    assert (status, body["code"], body["msg"]) == (400, *expected)
    answer = stage.ws(name, signed=signed, **params)
    assert answer["error"]["code"] == -1104
    assert state_of(stage) == before


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_a_parameter_sent_twice_is_refused(method: str, path: str, name: str) -> None:
    stage = venue()
    before = state_of(stage)
    for one in sorted(KNOWN[name]) or ["recvWindow"]:
        pairs = [f"{key}={value}" for key, value in RIGHT[name].items()]
        value = RIGHT[name].get(one, "1")
        text = "&".join([*pairs, f"{one}={value}", f"{one}={value}"])
        short = path.removeprefix("/api/v3/")
        status, body, _ = stage.raw_rest(method, short, query=text.encode(), api_key="k")
        expected = {"code": -1101, "msg": f"Duplicate values for parameter '{one}'."}
        assert (status, body) == (400, expected)
        frame = json.dumps({"id": 1, "method": name, "params": {**RIGHT[name], one: value}})
        doubled = frame[:-2] + f', "{one}": "{value}"}}}}'
        reply = sim_ws.handle(stage.exchange, stage.session, doubled.encode(), stage.tick())
        assert reply.frame is not None
        assert orjson.loads(reply.frame)["error"] == expected
    assert state_of(stage) == before


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_an_empty_parameter_is_refused(method: str, path: str, name: str) -> None:
    stage = venue()
    before = state_of(stage)
    for one in sorted(KNOWN[name]):
        status, body = rest_call(stage, method, path, name, {**RIGHT[name], one: ""})
        assert (status, body["code"] in {-1105, -1102}) == (400, True), (one, body)
        assert f"'{one}'" in body["msg"]
        answer = stage.ws(name, signed=ENDPOINTS[name].signed, **{**RIGHT[name], one: ""})
        assert answer["error"] == body
    assert state_of(stage) == before


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_what_must_be_sent_must_be_sent(method: str, path: str, name: str) -> None:
    stage = venue()
    for one in RIGHT[name]:
        left = {key: value for key, value in RIGHT[name].items() if key != one}
        status, body = rest_call(stage, method, path, name, left)
        assert status == 400, (one, body)
        assert body["code"] == -1102, (one, body)
        assert one in body["msg"] or "symbols" in body["msg"]


BAD_VALUES = {
    "-1": -1100, "1e3": -1100, "+1": -1100, " 1": -1100, "NaN": -1100, "0x10": -1100,
}  # fmt: skip
AMOUNTS = ("quantity", "price", "stopPrice", "icebergQty", "quoteOrderQty", "newQty")
INTEGERS = (
    "limit", "fromId", "orderId", "startTime", "endTime", "trailingDelta", "strategyId",
    "strategyType", "pegOffsetValue", "cancelOrderId", "fromExecutionId", "preventedMatchId",
    "fromPreventedMatchId", "orderListId", "fromAllocationId",
)  # fmt: skip


BAD_WORDS = {
    "side": -1117, "timeInForce": -1115, "symbolStatus": -1122, "interval": -1120,
    "newOrderRespType": -1130, "selfTradePreventionMode": -1130, "cancelReplaceMode": -1130,
    "orderRateLimitExceededMode": -1130, "cancelRestrictions": -1145, "pegPriceType": -1130,
    "pegOffsetType": -1130, "computeCommissionRates": -1130, "omitZeroBalances": -1130,
    "showPermissionSets": -1130, "timeZone": -1130, "windowSize": -1120,
}  # fmt: skip


def plain_name(name: str) -> str:
    """`pendingAbovePrice` is a price."""
    for prefix in ("pendingAbove", "pendingBelow", "pending", "working", "above", "below"):
        if name.startswith(prefix):
            return name[len(prefix)].lower() + name[len(prefix) + 1 :]
    return name


def code_of(stage: Stage, route: tuple[str, str, str], one: str, value: str) -> object:
    status, body = rest_call(stage, *route, {**RIGHT[route[2]], one: value})
    assert status == 400, (one, value, body)
    return body["code"]


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_words_outside_their_lists_have_their_codes(method: str, path: str, name: str) -> None:
    stage = venue()
    before = state_of(stage)
    for one in KNOWN[name]:
        plain = plain_name(one)
        if plain == "type":
            wrong = {"maybe": -1139 if name.startswith("ticker") else -1116}
        elif plain.endswith("lientOrderId"):
            wrong = {"a b": -1100, "a" * 37: -1100}
        elif plain == "strategyType":
            wrong = {"999999": -1134}
        elif plain == "limit":
            wrong = {"0": -1130}
        else:
            wrong = {"maybe": BAD_WORDS[plain]} if plain in BAD_WORDS else {}
        for value, expected in wrong.items():
            assert code_of(stage, (method, path, name), one, value) == expected, one
    assert state_of(stage) == before


@pytest.mark.parametrize(("method", "path", "name"), REST)
def test_malformed_values_have_their_codes(method: str, path: str, name: str) -> None:
    stage = venue()
    before = state_of(stage)

    def code(one: str, value: str) -> object:
        return code_of(stage, (method, path, name), one, value)

    for one in KNOWN[name]:
        plain = plain_name(one)
        if plain in AMOUNTS or plain in INTEGERS:
            for value, expected in BAD_VALUES.items():
                assert code(one, value) == expected, (one, value)
        if plain in AMOUNTS:
            assert code(one, "0.000000001") == -1111
            assert code(one, "9" * 40) == -1108
        if plain in INTEGERS:
            assert code(one, "1.0") == -1100
            assert code(one, str(2**63)) == -1108
    assert state_of(stage) == before


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"type": "LIMIT_MAKER", "timeInForce": "GTC"}, -1106, "timeInForce"),
        ({"type": "LIMIT", "quoteOrderQty": "10"}, -1106, "quoteOrderQty"),
        ({"type": "LIMIT", "stopPrice": "0"}, -1106, "stopPrice"),
        ({"type": "LIMIT", "trailingDelta": "0"}, -1106, "trailingDelta"),
        ({"type": "LIMIT", "timeInForce": "IOC", "icebergQty": "0.1"}, -1106, "icebergQty"),
        ({"type": "MARKET", "timeInForce": None}, -1106, "price"),
        ({"type": "MARKET", "price": None}, -1106, "timeInForce"),
        ({"type": "MARKET", "price": "0", "timeInForce": None}, -1106, "price"),
        ({"newClientOrderId": ""}, -1105, "newClientOrderId"),
        ({"strategyType": "999999"}, -1134, "strategyType"),
        ({"recvWindow": "60001"}, -1131, "60000"),
        ({"recvWindow": "soon"}, -1102, "recvWindow"),
        ({"recvWindow": ""}, -1102, "recvWindow"),
        ({"selfTradePreventionMode": "TRANSFER"}, -1013, "self-trade prevention"),
    ],
)
def test_what_an_order_may_not_carry(params: dict[str, str | None], code: int, words: str) -> None:
    stage = venue()
    before = state_of(stage)
    asked = {key: value for key, value in {**LIMIT, **params}.items() if value is not None}
    if asked["type"] == "LIMIT_MAKER":
        asked["price"] = "50000"
    for path in ("order", "order/test"):
        status, body, _ = stage.rest("POST", path, **asked)
        assert (status, body["code"]) == (400, code), body
        assert words in body["msg"]
    assert state_of(stage) == before


def test_a_name_in_query_and_body_is_no_duplicate_and_the_query_wins() -> None:
    stage = venue()
    status, body, _ = stage.raw_rest(
        "GET", "klines", query=b"symbol=BTCUSDT&interval=1m&limit=1", body=b"limit=2"
    )
    assert (status, len(body)) == (200, 1)


def test_what_real_clients_send_is_taken() -> None:
    stage = venue()
    sent = {
        **LIMIT, "newClientOrderId": "x-TKT5PX2F0123456789abcdef012345", "newOrderRespType": "FULL",
        "recvWindow": "10000", "selfTradePreventionMode": "EXPIRE_BOTH", "strategyId": "7",
        "strategyType": "1000000", "icebergQty": "0.5",
    }  # fmt: skip
    assert stage.rest("POST", "order", **sent)[0] == 200
    assert stage.rest("POST", "order/test", **LIMIT, computeCommissionRates="True")[0] == 200
    answer = stage.ws("order.status", symbol=SYMBOL, orderId="1", returnRateLimits="false")
    assert answer["status"] == 200


@pytest.mark.parametrize("method", ["session.status", "session.logout", "session.subscriptions"])
def test_session_calls_know_their_parameters_as_well(method: str) -> None:
    stage = venue()
    assert stage.ws(method, signed=False)["status"] == 200
    assert stage.ws(method, signed=False, colour="red")["error"]["code"] == -1104


def test_null_is_empty_on_the_websocket_api() -> None:
    frame = orjson.dumps({"id": 1, "method": "depth", "params": {"symbol": None}})
    stage = venue()
    reply = sim_ws.handle(stage.exchange, stage.session, frame, stage.tick())
    assert reply.frame is not None
    assert orjson.loads(reply.frame)["error"]["code"] == -1102


@pytest.mark.parametrize(
    ("unit", "code"), [("", None), ("millisecond", None), ("MICROSECOND", -1020), ("DAY", -1194)]
)
def test_a_time_unit_that_is_not_served_is_refused(unit: str, code: int | None) -> None:
    stage = venue()
    asked = RestRequest("GET", "/api/v3/time", b"", b"", "", unit)
    body = orjson.loads(sim_rest.handle(stage.exchange, asked, stage.tick()).body)
    assert body.get("code") == code


@pytest.mark.parametrize(
    ("path", "sent", "code"),
    [
        ("ticker", {"symbol": "BTCUSDT", "windowSize": "9" * 5_000 + "m"}, -1120),
        ("depth", {"symbol": "BTCUSDT", "limit": "9" * 5_000}, -1108),
        ("klines", {"symbol": "BTCUSDT", "interval": "1m", "startTime": "9" * 5_000}, -1108),
    ],
)
def test_a_number_longer_than_python_reads_is_refused(
    path: str, sent: dict[str, str], code: int
) -> None:
    query = "&".join(f"{name}={value}" for name, value in sent.items()).encode()
    status, body, _ = Stage().raw_rest("GET", path, query=query)
    assert (status, body["code"]) == (400, code)

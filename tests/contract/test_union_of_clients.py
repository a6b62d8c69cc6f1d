"""Every call that some public client makes is served by a running venue, or refused as documented.

The table is the union of what ccxt, python-binance and their like call: nothing here knows how the
venue is built. A row is (method, path or WebSocket method, parameters, shape of the answer).
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import websockets

from tests.support.sim_process import SimProcess

S = "BTCUSDT"
PUBLIC: list[tuple[str, dict[str, Any], Any]] = [
    ("ping", {}, {}),
    ("time", {}, {"serverTime"}),
    ("exchangeInfo", {}, {"timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"}),
    ("exchangeInfo", {"symbol": S}, {"symbols"}),
    ("exchangeInfo", {"symbols": '["BTCUSDT","ETHUSDT"]'}, {"symbols"}),
    ("depth", {"symbol": S, "limit": 5}, {"lastUpdateId", "bids", "asks"}),
    ("trades", {"symbol": S, "limit": 2}, [{"id", "price", "qty", "quoteQty", "time",
                                            "isBuyerMaker", "isBestMatch"}]),
    ("historicalTrades", {"symbol": S, "limit": 2}, [{"id", "price"}]),
    ("aggTrades", {"symbol": S, "limit": 2}, [{"a", "p", "q", "f", "l", "T", "m", "M"}]),
    ("klines", {"symbol": S, "interval": "1m", "limit": 2}, [12]),
    ("uiKlines", {"symbol": S, "interval": "1h", "limit": 2}, [12]),
    ("avgPrice", {"symbol": S}, {"mins", "price", "closeTime"}),
    ("ticker/24hr", {"symbol": S}, {"symbol", "priceChange", "lastPrice", "bidPrice", "volume",
                                    "openTime", "closeTime", "firstId", "lastId", "count"}),
    ("ticker/24hr", {}, [{"symbol", "lastPrice"}]),
    ("ticker/24hr", {"symbol": S, "type": "MINI"}, {"symbol", "lastPrice", "volume"}),
    ("ticker/tradingDay", {"symbol": S}, {"symbol", "openPrice", "lastPrice"}),
    ("ticker", {"symbol": S, "windowSize": "1h"}, {"symbol", "openPrice", "lastPrice"}),
    ("ticker/price", {"symbol": S}, {"symbol", "price"}),
    ("ticker/price", {}, [{"symbol", "price"}]),
    ("ticker/bookTicker", {"symbol": S}, {"symbol", "bidPrice", "bidQty", "askPrice", "askQty"}),
    ("ticker/bookTicker", {}, [{"symbol", "bidPrice"}]),
]  # fmt: skip
ORDER = {
    "symbol": S, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001",
    "price": "30000",
}  # fmt: skip
OPEN = {"symbol", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty",
        "status", "timeInForce", "type", "side", "stopPrice", "icebergQty", "time", "updateTime",
        "isWorking", "workingTime", "origQuoteOrderQty", "selfTradePreventionMode"}  # fmt: skip
SIGNED: list[tuple[str, str, dict[str, Any], Any]] = [
    ("POST", "order/test", ORDER, {}),
    ("POST", "order/test", {**ORDER, "computeCommissionRates": "true"},
     {"standardCommissionForOrder", "discount"}),
    ("POST", "order", {**ORDER, "newClientOrderId": "u1"}, {"orderId", "fills", "transactTime"}),
    ("GET", "order", {"symbol": S, "origClientOrderId": "u1"}, OPEN),
    ("PUT", "order/amend/keepPriority",
     {"symbol": S, "origClientOrderId": "u1", "newQty": "0.0009", "newClientOrderId": "u1"},
     {"transactTime", "executionId", "amendedOrder"}),
    ("GET", "order/amendments", {"symbol": S, "orderId": "?u1"},
     [{"symbol", "orderId", "executionId", "origClientOrderId", "newClientOrderId", "origQty",
       "newQty", "time"}]),
    ("POST", "order/cancelReplace", {**ORDER, "cancelReplaceMode": "STOP_ON_FAILURE",
                                     "cancelOrigClientOrderId": "u1", "newClientOrderId": "u2"},
     {"cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse"}),
    ("GET", "openOrders", {"symbol": S}, [OPEN]),
    ("GET", "openOrders", {}, [OPEN]),
    ("GET", "allOrders", {"symbol": S}, [OPEN]),
    ("DELETE", "order", {"symbol": S, "origClientOrderId": "u2"},
     {"origClientOrderId", "clientOrderId", "status", "transactTime"}),
    ("POST", "order", {**ORDER, "newClientOrderId": "u3"}, {"orderId"}),
    ("DELETE", "openOrders", {"symbol": S}, [{"orderId", "status"}]),
    ("POST", "order", {"symbol": S, "side": "BUY", "type": "MARKET", "quantity": "0.001"},
     {"orderId", "fills"}),
    ("GET", "myTrades", {"symbol": S}, [{"symbol", "id", "orderId", "orderListId", "price", "qty",
                                         "quoteQty", "commission", "commissionAsset", "time",
                                         "isBuyer", "isMaker", "isBestMatch"}]),
    ("GET", "myTrades", {"symbol": S, "fromId": 0}, [{"id"}]),
    ("GET", "myTrades", {"symbol": S, "startTime": 1}, [{"id"}]),
    ("GET", "account", {"omitZeroBalances": "true"}, {"makerCommission", "commissionRates",
                                                      "canTrade", "balances", "permissions",
                                                      "uid"}),
    ("GET", "account/commission", {"symbol": S}, {"symbol", "standardCommission",
                                                  "specialCommission", "taxCommission",
                                                  "discount"}),
    ("GET", "rateLimit/order", {}, [{"rateLimitType", "interval", "intervalNum", "limit",
                                     "count"}]),
    ("GET", "myFilters", {"symbol": S}, {"exchangeFilters", "symbolFilters", "assetFilters"}),
    ("GET", "myPreventedMatches", {"symbol": S, "orderId": 1}, []),
    ("GET", "myAllocations", {"symbol": S}, []),
    ("GET", "openOrderList", {}, []),
    ("GET", "allOrderList", {}, []),
]  # fmt: skip
WS_SIGNED = {
    "order.test": ("POST", "order/test"),
    "account.status": ("GET", "account"),
    "account.commission": ("GET", "account/commission"),
    "account.rateLimits.orders": ("GET", "rateLimit/order"),
    "openOrders.status": ("GET", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "myFilters": ("GET", "myFilters"),
    "myAllocations": ("GET", "myAllocations"),
    "openOrderLists.status": ("GET", "openOrderList"),
    "allOrderLists": ("GET", "allOrderList"),
}
REFUSED = [
    ("GET", "/sapi/v1/capital/config/getall", 404, -1020),
    ("GET", "/fapi/v1/exchangeInfo", 404, -1020),
    ("GET", "/api/v3/nothing", 404, -1020),
    ("GET", "/api/v1/exchangeInfo", 404, -1020),
]


@pytest.fixture(scope="module")
def sim() -> Iterator[SimProcess]:
    with SimProcess(seed=5, flow_rate=60, symbols="BTCUSDT,ETHUSDT") as venue:
        # A trade now: the trade lists need not wait for the background's first one.
        venue.signed("POST", "order", symbol=S, side="BUY", type="MARKET", quantity="0.001")
        yield venue


def fits(answer: Any, shape: Any) -> bool:
    """`{}`: empty object; a set: at least these members; a list: so is each entry, [] empty."""
    if isinstance(shape, list):
        if not shape:
            return answer == []
        return isinstance(answer, list) and bool(answer) and all(fits(r, shape[0]) for r in answer)
    if isinstance(shape, int):
        return isinstance(answer, list) and len(answer) == shape
    if isinstance(shape, dict):
        return bool(answer == shape)
    return isinstance(answer, dict) and shape <= set(answer)


def asked(sim: SimProcess, method: str, path: str) -> tuple[int, bytes, str]:
    request = urllib.request.Request(f"{sim.rest}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), error.headers["Content-Type"]


@pytest.mark.parametrize(("path", "params", "shape"), PUBLIC)
def test_public_calls(sim: SimProcess, path: str, params: dict[str, Any], shape: Any) -> None:
    query = urllib.parse.urlencode(params)
    status, body, kind = asked(sim, "GET", f"/api/v3/{path}?{query}")
    assert status == 200, body
    assert "json" in kind
    assert fits(json.loads(body), shape), body[:400]


def test_signed_calls_in_the_order_of_an_orders_life(sim: SimProcess) -> None:
    ids: dict[str, Any] = {}
    for method, path, params, shape in SIGNED:
        known = {
            name: ids[value[1:]] if isinstance(value, str) and value.startswith("?") else value
            for name, value in params.items()
        }
        answer = sim.signed(method, path, **known)
        assert fits(answer, shape), (method, path, answer)
        if isinstance(answer, dict) and "clientOrderId" in answer:
            ids[answer["clientOrderId"]] = answer["orderId"]


def test_each_call_of_the_websocket_api(sim: SimProcess) -> None:
    shapes = {(method, path): (params, shape) for method, path, params, shape in SIGNED}
    outcome = asyncio.run(over_one_connection(sim, shapes))
    assert outcome["problems"] == []
    assert outcome["answered"] >= 20


async def over_one_connection(sim: SimProcess, shapes: Any) -> dict[str, Any]:
    problems: list[Any] = []
    answered = 0
    calls: list[tuple[str, dict[str, Any], Any]] = [
        ("ping", {}, {}),
        ("v3/ping", {}, {}),
        ("time", {}, {"serverTime"}),
        ("exchangeInfo", {"symbols": [S]}, {"symbols"}),
        ("depth", {"symbol": S}, {"lastUpdateId"}),
        ("trades.recent", {"symbol": S}, [{"id"}]),
        ("trades.aggregate", {"symbol": S}, [{"a"}]),
        ("klines", {"symbol": S, "interval": "1m"}, [12]),
        ("uiKlines", {"symbol": S, "interval": "1m"}, [12]),
        ("avgPrice", {"symbol": S}, {"price"}),
        ("ticker.24hr", {"symbol": S}, {"symbol"}),
        ("ticker.price", {"symbol": S}, {"price"}),
        ("ticker.book", {"symbol": S}, {"bidPrice"}),
        ("session.status", {}, {"apiKey", "connectedSince", "serverTime"}),
        ("session.subscriptions", {}, []),
    ]
    calls.append(("order.place", sim.ws_params(**ORDER), {"orderId", "fills"}))
    for name, route in WS_SIGNED.items():
        params, shape = shapes[route]
        calls.append((name, sim.ws_params(**params), shape))
    subscribe = ("userDataStream.subscribe.signature", sim.ws_params(), {"subscriptionId"})
    calls += [
        ("openOrders.cancelAll", sim.ws_params(symbol=S), [{"orderId"}]),
        subscribe,
        ("userDataStream.unsubscribe", {}, {}),
    ]
    async with asyncio.timeout(60), websockets.connect(sim.ws_api) as socket:
        for number, (method, params, shape) in enumerate(calls):
            await socket.send(json.dumps({"id": number, "method": method, "params": params}))
            while (reply := json.loads(await socket.recv())).get("id") != number:
                continue
            answered += 1
            if reply["status"] != 200 or not fits(reply["result"], shape):
                problems.append((method, reply))
        await socket.send(json.dumps({"id": "x", "method": "no.such.method", "params": {}}))
        reply = json.loads(await socket.recv())
        while reply.get("id") != "x":
            reply = json.loads(await socket.recv())
        if reply["error"]["code"] != -1020:
            problems.append(reply)
    return {"problems": problems, "answered": answered}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_listen_keys_are_gone_in_html(sim: SimProcess, method: str) -> None:
    status, body, kind = asked(sim, method, "/api/v3/userDataStream")
    assert (status, kind) == (410, "text/html")
    assert b"nginx" in body


@pytest.mark.parametrize(("method", "path", "status", "code"), REFUSED)
def test_other_paths_are_refused_in_json(
    sim: SimProcess, method: str, path: str, status: int, code: int
) -> None:
    told, body, kind = asked(sim, method, path)
    assert (told, json.loads(body)["code"]) == (status, code)
    assert "json" in kind

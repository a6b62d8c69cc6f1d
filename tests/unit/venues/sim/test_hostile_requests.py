"""Whatever a client sends, the venue answers in its own words and its books stay sound."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, ROUTES
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.sim.dialect import sim_rest
from tests.support.sim_stage import Stage

NAMES = [
    "symbol",
    "symbols",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "quoteOrderQty",
    "price",
    "stopPrice",
    "icebergQty",
    "newClientOrderId",
    "origClientOrderId",
    "orderId",
    "cancelReplaceMode",
    "cancelOrderId",
    "newQty",
    "limit",
    "fromId",
    "startTime",
    "endTime",
    "interval",
    "windowSize",
    "recvWindow",
    "selfTradePreventionMode",
    "newOrderRespType",
    "cancelRestrictions",
    "strategyType",
    "trailingDelta",
    "pegPriceType",
    "pegOffsetType",
    "pegOffsetValue",
    "listClientOrderId",
    "orderListId",
    "aboveType",
    "abovePrice",
    "aboveStopPrice",
    "belowType",
    "belowPrice",
    "belowStopPrice",
    "belowTimeInForce",
    "workingType",
    "workingSide",
    "workingPrice",
    "workingQuantity",
    "pendingType",
    "pendingSide",
    "pendingPrice",
    "pendingQuantity",
    "stopLimitPrice",
]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "0.001",
    "60000",
    "59999.99",
    "1e9",
    "99999999999999999999",
    "0.00000000000000000001",
    "BTCUSDT",
    "ETHUSDT",
    "NOPE",
    '["BTCUSDT"]',
    "[1]",
    "BUY",
    "SELL",
    "LIMIT",
    "MARKET",
    "STOP_LOSS",
    "TAKE_PROFIT_LIMIT",
    "LIMIT_MAKER",
    "PRIMARY_PEG",
    "PRICE_LEVEL",
    "50",
    "GTC",
    "IOC",
    "ONLY_NEW",
    "FULL",
    "DECREMENT",
    "STOP_ON_FAILURE",
    "1m",
    "a",
    "\u0000",
    "ü",
]
params = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=8), max_size=10
)


def is_sound(stage: Stage) -> bool:
    """No wallet is negative, and what is locked belongs to open orders."""
    return all(
        all(wallet.free >= 0 and wallet.locked >= 0 for wallet in account.wallets.values())
        and sum(wallet.locked for wallet in account.wallets.values())
        == sum(order.locked for order in account.open_orders.values())
        for account in stage.venue.accounts.values()
    )


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(ROUTES)), params)
def test_signed_nonsense_over_rest(route: tuple[str, str], values: dict[str, str]) -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    method, path = route
    status, body, _ = stage.rest(method, path.removeprefix("/api/v3/"), **values)
    assert status in {200, 400, 401, 409, 429}
    assert status == 200 or {"code", "msg"} <= set(body)
    assert is_sound(stage)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(ENDPOINTS)), params)
def test_signed_nonsense_over_the_websocket_api(method: str, values: dict[str, Any]) -> None:
    stage = Stage()
    stage.buy("1", "59000", account="other")
    answer = stage.ws(method, **values)
    assert answer["status"] in {200, 400, 401, 409, 429}
    assert ("result" in answer) != ("error" in answer)
    assert is_sound(stage)


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    st.sampled_from([path for _, path in sorted(ROUTES)]) | st.text(max_size=30),
    st.binary(max_size=60),
    st.binary(max_size=60),
    st.text(max_size=10),
)
def test_raw_garbage_over_rest(
    method: str, path: str, query: bytes, body: bytes, api_key: str
) -> None:
    stage = Stage()
    answer = sim_rest.handle(
        stage.exchange, RestRequest(method, path, query, body, api_key), stage.tick()
    )
    assert answer.status in {200, 400, 401, 404, 410}
    assert answer.body

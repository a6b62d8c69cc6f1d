"""binance-sdk-spot, unpatched and from its snippet, through the gateway (judge: the venue)."""

from typing import Any

import pytest

from tests.support.client_session import run_session

Facts = dict[str, Any]
IDS = frozenset({"clientOrderId", "origClientOrderId"})


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run_session("session_gateway_binance_sdk.py")


@pytest.fixture(scope="module")
def rest(facts: Facts) -> Facts:
    return dict(facts["rest"])


def same(mine: Facts, venues: Facts) -> None:
    """What both tell is equal, but for the ids: the bot sees its own, the venue ours."""
    shared = (mine.keys() & venues.keys()) - IDS
    assert len(shared) > 10
    assert {name: mine[name] for name in shared} == {name: venues[name] for name in shared}


def test_the_session_could_not_reach_a_live_host(facts: Facts) -> None:
    if not facts["isolated"]:
        pytest.skip("the kernel gives this user no network namespace; URLs were loopback only")
    assert not facts["reaches_outside"]


def test_start_up_market_data_and_balances(rest: Facts, facts: Facts) -> None:
    assert rest["symbols"] == ["BTCUSDT"]
    free = {row["asset"]: row["free"] for row in rest["account"]["balances"]}
    assert free["USDT"] == facts["ledger"]["initial_balances"]["USDT"]
    assert rest["book"][0] < rest["book"][1]
    assert rest["klines"] == 3
    assert rest["test_order"] == {}
    assert rest["commission"]["standardCommission"]["taker"] == "0.00100000"


def test_place_query_amend_replace_cancel_over_rest(rest: Facts) -> None:
    assert rest["resting"]["clientOrderId"] == rest["fetched"]["clientOrderId"] == "sdk-1"
    assert rest["venue"]["clientOrderId"].startswith("st")
    same(rest["fetched"], rest["venue"])
    assert rest["open"] == ["sdk-1"]
    assert rest["amended"]["amendedOrder"]["qty"] == "0.00060000"
    replaced = rest["replaced"]
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert replaced["cancelResponse"]["origClientOrderId"] == "sdk-1"
    assert replaced["newOrderResponse"]["clientOrderId"] == "sdk-2"
    assert rest["canceled"]["origClientOrderId"] == "sdk-2"
    assert rest["canceled"]["status"] == "CANCELED"


def test_a_market_order_and_its_trades_are_the_ledgers(rest: Facts, facts: Facts) -> None:
    order = rest["market"]
    assert order["status"] == "FILLED"
    booked = {f["trade_id"] for f in facts["ledger"]["fills"] if f["order_id"] == order["orderId"]}
    assert {one["tradeId"] for one in order["fills"]} == booked
    assert {one["id"] for one in rest["my_trades"]} == booked
    assert rest["all_orders"] == 5
    in_ten_seconds, in_a_day = (row["count"] for row in rest["counts"])
    assert in_a_day == 5, "a list counts two"
    assert in_ten_seconds <= 5, "on a slow machine some are older"


def test_an_order_list_stands_and_is_cancelled_whole(rest: Facts) -> None:
    assert rest["oco"]["listClientOrderId"] == "sdk-oco"
    assert rest["oco"]["listOrderStatus"] == "EXECUTING"
    assert rest["oco_canceled"]["listOrderStatus"] == "ALL_DONE"
    statuses = [one["status"] for one in rest["oco_canceled"]["orderReports"]]
    assert statuses == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize(
    ("mistake", "code", "text"),
    [
        ("cancel", -2011, "Unknown order sent."),
        ("fetch", -2013, "Order does not exist."),
        ("symbol", -1121, "Invalid symbol."),
        ("collar", -2010, "seatrial: price_collar cap=collar_bps_max"),
        ("lot", -1013, "Filter failure: LOT_SIZE"),
    ],
)
def test_refusals_reach_the_clients_exception(
    rest: Facts, mistake: str, code: int, text: str
) -> None:
    error, words = rest["errors"][mistake]
    assert error == "BadRequestError"
    assert f"({code}, " in words
    assert text in words


def test_the_websocket_api_and_a_partial_fill(facts: Facts) -> None:
    told = facts["ws_api"]
    assert told["placed"]["clientOrderId"] == told["status"]["clientOrderId"] == "sdk-ws-1"
    assert told["canceled"]["origClientOrderId"] == "sdk-ws-1"
    assert told["canceled"]["executedQty"] == "0.00040000"
    same(told["canceled"], told["venue"])
    assert told["account"] == "SPOT"


def test_the_user_stream_tells_executions_in_order(facts: Facts) -> None:
    reports = [one for one in facts["ws_api"]["user"] if "x" in one]
    assert [one["x"] for one in reports] == ["NEW", "TRADE", "CANCELED"]
    assert {one["i"] for one in reports} == {facts["ws_api"]["placed"]["orderId"]}
    assert (reports[1]["l"], reports[1]["z"]) == ("0.00040000", "0.00040000")
    assert reports[2]["C"] == "sdk-ws-1"
    (fill,) = [
        one
        for one in facts["ledger"]["fills"]
        if one["order_id"] == facts["ws_api"]["placed"]["orderId"]
    ]
    assert reports[1]["t"] == fill["trade_id"]
    assert any("B" in one and "x" not in one for one in facts["ws_api"]["user"]), "balances"


def test_market_streams_pass_through(facts: Facts) -> None:
    streams = facts["streams"]
    assert float(streams["ticker"]["b"]) < float(streams["ticker"]["a"])
    assert streams["depth"]["U"] <= streams["depth"]["u"]
    assert streams["trade"]["e"] == "trade"


def test_the_ledger_has_the_bots_orders_and_no_others(facts: Facts) -> None:
    ours = [o for o in facts["ledger"]["orders"] if o["client_order_id"].startswith("st")]
    placed = facts["rest"]["all_orders"] + 1
    assert len(ours) == placed
    assert not facts["ledger"]["open_orders"]

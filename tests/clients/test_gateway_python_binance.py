"""python-binance, unpatched and from its snippet, through the gateway (judge: the ledger)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.client_session import run_session

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run_session("session_gateway_python_binance.py")


@pytest.fixture(scope="module")
def rest(facts: Facts) -> Facts:
    return dict(facts["rest"])


def test_the_session_could_not_reach_a_live_host(facts: Facts) -> None:
    if not facts["isolated"]:
        pytest.skip("the kernel gives this user no network namespace; URLs were loopback only")
    assert not facts["reaches_outside"]


def test_exchange_info_is_cut_and_carries_the_bots_own_limits(rest: Facts) -> None:
    assert rest["symbols"] == ["BTCUSDT"]
    assert rest["limits"] == {
        "REQUEST_WEIGHT MINUTE": 1_200,
        "ORDERS SECOND": 2_000,  # of ten seconds, by the box's cap of 200 a second
        "ORDERS DAY": 50_000,
        "RAW_REQUESTS MINUTE": 6_000,
    }
    in_ten_seconds, in_a_day = (row["count"] for row in rest["counts"])
    assert in_a_day == 8, "an OCO counts two, an OTOCO three"
    assert in_ten_seconds <= 8, "on a slow machine some are older"


def test_start_up_and_market_data(rest: Facts, facts: Facts) -> None:
    assert rest["account"]["canTrade"] is True
    assert rest["commission"]["taker"] == "0.00100000"
    assert rest["balance"]["free"] == facts["ledger"]["initial_balances"]["USDT"]
    assert rest["book"][0] < rest["book"][1]
    assert rest["klines"] == 3
    assert rest["test_order"] == {}


def test_place_query_cancel_over_rest(rest: Facts) -> None:
    fetched, venue = dict(rest["fetched"]), dict(rest["venue"])
    assert fetched.pop("clientOrderId") == "pb-1"
    assert venue.pop("clientOrderId").startswith("st")
    assert fetched == venue
    assert rest["open"] == ["pb-1"]
    assert rest["canceled"]["status"] == "CANCELED"
    assert rest["canceled"]["origClientOrderId"] == "pb-1"


def test_a_quote_sized_market_order_and_its_trades(rest: Facts, facts: Facts) -> None:
    order = rest["market"]
    executed, quote = Decimal(order["executedQty"]), Decimal(order["cummulativeQuoteQty"])
    assert order["status"] == "FILLED"
    assert executed % Decimal("0.00001") == 0
    assert Decimal(149) < quote <= Decimal(150)
    told = {trade["id"] for trade in rest["my_trades"]}
    booked = {f["trade_id"] for f in facts["ledger"]["fills"] if f["order_id"] == order["orderId"]}
    assert told == booked


def test_an_oco_and_its_end_by_one_leg(rest: Facts) -> None:
    assert rest["oco"]["listClientOrderId"] == "pb-oco"
    assert {one["status"] for one in rest["oco"]["orderReports"]} == {"NEW"}
    ended = rest["oco_canceled"]
    assert (ended["orderListId"], ended["listOrderStatus"]) == (
        rest["oco"]["orderListId"], "ALL_DONE",
    )  # fmt: skip
    assert {one["status"] for one in ended["orderReports"]} == {"CANCELED"}


def test_a_bracket_of_more_than_is_held_waits_for_its_entry(rest: Facts) -> None:
    told = [one["status"] for one in rest["otoco"]["orderReports"]]
    assert told == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert {one["status"] for one in rest["otoco_canceled"]["orderReports"]} == {"CANCELED"}


def test_an_ioc_that_finds_nobody_expires(rest: Facts) -> None:
    assert rest["ioc"]["status"] == "EXPIRED"
    assert rest["ioc"]["fills"] == []


@pytest.mark.parametrize(
    ("mistake", "status", "code", "text"),
    [
        ("lot size", 400, -1013, "Filter failure: LOT_SIZE"),
        ("precision", 400, -1111, "Parameter 'quantity' has too much precision."),
        ("symbol", 400, -1121, "Invalid symbol."),
        ("cancel", 400, -2011, "Unknown order sent."),
        ("collar", 400, -2010, "seatrial: price_collar cap=collar_bps_max"),
        ("iceberg", 400, -2010, "seatrial: order_feature_not_allowed feature=ICEBERG"),
    ],
)
def test_refusals_have_the_documented_code_and_wording(
    rest: Facts, mistake: str, status: int, code: int, text: str
) -> None:
    assert rest["errors"][mistake][:2] == [status, code]
    assert rest["errors"][mistake][2].startswith(text)


def test_listen_keys_are_gone(rest: Facts) -> None:
    assert rest["errors"]["listen key"][0] == 410


def test_place_query_cancel_over_the_websocket_api(facts: Facts) -> None:
    answers = facts["ws_api"]
    assert answers["placed"]["status"] == answers["status"]["status"] == "NEW"
    assert answers["canceled"]["origClientOrderId"] == "pb-ws-1"
    assert answers["account"] == "SPOT"


def test_market_streams_pass_through(facts: Facts) -> None:
    streams = facts["sockets"]
    assert streams["trade"]["e"] == "trade"
    assert streams["depth"]["U"] <= streams["depth"]["u"]
    assert streams["multiplex"].get("stream") in {"btcusdt@bookTicker", "btcusdt@trade"}


def test_the_user_stream_tells_executions_and_balances_in_order(facts: Facts) -> None:
    sockets = facts["sockets"]
    reports = [event for event in sockets["user"] if event["e"] == "executionReport"]
    traded = reports[3:]  # as many trades as the book had levels for it
    assert [event["x"] for event in reports[:3]] == ["NEW", "CANCELED", "NEW"]
    assert {event["x"] for event in traded} == {"TRADE"}
    assert (reports[0]["c"], reports[1]["C"]) == ("pb-user-1", "pb-user-1")
    row = sockets["venue_sold"]
    assert [traded[-1][k] for k in ("i", "z", "Z", "X")] == [
        row[k] for k in ("orderId", "executedQty", "cummulativeQuoteQty", "status")
    ]
    for event, fill in zip(traded, sockets["sold"]["fills"], strict=True):
        assert [event[k] for k in ("t", "L", "l", "n", "N")] == [
            fill[k] for k in ("tradeId", "price", "qty", "commission", "commissionAsset")
        ]
    assert any(event["e"] == "outboundAccountPosition" for event in sockets["user"])

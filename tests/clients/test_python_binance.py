"""python-binance, unpatched, completes its round at the simulated venue (judge: its ledger)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.client_session import run_session

Facts = dict[str, Any]


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run_session("session_python_binance.py")


@pytest.fixture(scope="module")
def rest(facts: Facts) -> Facts:
    return dict(facts["rest"])


def status_in_ledger(facts: Facts, client_order_id: str) -> str:
    rows = [o for o in facts["ledger"]["orders"] if o["client_order_id"] == client_order_id]
    assert len(rows) == 1
    return str(rows[0]["status"])


def test_the_session_could_not_reach_a_live_host(facts: Facts) -> None:
    if not facts["isolated"]:
        pytest.skip("the kernel gives this user no network namespace; URLs were loopback only")
    assert not facts["reaches_outside"]


def test_start_up_and_market_data(rest: Facts, facts: Facts) -> None:
    assert "BTCUSDT" in rest["symbols"]
    assert rest["symbol_info"] == "TRADING"
    assert rest["account"] is True
    assert rest["balance"]["free"] == facts["ledger"]["initial_balances"]["USDT"]
    assert rest["book"][0] < rest["book"][1]
    assert rest["klines"] == 3
    assert facts["sync"]["account"] == "SPOT"


def test_place_query_cancel_over_rest(rest: Facts, facts: Facts) -> None:
    assert rest["test_order"] == {}
    assert rest["resting"]["status"] == rest["fetched"]["status"] == "NEW"
    assert rest["open"] == ["pb-rest-1"]
    assert rest["canceled"]["status"] == "CANCELED"
    assert rest["canceled"]["origClientOrderId"] == "pb-rest-1"
    assert status_in_ledger(facts, "pb-rest-1") == "CANCELED"


def test_a_quote_sized_market_order_respects_lots_and_pays_its_fee(rest: Facts) -> None:
    order = rest["market"]
    executed, quote = Decimal(order["executedQty"]), Decimal(order["cummulativeQuoteQty"])
    assert order["status"] == "FILLED"
    assert executed % Decimal("0.00001") == 0
    assert Decimal(149) < quote <= Decimal(150)
    trades = [t for t in rest["my_trades"] if t["orderId"] == order["orderId"]]
    fees = sum(Decimal(t["commission"]) for t in trades)
    assert {t["commissionAsset"] for t in trades} == {"BTC"}
    assert executed * Decimal("0.001") - fees < Decimal("0.0000001")


def test_an_ioc_that_finds_nobody_expires(rest: Facts) -> None:
    assert rest["ioc"]["status"] == "EXPIRED"
    assert Decimal(rest["ioc"]["executedQty"]) == 0
    assert rest["ioc"]["fills"] == []


@pytest.mark.parametrize(
    ("mistake", "status", "code", "text"),
    [
        ("lot size", 400, -1013, "Filter failure: LOT_SIZE"),
        ("precision", 400, -1111, "Parameter 'quantity' has too much precision."),
        ("symbol", 400, -1121, "Invalid symbol."),
        ("cancel", 400, -2011, "Unknown order sent."),
    ],
)
def test_refusals_have_the_documented_code_and_wording(
    rest: Facts, mistake: str, status: int, code: int, text: str
) -> None:
    assert rest["errors"][mistake] == [status, code, text]


def test_listen_keys_are_gone(rest: Facts) -> None:
    assert rest["errors"]["listen key"][0] == 410


def test_place_query_cancel_over_the_websocket_api(facts: Facts) -> None:
    answers = facts["ws_api"]
    assert answers["placed"]["status"] == answers["status"]["status"] == "NEW"
    assert answers["canceled"]["origClientOrderId"] == "pb-ws-1"
    assert status_in_ledger(facts, "pb-ws-1") == "CANCELED"


def test_order_lists(facts: Facts) -> None:
    lists = facts["lists"]
    assert [r["status"] for r in lists["oco"]["orderReports"]] == ["NEW", "NEW"]
    assert [row["listClientOrderId"] for row in lists["open"]] == ["pb-oco"]
    assert lists["status"]["listOrderStatus"] == "EXECUTING"
    assert [row["orderListId"] for row in lists["ws_open"]] == [lists["ws_oco"]["orderListId"]]
    assert [r["status"] for r in lists["otoco"]["orderReports"]] == [
        "NEW", "PENDING_NEW", "PENDING_NEW",
    ]  # fmt: skip
    for ended in ("canceled", "leg_canceled", "ws_canceled"):
        assert {r["status"] for r in lists[ended]["orderReports"]} == {"CANCELED"}, ended
    assert [row["listOrderStatus"] for row in lists["all"]] == ["ALL_DONE"] * 3
    assert lists["wrong way round"] == [
        400, -2010, "The relationship of the prices for the orders is not correct.",
    ]  # fmt: skip


def test_trailing_iceberg_and_pegged_orders(facts: Facts) -> None:
    special = facts["special"]
    assert special["trailing"]["trailingDelta"] == 100
    assert special["iceberg"]["icebergQty"] == "0.00100000"
    assert special["pegged"]["pegPriceType"] == "PRIMARY_PEG"
    assert special["pegged"]["peggedPrice"] == special["pegged"]["price"]


def test_streams_and_user_socket(facts: Facts) -> None:
    streams = facts["sockets"]
    assert streams["trade"]["e"] == "trade"
    assert streams["depth"]["U"] <= streams["depth"]["u"]
    assert streams["multiplex"]["stream"].endswith("@bookTicker")
    reports = [e for e in streams["user"] if e["e"] == "executionReport"]
    assert [e["x"] for e in reports] == ["NEW", "CANCELED"]
    assert reports[0]["c"] == "pb-user-1"
    assert reports[1]["C"] == "pb-user-1"
    assert reports[1]["c"] != "pb-user-1"


def test_closed_bars_come_over_the_stream_and_are_those_of_rest(facts: Facts) -> None:
    told = facts["candles"]
    opens = [bar["t"] for bar in told["closed"]]
    assert opens == [opens[0], opens[0] + 1_000, opens[0] + 2_000]
    for bar, row in zip(told["closed"], told["rows"], strict=True):
        assert [bar[key] for key in ("t", "o", "h", "l", "c", "v", "T", "q", "n")] == row[:9]


def test_years_of_candles_and_trades_are_there(facts: Facts) -> None:
    told = facts["candles"]
    assert told["hours"] == 500
    assert told["months"] > 100
    assert told["old"] == [1_583_020_800_000 + n * 86_400_000 for n in range(31)]
    assert len(told["trades"]) == 50
    assert told["trades"][0]["T"] >= told["old"][0]

"""ccxt and ccxt.pro, unpatched and from their snippets, trade through the gateway.

Judges: the venue's own rows, field by field, and its ledger.
"""

from typing import Any

import pytest

from tests.support.client_session import run_session

Facts = dict[str, Any]
IDS = frozenset({"clientOrderId"})
"""The bot sees its own ids, the venue ours; nothing else may differ."""


@pytest.fixture(scope="module")
def facts() -> Facts:
    return run_session("session_gateway_ccxt.py")


@pytest.fixture(scope="module")
def rest(facts: Facts) -> Facts:
    return dict(facts["rest"])


def same(mine: Facts, venues: Facts) -> None:
    assert {k: v for k, v in mine.items() if k not in IDS} == {
        k: v for k, v in venues.items() if k not in IDS
    }


def test_the_session_could_not_reach_a_live_host(facts: Facts) -> None:
    if not facts["isolated"]:
        pytest.skip("the kernel gives this user no network namespace; URLs were loopback only")
    assert not facts["reaches_outside"]


def test_market_data_passes_through_and_is_cut_to_the_bots_symbols(rest: Facts) -> None:
    assert rest["markets"] == ["BTC/USDT"]
    assert rest["book"][0] < rest["book"][1]
    assert len(rest["candles"]) == 5
    assert rest["public_trades"] == 10


@pytest.mark.parametrize("when", ["", "_after"])
def test_balances_are_the_venues(rest: Facts, when: str) -> None:
    mine = {row["asset"]: [row["free"], row["locked"]] for row in rest[f"balance{when}"]}
    assert mine == {asset: rest[f"venue_balances{when}"][asset] for asset in ("BTC", "USDT")}


@pytest.mark.parametrize(
    ("mine", "venues"),
    [
        ("fetched", "venue_open"),
        ("fetched_by_name", "venue_open"),
        ("fetched_canceled", "venue_canceled"),
        ("fetched_market", "venue_market"),
        ("stop", "venue_stop"),
    ],
)
def test_order_rows_are_the_venues_field_by_field(rest: Facts, mine: str, venues: str) -> None:
    same(rest[mine], rest[venues])


@pytest.mark.parametrize(
    ("mine", "venues"),
    [("resting", "venue_open"), ("market", "venue_market"), ("by_cost", "venue_by_cost")],
)
def test_answers_to_placements_say_what_the_venues_rows_say(
    rest: Facts, mine: str, venues: str
) -> None:
    told, row = dict(rest[mine]), dict(rest[venues])
    assert told.pop("transactTime") == row["time"]
    told.pop("fills")
    same(told, {name: row[name] for name in told})


def test_trades_are_the_venues_field_by_field(rest: Facts) -> None:
    assert rest["trades"] == rest["venue_trades"]
    market = rest["market"]  # as many trades as the book had levels for
    assert market["fills"] == [
        {name: one[name] for name in ("price", "qty", "commission", "commissionAsset")}
        | {"tradeId": one["id"]}
        for one in rest["venue_trades"]
        if one["orderId"] == market["orderId"]
    ]
    assert market["fills"]


def test_a_partial_fill_and_its_cancel_are_told_as_they_happened(rest: Facts) -> None:
    partial = rest["partial"]
    assert partial["seen"]["status"] == "PARTIALLY_FILLED"
    told = partial["canceled"]
    assert told.pop("transactTime") == partial["venue"]["updateTime"]
    assert told.pop("origClientOrderId").startswith("x-")
    same(told, {name: partial["venue"][name] for name in told})


def test_ids_are_the_bots_own_everywhere(rest: Facts) -> None:
    assert rest["resting"]["clientOrderId"] == rest["fetched"]["clientOrderId"] == "mine-1"
    assert rest["open"] == ["mine-1"]
    assert rest["canceled"]["origClientOrderId"] == "mine-1"
    assert rest["canceled"]["clientOrderId"] == rest["fetched_canceled"]["clientOrderId"]
    assert rest["venue_open"]["clientOrderId"].startswith("st")
    assert rest["duplicate"][0] == "InvalidOrder"
    assert "Duplicate order sent." in rest["duplicate"][1]


def test_edit_cancel_all_and_history(rest: Facts) -> None:
    assert rest["edited"]["status"] == "NEW"
    assert rest["cancel_all"] == 2
    assert rest["all_orders"] >= 8


def test_an_oco_by_the_librarys_calls(rest: Facts) -> None:
    oco = rest["oco"]
    assert oco["placed"]["contingencyType"] == "OCO"
    reports = oco["placed"]["orderReports"]
    assert [one["type"] for one in reports] == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]
    assert oco["open"] == [oco["placed"]["orderListId"]]
    assert oco["orders"] == oco["open"] * 2
    assert {one["status"] for one in oco["canceled"]["orderReports"]} == {"CANCELED"}
    assert oco["after"]["listOrderStatus"] == "ALL_DONE"


def test_a_bracket_around_a_new_entry(rest: Facts) -> None:
    told = [one["told"] for one in rest["bracket"]]
    assert [one["status"] for one in told] == ["FILLED", "FILLED", "EXPIRED"]
    for one in rest["bracket"]:
        assert one["told"]["executedQty"] == one["venue"]["executedQty"]
        assert one["told"]["status"] == one["venue"]["status"]


@pytest.mark.parametrize(
    ("mistake", "error", "text"),
    [
        ("cancel unknown", "OrderNotFound", "Unknown order sent."),
        ("fetch unknown", "OrderNotFound", "Order does not exist."),
        ("over a cap", "InvalidOrder", "order_qty cap=order_qty_base_max"),
        ("post only", "OrderImmediatelyFillable", "Order would immediately match and take."),
        ("too small", "BadRequest", "Filter failure: NOTIONAL"),
        ("unknown symbol", "BadSymbol", "Invalid symbol."),
        ("wrong secret", "AuthenticationError", "Signature for this request is not valid."),
    ],
)
def test_refusals_reach_the_right_exception(
    rest: Facts, mistake: str, error: str, text: str
) -> None:
    assert rest["errors"][mistake][0] == error
    assert text in rest["errors"][mistake][1]


def test_streams_and_orders_over_sockets(facts: Facts) -> None:
    sockets = facts["sockets"]
    assert sockets["book"][0] < sockets["book"][1]
    assert sockets["trades"] > 0
    assert sockets["ticker"] > 0
    assert sockets["placed"]["status"] == "NEW"
    assert sockets["fetched"] == "open"
    assert sockets["open"] == ["pro-1"]
    assert sockets["canceled"]["origClientOrderId"] == "pro-1"
    assert sockets["market"]["status"] == "FILLED"


def test_the_user_stream_tells_the_bots_own_orders(facts: Facts) -> None:
    mine = [one for one in facts["sockets"]["user"] if "pro-1" in (one["c"], one["C"])]
    assert [one["x"] for one in mine] == ["NEW", "CANCELED"]
    assert mine[1]["C"] == "pro-1"
    assert mine[1]["c"] == facts["sockets"]["canceled"]["clientOrderId"]


def test_the_daemon_is_killed_under_it_and_nothing_is_forgotten(facts: Facts) -> None:
    restart = facts["restart"]
    assert restart["while_down"][0] in {"ExchangeNotAvailable", "NetworkError", "RequestTimeout"}
    assert "seatrial: trading_halted" in restart["halted"][1]
    assert restart["by_name"]["status"] == "CANCELED"
    same(restart["by_name"], restart["venue"])
    assert restart["cancel_again"][0] == "OrderNotFound"
    assert restart["after"]["status"] == "FILLED"


def test_the_ledger_has_the_bots_orders_and_no_others(facts: Facts) -> None:
    ours = {
        order["order_id"]
        for order in facts["ledger"]["orders"]
        if order["client_order_id"].startswith("st")
    }
    assert {one["orderId"] for one in facts["restart"]["orders"]} == ours
    fills = [one for one in facts["ledger"]["fills"] if one["order_id"] in ours]
    assert {one["trade_id"] for one in fills} == {one["id"] for one in facts["restart"]["trades"]}
    assert not facts["ledger"]["open_orders"]

"""Order lists at the simulated venue, by the documented rules (binance-spot.md §14)."""

from typing import Any

import pytest

from daemon.model.enums import OrderType, Side
from daemon.venues.binance_spot.serving.event_rows import user_event
from daemon.venues.binance_spot.serving.order_requests import StpMode
from daemon.venues.sim.request_limits import LimitConfig
from tests.support.sim_stage import ROW, SYMBOL, Stage

SELL_OCO: ROW = {
    "side": "SELL", "quantity": "0.5", "aboveType": "LIMIT_MAKER", "abovePrice": "60100",
    "aboveClientOrderId": "above", "belowType": "STOP_LOSS_LIMIT", "belowStopPrice": "59900",
    "belowPrice": "59880", "belowTimeInForce": "GTC", "belowClientOrderId": "below",
    "listClientOrderId": "pair",
}  # fmt: skip
OTO: ROW = {
    "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": "59990",
    "workingQuantity": "0.5", "workingTimeInForce": "GTC", "workingClientOrderId": "first",
    "pendingType": "LIMIT", "pendingSide": "SELL", "pendingPrice": "60100",
    "pendingQuantity": "0.5", "pendingTimeInForce": "GTC", "pendingClientOrderId": "second",
    "listClientOrderId": "chain",
}  # fmt: skip
OTOCO: ROW = {
    **{key: value for key, value in OTO.items() if not key.startswith("pending")},
    "pendingSide": "SELL", "pendingQuantity": "0.4",
    "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": "60100",
    "pendingAboveClientOrderId": "above", "pendingBelowType": "STOP_LOSS_LIMIT",
    "pendingBelowStopPrice": "59900", "pendingBelowPrice": "59880",
    "pendingBelowTimeInForce": "GTC", "pendingBelowClientOrderId": "below",
}  # fmt: skip


def at_60000(**limits: Any) -> Stage:
    """The last trade was at 60000, and the other account makes the market."""
    stage = Stage(**limits)
    stage.sell("1", "60000", account="other")
    stage.buy("0.1", "60000")
    stage.buy("5", "59950", account="other")
    stage.exchange.collect()
    stage.exchange.user_outbox.clear()
    return stage


def place(stage: Stage, kind: str, **params: Any) -> ROW:
    status, body, _ = stage.rest("POST", kind, symbol=SYMBOL, **params)
    assert status == 200, body
    row: ROW = body
    return row


def refusal(stage: Stage, kind: str, **params: Any) -> tuple[int, str]:
    status, body, _ = stage.rest("POST", kind, symbol=SYMBOL, **params)
    assert status == 400, body
    return body["code"], body["msg"]


def states(stage: Stage) -> dict[str, str]:
    return {
        order["clientOrderId"]: order["status"]
        for order in stage.rest("GET", "allOrders", symbol=SYMBOL)[1]
    }


def events(stage: Stage) -> list[ROW]:
    stage.exchange.collect()
    made = [user_event(event) for event in stage.exchange.user_outbox if event.account == "main"]
    stage.exchange.user_outbox.clear()
    return made


def test_an_oco_locks_once_and_shows_everywhere() -> None:
    stage = at_60000()
    free_before = stage.wallet("BTC")[0]
    row = place(stage, "orderList/oco", **SELL_OCO)
    assert (row["contingencyType"], row["listOrderStatus"]) == ("OCO", "EXECUTING")
    assert [report["status"] for report in row["orderReports"]] == ["NEW", "NEW"]
    assert stage.wallet("BTC")[1] == "0.50000000"
    assert float(free_before) - float(stage.wallet("BTC")[0]) == pytest.approx(0.5)
    shown = stage.rest("GET", "openOrders", symbol=SYMBOL)[1]
    assert {order["orderListId"] for order in shown} == {row["orderListId"]}
    assert stage.rest("GET", "openOrderList")[1] == [stage.rest("GET", "allOrderList")[1][0]]
    for by in ({"orderListId": row["orderListId"]}, {"origClientOrderId": "pair"}):
        assert stage.rest("GET", "orderList", **by)[1]["listClientOrderId"] == "pair"
    assert stage.rest("GET", "orderList", orderListId=99)[1]["code"] == -2013


def test_the_limit_leg_trades_and_the_stop_expires() -> None:
    stage = at_60000()
    row = place(stage, "orderList/oco", **SELL_OCO)
    events(stage)
    stage.buy("2", "60100", account="other", stp=StpMode.NONE)
    assert states(stage)["above"] == "FILLED"
    assert states(stage)["below"] == "EXPIRED"
    told = events(stage)
    reports = [event for event in told if event["e"] == "executionReport"]
    assert [(e["c"], e["x"]) for e in reports] == [("above", "TRADE"), ("below", "EXPIRED")]
    assert reports[-1]["eR"] == "OCO_TRIGGER"
    assert {event["g"] for event in reports} == {row["orderListId"]}
    assert [e["L"] for e in told if e["e"] == "listStatus"] == ["ALL_DONE"]
    assert stage.wallet("BTC")[1] == "0.00000000"
    assert stage.rest("GET", "openOrderList")[1] == []
    trades = stage.rest("GET", "myTrades", symbol=SYMBOL)[1]
    assert trades[-1]["orderListId"] == row["orderListId"]


def test_a_partial_fill_of_one_leg_ends_the_other() -> None:
    stage = at_60000()
    place(stage, "orderList/oco", **SELL_OCO)
    stage.sell("0.9", "60050", account="other", stp=StpMode.NONE)
    stage.buy("1.9", "60100", account="other", stp=StpMode.NONE)
    assert states(stage)["above"] == "PARTIALLY_FILLED"
    assert states(stage)["below"] == "EXPIRED"
    assert stage.wallet("BTC")[1] == "0.40000000", "only what the limit leg can still give"


def test_the_stop_leg_triggers_and_the_limit_expires() -> None:
    stage = at_60000()
    stage.buy("1", "59900", account="other")
    place(stage, "orderList/oco", **SELL_OCO)
    events(stage)
    stage.sell("5.5", "59900", account="other", stp=StpMode.NONE)
    assert states(stage)["above"] == "EXPIRED"
    assert states(stage)["below"] in {"FILLED", "PARTIALLY_FILLED", "NEW"}
    kinds = [(e["c"], e["x"]) for e in events(stage) if e["e"] == "executionReport"]
    assert kinds.index(("above", "EXPIRED")) > kinds.index(("below", "NEW")), "triggered first"
    assert all(wallet.free >= 0 for wallet in stage.venue.accounts["main"].wallets.values())


@pytest.mark.parametrize("road", ["leg", "list", "symbol"])
def test_canceling_one_cancels_all(road: str) -> None:
    stage = at_60000()
    row = place(stage, "orderList/oco", **SELL_OCO)
    events(stage)
    if road == "leg":
        status, body, _ = stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="below")
    elif road == "list":
        status, body, _ = stage.rest(
            "DELETE", "orderList", symbol=SYMBOL, orderListId=row["orderListId"]
        )
    else:
        status, rows, _ = stage.rest("DELETE", "openOrders", symbol=SYMBOL)
        (body,) = rows
    assert status == 200
    assert (body["contingencyType"], body["listStatusType"]) == ("OCO", "ALL_DONE")
    assert [report["status"] for report in body["orderReports"]] == ["CANCELED", "CANCELED"]
    assert stage.wallet("BTC")[1] == "0.00000000"
    told = events(stage)
    assert sorted(e["C"] for e in told if e["e"] == "executionReport") == ["above", "below"]
    assert [e["l"] for e in told if e["e"] == "listStatus"] == ["ALL_DONE"]
    status, body, _ = stage.rest("DELETE", "orderList", symbol=SYMBOL, listClientOrderId="pair")
    assert (status, body["code"], body["msg"]) == (400, -2011, "Unknown order sent.")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aboveType": "MARKET"}, -1106),
        ({"aboveType": "LIMIT", "aboveTimeInForce": "GTC"}, -1158),
        ({"belowType": "LIMIT_MAKER", "belowPrice": "59000", "belowStopPrice": "",
          "belowTimeInForce": ""}, -1168),
        ({"side": "BUY"}, -1165),
        ({"side": "BUY", "aboveType": "TAKE_PROFIT", "abovePrice": "", "aboveStopPrice": "60100"},
         -1198),
        ({"aboveType": "STOP_LOSS", "abovePrice": "", "aboveStopPrice": "60100",
          "belowType": "LIMIT_MAKER", "belowPrice": "59000", "belowStopPrice": "",
          "belowTimeInForce": ""}, -1166),
        ({"abovePrice": "59990"}, -2010),
        ({"belowStopPrice": "60010"}, -2010),
        ({"quantity": "120"}, -2010),
        ({"abovePrice": ""}, -1102),
        ({"belowTimeInForce": ""}, -1102),
        ({"abovePrice": "60100.001"}, -1013),
        ({"aboveClientOrderId": "below"}, -2010),
    ],
)  # fmt: skip
def test_what_is_refused_leaves_nothing_behind(changes: ROW, code: int) -> None:
    stage = at_60000()
    before = stage.wallet("BTC")
    params = {key: value for key, value in {**SELL_OCO, **changes}.items() if value != ""}
    assert refusal(stage, "orderList/oco", **params)[0] == code
    assert stage.wallet("BTC") == before
    assert stage.rest("GET", "openOrders", symbol=SYMBOL)[1] == []
    assert stage.rest("GET", "allOrderList")[1] == []
    assert [e for e in events(stage) if e["e"] != "outboundAccountPosition"] == []


def test_missing_parameters_are_named_as_the_client_wrote_them() -> None:
    stage = at_60000()
    params = {key: value for key, value in SELL_OCO.items() if key != "belowStopPrice"}
    assert "'belowStopPrice'" in refusal(stage, "orderList/oco", **params)[1]
    params = {key: value for key, value in OTO.items() if key != "workingPrice"}
    assert "'workingPrice'" in refusal(stage, "orderList/oto", **params)[1]


def test_the_old_oco_call_still_works() -> None:
    stage = at_60000()
    row = place(
        stage, "order/oco", side="SELL", quantity="0.5", price="60100", stopPrice="59900",
        stopLimitPrice="59880", stopLimitTimeInForce="GTC", limitClientOrderId="l",
        stopClientOrderId="s",
    )  # fmt: skip
    assert sorted(report["type"] for report in row["orderReports"]) == [
        "LIMIT_MAKER", "STOP_LOSS_LIMIT",
    ]  # fmt: skip
    bought = place(stage, "order/oco", side="BUY", quantity="0.1", price="59000", stopPrice="60500")
    assert {report["type"] for report in bought["orderReports"]} == {"LIMIT_MAKER", "STOP_LOSS"}


def test_an_oto_waits_for_its_first_order() -> None:
    stage = at_60000()
    row = place(stage, "orderList/oto", **OTO)
    assert row["contingencyType"] == "OTO"
    assert [report["status"] for report in row["orderReports"]] == ["NEW", "PENDING_NEW"]
    assert stage.wallet("BTC")[1] == "0.00000000", "what is pending locks nothing"
    assert states(stage)["second"] == "PENDING_NEW"
    events(stage)
    stage.sell("0.2", "59990", account="other", stp=StpMode.NONE)
    assert states(stage)["second"] == "PENDING_NEW", "half a fill starts nothing"
    stage.sell("0.3", "59990", account="other", stp=StpMode.NONE)
    assert (states(stage)["first"], states(stage)["second"]) == ("FILLED", "NEW")
    assert stage.wallet("BTC")[1] == "0.50000000"
    assert [e["l"] for e in events(stage) if e["e"] == "listStatus"] == ["EXEC_STARTED"]
    stage.buy("2", "60100", account="other", stp=StpMode.NONE)
    assert states(stage)["second"] == "FILLED"
    assert stage.rest("GET", "openOrderList")[1] == []


def test_an_oto_that_fills_at_once_answers_with_the_state_before_it() -> None:
    stage = at_60000()
    row = place(stage, "orderList/oto", **{**OTO, "workingPrice": "60000"})
    assert [report["status"] for report in row["orderReports"]] == ["FILLED", "PENDING_NEW"]
    assert states(stage)["second"] == "NEW"
    assert row["orderReports"][0]["fills"]


@pytest.mark.parametrize("which", ["first", "second"])
def test_canceling_a_part_of_an_oto_cancels_it(which: str) -> None:
    stage = at_60000()
    place(stage, "orderList/oto", **OTO)
    stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId=which)
    rows = stage.rest("GET", "allOrders", symbol=SYMBOL)[1]
    assert [row["status"] for row in rows if row["orderListId"] == 1] == ["CANCELED", "CANCELED"]
    assert stage.wallet("USDT")[1] == "0.00000000"


def test_a_first_order_that_expires_takes_the_pending_with_it() -> None:
    stage = at_60000()
    place(stage, "orderList/oto", **{**OTO, "workingTimeInForce": "IOC", "workingPrice": "59960"})
    assert (states(stage)["first"], states(stage)["second"]) == ("EXPIRED", "EXPIRED")
    row = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId="second")[1]
    assert row["expiryReason"] == "OTO_PHASE_ONE_EXPIRED"


def test_what_the_account_cannot_pay_when_its_moment_comes_expires() -> None:
    stage = at_60000()
    place(stage, "orderList/oto", **{**OTO, "pendingQuantity": "120"})
    stage.sell("0.5", "59990", account="other", stp=StpMode.NONE)
    assert (states(stage)["first"], states(stage)["second"]) == ("FILLED", "EXPIRED")
    assert stage.rest("GET", "openOrderList")[1] == []


def test_an_otoco_becomes_an_oco() -> None:
    stage = at_60000()
    row = place(stage, "orderList/otoco", **OTOCO)
    assert [r["status"] for r in row["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    stage.sell("0.5", "59990", account="other", stp=StpMode.NONE)
    assert (states(stage)["above"], states(stage)["below"]) == ("NEW", "NEW")
    assert stage.wallet("BTC")[1] == "0.40000000"
    stage.buy("2", "60100", account="other", stp=StpMode.NONE)
    assert (states(stage)["above"], states(stage)["below"]) == ("FILLED", "EXPIRED")
    assert stage.wallet("BTC")[1] == "0.00000000"


@pytest.mark.parametrize("kind", ["opo", "opoco"])
def test_one_pays_the_other(kind: str) -> None:
    """What was bought, less its fee in base, is what the pending orders sell."""
    stage = at_60000()
    source = OTO if kind == "opo" else OTOCO
    place(
        stage, f"orderList/{kind}",
        **{key: value for key, value in source.items() if key != "pendingQuantity"},
    )  # fmt: skip
    stage.sell("0.5", "59990", account="other", stp=StpMode.NONE)
    name = "second" if kind == "opo" else "above"
    row = stage.rest("GET", "order", symbol=SYMBOL, origClientOrderId=name)[1]
    assert (row["status"], row["origQty"]) == ("NEW", "0.49950000")
    same_side = {**source, "pendingSide": "BUY"}
    same_side.pop("pendingQuantity")
    assert refusal(stage, f"orderList/{kind}", **same_side)[0] == -1014


@pytest.mark.parametrize(
    ("kind", "params", "count"),
    [("oco", SELL_OCO, 2), ("oto", OTO, 2), ("otoco", OTOCO, 3)],
)
def test_lists_count_as_many_orders_as_they_have(kind: str, params: ROW, count: int) -> None:
    stage = at_60000()

    def counted() -> int:
        return int(stage.rest("GET", "rateLimit/order")[1][0]["count"])

    before = counted()
    place(stage, f"orderList/{kind}", **params)
    assert counted() - before == count
    tight = at_60000(limits=LimitConfig(orders_per_10s=count - 1))
    status, body, _ = tight.rest("POST", f"orderList/{kind}", symbol=SYMBOL, **params)
    assert (status, body["code"]) == (429, -1015)


def test_filters_count_lists_and_their_orders() -> None:
    stage = at_60000(max_num_order_lists=1)
    place(stage, "orderList/oto", **OTO)
    again = {**OTO, "listClientOrderId": "b", "workingClientOrderId": "b1",
             "pendingClientOrderId": "b2"}  # fmt: skip
    assert refusal(stage, "orderList/oto", **again) == (
        -1013, "Filter failure: MAX_NUM_ORDER_LISTS",
    )  # fmt: skip
    crowded = at_60000(max_num_orders=2)
    crowded.buy("0.1", "59000")
    assert refusal(crowded, "orderList/oco", **SELL_OCO)[1] == "Filter failure: MAX_NUM_ORDERS"
    assert refusal(at_60000(max_num_algo_orders=0), "orderList/oco", **SELL_OCO)[1] == (
        "Filter failure: MAX_NUM_ALGO_ORDERS"
    )


def test_an_open_list_keeps_its_name_for_itself() -> None:
    stage = at_60000()
    place(stage, "orderList/oco", **SELL_OCO)
    again = {**SELL_OCO, "aboveClientOrderId": "a2", "belowClientOrderId": "b2"}
    assert refusal(stage, "orderList/oco", **again) == (-2010, "Duplicate order sent.")


def test_all_of_it_over_the_websocket_api() -> None:
    stage = at_60000()
    for kind, params, names in (
        ("oco", SELL_OCO, 2), ("oto", OTO, 2), ("otoco", OTOCO, 3),
    ):  # fmt: skip
        placed = stage.ws(f"orderList.place.{kind}", symbol=SYMBOL, **params)
        assert placed["status"] == 200, placed
        list_id = placed["result"]["orderListId"]
        assert len(placed["result"]["orderReports"]) == names
        asked = stage.ws("orderList.status", orderListId=list_id)
        assert asked["result"]["listOrderStatus"] == "EXECUTING"
        assert [r["orderListId"] for r in stage.ws("openOrderLists.status")["result"]] == [list_id]
        gone = stage.ws("orderList.cancel", symbol=SYMBOL, orderListId=list_id)
        assert gone["result"]["listOrderStatus"] == "ALL_DONE"
    assert len(stage.ws("allOrderLists")["result"]) == 3
    assert len(stage.ws("allOrderLists", fromId=2)["result"]) == 2
    old = stage.ws(
        "orderList.place", symbol=SYMBOL, side="SELL", quantity="0.1", price="60100",
        stopPrice="59900",
    )  # fmt: skip
    assert old["result"]["contingencyType"] == "OCO"


def test_a_wipe_takes_lists_too() -> None:
    stage = at_60000()
    place(stage, "orderList/oco", **SELL_OCO)
    place(stage, "orderList/oto", **OTO)
    stage.exchange.wipe(stage.tick())
    assert stage.rest("GET", "allOrderList")[1] == []
    stage.sell("1", "60000", account="other")
    stage.buy("0.1", "60000")
    assert place(stage, "orderList/oco", **SELL_OCO)["orderListId"] == 1


def test_smart_order_routing_is_refused_in_words() -> None:
    stage = at_60000()
    for path in ("sor/order", "sor/order/test"):
        order = {"symbol": SYMBOL, "side": "BUY", "type": "MARKET", "quantity": "1"}
        status, body, _ = stage.rest("POST", path, **order)
        assert (status, body["code"]) == (400, -1013)
        assert "smart order routing" in body["msg"]


def test_a_stop_that_sells_in_the_market_gives_the_whole_lock() -> None:
    stage = at_60000()
    stage.buy("1", "59900", account="other")
    params = {**SELL_OCO, "belowType": "STOP_LOSS"}
    for name in ("belowPrice", "belowTimeInForce"):
        del params[name]
    place(stage, "orderList/oco", **params)
    stage.place(Side.SELL, "5.2", account="other", type=OrderType.MARKET, stp=StpMode.NONE)
    assert (states(stage)["above"], states(stage)["below"]) == ("EXPIRED", "FILLED")
    assert stage.wallet("BTC")[1] == "0.00000000"


@pytest.mark.parametrize(("side", "amended", "locked"), [
    ("SELL", "above", "0.5"), ("SELL", "below", "0.5"), ("SELL", "both", "0.3"),
    ("BUY", "above", None), ("BUY", "below", None),
])  # fmt: skip
def test_an_amended_leg_gives_back_what_neither_needs(
    side: str, amended: str, locked: str | None
) -> None:
    """The pair locks once, the larger of its needs; whichever leg trades can pay."""
    stage = at_60000()
    params = SELL_OCO if side == "SELL" else {
        **SELL_OCO, "side": "BUY", "aboveType": "STOP_LOSS_LIMIT", "aboveStopPrice": "60100",
        "abovePrice": "60120", "aboveTimeInForce": "GTC", "belowType": "LIMIT_MAKER",
        "belowPrice": "59960",
    }  # fmt: skip
    if side == "BUY":
        params = {k: v for k, v in params.items() if not k.startswith(("belowStop", "belowTime"))}
    place(stage, "orderList/oco", **params)
    for leg in ("above", "below") if amended == "both" else (amended,):
        status, body, _ = stage.rest(
            "PUT", "order/amend/keepPriority", symbol=SYMBOL, origClientOrderId=leg, newQty="0.3",
            newClientOrderId=leg,
        )  # fmt: skip
        assert status == 200, body
    if locked is not None:
        rows = stage.rest("GET", "account")[1]["balances"]
        assert {r["asset"]: float(r["locked"]) for r in rows}["BTC"] == float(locked)
    if side == "SELL":
        stage.buy("1", "60100", account="other")
    else:
        stage.sell("1", "59960", account="other")
    assert "FILLED" in states(stage).values()
    rows = stage.rest("GET", "account")[1]["balances"]
    assert {float(row["locked"]) for row in rows} == {0.0}

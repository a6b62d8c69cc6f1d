"""An OCO through the gateway, held field by field against the venue's own rows and its ledger."""

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from evidence.report.report import build_report
from tests.support.bot_box import BotBox
from tests.support.gateway_session import OtherTrader, venue_order
from tests.support.raw_bot import Answer, RawBot

Rules = list[dict[str, object]]
LOST: Rules = [{"kind": "drop_answer", "rate": 1.0, "purposes": ["place"]}]
HELD: Rules = [
    {"kind": "delay_request", "rate": 1.0, "purposes": ["place"],
     "params": {"ms_min": 2_000, "ms_max": 2_000}}
]  # fmt: skip
QTY = "0.002"
QUICK = {
    "messages_per_second_max": "400", "messages_per_minute_max": "9000",
    "orders_per_second_max": "200", "orders_per_minute_max": "6000",
}  # fmt: skip
"""Tests ask one after another, as fast as the machine can."""
DEADLINE_S = 60
OUR_DOORS = ("symbol_blocked", "unknown_order_open", "market_data", "clock_", "balance_unknown")
"""Denials that pass by themselves, as after a stall of the machine."""


def bot_of(box: BotBox, name: str = "ft") -> RawBot:
    return RawBot(box.address, box.keys[name].api_key, box.keys[name].secret)


def legs(bot: RawBot, name: str, up: float = 1.02, down: float = 0.98) -> dict[str, str]:
    """A pair that sells what is held: a gain above, a stop below."""
    bid = bot.bid()
    return {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": QTY, "listClientOrderId": name,
        "aboveType": "LIMIT_MAKER", "abovePrice": f"{bid * up:.2f}",
        "aboveClientOrderId": f"{name}-up", "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": f"{bid * down:.2f}", "belowPrice": f"{bid * down * 0.999:.2f}",
        "belowTimeInForce": "GTC", "belowClientOrderId": f"{name}-down",
    }  # fmt: skip


def place(bot: RawBot, name: str, **more: float) -> Answer:
    """An OCO; asked again while our own gate is shut, as it is when a busy machine has stalled."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        told = bot.call("POST", "orderList/oco", **legs(bot, name, **more))
        is_shut = told.status == 400 and any(word in told.body["msg"] for word in OUR_DOORS)
        if not is_shut or time.monotonic() > deadline:
            return told
        threading.Event().wait(0.1)  # a pace, not a synchronisation


def venue_list(box: BotBox, list_id: object) -> dict[str, Any]:
    row: dict[str, Any] = box.sim.signed("GET", "orderList", orderListId=list_id)
    return row


def without_ids(row: dict[str, Any]) -> dict[str, Any]:
    """A list's row but for the ids that are the bot's own there and ours at the venue."""
    orders = [{k: v for k, v in one.items() if k != "clientOrderId"} for one in row["orders"]]
    left_out = {"listClientOrderId", "orderReports", "orders"}
    return {k: v for k, v in row.items() if k not in left_out} | {"orders": orders}


def same_order(box: BotBox, row: dict[str, Any]) -> None:
    """An order's row says what the venue's own row says; ids and update times apart."""
    theirs = venue_order(box, row["orderId"])
    for name in row.keys() - {"clientOrderId", "origClientOrderId", "transactTime", "fills"}:
        assert row[name] == theirs[name], name


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotBox]:
    with BotBox(tmp_path_factory.mktemp("box"), bots=("ft", "other"), caps=QUICK) as made:
        assert bot_of(made).buy("0.01").status_word == "FILLED"
        yield made


def test_an_oco_is_answered_queried_and_canceled_as_the_venue_has_it(box: BotBox) -> None:
    bot = bot_of(box)
    placed = place(bot, "one")
    assert placed.status == 200, placed.body
    told, list_id = placed.body, placed.body["orderListId"]
    assert (told["contingencyType"], told["listClientOrderId"]) == ("OCO", "one")
    assert (told["listStatusType"], told["listOrderStatus"]) == ("EXEC_STARTED", "EXECUTING")
    assert [one["clientOrderId"] for one in told["orders"]] == ["one-up", "one-down"]
    assert [one["clientOrderId"] for one in told["orderReports"]] == ["one-up", "one-down"]
    assert without_ids(told) == without_ids(venue_list(box, list_id))
    for row in told["orderReports"]:
        same_order(box, row)
        queried = bot.call("GET", "order", symbol="BTCUSDT", orderId=row["orderId"]).body
        same_order(box, queried)
        assert queried["orderListId"] == list_id
    by_id = bot.call("GET", "orderList", orderListId=list_id).body
    assert by_id == bot.call("GET", "orderList", origClientOrderId="one").body
    assert without_ids(by_id) == without_ids(venue_list(box, list_id))
    assert [one["orderListId"] for one in bot.call("GET", "openOrderList").body] == [list_id]
    assert by_id in bot.call("GET", "allOrderList").body
    other = bot_of(box, "other")
    assert other.call("GET", "orderList", orderListId=list_id).code == -2013
    assert other.call("DELETE", "orderList", symbol="BTCUSDT", orderListId=list_id).code == -2011
    assert other.call("GET", "allOrderList").body == []

    canceled = bot.call("DELETE", "orderList", symbol="BTCUSDT", listClientOrderId="one")
    assert canceled.status == 200, canceled.body
    ended = canceled.body
    assert (ended["listStatusType"], ended["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert {one["status"] for one in ended["orderReports"]} == {"CANCELED"}
    assert [one["origClientOrderId"] for one in ended["orderReports"]] == ["one-up", "one-down"]
    assert without_ids(ended) == without_ids(venue_list(box, list_id))
    again = bot.call("DELETE", "orderList", symbol="BTCUSDT", orderListId=list_id)
    assert again.code == -2011
    assert bot.call("GET", "openOrderList").body == []
    assert not [row for row in box.open_at_venue() if row["order_list_id"] == list_id]


def test_to_cancel_one_leg_is_to_cancel_the_list(box: BotBox) -> None:
    bot = bot_of(box)
    assert place(bot, "two").status == 200
    gone = bot.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="two-down")
    assert gone.body["listClientOrderId"] == "two", gone.body
    assert {one["status"] for one in gone.body["orderReports"]} == {"CANCELED"}
    assert place(bot, "two").status == 200, "its ids may be used again"
    all_gone = bot.call("DELETE", "openOrders", symbol="BTCUSDT").body
    assert [one["listClientOrderId"] for one in all_gone] == ["two"]
    assert not box.open_at_venue()


def test_the_old_call_and_the_venues_own_refusals(box: BotBox) -> None:
    bot = bot_of(box)
    bid = bot.bid()
    old = bot.call(
        "POST", "order/oco", symbol="BTCUSDT", side="SELL", quantity=QTY,
        price=f"{bid * 1.02:.2f}", stopPrice=f"{bid * 0.98:.2f}",
        stopLimitPrice=f"{bid * 0.979:.2f}", stopLimitTimeInForce="GTC",
    )  # fmt: skip
    assert [one["type"] for one in old.body["orderReports"]] == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]
    name = old.body["listClientOrderId"]
    assert bot.call("DELETE", "orderList", symbol="BTCUSDT", listClientOrderId=name).status == 200
    wrong = place(bot, "wrong", up=0.97, down=0.98)
    assert wrong.status == 400, wrong.body
    assert bot.call("GET", "orderList", origClientOrderId="wrong").code == -2013


def test_a_leg_is_amended_and_replaced_as_at_the_venue(box: BotBox) -> None:
    bot = bot_of(box)
    assert place(bot, "three").status == 200
    named = {"symbol": "BTCUSDT", "origClientOrderId": "three-up"}
    amended = bot.call("PUT", "order/amend/keepPriority", **named, newQty="0.001")
    assert amended.status == 200, amended.body
    row, listed = amended.body["amendedOrder"], amended.body["listStatus"]
    theirs = venue_order(box, row["orderId"])
    assert (row["qty"], row["status"]) == (theirs["origQty"], theirs["status"])
    assert without_ids(listed) == without_ids(venue_list(box, row["orderListId"]))
    down = bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId="three-down").body
    assert float(down["origQty"]) == float(QTY), "the other leg is as it was"
    same_order(box, down)

    replaced = bot.call(
        "POST", "order/cancelReplace", symbol="BTCUSDT", side="SELL", type="LIMIT",
        timeInForce="GTC", quantity=QTY, price=f"{bot.bid() * 1.03:.2f}",
        cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="three-down",
        newClientOrderId="alone",
    )  # fmt: skip
    assert replaced.status == 200, replaced.body
    assert replaced.body["cancelResponse"]["status"] == "CANCELED"
    assert replaced.body["newOrderResponse"]["status"] == "NEW"
    (left,) = [one for one in box.open_at_venue() if one["account"] == "main"]
    assert left["order_id"] == replaced.body["newOrderResponse"]["orderId"]
    gone = bot.call("GET", "orderList", origClientOrderId="three").body
    deadline = time.monotonic() + DEADLINE_S
    while gone["listOrderStatus"] != "ALL_DONE":  # the other leg's end comes by the user stream
        assert time.monotonic() < deadline, gone
        gone = bot.call("GET", "orderList", origClientOrderId="three").body
    assert bot.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200

    waits = bot.call("POST", "orderList/otoco", **entry(bot, "wait", bot.bid() * 0.97))
    assert waits.status == 200, waits.body
    named = {"symbol": "BTCUSDT", "origClientOrderId": "wait-in"}
    refused = bot.call("PUT", "order/amend/keepPriority", **named, newQty="0.0005")
    assert (refused.code, "waits for another" in refused.body["msg"]) == (-1020, True)
    assert bot.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200


def entry(bot: RawBot, name: str, price: float, sells: str = QTY) -> dict[str, str]:
    """An order to buy, and behind it a pair that sells."""
    pair = legs(bot, name) | {"quantity": sells}
    shared = {"symbol": "BTCUSDT", "listClientOrderId": name}
    working = {
        "workingType": "LIMIT", "workingSide": "BUY", "workingQuantity": "0.001",
        "workingPrice": f"{price:.2f}", "workingTimeInForce": "GTC",
        "workingClientOrderId": f"{name}-in",
    }  # fmt: skip
    behind = {
        f"pending{key[0].upper()}{key[1:]}": value
        for key, value in pair.items()
        if key.startswith(("above", "below")) or key in ("side", "quantity")
    }
    return shared | working | behind


def test_an_otoco_waits_begins_and_ends_as_the_venue_has_it(box: BotBox) -> None:
    bot = bot_of(box)
    placed = bot.call("POST", "orderList/otoco", **entry(bot, "wait", bot.bid() * 0.97))
    assert placed.status == 200, placed.body
    told = placed.body
    assert told["contingencyType"] == "OTO"
    assert [row["status"] for row in told["orderReports"]] == ["NEW", "PENDING_NEW", "PENDING_NEW"]
    assert without_ids(told) == without_ids(venue_list(box, told["orderListId"]))
    for row in told["orderReports"]:
        same_order(box, row)
        same_order(box, bot.call("GET", "order", symbol="BTCUSDT", orderId=row["orderId"]).body)
    gone = bot.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="wait-in").body
    assert {row["status"] for row in gone["orderReports"]} == {"CANCELED"}
    assert without_ids(gone) == without_ids(venue_list(box, told["orderListId"]))

    placed = begun(bot, "begin")
    assert without_ids(bot.call("GET", "orderList", origClientOrderId="begin").body) == without_ids(
        venue_list(box, placed["orderListId"])
    )
    ended = bot.call("DELETE", "orderList", symbol="BTCUSDT", listClientOrderId="begin").body
    assert [row["status"] for row in ended["orderReports"]] == ["FILLED", "CANCELED", "CANCELED"]
    assert not box.open_at_venue()


def test_what_is_pending_may_sell_what_is_held_and_what_its_entry_brings(box: BotBox) -> None:
    """Nothing may be sold short: the bot holds less than 0.011, and 0.001 comes before it sells."""
    bot = bot_of(box)
    asked = entry(bot, "much", bot.bid() * 0.97) | {"pendingQuantity": "0.01"}
    assert bot.call("POST", "orderList/otoco", **asked).status == 200
    more = entry(bot, "more", bot.bid() * 0.96) | {"pendingQuantity": "0.004"}
    refused = bot.call("POST", "orderList/otoco", **more)
    assert (refused.code, "position_short" in refused.body["msg"]) == (-2010, True), refused.body
    assert bot.call("GET", "orderList", origClientOrderId="more").code == -2013
    assert bot.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200
    assert not box.open_at_venue()


def test_a_fill_ends_the_list_and_the_user_stream_tells_it_in_order(box: BotBox) -> None:
    events = asyncio.run(asyncio.wait_for(_filled(box), DEADLINE_S))
    kinds = [(one["e"], one.get("x") or one["l"]) for one in events]
    assert kinds[:3] == [
        ("listStatus", "EXEC_STARTED"), ("executionReport", "NEW"), ("executionReport", "NEW"),
    ]  # fmt: skip
    assert kinds[-1] == ("listStatus", "ALL_DONE")
    assert set(kinds[3:-1]) == {("executionReport", "TRADE"), ("executionReport", "EXPIRED")}
    lists = {one["g"] for one in events}
    assert len(lists) == 1
    (list_id,) = lists
    assert events[0]["C"] == events[-1]["C"] == "filled"
    assert [one["c"] for one in events[-1]["O"]] == ["filled-up", "filled-down"]
    ledger = [row for row in box.sim.ledger()["orders"] if row["order_list_id"] == list_id]
    assert sorted(row["status"] for row in ledger) == ["EXPIRED", "FILLED"]
    traded = [one for one in events if one.get("x") == "TRADE"]
    assert {one["i"] for one in traded} == {
        row["order_id"] for row in ledger if row["status"] == "FILLED"
    }


async def _filled(box: BotBox) -> list[dict[str, Any]]:
    """An OCO whose upper leg stands at the best price, until somebody has taken it."""
    bot, other = bot_of(box), OtherTrader(box.sim)
    events: list[dict[str, Any]] = []
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{box.ws}/ws-api/v3") as socket,
    ):

        async def ask(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
            await socket.send_json({"id": number, "method": method, "params": params})
            while True:
                told: dict[str, Any] = await socket.receive_json()
                if told.get("id") == number:
                    return told
                hear(told)

        def hear(told: dict[str, Any]) -> None:
            if told["event"]["e"] in ("listStatus", "executionReport"):
                events.append(told["event"])

        await ask(1, "userDataStream.subscribe.signature", bot.ws_params())
        number = 1
        while not any(one["e"] == "listStatus" for one in events):
            number += 1
            asked = await asyncio.to_thread(legs, bot, "filled", 1.0003)
            told = await ask(number, "orderList.place.oco", bot.ws_params(**asked))
            if told["status"] == 200:  # post-only: the market may have moved onto it
                assert told["result"]["contingencyType"] == "OCO"
        price = asked["abovePrice"]
        while not any(one.get("l") == "ALL_DONE" for one in events):
            await asyncio.to_thread(other.take, "BUY", "0.5", price)
            while not any(one.get("l") == "ALL_DONE" for one in events):
                try:
                    hear(await socket.receive_json(timeout=1))
                except TimeoutError:
                    break  # not yet taken: once more
    return events


def test_lost_answers_are_found_by_the_user_stream(box: BotBox) -> None:
    bot = bot_of(box)
    box.sim.load_faults(LOST)
    told = place(bot, "lost")
    box.sim.load_faults([])
    deadline = time.monotonic() + DEADLINE_S
    while told.status == 504:  # so slow a machine that the bot's patience was over first
        assert time.monotonic() < deadline, told.body
        told = bot.call("GET", "orderList", origClientOrderId="lost")  # 504 while it is in doubt
    assert told.status == 200, told.body
    assert without_ids(told.body) == without_ids(venue_list(box, told.body["orderListId"]))
    assert bot.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200


def test_a_list_is_known_after_kill_9_and_the_accountant_agrees(tmp_path: Path) -> None:
    """At rest, and in doubt: its orders come back with owner, type and list."""
    with BotBox(tmp_path) as box:
        bot = bot_of(box)
        assert bot.buy("0.01").status_word == "FILLED"
        resting = place(bot, "resting").body
        box.kill_daemon()
        box.start_daemon()
        box.until(lambda status: not status["open_orders"])  # a boot cancels what it finds
        _is_known(box, bot, "resting", resting["orderListId"])

        box.start_session()
        box.sim.load_faults(HELD)
        asked = legs(bot, "doubt")
        waiting = threading.Thread(target=lambda: _ask_in_vain(bot, asked))
        waiting.start()
        box.until(lambda status: status["bots"]["ft"]["orders"] == 5)  # written, not answered
        box.kill_daemon()
        waiting.join()
        box.sim.load_faults([])
        box.start_daemon()
        box.until(lambda status: not status["open_orders"])
        _is_known(box, bot, "doubt", None)
        box.must("kill", "--reason", "end")
        assert not box.open_at_venue()
        ledger = tmp_path / "ledger.json"
        ledger.write_text(json.dumps(box.sim.ledger()))
    _accountant_agrees(tmp_path)


def _accountant_agrees(directory: Path) -> None:
    """The decisions decided again, and the record held against the venue's books."""
    journal = str(directory / "state" / "journal")
    recheck = subprocess.run(
        [sys.executable, "-m", "evidence.recheck", journal], check=False, capture_output=True,
        text=True,
    )  # fmt: skip
    assert recheck.returncode == 0, recheck.stdout
    report = build_report([Path(journal)], ledger=directory / "ledger.json").to_json()
    (found,) = report["journals"]
    assert found["bots"]["problems"] == {}
    assert found["caps"]["breaches"] == 0, found["caps"]
    for kind in ("cap_breaches_at_venue", "orders_differ", "fills_missing_from_journal"):
        assert found["ledger"][kind]["count"] == 0, found["ledger"][kind]


def test_a_bracket_around_a_new_entry_passes_and_lives_through_kill_9(tmp_path: Path) -> None:
    """Nothing is held and nothing may be sold short: its exits sell what the entry has bought."""
    with BotBox(tmp_path) as box:
        bot, other = bot_of(box), OtherTrader(box.sim)
        waits = bot.call("POST", "orderList/otoco", **entry(bot, "wait", bot.bid() * 0.97, "0.001"))
        assert waits.status == 200, waits.body
        over = bot.call("POST", "orderList/otoco", **entry(bot, "over", bot.bid() * 0.96, "0.002"))
        assert over.code == -2010, over.body
        assert bot.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200

        placed = begun(bot, "bracket")
        box.kill_daemon()
        up = venue_order(box, placed["orderReports"][1]["orderId"])
        deadline = time.monotonic() + DEADLINE_S
        while up["status"] != "FILLED":
            assert time.monotonic() < deadline, up
            other.take("BUY", "0.5", up["price"])
            up = venue_order(box, up["orderId"])
        box.start_daemon()
        box.until(lambda status: not status["open_orders"])
        rows = [
            bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId=f"bracket-{leg}").body
            for leg in ("in", "up", "down")
        ]
        assert [row["status"] for row in rows] == ["FILLED", "FILLED", "EXPIRED"], rows
        for row in rows:
            same_order(box, row)
        box.must("kill", "--reason", "end")
        (tmp_path / "ledger.json").write_text(json.dumps(box.sim.ledger("main")))
    _accountant_agrees(tmp_path)


def test_an_entry_pays_for_its_exits(tmp_path: Path) -> None:
    """OPOCO: the venue says what is sold when the entry is filled, less the fee in base."""
    with BotBox(tmp_path) as box:
        bot = bot_of(box)
        asked = entry(bot, "wait", bot.bid() * 0.97)
        del asked["pendingQuantity"]
        waits = bot.call("POST", "orderList/opoco", **asked)
        assert waits.status == 200, waits.body
        for row in waits.body["orderReports"]:
            same_order(box, row)
        assert [float(row["origQty"]) for row in waits.body["orderReports"]] == [0.001, 0, 0]
        assert (
            bot.call("DELETE", "orderList", symbol="BTCUSDT", listClientOrderId="wait").status
            == 200
        )
        placed = begun(bot, "paid", "opoco")
        for row in placed["orderReports"]:
            told = bot.call("GET", "order", symbol="BTCUSDT", orderId=row["orderId"]).body
            same_order(box, told)
            assert float(told["origQty"]) > 0
        box.kill_daemon()
        box.start_daemon()
        box.until(lambda status: not status["open_orders"])
        for row in placed["orderReports"]:
            told = bot.call("GET", "order", symbol="BTCUSDT", orderId=row["orderId"]).body
            same_order(box, told)
        box.must("kill", "--reason", "end")
        (tmp_path / "ledger.json").write_text(json.dumps(box.sim.ledger("main")))
    _accountant_agrees(tmp_path)


def begun(bot: RawBot, name: str, kind: str = "otoco") -> dict[str, Any]:
    """A bracket whose entry is filled at once, and whose exits stand at the venue."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        asked = entry(bot, name, bot.bid() * 1.01, "0.001")
        if kind == "opoco":
            del asked["pendingQuantity"]
        placed = bot.call("POST", f"orderList/{kind}", **asked)
        assert placed.status == 200, placed.body
        row = placed.body["orderReports"][0]
        while row["status"] != "FILLED":
            row = bot.call("GET", "order", symbol="BTCUSDT", orderId=row["orderId"]).body
            assert time.monotonic() < deadline, row
        names = [f"{name}-up", f"{name}-down"]
        told = {"PENDING_NEW"}
        while told & {"PENDING_NEW"}:
            rows = [
                bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId=one).body
                for one in names
            ]
            told = {one["status"] for one in rows}
            assert time.monotonic() < deadline, rows
        assert told == {"NEW"}, rows
        return dict(placed.body)


def _ask_in_vain(bot: RawBot, asked: dict[str, str]) -> None:
    """The daemon dies while the request is on its way to the venue."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        bot.call("POST", "orderList/oco", **asked)


def _is_known(box: BotBox, bot: RawBot, name: str, list_id: int | None) -> None:
    row = bot.call("GET", "orderList", origClientOrderId=name)
    assert row.status == 200, row.body
    if list_id is not None:
        assert row.body["orderListId"] == list_id
    assert row.body["listStatusType"] == "ALL_DONE"
    assert [one["clientOrderId"] for one in row.body["orders"]] == [f"{name}-up", f"{name}-down"]
    assert without_ids(row.body) == without_ids(venue_list(box, row.body["orderListId"]))
    for leg, kind in (("up", "LIMIT_MAKER"), ("down", "STOP_LOSS_LIMIT")):
        told = bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId=f"{name}-{leg}").body
        assert (told["type"], told["status"]) == (kind, "CANCELED")
        same_order(box, told)

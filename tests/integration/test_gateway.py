"""The gateway as bots meet it: what is refused, what outlives a crash, and who sees what."""

import asyncio
import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control.control_errors import ControlError
from control.tool.client import call
from control.tool.command_frame import Wiring
from daemon.cli.bot_commands import bot_group
from daemon.shell.process.clock import SystemClock, monotonic_s
from tests.support.bot_box import BotBox
from tests.support.raw_bot import RawBot

Rules = list[dict[str, object]]
LOST: Rules = [{"kind": "drop_answer", "rate": 1.0, "purposes": ["place"]}]
HELD: Rules = [
    {
        "kind": "delay_request",
        "rate": 1.0,
        "purposes": ["place"],
        "params": {"ms_min": 1_500, "ms_max": 1_500},
    }
]

ROOMY = {
    "messages_per_second_max": "400",
    "messages_per_minute_max": "9000",
    "orders_per_second_max": "200",
    "orders_per_minute_max": "6000",
    "position_long_base_max": '"0.5"',
    "exposure_quote_max": '"30000"',
    "exposure_gross_numeraire_max": '"30000"',
    "exposure_net_numeraire_max": '"30000"',
}
"""Caps that three bots at once do not meet."""


def bot_of(box: BotBox, name: str = "ft", **more: Any) -> RawBot:
    keys = box.keys[name]
    return RawBot(box.address, keys.api_key, keys.secret, **more)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotBox]:
    with BotBox(tmp_path_factory.mktemp("box"), bots=("one", "two")) as made:
        yield made


def test_a_bot_sees_and_cancels_its_own_orders_only(box: BotBox) -> None:
    one, two = bot_of(box, "one"), bot_of(box, "two")
    mine = one.rest("same-id", 0.95)
    theirs = two.rest("same-id", 0.94)  # ids belong to a bot, not to the account
    assert (mine.status, theirs.status) == (200, 200)
    named = {"symbol": "BTCUSDT", "orderId": mine.body["orderId"]}
    assert two.call("GET", "order", **named).code == -2013
    assert two.call("DELETE", "order", **named).code == -2011
    assert [row["orderId"] for row in two.call("GET", "openOrders").body] == [
        theirs.body["orderId"]
    ]
    assert two.call("DELETE", "openOrders", symbol="BTCUSDT").status == 200
    assert [row["orderId"] for row in one.call("GET", "openOrders").body] == [mine.body["orderId"]]
    assert [row["order_id"] for row in box.open_at_venue()] == [mine.body["orderId"]]
    assert one.call("DELETE", "order", **named).body["status"] == "CANCELED"


def test_keys_signatures_times_and_parameters_are_checked_exactly(box: BotBox) -> None:
    one = bot_of(box, "one")
    assert RawBot(box.address, "short", "x").call("GET", "account").code == -2014
    assert RawBot(box.address, "k" * 64, "x").call("GET", "account").code == -2015
    assert RawBot(box.address, one.api_key, "x").call("GET", "account").code == -1022
    old = one.send("GET", "/api/v3/account?timestamp=1600000000000&signature=00")
    assert old.code == -1021
    assert one.call("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001",
                    somethingNew="1").status == 400  # fmt: skip
    unknown = one.call("GET", "order/amendments", symbol="BTCUSDT", orderId=1)
    assert unknown.code == -1020
    assert one.send("GET", "/sapi/v1/capital/config/getall").status == 404


def test_no_page_in_a_browser_and_no_other_host_is_served(box: BotBox) -> None:
    page = RawBot(box.address, headers={"Origin": "http://evil.example"})
    assert page.send("GET", "/api/v3/time").status == 403
    rebound = RawBot(box.address, headers={"Host": "evil.example"})
    assert rebound.send("GET", "/api/v3/time").status == 421
    assert RawBot(box.address).send("GET", "/api/v3/time").status == 200


def test_ten_readers_cost_the_venue_one_request(box: BotBox) -> None:
    name = "REST GET /api/v3/klines"
    before = box.sim.ledger()["requests"].get(name, 0)
    # Candles that are over, so that what is read a second later is alike.
    over_ms = SystemClock().now_ns() // 1_000_000 - 2 * 3_600_000
    target = f"/api/v3/klines?symbol=BTCUSDT&interval=1h&limit=7&endTime={over_ms}"
    began_s = monotonic_s()
    found: list[Any] = []
    readers = [
        threading.Thread(target=lambda: found.append(RawBot(box.address).send("GET", target).body))
        for _ in range(10)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(found) == 10
    assert all(rows == found[0] for rows in found)
    assert len(found[0]) == 7
    seconds = int(monotonic_s() - began_s)
    asked = box.sim.ledger()["requests"][name] - before
    assert 0 < asked <= min(2 + seconds, 9)  # one a second at most


def test_a_suspended_bot_may_cancel_and_read_but_not_place(box: BotBox) -> None:
    one, two = bot_of(box, "one"), bot_of(box, "two")
    resting = one.rest("before")
    assert resting.status == 200, resting.body
    call(box.socket, "bot-suspend", bot="one", reason="test")
    box.until(lambda status: status["bots"]["one"]["state"] == "suspended")
    refused = one.buy()
    assert refused.code == -2010
    assert "seatrial: suspended" in refused.body["msg"]
    assert two.buy().status_word == "FILLED"
    assert one.call("GET", "account").status == 200
    gone = one.call("DELETE", "order", symbol="BTCUSDT", orderId=resting.body["orderId"])
    assert gone.body["status"] == "CANCELED"
    call(box.socket, "bot-resume", bot="one", reason="test")
    box.until(lambda status: status["bots"]["one"]["state"] == "active")
    assert one.buy().status_word == "FILLED"


def test_kill_bot_takes_one_bot_out_and_leaves_the_other(box: BotBox) -> None:
    one, two = bot_of(box, "one"), bot_of(box, "two")
    one.rest("to-die", 0.95)
    kept = two.rest("to-live", 0.94)
    told = box.must("kill", "--bot", "one", "--reason", "test")
    assert told == "one is killed; `seatrial bot resume one` lets it in, unless it was revoked\n"
    # The status is published now and then: an old one knows of no order yet.
    box.until(
        lambda status: (
            [row["order_id"] for row in box.open_at_venue()] == [kept.body["orderId"]]
            and not status["bots"]["one"]["open_orders"]
        )
    )
    assert one.buy().code == -2010
    assert two.buy().status_word == "FILLED"
    told = one.call("GET", "order", symbol="BTCUSDT", origClientOrderId="to-die")
    assert told.body["status"] == "CANCELED"
    two.call("DELETE", "openOrders", symbol="BTCUSDT")
    call(box.socket, "bot-resume", bot="one", reason="test")


def test_a_revoked_key_is_gone_at_once_and_its_orders_with_it(tmp_path: Path) -> None:
    with BotBox(tmp_path, bots=("one", "two")) as box:
        one, two = bot_of(box, "one"), bot_of(box, "two")
        assert one.rest("o", 0.95).status == 200
        kept = two.rest("t", 0.94)
        done = CliRunner().invoke(
            bot_group,
            ["revoke", "one", "--config", str(box.config), "--reason", "test"],
            obj=Wiring(socket=box.socket),
        )
        assert done.exit_code == 0, done.output
        box.until(
            lambda status: (
                [row["order_id"] for row in box.open_at_venue()] == [kept.body["orderId"]]
                and not status["bots"]["one"]["open_orders"]
            )
        )
        assert one.call("GET", "account").code == -2015
        assert one.buy().code == -2015
        assert two.buy().status_word == "FILLED"
        box.until(lambda status: status["bots"]["one"]["state"] == "revoked")
        with pytest.raises(ControlError, match="one is revoked for good"):
            call(box.socket, "bot-resume", bot="one", reason="test")
        box.kill_daemon()
        box.start_daemon()
        assert one.call("GET", "account").code == -2015
        assert box.status()["bots"]["one"]["state"] == "revoked"


def test_the_daemons_own_key_at_the_gateway_is_an_incident_without_the_key(
    tmp_path: Path,
) -> None:
    with BotBox(tmp_path) as box:
        leaked = RawBot(box.address, box.sim.api_key, box.sim.api_secret)
        assert leaked.call("GET", "account").code == -2015
        status = box.until(lambda status: bool(status["incidents"]))
        assert status["incidents"][-1]["trigger"] == "key_misused"
        for path in (tmp_path / "state" / "journal").glob("*"):
            assert box.sim.api_key.encode() not in path.read_bytes()
            assert box.keys["ft"].secret.encode() not in path.read_bytes()


def test_lost_answers_are_found_by_the_user_stream(tmp_path: Path) -> None:
    with BotBox(tmp_path) as box:
        bot = bot_of(box)
        box.sim.load_faults(LOST)
        told = bot.buy(newClientOrderId="lost")
        assert told.status_word == "FILLED"
        assert told.body["fills"]
        row = box.sim.signed("GET", "order", symbol="BTCUSDT", orderId=told.body["orderId"])
        assert row["executedQty"] == told.body["executedQty"]


def test_kill_answers_whoever_waits_and_refuses_whoever_comes(tmp_path: Path) -> None:
    with BotBox(tmp_path) as box:
        bot = bot_of(box)
        assert bot.rest("resting").status == 200
        price = bot.bid() * 0.94
        box.sim.load_faults(HELD)
        answers: list[Any] = []
        waiting = threading.Thread(target=lambda: answers.append(bot.limit("waiting", price)))
        waiting.start()
        box.until(lambda status: status["bots"]["ft"]["orders"] == 2)
        box.must("kill", "--reason", "test")
        waiting.join()
        # Whatever it was told is true, and is not true any more: the kill has cancelled it.
        assert answers[0].status in {200, 504}
        assert answers[0].body.get("status", "CANCELED") in {"NEW", "CANCELED"}
        refused = bot.buy()
        assert refused.code == -2010
        assert refused.body["msg"].startswith("This action is disabled on this account. seatrial:")
        box.until(lambda status: not status["open_orders"])
        for name in ("resting", "waiting"):
            told = bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId=name)
            assert told.body["status"] == "CANCELED", name
        assert not box.open_at_venue()


def test_three_bots_and_kill_9_of_the_daemon_books_equal_the_ledger(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    rules = "requests_per_second = 500"
    with BotBox(tmp_path, bots=names, sim={"flow_rate": 60}, caps=ROOMY, rules=rules) as box:
        bots = [bot_of(box, name, timeout_s=3.0) for name in names]
        stop = threading.Event()

        def trade(number: int) -> None:
            bot = bots[number]
            side = "BUY"
            while not stop.is_set():
                try:
                    bot.call("POST", "order", symbol="BTCUSDT", side=side, type="MARKET",
                             quantity=f"0.00{number + 1}")  # fmt: skip
                    bot.rest(f"{number}", 0.95 - number / 100)
                    bot.call("DELETE", "openOrders", symbol="BTCUSDT")
                    side = "SELL" if side == "BUY" else "BUY"
                    stop.wait(0.02)  # a pace, not a synchronisation
                except (OSError, ValueError, TypeError, LookupError):
                    continue  # the daemon is down

        threads = [threading.Thread(target=trade, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        box.until(lambda status: all(status["bots"][name]["fills"] > 3 for name in names))
        box.kill_daemon()
        box.start_daemon()
        box.start_session()
        box.until(lambda status: all(status["bots"][name]["fills"] > 8 for name in names))
        stop.set()
        for thread in threads:
            thread.join()
        box.must("cancel-all", "--reason", "test")
        ours, booked, told = {}, set(), {}

        def is_all_told(status: Any) -> bool:
            """Also of an order whose bot had gone when it was filled."""
            nonlocal ours, booked, told
            ledger = box.sim.ledger()
            ours = {row["order_id"]: row for row in ledger["orders"]
                    if row["client_order_id"].startswith("st")}  # fmt: skip
            booked = {one["trade_id"] for one in ledger["fills"] if one["order_id"] in ours}
            told = {name: bot_of(box, name).call("GET", "myTrades", symbol="BTCUSDT", limit=1000)
                    for name in names}  # fmt: skip
            trades = {row["id"] for answer in told.values() for row in answer.body}
            return not status["open_orders"] and trades == booked

        box.until(is_all_told)
    by_bot = {name: {row["id"] for row in answer.body} for name, answer in told.items()}
    assert set.union(*by_bot.values()) == booked
    assert sum(len(ids) for ids in by_bot.values()) == len(booked)  # no trade is two bots'
    quantities = {"one": "0.00100000", "two": "0.00200000", "three": "0.00300000"}
    for name, answer in told.items():
        assert {ours[row["orderId"]]["qty"] for row in answer.body} == {quantities[name]}, name


def test_a_silent_bot_loses_its_orders_and_a_heard_one_keeps_them(tmp_path: Path) -> None:
    with BotBox(tmp_path, bots=("silent", "loud"), rules="cancel_after_ms = 8000") as box:
        silent, loud = bot_of(box, "silent"), bot_of(box, "loud")
        silent.rest("q", 0.95)
        kept = loud.rest("l", 0.94)

        def is_gone(status: Any) -> bool:
            loud.call("GET", "openOrders")
            return (
                status["bots"]["silent"]["state"] == "gone"
                and not status["bots"]["silent"]["open_orders"]
                and [row["order_id"] for row in box.open_at_venue()] == [kept.body["orderId"]]
            )

        status = box.until(is_gone)
        assert status["bots_seen"]["loud"]["longest_silence_s"] < 8
        assert silent.buy().status_word == "FILLED"
        box.until(lambda status: status["bots"]["silent"]["state"] == "active")


def test_an_ed25519_bot_logs_on_and_its_signed_text_is_in_the_journal(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with BotBox(tmp_path, public_pem=public.decode()) as box:
        bot = RawBot(box.address, box.keys["ft"].api_key, private)
        facts = asyncio.run(_session(bot, box.ws))
        assert facts["logon"]["status"] == 200
        assert facts["placed"]["result"]["status"] == "FILLED"
        kinds = [event["x"] for event in facts["events"]]
        assert kinds == ["NEW", *["TRADE"] * (len(kinds) - 1)]  # the best level may be a thin one
        assert bot.buy(quantity="0.002").status_word == "FILLED"
        proofs = [line["input"]["proof"] for line in box.journal("input") if "proof" in str(line)]
    text, _, signature = proofs[-1].rpartition("&signature=")
    private.public_key().verify(base64.b64decode(signature), text.encode())
    assert "symbol=BTCUSDT" in text


async def _session(bot: RawBot, ws: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{ws}/ws-api/v3") as socket:

        async def ask(number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
            await socket.send_json({"id": number, "method": method, "params": params})
            while True:
                told: dict[str, Any] = await socket.receive_json(timeout=60)
                if told.get("id") == number:
                    return told
                events.append(told["event"])

        events: list[dict[str, Any]] = []
        facts: dict[str, Any] = {"logon": await ask(1, "session.logon", bot.ws_params())}
        await ask(2, "userDataStream.subscribe", {})
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001",
                 "timestamp": bot.ws_params()["timestamp"]}  # fmt: skip
        facts["placed"] = await ask(3, "order.place", order)
        while not any(event.get("x") == "TRADE" for event in events):
            events.append((await socket.receive_json(timeout=60))["event"])
        facts["events"] = [event for event in events if event["e"] == "executionReport"]
        return facts

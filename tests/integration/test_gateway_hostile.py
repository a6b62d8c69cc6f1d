"""The gateway under peers that mean harm, and under kill -9: the venue's ledger judges."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.process.clock import SystemClock
from tests.integration.test_gateway import ROOMY, bot_of
from tests.support.bot_box import BotBox
from tests.support.raw_bot import Answer, RawBot

SILENT = 300
"""More connections than `connections_max`."""
KILLS = 4
SLOW_PLACES: list[dict[str, object]] = [
    {
        "kind": "delay_request",
        "rate": 1.0,
        "purposes": ["place"],
        "params": {"ms_min": 2_000, "ms_max": 2_000},
    }
]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotBox]:
    rules = "patience_ms = 500\nrequests_per_second = 100"
    made = BotBox(tmp_path_factory.mktemp("box"), bots=("one", "two"), caps=ROOMY, rules=rules)
    with made:
        yield made


def test_no_number_of_silent_connections_keeps_a_cancel_out(box: BotBox) -> None:
    one = bot_of(box, "one")
    assert one.rest("starved", 0.97).status == 200
    host, _, port = box.address.rpartition(":")
    peers = []
    try:
        for number in range(SILENT):
            peers.append(socket.create_connection((host, int(port)), timeout=60))
            if number % 2:  # the head of a request that never ends
                peers[-1].sendall(b"GET /api/v3/time HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
        gone = one.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="starved")
        assert gone.body["status"] == "CANCELED"
    finally:
        for peer in peers:
            peer.close()


def test_a_hammer_without_a_key_is_no_ban_of_the_others(box: BotBox) -> None:
    statuses = set()
    anonymous = RawBot(box.address, "s" * 64)
    while 429 not in statuses:
        statuses.add(anonymous.send("GET", "/api/v3/time").status)
    for _ in range(50):
        statuses.add(anonymous.send("GET", "/api/v3/time").status)
    assert 418 not in statuses
    assert RawBot(box.address).send("GET", "/api/v3/time").status == 200
    assert bot_of(box, "two").call("GET", "account").status == 200


def test_a_reused_id_in_doubt_is_not_the_old_order_and_its_cancel_ends_the_new_one(
    box: BotBox,
) -> None:
    one = bot_of(box, "one")
    first = one.buy(newClientOrderId="again")
    assert first.status_word == "FILLED"
    price = one.bid() * 0.97
    box.sim.load_faults(SLOW_PLACES)
    try:
        assert one.limit("again", price).code == -1007
        assert one.call("GET", "order", symbol="BTCUSDT", origClientOrderId="again").code == -1007
        told = one.call("DELETE", "order", symbol="BTCUSDT", origClientOrderId="again")
        assert told.code == -1007, "it is no word of an order that does not exist"
    finally:
        box.sim.load_faults([])
    box.until(lambda status: not status["bots"]["one"]["open_orders"])
    assert box.open_at_venue() == []
    ended = one.call("GET", "allOrders", symbol="BTCUSDT").body[-1]
    assert (ended["orderId"] > first.body["orderId"], ended["status"]) == (True, "CANCELED")


def test_a_session_of_a_replaced_key_hears_nothing_any_more(box: BotBox) -> None:
    old = bot_of(box, "two")
    new = new_key("two", SystemClock().now_ns())

    async def watch() -> list[aiohttp.WSMsgType]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{box.ws}/ws-api/v3") as socket_,
        ):
            for bot in (bot_of(box, "one"), old):  # two bots may share a connection
                ask = {"id": 1, "method": "userDataStream.subscribe.signature",
                       "params": bot.ws_params()}  # fmt: skip
                await socket_.send_bytes(orjson.dumps(ask))
                assert orjson.loads((await socket_.receive()).data)["status"] == 200
            write_key(box.directory / "state", new)
            bought = await asyncio.to_thread(RawBot(box.address, new.api_key, new.secret).buy)
            assert bought.status_word == "FILLED"
            return [(await socket_.receive(timeout=60)).type]

    assert asyncio.run(watch()) == [aiohttp.WSMsgType.CLOSE]
    assert old.call("GET", "account").code == -2015
    assert box.status()["bots"]["two"]["state"] == "active"


class Trader(threading.Thread):
    """A bot that trades on, whatever becomes of the daemon, and remembers what it was told."""

    def __init__(self, box: BotBox, name: str, seed: int, answered: threading.Semaphore) -> None:
        super().__init__()
        self.bot = bot_of(box, name, timeout_s=8)
        self.label = name
        self._answered = answered
        self.told: dict[str, Answer] = {}
        self.silent: list[str] = []
        self.enough = threading.Event()
        self._random = random.Random(seed)

    def run(self) -> None:
        number = 0
        while not self.enough.wait(0.01):
            number += 1
            name = f"{self.label}-{number}"
            try:
                self.told[name] = self._one(name)
                self._answered.release()
            except (OSError, ValueError, LookupError, TypeError):
                self.silent.append(name)  # the daemon died on it: anything may have come of it
                self.enough.wait(0.05)

    def _one(self, name: str) -> Answer:
        dice = self._random.random()
        if dice < 0.3:
            return self.bot.buy(newClientOrderId=name)
        if dice < 0.5:
            return self.bot.call("POST", "order", symbol="BTCUSDT", side="BUY", type="MARKET",
                                 quoteOrderQty="63.17", newClientOrderId=name)  # fmt: skip
        if dice < 0.85:
            return self.bot.rest(name, 0.96 + dice / 100)
        return self.bot.call("DELETE", "openOrders", symbol="BTCUSDT")


def compared(bot: RawBot, box: BotBox, trader: Trader) -> set[int]:
    """Hold what a bot is told against the venue's ledger; its orders' numbers."""
    ledger = box.sim.ledger()
    theirs = {row["order_id"]: row for row in ledger["orders"]}
    traded: dict[int, set[int]] = {}
    for fill in ledger["fills"]:
        traded.setdefault(fill["order_id"], set()).add(fill["trade_id"])
    mine = {row["orderId"]: row for row in
            bot.call("GET", "allOrders", symbol="BTCUSDT", limit=1000).body}  # fmt: skip
    for number, row in mine.items():
        their = theirs[number]
        assert (row["status"], row["executedQty"]) == (their["status"], their["executed_qty"])
    trades = bot.call("GET", "myTrades", symbol="BTCUSDT", limit=1000).body
    told = [(one["orderId"], one["id"]) for one in trades]
    assert len(told) == len(set(told)), "a fill is told twice"
    assert set(told) == {(number, one) for number in mine for one in traded.get(number, ())}
    for name, answer in trader.told.items():
        if answer.status == 200 and isinstance(answer.body, dict):
            assert answer.body["orderId"] in mine, f"{name}: an order that was told is lost"
            again = bot.call("GET", "order", symbol="BTCUSDT", origClientOrderId=name)
            assert again.body["orderId"] == answer.body["orderId"]
    return set(mine)


def test_kill_9_at_any_moment_loses_doubles_and_mixes_up_nothing(tmp_path: Path) -> None:
    dice = random.Random(11)
    rules = "requests_per_second = 1000\nrequests_burst = 5000\npatience_ms = 3000"
    with BotBox(tmp_path, bots=("one", "two"), caps=ROOMY, rules=rules) as box:
        answered = threading.Semaphore(0)
        traders = [Trader(box, name, seed, answered) for seed, name in enumerate(("one", "two"))]
        for trader in traders:
            trader.start()
        try:
            for _ in range(KILLS):
                for _ in range(dice.randint(10, 60)):
                    assert answered.acquire(timeout=60)
                box.kill_daemon()
                box.start_daemon()
                box.start_session()
        finally:
            for trader in traders:
                trader.enough.set()
            for trader in traders:
                trader.join()
        bots = [bot_of(box, trader.label) for trader in traders]
        for bot in bots:
            bot.call("DELETE", "openOrders", symbol="BTCUSDT")
        box.until(lambda _status: not box.open_at_venue())
        box.until(lambda status: not any(one["open_orders"] for one in status["bots"].values()))
        found: list[set[int]] = [
            compared(bot, box, trader) for bot, trader in zip(bots, traders, strict=True)
        ]
        assert not found[0] & found[1]
        ours: set[Any] = {
            row["order_id"]
            for row in box.sim.ledger()["orders"]
            if row["client_order_id"].startswith("st")
        }
        assert ours == found[0] | found[1]
        assert all(len(trader.told) > KILLS for trader in traders)

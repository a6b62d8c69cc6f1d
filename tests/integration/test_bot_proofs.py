"""A bot that signs with Ed25519: a third party proves from the journal alone that the bot asked."""

import asyncio
import json
from pathlib import Path

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.process.clock import SystemClock
from evidence.report.report import build_report
from tests.support.bot_box import BotBox
from tests.support.raw_bot import RawBot

DEADLINE_S = 60


def pem_of(private: Ed25519PrivateKey) -> str:
    public = private.public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def every_form(bot: RawBot) -> int:
    """One request of each kind that places over REST; returns how many there were."""
    bid = bot.bid()
    order = {"symbol": "BTCUSDT", "side": "BUY"}
    sell = {"symbol": "BTCUSDT", "side": "SELL"}
    answers = [
        bot.buy(quantity="0.0040"),
        bot.call("POST", "order", **order, type="MARKET", quoteOrderQty="60.50"),
        bot.rest("pr-1", 0.955),
        bot.call(
            "POST", "order/cancelReplace", **order, type="LIMIT", timeInForce="GTC",
            quantity="0.002", price=f"{bid * 0.95:.2f}", cancelReplaceMode="STOP_ON_FAILURE",
            cancelOrigClientOrderId="pr-1", newClientOrderId="pr-2",
        ),
        bot.call(
            "POST", "order", **sell, type="STOP_LOSS_LIMIT", timeInForce="GTC", quantity="0.001",
            price=f"{bid * 0.97:.2f}", stopPrice=f"{bid * 0.98:.2f}",
        ),
        bot.call(
            "POST", "orderList/oco", **sell, quantity="0.001", aboveType="LIMIT_MAKER",
            abovePrice=f"{bid * 1.03:.2f}", belowType="STOP_LOSS_LIMIT",
            belowPrice=f"{bid * 0.965:.2f}", belowStopPrice=f"{bid * 0.97:.2f}",
            belowTimeInForce="GTC",
        ),
    ]  # fmt: skip
    assert [answer.status for answer in answers] == [200] * len(answers), answers
    return len(answers)


async def over_ws(bot: RawBot, ws: str) -> None:
    """A signed request, and one of a session that has logged on and signs nothing more."""
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    async with aiohttp.ClientSession() as client, client.ws_connect(f"{ws}/ws-api/v3") as socket:

        async def ask(number: int, method: str, params: dict[str, object]) -> int:
            await socket.send_json({"id": number, "method": method, "params": params})
            while True:
                told = await socket.receive_json(timeout=DEADLINE_S)
                if told.get("id") == number:
                    return int(told["status"])

        assert await ask(1, "order.place", bot.ws_params(**order)) == 200
        assert await ask(2, "session.logon", bot.ws_params()) == 200
        stamp = bot.ws_params()["timestamp"]
        assert await ask(3, "order.place", {**order, "timestamp": stamp}) == 200


def test_what_a_bot_signed_is_proven_and_nothing_else_is_a_fault(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    with BotBox(tmp_path, public_pem=pem_of(private)) as box:
        bot = RawBot(box.address, box.keys["ft"].api_key, private)
        asyncio.run(over_ws(bot, box.ws))
        signed = every_form(bot) + 1
        # Another key in its place: no line of this session names it.
        other = Ed25519PrivateKey.generate()
        key = new_key("ft", SystemClock().now_ns(), pem_of(other))
        write_key(tmp_path / "state", key)
        replaced = RawBot(box.address, key.api_key, other)
        assert replaced.rest("pr-3", 0.94).status_word == "NEW"
        box.must("stop", "--reason", "a test")
        box.must("shutdown", "--reason", "a test")
        box.wait_daemon()
        ledger = tmp_path / "ledger.json"
        ledger.write_text(json.dumps(box.sim.ledger()))
        report = build_report([tmp_path / "state/journal"], ledger=ledger)
    told = report.to_json()["journals"][0]["bots"]
    seen = told["bots"]["ft"]
    assert (seen["proven"], seen["attested"]) == (signed, 2), told
    assert report.verdict == "OK", report.reasons

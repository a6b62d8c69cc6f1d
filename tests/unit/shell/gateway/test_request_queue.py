"""However many requests of a connection wait, a cancel is read and offered at once."""

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from daemon.model.copies import replace
from daemon.model.inputs import BotCancel, BotPlace, Input
from daemon.settings_bots import GatewaySettings
from daemon.shell.gateway.bot_keys import new_key, write_key
from daemon.shell.gateway.gateway_ws import IN_FLIGHT_MAX, QUEUED_MAX
from daemon.shell.process.clock import SystemClock
from tests.support.raw_bot import RawBot
from tests.unit.shell.gateway.test_gateway_listens import RULES, gateway

DEADLINE_S = 60
PATIENT = replace(RULES, patience_s=45.0, requests_per_second=9_000, requests_burst=9_000)
"""Nobody answers, and the bot waits."""


def test_a_cancel_passes_requests_that_nobody_answers(tmp_path: Path) -> None:
    offered: list[Input] = []
    has_cancel = threading.Event()

    def offer(item: Input) -> None:
        offered.append(item)
        if isinstance(item, BotCancel):
            has_cancel.set()

    key = new_key("ft", SystemClock().now_ns(), "")
    write_key(tmp_path, key)
    made = gateway(tmp_path, GatewaySettings(listen="127.0.0.1:0"), offer=offer, rules=PATIENT)
    made.start()
    try:
        bot = RawBot(made.address, key.api_key, key.secret)
        refused = asyncio.run(asyncio.wait_for(_flood(bot, made.address, has_cancel), DEADLINE_S))
    finally:
        assert made.stop()
    kinds = Counter(type(item) for item in offered)
    assert kinds[BotPlace] == IN_FLIGHT_MAX, "so many wait for the engine, and no more"
    assert kinds[BotCancel] == 1
    assert refused["id"] == IN_FLIGHT_MAX + QUEUED_MAX, "the first that found no room"
    assert refused["error"]["code"] == -2010
    assert "not sent" in refused["error"]["msg"]


async def _flood(bot: RawBot, address: str, has_cancel: threading.Event) -> dict[str, Any]:
    """Placements until one finds no room, then a cancel; what was answered."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"ws://{address}/ws-api/v3") as socket,
    ):
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
        for number in range(IN_FLIGHT_MAX + QUEUED_MAX + 1):
            params = bot.ws_params(**order)
            await socket.send_json({"id": number, "method": "order.place", "params": params})
        refused: dict[str, Any] = await socket.receive_json()
        named = bot.ws_params(symbol="BTCUSDT", origClientOrderId="mine")
        await socket.send_json({"id": "c", "method": "order.cancel", "params": named})
        assert await asyncio.to_thread(has_cancel.wait, DEADLINE_S)
        return refused

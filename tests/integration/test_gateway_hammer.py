"""One bot hammers the gateway: it is slowed and banned, the other one is not harmed.

2 s of 1,000 requests a second here; `make hammer` makes it a minute (SEATRIAL_HAMMER_S).
"""

import asyncio
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from daemon.shell.process.clock import monotonic_s
from tests.support.bot_box import BotBox
from tests.support.raw_bot import RawBot

SECONDS = float(os.environ.get("SEATRIAL_HAMMER_S", "2"))
PER_SECOND = 1_000
CONNECTIONS = 20
ENOUGH = int(0.5 * PER_SECOND * SECONDS)
"""Answers that make a hammer, however busy the machine is."""
JOURNAL_BYTES_MAX = 1_000_000
LAG_MAX_S = 1.0
"""Where the daemon itself counts a late loop (`LOOP_LAG`)."""
ROOMY = {
    "orders_per_minute_max": "2000",
    "messages_per_minute_max": "4000",
    "position_long_base_max": '"5"',
    "exposure_quote_max": '"300000"',
    "exposure_gross_numeraire_max": '"300000"',
    "exposure_net_numeraire_max": '"300000"',
}
"""Caps that the calm bot does not meet in a minute; the wild one's orders are too large for any."""


async def hammer(box: BotBox, statuses: Counter[int]) -> None:
    """Orders over a cap, as fast as asked, with a good key."""
    keys = box.keys["wild"]
    bot = RawBot(box.address, keys.api_key, keys.secret)
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    due = loop.time()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)

    async with aiohttp.ClientSession(
        connector=connector, headers={"X-MBX-APIKEY": bot.api_key}
    ) as client:

        async def one() -> None:
            stamp = bot.ws_params()["timestamp"]
            text = f"symbol=BTCUSDT&side=BUY&type=MARKET&quantity=5&timestamp={stamp}"
            url = f"{box.rest}/api/v3/order?{text}&signature={bot.sign(text)}"
            async with client.post(url) as answer:
                statuses[answer.status] += 1
                await answer.read()

        async with asyncio.TaskGroup() as group:
            while loop.time() < end or sum(statuses.values()) < ENOUGH:
                group.create_task(one())
                due += 1 / PER_SECOND
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())


def bytes_about(box: BotBox, bot: str) -> int:
    """Bytes of all lines that name a bot; the other one's own trades are no harm."""
    files = (box.directory / "state" / "journal").glob("journal-*.jsonl")
    lines = [line for path in files for line in path.read_bytes().splitlines()]
    return sum(len(line) for line in lines if bot.encode() in line)


def test_a_hammer_harms_neither_the_disk_nor_the_loop_nor_another_bot(tmp_path: Path) -> None:
    statuses: Counter[int] = Counter()
    answers: list[Any] = []
    with BotBox(tmp_path, bots=("wild", "calm"), caps=ROOMY) as box:
        calm = RawBot(box.address, box.keys["calm"].api_key, box.keys["calm"].secret)
        thread = threading.Thread(target=lambda: asyncio.run(hammer(box, statuses)))
        began_s = monotonic_s()
        thread.start()
        number = 0
        while thread.is_alive():
            number += 1
            answers.append(calm.buy(quantity=f"0.00{1 + number % 2}"))
            thread.join(0.2)  # a pace, not a synchronisation
        written = bytes_about(box, "wild")
        status = box.until(lambda status: bool(status["bots"]["wild"]["throttled"]))
        wild = RawBot(box.address, box.keys["wild"].api_key, box.keys["wild"].secret)
        banned = wild.buy()
        cancel = wild.call("DELETE", "order", symbol="BTCUSDT", orderId=1)
        throttled = box.journal("bot_throttled")
        seconds = monotonic_s() - began_s
    assert sum(statuses.values()) >= ENOUGH
    assert set(statuses) <= {400, 418, 429}
    assert statuses[418] > statuses[400]
    assert [answer.body.get("status") for answer in answers] == ["FILLED"] * len(answers)
    assert 0 < written < JOURNAL_BYTES_MAX
    assert status["loop_lag_max_s"] < LAG_MAX_S
    assert banned.status == 418
    assert banned.code == -1003
    assert 0 < int(banned.headers["retry-after"]) <= 120
    assert cancel.code == -2011  # no ban stops a cancel
    assert len(throttled) <= seconds + 3  # one line a second, never a line a refusal

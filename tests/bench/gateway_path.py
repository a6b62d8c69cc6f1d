"""Row g: what the gateway adds to an order, against the same client straight to the venue.

One venue, one daemon, one client: pairs of IOC orders that find nobody, one straight to the venue
and one through the gateway, in alternation, a few milliseconds apart. REST on a kept-alive
connection and the WebSocket API, both with bytes signed by hand (a client library's own time would
hide the difference), and ccxt's whole round trip over REST. Quoted are p50 of each road, and their
difference.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import aiohttp
import uvloop

from daemon.shell.gateway.snippets import Address, snippet
from daemon.shell.process.clock import SystemClock
from tests.bench.report import Row, at_most, quantile
from tests.support.bot_box import BotBox
from tests.support.raw_bot import RawBot

if TYPE_CHECKING:  # half a second in each worker of the tests
    import ccxt

ORDERS, QUICK_ORDERS = 300, 40
WARM_UP = 10
PAUSE_S = 0.03
"""Longer than the caps' window for duplicates, and below their rates."""
TARGET_REST_MS, TARGET_WS_MS, TARGET_CCXT = 1.0, 0.5, 1.3
ROOMY = {
    "orders_per_minute_max": "6000",
    "messages_per_minute_max": "20000",
    "order_to_trade_ratio_max": '"100000"',
    "order_to_trade_grace_orders": "100000",
    "messages_per_second_max": "200",
    "orders_per_second_max": "100",
}
Place = Callable[[str], Awaitable[Any]]


def order_text(price: str) -> dict[str, str]:
    """An order that finds nobody and ends at once."""
    return {
        "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "IOC",
        "quantity": "0.001", "price": price, "timestamp": str(SystemClock().now_ns() // 1_000_000),
    }  # fmt: skip


def rest_placer(client: aiohttp.ClientSession, rest: str, bot: RawBot) -> Place:
    """Places over REST."""

    async def place(price: str) -> None:
        text = "&".join(f"{name}={value}" for name, value in order_text(price).items())
        url = f"{rest}/api/v3/order?{text}&signature={bot.sign(text)}"
        async with client.post(url, headers={"X-MBX-APIKEY": bot.api_key}) as answer:
            row = await answer.json()
        if row.get("status") != "EXPIRED":
            raise RuntimeError(f"not the order that was meant: {row}")

    return place


async def ws_placer(client: aiohttp.ClientSession, url: str, bot: RawBot) -> Place:
    """Places over the WebSocket API."""
    socket = await client.ws_connect(f"{url}?returnRateLimits=false")

    async def place(price: str) -> None:
        params = bot.ws_params(**order_text(price))
        await socket.send_json({"id": 1, "method": "order.place", "params": params})
        row = await socket.receive_json()
        if row.get("result", {}).get("status") != "EXPIRED":
            raise RuntimeError(f"not the order that was meant: {row}")

    return place


async def compared(roads: list[Place], bid: float, count: int) -> list[list[float]]:
    """Milliseconds of each order, by road, ordered."""
    took: list[list[float]] = [[] for _ in roads]
    for number in range(WARM_UP + count):
        for road, place in enumerate(roads):
            price = f"{bid * 0.98 - number:.2f}"
            await asyncio.sleep(PAUSE_S)
            began = perf_counter_ns()
            await place(price)
            if number >= WARM_UP:
                took[road].append((perf_counter_ns() - began) / 1e6)
    return [sorted(one) for one in took]


async def raw(box: BotBox, count: int) -> dict[str, list[list[float]]]:
    venue = RawBot(box.sim.rest.removeprefix("http://"), box.sim.api_key, box.sim.api_secret)
    bot = RawBot(box.address, box.keys["ft"].api_key, box.keys["ft"].secret)
    bid = bot.bid()
    async with aiohttp.ClientSession() as client:
        rest = [rest_placer(client, box.sim.rest, venue), rest_placer(client, box.rest, bot)]
        over_rest = await compared(rest, bid, count)
        sockets = [
            await ws_placer(client, box.sim.ws_api, venue),
            await ws_placer(client, f"{box.ws}/ws-api/v3", bot),
        ]
        over_ws = await compared(sockets, bid * 0.99, count)
    return {"REST": over_rest, "WS API": over_ws}


async def with_ccxt(box: BotBox, count: int) -> list[list[float]]:
    """ccxt's own round trip, in this thread: nothing else of the bench runs meanwhile."""
    roads: list[Place] = []
    keys = box.keys["ft"]
    for rest, ws, key, secret in (
        (box.sim.rest, box.sim.streams, box.sim.api_key, box.sim.api_secret),
        (box.rest, box.ws, keys.api_key, keys.secret),
    ):
        names: dict[str, Any] = {}
        exec(snippet("ccxt", Address(rest, ws), ("BTCUSDT",)).replace("os.environ", "KEYS"),
             names | {"KEYS": {"BOT_API_KEY": key, "BOT_API_SECRET": secret}}, names)  # fmt: skip
        exchange = names["exchange"]
        exchange.load_markets()
        exchange.enableRateLimit = False
        roads.append(_ccxt_placer(exchange))
    bid = RawBot(box.address).bid()
    return await compared(roads, bid * 0.97, count)


def _ccxt_placer(exchange: "ccxt.Exchange") -> Place:
    async def place(price: str) -> None:
        exchange.create_order("BTC/USDT", "limit", "buy", 0.001, float(price),
                              {"timeInForce": "IOC"})  # fmt: skip

    return place


def rows(*, quick: bool = False) -> list[Row]:
    """Measure; three rows."""
    count = QUICK_ORDERS if quick else ORDERS
    with tempfile.TemporaryDirectory() as directory:
        rules = "requests_per_second = 500"
        with BotBox(
            Path(directory), caps=ROOMY, rules=rules, sim={"orders_per_10s": 100_000}
        ) as box:
            found = uvloop.run(raw(box, count))
            found["ccxt over REST"] = uvloop.run(with_ccxt(box, count // 2))
            lag_s = box.status()["loop_lag_max_s"]
    made: list[Row] = []
    for name, (direct, gate) in found.items():
        p50, base = quantile(gate, 0.5), quantile(direct, 0.5)
        is_ccxt = name.startswith("ccxt")
        limit = TARGET_WS_MS if name == "WS API" else TARGET_REST_MS
        value = p50 if is_ccxt else p50 - base
        made.append(
            Row(
                row="g",
                name=f"{name}: {'round trip through' if is_ccxt else 'added by'} the gateway, p50",
                value=value,
                unit="ms",
                target=f"<= {TARGET_CCXT} x direct" if is_ccxt else f"<= {limit} ms added",
                met=at_most(p50 / base, TARGET_CCXT) if is_ccxt else at_most(value, limit),
                baseline_name="straight to the venue, p50",
                baseline=base,
                ratio=p50 / base,
                details={
                    "orders": len(gate),
                    "direct_ms": {q: quantile(direct, q / 100) for q in (10, 50, 99)},
                    "gateway_ms": {q: quantile(gate, q / 100) for q in (10, 50, 99)},
                    "loop_lag_max_ms": lag_s * 1_000,
                },
            )
        )
    return made

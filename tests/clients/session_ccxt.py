"""Runs ccxt and ccxt.pro, as they are, against a venue of our own; prints one JSON object.

A process of its own: the clients are heavy, warn at import, and must not see the real network.
"""

import asyncio
import itertools
import json
from typing import Any

import ccxt.async_support as ccxt_async
import ccxt.pro as ccxt_pro

from tests.support import loopback_only
from tests.support.sim_process import SimProcess

SYMBOL = "BTC/USDT"
DEADLINE_S = 40


def settings(sim: SimProcess) -> dict[str, Any]:
    return {
        "apiKey": sim.api_key,
        "secret": sim.api_secret,
        "options": {
            "defaultType": "spot",
            "fetchMarkets": {"types": ["spot"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
            "adjustForTimeDifference": True,
        },
    }


def point_at(exchange: Any, sim: SimProcess) -> Any:
    """Only loopback addresses exist for it: a section that is missing raises NotSupported."""
    exchange.urls["test"] = {
        "public": f"{sim.rest}/api/v3",
        "private": f"{sim.rest}/api/v3",
        "v1": f"{sim.rest}/api/v1",
        "ws": {"spot": f"{sim.streams}/ws", "ws-api": {"spot": sim.ws_api}},
    }
    exchange.set_sandbox_mode(True)
    return exchange


async def error_name(awaitable: Any) -> str:
    try:
        await awaitable
    except ccxt_async.BaseError as error:
        return type(error).__name__
    return ""


async def over_rest(exchange: Any, sim: SimProcess) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    markets = await exchange.load_markets()
    facts["market"] = {
        key: markets[SYMBOL][key] for key in ("id", "base", "quote", "active", "precision")
    }
    facts["limits"] = markets[SYMBOL]["limits"]
    facts["balance_before"] = await exchange.fetch_balance()
    book = await exchange.fetch_order_book(SYMBOL, 20)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    facts["book"] = {"bid": bid, "ask": ask, "depth": len(book["bids"])}
    facts["ticker"] = (await exchange.fetch_ticker(SYMBOL))["last"]
    facts["tickers"] = len(await exchange.fetch_tickers())
    facts["bids_asks"] = len(await exchange.fetch_bids_asks())
    facts["public_trades"] = len(await exchange.fetch_trades(SYMBOL, limit=10))
    facts["candles"] = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
    facts["hours"] = await exchange.fetch_ohlcv(SYMBOL, "1h", limit=500)
    since = exchange.parse8601("2021-03-01T00:00:00Z")
    facts["old_days"] = await exchange.fetch_ohlcv(SYMBOL, "1d", since=since, limit=31)
    facts["old_trades"] = await exchange.fetch_trades(SYMBOL, since=since, limit=20)
    resting = await exchange.create_order(
        SYMBOL, "limit", "buy", 0.001, bid * 0.9, {"newClientOrderId": "ccxt-rest-1"}
    )
    facts["resting"] = resting
    facts["fetched"] = await exchange.fetch_order(resting["id"], SYMBOL)
    facts["open"] = [o["id"] for o in await exchange.fetch_open_orders(SYMBOL)]
    edited = await exchange.edit_order(resting["id"], SYMBOL, "limit", "buy", 0.002, bid * 0.91)
    facts["edited"] = edited
    facts["canceled"] = await exchange.cancel_order(edited["id"], SYMBOL)
    facts["after_cancel"] = await exchange.fetch_order(edited["id"], SYMBOL)
    facts["market_order"] = await exchange.create_order(SYMBOL, "market", "buy", 0.003)
    facts["my_trades"] = await exchange.fetch_my_trades(SYMBOL)
    facts["all_orders"] = len(await exchange.fetch_orders(SYMBOL))
    await exchange.create_order(SYMBOL, "limit", "sell", 0.001, ask * 1.1)
    await exchange.create_order(SYMBOL, "limit", "sell", 0.001, ask * 1.2)
    facts["cancel_all"] = len(await exchange.cancel_all_orders(SYMBOL))
    stop = await exchange.create_order(
        SYMBOL, "limit", "sell", 0.001, bid * 0.8, {"stopPrice": bid * 0.85}
    )
    facts["stop"] = {key: stop[key] for key in ("type", "status")}
    await exchange.cancel_order(stop["id"], SYMBOL)
    facts["errors"] = {
        "cancel unknown": await error_name(exchange.cancel_order("999999", SYMBOL)),
        "fetch unknown": await error_name(exchange.fetch_order("999999", SYMBOL)),
        "too expensive": await error_name(
            exchange.create_order(SYMBOL, "limit", "buy", 20, bid * 0.99)
        ),
        "maker would take": await error_name(
            exchange.create_order(SYMBOL, "limit", "buy", 0.001, ask * 1.01, {"postOnly": True})
        ),
        "too small": await error_name(exchange.create_order(SYMBOL, "limit", "buy", 0.00002, bid)),
    }
    exchange.secret = "wrong"
    facts["errors"]["wrong secret"] = await error_name(exchange.fetch_balance())
    exchange.secret = sim.api_secret
    return facts


async def until_subscribed(sim: SimProcess) -> None:
    """The venue's own word for it: its count of subscribe calls."""
    name = "WS userDataStream.subscribe.signature"
    async with asyncio.timeout(DEADLINE_S):
        for pause_s in itertools.repeat(0.02):
            if sim.ledger()["requests"].get(name, 0):
                return
            await asyncio.sleep(pause_s)


async def over_sockets(exchange: Any, sim: SimProcess) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    await exchange.load_markets()
    book = await exchange.watch_order_book(SYMBOL)
    for _ in range(3):
        book = await exchange.watch_order_book(SYMBOL)
    facts["book"] = {"bid": book["bids"][0][0], "ask": book["asks"][0][0], "nonce": book["nonce"]}
    facts["trades"] = [t["price"] for t in await exchange.watch_trades(SYMBOL)]
    facts["ticker"] = (await exchange.watch_ticker(SYMBOL))["last"]
    facts["top"] = (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"]
    facts["candle"] = (await exchange.watch_ohlcv(SYMBOL, "1m"))[-1]
    placed = asyncio.Event()
    seen: dict[str, Any] = {"orders": [], "balance": None}

    async def watch_orders() -> None:
        while not any(o["status"] == "canceled" for o in seen["orders"]):
            seen["orders"] += [
                {key: o[key] for key in ("id", "clientOrderId", "status", "filled")}
                for o in await exchange.watch_orders(SYMBOL)
            ]

    async def watch_balance() -> None:
        seen["balance"] = (await exchange.watch_balance())["USDT"]

    async def watch_my_trades() -> None:
        seen["my_trades"] = [
            {key: t[key] for key in ("id", "order", "amount", "takerOrMaker")}
            for t in await exchange.watch_my_trades(SYMBOL)
        ]

    async def trade() -> None:
        await exchange.fetch_balance_ws()
        price = facts["book"]["bid"] * 0.9
        order = await exchange.create_order_ws(
            SYMBOL, "limit", "buy", 0.001, price, {"newClientOrderId": "ccxt-ws-1"}
        )
        facts["ws_order"] = order
        facts["ws_fetched"] = (await exchange.fetch_order_ws(order["id"], SYMBOL))["status"]
        facts["ws_open"] = [o["id"] for o in await exchange.fetch_open_orders_ws(SYMBOL)]
        facts["ws_canceled"] = (await exchange.cancel_order_ws(order["id"], SYMBOL))["status"]
        facts["ws_market"] = await exchange.create_order_ws(SYMBOL, "market", "sell", 0.002)
        placed.set()

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        for watcher in (watch_orders(), watch_balance(), watch_my_trades()):
            group.create_task(watcher)
        # The subscription must stand before the orders: there is no replay.
        await until_subscribed(sim)
        group.create_task(trade())
    return facts | {"seen": seen}


async def main() -> None:
    isolated = loopback_only.enter()
    with SimProcess(seed=11, flow_rate=60) as sim:
        rest_client = point_at(ccxt_async.binance(settings(sim)), sim)
        socket_client = point_at(ccxt_pro.binance(settings(sim)), sim)
        try:
            async with asyncio.timeout(2 * DEADLINE_S):
                rest_facts = await over_rest(rest_client, sim)
                socket_facts = await over_sockets(socket_client, sim)
        finally:
            await rest_client.close()
            await socket_client.close()
        print(
            json.dumps(
                {
                    "isolated": isolated,
                    "reaches_outside": loopback_only.reaches_outside(),
                    "rest": rest_facts,
                    "sockets": socket_facts,
                    "ledger": sim.ledger(),
                },
                default=str,
            )
        )


if __name__ == "__main__":
    asyncio.run(main())

"""Runs python-binance, as it is, against a venue of our own; prints one JSON object."""

import asyncio
import json
from typing import Any

from binance import AsyncClient, BinanceSocketManager
from binance.client import Client
from binance.exceptions import BinanceAPIException

from tests.support import loopback_only
from tests.support.sim_process import SimProcess

SYMBOL = "BTCUSDT"
DEADLINE_S = 30


def classes_for(sim: SimProcess) -> tuple[type, type, type]:
    """Clients whose only addresses are the venue's (API_URL alone would leave the sockets live)."""

    class LoopbackAsync(AsyncClient):  # type: ignore[misc]
        API_TESTNET_URL = f"{sim.rest}/api"
        WS_API_TESTNET_URL = sim.ws_api

    class LoopbackSync(Client):  # type: ignore[misc]
        API_TESTNET_URL = f"{sim.rest}/api"
        WS_API_TESTNET_URL = sim.ws_api

    class LoopbackSockets(BinanceSocketManager):  # type: ignore[misc]
        STREAM_TESTNET_URL = f"{sim.streams}/"

    return LoopbackAsync, LoopbackSync, LoopbackSockets


async def error_of(awaitable: Any) -> list[object]:
    try:
        await awaitable
    except BinanceAPIException as error:
        return [error.status_code, error.code, error.message]
    return []


async def over_rest(client: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    info = await client.get_exchange_info()
    facts["symbols"] = [row["symbol"] for row in info["symbols"]]
    facts["symbol_info"] = (await client.get_symbol_info(SYMBOL))["status"]
    facts["account"] = (await client.get_account())["canTrade"]
    facts["balance"] = await client.get_asset_balance("USDT")
    book = await client.get_order_book(symbol=SYMBOL, limit=5)
    bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
    facts["book"] = [bid, ask]
    facts["average"] = (await client.get_avg_price(symbol=SYMBOL))["price"]
    facts["klines"] = len(await client.get_klines(symbol=SYMBOL, interval="1m", limit=3))
    facts["test_order"] = await client.create_test_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.001"
    )
    resting = await client.create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price=f"{bid * 0.9:.2f}",
        newClientOrderId="pb-rest-1",
    )
    facts["resting"] = resting
    facts["fetched"] = await client.get_order(symbol=SYMBOL, origClientOrderId="pb-rest-1")
    facts["open"] = [o["clientOrderId"] for o in await client.get_open_orders(symbol=SYMBOL)]
    facts["canceled"] = await client.cancel_order(symbol=SYMBOL, orderId=resting["orderId"])
    facts["market"] = await client.order_market_buy(symbol=SYMBOL, quoteOrderQty="150")
    facts["ioc"] = await client.create_order(
        symbol=SYMBOL,
        side="SELL",
        type="LIMIT",
        timeInForce="IOC",
        quantity="0.002",
        price=f"{ask * 1.2:.2f}",
    )
    facts["my_trades"] = await client.get_my_trades(symbol=SYMBOL)
    facts["all_orders"] = len(await client.get_all_orders(symbol=SYMBOL))
    facts["errors"] = {
        "lot size": await error_of(
            client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.000001")
        ),
        "precision": await error_of(
            client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.0000000001")
        ),
        "symbol": await error_of(client.get_order_book(symbol="NOPENOPE")),
        "cancel": await error_of(client.cancel_order(symbol=SYMBOL, orderId=123456789)),
        "listen key": await error_of(client.stream_get_listen_key()),
    }
    return facts


async def over_ws_api(client: Any, bid: float) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    facts["ping"] = await client.ws_ping()
    facts["placed"] = await client.ws_create_order(
        symbol=SYMBOL,
        side="BUY",
        type="LIMIT",
        timeInForce="GTC",
        quantity="0.001",
        price=f"{bid * 0.9:.2f}",
        newClientOrderId="pb-ws-1",
    )
    facts["status"] = await client.ws_get_order(symbol=SYMBOL, origClientOrderId="pb-ws-1")
    facts["canceled"] = await client.ws_cancel_order(symbol=SYMBOL, origClientOrderId="pb-ws-1")
    return facts


def oco(bid: float, ask: float, name: str) -> dict[str, str]:
    """A pair far from the market, so that it stays until it is canceled."""
    return {
        "symbol": SYMBOL,
        "side": "SELL",
        "quantity": "0.001",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": f"{ask * 1.2:.2f}",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": f"{bid * 0.9:.2f}",
        "belowPrice": f"{bid * 0.89:.2f}",
        "belowTimeInForce": "GTC",
        "listClientOrderId": name,
    }


def otoco(bid: float, ask: float) -> dict[str, str]:
    """A first order far below the market with a pair behind it."""
    return {
        "symbol": SYMBOL,
        "workingType": "LIMIT",
        "workingSide": "BUY",
        "workingPrice": f"{bid * 0.9:.2f}",
        "workingQuantity": "0.001",
        "workingTimeInForce": "GTC",
        "pendingSide": "SELL",
        "pendingQuantity": "0.001",
        "pendingAboveType": "LIMIT_MAKER",
        "pendingAbovePrice": f"{ask * 1.2:.2f}",
        "pendingBelowType": "STOP_LOSS",
        "pendingBelowStopPrice": f"{bid * 0.8:.2f}",
    }


async def order_lists(client: Any, bid: float, ask: float) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    facts["oco"] = await client.create_oco_order(**oco(bid, ask, "pb-oco"))
    facts["open"] = await client.get_open_oco_orders()
    facts["status"] = await client.v3_get_order_list(orderListId=facts["oco"]["orderListId"])
    facts["canceled"] = await client.v3_delete_order_list(symbol=SYMBOL, listClientOrderId="pb-oco")
    facts["ws_oco"] = await client.ws_create_oco_order(**oco(bid, ask, "pb-ws-oco"))
    facts["ws_open"] = await client.ws_get_oco_open_orders()
    facts["leg_canceled"] = await client.cancel_order(
        symbol=SYMBOL, orderId=facts["ws_oco"]["orders"][0]["orderId"]
    )
    facts["otoco"] = await client.ws_create_otoco_order(**otoco(bid, ask))
    facts["ws_canceled"] = await client.ws_cancel_oco_order(
        symbol=SYMBOL, orderListId=facts["otoco"]["orderListId"]
    )
    facts["all"] = await client.v3_get_all_order_list()
    facts["wrong way round"] = await error_of(
        client.create_oco_order(**{**oco(bid, ask, "pb-bad"), "abovePrice": f"{bid * 0.95:.2f}"})
    )
    return facts


async def special_orders(client: Any, bid: float) -> dict[str, Any]:
    shared = {"symbol": SYMBOL, "newOrderRespType": "RESULT"}
    trailing = await client.create_order(
        **shared, side="SELL", type="STOP_LOSS", quantity="0.001", trailingDelta=100
    )
    iceberg = await client.order_limit_buy(
        **shared, quantity="0.01", icebergQty="0.001", price=f"{bid * 0.9:.2f}"
    )
    pegged = await client.create_order(
        **shared, side="BUY", type="LIMIT_MAKER", quantity="0.001", pegPriceType="PRIMARY_PEG",
        pegOffsetType="PRICE_LEVEL", pegOffsetValue=2,
    )  # fmt: skip
    await client.v3_delete_open_orders(symbol=SYMBOL)
    return {"trailing": trailing, "iceberg": iceberg, "pegged": pegged}


async def candles(manager: Any, client: Any) -> dict[str, Any]:
    """Bars that close on the stream, then the same bars over REST; years of months."""
    closed: list[dict[str, Any]] = []
    async with manager.kline_socket(SYMBOL, interval="1s") as stream:
        while len(closed) < 3:
            bar = (await stream.recv())["k"]
            if bar["x"]:
                closed.append(bar)
    rows = await client.get_klines(symbol=SYMBOL, interval="1s", startTime=closed[0]["t"], limit=3)
    hours = await client.get_klines(symbol=SYMBOL, interval="1h", limit=500)
    months = await client.get_klines(symbol=SYMBOL, interval="1M", limit=1000)
    old = await client.get_historical_klines(SYMBOL, "1d", "1 Mar, 2020", "31 Mar, 2020")
    trades = await client.get_aggregate_trades(symbol=SYMBOL, startTime=old[0][0], limit=50)
    return {
        "closed": closed,
        "rows": rows,
        "hours": len(hours),
        "months": len(months),
        "old": [row[0] for row in old],
        "trades": trades,
    }


async def over_sockets(manager: Any, client: Any, bid: float) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    async with manager.trade_socket(SYMBOL) as stream:
        facts["trade"] = await stream.recv()
    async with manager.depth_socket(SYMBOL) as stream:
        facts["depth"] = await stream.recv()
    async with manager.multiplex_socket(["btcusdt@bookTicker", "ethusdt@bookTicker"]) as stream:
        facts["multiplex"] = await stream.recv()
    events: list[dict[str, Any]] = []
    async with manager.user_socket() as stream:
        await client.create_order(
            symbol=SYMBOL,
            side="BUY",
            type="LIMIT",
            timeInForce="GTC",
            quantity="0.001",
            price=f"{bid * 0.9:.2f}",
            newClientOrderId="pb-user-1",
        )
        await client.cancel_order(symbol=SYMBOL, origClientOrderId="pb-user-1")
        while not any(e.get("x") == "CANCELED" for e in events):
            events.append(await stream.recv())
    facts["user"] = [{key: event.get(key) for key in ("e", "x", "X", "c", "C")} for event in events]
    return facts


async def main() -> None:
    isolated = loopback_only.enter()
    with SimProcess(seed=12, flow_rate=60) as sim:
        async_class, sync_class, socket_class = classes_for(sim)
        client = await async_class.create(sim.api_key, sim.api_secret, testnet=True)
        try:
            async with asyncio.timeout(DEADLINE_S):
                rest_facts = await over_rest(client)
                bid, ask = rest_facts["book"]
                list_facts = await order_lists(client, bid, ask)
                special_facts = await special_orders(client, bid)
                ws_facts = await over_ws_api(client, bid)
                socket_facts = await over_sockets(socket_class(client), client, bid)
                candle_facts = await candles(socket_class(client), client)
        finally:
            async with asyncio.TaskGroup() as group:
                group.create_task(client.close_connection())
                # Its reader looks up only when a message comes (or after ten seconds): send one.
                sim.admin_post("shutdown-notice", ms=50)
        sync = sync_class(sim.api_key, sim.api_secret, testnet=True)
        sync_facts = {"account": sync.get_account()["accountType"], "time": sync.get_server_time()}
        sync.close_connection()
        print(
            json.dumps(
                {
                    "isolated": isolated,
                    "reaches_outside": loopback_only.reaches_outside(),
                    "rest": rest_facts,
                    "lists": list_facts,
                    "special": special_facts,
                    "ws_api": ws_facts,
                    "sockets": socket_facts,
                    "candles": candle_facts,
                    "sync": sync_facts,
                    "ledger": sim.ledger(),
                },
                default=str,
            )
        )


if __name__ == "__main__":
    asyncio.run(main())

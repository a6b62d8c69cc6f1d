"""Runs python-binance, as it is and from its snippet, through the gateway; prints JSON."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from binance.exceptions import BinanceAPIException

from tests.support import loopback_only
from tests.support.bot_box import BotBox
from tests.support.gateway_session import SYMBOL, from_snippet, venue_order

DEADLINE_S = 30


async def error_of(awaitable: Any) -> list[object]:
    try:
        await awaitable
    except BinanceAPIException as error:
        return [error.status_code, error.code, error.message]
    return []


def limit(price: float, name: str) -> dict[str, str]:
    """A small order to buy, below the market."""
    return {
        "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
        "quantity": "0.001", "price": f"{price:.2f}", "newClientOrderId": name,
    }  # fmt: skip


async def over_rest(client: Any, box: BotBox) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    info = await client.get_exchange_info()
    facts["symbols"] = [row["symbol"] for row in info["symbols"]]
    facts["limits"] = {f"{r['rateLimitType']} {r['interval']}": r["limit"]
                       for r in info["rateLimits"]}  # fmt: skip
    facts["account"] = await client.get_account()
    facts["balance"] = await client.get_asset_balance("USDT")
    book = await client.get_order_book(symbol=SYMBOL, limit=5)
    bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
    facts["book"] = [bid, ask]
    facts["average"] = (await client.get_avg_price(symbol=SYMBOL))["price"]
    facts["klines"] = len(await client.get_klines(symbol=SYMBOL, interval="1m", limit=3))
    facts["test_order"] = await client.create_test_order(
        symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.001"
    )
    facts["resting"] = await client.create_order(**limit(bid * 0.95, "pb-1"))
    facts["fetched"] = await client.get_order(symbol=SYMBOL, origClientOrderId="pb-1")
    facts["venue"] = venue_order(box, facts["resting"]["orderId"])
    facts["open"] = [o["clientOrderId"] for o in await client.get_open_orders(symbol=SYMBOL)]
    facts["canceled"] = await client.cancel_order(symbol=SYMBOL, origClientOrderId="pb-1")
    facts["market"] = await client.order_market_buy(symbol=SYMBOL, quoteOrderQty="150")
    facts["ioc"] = await client.create_order(
        symbol=SYMBOL, side="SELL", type="LIMIT", timeInForce="IOC", quantity="0.001",
        price=f"{ask * 1.05:.2f}",
    )  # fmt: skip
    facts["oco"] = await client.create_oco_order(
        symbol=SYMBOL, side="SELL", quantity="0.001", listClientOrderId="pb-oco",
        aboveType="LIMIT_MAKER", abovePrice=f"{ask * 1.02:.2f}", belowType="STOP_LOSS_LIMIT",
        belowStopPrice=f"{bid * 0.98:.2f}", belowPrice=f"{bid * 0.97:.2f}",
        belowTimeInForce="GTC",
    )  # fmt: skip
    facts["oco_canceled"] = await client.cancel_order(
        symbol=SYMBOL, orderId=facts["oco"]["orders"][0]["orderId"]
    )
    facts["otoco"] = await client.v3_post_order_list_otoco(
        symbol=SYMBOL, listClientOrderId="pb-otoco", workingType="LIMIT", workingSide="BUY",
        workingPrice=f"{bid * 0.95:.2f}", workingQuantity="0.005", workingTimeInForce="GTC",
        pendingSide="SELL", pendingQuantity="0.005", pendingAboveType="LIMIT_MAKER",
        pendingAbovePrice=f"{ask * 1.02:.2f}", pendingBelowType="STOP_LOSS_LIMIT",
        pendingBelowStopPrice=f"{bid * 0.93:.2f}", pendingBelowPrice=f"{bid * 0.92:.2f}",
        pendingBelowTimeInForce="GTC",
    )  # fmt: skip
    facts["otoco_canceled"] = await client.cancel_order(
        symbol=SYMBOL, orderId=facts["otoco"]["orders"][0]["orderId"]
    )
    facts["my_trades"] = await client.get_my_trades(symbol=SYMBOL)
    facts["all_orders"] = len(await client.get_all_orders(symbol=SYMBOL))
    facts["counts"] = await client.get_current_order_count()
    facts["commission"] = (await client.get_account())["commissionRates"]
    facts["errors"] = {
        "lot size": await error_of(
            client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.000001")
        ),
        "precision": await error_of(
            client.create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.0000000001")
        ),
        "symbol": await error_of(
            client.create_order(symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.1")
        ),
        "cancel": await error_of(client.cancel_order(symbol=SYMBOL, orderId=123456789)),
        "listen key": await error_of(client.stream_get_listen_key()),
        "collar": await error_of(client.create_order(**limit(bid * 0.5, "pb-far"))),
        "iceberg": await error_of(
            client.create_order(**limit(bid * 0.95, "pb-ice"), icebergQty="0.0005")
        ),
    }
    return facts


async def over_ws_api(client: Any, bid: float) -> dict[str, Any]:
    return {
        "ping": await client.ws_ping(),
        "placed": await client.ws_create_order(**limit(bid * 0.95, "pb-ws-1")),
        "status": await client.ws_get_order(symbol=SYMBOL, origClientOrderId="pb-ws-1"),
        "canceled": await client.ws_cancel_order(symbol=SYMBOL, origClientOrderId="pb-ws-1"),
        "account": (await client.ws_get_account())["accountType"],
    }


async def over_sockets(manager: Any, client: Any, bid: float) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    async with manager.trade_socket(SYMBOL) as stream:
        facts["trade"] = await stream.recv()
    async with manager.depth_socket(SYMBOL) as stream:
        facts["depth"] = await stream.recv()
    async with manager.multiplex_socket(["btcusdt@bookTicker", "btcusdt@trade"]) as stream:
        facts["multiplex"] = await stream.recv()
    events: list[dict[str, Any]] = []
    async with manager.user_socket() as stream:
        await client.create_order(**limit(bid * 0.95, "pb-user-1"))
        await client.cancel_order(symbol=SYMBOL, origClientOrderId="pb-user-1")
        facts["sold"] = await client.order_market_sell(symbol=SYMBOL, quantity="0.001")
        while not any(e.get("X") == "FILLED" for e in events):
            events.append(await stream.recv())
        facts["venue_sold"] = await client.get_order(
            symbol=SYMBOL, orderId=facts["sold"]["orderId"]
        )
    facts["user"] = events
    return facts


async def session(box: BotBox) -> dict[str, Any]:
    names = from_snippet(box, "python-binance")
    client = await names["BotAsyncClient"].create(*names["KEYS"], testnet=True)
    try:
        async with asyncio.timeout(DEADLINE_S):
            facts = {"rest": await over_rest(client, box)}
            bid = facts["rest"]["book"][0]
            facts["ws_api"] = await over_ws_api(client, bid)
            facts["sockets"] = await over_sockets(names["BotSocketManager"](client), client, bid)
    finally:
        # Its reader looks up only when a message comes (or after ten seconds): the end of the
        # gateway is one.
        async with asyncio.TaskGroup() as group:
            group.create_task(client.close_connection())
            group.create_task(asyncio.to_thread(box.kill_daemon))
    return facts


def main() -> None:
    isolated = loopback_only.enter()
    with (
        tempfile.TemporaryDirectory() as directory,
        BotBox(Path(directory), sim={"flow_rate": 60}) as box,
    ):
        facts = {"isolated": isolated, "reaches_outside": loopback_only.reaches_outside()}
        facts |= asyncio.run(session(box))
        facts["ledger"] = box.sim.ledger()
        print(json.dumps(facts, default=str))


if __name__ == "__main__":
    main()

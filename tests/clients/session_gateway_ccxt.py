"""Runs ccxt and ccxt.pro, as they are, through the gateway; prints one JSON object.

From their snippets: market data, balance, place, fill, partial fill, cancel, user stream, the
daemon killed and restarted under them, errors. The venue's own rows stand beside the bot's.
"""

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import ccxt

from tests.support import loopback_only
from tests.support.bot_box import BotBox
from tests.support.gateway_session import (
    OtherTrader,
    from_snippet,
    venue_balances,
    venue_order,
    venue_trades,
)

PAIR = "BTC/USDT"
DEADLINE_S = 60


def error_of(call: Any) -> list[str]:
    try:
        call()
    except ccxt.BaseError as error:
        return [type(error).__name__, str(error)]
    return []


def over_rest(exchange: Any, box: BotBox) -> dict[str, Any]:
    facts: dict[str, Any] = {"markets": sorted(exchange.load_markets())}
    facts["balance"] = exchange.fetch_balance()["info"]["balances"]
    facts["venue_balances"] = venue_balances(box)
    book = exchange.fetch_order_book(PAIR, 5)
    bid, ask = book["bids"][0][0], book["asks"][0][0]
    facts["book"] = [bid, ask]
    facts["candles"] = exchange.fetch_ohlcv(PAIR, "1m", limit=5)
    facts["public_trades"] = len(exchange.fetch_trades(PAIR, limit=10))
    resting = exchange.create_order(
        PAIR, "limit", "buy", 0.001, bid * 0.95, {"newClientOrderId": "mine-1"}
    )
    facts["resting"] = resting["info"]
    facts["fetched"] = exchange.fetch_order(resting["id"], PAIR)["info"]
    facts["fetched_by_name"] = exchange.fetch_order(None, PAIR, {"origClientOrderId": "mine-1"})[
        "info"
    ]
    facts["open"] = [one["clientOrderId"] for one in exchange.fetch_open_orders(PAIR)]
    facts["venue_open"] = venue_order(box, resting["id"])
    facts["duplicate"] = error_of(
        lambda: exchange.create_order(
            PAIR, "limit", "buy", 0.001, bid * 0.94, {"newClientOrderId": "mine-1"}
        )
    )
    facts["canceled"] = exchange.cancel_order(resting["id"], PAIR)["info"]
    facts["fetched_canceled"] = exchange.fetch_order(resting["id"], PAIR)["info"]
    facts["venue_canceled"] = venue_order(box, resting["id"])
    market = exchange.create_order(PAIR, "market", "buy", 0.003)
    facts["market"] = market["info"]
    facts["fetched_market"] = exchange.fetch_order(market["id"], PAIR)["info"]
    facts["venue_market"] = venue_order(box, market["id"])
    facts["trades"] = [one["info"] for one in exchange.fetch_my_trades(PAIR)]
    facts["venue_trades"] = venue_trades(box, market["id"])
    facts["by_cost"] = exchange.create_market_buy_order_with_cost(PAIR, 100)["info"]
    facts["venue_by_cost"] = venue_order(box, facts["by_cost"]["orderId"])
    facts["partial"] = partial_fill(exchange, box, ask)
    edited = exchange.create_order(PAIR, "limit", "sell", 0.001, ask * 1.05)
    facts["edited"] = exchange.edit_order(edited["id"], PAIR, "limit", "sell", 0.001, ask * 1.06)[
        "info"
    ]
    exchange.create_order(PAIR, "limit", "sell", 0.001, ask * 1.07)
    facts["cancel_all"] = len(exchange.cancel_all_orders(PAIR))
    stop = exchange.create_order(
        PAIR, "limit", "sell", 0.001, bid * 0.94, {"stopPrice": bid * 0.95}
    )
    facts["stop"] = exchange.fetch_order(stop["id"], PAIR)["info"]
    facts["venue_stop"] = venue_order(box, stop["id"])
    exchange.cancel_order(stop["id"], PAIR)
    facts["oco"] = oco(exchange, bid)
    facts["all_orders"] = len(exchange.fetch_orders(PAIR))
    facts["balance_after"] = exchange.fetch_balance()["info"]["balances"]
    facts["venue_balances_after"] = venue_balances(box)
    facts["bracket"] = bracket(exchange, box)
    facts["errors"] = errors(exchange, bid, ask)
    return facts


def partial_fill(exchange: Any, box: BotBox, ask: float) -> dict[str, Any]:
    """A sell at the best price of all, of which another account takes a part."""
    other = OtherTrader(box.sim)
    for _ in range(50):  # the market moves: until the order rested and was taken in part
        ask = exchange.fetch_order_book(PAIR, 5, {"limit": 5})["asks"][0][0]
        price = exchange.price_to_precision(PAIR, ask - 0.01)
        order = exchange.create_order(PAIR, "limit", "sell", 0.002, price)
        if order["status"] == "open":
            other.take("BUY", "0.00070", price)
            seen = exchange.fetch_order(order["id"], PAIR)
            with contextlib.suppress(ccxt.OrderNotFound):  # filled meanwhile
                canceled = exchange.cancel_order(order["id"], PAIR)["info"]
                row = venue_order(box, order["id"])
                # The gate tells what the user stream has proven: the fill may come a moment later.
                is_told = seen["info"]["status"] == "PARTIALLY_FILLED"
                if is_told and 0 < float(row["executedQty"]) < 0.002:
                    return {"seen": seen["info"], "canceled": canceled, "venue": row}
        exchange.create_order(PAIR, "market", "buy", 0.002)
    raise AssertionError("no order was filled in part")


def bracket(exchange: Any, box: BotBox) -> list[dict[str, Any]]:
    """An entry, a gain above it that somebody takes, and a stop below it."""
    other = OtherTrader(box.sim)
    for _ in range(50):  # the market moves: until the gain rested and was taken
        book = exchange.fetch_order_book(PAIR, 5, {"limit": 5})
        bid, ask = book["bids"][0][0], book["asks"][0][0]
        up = exchange.price_to_precision(PAIR, ask + 1)
        placed = exchange.private_post_orderlist_otoco(
            {
                "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY",
                "workingTimeInForce": "GTC", "workingQuantity": "0.001",
                "workingPrice": exchange.price_to_precision(PAIR, ask * 1.01),
                "pendingSide": "SELL", "pendingQuantity": "0.001",
                "pendingAboveType": "LIMIT_MAKER", "pendingAbovePrice": up,
                "pendingBelowType": "STOP_LOSS_LIMIT", "pendingBelowTimeInForce": "GTC",
                "pendingBelowStopPrice": exchange.price_to_precision(PAIR, bid * 0.98),
                "pendingBelowPrice": exchange.price_to_precision(PAIR, bid * 0.97),
            }
        )  # fmt: skip
        ids = [one["orderId"] for one in placed["orderReports"]]
        rows: list[dict[str, Any]] = []
        for _ in range(10):
            other.take("BUY", "0.02", up)
            rows = [exchange.fetch_order(one, PAIR)["info"] for one in ids]
            if all(row["status"] in ("FILLED", "EXPIRED") for row in rows):
                break
        else:  # it is not at the best price any more
            exchange.private_delete_orderlist(
                {"symbol": "BTCUSDT", "orderListId": placed["orderListId"]}
            )
        if rows[1]["status"] == "FILLED":
            return [{"told": row, "venue": venue_order(box, row["orderId"])} for row in rows]
        exchange.create_order(PAIR, "market", "sell", 0.00099)
    raise AssertionError("no gain was taken")


def oco(exchange: Any, bid: float) -> dict[str, Any]:
    """A gain above and a stop below what is held, by the library's own calls."""
    placed = exchange.private_post_orderlist_oco(
        {
            "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.001", "aboveType": "LIMIT_MAKER",
            "abovePrice": exchange.price_to_precision(PAIR, bid * 1.02),
            "belowType": "STOP_LOSS_LIMIT", "belowTimeInForce": "GTC",
            "belowStopPrice": exchange.price_to_precision(PAIR, bid * 0.98),
            "belowPrice": exchange.price_to_precision(PAIR, bid * 0.97),
        }
    )  # fmt: skip
    named = {"orderListId": placed["orderListId"]}
    return {
        "placed": placed,
        "open": [one["orderListId"] for one in exchange.private_get_openorderlist()],
        "orders": [one["info"]["orderListId"] for one in exchange.fetch_open_orders(PAIR)],
        "canceled": exchange.private_delete_orderlist({"symbol": "BTCUSDT", **named}),
        "after": exchange.private_get_orderlist(named),
    }


def errors(exchange: Any, bid: float, ask: float) -> dict[str, list[str]]:
    found = {
        "cancel unknown": error_of(lambda: exchange.cancel_order("999999", PAIR)),
        "fetch unknown": error_of(lambda: exchange.fetch_order("999999", PAIR)),
        "over a cap": error_of(lambda: exchange.create_order(PAIR, "market", "buy", 5)),
        "post only": error_of(
            lambda: exchange.create_order(
                PAIR, "limit", "buy", 0.001, ask * 1.01, {"postOnly": True}
            )
        ),
        "too small": error_of(lambda: exchange.create_order(PAIR, "limit", "buy", 0.00002, bid)),
        "unknown symbol": error_of(lambda: exchange.public_get_depth({"symbol": "NOPEUSDT"})),
    }
    secret, exchange.secret = exchange.secret, "wrong"
    found["wrong secret"] = error_of(exchange.fetch_balance)
    exchange.secret = secret
    return found


def under_restart(exchange: Any, box: BotBox) -> dict[str, Any]:
    """The daemon dies with -9 under a bot's open order; aliases and rows hold."""
    facts: dict[str, Any] = {}
    bid = exchange.fetch_order_book(PAIR, 5)["bids"][0][0]
    order = exchange.create_order(
        PAIR, "limit", "buy", 0.001, bid * 0.95, {"newClientOrderId": "before-kill"}
    )
    box.kill_daemon()
    facts["while_down"] = error_of(exchange.fetch_balance)
    box.start_daemon()
    facts["halted"] = error_of(lambda: exchange.create_order(PAIR, "market", "buy", 0.001))
    named = {"origClientOrderId": "before-kill"}
    facts["by_name"] = exchange.fetch_order(None, PAIR, named)["info"]
    facts["venue"] = venue_order(box, order["id"])
    facts["cancel_again"] = error_of(lambda: exchange.cancel_order(order["id"], PAIR))
    box.start_session()
    facts["after"] = exchange.create_order(PAIR, "market", "buy", 0.001)["info"]
    facts["trades"] = [one["info"] for one in exchange.fetch_my_trades(PAIR)]
    facts["orders"] = [one["info"] for one in exchange.fetch_orders(PAIR)]
    return facts


async def over_sockets(exchange: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    await exchange.load_markets()
    book = await exchange.watch_order_book(PAIR)
    for _ in range(3):
        book = await exchange.watch_order_book(PAIR)
    facts["book"] = [book["bids"][0][0], book["asks"][0][0]]
    facts["trades"] = len(await exchange.watch_trades(PAIR))
    facts["ticker"] = (await exchange.watch_ticker(PAIR))["last"]
    seen: list[dict[str, Any]] = []
    began = asyncio.Event()

    async def watch_orders() -> None:
        while not any(one["status"] == "canceled" for one in seen):
            seen.extend(one["info"] | {"status": one["status"]}
                        for one in await exchange.watch_orders(PAIR))  # fmt: skip

    async def trade() -> None:
        await began.wait()
        price = facts["book"][0] * 0.95
        order = await exchange.create_order_ws(
            PAIR, "limit", "buy", 0.001, price, {"newClientOrderId": "pro-1"}
        )
        facts["placed"] = order["info"]
        facts["fetched"] = (await exchange.fetch_order_ws(order["id"], PAIR))["status"]
        facts["open"] = [one["clientOrderId"] for one in await exchange.fetch_open_orders_ws(PAIR)]
        facts["canceled"] = (await exchange.cancel_order_ws(order["id"], PAIR))["info"]
        facts["market"] = (await exchange.create_order_ws(PAIR, "market", "sell", 0.001))["info"]

    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(watch_orders())
        group.create_task(trade())
        await exchange.fetch_balance_ws()  # the same socket: the subscription went before it
        began.set()
    return facts | {"user": seen}


async def sockets(box: BotBox) -> dict[str, Any]:
    exchange = from_snippet(box, "ccxt-pro")["exchange"]
    try:
        return await over_sockets(exchange)
    finally:
        await exchange.close()


def main() -> None:
    isolated = loopback_only.enter()
    with (
        tempfile.TemporaryDirectory() as directory,
        BotBox(Path(directory), sim={"flow_rate": 60}) as box,
    ):
        exchange = from_snippet(box, "ccxt")["exchange"]
        facts = {
            "isolated": isolated,
            "reaches_outside": loopback_only.reaches_outside(),
            "rest": over_rest(exchange, box),
            "sockets": asyncio.run(sockets(box)),
            "restart": under_restart(exchange, box),
            "status": box.status()["bots"]["ft"],
            "ledger": box.sim.ledger(),
        }
        print(json.dumps(facts, default=str))


if __name__ == "__main__":
    main()

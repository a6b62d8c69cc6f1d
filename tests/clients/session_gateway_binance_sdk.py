"""Runs the official SDK, as it is and from its snippet, through the gateway; prints JSON."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from binance_common.errors import Error

from tests.support import loopback_only
from tests.support.bot_box import BotBox
from tests.support.gateway_session import SYMBOL, from_snippet, venue_order

DEADLINE_S = 90


def told(answer: Any) -> Any:
    """The SDK's model as the plain values that it was made of."""
    data = answer.data()
    rows = data if isinstance(data, list) else [data]
    plain = [row.to_dict() if hasattr(row, "to_dict") else row for row in rows]
    return plain if isinstance(data, list) else plain[0]


def error_of(call: Any, **words: Any) -> list[object]:
    try:
        call(**words)
    except Error as error:
        return [type(error).__name__, str(error)]
    return []


def limit(price: float, name: str, **more: Any) -> dict[str, Any]:
    """A small order to buy, below the market."""
    return {
        "symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC",
        "quantity": 0.001, "price": round(price, 2), "new_client_order_id": name, **more,
    }  # fmt: skip


def over_rest(rest: Any, box: BotBox) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    facts["symbols"] = [row["symbol"] for row in told(rest.exchange_info())["symbols"]]
    facts["account"] = told(rest.get_account(omit_zero_balances=True))
    book = told(rest.depth(symbol=SYMBOL, limit=5))
    bid, ask = float(book["bids"][0][0]), float(book["asks"][0][0])
    facts["book"] = [bid, ask]
    facts["klines"] = len(told(rest.klines(symbol=SYMBOL, interval="1m", limit=3)))
    facts["test_order"] = told(
        rest.order_test(symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.001)
    )
    facts["resting"] = told(rest.new_order(**limit(bid * 0.95, "sdk-1")))
    facts["fetched"] = told(rest.get_order(symbol=SYMBOL, orig_client_order_id="sdk-1"))
    facts["venue"] = venue_order(box, facts["resting"]["orderId"])
    facts["open"] = [row["clientOrderId"] for row in told(rest.get_open_orders(symbol=SYMBOL))]
    facts["amended"] = told(
        rest.order_amend_keep_priority(symbol=SYMBOL, orig_client_order_id="sdk-1", new_qty=0.0006)
    )
    facts["replaced"] = told(
        rest.order_cancel_replace(
            cancel_replace_mode="STOP_ON_FAILURE", cancel_orig_client_order_id="sdk-1",
            **limit(bid * 0.96, "sdk-2"),
        )
    )  # fmt: skip
    facts["canceled"] = told(rest.delete_order(symbol=SYMBOL, orig_client_order_id="sdk-2"))
    facts["market"] = told(
        rest.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quote_order_qty=150)
    )
    facts["oco"] = told(
        rest.order_list_oco(
            symbol=SYMBOL, side="SELL", quantity=0.001, list_client_order_id="sdk-oco",
            above_type="LIMIT_MAKER", above_price=round(ask * 1.02, 2),
            below_type="STOP_LOSS_LIMIT", below_stop_price=round(bid * 0.98, 2),
            below_price=round(bid * 0.97, 2), below_time_in_force="GTC",
        )
    )  # fmt: skip
    facts["oco_canceled"] = told(
        rest.delete_order_list(symbol=SYMBOL, order_list_id=facts["oco"]["orderListId"])
    )
    facts["my_trades"] = told(rest.my_trades(symbol=SYMBOL))
    facts["all_orders"] = len(told(rest.all_orders(symbol=SYMBOL)))
    facts["counts"] = told(rest.rate_limit_order())
    facts["commission"] = told(rest.account_commission(symbol=SYMBOL))
    facts["errors"] = {
        "cancel": error_of(rest.delete_order, symbol=SYMBOL, order_id=123456789),
        "fetch": error_of(rest.get_order, symbol=SYMBOL, order_id=123456789),
        "symbol": error_of(
            rest.new_order, symbol="ETHUSDT", side="BUY", type="MARKET", quantity=0.1
        ),
        "collar": error_of(rest.new_order, **limit(bid * 0.5, "sdk-far")),
        "lot": error_of(
            rest.new_order, symbol=SYMBOL, side="BUY", type="MARKET", quantity=0.0010005
        ),
    }
    return facts


async def over_ws_api(client: Any, box: BotBox, bid: float) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    connection = await client.websocket_api.create_connection()
    events: list[dict[str, Any]] = []
    arrived = asyncio.Event()
    try:
        stream = await connection.user_data_stream_subscribe_signature()

        def heard(event: Any) -> None:
            events.append(event if isinstance(event, dict) else event.to_dict())
            arrived.set()

        stream.stream.on("message", heard)
        facts["placed"] = _result(await connection.order_place(**limit(bid * 0.99, "sdk-ws-1")))
        facts["status"] = _result(
            await connection.order_status(symbol=SYMBOL, orig_client_order_id="sdk-ws-1")
        )
        box.sim.admin_post("strike", kind="fill_resting", symbol=SYMBOL, fraction=0.4)
        facts["canceled"] = _result(
            await connection.order_cancel(symbol=SYMBOL, orig_client_order_id="sdk-ws-1")
        )
        facts["venue"] = venue_order(box, facts["placed"]["orderId"])
        facts["account"] = _result(await connection.account_status())["accountType"]
        while not any(_inner(one).get("x") == "CANCELED" for one in events):
            arrived.clear()
            await arrived.wait()
    finally:
        await connection.close_connection(close_session=True)
    facts["user"] = [_inner(one) for one in events]
    return facts


def _inner(event: dict[str, Any]) -> dict[str, Any]:
    return event.get("event", event)


def _result(answer: Any) -> dict[str, Any]:
    row = told(answer)
    return row.get("result", row)


async def over_streams(client: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    connection = await client.websocket_streams.create_connection()
    try:
        for name, opened in (
            ("ticker", await connection.book_ticker(symbol=SYMBOL.lower())),
            ("depth", await connection.diff_book_depth(symbol=SYMBOL.lower())),
            ("trade", await connection.trade(symbol=SYMBOL.lower())),
        ):
            first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            opened.on("message", lambda row, first=first: first.done() or first.set_result(row))
            row = await first
            facts[name] = row if isinstance(row, dict) else row.to_dict()
            await opened.unsubscribe()
    finally:
        await connection.close_connection(close_session=True)
    return facts


async def session(box: BotBox) -> dict[str, Any]:
    client = from_snippet(box, "binance-sdk")["client"]
    # Its second is of a quiet machine; what is tried here is the protocol.
    client.rest_api.configuration.timeout = 20_000
    async with asyncio.timeout(DEADLINE_S):
        facts = {"rest": await asyncio.to_thread(over_rest, client.rest_api, box)}
        bid = facts["rest"]["book"][0]
        facts["ws_api"] = await over_ws_api(client, box, bid)
        facts["streams"] = await over_streams(client)
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

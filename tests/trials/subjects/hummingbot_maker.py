"""hummingbot's Binance connector with a simple maker of ours: one order a side, refreshed.

The connector, its clock, its order tracker and its streams are hummingbot's; only its addresses are
changed, and the maker is 40 lines in the manner of its example scripts.
"""

import asyncio
import logging
import os
import signal
from decimal import Decimal

from hummingbot.connector.exchange.binance import binance_constants as constants

REST = os.environ["SEATRIAL_REST"]
constants.REST_URL = REST + "/api/"
constants.WSS_URL = os.environ["SEATRIAL_STREAMS"] + "/ws"
constants.WSS_API_URL = os.environ["SEATRIAL_WS_API"]

from hummingbot.connector.exchange.binance.binance_exchange import BinanceExchange  # noqa: E402
from hummingbot.core.clock import Clock, ClockMode  # noqa: E402
from hummingbot.core.data_type.common import OrderType, PriceType  # noqa: E402

PAIR = os.environ["SEATRIAL_PAIR"].replace("/", "-")
AMOUNT, AWAY, REFRESH_S = Decimal("0.001"), Decimal("0.0015"), 3.0


async def make(connector: BinanceExchange, ending: asyncio.Event) -> None:
    placed_at = 0.0
    while not ending.is_set():
        await asyncio.sleep(0.5)
        if not connector.ready:
            continue
        now = asyncio.get_running_loop().time()
        there = list(connector.in_flight_orders.values())
        if now - placed_at > REFRESH_S:
            for order in there:
                connector.cancel(PAIR, order.client_order_id)
            placed_at = now
            continue
        sides = {order.trade_type.name for order in there}
        middle = connector.get_price_by_type(PAIR, PriceType.MidPrice)
        if middle is None or middle.is_nan():
            continue
        if "BUY" not in sides:
            connector.buy(PAIR, AMOUNT, OrderType.LIMIT, middle * (1 - AWAY))
        if "SELL" not in sides:
            connector.sell(PAIR, AMOUNT, OrderType.LIMIT, middle * (1 + AWAY))
    await connector.cancel_all(8.0)


async def main() -> None:
    connector = BinanceExchange(
        binance_api_key=os.environ["SEATRIAL_KEY"],
        binance_api_secret=os.environ["SEATRIAL_SECRET"],
        trading_pairs=[PAIR],
    )
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    with Clock(ClockMode.REALTIME, 0.5) as clock:
        clock.add_iterator(connector)
        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(clock.run())
            await make(connector, ending)
            ticking.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main())

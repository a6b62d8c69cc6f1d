"""hummingbot's Binance connector, as it is and from its snippet; prints one JSON object.

Runs in hummingbot's own environment, knows nothing of seatrial: the snippet, key and address of the
venue's admin port come from its environment.
"""

import asyncio
import json
import os
import urllib.request
from decimal import Decimal
from typing import Any

from hummingbot.connector.exchange.binance import binance_constants as constants

ADDRESSES: dict[str, str] = {}
exec(os.environ["SNIPPET"], ADDRESSES)  # what `seatrial bot snippet` prints
for name in ("REST_URL", "WSS_URL", "WSS_API_URL"):
    setattr(constants, name, ADDRESSES[name])

from hummingbot.connector.exchange.binance.binance_exchange import BinanceExchange  # noqa: E402
from hummingbot.core.clock import Clock, ClockMode  # noqa: E402
from hummingbot.core.data_type.common import OrderType, PriceType  # noqa: E402
from hummingbot.core.event.event_forwarder import EventForwarder  # noqa: E402
from hummingbot.core.event.events import MarketEvent  # noqa: E402

PAIR, SYMBOL = "BTC-USDT", "BTCUSDT"
DEADLINE_S = 100
KEPT = (
    MarketEvent.BuyOrderCreated,
    MarketEvent.SellOrderCreated,
    MarketEvent.OrderFilled,
    MarketEvent.OrderCancelled,
    MarketEvent.BuyOrderCompleted,
    MarketEvent.SellOrderCompleted,
    MarketEvent.OrderFailure,
)


class Session:
    """One connector, and what it told."""

    def __init__(self) -> None:
        self.connector = BinanceExchange(
            binance_api_key=os.environ["BOT_API_KEY"],
            binance_api_secret=os.environ["BOT_API_SECRET"],
            trading_pairs=[PAIR],
        )
        self.events: list[tuple[str, str, dict[str, str]]] = []
        self._arrived = asyncio.Event()
        self._listeners = [EventForwarder(self._keeper(event)) for event in KEPT]
        for event, listener in zip(KEPT, self._listeners, strict=True):
            self.connector.add_listener(event, listener)

    def _keeper(self, event: MarketEvent) -> Any:
        def keep(row: Any) -> None:
            told = {
                name: str(getattr(row, name))
                for name in ("amount", "price", "exchange_order_id", "exchange_trade_id")
                if hasattr(row, name)
            }
            self.events.append((event.name, row.order_id, told))
            self._arrived.set()

        return keep

    async def until(self, name: str, order_id: str) -> dict[str, str]:
        while True:
            for event, told_id, told in self.events:
                if (event, told_id) == (name, order_id):
                    return told
            self._arrived.clear()
            await self._arrived.wait()

    async def ready(self) -> None:
        while not self.connector.ready:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0.1)

    async def play(self) -> dict[str, Any]:
        connector = self.connector
        await self.ready()
        facts: dict[str, Any] = {
            "balances": {k: str(v) for k, v in connector.get_all_balances().items()},
            "available": str(connector.get_available_balance("USDT")),
        }
        bid = connector.get_price_by_type(PAIR, PriceType.BestBid)
        ask = connector.get_price_by_type(PAIR, PriceType.BestAsk)
        facts["book"] = [str(bid), str(ask)]
        rule = connector.trading_rules[PAIR]
        facts["rules"] = [str(rule.min_price_increment), str(rule.min_base_amount_increment)]

        resting = connector.buy(PAIR, Decimal("0.001"), OrderType.LIMIT, bid * Decimal("0.97"))
        facts["resting"] = await self.until("BuyOrderCreated", resting)
        connector.cancel(PAIR, resting)
        await self.until("OrderCancelled", resting)

        taker = connector.buy(PAIR, Decimal("0.002"), OrderType.MARKET)
        await self.until("BuyOrderCompleted", taker)

        maker = connector.sell(PAIR, Decimal("0.001"), OrderType.LIMIT_MAKER, ask * Decimal("1.01"))
        await self.until("SellOrderCreated", maker)
        strike(fraction=0.4)
        await self.until("OrderFilled", maker)
        connector.cancel(PAIR, maker)
        await self.until("OrderCancelled", maker)

        crossing = connector.buy(
            PAIR, Decimal("0.001"), OrderType.LIMIT_MAKER, ask * Decimal("1.01")
        )
        await self.until("OrderFailure", crossing)
        capped = connector.buy(PAIR, Decimal(5), OrderType.LIMIT, bid * Decimal("0.97"))
        await self.until("OrderFailure", capped)
        facts["names"] = {
            "resting": resting,
            "taker": taker,
            "maker": maker,
            "crossing": crossing,
            "capped": capped,
        }
        facts["in_flight"] = len(connector.in_flight_orders)
        facts["events"] = self.events
        return facts


def strike(fraction: float) -> None:
    """The venue trades a part of what rests."""
    body = json.dumps({"kind": "fill_resting", "symbol": SYMBOL, "fraction": fraction}).encode()
    request = urllib.request.Request(os.environ["SIM_ADMIN"] + "/strike", data=body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


async def main() -> None:
    session = Session()
    with Clock(ClockMode.REALTIME, 0.5) as clock:
        clock.add_iterator(session.connector)
        ticking = asyncio.get_running_loop().create_task(clock.run())
        async with asyncio.timeout(DEADLINE_S):
            facts = await session.play()
        ticking.cancel()
    print(json.dumps(facts))


if __name__ == "__main__":
    asyncio.run(main())

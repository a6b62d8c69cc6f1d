"""A Nautilus node, as it is and from its snippet, with a strategy that goes from step to step.

Runs in Nautilus' own environment, knows nothing of seatrial: the snippet, key and address of the
venue's admin port come from its environment. Prints one JSON object, last.
"""

import json
import os
import threading
import urllib.request
from decimal import Decimal
from typing import Any

from nautilus_trader.adapters.binance import (
    BINANCE,
    BinanceLiveDataClientFactory,
    BinanceLiveExecClientFactory,
)
from nautilus_trader.config import LiveExecEngineConfig, LoggingConfig, TradingNodeConfig
from nautilus_trader.live.node import TradingNode
from nautilus_trader.model.data import QuoteTick
from nautilus_trader.model.enums import OrderSide, TimeInForce
from nautilus_trader.model.events import OrderEvent
from nautilus_trader.model.identifiers import InstrumentId, TraderId
from nautilus_trader.trading.strategy import Strategy

NAMES: dict[str, Any] = {}
exec(os.environ["SNIPPET"], NAMES)  # what `seatrial bot snippet` prints
SYMBOL = "BTCUSDT"
NAME = InstrumentId.from_str(f"{SYMBOL}.{BINANCE}")
DEADLINE_S = 100


class Steps(Strategy):
    """Each event of an order begins the next step."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: dict[str, Any] = {"events": []}
        self.step = ""
        self.asked: dict[str, str] = {}
        self.quote: QuoteTick | None = None
        self.done = threading.Event()

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(NAME)
        self.facts["instrument"] = [
            str(self.instrument.price_increment),
            str(self.instrument.size_increment),
        ]
        account = self.portfolio.account(NAME.venue)
        self.facts["balances"] = {
            str(currency): str(balance.free) for currency, balance in account.balances().items()
        }
        self.subscribe_quote_ticks(NAME)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        self.quote = tick
        if not self.step:
            self.facts["book"] = [str(tick.bid_price), str(tick.ask_price)]
            self.place("resting", OrderSide.BUY, "0.001", self.near(tick.bid_price, "0.97"))

    def near(self, price: Any, times: str) -> Decimal:
        return Decimal(str(price)) * Decimal(times)

    def place(
        self, name: str, side: OrderSide, qty: str, price: Decimal | None, *, post: bool = False
    ) -> None:
        self.step = name
        quantity = self.instrument.make_qty(Decimal(qty))
        if price is None:
            order = self.order_factory.market(NAME, side, quantity)
        else:
            order = self.order_factory.limit(
                NAME,
                side,
                quantity,
                self.instrument.make_price(price),
                time_in_force=TimeInForce.GTC,
                post_only=post,
            )
        self.asked[name] = order.client_order_id.value
        self.submit_order(order)

    def on_order_event(self, event: OrderEvent) -> None:
        kind = type(event).__name__
        told = {
            key: str(getattr(event, key))
            for key in ("venue_order_id", "trade_id", "last_qty", "last_px", "commission", "reason")
            if hasattr(event, key)
        }
        self.facts["events"].append([kind, event.client_order_id.value, told])
        if event.client_order_id.value != self.asked.get(self.step):
            return
        order = self.cache.order(event.client_order_id)
        assert self.quote is not None
        match self.step, kind:
            case ("resting" | "amended", "OrderAccepted"):
                self.cancel_order(order)
            case "resting", "OrderCanceled":
                self.place("taker", OrderSide.BUY, "0.002", None)
            case "taker", "OrderFilled" if order.is_closed:
                price = self.near(self.quote.ask_price, "1.01")
                self.place("maker", OrderSide.SELL, "0.001", price, post=True)
            case "maker", "OrderAccepted":
                threading.Thread(target=strike, args=(0.4,), daemon=True).start()
            case "maker", "OrderFilled":
                self.cancel_order(order)
            case "maker", "OrderCanceled":
                price = self.near(self.quote.ask_price, "1.01")
                self.place("crossing", OrderSide.BUY, "0.001", price, post=True)
            case "crossing", "OrderRejected":
                self.place("capped", OrderSide.BUY, "1", self.near(self.quote.bid_price, "0.97"))
            case "capped", "OrderRejected":
                self.facts |= {"names": self.asked, "open": len(self.cache.orders_open())}
                self.done.set()


def strike(fraction: float) -> None:
    """The venue trades a part of what rests."""
    body = json.dumps({"kind": "fill_resting", "symbol": SYMBOL, "fraction": fraction}).encode()
    request = urllib.request.Request(os.environ["SIM_ADMIN"] + "/strike", data=body)
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def main() -> None:
    node = TradingNode(
        config=TradingNodeConfig(
            trader_id=TraderId("CLIENT-001"),
            logging=LoggingConfig(log_level="WARNING", use_pyo3=True),
            exec_engine=LiveExecEngineConfig(reconciliation=True),
            data_clients={BINANCE: NAMES["data"]},
            exec_clients={BINANCE: NAMES["execution"]},
        )
    )
    steps = Steps()
    node.trader.add_strategy(steps)
    node.add_data_client_factory(BINANCE, BinanceLiveDataClientFactory)
    node.add_exec_client_factory(BINANCE, BinanceLiveExecClientFactory)
    node.build()

    def end() -> None:
        steps.done.wait(DEADLINE_S)
        node.stop()

    threading.Thread(target=end, daemon=True).start()
    try:
        node.run()
    finally:
        node.dispose()
    if not steps.done.is_set():
        raise SystemExit(f"stopped at {steps.step!r}: {steps.facts}")
    print(json.dumps(steps.facts))


if __name__ == "__main__":
    main()

"""A venue link under test: collects what it delivers, waits for it with a deadline."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, TypeVar

from daemon.model.enums import Link, OrderType, Side, TimeInForce
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderId, StrategyId, instrument_id
from daemon.model.inputs import Input, LinkUp
from daemon.model.orders import AmendOrder, CancelOrder, NewOrder, ReplaceOrder
from daemon.shell.link.link_config import adapter_of
from daemon.shell.link.venue_link import Credentials, LinkConfig, VenueEndpoints, VenueLink
from daemon.shell.process.clock import SystemClock
from daemon.venues.adapter import VenueAdapter
from tests.support.scripted_venue import KEY, SECRET

T = TypeVar("T")
BTC = instrument_id("BTCUSDT", "sim")
DEADLINE_S = 60.0
FAST: dict[str, Any] = {
    "reply_deadline_ms": 20_000,
    "query_deadline_ms": 20_000,
    "snapshot_deadline_ms": 20_000,
    "connect_deadline_ms": 20_000,
    "backoff_min_ms": 5,
    "backoff_max_ms": 50,
    "overlap_ms": 50,
}


class Bench:
    """One link, and the list of its inputs."""

    def __init__(
        self,
        base: str = "",
        *,
        endpoints: VenueEndpoints | None = None,
        credentials: Credentials | None = None,
        adapter: VenueAdapter | None = None,
        **config: Any,
    ) -> None:
        self.clock = SystemClock()
        self.halt = HaltFlag()
        self.inputs: list[Input] = []
        self._arrived = asyncio.Event()
        self.endpoints = endpoints or endpoints_at(base)
        bounds = LinkConfig(**{"symbols": ("BTCUSDT",), **FAST, **config})
        key = credentials or Credentials(api_key=KEY, secret=SECRET, kind="hmac")
        self.link = VenueLink(
            endpoints=self.endpoints,
            adapter=adapter or adapter_of(key, "sim", bounds.symbols, bounds.recv_window_ms),
            config=bounds,
            clock=self.clock,
            halt=self.halt,
            deliver=self._deliver,
            rng=random.Random(7),
        )

    def _deliver(self, item: Input) -> None:
        self.inputs.append(item)
        self._arrived.set()

    def got(self, kind: type[T]) -> list[T]:
        """Inputs of one kind so far."""
        return [item for item in self.inputs if isinstance(item, kind)]

    async def until(self, ready: Callable[[], bool]) -> None:
        """Wait until a condition on the inputs holds."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not ready():
                    self._arrived.clear()
                    # The condition may be about the venue, which sets no event of ours.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(
                f"not within {DEADLINE_S} s; inputs: {self.inputs[-12:]}"
            ) from None

    async def first(self, kind: type[T]) -> T:
        """The first input of one kind."""
        await self.until(lambda: bool(self.got(kind)))
        return self.got(kind)[0]

    async def up(self) -> None:
        """Wait for all three links."""
        await self.until(lambda: {item.link for item in self.got(LinkUp)} == set(Link))


def smaller(client_order_id: str = "stabc123-1-1", **changes: Any) -> AmendOrder:
    """An approved amend."""
    return AmendOrder(
        **{
            "client_order_id": ClientOrderId(client_order_id),
            "instrument_id": BTC,
            "venue_order_id": None,
            "qty": Decimal("0.0005"),
            "ts_ns": 0,
            **changes,
        }
    )


def endpoints_at(base: str) -> VenueEndpoints:
    """All three roads at one loopback address."""
    return VenueEndpoints(
        environment="sim", rest=f"http://{base}", ws_api=f"ws://{base}", streams=f"ws://{base}"
    )


@contextlib.asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Bench]:
    """Run the link for the length of the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(bench.link.run(), name="link-under-test")
        try:
            yield bench
        finally:
            task.cancel()


def order(client_id: str = "stabc123-1-1", **changes: Any) -> NewOrder:
    """A small limit order."""
    values: dict[str, Any] = {
        "client_order_id": ClientOrderId(client_id),
        "strategy_id": StrategyId("s"),
        "instrument_id": BTC,
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "qty": Decimal("0.001"),
        "price": Decimal("50000.10"),
        "time_in_force": TimeInForce.GTC,
        "stop_price": None,
        "reduce_only": False,
        "ts_ns": 1,
    }
    return NewOrder(**{**values, **changes})


def cancel(client_id: str = "stabc123-1-1", **changes: Any) -> CancelOrder:
    """A cancel of it."""
    values: dict[str, Any] = {
        "client_order_id": ClientOrderId(client_id),
        "instrument_id": BTC,
        "venue_order_id": None,
        "reason": "test",
        "ts_ns": 1,
    }
    return CancelOrder(**{**values, **changes})


def replacement(target: str = "stabc123-1-1", new: str = "stabc123-1-2") -> ReplaceOrder:
    """A cancel-replace of it."""
    return ReplaceOrder(
        target=ClientOrderId(target), target_venue_order_id=None, order=order(new), ts_ns=1
    )

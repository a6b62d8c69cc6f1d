"""Shadow mode: the public market of another venue, told to the simulated one.

Rules of this file:
1. It listens and asks public questions; it has no key, and nothing here can make an order.
2. The connection is the daemon's own market transport: the checked table of hosts at every connect,
   back-off, silence, renewal with overlap, a question for every top that is quiet.
3. A loss is told when it begins and when it ends, and so is a symbol whose top has become stale.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from daemon.model.amounts import NS_PER_MS
from daemon.model.halt import HaltFlag
from daemon.model.ids import symbol_of
from daemon.model.inputs import Input, LinkDown, LinkUp, MarketData, PublicTrade, RateLimited
from daemon.model.market import TopOfBook, TradeTick
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link.market_transport import MarketTransport
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_session import RestSession
from daemon.shell.process.clock import Clock
from daemon.shell.process.tasks import spawn
from daemon.venues.hosts import EndpointKind
from daemon.venues.registry import public_adapter
from daemon.venues.sim.followed_flow import FollowedFlow, FollowedTop
from daemon.venues.sim.listed_symbols import units_of

_QUESTIONS_MAX = 64
_LOOK_S = 0.5


def _nothing() -> None:
    """The simulated venue looks at its books every few milliseconds by itself."""


class MarketFollower:
    """Follows the symbols of `flows` at one venue. One loop owns it."""

    def __init__(
        self,
        endpoints: VenueEndpoints,
        flows: Mapping[str, FollowedFlow],
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        """Nothing is opened before `run`; `say` gets one line for each loss and return."""
        self._endpoints = endpoints
        self._flows = flows
        self._clock = clock
        self._say = say
        self._config = LinkConfig(symbols=tuple(flows))
        self._rng = random.Random(clock.now_ns())  # noqa: S311 - jitter of back-off, no secret
        self._group: asyncio.TaskGroup | None = None
        self._questions = 0
        self._stale: set[str] = set(flows)
        """Symbols without a fresh top; at first all."""
        adapter = public_adapter(endpoints.environment, self._config.symbols)
        governor = Governor(adapter.rates)
        self._rest = RestSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(EndpointKind.REST),
            clock=clock,
            governor=governor,
            halt=HaltFlag(),
            on_limited=self._deliver,
            read_error=adapter.decode.error,
            deadline_s=self._config.query_deadline_ms / 1000,
        )
        self._market = MarketTransport(
            endpoints=endpoints,
            adapter=adapter,
            config=self._config,
            clock=clock,
            limits=RateRefusals(governor=governor, clock=clock, deliver=self._deliver),
            call=self._rest.call,
            spawn=self._spawn,
            deliver=self._deliver,
            settle=_nothing,
            make_backoff=self._backoff,
        )

    async def run(self) -> None:
        """Follow until cancelled; every task is a child of this call."""
        await self._rest.open()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                spawn(group, self._market.supervisor.run(group), name="follow-market")
                spawn(group, self._watch(), name="follow-ages")
        finally:
            self._group = None
            self._market.supervisor.close("stopped")
            await self._rest.close()

    def facts(self) -> dict[str, Any]:
        """What `GET /sim/follow` answers: the connection, and how old each top is."""
        now_ns = self._clock.now_ns()
        return {
            "environment": self._endpoints.environment,
            "link": self._market.supervisor.facts(now_ns),
            "symbols": {
                symbol: {
                    "age_ms": (now_ns - flow.heard_ns) // NS_PER_MS if flow.heard_ns else None,
                    "is_stale": flow.is_stale(now_ns),
                    "tops": flow.tops,
                    "trades": flow.trades,
                }
                for symbol, flow in self._flows.items()
            },
        }

    def _deliver(self, told: Input) -> None:
        match told:
            case MarketData(top):
                self._on_top(top)
            case PublicTrade(trade):
                self._on_trade(trade)
            case LinkUp():
                self._say(f"follows {self._endpoints.environment}")
            case LinkDown(reason=reason):
                self._say(f"lost the market of {self._endpoints.environment}: {reason}; trying on")
            case RateLimited(reason=reason):
                self._say(f"{self._endpoints.environment} limits us: {reason}")
            case _:
                pass

    def _on_top(self, top: TopOfBook) -> None:
        self._flows[symbol_of(top.instrument_id)].on_top(
            FollowedTop(*map(units_of, (top.bid_px, top.bid_qty, top.ask_px, top.ask_qty))),
            self._clock.now_ns(),
        )

    def _on_trade(self, trade: TradeTick) -> None:
        self._flows[symbol_of(trade.instrument_id)].on_trade(
            trade.aggressor, units_of(trade.price), units_of(trade.qty), self._clock.now_ns()
        )

    async def _watch(self) -> None:
        """Tell once when a symbol's top has become stale, and once when it is fresh again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            now_ns = self._clock.now_ns()
            stale = {symbol for symbol, flow in self._flows.items() if flow.is_stale(now_ns)}
            if gone := sorted(stale - self._stale):
                self._say(f"no fresh top of {', '.join(gone)}: no book until one is heard")
            if back := sorted(self._stale - stale):
                self._say(f"a fresh top of {', '.join(back)}")
            self._stale = stale

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]], name: str) -> bool:
        if self._group is None or self._questions >= _QUESTIONS_MAX:
            return False
        self._questions += 1
        task = spawn(self._group, work(), name=f"follow-{name}")
        task.add_done_callback(self._asked)
        return True

    def _asked(self, _task: asyncio.Task[None]) -> None:
        self._questions -= 1

    def _backoff(self) -> Backoff:
        return Backoff(
            min_s=self._config.backoff_min_ms / 1000,
            max_s=self._config.backoff_max_ms / 1000,
            rng=self._rng,
        )

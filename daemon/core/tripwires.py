"""Tripwires: when weather becomes a storm.

Rules of this file:
1. Each wire has a confirmation rule (promise P11): so many events in a window, or a state that has
   stood so long. One event is never a storm.
2. A wire says that it tripped, once; whether that opens an incident is the conductor's business.
"""

from collections import deque

import msgspec

from daemon.core.blocked_symbols import BlockedSymbols
from daemon.core.engine_config import EngineConfig, Storm
from daemon.core.latest_market import LatestMarket
from daemon.core.turn_context import TurnContext
from daemon.model.amounts import NS_PER_S
from daemon.model.ids import InstrumentId, symbol_of
from daemon.model.orders import Order
from daemon.model.reject_kind import RejectKind
from daemon.model.reports import Reject
from daemon.model.stop_triggers import StopTrigger

_FILTERS_TOLD_NS = 3 * NS_PER_S
"""So long a reload of the venue's filters may take."""


class StormWire:
    """Counts events in a rolling window; trips when they are a storm, then starts over."""

    def __init__(self, storm: Storm, trigger: StopTrigger) -> None:
        """No events yet."""
        self.trigger = trigger
        self._storm = storm
        self._times: deque[int] = deque(maxlen=storm.count)

    def hit(self, now_ns: int) -> bool:
        """One more event; True when the window holds a storm."""
        self._times.append(now_ns)
        full = len(self._times) == self._storm.count
        if full and now_ns - self._times[0] <= self._storm.window_ns:
            self._times.clear()
            return True
        return False

    def recent(self, now_ns: int) -> int:
        """Events in the window now."""
        return sum(1 for at in self._times if now_ns - at <= self._storm.window_ns)


class _Standing(msgspec.Struct):
    """A bad state and since when it stands."""

    since_ns: int
    told: bool = False


class Tripwires:
    """All the wires that count or wait; immediate triggers need none."""

    def __init__(self, ctx: TurnContext, market: LatestMarket, symbols: BlockedSymbols) -> None:
        """Nothing has happened yet."""
        config: EngineConfig = ctx.config
        self._ctx = ctx
        self._market = market
        self._symbols = symbols
        self.rate_limit = StormWire(config.rate_limit_storm, StopTrigger.RATE_LIMIT_STORM)
        self.reject = StormWire(config.reject_storm, StopTrigger.REJECT_STORM)
        self.reconnect = StormWire(config.reconnect_storm, StopTrigger.RECONNECT_STORM)
        self.loop_lag = StormWire(config.loop_lag_storm, StopTrigger.LOOP_LAG)
        self.clock_skew = StormWire(config.clock_skew_storm, StopTrigger.CLOCK_SKEW)
        self._stale: dict[InstrumentId, _Standing] = {}
        self._filters_moved_ns: dict[InstrumentId, int] = {}

    def hit(self, wire: StormWire, msg: str) -> None:
        """Count one event on a wire; a storm asks for an incident."""
        if wire.hit(self._ctx.now_ns):
            self._ctx.trouble(wire.trigger, msg)

    def on_reject(self, reject: Reject, order: Order | None) -> None:
        """Count a refusal that is a fault, or that shows that we do not know a filter.

        The venue is asked for its filters at the first such refusal; what was approved before it
        can have told says nothing new.
        """
        if reject.kind is RejectKind.BUSINESS or (order is not None and order.bot_order_id):
            return  # a bot's faults suspend that bot (core/bots), and stop nobody else
        if reject.kind is RejectKind.FILTER and order is not None:
            counted_ns = self._filters_moved_ns.get(order.instrument_id, -_FILTERS_TOLD_NS)
            if order.ts_approved_ns < counted_ns + _FILTERS_TOLD_NS:
                return
            self._filters_moved_ns[order.instrument_id] = self._ctx.now_ns
        self.hit(self.reject, f"venue rejects, last: {reject.code} {reject.reason}")

    def on_clock(self, offset_ns: int) -> None:
        """A clock sample: beyond the bound again and again is skew."""
        bound = self._ctx.config.clock_skew_max_ns
        if abs(offset_ns) > bound:
            ms = offset_ns // 1_000_000
            self.hit(
                self.clock_skew,
                f"our clock is {ms} ms from the venue's, bound {bound // 1_000_000} ms",
            )

    def tick(self) -> None:
        """A quote that is old while we have orders on its instrument, whatever trades there are."""
        ctx, now = self._ctx, self._ctx.now_ns
        exposed = {
            order.instrument_id: None
            for order in ctx.books.working()
            if not self._symbols.why(order.instrument_id)
        }
        for iid in list(self._stale):
            if iid not in exposed:
                del self._stale[iid]
        for iid in exposed:
            age = self._market.quote_age_ns(iid, now)
            if age is None or age < ctx.config.stale_feed_ns:
                self._stale.pop(iid, None)
                continue
            standing = self._stale.setdefault(iid, _Standing(now))
            if now - standing.since_ns >= ctx.config.stale_feed_confirm_ns and not standing.told:
                standing.told = True
                ctx.trouble(
                    StopTrigger.STALE_FEED,
                    f"the quote is {age // 1_000_000} ms old with orders open",
                    symbol_of(iid),
                )

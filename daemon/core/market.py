"""The latest market data: one top of book per instrument, with the time it reached us."""

from daemon.model.ids import InstrumentId
from daemon.model.market import TopOfBook, TradeTick


class Market:
    """Volatile; nothing durable depends on it."""

    def __init__(self) -> None:
        """No data yet."""
        self.tops: dict[InstrumentId, TopOfBook] = {}
        self.seen_ns: dict[InstrumentId, int] = {}
        """Engine time of the last sign of life (quote or trade) per instrument."""
        self.ticks = 0

    def on_top(self, top: TopOfBook, now_ns: int) -> None:
        """A new best bid and ask."""
        self.tops[top.instrument_id] = top
        self.seen_ns[top.instrument_id] = now_ns
        self.ticks += 1

    def on_trade(self, trade: TradeTick, now_ns: int) -> None:
        """Somebody traded: the feed lives."""
        self.seen_ns[trade.instrument_id] = now_ns
        self.ticks += 1

    def age_ns(self, instrument: InstrumentId, now_ns: int) -> int | None:
        """Time since the last sign of life; None before the first."""
        seen = self.seen_ns.get(instrument)
        return None if seen is None else now_ns - seen

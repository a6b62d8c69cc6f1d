"""The latest market data, each datum with the time at which it was last heard of, by itself."""

from decimal import Decimal

from daemon.model.ids import InstrumentId
from daemon.model.market import TopOfBook, TradeTick


class LatestMarket:
    """Volatile; nothing durable depends on it."""

    def __init__(self) -> None:
        """No data yet."""
        self.tops: dict[InstrumentId, TopOfBook] = {}
        self.quote_ns: dict[InstrumentId, int] = {}
        """When each top of book was received; nothing but a quote moves it."""
        self.last: dict[InstrumentId, tuple[Decimal, int]] = {}
        """Price of the last public trade, and when it was received."""

    def on_top(self, top: TopOfBook, now_ns: int) -> None:
        """A new best bid and ask, as old as its receipt."""
        self.tops[top.instrument_id] = top
        received_ns = top.ts_recv_ns
        self.quote_ns[top.instrument_id] = received_ns if 0 < received_ns < now_ns else now_ns

    def on_trade(self, trade: TradeTick, now_ns: int) -> None:
        """Somebody traded; it says nothing of the book."""
        self.last[trade.instrument_id] = trade.price, now_ns

    def quote_age_ns(self, instrument: InstrumentId, now_ns: int) -> int | None:
        """Time since the top of book was received; None before the first."""
        heard_ns = self.quote_ns.get(instrument)
        return None if heard_ns is None else now_ns - heard_ns

"""The latest market data, each datum with the time at which it was last heard of, by itself."""

from decimal import Decimal

from daemon.model.ids import InstrumentId
from daemon.model.market import TopOfBook, TradeTick

_SAME_MOMENT_NS = 500_000_000
"""Our clock and the venue's may differ by so much while orders leave (`clock_drift`)."""


class LatestMarket:
    """Volatile; nothing durable depends on it."""

    def __init__(self) -> None:
        """No data yet."""
        self.tops: dict[InstrumentId, TopOfBook] = {}
        self.quote_ns: dict[InstrumentId, int] = {}
        """When each top of book was received; nothing but a quote moves it."""
        self.last: dict[InstrumentId, tuple[Decimal, int]] = {}
        """Price of the last public trade, and when it was received."""
        self._since_ns: dict[InstrumentId, int] = {}
        """When the prices and quantities of the top were told for the first time."""
        self._traded_ns: dict[InstrumentId, int] = {}
        """The venue's time of the newest trade, public or ours: a trade changes the book."""

    def on_top(self, top: TopOfBook, now_ns: int) -> bool:
        """A best bid and ask, as old as its receipt; False: it confirms nothing, and is left out.

        A venue that is asked, and tells the same prices and quantities again, says that nothing has
        happened. Where somebody has traded since it told them first, and no change was heard, that
        cannot be: its market data is frozen, and the quote stays as old as it was. (The update id
        tells nothing: it counts changes below the top, and frozen data may have a newer one.)
        """
        instrument = top.instrument_id
        received_ns = top.ts_recv_ns if 0 < top.ts_recv_ns < now_ns else now_ns
        if not _is_same(self.tops.get(instrument), top):
            self._since_ns[instrument] = received_ns
        else:
            traded_ns = self._traded_ns.get(instrument, 0)
            is_over = traded_ns > self._since_ns[instrument] + _SAME_MOMENT_NS
            if is_over and top.ts_venue_ns < traded_ns:
                return False
        self.tops[instrument] = top
        self.quote_ns[instrument] = received_ns
        return True

    def on_trade(self, trade: TradeTick, now_ns: int) -> None:
        """Somebody traded: what was told of the book before it is over, and nothing newer known."""
        self.last[trade.instrument_id] = trade.price, now_ns
        self.on_book_changed(trade.instrument_id, trade.ts_venue_ns)

    def on_book_changed(self, instrument: InstrumentId, ts_venue_ns: int) -> None:
        """A trade at that time of the venue's, public or of ours."""
        if ts_venue_ns > self._traded_ns.get(instrument, 0):
            self._traded_ns[instrument] = ts_venue_ns

    def quote_age_ns(self, instrument: InstrumentId, now_ns: int) -> int | None:
        """Time since the top of book was received; None before the first."""
        heard_ns = self.quote_ns.get(instrument)
        return None if heard_ns is None else now_ns - heard_ns


def _is_same(known: TopOfBook | None, top: TopOfBook) -> bool:
    """Whether prices and quantities are the same."""
    return known is not None and (
        (known.bid_px, known.bid_qty, known.ask_px, known.ask_qty)
        == (top.bid_px, top.bid_qty, top.ask_px, top.ask_qty)
    )

"""What one market connection tells: tops of book, trades, depth. A new connection has a new feed.

Rules of this file:
1. Update ids are compared within one feed only: the venue may count anew after every connect.
2. A frame that is not newer than what was told changes nothing and refreshes no age. One that is
   older is either late or of a venue that has begun anew: a snapshot by REST tells which.
3. While two connections overlap, the newer one's word counts as soon as it has one.
4. bookTicker speaks only when the top changes: a top that was not heard of for CONFIRM_NS is asked
   for by REST, so that the age of a quote is the age of that quote in a quiet market, too.
"""

from collections.abc import Awaitable, Callable

from daemon.errors import SeatrialError
from daemon.model.ids import InstrumentId
from daemon.model.inputs import Input, MarketData, PublicTrade
from daemon.model.market import TopOfBook, TradeTick
from daemon.shell.link.depth_feed import DepthFeeds, Spawn
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.codec_stream import DepthDiff, MarketEvent
from daemon.venues.binance_spot.depth import SnapshotRow, decode_snapshot
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.requests import HttpRequest

CONFIRM_NS = 4_000_000_000
CONFIRM_MAX = 10
"""Tops that are asked for at one look: the weight of 10 snapshots is 50."""
_ASK_AGAIN_NS = 1_000_000_000
_SNAPSHOT_LEVELS = 5


class Speakers:
    """Which feed speaks for each instrument, and the newest trade of each: shared by all feeds."""

    def __init__(self) -> None:
        self.feeds = 0
        self.tops: dict[InstrumentId, int] = {}
        self.trades: dict[InstrumentId, tuple[int, int]] = {}
        """Trade id and the venue's time of the newest trade that was told."""


class MarketFeed:
    """The data of one connection."""

    def __init__(
        self,
        *,
        top_symbols: list[str],
        names: SymbolNames,
        encoder: SpotRestEncoder,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        clock: Clock,
        spawn: Spawn,
        deliver: Callable[[Input], None],
        speakers: Speakers,
        make_depth: Callable[[Callable[[TopOfBook], None]], DepthFeeds],
    ) -> None:
        speakers.feeds += 1
        self._serial = speakers.feeds
        self._speakers = speakers
        self._symbols = {names.instrument(symbol): symbol for symbol in top_symbols}
        self._encoder = encoder
        self._call = call
        self._clock = clock
        self._spawn = spawn
        self._deliver = deliver
        self.depth = make_depth(self._tell)
        self.stale_frames = 0
        """Frames that were not newer than what was told."""
        self.resets = 0
        """How often the venue's update ids began anew within this connection."""
        self._told: dict[InstrumentId, int] = {}
        self._heard_ns: dict[InstrumentId, int] = {}
        self._asked_ns: dict[InstrumentId, int] = {}

    def on_event(self, event: MarketEvent) -> None:
        """One event of the stream."""
        if isinstance(event, TopOfBook):
            told = self._told.get(event.instrument_id, -1)
            if event.update_id > told:
                self._heard(event)
                return
            self.stale_frames += 1
            if event.update_id < told:
                self._ask([event.instrument_id])
        elif isinstance(event, TradeTick):
            self._on_trade(event)
        elif isinstance(event, DepthDiff):
            self.depth.on_diff(event)

    def prime(self) -> None:
        """Ask for every top once: the stream is silent until one changes."""
        self._spawn(lambda: self._snapshots(list(self._symbols)), "tops")

    def confirm(self) -> None:
        """Ask for the tops that were not heard of for long, the oldest first."""
        due_ns = self._clock.now_ns() - CONFIRM_NS
        heard = self._heard_ns
        quiet = [one for one in self._symbols if heard.get(one, 0) <= due_ns]
        self._ask(sorted(quiet, key=lambda one: heard.get(one, 0))[:CONFIRM_MAX])

    def close(self) -> None:
        """The connection is gone: what is under way for it tells nothing any more."""
        self.depth.is_over = True

    def _ask(self, instruments: list[InstrumentId]) -> None:
        now_ns = self._clock.now_ns()
        due = [i for i in instruments if now_ns - self._asked_ns.get(i, 0) >= _ASK_AGAIN_NS]
        if due and self._spawn(lambda: self._snapshots(due), "tops"):
            self._asked_ns.update(dict.fromkeys(due, now_ns))

    async def _snapshots(self, instruments: list[InstrumentId]) -> None:
        """One after the other; a symbol that fails waits for its stream, or for the next look."""
        for instrument in instruments:
            if self.depth.is_over:
                return
            told_before = self._told.get(instrument, -1)
            try:
                request = self._encoder.depth(self._symbols[instrument], _SNAPSHOT_LEVELS)
                reply = await self._call(request)
                if reply.status == 200:
                    snapshot = decode_snapshot(reply.body)
                    self._on_snapshot(instrument, snapshot, told_before, reply.ts_recv_ns)
            except SeatrialError:
                continue

    def _on_snapshot(
        self, instrument: InstrumentId, snapshot: SnapshotRow, told_before: int, recv_ns: int
    ) -> None:
        told = self._told.get(instrument, -1)
        if snapshot.last_update_id < told_before:
            self.resets += 1  # older than what was told before it was asked for: a new count
        elif snapshot.last_update_id < told:
            return  # the stream has told more meanwhile
        if not snapshot.bids or not snapshot.asks:
            return
        (bid, bid_qty), (ask, ask_qty) = snapshot.bids[0], snapshot.asks[0]
        sides = (amount(bid), amount(bid_qty), amount(ask), amount(ask_qty))
        self._heard(TopOfBook(instrument, *sides, snapshot.last_update_id, 0, recv_ns))

    def _heard(self, top: TopOfBook) -> None:
        self._told[top.instrument_id] = top.update_id
        self._heard_ns[top.instrument_id] = top.ts_recv_ns
        self._tell(top)

    def _tell(self, top: TopOfBook) -> None:
        tops = self._speakers.tops
        if not self.depth.is_over and tops.get(top.instrument_id, 0) <= self._serial:
            tops[top.instrument_id] = self._serial
            self._deliver(MarketData(top))

    def _on_trade(self, trade: TradeTick) -> None:
        """A trade told by two connections, or told again, is one trade."""
        trades = self._speakers.trades
        told_id, told_ns = trades.get(trade.instrument_id, (-1, 0))
        if trade.trade_id <= told_id and trade.ts_venue_ns <= told_ns:
            self.stale_frames += 1
            return
        trades[trade.instrument_id] = (trade.trade_id, trade.ts_venue_ns)
        self._deliver(PublicTrade(trade))

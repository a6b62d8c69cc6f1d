"""Market data: one connection for all symbols, tops of book and trades to the engine.

bookTicker speaks only when the top changes, so after every connect the tops are asked for once by
REST; what the stream has told meanwhile is newer and wins by its update id.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from daemon.errors import SeatrialError
from daemon.model.enums import Link
from daemon.model.inputs import Input, MarketData, PublicTrade
from daemon.model.market import TopOfBook, TradeTick
from daemon.shell.backoff import Backoff
from daemon.shell.clock import Clock
from daemon.shell.depth_feed import STREAM_KIND, DepthFeeds, Spawn
from daemon.shell.limits import Limits
from daemon.shell.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link_keeper import LinkKeeper
from daemon.shell.rest_session import HttpReply
from daemon.shell.stream_session import StreamSession
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.codec_rest import RestEncoder
from daemon.venues.binance_spot.codec_stream import (
    DepthDiff,
    MarketEvent,
    StreamReader,
    stream_names,
)
from daemon.venues.binance_spot.depth import SnapshotRow, decode_snapshot
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.hosts import Road
from daemon.venues.requests import HttpRequest

_PRIME_LEVELS = 5
_TOP_KIND = "bookTicker"


class MarketRoad:
    """Owns the market connection; symbols with a depth book take their top from it."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        names: SymbolNames,
        config: LinkConfig,
        clock: Clock,
        limits: Limits,
        depth: DepthFeeds,
        encoder: RestEncoder,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        spawn: Spawn,
        deliver: Callable[[Input], None],
        settle: Callable[[], None],
        backoff: Backoff,
    ) -> None:
        self._endpoints = endpoints
        self._config = config
        self._clock = clock
        self._limits = limits
        self._depth = depth
        self._names = names
        self._encoder = encoder
        self._call = call
        self._spawn = spawn
        self._told: dict[str, int] = {}
        """Newest update id per instrument that was told since the connection was opened."""
        self._deliver = deliver
        self._settle = settle
        self._reader = StreamReader(names)
        self.keeper: LinkKeeper[StreamSession] = LinkKeeper(
            link=Link.MARKET,
            open_session=self._open,
            clock=clock,
            config=config,
            deliver=deliver,
            backoff=backoff,
        )

    def facts(self, now_ns: int) -> dict[str, Any]:
        """What status and metrics show."""
        return {**self.keeper.facts(now_ns), "depth": self._depth.facts()}

    async def _open(self) -> StreamSession:
        self._limits.connect(weight=0)
        session = StreamSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(Road.STREAMS),
            names=self._stream_names(),
            newest_of=stream_names(self._top_symbols(), [_TOP_KIND]),
            reader=self._reader,
            clock=self._clock,
            on_event=self._on_event,
            on_read_over=self._settle,
            silence_max_s=self._config.stream_silence_max_ms / 1000,
        )
        try:
            await session.open(
                connect_deadline_s=self._config.connect_deadline_ms / 1000,
                ping_idle_s=self._config.ping_idle_ms / 1000,
                ping_reply_s=self._config.ping_reply_ms / 1000,
            )
        except SeatrialError as error:
            raise self._limits.of_handshake(error) from error
        self._told.clear()
        self._spawn(self._prime, "tops")
        return session

    async def _prime(self) -> None:
        """Ask for each top once; a symbol that fails waits for its stream."""
        for symbol in self._top_symbols():
            try:
                reply = await self._call(self._encoder.depth(symbol, _PRIME_LEVELS))
                if reply.status == 200:
                    self._tell_top(symbol, decode_snapshot(reply.body), reply.ts_recv_ns)
            except SeatrialError:
                continue

    def _tell_top(self, symbol: str, snapshot: SnapshotRow, ts_recv_ns: int) -> None:
        instrument = self._names.instrument(symbol)
        if not snapshot.bids or not snapshot.asks:
            return
        if snapshot.last_update_id <= self._told.get(instrument, -1):
            return
        (bid, bid_qty), (ask, ask_qty) = snapshot.bids[0], snapshot.asks[0]
        top = TopOfBook(
            instrument,
            amount(bid),
            amount(bid_qty),
            amount(ask),
            amount(ask_qty),
            snapshot.last_update_id,
            0,
            ts_recv_ns,
        )
        self._deliver(MarketData(top))

    def _on_event(self, event: MarketEvent) -> None:
        if isinstance(event, TopOfBook):
            self._told[event.instrument_id] = event.update_id
            self._deliver(MarketData(event))
        elif isinstance(event, TradeTick):
            self._deliver(PublicTrade(event))
        elif isinstance(event, DepthDiff):
            self._depth.on_diff(event)

    def _top_symbols(self) -> list[str]:
        """Symbols without a depth book: their stream tells the whole top with every frame."""
        depth = self._config.depth_symbols
        return [symbol for symbol in self._config.symbols if symbol not in depth]

    def _stream_names(self) -> list[str]:
        names = []
        for symbol in self._config.symbols:
            book = STREAM_KIND if symbol in self._config.depth_symbols else _TOP_KIND
            kinds = (book, "trade") if self._config.with_trades else (book,)
            names += stream_names([symbol], kinds)
        return names

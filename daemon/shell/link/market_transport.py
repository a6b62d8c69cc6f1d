"""Market data: one connection for all symbols; each has a feed of its own (`market_feed.py`)."""

from collections.abc import Awaitable, Callable
from typing import Any

from daemon.errors import SeatrialError
from daemon.model.enums import Link
from daemon.model.inputs import Input
from daemon.model.market import TopOfBook
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.depth_feed import STREAM_KIND, DepthFeeds, Spawn
from daemon.shell.link.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link.link_keeper import LinkKeeper
from daemon.shell.link.market_feed import MarketFeed, Speakers
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.codec_stream import StreamReader, stream_names
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.hosts import Road
from daemon.venues.requests import HttpRequest

_TOP_KIND = "bookTicker"


class MarketTransport:
    """Owns the market connection; symbols with a depth book take their top from it."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        names: SymbolNames,
        config: LinkConfig,
        clock: Clock,
        limits: RateRefusals,
        encoder: SpotRestEncoder,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        spawn: Spawn,
        deliver: Callable[[Input], None],
        settle: Callable[[], None],
        make_backoff: Callable[[], Backoff],
    ) -> None:
        self._endpoints = endpoints
        self._config = config
        self._clock = clock
        self._limits = limits
        self._names = names
        self._encoder = encoder
        self._call = call
        self._spawn = spawn
        self._deliver = deliver
        self._settle = settle
        self._make_backoff = make_backoff
        self._reader = StreamReader(names)
        self._speakers = Speakers()
        self._feed = self._make_feed()
        self.keeper: LinkKeeper[MarketSession] = LinkKeeper(
            link=Link.MARKET,
            open_session=self._open,
            clock=clock,
            config=config,
            deliver=deliver,
            backoff=make_backoff(),
        )

    def facts(self, now_ns: int) -> dict[str, Any]:
        """What status and metrics show; the books are those of the newest connection."""
        return {
            **self.keeper.facts(now_ns),
            "stale_frames": self._feed.stale_frames,
            "resets": self._feed.resets,
            "depth": self._feed.depth.facts(),
        }

    async def _open(self) -> MarketSession:
        self._limits.connect(weight=0)
        feed = self._make_feed()
        session = MarketSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(Road.STREAMS),
            names=self._stream_names(),
            newest_of=stream_names(self._top_symbols(), [_TOP_KIND]),
            reader=self._reader,
            clock=self._clock,
            on_event=feed.on_event,
            on_read_over=self._settle,
            on_look=feed.confirm,
            on_over=feed.close,
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
        self._feed = feed
        feed.prime()
        return session

    def _make_feed(self) -> MarketFeed:
        return MarketFeed(
            top_symbols=self._top_symbols(),
            names=self._names,
            encoder=self._encoder,
            call=self._call,
            clock=self._clock,
            spawn=self._spawn,
            deliver=self._deliver,
            speakers=self._speakers,
            make_depth=self._make_depth,
        )

    def _make_depth(self, tell: Callable[[TopOfBook], None]) -> DepthFeeds:
        return DepthFeeds(
            self._config.depth_symbols,
            names=self._names,
            encoder=self._encoder,
            call=self._call,
            clock=self._clock,
            tell=tell,
            spawn=self._spawn,
            make_backoff=self._make_backoff,
        )

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

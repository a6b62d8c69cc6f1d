"""Market data: one connection for all symbols; each has a feed of its own (`market_feed.py`)."""

from collections.abc import Awaitable, Callable
from typing import Any

from daemon.errors import SeatrialError
from daemon.model.enums import Link
from daemon.model.inputs import Input
from daemon.model.market import TopOfBook
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.depth_feed import DepthFeeds, Spawn
from daemon.shell.link.link_config import LinkConfig, VenueEndpoints
from daemon.shell.link.link_supervisor import LinkSupervisor
from daemon.shell.link.market_feed import MarketFeed, Speakers
from daemon.shell.link.rate_refusals import RateRefusals
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.hosts import EndpointKind
from daemon.venues.requests import HttpRequest


class MarketTransport:
    """Owns the market connection; symbols with a depth book take their top from it."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: VenueAdapter,
        config: LinkConfig,
        clock: Clock,
        limits: RateRefusals,
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
        self._adapter = adapter
        self._call = call
        self._spawn = spawn
        self._deliver = deliver
        self._settle = settle
        self._make_backoff = make_backoff
        self._speakers = Speakers()
        self._feed = self._make_feed()
        self.supervisor: LinkSupervisor[MarketSession] = LinkSupervisor(
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
            **self.supervisor.facts(now_ns),
            "stale_frames": self._feed.stale_frames,
            "resets": self._feed.resets,
            "depth": self._feed.depth.facts(),
        }

    async def _open(self) -> MarketSession:
        self._limits.connect(weight=0)
        feed = self._make_feed()
        session = MarketSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(EndpointKind.STREAMS),
            names=self._stream_names(),
            newest_of=[self._adapter.market.top_stream(one) for one in self._top_symbols()],
            codec=self._adapter.market,
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
            adapter=self._adapter,
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
            adapter=self._adapter,
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
        market, names = self._adapter.market, []
        for symbol in self._config.symbols:
            is_deep = symbol in self._config.depth_symbols
            names.append((market.depth_stream if is_deep else market.top_stream)(symbol))
            if self._config.with_trades:
                names.append(market.trade_stream(symbol))
        return names

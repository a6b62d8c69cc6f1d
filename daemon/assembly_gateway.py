"""The gateway of one boot, put together from the configuration and what the daemon has.

Its modules, and cryptography with them, are imported where one is configured: a daemon without bots
starts without them, a sixth sooner.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daemon.model.bots import BotView
from daemon.model.effects import BotEffect
from daemon.model.enums import GateState
from daemon.settings import Config, Settings
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.link.venue_urls import endpoints_of
from daemon.shell.process.clock import Clock
from daemon.shell.pump import Pump
from daemon.venues.hosts import EndpointKind
from riskcaps.words.capset import CapSet

if TYPE_CHECKING:
    from daemon.shell.gateway.gateway import Gateway
    from daemon.shell.gateway.gateway_rules import BotRules

_BACKOFF_MIN_S, _BACKOFF_MAX_S = 0.5, 30.0
_ORDERS_WINDOW_S = 10


class GatewaySide:
    """The gateway as the composition root has it: nothing at all where none is configured."""

    def __init__(
        self, config: Config, api_key: str, status: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Nothing is read before `build`; `status` is what was published last."""
        self._config = config
        self._published = status
        self._api_key = api_key
        self._gateway: Gateway | None = None

    def build(
        self,
        pump: Pump,
        link: VenueLink,
        clock: Clock,
        views: Callable[[], Sequence[BotView]],
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        """Make it, on the main loop.

        `on_fatal` hears on the main loop of a bug that has ended the gateway.

        Raises:
            CredentialsRefused, OSError: a key of a bot cannot be used.
        """
        settings = self._config.settings
        if not settings.gateway.listen:
            return
        from daemon.shell.gateway.bot_keys import digest_of  # noqa: PLC0415 - see above
        from daemon.shell.gateway.gateway import Gateway, GatewayPorts  # noqa: PLC0415 - see above
        from daemon.shell.public_reads import AccountReads, PublicReads, PublicStreams  # noqa: PLC0415 - see above

        main_loop, endpoints = asyncio.get_running_loop(), endpoints_of(settings.venue)
        rng = random.Random(clock.now_ns())  # noqa: S311 - jitter of back-off, not a secret
        ports = GatewayPorts(
            offer=pump.offer_threadsafe,
            data=PublicReads(link.call_public, main_loop),
            account=AccountReads(link.call_about_account, main_loop, clock),
            streams=PublicStreams(
                endpoints.environment,
                endpoints.endpoint(EndpointKind.STREAMS),
                Backoff(min_s=_BACKOFF_MIN_S, max_s=_BACKOFF_MAX_S, rng=rng),
            ),
            offset_ns=lambda: link.offset_ns,
            is_ready=lambda: self._published().get("gate_state") == GateState.READY,
            on_fatal=lambda error: _on_loop(main_loop, on_fatal, error),
        )
        self._gateway = Gateway(
            settings=settings.gateway,
            environment=settings.venue.environment,
            state_dir=settings.state_dir,
            rules=bot_rules(settings, self._config.capset),
            views=views(),
            venue_key_digest=digest_of(self._api_key),
            clock=clock,
            ports=ports,
        )

    def post(self, effect: BotEffect) -> None:
        """What bots are told; from the main loop, never waiting."""
        if self._gateway is not None:
            self._gateway.post(effect)

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be used.
        """
        if self._gateway is not None:
            self._gateway.start()

    def stop(self) -> None:
        """Close every connection."""
        if self._gateway is not None:
            self._gateway.stop()

    def status(self) -> Mapping[str, Any]:
        """The gateway's part of the status."""
        return {} if self._gateway is None else self._gateway.status()


def _on_loop(
    loop: asyncio.AbstractEventLoop, hear: Callable[[BaseException], None], error: BaseException
) -> None:
    with contextlib.suppress(RuntimeError):  # the daemon has ended before
        loop.call_soon_threadsafe(hear, error)


def each(*deeds: Callable[[], object]) -> None:
    """One after the other, in a thread that may wait."""
    for deed in deeds:
        deed()


def bot_rules(settings: Settings, caps: CapSet) -> "tuple[BotRules, ...]":
    """What the gateway needs to know of each bot."""
    from daemon.shell.gateway.gateway_rules import BotRules  # noqa: PLC0415 - see above

    return tuple(
        BotRules(
            name=name,
            symbols=bot.symbols,
            can_trade=bot.mode == "trade",
            patience_s=bot.patience_ms / 1_000,
            requests_per_second=bot.requests_per_second,
            requests_burst=bot.requests_burst,
            cancels_per_second=bot.cancels_per_second,
            orders_10s=caps.orders_per_second_max * _ORDERS_WINDOW_S,
            orders_day=caps.orders_per_day_max,
            cancel_after_ns=bot.cancel_after_ms * 1_000_000,
        )
        for name, bot in settings.bots.items()
    )

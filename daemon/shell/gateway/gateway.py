"""The gateway as a whole: a thread with a loop of its own, as the control plane has.

Rules of this file:
1. The main loop hands effects over and waits for nothing; this thread hands inputs over.
2. It can wish and look, never send: what it holds of the venue answers public questions, and a few
   signed ones that tell of no order.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.bots import BotKeyMisused, BotState, BotSwitched, BotThrottled, BotView
from daemon.model.effects import BotEffect
from daemon.model.inputs import (
    Input,
)
from daemon.settings_bots import GatewaySettings
from daemon.shell.gateway.bot_authentication import Authentication
from daemon.shell.gateway.bot_calls import AccountData, BotCalls
from daemon.shell.gateway.bot_keys import KeyRing
from daemon.shell.gateway.gateway_rest import RestFront
from daemon.shell.gateway.gateway_rules import BotRules
from daemon.shell.gateway.gateway_ws import ApiFront
from daemon.shell.gateway.public import PublicCalls
from daemon.shell.gateway.public_market import MarketCache, PublicData
from daemon.shell.gateway.request_waiters import RequestWaiters
from daemon.shell.gateway.server import Fronts, GatewayServer
from daemon.shell.gateway.stream_hub import BotStreamHub, StreamSource
from daemon.shell.gateway.views import Views
from daemon.shell.process.clock import Clock
from daemon.shell.process.tasks import spawn

log = logging.getLogger("seatriald")
START_S = 10.0
_CARE_S = 0.25
_SUMMARY_S = 1.0
_MISUSE_EVERY_NS = 60 * NS_PER_S


class GatewayPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What the composition root gives to the gateway."""

    offer: Callable[[Input], None]
    """Puts an input into the pump's queue, from any thread."""
    data: PublicData
    account: AccountData
    streams: StreamSource
    offset_ns: Callable[[], int]
    """The venue's clock minus ours."""
    is_ready: Callable[[], bool]
    """Whether the gate is READY: a bot's silence counts from then on."""
    on_fatal: Callable[[BaseException], None]
    """A bug has ended the gateway: nobody watches the bots any more, so the process must end."""


class Gateway:
    """One listener for all bots. `start` and `stop` from the main thread, `post` from its loop."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        environment: str,
        state_dir: Path,
        rules: Iterable[BotRules],
        views: Iterable[BotView],
        venue_key_digest: str,
        clock: Clock,
        ports: GatewayPorts,
    ) -> None:
        """Build everything that can fail before anything listens.

        Raises:
            CredentialsRefused, OSError: a key file cannot be used.
        """
        self._rules = tuple(rules)
        self._clock = clock
        self._ports = ports
        seen = tuple(views)
        self._views = Views(seen)
        self._waiting = RequestWaiters(ports.offer)
        bots = {one.name: one.can_trade for one in self._rules}
        self._authentication = Authentication(
            KeyRing(state_dir, bots, venue_key_digest=venue_key_digest),
            self._rules,
            told={view.bot: view.public_key for view in seen},
            clock=clock,
            offset_ns=ports.offset_ns,
            on_incident=self._on_incident,
            on_revoked=self._on_revoked,
            on_replaced=self._on_replaced,
        )
        calls = BotCalls(
            environment=environment,
            views=self._views,
            waiting=self._waiting,
            account=ports.account,
            counts=self._authentication.counts,
            now_ns=clock.now_ns,
        )
        symbols = {symbol for one in self._rules for symbol in one.symbols}
        self._hub = BotStreamHub(ports.streams, symbols, clock.now_ns)
        self._cache = MarketCache(ports.data, clock, self._hub.follows_book)
        public = PublicCalls(
            self._cache, self._rules, venue_ms=lambda: self._authentication.judge_ns() // NS_PER_MS
        )
        self._api = ApiFront(self._authentication, calls, public)
        fronts = Fronts(RestFront(self._authentication, calls, public), self._api, self._hub)
        self._server = GatewayServer(settings, fronts, clock)
        self._effects: deque[BotEffect] = deque()
        self._is_woken = False
        self._gone: set[str] = set()
        self._told_ns: dict[tuple[str, str], int] = {}
        self._ready_ns = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._error: BaseException | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name="seatrial-gateway", daemon=True)
        self.address = ""
        """Where it listens, once it does."""

    # ------------------------------------------------------------------ the main thread's side
    def start(self) -> None:
        """Listen from now on.

        Raises:
            OSError: the address cannot be used; the message names the mend.
        """
        self._thread.start()
        if not self._is_up.wait(START_S):
            raise OSError(f"gateway: it did not come up within {START_S:g} s")
        if self._error is not None:
            raise OSError(
                f"gateway: {self._error}; set gateway.listen to an address that is free"
            ) from self._error

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Close every connection; False when the thread did not end in time."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(stop.set)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def post(self, effect: BotEffect) -> None:
        """Hand an effect over, from the main loop; its lines are written."""
        self._effects.append(effect)
        loop = self._loop
        if self._is_woken or loop is None:
            return
        self._is_woken = True
        try:
            loop.call_soon_threadsafe(self._follow)
        except RuntimeError:
            return  # it has ended: nobody waits any more

    def status(self) -> Mapping[str, Any]:
        """What `status` shows of the gateway and its bots; read without waiting for it."""
        return {
            "gateway": {
                "address": self.address,
                "requests": self._server.requests,
                "turned_away": self._server.turned_away,
                "key_failures": self._authentication.failures,
                "waiting": len(self._waiting),
                "unknown_answers": self._waiting.unknown,
                "api_connections": len(self._api),
                "stream_connections": len(self._hub),
                "cache_hits": self._cache.hits,
                "cache_misses": self._cache.misses,
            },
            "bots_seen": {one.name: self._seen(one.name) for one in self._rules},
        }

    def _seen(self, bot: str) -> dict[str, Any]:
        seen, throttle = self._authentication.seen[bot], self._authentication.throttles[bot]
        return {
            "seen_ns": seen.last_ns,
            "longest_silence_s": round(seen.longest_silence_ns / 1e9, 3),
            "throttled": throttle.refused,
            "banned_until_ns": throttle.banned_until_ns,
        }

    # ------------------------------------------------------------------ the thread's side
    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._main())
        except BaseException as error:
            self._error = error
            if self._is_up.is_set():
                log.critical("gateway: it has ended: %s", error, exc_info=error)
                self._ports.on_fatal(error)
        finally:
            self._is_up.set()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self.address = await self._server.start()
        self._loop = asyncio.get_running_loop()
        self._follow()
        self._is_up.set()
        try:
            async with asyncio.TaskGroup() as group:
                children = [
                    spawn(group, self._server.care(), name="gateway pings"),
                    spawn(group, self._care(), name="gateway care"),
                    spawn(
                        group,
                        self._ports.streams.run(self._hub.on_frame, self._hub.on_lost),
                        name="gateway streams",
                    ),
                ]
                await self._stop.wait()
                for child in children:
                    child.cancel()
        finally:
            await self._server.stop()

    def _follow(self) -> None:
        """Take every effect that waits, in order: view, answers, user data."""
        self._is_woken = False
        while self._effects:
            effect = self._effects.popleft()
            self._views.follow(effect)
            self._waiting.follow(effect)
            self._api.follow(effect)

    async def _care(self) -> None:
        """Keys, silences, and one line a second of what was refused; for ever."""
        told_ns = 0
        for (
            bot
        ) in self._authentication.revoked:  # perhaps while no daemon ran: the engine has not heard
            if self._views[bot].state is not BotState.REVOKED:
                self._on_revoked(bot)
        while True:
            await asyncio.sleep(_CARE_S)
            now_ns = self._clock.now_ns()
            self._authentication.look(thorough=True)
            self._look_for_silence(now_ns)
            if now_ns - told_ns >= _SUMMARY_S * 1e9:
                told_ns = now_ns
                for bot, throttle in self._authentication.throttles.items():
                    count, window_ms = throttle.take_count(now_ns)
                    if count:
                        self._ports.offer(BotThrottled(bot=bot, count=count, window_ms=window_ms))

    def _look_for_silence(self, now_ns: int) -> None:
        """A bot that is silent for too long loses its orders, once; READY begins the count anew."""
        if not self._ports.is_ready():
            self._ready_ns = 0
            return
        self._ready_ns = self._ready_ns or now_ns
        for rules in self._rules:
            since_ns = max(self._ready_ns, self._authentication.seen[rules.name].last_ns)
            silent_ns = now_ns - since_ns
            if not rules.cancel_after_ns or silent_ns < rules.cancel_after_ns:
                self._gone.discard(rules.name)
            elif rules.name not in self._gone:
                self._gone.add(rules.name)
                reason = f"silent for {silent_ns / 1e9:.1f} s (cancel_after_ms)"
                self._ports.offer(
                    BotSwitched(bot=rules.name, state=BotState.GONE, reason=reason, cancel=True)
                )

    def _on_incident(self, what: str, bot: str) -> None:
        """A key is in the wrong hands; told once a minute at most, and never with the key."""
        now_ns = self._clock.now_ns()
        if now_ns - self._told_ns.get((what, bot), -_MISUSE_EVERY_NS) >= _MISUSE_EVERY_NS:
            self._told_ns[what, bot] = now_ns
            self._ports.offer(BotKeyMisused(bot=bot, what=what))

    def _on_replaced(self, bot: str) -> None:
        """It has another key: whoever has signed with the old one hears nothing more."""
        self._api.revoke(bot)

    def _on_revoked(self, bot: str) -> None:
        """Its key is gone: its connections end, its orders are cancelled."""
        self._api.revoke(bot)
        self._ports.offer(
            BotSwitched(bot=bot, state=BotState.REVOKED, reason="its key was revoked", cancel=True)
        )

"""The REST link's life: clock, symbols, limits; up while they can be read, down when they cannot.

Rules of this file:
1. `ready` is set after the first clock sample and exchangeInfo: nothing signed leaves before.
2. A failure is confirmed `FAILURES_MAX` times before the link counts as down (no false stops).
3. A governor's pause is no failure: nothing was sent.
4. Who doubts the venue's list of symbols has it read again, at once or when it is old enough; the
   list is read no more often than that, however often somebody doubts.
5. The account's own filters (weight 40 a symbol) are asked a symbol every five seconds, when up,
   and again when exchangeInfo has changed; where the venue has none to tell, none apply.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from daemon.errors import BudgetEmpty, SeatrialError, Undecodable, VenueRefusal
from daemon.model.enums import Link
from daemon.model.inputs import (
    BudgetSampled,
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkDown,
    LinkUp,
)
from daemon.model.instrument import Instrument
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.rest_session import RestSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.process.clock import Clock
from daemon.venues.adapter import VenueAdapter
from daemon.venues.contract import NOT_LISTED, Listed, RateLimitRow
from daemon.venues.faults import Cause

FAILURES_MAX = 3
_ROUNDS_FIRST = 5
_ROUNDS_LATER = 3
_TICK_S = 0.5
_RESYNC_GAP_NS = 1_000_000_000
_STEP_NS = 200_000_000
"""A jump between two samples that no drift explains."""
_FAR_NS = 500_000_000
REFUSED_GAP_NS = 1_000_000_000
"""The venue has refused an order by a filter: a list that is older than this is read again."""
DENIED_GAP_NS = 5_000_000_000
"""Our own gate has denied by one: weight 20 every 5 s is 4 % of what Binance gives a minute."""
_OWN_FILTERS_GAP_NS = 5_000_000_000
_STEADY_ROUNDS = 5
_HURRIED_PERIOD_MS = 3_000
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class RestLink:
    """Runs as one task; `sync_now` and `refresh` ask for a round ahead of its time."""

    def __init__(
        self,
        *,
        rest: RestSession,
        adapter: VenueAdapter,
        sync: TimeSync,
        governor: Governor,
        clock: Clock,
        config: LinkConfig,
        deliver: Callable[[Input], None],
        backoff: Backoff,
    ) -> None:
        self.ready = asyncio.Event()
        self.sync_now = asyncio.Event()
        self.up = False
        self.reconnects = 0
        self.last_error = ""
        self.unknown_filters: tuple[str, ...] = ()
        """Kinds of the venue's filters that no rule of ours knows."""
        self._rest = rest
        self._adapter = adapter
        self._encode, self._decode = adapter.encode, adapter.decode
        self._sync = sync
        self._governor = governor
        self._clock = clock
        self._config = config
        self._deliver = deliver
        self._backoff = backoff
        self._loaded = InstrumentsLoaded(())
        """As exchangeInfo says, without the account's own filters."""
        self._instruments: tuple[Instrument, ...] = ()
        self._own_filters_due_ns = 0
        self._unasked: list[str] = []
        """Symbols whose own filters were not asked for since."""
        self._told_down = False
        self._ever_up = False
        self._synced_ns = 0
        self._steady_rounds = _STEADY_ROUNDS
        self._loaded_ns = 0
        self._load_due_ns = 0
        self._sampled_ns = 0

    async def run(self) -> None:
        """Keep the link until cancelled."""
        while True:
            try:
                await self._measure(_ROUNDS_FIRST)
                await self._load()
            except SeatrialError as error:
                self._note_down(str(error))
                await self._pause(error)
                continue
            self._backoff.reset()
            self._note_up()
            await self._stay_up()

    def refresh(self, gap_ns: int) -> None:
        """Read the venue's list of symbols as soon as the last reading is `gap_ns` old."""
        self._load_due_ns = min(self._load_due_ns, self._loaded_ns + gap_ns)

    def facts(self, now_ns: int) -> dict[str, Any]:
        """What status and metrics show."""
        return {
            "up": self.up,
            "reconnects": self.reconnects,
            "requests": self._rest.requests,
            "last_error": self.last_error,
            "last_frame_age_ms": _age_ms(now_ns, self._rest.last_reply_ns),
            "unknown_filters": list(self.unknown_filters),
            "clock_age_ms": _age_ms(now_ns, self._synced_ns),
            "filters_age_ms": _age_ms(now_ns, self._loaded_ns),
        }

    async def _stay_up(self) -> None:
        failures = 0
        while failures < FAILURES_MAX:
            await self._tick()
            try:
                await self._due_rounds()
                failures = 0
            except BudgetEmpty as error:
                await self._pause(error)
            except SeatrialError as error:
                failures += 1
                self.last_error = str(error)
                await self._pause(error)
        self._note_down(self.last_error)

    async def _tick(self) -> None:
        try:
            async with asyncio.timeout(_TICK_S):
                await self.sync_now.wait()
        except TimeoutError:
            pass

    async def _due_rounds(self) -> None:
        now_ns = self._clock.now_ns()
        since_sync_ns = now_ns - self._synced_ns
        asked = self.sync_now.is_set() and since_sync_ns >= _RESYNC_GAP_NS
        if asked or since_sync_ns >= self._sync_period_ms() * _NS_PER_MS:
            await self._measure(_ROUNDS_LATER)
        elif self.sync_now.is_set():
            await asyncio.sleep(_TICK_S)  # measured less than a second ago
        if now_ns >= self._load_due_ns:
            await self._load()
        if self._unasked and now_ns >= self._own_filters_due_ns:
            self._own_filters_due_ns = now_ns + _OWN_FILTERS_GAP_NS
            await self._ask_asset_filters()
        if now_ns - self._sampled_ns >= self._config.budget_period_ms * _NS_PER_MS:
            self._sampled_ns = now_ns
            self._deliver(BudgetSampled(self._governor.used(now_ns), self._governor.limits()))

    async def _measure(self, rounds: int) -> None:
        sample = await self._sync.measure(rounds)
        self.sync_now.clear()
        self._synced_ns = self._clock.now_ns()
        self._governor.offset_ns = sample.offset_ns
        before = self._sync.previous
        if before is not None and abs(sample.offset_ns - before.offset_ns) > _STEP_NS:
            self._steady_rounds = 0
        else:
            self._steady_rounds += 1
        self._deliver(ClockSampled(sample.offset_ns, sample.round_trip_ns))

    def _sync_period_ms(self) -> int:
        """Often while the clock steps or is far off: it may come back any moment."""
        far = abs(self._sync.offset_ns) > _FAR_NS
        if far or (self._steady_rounds < _STEADY_ROUNDS and self._sync.previous is not None):
            return min(_HURRIED_PERIOD_MS, self._config.time_sync_period_ms)
        return self._config.time_sync_period_ms

    async def _load(self) -> None:
        listed = await self._listed()
        self.unknown_filters = listed.unknown_filters
        self._loaded_ns = self._clock.now_ns()
        self._load_due_ns = self._loaded_ns + self._config.exchange_info_period_ms * _NS_PER_MS
        self._governor.configure(listed.limits)
        loaded = InstrumentsLoaded(listed.instruments, listed.absent)
        if loaded != self._loaded:
            self._loaded, self._instruments = loaded, loaded.instruments
            self._unasked = [one.symbol for one in loaded.instruments]
            self._deliver(loaded)

    async def _listed(self) -> Listed:
        """Our symbols as the venue lists them. One that it does not list spoils no other.

        Raises:
            VenueRefusal, Undecodable: nothing of ours is listed, or the venue does not answer.
        """
        try:
            listed = await self._ask(self._adapter.symbols)
        except (VenueRefusal, Undecodable) as error:
            # One unknown name, or one row of another shape, spoils the whole answer.
            if len(self._adapter.symbols) == 1 or not self._is_about_a_symbol(error):
                raise
            listed = await self._ask_each()
        if not listed.instruments:
            why = "; ".join(f"{symbol}: {text}" for symbol, text in listed.absent.items())
            raise Undecodable(f"no symbol can be traded; check `symbols` in the config: {why}")
        return listed

    async def _ask(self, symbols: tuple[str, ...]) -> Listed:
        reply = await self._rest.call(self._encode.exchange_info(symbols))
        if reply.status != 200:
            fault = self._decode.error(reply.status, reply.body)
            raise VenueRefusal(fault.status, fault.code, f"exchangeInfo: {fault.message}")
        return self._decode.listed(reply.body, symbols)

    async def _ask_each(self) -> Listed:
        instruments: tuple[Instrument, ...] = ()
        absent: dict[str, str] = {}
        limits: tuple[RateLimitRow, ...] = ()
        unknown: set[str] = set()
        for symbol in self._adapter.symbols:
            try:
                one = await self._ask((symbol,))
            except (VenueRefusal, Undecodable) as error:
                if not self._is_about_a_symbol(error):
                    raise
                absent[symbol] = NOT_LISTED if isinstance(error, VenueRefusal) else str(error)
                continue
            instruments += one.instruments
            absent |= one.absent
            limits = one.limits or limits
            unknown |= set(one.unknown_filters)
        return Listed(instruments, absent, limits, tuple(sorted(unknown)))

    def _is_about_a_symbol(self, error: VenueRefusal | Undecodable) -> bool:
        """Whether one name or one row may be what spoilt an answer about several."""
        if isinstance(error, Undecodable):
            return True
        fault = self._adapter.fault(error.status, error.code, error.message)
        return fault.cause is Cause.NO_SYMBOL

    async def _ask_asset_filters(self) -> None:
        symbol = self._unasked.pop(0)
        request = self._encode.my_filters(symbol, self._sync.venue_ms())
        try:
            reply = await self._rest.call(request)
            if reply.status != 200:
                return
            known = {one.symbol: one for one in self._instruments}
            made = self._decode.own_filters(known[symbol], reply.body)
        except SeatrialError:
            return  # it is a courtesy of the venue: what it does not tell, it refuses itself
        if made != known[symbol]:
            known[symbol] = made
            self._instruments = tuple(known.values())
            self._deliver(InstrumentsLoaded(self._instruments, self._loaded.absent))

    def _note_up(self) -> None:
        if self._ever_up:
            self.reconnects += 1
        self._ever_up = True
        self.up = True
        self._told_down = False
        self.ready.set()
        self._deliver(LinkUp(Link.REST))

    def _note_down(self, reason: str) -> None:
        self.up = False
        self.last_error = reason
        if not self._told_down:
            self._told_down = True
            self._deliver(LinkDown(Link.REST, reason))

    async def _pause(self, error: SeatrialError) -> None:
        wait_s = self._backoff.next_s()
        if isinstance(error, BudgetEmpty):
            wait_s += max(0.0, (error.until_ns - self._clock.now_ns()) / _NS_PER_S)
        await asyncio.sleep(wait_s)


def _age_ms(now_ns: int, then_ns: int) -> int | None:
    return (now_ns - then_ns) // _NS_PER_MS if then_ns else None

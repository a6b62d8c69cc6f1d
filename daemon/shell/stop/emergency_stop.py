"""The emergency stop: cancels everything of ours and proves it, alone (promise P7).

It shares nothing with the main loop: its own connections, its own idea of the venue's clock, its
own budget. It works from another thread's loop and from another process.

Rules of this file:
1. It cancels only orders that carry our prefix; a whole symbol at once only where many are open
   and all are ours.
2. "Empty" means that two listings in a row showed no order of ours; nothing less is reported.
3. It has two routes, the WebSocket API and REST; what fails on one is tried on the other at once.
4. Until the deadline it never gives up: 5xx, timeouts, lost sockets and clock refusals are tried
   again, 429 and 418 when the venue allows.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

import msgspec

from daemon.errors import (
    BudgetEmpty,
    InstanceUnknown,
    NotConnected,
    SeatrialError,
    VenueRefusal,
)
from daemon.model.ids import (
    NO_DIGEST,
    STOP_KIND,
    chain_digest,
    instance_of_order,
    is_ours,
    request_id,
)
from daemon.model.inputs import RateLimited
from daemon.model.time_text import date_text
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.process.clock import Clock
from daemon.shell.stop.emergency_transports import (
    EmergencyTransport,
    RestTransport,
    SocketTransport,
    VenueClock,
)
from daemon.venues.adapter import VenueAdapter
from daemon.venues.contract import OpenRow
from daemon.venues.faults import Cause, Fault, Outcome

_GAP_MIN_S = 0.002
_GAP_MAX_S = 0.25
_REQUEST_DEADLINE_MIN_S = 1.0
_REQUEST_DEADLINE_MAX_S = 5.0
_ERRORS_MAX = 20
_ONE_BY_ONE_AT_ONCE = 32
_BY_NAME_MAX = 8
"""So many orders of a symbol are canceled one by one at once, each under an id of ours. The cancel
of a whole symbol takes no id, and the venue makes one up for each order: with it goes the cancel of
one order, so that the venue keeps the head of our journal at the stop there, too."""
_NS_PER_S = 1_000_000_000

OnRound = Callable[[int, int], None]
"""(orders canceled so far, orders of ours in the latest listing)"""


class KillReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the emergency stop did. Times are monotonic nanoseconds: read their differences."""

    started_ns: int
    first_cancel_ns: int | None
    """When the first cancel was answered with success."""
    last_cancel_ns: int | None
    verified_empty_ns: int | None
    """When the venue had shown twice in a row that nothing of ours is open; None: not proven."""
    canceled: int
    remaining: int
    """Orders of ours in the last listing; -1 when the venue could not be asked at all."""
    silent_until_ns: int = 0
    """Until when (engine time) the venue hears nobody, as it said; 0: it does."""
    rounds: int
    errors: tuple[str, ...] = ()
    others: int = -1
    """Orders of other clients in the last listing, left alone; -1 as for `remaining`."""

    @property
    def unasked(self) -> str:
        """That the venue could not be asked, and until when; empty when it listed our orders."""
        if self.remaining >= 0:
            return ""
        until = f" before {date_text(self.silent_until_ns)}" if self.silent_until_ns else ""
        return f"the venue could not be asked{until}"

    @property
    def open_orders(self) -> int | None:
        """Orders of ours in the last listing; None when there was none."""
        return self.remaining if self.remaining >= 0 else None


class _Progress(msgspec.Struct):
    """One run of the stop."""

    started_ns: int
    deadline_ns: int
    on_round: OnRound | None = None
    first_cancel_ns: int | None = None
    last_cancel_ns: int | None = None
    canceled: int = 0
    remaining: int = -1
    others: int = -1
    rounds: int = 0
    failures: int = 0
    errors: list[str] = msgspec.field(default_factory=list)

    def note_error(self, text: str) -> None:
        if text not in self.errors and len(self.errors) < _ERRORS_MAX:
            self.errors.append(text[:300])

    def note_cancel(self, now_ns: int, count: int) -> None:
        if count == 0:
            return
        self.canceled += count
        self.last_cancel_ns = now_ns
        if self.first_cancel_ns is None:
            self.first_cancel_ns = now_ns


class EmergencyStop:
    """One loop owns it: the loop of its first `warm` or `cancel_and_verify`."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: VenueAdapter,
        instance: str,
        clock: Clock,
        head: Callable[[], str] = str,
        cold: bool = False,
    ) -> None:
        """Wire it; nothing is connected before `warm` or `cancel_and_verify`.

        `head` gives a head of the journal's chain for the ids of its cancels, empty where none is
        known; it must not block.

        Where the listing of the account fails, the adapter's symbols are asked one by one. An
        empty `instance` stands for the only one that has open orders at the venue. `cold` says
        that nothing was warmed and no client imported: the lighter route, the WebSocket API, goes
        first then.

        Raises:
            HostRefused: an address that cannot be used.
        """
        self._adapter = adapter
        self._symbols = adapter.symbols
        self._cold = cold
        self._instance = instance
        self._clock = clock
        self._head = head
        self._venue_clock = VenueClock(clock)
        self._rest = RestTransport(
            endpoints=endpoints,
            adapter=adapter,
            clock=clock,
            venue_clock=self._venue_clock,
            on_limited=self._limited,
        )
        self._socket = SocketTransport(
            endpoints=endpoints,
            adapter=adapter,
            clock=clock,
            venue_clock=self._venue_clock,
            on_limited=self._limited,
        )
        self._limits_told: list[str] = []

    async def warm(self) -> None:
        """Open both routes and measure the clock ahead of need; failing is no error here."""
        for route in (self._rest, self._socket):
            try:
                await route.open()
                await route.measure()
            except SeatrialError:
                continue

    async def keep_warm(
        self, period_s: float = 20.0, may: Callable[[], bool] = lambda: True
    ) -> None:
        """Warm again and again while `may`, until cancelled: the venue closes what is idle."""
        while True:
            if may():
                await self.warm()
            await asyncio.sleep(period_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._socket.close()
        await self._rest.close()

    async def cancel_and_verify(
        self, *, deadline_s: float, on_round: OnRound | None = None
    ) -> KillReport:
        """Cancel everything of ours at the venue and poll until it shows none, twice in a row.

        `on_round` hears after every listing how many were canceled by then and how many are left.
        """
        started_ns = self._clock.monotonic_ns()
        run = _Progress(started_ns, started_ns + int(deadline_s * _NS_PER_S), on_round)
        self._limits_told.clear()
        self._set_deadlines(_REQUEST_DEADLINE_MIN_S)
        verified_ns: int | None = None
        try:
            async with asyncio.timeout(deadline_s):
                verified_ns = await self._until_empty(run)
        except TimeoutError:
            run.note_error(f"not verified empty within {deadline_s:g} s")
        for text in self._limits_told:
            run.note_error(text)
        now_ns = self._clock.now_ns()
        silent_ns = (route.governor.paused_until_ns(now_ns) for route in (self._rest, self._socket))
        return KillReport(
            silent_until_ns=min(silent_ns),
            started_ns=run.started_ns,
            first_cancel_ns=run.first_cancel_ns,
            last_cancel_ns=run.last_cancel_ns,
            verified_empty_ns=verified_ns,
            canceled=run.canceled,
            remaining=run.remaining,
            rounds=run.rounds,
            errors=tuple(run.errors),
            others=run.others,
        )

    async def _until_empty(self, run: _Progress) -> int:
        routes: list[EmergencyTransport] = [self._rest, self._socket]
        if self._cold or self._socket.is_warm:
            routes.reverse()
        empty_in_a_row = 0
        gap_s = _GAP_MIN_S
        while True:
            run.rounds += 1
            before = run.canceled
            try:
                empty = await self._round(routes[0], run)
            except SeatrialError as error:
                empty_in_a_row = 0
                run.note_error(f"{routes[0].name}: {error}")
                routes.reverse()
                await self._after_failure(error, routes[0], run)
                continue
            empty_in_a_row = empty_in_a_row + 1 if empty else 0
            if empty_in_a_row == 2:
                return self._clock.monotonic_ns()
            if empty or run.canceled > before:
                gap_s = _GAP_MIN_S
            else:
                await asyncio.sleep(gap_s)
                gap_s = min(_GAP_MAX_S, gap_s * 2)

    async def _round(self, route: EmergencyTransport, run: _Progress) -> bool:
        """List, cancel what is ours; whether nothing of ours was there."""
        await route.open()
        if not self._venue_clock.measured:
            await route.measure()
        rows, unlisted = await self._open_orders(route, run)
        self._instance = self._instance or self._only_instance(rows, run)
        instance = self._instance
        ours = [row for row in rows if instance and is_ours(row.client_order_id, instance)]
        if ours or unlisted is None:  # none in a part of the symbols is not none
            run.remaining, run.others = len(ours), len(rows) - len(ours)
        if run.on_round is not None and run.remaining >= 0:
            with contextlib.suppress(Exception):  # whoever is told cannot end the stop
                run.on_round(run.canceled, run.remaining)
        if ours:
            await self._cancel(route, rows, ours, run)
        if unlisted is not None:  # the other symbols' orders have been canceled by now
            raise unlisted
        return not ours

    def _only_instance(self, rows: Sequence[OpenRow], run: _Progress) -> str:
        """Whose orders are ours, when the state directory did not say.

        Raises:
            InstanceUnknown: orders of several instances are open.
        """
        found = {name for row in rows if (name := instance_of_order(row.client_order_id))}
        if len(found) > 1:
            raise InstanceUnknown(
                f"the state directory did not say which instance is ours, and orders of "
                f"{', '.join(sorted(found))} are open: cancel ours by hand at the venue"
            )
        if found:
            (name,) = found
            run.note_error(f"the state directory did not answer: took {name}, the only instance")
            return name
        return ""

    async def _open_orders(
        self, route: EmergencyTransport, run: _Progress
    ) -> tuple[Sequence[OpenRow], SeatrialError | None]:
        """All open orders of the account; where just that fails, those of our symbols.

        With the rows comes why another symbol could not be listed: one symbol holds no other.
        """
        try:
            return await route.listing(None), None
        except BudgetEmpty:
            raise
        except SeatrialError as error:
            if run.failures % 4 != 1:  # mostly the other route is the better second try
                raise
            run.note_error(f"{route.name}: {error}")
        answers = await asyncio.gather(
            *(route.listing(symbol) for symbol in self._symbols), return_exceptions=True
        )
        rows: list[OpenRow] = []
        unlisted: SeatrialError | None = None
        listed = 0
        for symbol, answer in zip(self._symbols, answers, strict=True):
            if isinstance(answer, SeatrialError):
                run.note_error(f"{symbol}: {answer}")
                if (
                    self._fault(answer).cause is not Cause.NO_SYMBOL
                ):  # where there is no symbol, nothing is open
                    unlisted = unlisted or answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                listed += 1
                rows += answer
        if not listed:
            gone = "the venue lists no symbol of ours, and not the whole account"
            raise unlisted or NotConnected(gone)
        return rows, unlisted

    async def _cancel(
        self,
        route: EmergencyTransport,
        rows: Sequence[OpenRow],
        ours: Sequence[OpenRow],
        run: _Progress,
    ) -> None:
        """Ask for every cancel at once; what failed shows in the next listing."""
        mine: dict[str, list[OpenRow]] = defaultdict(list)
        everybodys: dict[str, int] = defaultdict(int)
        for row in ours:
            mine[row.symbol].append(row)
        for row in rows:
            everybodys[row.symbol] += 1
        can_cancel_all = self._adapter.capabilities.cancel_all
        at_once = asyncio.Semaphore(_ONE_BY_ONE_AT_ONCE)
        head = self._head()
        digest = chain_digest(head) if head else NO_DIGEST

        async def one(row: OpenRow) -> None:
            named = request_id(STOP_KIND, row.client_order_id, digest) or ""
            async with at_once:
                count = await route.cancel_one(row, named)
            run.note_cancel(self._clock.monotonic_ns(), count)

        async def each(orders: Sequence[OpenRow]) -> None:
            done = await asyncio.gather(*map(one, orders), return_exceptions=True)
            if failed := next((error for error in done if error is not None), None):
                raise failed

        async def of_symbol(symbol: str, orders: Sequence[OpenRow]) -> None:
            is_many = len(orders) > _BY_NAME_MAX
            if can_cancel_all and is_many and everybodys[symbol] == len(orders):
                _, done = await asyncio.gather(
                    one(orders[0]), route.cancel_symbol(symbol), return_exceptions=True
                )
                if isinstance(done, int):
                    run.note_cancel(self._clock.monotonic_ns(), done)
                    return
                if not (
                    isinstance(done, VenueRefusal) and self._fault(done).outcome is Outcome.REFUSED
                ):
                    raise done
                run.note_error(f"{symbol}: {done}")
            await each(orders)

        done = await asyncio.gather(
            *(of_symbol(symbol, orders) for symbol, orders in mine.items()), return_exceptions=True
        )
        _raise_first(mine, done, run)

    async def _after_failure(
        self, error: SeatrialError, next_road: EmergencyTransport, run: _Progress
    ) -> None:
        """Slow down a little more with every failure in a row of this run."""
        run.failures += 1
        deadline_s = _REQUEST_DEADLINE_MIN_S * (1 + run.failures // 4)
        self._set_deadlines(min(_REQUEST_DEADLINE_MAX_S, deadline_s))
        if self._fault(error).outcome is Outcome.CLOCK:
            self._venue_clock.measured = False
            return
        wait_s = min(_GAP_MAX_S, _GAP_MIN_S * 2 ** min(run.failures, 10))
        if isinstance(error, BudgetEmpty) and run.failures % 2 == 0:
            # Both routes had their turn: until the first of them may be used again.
            left_s = (run.deadline_ns - self._clock.monotonic_ns()) / _NS_PER_S
            until_s = (error.until_ns - self._clock.now_ns()) / _NS_PER_S
            wait_s = max(_GAP_MIN_S, min(until_s, left_s, 1.0))
        if run.failures > 1 or not next_road.is_warm:
            await asyncio.sleep(wait_s)

    def _fault(self, error: SeatrialError) -> Fault:
        """What a failure proves; whatever is not the venue's typed refusal proves nothing."""
        if isinstance(error, VenueRefusal):
            return self._adapter.fault(error.status, error.code, error.message)
        return Fault(outcome=Outcome.UNKNOWN, status=0, code=0, message=str(error))

    def _set_deadlines(self, deadline_s: float) -> None:
        self._rest.deadline_s = deadline_s
        self._socket.deadline_s = deadline_s

    def _limited(self, limited: RateLimited) -> None:
        if len(self._limits_told) < _ERRORS_MAX:
            self._limits_told.append(f"rate limit ({limited.scope}): {limited.reason}")
        if limited.scope in {"ban", "weight"}:
            now_ns = self._clock.now_ns()
            self._rest.governor.pause(limited.scope, limited.until_ns, now_ns)
            self._socket.governor.pause(limited.scope, limited.until_ns, now_ns)


def _raise_first(
    symbols: Iterable[str], done: Iterable[BaseException | None], run: _Progress
) -> None:
    """Note every symbol's failure; then raise the first, or at once what is no fault of a route."""
    failures: list[SeatrialError] = []
    for symbol, failure in zip(symbols, done, strict=True):
        if isinstance(failure, SeatrialError):
            run.note_error(f"{symbol}: {failure}")
            failures.append(failure)
        elif failure is not None:
            raise failure
    if failures:
        raise failures[0]

"""The emergency stop: cancels everything of ours and proves it, alone (promise P7).

It shares nothing with the main loop: its own connections, its own idea of the venue's clock, its
own budget. It works from another thread's loop and from another process.

Rules of this file:
1. It cancels only orders that carry our prefix; a whole symbol at once only where many are open
   and all are ours.
2. "Empty" means that two listings in a row showed no order of ours; nothing less is reported.
3. It has two routes, the WebSocket API and REST; what fails on one is tried on the other at once.
4. Until the deadline it never gives up: 5xx, timeouts, lost sockets and clock refusals are tried
   again, 429 and 418 when the venue allows (rule 7 of `governor.py` where it names no time). A
   route that does not work on this machine (a library that cannot be imported, no file descriptor
   left) is a route that failed.
"""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

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
from daemon.model.time_text import date_text
from daemon.shell.link.link_config import VenueEndpoints
from daemon.shell.process.clock import Clock
from daemon.shell.stop.emergency_transports import (
    Call,
    EmergencyTransport,
    RestTransport,
    SocketTransport,
    StopDeadlines,
    StopWaits,
    VenueClock,
)
from daemon.venues.contract import OpenRow
from daemon.venues.faults import Cause, Fault, Outcome

if TYPE_CHECKING:
    from daemon.model.inputs import RateLimited  # a stop waits for every import
    from daemon.venues.adapter import VenueAdapter

_GAP_MIN_S = 0.002
_GAP_MAX_S = 0.25
_REQUEST_DEADLINE_MIN_S = 1.0
_REQUEST_DEADLINE_MAX_S = 5.0
_ERRORS_MAX = 20
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
    idle_turns: int = 0
    """Turns in a row in which a route was not asked, because it may not be."""
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
    """One loop owns it: the loop of its first `warm` or `cancel_and_verify`.

    With `BlockingWaits` it needs no loop, and belongs to one thread.
    """

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: "VenueAdapter",
        instance: str,
        clock: Clock,
        head: Callable[[], str] = str,
        waits: StopWaits | None = None,
    ) -> None:
        """Wire it; nothing is connected before `warm` or `cancel_and_verify`.

        `head` gives a head of the journal's chain for the ids of its cancels, empty where none is
        known; it must not block.

        Where the listing of the account fails, the adapter's symbols are asked one by one. An
        empty `instance` stands for the only one that has open orders at the venue. `waits` says
        how to wait; without it, on the running event loop.

        Raises:
            HostRefused: an address that cannot be used.
        """
        if waits is None:
            from daemon.shell.stop.loop_waits import LoopWaits  # noqa: PLC0415 - it imports asyncio

            waits = LoopWaits()
        self._adapter = adapter
        self._symbols = adapter.symbols
        self._instance = instance
        self._clock = clock
        self._head = head
        self._waits = waits
        self._venue_clock = VenueClock(clock)
        self._deadlines = StopDeadlines(clock)
        parts: dict[str, Any] = {
            "endpoints": endpoints,
            "adapter": adapter,
            "clock": clock,
            "venue_clock": self._venue_clock,
            "on_limited": self._limited,
            "waits": waits,
            "deadlines": self._deadlines,
        }
        self._rest, self._socket = RestTransport(**parts), SocketTransport(**parts)
        self._limits_told: list[str] = []

    async def warm(self) -> None:
        """Open both routes and measure the clock ahead of need; failing is no error here."""
        for route in (self._rest, self._socket):
            with contextlib.suppress(SeatrialError):
                await _alone(route, route.open)
                await _alone(route, route.measure)

    async def keep_warm(
        self, period_s: float = 20.0, may: Callable[[], bool] = lambda: True
    ) -> None:
        """Warm again and again while `may`, until cancelled: the venue closes what is idle."""
        while True:
            if may():
                await self.warm()
            await self._waits.pause(period_s)

    async def close(self) -> None:
        """Close the connections."""
        for route in (self._socket, self._rest):
            if route.is_open:
                await _alone(route, route.close)

    async def cancel_and_verify(
        self, *, deadline_s: float, on_round: OnRound | None = None
    ) -> KillReport:
        """Cancel everything of ours at the venue and poll until it shows none, twice in a row.

        `on_round` hears after every listing how many were canceled by then and how many are left.

        Raises:
            InstanceUnknown: the state directory did not say which of several instances is ours.
        """
        started_ns = self._clock.monotonic_ns()
        run = _Progress(started_ns, started_ns + int(deadline_s * _NS_PER_S), on_round)
        self._limits_told.clear()
        self._deadlines.request_s = _REQUEST_DEADLINE_MIN_S
        self._deadlines.end_ns = run.deadline_ns
        try:
            verified_ns = await self._until_empty(run)
        finally:
            self._deadlines.end_ns = None
        if verified_ns is None:
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

    async def _until_empty(self, run: _Progress) -> int | None:
        """When nothing of ours had been shown twice in a row; None: not before the deadline.

        Raises:
            InstanceUnknown: orders of several instances are open.
        """
        routes: list[EmergencyTransport] = [self._rest, self._socket]
        if self._socket.is_warm or not self._waits.are_warmed:
            routes.reverse()
        empty_in_a_row = 0
        gap_s = _GAP_MIN_S
        while self._clock.monotonic_ns() < run.deadline_ns:
            run.rounds += 1
            before = run.canceled
            paused_ns = self._paused_until_ns(routes[0])
            try:
                empty = await self._round(routes[0], run)
            except InstanceUnknown:
                raise  # no route knows
            except Exception as error:  # noqa: BLE001 - rule 4: a route that is broken here, too
                empty_in_a_row = 0
                said = error if isinstance(error, SeatrialError) else repr(error)
                run.note_error(f"{routes[0].name}: {said}")
                is_refused_now = self._paused_until_ns(routes[0]) > paused_ns
                is_idle = isinstance(error, BudgetEmpty) and not is_refused_now
                run.idle_turns = run.idle_turns + 1 if is_idle else 0
                routes.reverse()
                await self._after_failure(error, routes[0], run)
                continue
            empty_in_a_row = empty_in_a_row + 1 if empty else 0
            if empty_in_a_row == 2:
                return self._clock.monotonic_ns()
            if empty or run.canceled > before:
                gap_s = _GAP_MIN_S
            else:
                await self._pause(gap_s, run)
                gap_s = min(_GAP_MAX_S, gap_s * 2)
        return None

    async def _pause(self, seconds: float, run: _Progress) -> None:
        """Let so much time pass, or what is left."""
        left_s = (run.deadline_ns - self._clock.monotonic_ns()) / _NS_PER_S
        await self._waits.pause(max(0.0, min(seconds, left_s)))

    async def _round(self, route: EmergencyTransport, run: _Progress) -> bool:
        """List, cancel what is ours; whether nothing of ours was there."""
        await _alone(route, route.open)
        if not self._venue_clock.measured:
            await _alone(route, route.measure)
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
            run.note_error(
                f"the state directory did not say who we are: took {name}, the only one with orders"
            )
            return name
        return ""

    async def _open_orders(
        self, route: EmergencyTransport, run: _Progress
    ) -> tuple[Sequence[OpenRow], SeatrialError | None]:
        """All open orders of the account; where just that fails, those of our symbols.

        With the rows comes why another symbol could not be listed: one symbol holds no other.
        """
        try:
            return await _alone(route, partial(route.listing, None)), None
        except BudgetEmpty:
            raise
        except SeatrialError as error:
            if run.failures % 4 != 1:  # mostly the other route is the better second try
                raise
            run.note_error(f"{route.name}: {error}")
        answers = await route.together([partial(route.listing, one) for one in self._symbols])
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
        whole = [
            symbol
            for symbol, orders in mine.items()
            if self._adapter.capabilities.cancel_all
            and len(orders) > _BY_NAME_MAX
            and everybodys[symbol] == len(orders)
        ]
        head = self._head()
        digest = chain_digest(head) if head else NO_DIGEST

        async def one(row: OpenRow) -> None:
            named = request_id(STOP_KIND, row.client_order_id, digest) or ""
            count = await route.cancel_one(row, named)
            run.note_cancel(self._clock.monotonic_ns(), count)

        async def all_of(symbol: str) -> None:
            count = await route.cancel_symbol(symbol)
            run.note_cancel(self._clock.monotonic_ns(), count)

        alone = [row for symbol, orders in mine.items() if symbol not in whole for row in orders]
        done = await route.together(
            [partial(all_of, symbol) for symbol in whole]
            + [partial(one, mine[symbol][0]) for symbol in whole]  # `_BY_NAME_MAX`
            + [partial(one, row) for row in alone]
        )
        failures: dict[str, SeatrialError] = {}
        refused: list[OpenRow] = []
        for symbol, error in zip(whole, done[: len(whole)], strict=True):
            if isinstance(error, VenueRefusal) and self._fault(error).outcome is Outcome.REFUSED:
                run.note_error(f"{symbol}: {error}")
                refused += mine[symbol]
            elif error is not None:
                failures[symbol] = error
        again = await route.together([partial(one, row) for row in refused]) if refused else []
        asked = zip((*alone, *refused), (*done[2 * len(whole) :], *again), strict=True)
        for row, error in asked:
            if error is not None:
                failures.setdefault(row.symbol, error)
        for symbol, error in failures.items():
            run.note_error(f"{symbol}: {error}")
        for error in failures.values():
            raise error

    async def _after_failure(
        self, error: Exception, next_road: EmergencyTransport, run: _Progress
    ) -> None:
        """Slow down a little more with every failure in a row of this run."""
        run.failures += 1
        deadline_s = _REQUEST_DEADLINE_MIN_S * (1 + run.failures // 4)
        self._deadlines.request_s = min(_REQUEST_DEADLINE_MAX_S, deadline_s)
        if self._fault(error).outcome is Outcome.CLOCK:
            self._venue_clock.measured = False
            return
        wait_s = min(_GAP_MAX_S, _GAP_MIN_S * 2 ** min(run.failures, 10))
        if isinstance(error, BudgetEmpty) and run.idle_turns:
            if run.idle_turns % 2:
                return  # the other one's turn
            # Neither may ask: until the first of them may. Two turns after the one that was refused
            # the other goes first: a route that is refused always keeps it from nothing.
            left_s = (run.deadline_ns - self._clock.monotonic_ns()) / _NS_PER_S
            until_s = (error.until_ns - self._clock.now_ns()) / _NS_PER_S
            wait_s = max(_GAP_MIN_S, min(until_s, left_s, 1.0))
        if run.failures > 1 or not next_road.is_warm:
            await self._pause(wait_s, run)

    def _paused_until_ns(self, route: EmergencyTransport) -> int:
        return route.governor.paused_until_ns(self._clock.now_ns())

    def _fault(self, error: Exception) -> Fault:
        """What a failure proves; whatever is not the venue's typed refusal proves nothing."""
        if isinstance(error, VenueRefusal):
            return self._adapter.fault(error.status, error.code, error.message)
        return Fault(outcome=Outcome.UNKNOWN, status=0, code=0, message=str(error))

    def _limited(self, limited: "RateLimited") -> None:
        if len(self._limits_told) < _ERRORS_MAX:
            self._limits_told.append(f"rate limit ({limited.scope}): {limited.reason}")
        if limited.scope in {"ban", "weight"}:
            now_ns = self._clock.now_ns()
            self._rest.governor.pause(limited.scope, limited.until_ns, now_ns)
            self._socket.governor.pause(limited.scope, limited.until_ns, now_ns)


async def _alone(route: EmergencyTransport, call: Call) -> Any:
    """One call of a route: its answer, or its error raised."""
    (answer,) = await route.together([call])
    if isinstance(answer, SeatrialError):
        raise answer
    return answer

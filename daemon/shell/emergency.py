"""The emergency stop: cancels everything of ours and proves it, alone (promise P7).

It shares nothing with the main loop: its own REST connections, its own idea of the venue's clock,
its own budget. It works from another thread's loop and from another process.

Rules of this file:
1. It cancels only orders that carry our prefix; `DELETE openOrders` only where all are ours.
2. "Empty" means that two listings in a row showed no order of ours; nothing less is reported.
3. Until the deadline it never gives up: 5xx, timeouts, clock refusals are tried again at once or
   after a short wait, 429 and 418 when the venue allows.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from daemon.errors import BudgetEmpty, SeatrialError
from daemon.model.halt import HaltFlag
from daemon.model.ids import is_ours
from daemon.model.inputs import RateLimited
from daemon.shell.clock import Clock
from daemon.shell.governor import Governor
from daemon.shell.link_config import Credentials, VenueEndpoints, make_signer
from daemon.shell.rest_session import HttpReply, RestSession
from daemon.shell.time_sync import TimeSync
from daemon.venues.binance_spot import codec_rest
from daemon.venues.binance_spot.faults import Fault, Outcome
from daemon.venues.binance_spot.rows import OrderRow
from daemon.venues.hosts import Road
from daemon.venues.requests import HttpRequest, Purpose

_CONNECTIONS = 8
_REQUEST_DEADLINE_S = 2.0
_GAP_MIN_S = 0.002
_GAP_MAX_S = 0.25
_ERRORS_MAX = 20
_ONE_BY_ONE_AT_ONCE = 32
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class KillReport:
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
    rounds: int
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Progress:
    """One run of the stop."""

    started_ns: int
    first_cancel_ns: int | None = None
    last_cancel_ns: int | None = None
    canceled: int = 0
    remaining: int = -1
    rounds: int = 0
    errors: list[str] = field(default_factory=list)

    def note_error(self, text: str) -> None:
        if text not in self.errors and len(self.errors) < _ERRORS_MAX:
            self.errors.append(text[:300])

    def note_cancel(self, now_ns: int, count: int) -> None:
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
        credentials: Credentials,
        symbols: Sequence[str],
        instance: str,
        clock: Clock,
        recv_window_ms: int = 5_000,
    ) -> None:
        """Wire it; nothing is connected before `warm` or `cancel_and_verify`.

        `symbols` are asked one by one where the listing of all symbols fails.

        Raises:
            HostRefused, CredentialsRefused: an address or a key that cannot be used.
        """
        self._symbols = tuple(symbols)
        self._instance = instance
        self._clock = clock
        self._governor = Governor()
        self._encoder = codec_rest.RestEncoder(
            api_key=credentials.api_key,
            signer=make_signer(credentials),
            recv_window_ms=recv_window_ms,
        )
        self._rest = RestSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(Road.REST),
            clock=clock,
            governor=self._governor,
            halt=HaltFlag(),  # read for placements only, and none is ever made here
            on_limited=self._limited,
            deadline_s=_REQUEST_DEADLINE_S,
            connect_deadline_s=_REQUEST_DEADLINE_S,
            connections_max=_CONNECTIONS,
        )
        self._sync = TimeSync(clock, lambda: self._call(self._encoder.server_time()))
        self._limits_told: list[str] = []

    async def warm(self) -> None:
        """Open the connections and measure the clock ahead of need; failing is no error here."""
        await self._rest.open()
        await self._measure(3)
        asked = (self._call(self._encoder.server_time()) for _ in range(_CONNECTIONS // 2))
        await asyncio.gather(*asked, return_exceptions=True)

    async def keep_warm(self, period_s: float = 20.0) -> None:
        """Warm again and again, until cancelled: idle connections are closed by the venue."""
        while True:
            await self.warm()
            await asyncio.sleep(period_s)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()

    async def cancel_and_verify(self, *, deadline_s: float) -> KillReport:
        """Cancel everything of ours at the venue and poll until it shows none, twice in a row."""
        await self._rest.open()
        run = _Progress(self._clock.monotonic_ns())
        self._limits_told.clear()
        deadline_ns = run.started_ns + int(deadline_s * _NS_PER_S)
        verified_ns: int | None = None
        try:
            async with asyncio.timeout(deadline_s):
                if self._sync.sample is None:
                    await self._measure(1)
                verified_ns = await self._until_empty(run, deadline_ns)
        except TimeoutError:
            run.note_error(f"not verified empty within {deadline_s:g} s")
        for text in self._limits_told:
            run.note_error(text)
        return KillReport(
            started_ns=run.started_ns,
            first_cancel_ns=run.first_cancel_ns,
            last_cancel_ns=run.last_cancel_ns,
            verified_empty_ns=verified_ns,
            canceled=run.canceled,
            remaining=run.remaining,
            rounds=run.rounds,
            errors=tuple(run.errors),
        )

    async def _until_empty(self, run: _Progress, deadline_ns: int) -> int:
        empty_in_a_row = 0
        gap_s = _GAP_MIN_S
        while True:
            run.rounds += 1
            try:
                rows = await self._open_orders(run)
                ours = [row for row in rows if is_ours(row.client_order_id, self._instance)]
                run.remaining = len(ours)
                if not ours:
                    empty_in_a_row += 1
                    if empty_in_a_row == 2:
                        return self._clock.monotonic_ns()
                    continue
                empty_in_a_row = 0
                before = run.canceled
                await self._cancel(rows, ours, run)
                if run.canceled > before:
                    gap_s = _GAP_MIN_S
                else:
                    await asyncio.sleep(gap_s)
                    gap_s = min(_GAP_MAX_S, gap_s * 2)
            except BudgetEmpty as error:
                empty_in_a_row = 0
                run.note_error(str(error))
                await self._wait_until(error.until_ns, deadline_ns)
            except SeatrialError as error:
                empty_in_a_row = 0
                run.note_error(str(error))
                await asyncio.sleep(gap_s)
                gap_s = min(_GAP_MAX_S, gap_s * 2)

    async def _open_orders(self, run: _Progress) -> list[OrderRow]:
        """All open orders of the account; where that fails, those of our symbols."""
        try:
            return await self._listing(None)
        except BudgetEmpty:
            raise
        except SeatrialError as error:
            run.note_error(str(error))
        answers = await asyncio.gather(*(self._listing(symbol) for symbol in self._symbols))
        return [row for rows in answers for row in rows]

    async def _listing(self, symbol: str | None) -> list[OrderRow]:
        reply = await self._call(self._encoder.open_orders(symbol, self._sync.venue_ms()))
        if reply.status != 200:
            raise await self._refused(codec_rest.decode_error(reply.status, reply.body))
        return codec_rest.decode_orders(reply.body)

    async def _cancel(
        self, rows: Sequence[OrderRow], ours: Sequence[OrderRow], run: _Progress
    ) -> None:
        """Ask for every cancel at once; what failed shows in the next listing."""
        by_symbol: dict[str, list[OrderRow]] = defaultdict(list)
        for row in ours:
            by_symbol[row.symbol].append(row)
        counts: dict[str, int] = defaultdict(int)
        for row in rows:
            counts[row.symbol] += 1
        at_once = asyncio.Semaphore(_ONE_BY_ONE_AT_ONCE)
        wanted = []
        for symbol, orders in by_symbol.items():
            if counts[symbol] == len(orders):
                wanted.append(self._cancel_symbol(symbol, run))
            else:
                wanted.extend(self._cancel_one(row, at_once, run) for row in orders)
        results = await asyncio.gather(*wanted, return_exceptions=True)
        for result in results:
            if isinstance(result, BudgetEmpty):
                raise result
            if isinstance(result, SeatrialError):
                run.note_error(str(result))
            elif isinstance(result, BaseException):
                raise result

    async def _cancel_symbol(self, symbol: str, run: _Progress) -> None:
        reply = await self._call(self._encoder.cancel_all(symbol, self._sync.venue_ms()))
        if reply.status == 200:
            run.note_cancel(self._clock.monotonic_ns(), len(codec_rest.decode_canceled(reply.body)))
            return
        await self._note_refusal(reply)

    async def _cancel_one(self, row: OrderRow, at_once: asyncio.Semaphore, run: _Progress) -> None:
        async with at_once:
            request = self._encoder.cancel_by_id(row.symbol, row.order_id, self._sync.venue_ms())
            reply = await self._call(request)
        if reply.status == 200:
            run.note_cancel(self._clock.monotonic_ns(), 1)
            return
        await self._note_refusal(reply)

    async def _note_refusal(self, reply: HttpReply) -> None:
        fault = codec_rest.decode_error(reply.status, reply.body)
        if fault.outcome is not Outcome.NOT_CANCELABLE:  # gone already: the listing decides
            raise await self._refused(fault)

    async def _refused(self, fault: Fault) -> SeatrialError:
        if fault.outcome is Outcome.CLOCK:
            await self._measure(1)
        return SeatrialError(f"the venue answered: {fault.text}")

    async def _measure(self, rounds: int) -> None:
        """Best effort: without a sample our own clock is used, and -1021 brings us back here."""
        try:
            sample = await self._sync.measure(rounds)
        except SeatrialError:
            return
        self._governor.offset_ns = sample.offset_ns

    async def _call(self, request: HttpRequest) -> HttpReply:
        # Everything here counts as a cancel: it may use the whole budget, reserve included.
        return await self._rest.call(replace(request, purpose=Purpose.CANCEL))

    async def _wait_until(self, until_ns: int, deadline_ns: int) -> None:
        wait_ns = until_ns - self._clock.now_ns()
        left_ns = deadline_ns - self._clock.monotonic_ns()
        await asyncio.sleep(max(_GAP_MIN_S, min(wait_ns, left_ns) / _NS_PER_S))

    def _limited(self, limited: RateLimited) -> None:
        if len(self._limits_told) < _ERRORS_MAX:
            self._limits_told.append(f"rate limit ({limited.scope}): {limited.reason}")

"""What can be proven before the first order: one step, one plain sentence (`seatrial doctor`).

Rules of this file:
1. Nothing is placed: `order/test` is the strongest thing that is asked.
2. A step that fails says what to do; a step that cannot run without it is not run.
3. `canWithdraw` is reported for what it is: a flag of the account, not a proof about the key.
"""

import asyncio
import errno
from collections.abc import Sequence
from decimal import Decimal

from daemon.errors import HostRefused, NotConnected, SeatrialError, Undecodable
from daemon.model.amounts import ceil_to, floor_to
from daemon.model.enums import Side, SymbolStatus
from daemon.model.halt import HaltFlag
from daemon.model.instrument import Instrument
from daemon.model.launch_checks import CHECKS, Check, failed, passed
from daemon.shell.checks.price_checks import PriceQuestions
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import Credentials, VenueEndpoints, adapter_of
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.price_paths import PriceCaps
from daemon.shell.link.rest_session import RestSession
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.process.clock import Clock
from daemon.shell.process.web_client import aiohttp
from daemon.venues.adapter import VenueAdapter
from daemon.venues.contract import WsReply, unknown_text
from daemon.venues.faults import Cause, Fault, Outcome
from daemon.venues.hosts import EndpointKind

CLOCK_OFFSET_MAX_MS = 1_000
ROUND_TRIP_MAX_MS = 1_000
_DEADLINE_S = 5.0
_NS_PER_MS = 1_000_000
_SYMBOLS_ASKED_MAX = 20
_MEND_NETWORK, _MEND_KEY = CHECKS["reachable"].mend, CHECKS["key"].mend
_MEND_SIM = (
    "is `seatrial sim` running? Each start takes a new port: copy rest, ws_api and streams from "
    "the line that it prints"
)
_MEND_SIM_KEY = (
    "copy api_key and api_secret from the line that `seatrial sim` prints into the credentials file"
)


class Preflight:
    """Runs the steps against one venue. Use `run_preflight`."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        adapter: VenueAdapter,
        clock: Clock,
        recv_window_ms: int,
        prices: PriceCaps | None,
    ) -> None:
        self._prices = prices
        self._held: frozenset[str] = frozenset()
        self._endpoints = endpoints
        self._adapter = adapter
        self._encoder, self._decode = adapter.encode, adapter.decode
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._instruments: tuple[Instrument, ...] = ()
        self._rest = RestSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(EndpointKind.REST),
            clock=clock,
            governor=Governor(adapter.rates),
            halt=HaltFlag(),
            on_limited=lambda _limited: None,
            read_error=adapter.decode.error,
            deadline_s=_DEADLINE_S,
        )
        self._sync = TimeSync(clock, adapter, self._rest.call)

    async def run(self) -> list[Check]:
        """All steps, in order; what needs a step that failed is left out."""
        await self._rest.open()
        try:
            steps = [await self._reachable()]
            if not steps[0].ok:
                return steps
            steps.append(self._clock_step())
            steps.append(await self._symbols())
            key = await self._account()
            steps.extend(key)
            if key[0].ok:
                if self._instruments and self._prices is not None:
                    steps.append(await self._valuation(self._prices))
                if self._instruments:
                    steps.append(await self._order_test())
                steps.append(await self._subscribe())
            steps.append(await self._streams())
            return steps
        finally:
            await self._rest.close()

    async def _reachable(self) -> Check:
        endpoint = self._endpoints.endpoint(EndpointKind.REST)
        host = endpoint.host
        try:
            sample = await self._sync.measure(3)
        except NotConnected as error:
            sentence = f"cannot reach {host}, port {endpoint.port}: {why_unreachable(error)}"
            is_sim = self._endpoints.environment == "sim"
            mend = _MEND_SIM if is_sim else ""
            return failed("reachable", sentence, mend)
        except SeatrialError as error:
            return failed(
                "reachable",
                f"{host} does not answer as the venue does: {error}",
                "check that the address is the venue's own and not a proxy's",
            )
        trip_ms = sample.round_trip_ns // _NS_PER_MS
        return passed("reachable", f"{host} answers, best round trip {trip_ms} ms")

    def _clock_step(self) -> Check:
        sample = self._sync.sample
        offset_ms = self._sync.offset_ns // _NS_PER_MS
        trip_ms = 0 if sample is None else sample.round_trip_ns // _NS_PER_MS
        if abs(offset_ms) > CLOCK_OFFSET_MAX_MS:
            behind = "behind" if offset_ms > 0 else "ahead of"
            return failed(
                "clock", f"this machine's clock is {abs(offset_ms)} ms {behind} the venue's"
            )
        if trip_ms > ROUND_TRIP_MAX_MS:
            return failed(
                "clock",
                f"the best round trip is {trip_ms} ms, too long for a recvWindow of "
                f"{self._recv_window_ms} ms",
                "use a machine or a network nearer to the venue",
            )
        return passed("clock", f"clock is within {abs(offset_ms)} ms of the venue's")

    async def _symbols(self) -> Check:
        try:
            reply = await self._rest.call(self._encoder.exchange_info(self._adapter.symbols))
            if reply.status != 200:
                return await self._symbols_refused(self._decode.error(reply.status, reply.body))
            listed = self._decode.listed(reply.body, self._adapter.symbols)
            if listed.absent:
                raise Undecodable("; ".join(f"{one}: {why}" for one, why in listed.absent.items()))
            self._instruments = listed.instruments
        except SeatrialError as error:
            return failed("symbols", str(error))
        closed = [i.symbol for i in self._instruments if i.status is not SymbolStatus.TRADING]
        if closed:
            return failed(
                "symbols",
                f"not trading now: {', '.join(closed)}",
                "wait until they trade, or take them out of `symbols`",
            )
        named = ", ".join(instrument.symbol for instrument in self._instruments)
        told = f"trading: {named}"
        if listed.unknown_filters:
            told += f"; {unknown_text(listed.unknown_filters)}"
        return passed("symbols", told)

    async def _symbols_refused(self, fault: Fault) -> Check:
        """One wrong name spoils the whole question: ask one by one which it is."""
        said = f"the venue refused the symbols: {fault.text}"
        if fault.cause is Cause.NO_SYMBOL:
            unknown = []
            for symbol in self._adapter.symbols[:_SYMBOLS_ASKED_MAX]:
                reply = await self._rest.call(self._encoder.exchange_info((symbol,)))
                if reply.status != 200:
                    unknown.append(symbol)
            if unknown:
                said = f"the venue does not list {', '.join(unknown)}"
        return failed("symbols", said)

    async def _account(self) -> list[Check]:
        try:
            reply = await self._rest.call(self._encoder.account(self._sync.venue_ms()))
            if reply.status != 200:
                fault = self._decode.error(reply.status, reply.body)
                return [_key_refused(fault, self._mend_key())]
            account = self._decode.account(reply.body)
        except SeatrialError as error:
            return [failed("key", f"the account could not be read: {error}", _MEND_NETWORK)]
        self._held = frozenset(one.asset for one in account.balances if one.total)
        held = len(self._held)
        withdraw = (
            f"canWithdraw is reported {str(account.can_withdraw).lower()}: that describes the "
            "account, not this key"
        )
        if self._endpoints.environment != "sim":
            withdraw += "; testnet funds cannot leave, and no call here can prove more"
        return [
            passed("key", "the venue knows this key and its signature"),
            Check(
                "account",
                ok=account.can_trade,
                sentence=f"account is readable, {held} assets held, "
                f"{'may' if account.can_trade else 'may NOT'} trade",
            ),
            passed("withdrawal", withdraw),
        ]

    async def _valuation(self, caps: PriceCaps) -> Check:
        """Whether everything that trading will have to value has a price that is watched."""
        asker = PriceQuestions(self._rest.call, self._adapter, self._sync)
        return await asker.judge(self._instruments, self._held, caps)

    async def _order_test(self) -> Check:
        instrument = self._instruments[0]
        try:
            qty, price = await self._small_buy(instrument)
            request = self._encoder.test_buy(instrument.symbol, qty, price, self._sync.venue_ms())
            reply = await self._rest.call(request)
        except SeatrialError as error:
            return failed("order test", f"could not be asked: {error}", _MEND_NETWORK)
        if reply.status == 200:
            return passed(
                "order test", f"the key may trade ({instrument.symbol}, nothing was placed)"
            )
        fault = self._decode.error(reply.status, reply.body)
        return failed("order test", f"the venue would refuse an order: {fault.text}")

    async def _small_buy(self, instrument: Instrument) -> tuple[Decimal, Decimal]:
        """Quantity and price of a small limit buy at the best bid that passes the filters."""
        reply = await self._rest.call(self._encoder.depth(instrument.symbol, 5))
        tick = instrument.tick or Decimal("0.01")
        price = instrument.price_min or tick
        if reply.status == 200:
            best = self._decode.depth(reply.body).top(Side.BUY)
            if best is not None:
                price = floor_to(best[0], tick)
        lot = instrument.lot or Decimal("0.00000001")
        least = max(instrument.qty_min, instrument.notional_min / price, lot)
        return ceil_to(least, lot), price

    async def _subscribe(self) -> Check:
        replies: list[WsReply] = []
        session = OrderSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(EndpointKind.WS_API),
            codec=self._adapter.order_codec(),
            clock=self._clock,
            halt=HaltFlag(),
            on_message=lambda _session, _message, _now: None,
            on_lost=lambda _session, _reason: None,
        )
        try:
            await session.open(connect_deadline_s=_DEADLINE_S, ping_idle_s=10, ping_reply_s=5)
            for name, encode in session.codec.log_on_plan():
                request = encode(f"preflight-{name}", self._sync.venue_ms())
                replies.append(await session.ask(request, deadline_s=_DEADLINE_S))
        except SeatrialError as error:
            return failed("user data", f"order entry and user data: {error}")
        finally:
            session.close("preflight is over")
        for reply in replies:
            if reply.fault is not None:
                return failed(
                    "user data", f"the venue refused: {reply.fault.text}", self._mend_key()
                )
        return passed("user data", "order entry connects and user data can be subscribed")

    async def _streams(self) -> Check:
        session = MarketSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(EndpointKind.STREAMS),
            names=[self._adapter.market.top_stream(one) for one in self._adapter.symbols],
            codec=self._adapter.market,
            clock=self._clock,
            on_event=lambda _event: None,
            silence_max_s=_DEADLINE_S,
        )
        try:
            await session.open(connect_deadline_s=_DEADLINE_S, ping_idle_s=10, ping_reply_s=5)
        except SeatrialError as error:
            return failed("market data", str(error))
        session.close("preflight is over")
        await session.run()
        return passed("market data", "market streams connect")

    def _mend_key(self) -> str:
        return _MEND_SIM_KEY if self._endpoints.environment == "sim" else _MEND_KEY


def why_unreachable(error: BaseException) -> str:
    """What a person needs to know of a connection that could not be made."""
    cause = error.__cause__
    match cause:
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return "its certificate is not good: the clock is far off, or a proxy is in between"
        case aiohttp.ClientConnectorError():
            code = cause.os_error.errno
            if code == errno.ECONNREFUSED:
                return "nothing listens there"
            if code in {errno.ENETUNREACH, errno.EHOSTUNREACH}:
                return "there is no route to it: no network"
            return cause.os_error.strerror or str(error)
        case TimeoutError():
            return f"no connection within {_DEADLINE_S:g} s"
        case _:
            return str(error)


def _key_refused(fault: Fault, mend: str) -> Check:
    if fault.cause is Cause.SIGNATURE:
        return failed(
            "key",
            f"the signature is not valid: {fault.text}",
            "the secret does not belong to this api_key: copy both again",
        )
    if fault.outcome is Outcome.KEY:
        return failed(
            "key",
            f"the venue does not know this key here: {fault.text}; it is mistyped, or it "
            "belongs to another environment or to live",
            mend,
        )
    if fault.outcome is Outcome.CLOCK:
        return failed(
            "key",
            f"the venue refused our timestamp: {fault.text}",
            "run this again: a clock was stepped meanwhile. If `clock` is ok and this fails "
            "again, the venue's own servers disagree about the time: wait, start nothing",
        )
    return failed("key", f"the account could not be read: {fault.text}", _MEND_NETWORK)


async def run_preflight(
    *,
    environment: str,
    rest: str,
    ws_api: str,
    streams: str,
    credentials: Credentials,
    symbols: Sequence[str],
    clock: Clock,
    recv_window_ms: int = 3_000,
    prices: PriceCaps | None = None,
    deadline_s: float = 60.0,
) -> list[Check]:
    """Run every step that can run. Never raises for what the venue, network or config did."""
    try:
        endpoints = VenueEndpoints(
            environment=environment, rest=rest, ws_api=ws_api, streams=streams
        )
    except HostRefused as error:
        return [failed("hosts", str(error))]
    steps = [passed("hosts", f"all three addresses belong to {environment}")]
    try:
        adapter = adapter_of(credentials, environment, symbols, recv_window_ms)
    except SeatrialError as error:
        return [*steps, failed("key", str(error))]
    preflight = Preflight(
        endpoints=endpoints,
        adapter=adapter,
        clock=clock,
        recv_window_ms=recv_window_ms,
        prices=prices,
    )
    try:
        async with asyncio.timeout(deadline_s):
            return steps + await preflight.run()
    except TimeoutError:
        sentence = f"not finished within {deadline_s:g} s"
        return [*steps, failed("preflight", sentence)]

"""What can be proven before the first order: one step, one plain sentence (`seatrial doctor`).

Rules of this file:
1. Nothing is placed: `order/test` is the strongest thing that is asked.
2. A step that fails says what to do; a step that cannot run without it is not run.
3. `canWithdraw` is reported for what it is: a flag of the account, not a proof about the key.
"""

import asyncio
import errno
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import aiohttp

from daemon.errors import HostRefused, NotConnected, SeatrialError
from daemon.model.amounts import ceil_to, floor_to, plain
from daemon.model.enums import SymbolStatus
from daemon.model.halt import HaltFlag
from daemon.model.instrument import Instrument
from daemon.shell.checks.price_checks import PriceQuestions
from daemon.shell.link.governor import Governor
from daemon.shell.link.link_config import Credentials, VenueEndpoints, make_signer
from daemon.shell.link.order_session import OrderSession
from daemon.shell.link.price_paths import PriceCaps
from daemon.shell.link.rest_session import HttpReply, RestSession
from daemon.shell.link.stream_session import MarketSession
from daemon.shell.link.time_sync import TimeSync
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot import codec_rest
from daemon.venues.binance_spot.amount_text import amount
from daemon.venues.binance_spot.codec_stream import StreamReader, stream_names
from daemon.venues.binance_spot.codec_ws import WsEncoder, WsReply
from daemon.venues.binance_spot.depth import decode_snapshot
from daemon.venues.binance_spot.error_answers import Outcome, VenueFault
from daemon.venues.binance_spot.instrument_rules import decode_exchange, unknown_text
from daemon.venues.binance_spot.own_ids import SymbolNames
from daemon.venues.binance_spot.request_params import Fields
from daemon.venues.binance_spot.request_signing import Signer
from daemon.venues.hosts import Road
from daemon.venues.requests import HttpRequest

CLOCK_OFFSET_MAX_MS = 1_000
ROUND_TRIP_MAX_MS = 1_000
_DEADLINE_S = 5.0
_NS_PER_MS = 1_000_000
_SYMBOLS_ASKED_MAX = 20
_UNKNOWN_SYMBOL = -1121
_MEND_NETWORK = "check network, DNS, firewall, and that the venue is not in maintenance"
_MEND_SIM = (
    "is `seatrial sim` running? Each start takes a new port: copy rest, ws_api and streams from "
    "the line that it prints"
)
_MEND_KEY = (
    "make a key on this environment's own page and put it into the credentials file; "
    "a live key or another environment's key never works here"
)
_MEND_SIM_KEY = (
    "copy api_key and api_secret from the line that `seatrial sim` prints into the credentials file"
)


@dataclass(frozen=True, slots=True)
class StepResult:
    """One step: `sentence` says what was found, `mend` what to do (empty when ok)."""

    name: str
    ok: bool
    sentence: str
    mend: str = ""


class Preflight:
    """Runs the steps against one venue. Use `run_preflight`."""

    def __init__(
        self,
        *,
        endpoints: VenueEndpoints,
        credentials: Credentials,
        signer: Signer,
        symbols: Sequence[str],
        clock: Clock,
        recv_window_ms: int,
        prices: PriceCaps | None,
    ) -> None:
        self._prices = prices
        self._held: frozenset[str] = frozenset()
        self._endpoints = endpoints
        self._credentials = credentials
        self._signer = signer
        self._clock = clock
        self._recv_window_ms = recv_window_ms
        self._names = SymbolNames(endpoints.environment, symbols)
        self._instruments: tuple[Instrument, ...] = ()
        self._encoder = codec_rest.SpotRestEncoder(
            api_key=credentials.api_key, signer=signer, recv_window_ms=recv_window_ms
        )
        self._rest = RestSession(
            environment=endpoints.environment,
            endpoint=endpoints.endpoint(Road.REST),
            clock=clock,
            governor=Governor(),
            halt=HaltFlag(),
            on_limited=lambda _limited: None,
            deadline_s=_DEADLINE_S,
        )
        self._sync = TimeSync(clock, lambda: self._rest.call(self._encoder.server_time()))

    async def run(self) -> list[StepResult]:
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

    async def _reachable(self) -> StepResult:
        endpoint = self._endpoints.endpoint(Road.REST)
        host = endpoint.host
        try:
            sample = await self._sync.measure(3)
        except NotConnected as error:
            sentence = f"cannot reach {host}, port {endpoint.port}: {why_unreachable(error)}"
            is_sim = self._endpoints.environment == "sim"
            mend = _MEND_SIM if is_sim else _MEND_NETWORK
            return StepResult("reachable", ok=False, sentence=sentence, mend=mend)
        except SeatrialError as error:
            return StepResult(
                "reachable",
                ok=False,
                sentence=f"{host} does not answer as the venue does: {error}",
                mend="check that the address is the venue's own and not a proxy's",
            )
        trip_ms = sample.round_trip_ns // _NS_PER_MS
        return StepResult(
            "reachable", ok=True, sentence=f"{host} answers, best round trip {trip_ms} ms"
        )

    def _clock_step(self) -> StepResult:
        sample = self._sync.sample
        offset_ms = self._sync.offset_ns // _NS_PER_MS
        trip_ms = 0 if sample is None else sample.round_trip_ns // _NS_PER_MS
        if abs(offset_ms) > CLOCK_OFFSET_MAX_MS:
            behind = "behind" if offset_ms > 0 else "ahead of"
            return StepResult(
                "clock",
                ok=False,
                sentence=f"this machine's clock is {abs(offset_ms)} ms {behind} the venue's",
                mend="set the clock and keep it set: systemctl enable --now systemd-timesyncd",
            )
        if trip_ms > ROUND_TRIP_MAX_MS:
            return StepResult(
                "clock",
                ok=False,
                sentence=f"the best round trip is {trip_ms} ms, too long for a recvWindow of "
                f"{self._recv_window_ms} ms",
                mend="use a machine or a network nearer to the venue",
            )
        return StepResult(
            "clock", ok=True, sentence=f"clock is within {abs(offset_ms)} ms of the venue's"
        )

    async def _symbols(self) -> StepResult:
        try:
            reply = await self._rest.call(self._encoder.exchange_info(self._names.symbols))
            if reply.status != 200:
                return await self._symbols_refused(
                    codec_rest.decode_error(reply.status, reply.body)
                )
            exchange = decode_exchange(reply.body, self._names)
            self._instruments = exchange.instruments
        except SeatrialError as error:
            return StepResult(
                "symbols", ok=False, sentence=str(error), mend="correct `symbols` in the config"
            )
        closed = [i.symbol for i in self._instruments if i.status is not SymbolStatus.TRADING]
        if closed:
            return StepResult(
                "symbols",
                ok=False,
                sentence=f"not trading now: {', '.join(closed)}",
                mend="wait until they trade, or take them out of `symbols`",
            )
        named = ", ".join(instrument.symbol for instrument in self._instruments)
        told = f"trading: {named}"
        if exchange.unknown_filters:
            told += f"; {unknown_text(exchange.unknown_filters)}"
        return StepResult("symbols", ok=True, sentence=told)

    async def _symbols_refused(self, fault: VenueFault) -> StepResult:
        """One wrong name spoils the whole question: ask one by one which it is."""
        mend = "correct `symbols` in the config"
        said = f"the venue refused the symbols: {fault.text}"
        if fault.code == _UNKNOWN_SYMBOL:
            unknown = []
            for symbol in self._names.symbols[:_SYMBOLS_ASKED_MAX]:
                reply = await self._rest.call(self._encoder.exchange_info((symbol,)))
                if reply.status != 200:
                    unknown.append(symbol)
            if unknown:
                said = f"the venue does not list {', '.join(unknown)}"
        return StepResult("symbols", ok=False, sentence=said, mend=mend)

    async def _account(self) -> list[StepResult]:
        try:
            reply = await self._signed(self._encoder.account(self._sync.venue_ms()))
            if reply.status != 200:
                fault = codec_rest.decode_error(reply.status, reply.body)
                return [_key_refused(fault, self._mend_key())]
            account = codec_rest.decode_account(reply.body)
        except SeatrialError as error:
            return [
                StepResult(
                    "key",
                    ok=False,
                    sentence=f"the account could not be read: {error}",
                    mend=_MEND_NETWORK,
                )
            ]
        rows = account.balances
        self._held = frozenset(r.asset for r in rows if r.free.strip("0.") or r.locked.strip("0."))
        held = len(self._held)
        withdraw = (
            f"canWithdraw is reported {str(account.can_withdraw).lower()}: that describes the "
            "account, not this key"
        )
        if self._endpoints.environment != "sim":
            withdraw += "; testnet funds cannot leave, and no call here can prove more"
        return [
            StepResult("key", ok=True, sentence="the venue knows this key and its signature"),
            StepResult(
                "account",
                ok=account.can_trade,
                sentence=f"account is readable, {held} assets held, "
                f"{'may' if account.can_trade else 'may NOT'} trade",
                mend="" if account.can_trade else "the account is blocked: ask the venue",
            ),
            StepResult("withdrawal", ok=True, sentence=withdraw),
        ]

    async def _valuation(self, caps: PriceCaps) -> StepResult:
        """Whether everything that trading will have to value has a price that is watched."""
        asker = PriceQuestions(self._signed, self._rest.call, self._encoder, self._sync)
        verdict = await asker.judge(self._instruments, self._held, caps)
        return StepResult("valuation", verdict.ok, verdict.sentence, verdict.mend)

    async def _order_test(self) -> StepResult:
        instrument = self._instruments[0]
        mend = "enable spot trading for this key on the environment's own page"
        try:
            fields = await self._test_fields(instrument)
            reply = await self._signed(self._encoder.test_order(fields, self._sync.venue_ms()))
        except SeatrialError as error:
            return StepResult(
                "order test", ok=False, sentence=f"could not be asked: {error}", mend=_MEND_NETWORK
            )
        if reply.status == 200:
            return StepResult(
                "order test",
                ok=True,
                sentence=f"the key may trade ({instrument.symbol}, nothing was placed)",
            )
        fault = codec_rest.decode_error(reply.status, reply.body)
        return StepResult(
            "order test",
            ok=False,
            sentence=f"the venue would refuse an order: {fault.text}",
            mend=mend,
        )

    async def _test_fields(self, instrument: Instrument) -> Fields:
        """A small limit buy at the best bid that passes the filters."""
        reply = await self._rest.call(self._encoder.depth(instrument.symbol, 5))
        tick = instrument.tick or Decimal("0.01")
        price = instrument.price_min or tick
        if reply.status == 200:
            bids = decode_snapshot(reply.body).bids
            if bids:
                price = floor_to(amount(bids[0][0]), tick)
        lot = instrument.lot or Decimal("0.00000001")
        least = max(instrument.qty_min, instrument.notional_min / price, lot)
        return {
            "symbol": instrument.symbol,
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": plain(ceil_to(least, lot)),
            "price": plain(price),
        }

    async def _subscribe(self) -> StepResult:
        replies: list[WsReply] = []
        encoder = WsEncoder(
            api_key=self._credentials.api_key,
            signer=self._signer,
            recv_window_ms=self._recv_window_ms,
        )
        session = OrderSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(Road.WS_API),
            encoder=encoder,
            clock=self._clock,
            halt=HaltFlag(),
            on_message=lambda _session, _message, _now: None,
            on_lost=lambda _session, _reason: None,
        )
        try:
            await session.open(connect_deadline_s=_DEADLINE_S, ping_idle_s=10, ping_reply_s=5)
            if encoder.can_log_on:
                logon = encoder.log_on("preflight-logon", self._sync.venue_ms())
                replies.append(await session.ask(logon, deadline_s=_DEADLINE_S))
                encoder.logged_on = True
            subscribe = encoder.subscribe("preflight-subscribe", self._sync.venue_ms())
            replies.append(await session.ask(subscribe, deadline_s=_DEADLINE_S))
        except SeatrialError as error:
            return StepResult(
                "user data",
                ok=False,
                sentence=f"order entry and user data: {error}",
                mend=_MEND_NETWORK,
            )
        finally:
            session.close("preflight is over")
        for reply in replies:
            if reply.fault is not None:
                return StepResult(
                    "user data",
                    ok=False,
                    sentence=f"the venue refused: {reply.fault.text}",
                    mend=self._mend_key(),
                )
        return StepResult(
            "user data", ok=True, sentence="order entry connects and user data can be subscribed"
        )

    async def _streams(self) -> StepResult:
        session = MarketSession(
            environment=self._endpoints.environment,
            endpoint=self._endpoints.endpoint(Road.STREAMS),
            names=stream_names(self._names.symbols, ["bookTicker"]),
            reader=StreamReader(self._names),
            clock=self._clock,
            on_event=lambda _event: None,
            silence_max_s=_DEADLINE_S,
        )
        try:
            await session.open(connect_deadline_s=_DEADLINE_S, ping_idle_s=10, ping_reply_s=5)
        except SeatrialError as error:
            return StepResult("market data", ok=False, sentence=str(error), mend=_MEND_NETWORK)
        session.close("preflight is over")
        await session.run()
        return StepResult("market data", ok=True, sentence="market streams connect")

    def _mend_key(self) -> str:
        return _MEND_SIM_KEY if self._endpoints.environment == "sim" else _MEND_KEY

    async def _signed(self, request: HttpRequest) -> HttpReply:
        return await self._rest.call(request)


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


def _key_refused(fault: VenueFault, mend: str) -> StepResult:
    if fault.code == -1022:
        return StepResult(
            "key",
            ok=False,
            sentence=f"the signature is not valid: {fault.text}",
            mend="the secret does not belong to this api_key: copy both again",
        )
    if fault.outcome is Outcome.KEY:
        return StepResult(
            "key",
            ok=False,
            sentence=f"the venue does not know this key here: {fault.text}; it is mistyped, or it "
            "belongs to another environment or to live",
            mend=mend,
        )
    if fault.outcome is Outcome.CLOCK:
        return StepResult(
            "key",
            ok=False,
            sentence=f"the venue refused our timestamp: {fault.text}",
            mend="run this again: a clock was stepped meanwhile. If `clock` is ok and this fails "
            "again, the venue's own servers disagree about the time: wait, start nothing",
        )
    return StepResult(
        "key", ok=False, sentence=f"the account could not be read: {fault.text}", mend=_MEND_NETWORK
    )


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
) -> list[StepResult]:
    """Run every step that can run. Never raises for what the venue, network or config did."""
    try:
        endpoints = VenueEndpoints(
            environment=environment, rest=rest, ws_api=ws_api, streams=streams
        )
    except HostRefused as error:
        mend = "use the addresses of this environment; live hosts cannot be configured"
        return [StepResult("hosts", ok=False, sentence=str(error), mend=mend)]
    steps = [StepResult("hosts", ok=True, sentence=f"all three addresses belong to {environment}")]
    try:
        signer = make_signer(credentials)
    except SeatrialError as error:
        return [*steps, StepResult("key", ok=False, sentence=str(error), mend=_MEND_KEY)]
    preflight = Preflight(
        endpoints=endpoints,
        credentials=credentials,
        signer=signer,
        symbols=symbols,
        clock=clock,
        recv_window_ms=recv_window_ms,
        prices=prices,
    )
    try:
        async with asyncio.timeout(deadline_s):
            return steps + await preflight.run()
    except TimeoutError:
        sentence = f"not finished within {deadline_s:g} s"
        return [*steps, StepResult("preflight", ok=False, sentence=sentence, mend=_MEND_NETWORK)]

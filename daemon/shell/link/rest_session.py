"""REST: moves exact bytes, bounded in time and size. It decides nothing about orders.

Rules of this file:
1. The halt flag, the host table and the governor are asked here, at the last function before the
   bytes; a placement meets the flag once more in the very turn in which its headers are written.
2. An error says whether bytes can have left: `NotConnected`, `HaltClosed`, `BudgetEmpty` prove that
   none did; everything after the first byte is `AnswerLost`.
3. No redirects, no proxies from the environment, no cookies, no second send.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace

import msgspec
from yarl import URL

from daemon.errors import AnswerLost, BudgetEmpty, HaltClosed, NotConnected
from daemon.model.copies import replace
from daemon.model.halt import HaltFlag
from daemon.model.inputs import RateLimited
from daemon.shell.link.governor import Governor
from daemon.shell.process.clock import Clock
from daemon.shell.process.web_client import aiohttp, tls_of
from daemon.venues.faults import Fault
from daemon.venues.hosts import CheckedAddress, check_peer
from daemon.venues.requests import HttpRequest, Purpose

BODY_MAX_BYTES = 64 * 1024 * 1024
"""exchangeInfo of all symbols is about 10 MB; nothing may be larger than this."""
_CHUNK_BYTES = 256 * 1024
_ABOUT_ORDERS = frozenset({Purpose.PLACE, Purpose.CANCEL})


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    ts_sent_ns: int
    ts_recv_ns: int
    paused_until_ns: int = 0
    """Until when this answer keeps us from asking, engine time; 0: it does not."""


class _Flight(msgspec.Struct):
    """What is known of one request on its way."""

    purpose: Purpose
    orders: int = 0
    instrument_id: str = ""
    left: bool = False
    sent_ns: int = 0


class RestSession:
    """One pool of connections to one REST endpoint. Open it inside a running loop."""

    def __init__(
        self,
        *,
        environment: str,
        endpoint: CheckedAddress,
        clock: Clock,
        governor: Governor,
        halt: HaltFlag,
        on_limited: Callable[[RateLimited], None],
        read_error: Callable[[int, bytes], Fault],
        deadline_s: float,
        connect_deadline_s: float = 5.0,
        connections_max: int = 16,
    ) -> None:
        self._environment = environment
        self._endpoint = endpoint
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self._base = f"{endpoint.scheme}://{host}:{endpoint.port}"
        self._clock = clock
        self._governor = governor
        self._rate = governor.rate  # here: what it imports needs a descriptor
        self._halt = halt
        self._on_limited = on_limited
        self._read_error = read_error
        self._deadline_s = deadline_s
        self._connect_deadline_s = connect_deadline_s
        self._connections_max = connections_max
        self._session: aiohttp.ClientSession | None = None
        self.requests = 0
        self.last_reply_ns = 0

    async def open(self) -> None:
        """Make the pool; no byte leaves yet."""
        if self._session is not None:
            return
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._last_look)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections_max,
                keepalive_timeout=60,
                ttl_dns_cache=60,
                ssl=tls_of(self._endpoint.scheme),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[trace],
            skip_auto_headers=("User-Agent", "Content-Type", "Accept"),
        )

    async def close(self) -> None:
        """Close the pool."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self, request: HttpRequest, *, deadline_s: float | None = None, instrument_id: str = ""
    ) -> HttpReply:
        """Send one request and wait for its answer; `instrument_id`: what an order is for.

        Raises:
            NotConnected, HaltClosed, BudgetEmpty: no byte left.
            AnswerLost: bytes left, no whole answer came before the deadline.
            HostRefused: the address is not in the table.
        """
        check_peer(self._environment, self._endpoint.host, self._endpoint.port)
        session = self._session
        if session is None:
            raise NotConnected("the REST session is not open")
        self._refuse_placement(request.purpose)
        now_ns = self._clock.now_ns()
        refusal = self._governor.admit(
            request.purpose, weight=request.weight, orders=request.orders, now_ns=now_ns
        )
        if refusal is not None:
            raise BudgetEmpty(refusal.reason, refusal.until_ns)
        flight = _Flight(request.purpose, request.orders, instrument_id)
        done = False
        try:
            reply = await self._exchange(session, request, flight, deadline_s or self._deadline_s)
            done = reply.status == 200
        finally:
            self._governor.settle(
                weight=request.weight,
                orders=request.orders,
                free=done and request.purpose in _ABOUT_ORDERS and not request.is_charged_always,
            )
        return replace(reply, paused_until_ns=self._observe(reply))

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        request: HttpRequest,
        flight: _Flight,
        deadline_s: float,
    ) -> HttpReply:
        path = request.target.partition("?")[0]
        timeout = aiohttp.ClientTimeout(
            total=deadline_s, connect=min(self._connect_deadline_s, deadline_s)
        )
        try:
            async with session.request(
                request.method,
                URL(self._base + request.target, encoded=True),
                headers=dict(request.headers),
                data=request.body or None,
                allow_redirects=False,
                timeout=timeout,
                trace_request_ctx=flight,
            ) as response:
                body = await _read_bounded(response)
                recv_ns = self._clock.now_ns()
                self.requests += 1
                self.last_reply_ns = recv_ns
                return HttpReply(
                    status=response.status,
                    headers=response.headers,
                    body=body,
                    ts_sent_ns=flight.sent_ns,
                    ts_recv_ns=recv_ns,
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            what = f"{request.method} {path}: {type(error).__name__} {error}".strip()
            if flight.left:
                raise AnswerLost(f"{what}; bytes had left") from error
            raise NotConnected(f"{what}; no byte left") from error

    async def _last_look(
        self,
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        # aiohttp awaits this directly before it writes the headers, without yielding after it.
        flight: _Flight = context.trace_request_ctx
        self._refuse_placement(flight.purpose)
        now_ns = self._clock.now_ns()
        rate = self._rate
        if flight.orders:
            refusal = rate.refusal(flight.instrument_id, now_ns, flight.orders)
            if refusal:
                raise BudgetEmpty(refusal, now_ns)
            rate.left(flight.instrument_id, now_ns, flight.orders)
        elif flight.purpose in _ABOUT_ORDERS:
            rate.message_left(now_ns)
        flight.left = True
        flight.sent_ns = now_ns

    def _refuse_placement(self, purpose: Purpose) -> None:
        if purpose is Purpose.PLACE and self._halt.look():
            raise HaltClosed(f"the halt flag is closed: {self._halt.reason}")

    def _observe(self, reply: HttpReply) -> int:
        """Heed what an answer says of limits; the end of the pause that it brings, or 0."""
        self._governor.observe_headers(reply.headers, reply.ts_recv_ns)
        scope = self._governor.plan.scopes.get(reply.status)
        if scope is None:
            return 0
        fault = self._read_error(reply.status, reply.body)
        if scope != "waf":
            scope = fault.scope
        elif fault.code != 0:
            return 0  # the venue's own typed refusal, not the firewall's page
        until_ns = self._governor.until_ns(
            fault.retry_at_ms, reply.headers.get("Retry-After"), reply.ts_recv_ns
        )
        until_ns = self._governor.pause(scope, until_ns, reply.ts_recv_ns)
        self._on_limited(RateLimited(reply.status, fault.code, scope, until_ns, fault.text))
        return until_ns


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    chunks = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        size += len(chunk)
        if size > BODY_MAX_BYTES:
            raise aiohttp.ClientPayloadError(f"answer is larger than {BODY_MAX_BYTES} bytes")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)

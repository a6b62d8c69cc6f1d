"""The link's side of the gateway: public questions and public streams, for bots.

Rules of this file:
1. It asks for public data only: no request here has a key, a signature or an order.
2. A question goes through the link's own REST session and governor, on the main loop, and pays
   from the share of `Purpose.READ`. Streams have one connection of their own, for all bots.
3. A frame is handed on as it came. When the connection is lost that is told, and nothing is made
   up for the gap.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine
from concurrent.futures import Future
from typing import Any

import msgspec

from daemon.errors import BudgetEmpty, SeatrialError
from daemon.model.amounts import NS_PER_S
from daemon.shell.gateway.public_market import PublicReply, PublicRequestFailed
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.rest_session import HttpReply
from daemon.shell.process.clock import Clock
from daemon.shell.process.web_client import aiohttp, tls_of
from daemon.venues.hosts import CheckedAddress, check_peer
from daemon.venues.requests import HttpRequest, Purpose

_NAMES_A_FRAME = 200
_FRAME_EVERY_S = 0.25
"""Subscriptions leave at most so often: the venue closes on more than five messages a second."""
_FRAME_MAX_BYTES = 16 * 1024 * 1024
_SILENCE_MAX_S = 60.0
_CONNECT_S = 5.0
_ACCOUNT_KEPT_NS = 3_600 * NS_PER_S
_LOST = (aiohttp.ClientError, OSError, TimeoutError)
_STREAM_AT = len('{"stream":"')


async def _told(call: Awaitable[HttpReply]) -> PublicReply:
    """The answer to a call of the link, or why there is none."""
    try:
        reply = await call
    except BudgetEmpty as error:
        raise PublicRequestFailed(str(error), error.until_ns) from None
    except SeatrialError as error:
        raise PublicRequestFailed(str(error)) from None
    if reply.paused_until_ns:  # told as the pause that it brings: a bot needs its end
        raise PublicRequestFailed("the venue limits us", reply.paused_until_ns)
    return PublicReply(reply.status, reply.body)


class PublicReads:
    """Asks public questions on the main loop, for any thread."""

    def __init__(
        self,
        call: Callable[[HttpRequest], Awaitable[HttpReply]],
        main_loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._call = call
        self._main_loop = main_loop

    def get(self, path: str, query: str, weight: int) -> "Future[PublicReply]":
        """`GET PATH?QUERY`; the future may fail with `PublicRequestFailed`."""
        return asyncio.run_coroutine_threadsafe(self._get(path, query, weight), self._main_loop)

    async def _get(self, path: str, query: str, weight: int) -> PublicReply:
        request = HttpRequest(
            method="GET",
            target=f"{path}{'?' if query else ''}{query}",
            headers=(),
            body=b"",
            weight=weight,
            purpose=Purpose.READ,
        )
        return await _told(self._call(request))


class AccountReads:
    """The account's commissions and filters, asked on the main loop, kept for an hour.

    `get` belongs to the gateway's loop.
    """

    def __init__(
        self,
        call: Callable[[str, str], Coroutine[Any, Any, HttpReply]],
        main_loop: asyncio.AbstractEventLoop,
        clock: Clock,
    ) -> None:
        self._call = call
        self._main_loop = main_loop
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[int, PublicReply]] = {}

    async def get(self, path: str, symbol: str) -> PublicReply:
        """`account/commission` or `myFilters` of one symbol.

        Raises:
            PublicRequestFailed: the venue gives no answer now.
        """
        now_ns = self._clock.monotonic_ns()
        kept = self._kept.get((path, symbol))
        if kept is not None and now_ns < kept[0]:
            return kept[1]
        asked = asyncio.run_coroutine_threadsafe(self._ask(path, symbol), self._main_loop)
        reply = await asyncio.wrap_future(asked)
        if reply.status != 200:
            raise PublicRequestFailed(f"{path}: {reply.status} {reply.body[:200]!r}")
        self._kept[path, symbol] = (now_ns + _ACCOUNT_KEPT_NS, reply)
        return reply

    async def _ask(self, path: str, symbol: str) -> PublicReply:
        return await _told(self._call(path, symbol))


class _Answer(msgspec.Struct):
    """What the venue says of a subscription."""

    id: int = 0
    error: msgspec.Raw = msgspec.Raw()


class PublicStreams:
    """One connection to the venue's market streams: the union of what all bots listen to.

    `run` and `want` belong to the gateway's loop.
    """

    def __init__(self, environment: str, endpoint: CheckedAddress, backoff: Backoff) -> None:
        self._environment = environment
        self._endpoint = endpoint
        self._backoff = backoff
        self._wanted: frozenset[str] = frozenset()
        self._told: frozenset[str] = frozenset()
        self._asked: dict[int, frozenset[str]] = {}
        self._confirmed: set[str] = set()
        self._changed, self._answered = asyncio.Event(), asyncio.Event()
        self.connections = 0

    def want(self, names: Collection[str]) -> None:
        """From now on these streams; without any there is no connection."""
        self._wanted = frozenset(names)
        self._changed.set()

    async def confirmed(self, names: Collection[str]) -> None:
        """Wait until the venue has said that it sends all of these, or for `_CONNECT_S`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_S):
                while not self._confirmed.issuperset(names):
                    self._answered.clear()
                    await self._answered.wait()

    async def run(
        self, on_frame: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> None:
        """Serve for ever: `on_frame(name, whole frame)`, `on_lost` once a lost connection."""
        while True:
            while not self._wanted:
                self._changed.clear()
                await self._changed.wait()
            is_lost = True
            with contextlib.suppress(*_LOST):
                is_lost = await self._connection(on_frame)
            self._told = frozenset()
            self._asked.clear()
            self._confirmed.clear()
            if is_lost and self._wanted:
                on_lost()
                await asyncio.sleep(self._backoff.next_s())

    async def _connection(self, on_frame: Callable[[str, bytes], None]) -> bool:
        """Serve one connection; False where we left it because nobody listened any more.

        Whoever comes while it closes has missed nothing: the next connection serves them.
        """
        endpoint = self._endpoint
        check_peer(self._environment, endpoint.host, endpoint.port)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        url = f"{endpoint.scheme}://{host}:{endpoint.port}/stream"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.ws_connect(
                url, max_msg_size=_FRAME_MAX_BYTES, ssl=tls_of(endpoint.scheme)
            ) as socket,
            asyncio.TaskGroup() as group,
        ):
            self.connections += 1
            sender = group.create_task(self._send_wishes(socket), name="public-subscribe")
            is_lost = True
            with contextlib.suppress(*_LOST):  # here: a group would wrap them
                is_lost = await self._read(socket, on_frame)
            sender.cancel()
        return is_lost

    async def _read(
        self, socket: aiohttp.ClientWebSocketResponse, on_frame: Callable[[str, bytes], None]
    ) -> bool:
        """Hand frames on until nobody listens (False) or the venue ends it (True)."""
        while self._wanted:
            message = await socket.receive(timeout=_SILENCE_MAX_S)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return True
            self._backoff.reset()
            frame = str(message.data).encode()
            if frame.startswith(b'{"stream":"'):
                name = frame[_STREAM_AT:].partition(b'"')[0].decode()
                on_frame(name, frame)
            else:
                self._take_answer(frame)
        return False

    def _take_answer(self, frame: bytes) -> None:
        """The venue's answer to a subscription; of a refusal it says nothing more."""
        try:
            answer = msgspec.json.decode(frame, type=_Answer)
        except msgspec.MsgspecError:
            return
        names = self._asked.pop(answer.id, frozenset())
        if not answer.error:
            self._confirmed |= names
            self._answered.set()

    async def _send_wishes(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        number = 0
        while True:
            self._changed.clear()
            for method, names in (
                ("UNSUBSCRIBE", self._told - self._wanted),
                ("SUBSCRIBE", self._wanted - self._told),
            ):
                ordered = sorted(names)
                for at in range(0, len(ordered), _NAMES_A_FRAME):
                    number += 1
                    part = ordered[at : at + _NAMES_A_FRAME]
                    wish: dict[str, Any] = {"method": method, "params": part, "id": number}
                    if method == "SUBSCRIBE":
                        self._asked[number] = frozenset(part)
                    else:  # an answer that is still to come speaks of what was before
                        self._confirmed.difference_update(part)
                        self._asked = {one: of - set(part) for one, of in self._asked.items()}
                    try:
                        await socket.send_str(json.dumps(wish))
                    except _LOST:
                        return  # the reader sees it, too
                    await asyncio.sleep(_FRAME_EVERY_S)
                self._told = self._told - names if method == "UNSUBSCRIBE" else self._told | names
            await self._changed.wait()

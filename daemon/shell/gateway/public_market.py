"""Public market data: asked of the venue once, whoever wants it, and kept for a moment.

Rules of this file:
1. What is told is the venue's own answer, byte for byte; nothing is made here.
2. Requests for the same thing that come while one is under way share its answer.
3. The venue's charge is paid by the link's governor from a share of its own.
4. The depth of a book whose differences somebody hears is asked anew, and only when the venue sends
   them: an older snapshot ends before the first difference, and no bot can join the two.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Protocol
from urllib.parse import quote

import msgspec

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.shell.process.clock import Clock
from daemon.venues.binance_spot.serving.call_table import ROUTES, Endpoint
from daemon.venues.binance_spot.serving.params import Params

PATHS = {
    endpoint.name: path
    for (method, path), endpoint in ROUTES.items()
    if method == "GET" and not endpoint.signed
}
"""The REST path that answers a public call, by the call's name."""
KEPT_BYTES_MAX = 64 * 1024 * 1024
KEPT_MAX = 10_000
"""Answers; what is small (a refusal) would else be kept by the million."""
_TTL_MS = {
    "exchangeInfo": 5_000,
    "executionRules": 60_000,
    "ticker.price": 500,
    "ticker.book": 250,
    "trades.recent": 500,
    "trades.aggregate": 500,
    "trades.historical": 5_000,
    "depth": 250,
}
"""How old the answer to a call may be when it is told again."""
_TTL_OTHER_MS = 1_000
_REFUSAL_TTL_NS = NS_PER_S


class PublicReply(msgspec.Struct, frozen=True):
    """The venue's answer to a public request."""

    status: int
    body: bytes


class PublicRequestFailed(Exception):  # noqa: N818 - an answer of ours
    """No answer: the venue is not reached, or its budget is used up until `until_ns`."""

    def __init__(self, reason: str, until_ns: int = 0) -> None:
        super().__init__(reason)
        self.until_ns = until_ns


class PublicData(Protocol):
    """The link's side: asks the venue public questions. The gateway holds no link."""

    def get(self, path: str, query: str, weight: int) -> "Future[PublicReply]":
        """`GET PATH?QUERY` from any thread; the future may fail with `PublicRequestFailed`."""


class _Kept(msgspec.Struct):
    reply: PublicReply
    until_ns: int


class MarketCache:
    """Lives on the gateway's loop."""

    def __init__(
        self, data: PublicData, clock: Clock, followed: Callable[[str], Awaitable[bool]]
    ) -> None:
        self._data = data
        self._clock = clock
        self._followed = followed
        """Whether somebody hears a symbol's differences; it waits until the venue sends them."""
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[tuple[str, str], asyncio.Future[PublicReply]] = {}
        self.hits = 0
        self.misses = 0

    async def get(self, endpoint: Endpoint, params: Params) -> PublicReply:
        """The venue's answer to a public call, at most as old as its kind allows.

        Raises:
            PublicRequestFailed: there is none.
        """
        values = params.values
        query = "&".join(f"{name}={quote(values[name], safe='')}" for name in sorted(values))
        key = (endpoint.name, query)
        kept = self._kept.get(key)
        if endpoint.name == "depth" and await self._followed(values.get("symbol", "")):
            kept = None
        if kept is not None and self._clock.monotonic_ns() < kept.until_ns:
            self.hits += 1
            return kept.reply
        under_way = self._under_way.get(key)
        if under_way is not None:
            self.hits += 1
            return await asyncio.shield(under_way)
        self.misses += 1
        asked = asyncio.wrap_future(
            self._data.get(PATHS[endpoint.name], query, endpoint.weight_of(params))
        )
        self._under_way[key] = asked
        asked.add_done_callback(self._keeper(key))
        return await asyncio.shield(asked)

    def _keeper(self, key: tuple[str, str]) -> Callable[["asyncio.Future[PublicReply]"], None]:
        def keep(asked: "asyncio.Future[PublicReply]") -> None:
            self._under_way.pop(key, None)
            if asked.cancelled() or asked.exception() is not None:
                return
            reply = asked.result()
            if reply.status == 200:
                ttl_ns = _TTL_MS.get(key[0], _TTL_OTHER_MS) * NS_PER_MS
            elif reply.status == 400:
                ttl_ns = _REFUSAL_TTL_NS
            else:
                return
            self._forget(key)
            self._kept[key] = _Kept(reply, self._clock.monotonic_ns() + ttl_ns)
            self._bytes += len(reply.body)
            while self._bytes > KEPT_BYTES_MAX or len(self._kept) > KEPT_MAX:
                self._forget(next(iter(self._kept)))

        return keep

    def _forget(self, key: tuple[str, str]) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.reply.body)

"""The cache of public answers: one question for many, for as long as its kind allows."""

import asyncio
from concurrent.futures import Future

import pytest

from daemon.shell.gateway import public_market
from daemon.shell.gateway.public_market import MarketCache, PublicReply, PublicRequestFailed
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS
from daemon.venues.binance_spot.serving.params import Params

KLINES, DEPTH = ENDPOINTS["klines"], ENDPOINTS["depth"]
S_NS = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.ns = S_NS

    def now_ns(self) -> int:
        return self.ns

    def monotonic_ns(self) -> int:
        return self.ns


class Venue:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.status = 200
        self.open: list[Future[PublicReply]] = []
        self.came = asyncio.Event()

    def get(self, path: str, query: str, weight: int) -> Future[PublicReply]:
        self.asked.append((path, query, weight))
        self.open.append(Future())
        self.came.set()
        return self.open[-1]

    def answer(self) -> None:
        for one in self.open:
            one.set_result(PublicReply(self.status, b"[%d]" % len(self.asked)))
        self.open.clear()


async def nobody_follows(_symbol: str) -> bool:
    return False


async def get(cache: MarketCache, venue: Venue, values: dict[str, str]) -> bytes:
    task = asyncio.get_running_loop().create_task(cache.get(KLINES, Params(values)))
    await asyncio.sleep(0)
    venue.answer()
    return (await task).body


async def test_ten_who_ask_at_once_cost_one_request() -> None:
    venue = Venue()
    cache = MarketCache(venue, Clock(), nobody_follows)
    wish = Params({"symbol": "BTCUSDT", "limit": "500"})
    tasks = [asyncio.get_running_loop().create_task(cache.get(DEPTH, wish)) for _ in range(10)]
    await asyncio.sleep(0)
    venue.answer()
    assert {(await task).body for task in tasks} == {b"[1]"}
    assert venue.asked == [("/api/v3/depth", "limit=500&symbol=BTCUSDT", 25)]
    assert (cache.hits, cache.misses) == (9, 1)


async def test_an_answer_is_told_again_for_its_time_and_no_longer() -> None:
    venue, clock = Venue(), Clock()
    cache = MarketCache(venue, clock, nobody_follows)
    assert await get(cache, venue, {"symbol": "BTCUSDT"}) == b"[1]"
    clock.ns += S_NS - 1
    assert await get(cache, venue, {"symbol": "BTCUSDT"}) == b"[1]"
    assert await get(cache, venue, {"symbol": "ETHUSDT"}) == b"[2]"
    clock.ns += 1
    assert await get(cache, venue, {"symbol": "BTCUSDT"}) == b"[3]"


@pytest.mark.parametrize(("status", "asked"), [(400, 1), (503, 2), (429, 2)])
async def test_a_refusal_is_kept_and_a_fault_is_not(status: int, asked: int) -> None:
    venue = Venue()
    venue.status = status
    cache = MarketCache(venue, Clock(), nobody_follows)
    await get(cache, venue, {"symbol": "NOPE"})
    await get(cache, venue, {"symbol": "NOPE"})
    assert len(venue.asked) == asked


async def test_small_answers_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public_market, "KEPT_MAX", 2)
    venue = Venue()
    cache = MarketCache(venue, Clock(), nobody_follows)
    for name in ("A", "B", "C", "C", "B", "A"):
        await get(cache, venue, {"symbol": name})
    assert len(venue.asked) == 4, "the oldest of three was given up"


async def test_a_failure_reaches_everybody_and_the_next_one_asks_again() -> None:
    venue = Venue()
    cache = MarketCache(venue, Clock(), nobody_follows)
    tasks = [
        asyncio.get_running_loop().create_task(cache.get(KLINES, Params({}))) for _ in range(2)
    ]
    await asyncio.sleep(0)
    venue.open.pop().set_exception(PublicRequestFailed("no venue"))
    for task in tasks:
        with pytest.raises(PublicRequestFailed):
            await task
    assert await get(cache, venue, {}) == b"[2]"


async def test_the_depth_of_a_book_that_is_followed_is_asked_anew_when_its_differences_come() -> (
    None
):
    venue, clock = Venue(), Clock()
    confirmed, asked = asyncio.Event(), []

    async def follows(symbol: str) -> bool:
        asked.append(symbol)
        await confirmed.wait()
        return symbol == "BTCUSDT"

    cache = MarketCache(venue, clock, follows)
    wish = Params({"symbol": "BTCUSDT"})
    first = asyncio.get_running_loop().create_task(cache.get(DEPTH, wish))
    await asyncio.sleep(0)
    assert asked == ["BTCUSDT"]
    assert venue.asked == []  # a snapshot of now would end before the first difference
    confirmed.set()
    answers = []
    for task in (first, None, None):
        made = task or asyncio.get_running_loop().create_task(cache.get(DEPTH, wish))
        await venue.came.wait()
        venue.came.clear()
        venue.answer()
        answers.append((await made).body)
    assert answers == [b"[1]", b"[2]", b"[3]"]

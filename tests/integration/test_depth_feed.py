"""Depth books over real sockets: told when synced, silent after a gap, synced again."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from daemon.model.inputs import LinkDown, MarketData
from tests.support.link_bench import Bench, running
from tests.support.scripted_venue import ScriptedVenue, json_response, served


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    async with served(ScriptedVenue()) as serving:
        yield serving


def snapshot_at(venue: ScriptedVenue, update_id: int, bid: str = "100") -> None:
    async def answer(_request: web.Request) -> web.Response:
        return json_response(
            {"lastUpdateId": update_id, "bids": [[bid, "1"]], "asks": [["200", "1"]]}
        )

    venue.script("GET depth", answer)


async def diff(venue: ScriptedVenue, first: int, last: int, **sides: Any) -> None:
    data = {"e": "depthUpdate", "E": 5, "s": "BTCUSDT", "U": first, "u": last, "b": [], "a": []}
    await venue.market("btcusdt@depth@100ms", {**data, **sides})


def bids(bench: Bench) -> list[Decimal]:
    return [item.top.bid_px for item in bench.got(MarketData)]


async def test_it_syncs_tells_changes_and_syncs_again_after_a_gap(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        assert venue.asked("stream")[0]["streams"] == "btcusdt@depth@100ms/btcusdt@trade"
        snapshot_at(venue, 5)  # older than the first diff: does not fit, another is fetched
        snapshot_at(venue, 10)
        await diff(venue, 9, 11, b=[["101", "2"]])
        await bench.until(lambda: bids(bench) == [Decimal(101)])
        await diff(venue, 12, 12, b=[["99", "5"]])  # below the best: nothing to tell
        await diff(venue, 13, 14, b=[["101", "0"]])
        await bench.until(lambda: bids(bench) == [Decimal(101), Decimal(100)])
        snapshot_at(venue, 30, bid="150")
        await diff(venue, 20, 21, b=[["105", "1"]])  # 15..19 never came
        await bench.until(lambda: bids(bench)[-1] == Decimal(150))
        facts = bench.link.facts()["links"]["market"]["depth"]["BTCUSDT"]
        assert (facts["synced"], facts["gaps"]) == (True, 1)
        assert Decimal(105) not in bids(bench), "nothing is told of a book with a gap"


async def test_a_refused_snapshot_is_asked_again(venue: ScriptedVenue) -> None:
    async def fail(_request: web.Request) -> web.Response:
        return web.Response(status=502)

    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        venue.script("GET depth", fail, times=3)
        snapshot_at(venue, 10)
        await diff(venue, 9, 11)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        assert len(venue.asked("GET depth")) == 4, "three refused, one that fits"


async def test_garbage_amounts_drop_the_book_not_the_daemon(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        snapshot_at(venue, 10)
        await diff(venue, 9, 11)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        await diff(venue, 12, 12, b=[["cheap", "1"]])
        assert "amount" in (await bench.first(LinkDown)).reason
        await bench.until(lambda: bench.link.facts()["links"]["market"]["up"])
        snapshot_at(venue, 20, bid="120")
        await diff(venue, 19, 21)
        await bench.until(lambda: bids(bench)[-1] == Decimal(120))


async def test_a_quiet_symbol_has_a_top_from_the_first_second(venue: ScriptedVenue) -> None:
    snapshot_at(venue, 77)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        top = (await bench.first(MarketData)).top
        assert (top.bid_px, top.ask_px, top.update_id) == (Decimal(100), Decimal(200), 77)
        assert venue.asked("GET depth") == [{"symbol": "BTCUSDT", "limit": "5"}]


async def test_what_the_stream_told_meanwhile_is_newer(venue: ScriptedVenue) -> None:
    async def slow(_request: web.Request) -> web.Response:
        ticker = {"u": 90, "s": "BTCUSDT", "b": "150", "B": "1", "a": "160", "A": "1"}
        await venue.stream_connected.wait()
        await venue.market("btcusdt@bookTicker", ticker)
        await bench.until(lambda: bids(bench) == [Decimal(150)])
        return json_response({"lastUpdateId": 77, "bids": [["1", "1"]], "asks": [["2", "1"]]})

    venue.script("GET depth", slow)
    bench = Bench(venue.base)
    async with running(bench):
        await bench.up()
        await bench.until(lambda: bench.link.facts()["questions_waiting"] == 0)
        assert bids(bench) == [Decimal(150)]

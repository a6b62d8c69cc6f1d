"""Depth books over real sockets: told when synced, silent after a gap, synced again."""

import json
import urllib.request
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from aiohttp import web

from daemon.model.inputs import LinkDown, MarketData, PublicTrade
from daemon.shell.link import market_feed
from daemon.shell.link.venue_link import Credentials, VenueEndpoints
from tests.support.link_bench import Bench, running
from tests.support.ports import kept_port
from tests.support.scripted_venue import ScriptedVenue, json_response, served
from tests.support.sim_process import SimProcess


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


async def test_a_book_belongs_to_its_connection(venue: ScriptedVenue) -> None:
    """The venue restarted: its ids are lower than what the old connection has told."""
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        snapshot_at(venue, 10_000)
        await diff(venue, 9_999, 10_001)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        await venue.streams.pop().close()
        await bench.first(LinkDown)
        await bench.until(lambda: len(venue.streams) == 1 and market(bench)["up"])
        assert market(bench)["depth"]["BTCUSDT"]["synced"] is False, "the book went with it"
        snapshot_at(venue, 5, bid="70")
        await diff(venue, 5, 6)
        await bench.until(lambda: bids(bench) == [Decimal(100), Decimal(70)])
        await diff(venue, 7, 7, b=[["71", "1"]])
        await bench.until(lambda: bids(bench)[-1] == Decimal(71))


async def test_ids_that_go_back_drop_the_book(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        snapshot_at(venue, 10_000)
        await diff(venue, 9_999, 10_001)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        snapshot_at(venue, 5, bid="70")
        await diff(venue, 5, 6)
        await bench.until(lambda: bids(bench) == [Decimal(100), Decimal(70)])
        assert market(bench)["depth"]["BTCUSDT"]["resets"] == 1


async def test_a_diff_that_is_ignored_does_not_make_the_book_young(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        snapshot_at(venue, 10)
        await diff(venue, 9, 11)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        young = market(bench)["depth"]["BTCUSDT"]["age_ms"]
        await bench.until(lambda: market(bench)["depth"]["BTCUSDT"]["age_ms"] > young + 100)
        await diff(venue, 11, 11, b=[["300", "1"]])  # the same again
        await trade(venue, 1)
        await bench.until(lambda: len(bench.got(PublicTrade)) == 1)
        assert market(bench)["depth"]["BTCUSDT"]["age_ms"] >= young + 100
        assert bids(bench) == [Decimal(100)]


async def test_a_crossed_book_is_dropped(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, depth_symbols=("BTCUSDT",))) as bench:
        await bench.up()
        snapshot_at(venue, 10)
        await diff(venue, 9, 11)
        await bench.until(lambda: bids(bench) == [Decimal(100)])
        snapshot_at(venue, 20, bid="120")
        await diff(venue, 12, 12, b=[["200", "1"]])
        await bench.until(lambda: len(bids(bench)) == 2)
        assert bids(bench) == [Decimal(100), Decimal(120)], "nothing crossed was told"


async def test_an_older_or_doubled_top_changes_nothing(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        snapshot_at(venue, 95, bid="150")  # what a doubt is settled by
        await ticker(venue, 95, "150")
        await bench.until(lambda: Decimal(150) in bids(bench))
        heard = bids(bench)
        await ticker(venue, 95, "150")
        await bench.until(lambda: market(bench)["stale_frames"] == 1)
        await ticker(venue, 94, "149")
        await trade(venue, 1)
        await bench.until(lambda: len(bench.got(PublicTrade)) == 1)
        assert set(bids(bench)[len(heard) :]) <= {Decimal(150)}
        assert market(bench)["stale_frames"] == 2
        await ticker(venue, 96, "151")
        await bench.until(lambda: bids(bench)[-1] == Decimal(151))


async def test_tops_of_a_venue_that_began_anew_are_told(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await ticker(venue, 95_000, "150")
        await bench.until(lambda: Decimal(150) in bids(bench))
        await bench.until(lambda: bench.link.facts()["questions_waiting"] == 0)
        asked_ns = bench.clock.now_ns()  # a symbol is asked for once a second
        await bench.until(lambda: bench.clock.now_ns() > asked_ns + 1_000_000_000)
        snapshot_at(venue, 3, bid="70")
        await ticker(venue, 3, "70")
        await bench.until(lambda: bids(bench)[-1] == Decimal(70))
        await ticker(venue, 4, "71")
        await bench.until(lambda: bids(bench)[-1] == Decimal(71))
        assert market(bench)["resets"] == 1


async def test_a_quiet_top_is_confirmed_by_the_venue(
    venue: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_feed, "CONFIRM_NS", 50_000_000)
    async with running(Bench(venue.base, ping_idle_ms=100, ping_reply_ms=100)) as bench:
        await bench.up()
        await ticker(venue, 9, "150")
        await bench.until(lambda: bids(bench) == [Decimal(150)])
        snapshot_at(venue, 9, bid="150")
        await bench.until(lambda: bids(bench) == [Decimal(150), Decimal(150)])
        tops = [item.top for item in bench.got(MarketData)]
        assert tops[1].ts_recv_ns > tops[0].ts_recv_ns


async def test_the_newer_of_two_connections_speaks(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, overlap_ms=3_000)) as bench:
        await bench.up()
        await ticker(venue, 50, "150")
        await trade(venue, 7)
        await bench.until(lambda: bids(bench) == [Decimal(150)])
        await venue.market("!serverShutdown", {"e": "serverShutdown", "E": 1})
        await bench.until(lambda: market(bench)["opened"] == 2)
        old, new = venue.streams
        await bench.until(lambda: len(bench.got(PublicTrade)) == 1)
        venue.streams = [new]
        await ticker(venue, 3, "70")  # it counts anew
        await bench.until(lambda: bids(bench) == [Decimal(150), Decimal(70)])
        venue.streams = [old]
        await ticker(venue, 51, "149")
        await trade(venue, 7)
        await trade(venue, 8)
        await bench.until(lambda: len(bench.got(PublicTrade)) == 2)
        assert bids(bench) == [Decimal(150), Decimal(70)]


def market(bench: Bench) -> dict[str, Any]:
    facts: dict[str, Any] = bench.link.facts()["links"]["market"]
    return facts


async def ticker(venue: ScriptedVenue, update_id: int, bid: str) -> None:
    data = {"u": update_id, "s": "BTCUSDT", "b": bid, "B": "1", "a": "200", "A": "1"}
    await venue.market("btcusdt@bookTicker", data)


async def trade(venue: ScriptedVenue, trade_id: int) -> None:
    data = {"e": "trade", "s": "BTCUSDT", "t": trade_id, "p": "1", "q": "1", "T": 5, "m": True}
    await venue.market("btcusdt@trade", data)


@pytest.mark.slow
@pytest.mark.parametrize("depth_symbols", [("BTCUSDT",), ()])
async def test_after_a_restart_of_the_venue_its_own_book_is_told(
    depth_symbols: tuple[str, ...],
) -> None:
    """Real processes: the venue goes away and comes back on its port, with ids from one."""
    port = kept_port()
    sim = SimProcess(seed=3, flow_rate=60, symbols="BTCUSDT", port=port).start()
    try:
        endpoints = VenueEndpoints(
            environment="sim", rest=sim.rest, ws_api=sim.ws_api, streams=sim.streams
        )
        keys = Credentials(api_key=sim.api_key, secret=sim.api_secret.encode(), kind="hmac")
        bench = Bench(endpoints=endpoints, credentials=keys, depth_symbols=depth_symbols)
        async with running(bench):
            await bench.up()
            await bench.until(lambda: len(bench.got(MarketData)) > 100)
            sim.stop()
            sim = SimProcess(seed=4, flow_rate=60, symbols="BTCUSDT", port=port).start()
            await bench.until(lambda: market(bench)["opened"] == 2)
            seen = len(bench.got(MarketData))
            await bench.until(lambda: len(bench.got(MarketData)) > seen + 20)
            await bench.until(lambda: is_of_the_venue(sim, bench))
            assert all(book["synced"] for book in market(bench)["depth"].values())
    finally:
        sim.stop()


def is_of_the_venue(sim: SimProcess, bench: Bench) -> bool:
    """Whether the top that we have is the one that the venue has, before and after."""
    mine = bench.got(MarketData)[-1].top
    with urllib.request.urlopen(f"{sim.rest}/api/v3/depth?symbol=BTCUSDT&limit=1") as answer:
        theirs = json.load(answer)
    return [mine.bid_px, mine.ask_px] == [
        Decimal(theirs["bids"][0][0]),
        Decimal(theirs["asks"][0][0]),
    ]

"""One symbol leaves the venue's list: the link stays up, and the other symbols are served."""

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from daemon.model.effects import RefreshInstruments, TakeSnapshot
from daemon.model.enums import Link
from daemon.model.ids import instrument_id
from daemon.model.inputs import BudgetSampled, InstrumentsLoaded, LinkDown, SnapshotTaken
from daemon.shell.link import venue_link
from tests.support.link_bench import BTC, Bench, running
from tests.support.scripted_venue import ScriptedVenue, json_response, served

ETH = instrument_id("ETHUSDT", "sim")
BOTH = ("BTCUSDT", "ETHUSDT")


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    made = ScriptedVenue()
    made.symbols = [*BOTH]
    made.clock_ms = lambda: time.monotonic_ns() // 1_000_000 + 1_700_000_000_000
    async with served(made) as serving:
        yield serving


async def test_a_symbol_that_goes_is_named_and_the_link_stays_up(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base, symbols=BOTH, exchange_info_period_ms=50)) as bench:
        await bench.up()
        assert bench.got(InstrumentsLoaded)[-1].absent == {}
        venue.symbols = ["BTCUSDT"]
        await bench.until(lambda: bool(bench.got(InstrumentsLoaded)[-1].absent))
        told = bench.got(InstrumentsLoaded)[-1]
        assert [one.symbol for one in told.instruments] == ["BTCUSDT"]
        assert told.absent == {"ETHUSDT": "the venue does not list it"}
        bench.link.perform(TakeSnapshot("audit", (), {BTC: 5, ETH: 7}))
        await bench.first(SnapshotTaken)
        assert not [one for one in bench.got(LinkDown) if one.link is Link.REST]
        venue.symbols = [*BOTH]
        await bench.until(lambda: not bench.got(InstrumentsLoaded)[-1].absent)


async def test_a_denial_by_a_filter_has_the_list_read_again_once_it_is_old(
    venue: ScriptedVenue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gap_ns = 100_000_000_000
    monkeypatch.setattr(venue_link, "DENIED_GAP_NS", gap_ns)
    made = Bench(venue.base, exchange_info_period_ms=36_000_000, budget_period_ms=1)
    ahead_ns, real = 0, made.clock.now_ns
    monkeypatch.setattr(made.clock, "now_ns", lambda: real() + ahead_ns)

    async def rounds_pass(bench: Bench) -> None:
        """A round that has sampled the budget would have read the list, too."""
        so_far = len(bench.got(BudgetSampled))
        await bench.until(lambda: len(bench.got(BudgetSampled)) > so_far + 1)

    async with running(made) as bench:
        await bench.up()
        venue.status = "HALT"
        for _ in range(100):
            bench.link.perform(RefreshInstruments(BTC))
        await rounds_pass(bench)
        assert len(venue.asked("GET exchangeInfo")) == 1, "what was just read is believed"
        ahead_ns = gap_ns
        await bench.until(lambda: len(venue.asked("GET exchangeInfo")) == 2)
        await bench.until(lambda: len(bench.got(InstrumentsLoaded)) == 2)
        for _ in range(100):
            bench.link.perform(RefreshInstruments(BTC))
        await rounds_pass(bench)
        assert len(venue.asked("GET exchangeInfo")) == 2, "however often somebody is denied"


async def test_a_symbol_that_is_not_listed_at_boot_keeps_no_other_from_trading(
    venue: ScriptedVenue,
) -> None:
    venue.symbols = ["BTCUSDT"]
    async with running(Bench(venue.base, symbols=BOTH)) as bench:
        await bench.up()
        told = bench.got(InstrumentsLoaded)[-1]
        assert (len(told.instruments), list(told.absent)) == (1, ["ETHUSDT"])


async def test_a_row_that_cannot_be_read_spoils_its_own_symbol_only(venue: ScriptedVenue) -> None:
    async def odd(_request: web.Request) -> web.Response:
        status, body = venue._info({})
        body["symbols"][1]["filters"] = [{"filterType": "LOT_SIZE", "minQty": 5}]
        return json_response(body, status=status)

    venue.script("GET exchangeInfo", odd, times=5)
    async with running(Bench(venue.base, symbols=BOTH)) as bench:
        await bench.up()
        told = bench.got(InstrumentsLoaded)[-1]
        assert [one.symbol for one in told.instruments] == ["BTCUSDT"]
        assert "cannot be read" in told.absent["ETHUSDT"]

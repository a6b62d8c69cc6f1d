"""One engine, gate and pump over two venues of different kinds; each ledger judges its half."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.core.engine_config import StrategySpec
from daemon.model.account_model import MODELS
from daemon.model.copies import replace
from daemon.model.enums import Link, Side, SymbolStatus
from daemon.model.ids import StrategyId, instrument_id
from daemon.model.inputs import Input
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.pump import Pump
from daemon.shell.venue_set import port_of
from daemon.venues.adapter import VenueAdapter
from tests.integration.test_second_venue import Box
from tests.support.adapters import spot
from tests.support.builders import caps, config, engine, wish
from tests.support.contract_adapter import CONTRACT_KIND, ContractAccount, ContractAdapter
from tests.support.contract_venue import CONTRACT, SYMBOL, ContractVenue, served
from tests.support.link_bench import FAST, endpoints_at
from tests.support.screenplay import Puppet
from tests.support.scripted_venue import KEY, SECRET, ScriptedVenue
from tests.support.scripted_venue import served as spot_served

CONTRACTS = "contracts"
BTC, XBT = instrument_id("BTCUSDT", "sim"), instrument_id(SYMBOL, CONTRACTS)


@pytest.fixture(autouse=True)
def _contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, CONTRACT_KIND, ContractAccount())


class TwoVenues(Box):
    """The spot venue comes first: its assets keep their names."""

    def __init__(self, venue: ContractVenue, other: ScriptedVenue, directory: Path) -> None:
        self.venue, self.other = venue, other
        self.ticked = 0
        self.puppet = Puppet(StrategyId("test"))
        spec = StrategySpec(
            strategy_id=StrategyId("test"),
            symbols=("BTCUSDT", XBT),
            factory=lambda _id, _: self.puppet,
        )
        made = config((spec,), symbols=("BTCUSDT", XBT))
        self.engine, self.gate, self.halt = engine(
            made, caps(("BTCUSDT", SYMBOL), conversions={}, balance_free_min={"USDT": "1"})
        )
        self.replies, self.fatal = [], None
        self.journal = Journal(directory, run_id="abc123-1", mode="sim", exchange="sim")
        self.pump = Pump(
            engine=self.engine,
            journal=self.journal,
            clock=venue.clock,
            halt=self.halt,
            on_reply=self.replies.append,
            on_exit=lambda _: None,
            on_fatal=self._on_fatal,
        )
        self.adapters: dict[str, tuple[str, VenueAdapter]] = {
            "sim": (other.base, spot(key=KEY, secret=SECRET)),
            CONTRACTS: (venue.base, ContractAdapter(venue=CONTRACTS, cash="USDT")),
        }
        attached, self.links = port_of(tuple(self.adapters), self.pump.offer, self._link)
        self.pump.attach(attached)

    def _link(self, name: str, deliver: Callable[[Input], None]) -> VenueLink:
        base, adapter = self.adapters[name]
        return VenueLink(
            endpoints=endpoints_at(base),
            adapter=adapter,
            config=LinkConfig(symbols=adapter.symbols, with_trades=False, **FAST),
            clock=self.venue.clock,
            halt=self.halt,
            deliver=deliver,
            settle=self.pump.take,
            gate=self.engine.gate.risk,
            rng=random.Random(7),
        )

    async def until(self, ready: Any, what: str) -> None:
        """As the parent's; the spot venue ticks, too."""
        self.ticked += 1
        frame = {"u": self.ticked, "s": "BTCUSDT", "b": "100", "B": "9", "a": "100.1", "A": "9"}

        async def spot_ticks() -> None:
            while True:
                self.ticked += 1
                await self.other.market("btcusdt@bookTicker", {**frame, "u": self.ticked})
                await asyncio.sleep(0.01)  # sleep: the venue's tick period

        async with asyncio.TaskGroup() as group:
            ticking = group.create_task(spot_ticks(), name="spot-ticks")
            try:
                await super().until(ready, what)
            finally:
                ticking.cancel()


@contextlib.asynccontextmanager
async def trading(directory: Path) -> AsyncIterator[TwoVenues]:
    """Both venues up, and a session on."""
    async with served(ContractVenue()) as venue, spot_served(ScriptedVenue()) as other:
        other.clock_ms = lambda: venue.clock_ms
        box = TwoVenues(venue, other, directory)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(link.run(), name=f"link-{name}")
                for name, link in box.links.items()
            ]
            try:
                await box.until(lambda: box.status()["gate_state"] == "READY", "READY")
                answer = await box.ask("start")
                assert answer.error_code == "", answer.error_message
                yield box
                assert box.fatal is None
            finally:
                for task in tasks:
                    task.cancel()
                box.pump.stop()
                box.journal.close()


async def test_an_order_goes_to_its_own_venue_and_one_reconciliation_compares_both(
    tmp_path: Path,
) -> None:
    async with trading(tmp_path) as box:
        box.wishes(
            wish(Side.SELL, "0.004", "101.0", iid=XBT), wish(Side.BUY, "0.1", "99.0", iid=BTC)
        )
        await box.until(lambda: len(box.venue.orders) == 1, "the contracts' order is there")
        await box.until(lambda: len(box.other.open_orders()) == 1, "and the spot order there")
        (sell,) = box.venue.live()
        assert (sell.lots, box.other.open_orders()[0]["symbol"]) == (-4, "BTCUSDT")
        await box.venue.fill(sell, 4)
        await box.until(lambda: XBT in box.gate.risk.books.positions(), "a position")
        assert box.gate.risk.books.positions()[XBT].qty == -4 * CONTRACT, "short there"
        answer = await box.ask("reconcile")
        assert answer.result["clean"], answer.result
        flows = box.engine._ctx.books.flows
        assert flows[f"USDT@{CONTRACTS}"] == box.venue.cash - Decimal(100_000)
        assert "USDT" not in flows, "the other venue's cash is another asset"
        basis = box.engine._ctx.ledger.basis
        assert basis["USDT"] == basis[f"USDT@{CONTRACTS}"] == Decimal(100_000)


async def test_readiness_is_over_all_and_a_lost_venue_is_named(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        sockets, box.venue.sockets = box.venue.sockets, []
        for socket in sockets:
            await socket.close()
        gate = box.engine._ctx.gate
        await box.until(lambda: gate.down_why[Link.ORDER].startswith(CONTRACTS), "it is named")
        assert box.gate.risk.books.by_id[BTC].blocked or gate.up[Link.ORDER], (
            "no venue trades meanwhile"
        )
        await box.until(lambda: box.status()["gate_state"] == "READY", "READY again")


async def test_cash_that_moves_at_one_venue_is_a_mismatch_of_the_set(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        box.venue.cash -= 5
        await box.ask("reconcile")
        await box.until(lambda: box.status()["incidents_open"] == 1, "an incident")
        (incident,) = box.status()["incidents"]
        assert incident["trigger"] == "position_mismatch"
        assert f"USDT@{CONTRACTS}" in incident["msg"]


async def test_a_symbol_of_another_venue_is_watched_and_confined_as_one_of_the_first(
    tmp_path: Path,
) -> None:
    """By its bare symbol, as incidents name it, and by its configured name alike."""
    async with trading(tmp_path) as box:
        symbols = box.engine._session_control.symbols
        for name in (SYMBOL, XBT):
            assert symbols.why(name) == ""
            assert not symbols.confines("stale_feed", name)
        loaded = box.engine._ctx.ledger.instruments
        loaded[XBT] = replace(loaded[XBT], status=SymbolStatus.BREAK)
        for name in (SYMBOL, XBT):
            assert "BREAK" in symbols.why(name)
            assert symbols.confines("stale_feed", name)
        assert symbols.why("BTCUSDT") == ""

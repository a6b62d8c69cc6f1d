"""The venue seam, proven by a venue that is not Binance: real engine, pump, link and stop.

`tests/support/contract_venue.py` is unlike it in ids, units, words and account; its own ledger is
the judge.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.core.engine_config import StrategySpec
from daemon.model.account_model import MODELS
from daemon.model.effects import Reply
from daemon.model.enums import Side
from daemon.model.ids import StrategyId, instrument_id
from daemon.model.intents import CancelIntent
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.venue_link import VenueLink
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from daemon.shell.stop.emergency_stop import EmergencyStop
from daemon.shell.stop.stop_set import stop_of
from daemon.venues.adapter import VenueAdapter
from tests.support.adapters import spot
from tests.support.builders import INSTANCE, caps, command, config, engine, wish
from tests.support.contract_adapter import CONTRACT_KIND, ContractAccount, ContractAdapter
from tests.support.contract_venue import CONTRACT, SYMBOL, TICK, ContractVenue, served
from tests.support.link_bench import FAST, endpoints_at
from tests.support.screenplay import Puppet
from tests.support.scripted_venue import KEY as SPOT_KEY
from tests.support.scripted_venue import SECRET as SPOT_SECRET
from tests.support.scripted_venue import ScriptedVenue
from tests.support.scripted_venue import served as spot_served

XBT = instrument_id(SYMBOL, "sim")
BID, ASK = 200, 202
"""In ticks: 100.0 and 101.0 USD."""


@pytest.fixture(autouse=True)
def _contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, CONTRACT_KIND, ContractAccount())


class Box:
    """A daemon's heart on this venue."""

    def __init__(self, venue: ContractVenue, directory: Path) -> None:
        self.venue = venue
        self.puppet = Puppet(StrategyId("test"))
        spec = StrategySpec(
            strategy_id=StrategyId("test"), symbols=(SYMBOL,), factory=lambda _id, _: self.puppet
        )
        capset = caps(
            (SYMBOL,), numeraire="USD", conversions={}, balance_free_min={"USD": "1"},
            order_types=["LIMIT"],
        )  # fmt: skip
        self.engine, self.gate, self.halt = engine(config((spec,), symbols=(SYMBOL,)), capset)
        self.replies: list[Reply] = []
        self.fatal: BaseException | None = None
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
        adapter: VenueAdapter = ContractAdapter()
        self.link = VenueLink(
            endpoints=endpoints_at(venue.base),
            adapter=adapter,
            config=LinkConfig(symbols=(SYMBOL,), with_trades=False, **FAST),
            clock=venue.clock,
            halt=self.halt,
            deliver=self.pump.offer,
            settle=self.pump.take,
            gate=self.engine.gate.risk,
            rng=random.Random(7),
        )
        self.pump.attach(self.link)

    def _on_fatal(self, error: BaseException) -> None:
        self.fatal = error

    async def until(self, ready: Any, what: str) -> None:
        """Wait for a condition, told ticks meanwhile, as a living feed does."""
        try:
            async with asyncio.timeout(60):
                while not ready():
                    assert self.fatal is None, self.fatal
                    await self.venue.tick(BID, ASK)
                    await asyncio.sleep(0.01)  # sleep: the venue's tick period
        except TimeoutError:
            raise AssertionError(f"{what}: {self.status()}") from self.fatal

    def status(self) -> dict[str, Any]:
        """What `seatrial status` shows."""
        return self.engine.status(self.venue.clock.now_ns())

    async def ask(self, method: str, **params: Any) -> Reply:
        """A command, and its answer."""
        number = f"c{len(self.replies)}-{method}"
        self.pump.offer(command(method, "test", number, **params))
        await self.until(lambda: any(r.command_id == number for r in self.replies), method)
        return next(r for r in self.replies if r.command_id == number)

    def wishes(self, *wanted: Any) -> None:
        """At the next tick."""
        self.puppet.wishes.append(wanted)

    def held(self) -> Decimal:
        """Our position as the gate counts it."""
        found = self.gate.risk.books.positions().get(XBT)
        return Decimal(0) if found is None else found.qty


@contextlib.asynccontextmanager
async def trading(directory: Path) -> AsyncIterator[Box]:
    """A box with a session on."""
    async with served(ContractVenue()) as venue:
        box = Box(venue, directory)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(box.link.run(), name="link-under-test")
            try:
                await box.until(lambda: box.status()["gate_state"] == "READY", "READY")
                answer = await box.ask("start")
                assert answer.error_code == "", answer.error_message
                await box.until(lambda: box.status()["trading_state"] == "ACTIVE", "a session")
                yield box
                assert box.fatal is None
            finally:
                task.cancel()
                box.pump.stop()
                box.journal.close()


def stop_at(base: str, adapter: VenueAdapter) -> EmergencyStop:
    """A stop of its own at one venue."""
    return EmergencyStop(
        endpoints=endpoints_at(base), adapter=adapter, instance=INSTANCE, clock=SystemClock()
    )


async def placed(box: Box, side: Side, qty: str, price: str) -> Any:
    """An order that rests at the venue."""
    before = len(box.venue.orders)
    box.wishes(wish(side, qty, price, iid=XBT))
    await box.until(lambda: len(box.venue.orders) == before + 1, "it is at the venue")
    resting = list(box.venue.orders.values())[-1]
    await box.until(lambda: box.status()["orders"].get("ACCEPTED", 0) >= 1, "it is accepted")
    return resting


async def test_orders_are_placed_in_lots_and_ticks_filled_and_canceled(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        buy = await placed(box, Side.BUY, "0.005", "99.5")
        assert (buy.lots, buy.ticks) == (5, 199)
        await box.venue.fill(buy, 2)
        await box.until(lambda: box.held() == 2 * CONTRACT, "the position is ours")
        cid = next(iter(box.engine._ctx.books.open))
        assert buy.tag == str(int(cid, 36)), "our id, as the venue's number"
        box.wishes(CancelIntent(strategy_id=StrategyId("test"), client_order_id=cid))
        await box.until(lambda: buy.state == "pulled", "it is canceled there")
        await box.until(lambda: not box.engine._ctx.books.open, "and here")
        assert box.held() == 2 * CONTRACT


async def test_a_position_may_be_short_and_reconciles_with_the_ledger(tmp_path: Path) -> None:
    """Nothing of the base is held: what a sell costs and a fill moves, only the model says."""
    async with trading(tmp_path) as box:
        sell = await placed(box, Side.SELL, "0.004", "101.5")
        await box.venue.fill(sell, 4)
        await box.until(lambda: box.held() == -4 * CONTRACT, "short")
        assert box.venue.lots == -4
        assert box.venue.cash > 100_000, "it was paid for what it sold"
        answer = await box.ask("reconcile")
        assert answer.result["clean"], answer.result
        assert box.status()["incidents"] == []
        flows = box.engine._ctx.books.flows
        assert flows["USD"] == box.venue.cash - 100_000
        assert flows[SYMBOL] == box.venue.lots * CONTRACT


async def test_a_sell_is_denied_for_what_its_model_says_that_it_costs(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        box.venue.cash = Decimal(40)
        box.gate.risk.books.accounts["USD"].free = Decimal(40)
        box.wishes(wish(Side.SELL, "0.4", "101.0", iid=XBT))
        await box.until(lambda: bool(box.puppet.denials), "a denial")
        assert box.puppet.denials == ["balance_insufficient"]
        assert box.venue.orders == {}


async def test_cash_that_moves_by_itself_and_a_strangers_order_stop_us(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        stranger = box.venue.add(tag="4711", lots=3, ticks=150)
        box.venue.cash -= 5
        await box.ask("reconcile")
        await box.until(lambda: box.status()["incidents_open"] == 2, "both are incidents")
        triggers = {one["trigger"] for one in box.status()["incidents"]}
        assert triggers == {"foreign_order", "position_mismatch"}
        assert box.status()["trading_state"] == "HALTED"
        assert stranger.state == "live"


async def test_a_fill_that_nobody_told_is_recovered_from_the_history(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        first = await placed(box, Side.BUY, "0.001", "99.5")
        await box.venue.fill(first, 1)
        await box.until(lambda: box.held() == CONTRACT, "the first is booked")
        buy = await placed(box, Side.BUY, "0.003", "99.0")
        sockets, box.venue.sockets = box.venue.sockets, []
        await box.venue.fill(buy, 3)
        box.venue.sockets = sockets
        await box.ask("reconcile")
        await box.until(lambda: box.held() == 4 * CONTRACT, "recovered")
        assert box.status()["incidents"] == []


async def test_the_emergency_stop_cancels_ours_one_by_one_and_proves_it(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        for price in ("99.5", "99.0", "98.5"):
            await placed(box, Side.BUY, "0.002", price)
        stranger = box.venue.add(tag="4711", lots=3, ticks=150)
        stop = stop_at(box.venue.base, ContractAdapter())
        report = await stop.cancel_and_verify(deadline_s=60)
        await stop.close()
        assert report.verified_empty_ns is not None, report
        assert (report.canceled, report.remaining, report.others) == (3, 0, 1)
        assert box.venue.live() == [stranger]


async def test_a_quantity_that_is_no_whole_lot_never_leaves(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        box.wishes(wish(Side.BUY, "0.0025", "99.5", iid=XBT))
        await box.until(lambda: bool(box.puppet.denials), "a denial")
        assert box.puppet.denials == ["filter_lot"]
        assert (box.venue.orders, TICK) == ({}, Decimal("0.5"))


async def test_one_stop_over_two_venues_is_empty_when_both_are(tmp_path: Path) -> None:
    async with trading(tmp_path) as box, spot_served(ScriptedVenue()) as other:
        await placed(box, Side.BUY, "0.002", "99.5")
        other.clock_ms = lambda: box.venue.clock_ms
        other.add_order(f"st{INSTANCE}-1-1")
        other.add_order(f"st{INSTANCE}-1-2")
        stops = {"contracts": stop_at(box.venue.base, ContractAdapter())}
        stops["spot"] = stop_at(other.base, spot(key=SPOT_KEY, secret=SPOT_SECRET))
        stop = stop_of(stops)
        heard: list[tuple[int, int]] = []
        report = await stop.cancel_and_verify(deadline_s=60, on_round=lambda *n: heard.append(n))
        assert (report.canceled, report.open_orders) == (3, 0), report
        assert report.verified_empty_ns is not None
        assert heard[-1] == (3, 0)
        assert (box.venue.live(), other.open_orders()) == ([], [])
        await stop.close()


async def test_a_venue_that_cannot_be_asked_holds_no_other_and_is_no_zero(tmp_path: Path) -> None:
    async with trading(tmp_path) as box:
        await placed(box, Side.BUY, "0.002", "99.5")
        stops = {"contracts": stop_at(box.venue.base, ContractAdapter())}
        stops["spot"] = stop_at("127.0.0.1:9", spot())
        stop = stop_of(stops)
        report = await stop.cancel_and_verify(deadline_s=1)
        await stop.close()
        assert box.venue.live() == [], "the other venue is stopped all the same"
        assert (report.canceled, report.open_orders, report.verified_empty_ns) == (1, None, None)
        assert any(text.startswith("spot: ") for text in report.errors)

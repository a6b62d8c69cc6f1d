"""Snapshots when much has happened at once: a wipe, a long gap, ids that mean other orders now."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.model.effects import OrderRef, TakeSnapshot
from daemon.model.ids import ClientOrderId, VenueOrderId
from daemon.model.inputs import SnapshotFailed, SnapshotTaken, VenueReport
from tests.support.link_bench import BTC, Bench, running
from tests.support.scripted_venue import ScriptedVenue, json_response, served
from tests.support.spot_payloads import BASE


@pytest.fixture
async def venue() -> AsyncIterator[ScriptedVenue]:
    made = ScriptedVenue()
    made.clock_ms = lambda: time.monotonic_ns() // 1_000_000 + 1_700_000_000_000
    async with served(made) as serving:
        yield serving


def trade_of(order_id: int, trade_id: int) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT", "id": trade_id, "orderId": order_id, "price": "1", "qty": "1",
        "commission": "0", "commissionAsset": "BTC", "time": trade_id, "isBuyer": True,
        "isMaker": True,
    }  # fmt: skip


async def test_two_hundred_vanished_orders_are_asked_for_at_once(venue: ScriptedVenue) -> None:
    refs = tuple(
        OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, VenueOrderId(str(9_000 + n)))
        for n in range(200)
    )
    async with running(Bench(venue.base, snapshot_deadline_ms=8_000)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", refs, {BTC: 5_000}))
        snapshot = (await bench.first(SnapshotTaken, within_s=8)).snapshot
    assert {absent.client_order_id for absent in snapshot.absent} == {
        r.client_order_id for r in refs
    }
    assert len(venue.asked("GET order")) == 400, "by our id, then by the venue's"
    assert (snapshot.fills, snapshot.open_orders, snapshot.statuses) == ((), (), ())


async def test_after_a_wipe_an_old_venue_id_is_a_new_order(venue: ScriptedVenue) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        await venue.event({**BASE, "i": 1})  # ours was order 1 before the wipe
        await bench.first(VenueReport)
        foreign = venue.add_order("web_1")
        assert foreign["orderId"] == 1
        ref = OrderRef(ClientOrderId(BASE["c"]), BTC, VenueOrderId("1"))
        bench.link.perform(TakeSnapshot("audit", (ref,), {BTC: -1}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
    assert [report.client_order_id for report in snapshot.open_orders] == ["web_1"]
    assert [absent.client_order_id for absent in snapshot.absent] == [BASE["c"]]


async def test_trades_of_orders_that_nobody_knows_are_looked_up_once_each(
    venue: ScriptedVenue,
) -> None:
    rows = [venue.add_order(f"web_{n}", status="FILLED", executedQty="2") for n in range(3)]
    venue.trades += [
        trade_of(row["orderId"], 10 * n + part)
        for n, row in enumerate(rows, start=1)
        for part in (1, 2)
    ]
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        for _ in range(2):
            bench.link.perform(TakeSnapshot("gap", (), {BTC: 5}))
        await bench.until(lambda: len(bench.got(SnapshotTaken)) == 2)
        fills = bench.got(SnapshotTaken)[1].snapshot.fills
    assert [fill.client_order_id for fill in fills] == [f"web_{n}" for n in (0, 0, 1, 1, 2, 2)]
    assert len(venue.asked("GET order")) <= 6


async def test_too_many_unknown_orders_fail_the_snapshot(venue: ScriptedVenue) -> None:
    venue.trades += [trade_of(1_000 + n, n) for n in range(1, 20)]
    async with running(Bench(venue.base, snapshot_lookups_max=10)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("gap", (), {BTC: 0}))
        failed = await bench.first(SnapshotFailed)
    assert "19 orders" in failed.reason
    assert venue.asked("GET order") == []


async def test_one_failed_look_up_fails_the_snapshot(venue: ScriptedVenue) -> None:
    async def fail(_request: web.Request) -> web.Response:
        return json_response({"code": -1001, "msg": "Disconnected"}, status=500)

    venue.script("GET order", fail)
    refs = tuple(OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, None) for n in range(30))
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", refs, {}))
        assert "audit" in (await bench.first(SnapshotFailed)).reason
        assert bench.got(SnapshotTaken) == []

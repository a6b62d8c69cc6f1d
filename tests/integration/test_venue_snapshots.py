"""Snapshots when much has happened at once: a wipe, a long gap, ids that mean other orders now."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from daemon.model.effects import OrderRef, TakeSnapshot
from daemon.model.ids import ClientOrderId, VenueOrderId
from daemon.model.inputs import SnapshotFailed, SnapshotTaken, VenueReport
from tests.support.link_bench import BTC, Bench, running
from tests.support.scripted_venue import Action, ScriptedVenue, json_response, served
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


async def test_two_hundred_vanished_orders_are_asked_for_within_three_rounds(
    venue: ScriptedVenue,
) -> None:
    refs = tuple(
        OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, VenueOrderId(str(9_000 + n)))
        for n in range(200)
    )
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        for number in range(1, 3):
            bench.link.perform(TakeSnapshot("audit", refs, {BTC: 5_000}))
            await bench.until(lambda n=number: len(bench.got(SnapshotTaken)) == n)
        first, second = (one.snapshot for one in bench.got(SnapshotTaken))
    assert "100 of our orders" in first.unread
    told = {absent.client_order_id for one in (first, second) for absent in one.absent}
    assert told == {r.client_order_id for r in refs}, "the second round asks those that waited"
    assert len(venue.asked("GET order")) == 400, "by our id, then by the venue's"
    assert (first.fills, first.open_orders, first.statuses) == ((), (), ())


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


async def test_thousands_of_anothers_orders_are_read_by_pages_and_over_rounds(
    venue: ScriptedVenue,
) -> None:
    """Another bot traded 12,500 times while we were away; among it one trade of ours."""
    for n in range(2_500):
        venue.add_order("stabc123-1-7" if n == 2_400 else f"web_{n}", status="FILLED")
    order_ids = sorted(venue.orders)
    venue.trades += [trade_of(order_ids[n // 5], n + 1) for n in range(12_500)]
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        snapshots = []
        for number in range(1, 6):
            bench.link.perform(TakeSnapshot("boot", (), {BTC: 1}, instance="abc123"))
            await bench.until(lambda n=number: len(bench.got(SnapshotTaken)) == n)
            snapshots.append(bench.got(SnapshotTaken)[-1].snapshot)
            if not snapshots[-1].unread:
                break
    assert "trades of BTCUSDT" in snapshots[0].unread
    assert snapshots[-1].unread == "", "the history comes to its end"
    ours = {fill.client_order_id for one in snapshots for fill in one.fills}
    assert ours == {"stabc123-1-7"}, "what is others' is counted, not told"
    assert snapshots[0].foreign_traded > 2_000
    assert len(venue.asked("GET order")) <= 5, "not one by one"
    assert len(venue.asked("GET allOrders")) <= 6
    assert len(venue.asked("GET myTrades")) <= 20


def mute_answer(status: int, code: int) -> Action:
    async def answer(request: web.Request) -> web.Response:
        if request.query.get("origClientOrderId") == "stabc123-1-3":
            return json_response({"code": code, "msg": "no"}, status=status)
        return json_response({"code": -2013, "msg": "Order does not exist."}, status=400)

    return answer


@pytest.mark.parametrize(
    ("status", "code", "refused"),
    [
        (400, -1121, True),  # its symbol is gone
        (400, -2026, True),  # archived
        (400, -9999, True),  # a code that nobody knows
        (401, -2015, True),  # no permission for it
        (500, -1001, False),
        (503, 0, False),
    ],
)
async def test_an_order_that_is_not_answered_about_fails_nothing_but_itself(
    venue: ScriptedVenue, status: int, code: int, refused: bool
) -> None:
    venue.script("GET order", mute_answer(status, code), times=30)
    refs = tuple(OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, None) for n in range(5))
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", refs, {}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
    assert [(one.client_order_id, one.refused) for one in snapshot.mute] == [
        ("stabc123-1-3", refused)
    ]
    assert snapshot.mute[0].reason
    assert {one.client_order_id for one in snapshot.absent} == {
        f"stabc123-1-{n}" for n in (0, 1, 2, 4)
    }
    assert snapshot.balances


async def test_an_order_that_is_never_answered_about_fails_nothing_but_itself(
    venue: ScriptedVenue,
) -> None:
    async def never(request: web.Request) -> web.Response:
        if request.query.get("origClientOrderId") == "stabc123-1-3":
            await asyncio.sleep(60)  # sleep: an answer that never comes is what the fake does
        return json_response({"code": -2013, "msg": "Order does not exist."}, status=400)

    venue.script("GET order", never, times=30)
    refs = tuple(OrderRef(ClientOrderId(f"stabc123-1-{n}"), BTC, None) for n in range(5))
    async with running(Bench(venue.base, snapshot_deadline_ms=6_000)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", refs, {}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
    assert [one.client_order_id for one in snapshot.mute] == ["stabc123-1-3"]
    assert len(snapshot.absent) == 4


async def test_a_symbol_that_is_not_answered_about_is_named_and_the_rest_goes_on(
    venue: ScriptedVenue,
) -> None:
    async def no(_request: web.Request) -> web.Response:
        return json_response({"code": -1130, "msg": "This symbol is archived."}, status=400)

    venue.script("GET openOrders", no, times=2)  # of the account, then of the symbol
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", (), {}))
        snapshot = (await bench.first(SnapshotTaken)).snapshot
    assert [symbol for symbol, _ in snapshot.mute_symbols] == ["BTCUSDT"]
    assert "archived" in snapshot.mute_symbols[0][1]
    assert snapshot.balances


async def test_a_refusal_for_rate_fails_the_whole_round(venue: ScriptedVenue) -> None:
    async def slower(_request: web.Request) -> web.Response:
        return json_response({"code": -1003, "msg": "Too many requests."}, status=429)

    venue.script("GET order", slower)
    refs = (OrderRef(ClientOrderId("stabc123-1-1"), BTC, None),)
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        bench.link.perform(TakeSnapshot("audit", refs, {}))
        assert "audit" in (await bench.first(SnapshotFailed)).reason
        assert bench.got(SnapshotTaken) == []


async def test_routine_rounds_have_a_share_of_the_weight_and_leave_the_rest(
    venue: ScriptedVenue,
) -> None:
    async with running(Bench(venue.base)) as bench:
        await bench.up()
        done = 0
        while not bench.got(SnapshotFailed):
            done += 1
            assert done < 200
            bench.link.perform(TakeSnapshot("audit", (), {BTC: 5}, routine=True))
            await bench.until(
                lambda n=done: len(bench.got(SnapshotTaken) + bench.got(SnapshotFailed)) == n
            )
        facts = bench.link.facts()
        bench.link.perform(TakeSnapshot("stop", (), {BTC: 5}))
        await bench.until(lambda: bench.got(SnapshotTaken)[-1].snapshot.reason == "stop")
    assert "routine rounds" in bench.got(SnapshotFailed)[0].reason
    limit = facts["limits"]["REQUEST_WEIGHT_1M"]
    assert limit * 0.25 < facts["used_by_rounds"]["REQUEST_WEIGHT_1M"] <= limit * 0.3
    assert facts["used"]["REQUEST_WEIGHT_1M"] < limit * 0.4, "orders keep their share"

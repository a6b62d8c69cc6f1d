"""One suite for every venue adapter: what the link tells equals what the venue's own ledger says.

An adapter is a road and a key kind; the venue is the simulated one, a process of its own. The next
venue adds a row to ADAPTERS and must pass the same cases.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from daemon.model.effects import (
    OrderRef,
    QueryOrder,
    SendAmend,
    SendCancel,
    SendOrder,
    SendReplace,
    TakeSnapshot,
)
from daemon.model.enums import ExecType, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId, VenueOrderId
from daemon.model.inputs import (
    BalancesChanged,
    LinkDown,
    MarketData,
    OrderAbsent,
    OutcomeUnknown,
    SnapshotTaken,
    VenueAmendReject,
    VenueCancelReject,
    VenueReject,
    VenueReport,
)
from daemon.model.market import TopOfBook
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.orders import NewOrder
from daemon.model.reports import ExecutionReport, Fill
from daemon.shell.checks.venue_checks import run_preflight
from daemon.shell.link.venue_link import Credentials, VenueEndpoints
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.emergency_stop import EmergencyStop
from tests.support.adapters import spot
from tests.support.link_bench import BTC, Bench, cancel, order, replacement, running, smaller
from tests.support.sim_process import SimProcess

ADAPTERS = ["ws-hmac", "ws-ed25519", "rest-hmac"]
QTY = Decimal("0.01")
RUNS = itertools.count(1)


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture(scope="module", params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sim(
    adapter: str, key: Ed25519PrivateKey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimProcess]:
    """A venue for each adapter: together they would be past its orders in ten seconds."""
    seed = 11 + ADAPTERS.index(adapter)
    public: Path = tmp_path_factory.mktemp("keys") / "public.pem"
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    with SimProcess(seed=seed, flow_rate=20, symbols="BTCUSDT", ed25519_public_key=public) as venue:
        yield venue


class Stage:
    """A link that is up, ids that nobody else has used, and the venue's own ledger."""

    def __init__(self, bench: Bench, sim: SimProcess, top: TopOfBook) -> None:
        self.bench = bench
        self.sim = sim
        self.top = top
        self._run = next(RUNS)
        self._number = 0

    def id(self) -> ClientOrderId:
        self._number += 1
        return ClientOrderId(f"stcontra-{self._run}-{self._number}")

    def resting(self, **changes: Any) -> NewOrder:
        """A bid far below the market."""
        price = (self.top.bid_px * Decimal("0.9")).quantize(Decimal("0.01"))
        return order(self.id(), **{"qty": QTY, "price": price, **changes})

    def send(self, made: NewOrder) -> ClientOrderId:
        self.bench.link.perform(SendOrder(made))
        return made.client_order_id

    def amend(
        self, client_id: ClientOrderId, qty: Decimal, venue_id: VenueOrderId | None = None
    ) -> None:
        self.bench.link.perform(SendAmend(smaller(client_id, qty=qty, venue_order_id=venue_id)))

    def reports(self, client_id: ClientOrderId) -> list[ExecutionReport]:
        return [
            item.report
            for item in self.bench.got(VenueReport)
            if item.report.client_order_id == client_id
        ]

    async def until_status(
        self, client_id: ClientOrderId, status: VenueOrderStatus
    ) -> ExecutionReport:
        await self.bench.until(
            lambda: any(r.venue_status is status for r in self.reports(client_id))
        )
        return next(r for r in self.reports(client_id) if r.venue_status is status)

    async def until_roads_agree(self, client_id: ClientOrderId, kind: ExecType) -> None:
        """Reply and stream have both told of it."""
        await self.bench.until(
            lambda: (
                {r.source for r in self.reports(client_id) if r.exec_type is kind}
                >= {"stream", "reply"}
            )
        )

    def fills(self, client_id: ClientOrderId) -> dict[str, Fill]:
        """Deduped by exec id, as the books do."""
        return {f.exec_id: f for r in self.reports(client_id) for f in r.fills}

    def tidy_up(self) -> None:
        """Cancel what is open on the symbol, as another program with the same key."""
        try:
            self.sim.signed("DELETE", "openOrders", symbol="BTCUSDT")
        except RuntimeError as error:
            if "-2011" not in str(error):  # nothing is open
                raise

    async def ledger(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.sim.ledger)

    async def row(self, client_id: ClientOrderId) -> dict[str, Any]:
        (row,) = [r for r in (await self.ledger())["orders"] if r["client_order_id"] == client_id]
        return dict(row)

    async def ledger_fills(self, client_id: ClientOrderId) -> list[dict[str, Any]]:
        ledger = await self.ledger()
        return [row for row in ledger["fills"] if row["client_order_id"] == client_id]


@pytest.fixture
async def stage(adapter: str, sim: SimProcess, key: Ed25519PrivateKey) -> AsyncIterator[Stage]:
    road, kind = adapter.split("-")
    credentials = (
        Credentials(api_key=sim.api_key, secret=sim.api_secret.encode(), kind="hmac")
        if kind == "hmac"
        else Credentials(api_key=sim.ready["ed25519_api_key"], secret=key, kind="ed25519")
    )
    endpoints = VenueEndpoints(
        environment="sim", rest=sim.rest, ws_api=sim.ws_api, streams=sim.streams
    )
    bench = Bench(
        endpoints=endpoints, credentials=credentials, order_road=road, reply_deadline_ms=5_000
    )
    async with running(bench):
        await bench.up()
        top = (await bench.first(MarketData)).top
        made = Stage(bench, sim, top)
        yield made
        await asyncio.to_thread(made.tidy_up)


# -------------------------------------------------------------------- placements
async def test_a_resting_order_is_accepted(stage: Stage) -> None:
    made = stage.resting()
    client_id = stage.send(made)
    report = await stage.until_status(client_id, VenueOrderStatus.NEW)
    await stage.until_roads_agree(client_id, ExecType.NEW)
    for report in stage.reports(client_id):
        assert (report.qty, report.price, report.cum_qty) == (made.qty, made.price, 0)
        assert (report.side, report.fills) == (Side.BUY, ())
        assert report.venue_order_id is not None
        assert report.ts_venue_ns > 1_600_000_000_000_000_000
    (row,) = [r for r in (await stage.ledger())["orders"] if r["client_order_id"] == client_id]
    assert str(row["order_id"]) == report.venue_order_id


@pytest.mark.parametrize(
    "kind",
    [
        OrderType.STOP_LOSS,
        OrderType.STOP_LOSS_LIMIT,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_LIMIT,
    ],
)
async def test_conditional_orders_rest_until_canceled(stage: Stage, kind: OrderType) -> None:
    # A sell: stop-loss triggers below the market, take-profit above it.
    factor = Decimal("0.9") if kind.value.startswith("STOP") else Decimal("1.1")
    trigger = (stage.top.bid_px * factor).quantize(Decimal("0.01"))
    price = trigger if kind.value.endswith("LIMIT") else None
    tif = TimeInForce.GTC if price else None
    made = stage.resting(
        order_type=kind, side=Side.SELL, stop_price=trigger, price=price, time_in_force=tif
    )
    client_id = stage.send(made)
    await stage.until_status(client_id, VenueOrderStatus.NEW)
    stage.bench.link.perform(SendCancel(cancel(client_id)))
    report = await stage.until_status(client_id, VenueOrderStatus.CANCELED)
    assert (report.qty, report.cum_qty, report.side) == (made.qty, 0, Side.SELL)


async def test_a_market_order_fills_and_both_roads_name_its_fills_alike(stage: Stage) -> None:
    made = stage.resting(order_type=OrderType.MARKET, price=None, time_in_force=None)
    client_id = stage.send(made)
    await stage.until_status(client_id, VenueOrderStatus.FILLED)
    await stage.until_roads_agree(client_id, ExecType.TRADE)
    by_source = {
        source: {f.exec_id: (f.qty, f.price, f.fee, f.fee_asset)
                 for r in stage.reports(client_id) if r.source == source for f in r.fills}
        for source in ("stream", "reply")
    }  # fmt: skip
    await stage.bench.until(lambda: sum(f.qty for f in stage.fills(client_id).values()) == made.qty)
    assert by_source["reply"]
    assert set(by_source["stream"].items()) <= set(by_source["reply"].items())
    ledger = await stage.ledger_fills(client_id)
    assert sum(Decimal(row["qty"]) for row in ledger) == made.qty
    assert len(ledger) == len(stage.fills(client_id))
    assert stage.bench.got(BalancesChanged), "a fill changes balances"


async def test_immediate_or_cancel_expires_what_it_cannot_take(stage: Stage) -> None:
    client_id = stage.send(stage.resting(time_in_force=TimeInForce.IOC))
    report = await stage.until_status(client_id, VenueOrderStatus.EXPIRED)
    assert report.cum_qty == 0
    client_id = stage.send(stage.resting(time_in_force=TimeInForce.FOK))
    await stage.until_status(client_id, VenueOrderStatus.EXPIRED)
    assert stage.fills(client_id) == {}


REFUSALS: list[tuple[str, dict[str, Any], int]] = [
    (
        "would take",
        {"order_type": OrderType.LIMIT_MAKER, "time_in_force": None, "side": Side.SELL},
        -2010,
    ),
    ("off tick", {"price": Decimal("100.123")}, -1013),
    ("too small", {"qty": Decimal("0.00001")}, -1013),
    ("too precise", {"qty": Decimal("0.000000001")}, -1111),
    ("too dear", {"qty": Decimal(150)}, -2010),
]


@pytest.mark.parametrize(("_name", "changes", "code"), REFUSALS, ids=[r[0] for r in REFUSALS])
async def test_a_definite_no_is_a_reject(
    stage: Stage, _name: str, changes: dict[str, Any], code: int
) -> None:
    client_id = stage.send(stage.resting(**changes))
    reject = (await stage.bench.first(VenueReject)).reject
    assert (reject.client_order_id, reject.code) == (client_id, code)
    assert stage.reports(client_id) == []
    stage.bench.link.perform(QueryOrder(client_id, BTC, None))
    assert (await stage.bench.first(OrderAbsent)).absent.client_order_id == client_id


# -------------------------------------------------------------------- cancels
@pytest.mark.parametrize("by_venue_id", [False, True])
async def test_a_cancel_names_the_orders_own_id(stage: Stage, by_venue_id: bool) -> None:
    client_id = stage.send(stage.resting())
    report = await stage.until_status(client_id, VenueOrderStatus.NEW)
    venue_id = report.venue_order_id if by_venue_id else None
    stage.bench.link.perform(SendCancel(cancel(client_id, venue_order_id=venue_id)))
    await stage.until_roads_agree(client_id, ExecType.CANCELED)
    seen = {i.report.client_order_id for i in stage.bench.got(VenueReport)}
    assert not any(shown.endswith("-c") for shown in seen), "the cancel's id never shows"
    stage.bench.link.perform(SendCancel(cancel(client_id, venue_order_id=venue_id)))
    reject = (await stage.bench.first(VenueCancelReject)).reject
    assert (reject.client_order_id, reject.code) == (client_id, -2011)
    stage.bench.link.perform(QueryOrder(client_id, BTC, report.venue_order_id))
    await stage.bench.until(lambda: any(r.source == "query" for r in stage.reports(client_id)))
    found = next(r for r in stage.reports(client_id) if r.source == "query")
    assert found.venue_status is VenueOrderStatus.CANCELED


async def test_replace_cancels_one_and_places_the_other(stage: Stage) -> None:
    target = stage.send(stage.resting())
    await stage.until_status(target, VenueOrderStatus.NEW)
    new = stage.resting(qty=QTY * 2)
    replace = replacement(target, new.client_order_id)
    replace = type(replace)(target=target, target_venue_order_id=None, order=new, ts_ns=1)
    stage.bench.link.perform(SendReplace(replace))
    await stage.until_status(target, VenueOrderStatus.CANCELED)
    report = await stage.until_status(new.client_order_id, VenueOrderStatus.NEW)
    assert report.qty == QTY * 2


async def test_replace_of_nothing_places_nothing(stage: Stage) -> None:
    new = stage.resting()
    replace = replacement("stcontra-0-0", new.client_order_id)
    replace = type(replace)(target=replace.target, target_venue_order_id=None, order=new, ts_ns=1)
    stage.bench.link.perform(SendReplace(replace))
    assert (await stage.bench.first(VenueCancelReject)).reject.client_order_id == "stcontra-0-0"
    assert (await stage.bench.first(VenueReject)).reject.client_order_id == new.client_order_id


# -------------------------------------------------------------------- questions
async def test_history_gives_the_fills_that_the_stream_gave(stage: Stage) -> None:
    client_id = stage.send(
        stage.resting(order_type=OrderType.MARKET, price=None, time_in_force=None)
    )
    await stage.until_status(client_id, VenueOrderStatus.FILLED)
    await stage.bench.until(lambda: sum(f.qty for f in stage.fills(client_id).values()) == QTY)
    live = stage.fills(client_id)
    first = min(int(exec_id.split(":")[1]) for exec_id in live)
    stage.bench.link.perform(TakeSnapshot("test", (), {BTC: first}))
    snapshot = (await stage.bench.first(SnapshotTaken)).snapshot
    recovered = {f.exec_id: f for f in snapshot.fills if f.client_order_id == client_id}
    assert set(recovered) == set(live)
    for exec_id, fill in recovered.items():
        told = live[exec_id]
        assert (fill.qty, fill.price, fill.fee, fill.fee_asset, fill.side, fill.liquidity) == (
            told.qty, told.price, told.fee, told.fee_asset, told.side, told.liquidity
        )  # fmt: skip
        assert fill.recovered


async def test_a_snapshot_tells_open_done_and_absent_apart(stage: Stage) -> None:
    resting = stage.send(stage.resting())
    done = stage.send(stage.resting(time_in_force=TimeInForce.IOC))
    never = stage.id()
    await stage.until_status(resting, VenueOrderStatus.NEW)
    await stage.until_status(done, VenueOrderStatus.EXPIRED)
    refs = tuple(OrderRef(i, BTC, None) for i in (resting, done, never))
    stage.bench.link.perform(TakeSnapshot("test", refs, {BTC: -1}))
    snapshot = (await stage.bench.first(SnapshotTaken)).snapshot
    assert resting in {r.client_order_id for r in snapshot.open_orders}
    assert [(r.client_order_id, r.venue_status) for r in snapshot.statuses] == [
        (done, VenueOrderStatus.EXPIRED)
    ]
    assert [a.client_order_id for a in snapshot.absent] == [never]
    assert {b.asset for b in snapshot.balances} >= {"BTC", "USDT"}
    locked = {b.asset: b.locked for b in snapshot.balances}
    assert locked["USDT"] > 0


async def test_an_order_of_nobody_is_absent(stage: Stage) -> None:
    stage.bench.link.perform(QueryOrder(stage.id(), BTC, VenueOrderId("987654321")))
    assert await stage.bench.first(OrderAbsent)


# -------------------------------------------------------------------- beyond the type
async def test_an_iceberg_rests_whole(stage: Stage) -> None:
    shown = QTY / 2
    client_id = stage.send(stage.resting(extras=OrderExtras(iceberg_qty=shown)))
    report = await stage.until_status(client_id, VenueOrderStatus.NEW)
    assert report.qty == QTY, "the whole of it is open, whatever is shown"
    row = await stage.row(client_id)
    assert (Decimal(row["iceberg_qty"]), Decimal(row["qty"])) == (shown, QTY)


@pytest.mark.parametrize("kind", [OrderType.STOP_LOSS, OrderType.STOP_LOSS_LIMIT])
async def test_a_trailing_stop_waits(stage: Stage, kind: OrderType) -> None:
    priced = kind is OrderType.STOP_LOSS_LIMIT
    made = stage.resting(
        side=Side.SELL, order_type=kind, extras=OrderExtras(trailing_bps=500),
        price=stage.resting().price if priced else None,
        time_in_force=TimeInForce.GTC if priced else None,
    )  # fmt: skip
    client_id = stage.send(made)
    await stage.until_status(client_id, VenueOrderStatus.NEW)
    row = await stage.row(client_id)
    assert (row["trailing_bps"], row["status"], row["type"]) == (500, "NEW", kind.value)


async def test_a_pegged_order_is_told_its_price(stage: Stage) -> None:
    extras = OrderExtras(peg=PegPrice.PRIMARY_PEG, peg_levels=2)
    client_id = stage.send(stage.resting(price=None, extras=extras))
    await stage.until_status(client_id, VenueOrderStatus.NEW)
    row = await stage.row(client_id)
    assert row["peg"] == "PRIMARY_PEG"
    assert Decimal(row["price"]) > 0
    told = {report.price for report in stage.reports(client_id)}
    assert told == {Decimal(row["price"])}


# -------------------------------------------------------------------- amends
async def test_an_amend_keeps_the_order_and_its_id(stage: Stage) -> None:
    client_id = stage.send(stage.resting())
    placed = await stage.until_status(client_id, VenueOrderStatus.NEW)
    stage.amend(client_id, QTY / 2, placed.venue_order_id)
    await stage.until_roads_agree(client_id, ExecType.REPLACED)
    for report in stage.reports(client_id):
        if report.exec_type is ExecType.REPLACED:
            assert (report.qty, report.venue_order_id) == (QTY / 2, placed.venue_order_id)
            assert report.venue_status is VenueOrderStatus.NEW
    (row,) = [r for r in (await stage.ledger())["orders"] if r["client_order_id"] == client_id]
    assert (Decimal(row["qty"]), row["status"]) == (QTY / 2, "NEW")
    assert row["shown_client_order_id"] == client_id, "no other id, and none that is random"
    stage.bench.link.perform(SendCancel(cancel(client_id)))
    await stage.until_status(client_id, VenueOrderStatus.CANCELED)


@pytest.mark.parametrize("factor", [1, 2])
async def test_an_amend_that_is_no_reduction_is_refused(stage: Stage, factor: int) -> None:
    client_id = stage.send(stage.resting())
    await stage.until_status(client_id, VenueOrderStatus.NEW)
    stage.amend(client_id, QTY * factor)
    reject = (await stage.bench.first(VenueAmendReject)).reject
    assert (reject.client_order_id, reject.code) == (client_id, -2038)
    (row,) = [r for r in (await stage.ledger())["orders"] if r["client_order_id"] == client_id]
    assert Decimal(row["qty"]) == QTY


async def test_an_amend_of_nothing_is_refused(stage: Stage) -> None:
    stage.amend(stage.id(), QTY / 2)
    assert (await stage.bench.first(VenueAmendReject)).reject.code == -2013


async def test_an_unanswered_amend_is_unknown_and_a_query_tells(stage: Stage) -> None:
    client_id = stage.send(stage.resting())
    placed = await stage.until_status(client_id, VenueOrderStatus.NEW)
    rule: dict[str, object] = {"kind": "unknown_1007_after", "rate": 1.0, "purposes": ["place"]}
    await asyncio.to_thread(stage.sim.load_faults, [rule])
    try:
        stage.amend(client_id, QTY / 2, placed.venue_order_id)
        unknown = await stage.bench.first(OutcomeUnknown)
    finally:
        await asyncio.to_thread(stage.sim.load_faults, [])
    assert (unknown.client_order_id, unknown.request) == (client_id, "amend")
    stage.bench.link.perform(QueryOrder(client_id, BTC, placed.venue_order_id))
    await stage.bench.until(
        lambda: any(r.source == "query" and r.qty == QTY / 2 for r in stage.reports(client_id))
    )


# -------------------------------------------------------------------- other hands
async def test_lists_of_a_foreign_hand_are_foreign_orders(stage: Stage, sim: SimProcess) -> None:
    """The adapter places no lists; on its account they may be, and none of it may disturb it."""
    mine = stage.send(stage.resting())
    await stage.until_status(mine, VenueOrderStatus.NEW)
    bid, ask = stage.top.bid_px, stage.top.ask_px
    lists = await asyncio.to_thread(place_lists, sim, bid, ask)
    assert [one["contingencyType"] for one in lists] == ["OCO", "OTO"]
    stage.bench.link.perform(TakeSnapshot("audit", (), {BTC: -1}))
    snapshot = (await stage.bench.first(SnapshotTaken)).snapshot
    theirs = {row.client_order_id for row in snapshot.open_orders} - {mine}
    assert theirs >= {"foreign-above", "foreign-below", "foreign-first", "foreign-second"}
    pending = next(r for r in snapshot.open_orders if r.client_order_id == "foreign-second")
    assert pending.venue_status in {VenueOrderStatus.NEW, VenueOrderStatus.UNRECOGNISED}
    await asyncio.to_thread(stage.tidy_up)
    await stage.until_status(mine, VenueOrderStatus.CANCELED)
    open_now = (await stage.ledger())["open_orders"]
    assert [row for row in open_now if row["client_order_id"].startswith("foreign")] == []
    assert not stage.bench.got(LinkDown), "no event of a list ends the connection"


def place_lists(sim: SimProcess, bid: Decimal, ask: Decimal) -> list[dict[str, Any]]:
    """An OCO and an OTO, by another program with the same key."""
    cent = Decimal("0.01")
    below, above = (bid * Decimal("0.9")).quantize(cent), (ask * Decimal("1.1")).quantize(cent)
    oco = {
        "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.001", "aboveType": "LIMIT_MAKER",
        "abovePrice": above, "aboveClientOrderId": "foreign-above", "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": below, "belowPrice": below, "belowTimeInForce": "GTC",
        "belowClientOrderId": "foreign-below",
    }  # fmt: skip
    oto = {
        "symbol": "BTCUSDT", "workingType": "LIMIT", "workingSide": "BUY", "workingPrice": below,
        "workingQuantity": "0.001", "workingTimeInForce": "GTC",
        "workingClientOrderId": "foreign-first", "pendingType": "LIMIT", "pendingSide": "SELL",
        "pendingPrice": above, "pendingQuantity": "0.001", "pendingTimeInForce": "GTC",
        "pendingClientOrderId": "foreign-second",
    }  # fmt: skip
    return [sim.signed("POST", path, **values) for path, values in (
        ("orderList/oco", oco), ("orderList/oto", oto),
    )]  # fmt: skip


# -------------------------------------------------------------------- stopping and checking
async def test_the_emergency_stop_proves_emptiness(stage: Stage, sim: SimProcess) -> None:
    ids = [stage.send(stage.resting()) for _ in range(5)]
    for client_id in ids:
        await stage.until_status(client_id, VenueOrderStatus.NEW)
    stop = EmergencyStop(
        endpoints=stage.bench.endpoints,
        adapter=spot(key=sim.api_key, secret=sim.api_secret.encode()),
        instance="contra",
        clock=SystemClock(),
    )
    await stop.warm()
    report = await stop.cancel_and_verify(deadline_s=60)
    await stop.close()
    assert report.verified_empty_ns is not None
    assert (report.remaining, report.errors) == (0, ())
    assert report.canceled >= 5
    for client_id in ids:
        await stage.until_status(client_id, VenueOrderStatus.CANCELED)


async def test_preflight_is_content(sim: SimProcess) -> None:
    credentials = Credentials(api_key=sim.api_key, secret=sim.api_secret.encode(), kind="hmac")
    steps = await run_preflight(
        environment="sim",
        rest=sim.rest,
        ws_api=sim.ws_api,
        streams=sim.streams,
        credentials=credentials,
        symbols=("BTCUSDT",),
        clock=SystemClock(),
    )
    assert [(step.name, step.sentence) for step in steps if not step.ok] == []
    wrong = Credentials(api_key=sim.api_key, secret=b"another secret", kind="hmac")
    steps = await run_preflight(
        environment="sim",
        rest=sim.rest,
        ws_api=sim.ws_api,
        streams=sim.streams,
        credentials=wrong,
        symbols=("BTCUSDT",),
        clock=SystemClock(),
    )
    assert [step.name for step in steps if not step.ok] == ["key"]
    assert "signature" in next(step for step in steps if not step.ok).sentence

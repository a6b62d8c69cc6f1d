"""Slices against brute force: what is proposed is approved; where nothing is, nothing would be."""

import random
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS
from daemon.model.enums import OrderType, Side, TimeInForce, TradingState
from daemon.model.halt import HaltFlag
from daemon.model.ids import ClientOrderIdFactory, StrategyId, run_id
from daemon.model.intents import ENGINE, PlaceIntent
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, Interceptor
from riskcaps.gate.slices import NoSlice, Slice, slice_of
from tests.support.builders import BTC, INSTANCE, T0, caps, fill, instrument, top

D = Decimal
LOT = D("0.001")
UNITS = 60
NOW = T0 + 50 * NS_PER_MS


def world(rng: random.Random) -> tuple[Interceptor, Decimal]:
    """A gate with a position of up to 60 lots, all else drawn."""
    limits: dict[str, Any] = {
        "order_qty_base_max": str(rng.choice((1, 7, 20, 100)) * LOT),
        "order_notional_quote_max": rng.choice(("0.15", "1", "2.5", "1000")),
        "market_slippage_bps": rng.choice((0, 20, 400)),
        "collar_bps_max": rng.choice((5, 100, 500)),
        "order_types": rng.choice((["MARKET"], ["LIMIT"], ["LIMIT", "MARKET"])),
        "times_in_force": rng.choice((["GTC", "IOC"], ["GTC"])),
        "balance_free_min": {"USDT": rng.choice(("0", "99")), "BTC": rng.choice(("0", "1"))},
    }
    halt = HaltFlag()
    gate = Interceptor(
        capset=caps(("BTCUSDT",), **limits),
        ids=ClientOrderIdFactory(run_id(INSTANCE, 1)),
        halt=halt,
    )
    halt.open()
    gate.risk.on_journal_health(ok=True)
    gate.risk.on_clock(0, 0, T0)
    filters: dict[str, Any] = {
        "lot": LOT * rng.choice((1, 2, 5)),
        "qty_min": LOT * rng.choice((1, 4)),
        "qty_max": LOT * rng.choice((10, 1000)),
        "market_lot": LOT * rng.choice((0, 2, 3)),
        "market_qty_min": LOT * rng.choice((0, 6)),
        "market_qty_max": LOT * rng.choice((0, 9, 500)),
        "notional_min": D(rng.choice(("0", "0.5", "2"))),
        "notional_min_applies_to_market": rng.choice((True, False)),
        "notional_max": D(rng.choice(("0", "3"))),
        "notional_max_applies_to_market": rng.choice((True, False)),
    }
    gate.risk.on_instruments([instrument("BTCUSDT", **filters)])
    gate.risk.on_top(top("99.90", "100.10", ts_ns=NOW), NOW)
    qty = LOT * rng.randrange(1, UNITS) + rng.choice((D(0), D("0.0004")))
    side = rng.choice((Side.BUY, Side.SELL))
    gate.risk.on_fill(fill("x-1", 1, str(qty), "100.00", side=side), NOW)
    free = rng.choice(("1000", "1.01", "0.02"))
    gate.risk.on_balances(
        [Balance("USDT", D(free) * 100, D(0)), Balance("BTC", D(free), D(0))], NOW
    )
    gate.risk.set_trading_state(TradingState.REDUCING)
    return gate, qty


def wish_of(found: Slice) -> PlaceIntent:
    return PlaceIntent(
        strategy_id=StrategyId(ENGINE),
        instrument_id=BTC,
        side=found.side,
        order_type=found.order_type,
        qty=found.qty,
        price=found.price,
        time_in_force=found.time_in_force,
        reduce_only=True,
    )


def brute(seed: int) -> list[Slice]:
    """Every order on the grid that the gate approves, each asked of a fresh world."""
    first, _ = world(random.Random(seed))
    book = first.risk.books.by_id[BTC]
    side = Side.SELL if book.position > 0 else Side.BUY
    slip, edge = book.caps.market_slippage_bps, book.caps.collar_bps_max  # type: ignore[union-attr]
    bps = min(slip, edge)
    touch = D("99.90") if side is Side.SELL else D("100.10")
    prices = [touch, touch * (10_000 - bps if side is Side.SELL else 10_000 + bps) / 10_000]
    tries = [
        Slice(side=side, order_type=OrderType.MARKET, qty=LOT * n) for n in range(1, UNITS + 2)
    ] + [
        Slice(side=side, order_type=OrderType.LIMIT, qty=LOT * n,
              price=px.quantize(D("0.01")), time_in_force=TimeInForce.IOC)
        for n in range(1, UNITS + 2) for px in prices
    ]  # fmt: skip
    passed = []
    for one in tries:
        gate, _ = world(random.Random(seed))
        verdict = gate.review(wish_of(one), NOW)
        if isinstance(verdict, Approved) and verdict.order.qty == one.qty:
            passed.append(one)
    return passed


@pytest.mark.parametrize(
    "block", [0, 1, *(pytest.param(one, marks=pytest.mark.campaign) for one in (2, 3))]
)
def test_a_slice_is_approved_and_none_means_that_none_would_be(block: int) -> None:
    sliced = kept = 0
    for seed in range(block * 25, block * 25 + 25):
        gate, qty = world(random.Random(seed))
        found = slice_of(gate.risk, BTC, NOW)
        if isinstance(found, NoSlice):
            kept += 1
            others = brute(seed)
            assert not others, f"seed {seed}: {found} but {others[0]} passes"
            continue
        sliced += 1
        verdict = gate.review(wish_of(found), NOW)
        assert isinstance(verdict, Approved), f"seed {seed}: {found} {verdict}"
        assert verdict.order.qty == found.qty <= qty
    assert min(sliced, kept) > 0, "the worlds must show both"


def test_dust_is_what_no_order_of_any_size_takes() -> None:
    """With caps that would let anything pass, what is called dust passes by no type."""
    seen = 0
    for seed in range(150):
        gate, _ = world(random.Random(seed))
        found = slice_of(gate.risk, BTC, NOW)
        if isinstance(found, NoSlice) and found.is_dust:
            seen += 1
            assert not brute(seed), f"seed {seed}: {found}"
    assert seen

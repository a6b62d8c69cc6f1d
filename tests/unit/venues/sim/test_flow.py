"""The crowd: alive, two-sided, the same from the same seed; recorded trades at their prices."""

import csv
import gzip
import itertools
import random
from pathlib import Path

import pytest

from daemon.model.enums import Side
from daemon.venues.sim.listed_symbols import DEFAULT_SYMBOLS, spec_of
from daemon.venues.sim.recording import RecordingError, parse_recording
from daemon.venues.sim.sim_orders import BookTop, TradePrint
from daemon.venues.sim.venue import SimVenue
from tests.support.sim_stage import MS, SYMBOL, T0_NS, Stage

RECORDING = Path(__file__).parents[4].parent / "shared/data/trades/XRPETH-2019-10.csv.gz"
HEADER = ["time_ms", "trade_id", "taker_side", "price", "qty"]


def run(seed: int, steps: int = 200) -> list[object]:
    venue = SimVenue(
        [spec_of(symbol) for symbol in DEFAULT_SYMBOLS],
        rng_of=lambda name: random.Random(f"{seed}/{name}"),
        now_ns=T0_NS,
    )
    for step in range(1, steps + 1):
        venue.advance(T0_NS + step * 50 * MS)
    return list(venue.drain_events())


def test_the_same_seed_makes_the_same_market_and_another_another() -> None:
    assert run(5) == run(5)
    assert run(5) != run(6)


def test_every_default_symbol_trades_and_keeps_a_two_sided_book() -> None:
    events = run(7, steps=400)
    for symbol in DEFAULT_SYMBOLS:
        trades = [e for e in events if isinstance(e, TradePrint) and e.symbol == symbol]
        tops = [e for e in events if isinstance(e, BookTop) and e.symbol == symbol]
        assert len(trades) > 20
        assert {trade.buyer_is_maker for trade in trades} == {True, False}
        assert all(0 < top.bid_price < top.ask_price for top in tops[2:])


def test_a_backlog_is_bounded() -> None:
    stage = Stage(flow_rate_per_s=50)
    before = stage.venue.background["events"]
    stage.venue.advance(stage.tick(3_600_000))
    assert 0 < stage.venue.background["events"] - before <= 2 * 200


def test_after_a_wipe_the_crowd_is_back_with_new_ids_and_a_sound_book() -> None:
    stage = Stage(flow_rate_per_s=200)
    stage.venue.advance(stage.tick(5_000))
    stage.venue.wipe(stage.tick())
    stage.venue.drain_events()
    for _ in range(100):
        stage.venue.advance(stage.tick(50))
    trades = [e for e in stage.venue.drain_events() if isinstance(e, TradePrint)]
    ids = [trade.trade_id for trade in trades if trade.symbol == SYMBOL]
    assert ids == list(range(1, len(ids) + 1))
    book = stage.venue.market(SYMBOL).book
    for side in (book.bids, book.asks):
        for level in side.levels.values():
            assert level.qty == sum(order.visible for order in level.orders.values())


def test_the_crowd_fills_a_client_at_the_touch() -> None:
    stage = Stage(flow_rate_per_s=50)
    market = stage.venue.market(SYMBOL)
    ask = market.best_price(Side.SELL)
    order = stage.sell("0.001", f"{(ask - market.spec.tick) / 10**8:.2f}").order
    for _ in range(400):
        stage.venue.advance(stage.tick(50))
    assert order.executed > 0
    fills = stage.venue.my_trades("main", SYMBOL)
    assert all(fill.maker and fill.price == order.price for fill in fills)


@pytest.mark.skipif(not RECORDING.exists(), reason="the recorded trades are not in this checkout")
def test_recorded_trades_are_played_at_their_prices_and_turn_round_without_a_jump() -> None:
    spec = spec_of("XRPETH")
    with gzip.open(RECORDING, "rt", newline="") as text:
        rows = list(itertools.islice(csv.reader(text), 60))
    trades = parse_recording(rows, name="rec", spec=spec).trades
    venue = SimVenue(
        [spec],
        rng_of=random.Random,
        now_ns=T0_NS,
        recordings={"XRPETH": (trades, 1_000.0)},
    )
    span_ns = (trades[-1].ts_ns - trades[0].ts_ns) // 1000
    printed: list[int] = []
    for step in range(1, 402):
        venue.advance(T0_NS + span_ns * step // 200)
        printed += [e.price for e in venue.drain_events() if isinstance(e, TradePrint)]
    recorded = [trade.price for trade in trades]
    there_and_back = [p for p, _ in itertools.groupby(recorded + recorded[-2::-1])]
    played = [p for p, _ in itertools.groupby(printed)]
    assert played[: len(there_and_back)] == there_and_back


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([["a", "b"]], "line 1: the header"),
        ([HEADER], "no trades"),
        ([HEADER, ["1", "1", "buy", "0.001"]], "line 2: 4 fields"),
        ([HEADER, ["x", "1", "buy", "0.001", "1"]], "line 2: time_ms .* is no whole"),
        ([HEADER, ["1", "1", "hold", "0.001", "1"]], "line 2: taker_side"),
        ([HEADER, ["1", "1", "buy", "cheap", "1"]], "line 2: 'cheap'"),
        ([HEADER, ["1", "1", "buy", "0", "1"]], "line 2: price and qty"),
        (
            [HEADER, ["2", "1", "buy", "0.001", "1"], ["1", "2", "buy", "0.001", "1"]],
            "line 3: time runs backwards; sort",
        ),
        ([HEADER, ["9" * 20, "1", "buy", "0.001", "1"]], "line 2: time_ms .* is no whole"),
        (
            [
                HEADER,
                ["1569888000000", "1", "buy", "0.001", "1"],
                ["1569888001000000", "2", "buy", "0.001", "1"],
            ],
            "line 3: time 1569888001000000 is in us, the lines before it are in ms",
        ),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(rows: list[list[str]], complaint: str) -> None:
    with pytest.raises(RecordingError, match=f"^FILE.*{complaint}"):
        parse_recording(rows, name="FILE", spec=spec_of("XRPETH"))


@pytest.mark.parametrize(
    ("unit", "factor"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)]
)
def test_the_unit_of_recorded_times_is_told_by_their_size(unit: str, factor: int) -> None:
    rows = [HEADER] + [
        [str((1_569_888_000 + second) * factor), "1", "buy", "0.001", "1"] for second in (0, 60)
    ]
    recording = parse_recording(rows, name="FILE", spec=spec_of("XRPETH"))
    assert (recording.unit, recording.span_s) == (unit, 60)
